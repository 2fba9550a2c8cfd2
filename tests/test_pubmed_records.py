"""One record of PubMed: its title, abstract and year."""

from entrez_server import record

from bioner_lib.silver.pubmed_records import Abstract, parse_record


def test_a_record_by_hand():
    written = "<MedlineDate>1998 Dec-1999 Jan</MedlineDate>"
    medline = record("7").replace("<Year>2020</Year>", written)
    abstract = "OPA1 causes optic atrophy."
    assert parse_record(medline) == Abstract("7", "About OPA1 7", abstract, 1998)


def test_a_book_by_hand():
    book = (
        "<PubmedBookArticle><BookDocument><PMID>8</PMID><ArticleTitle>Optic atrophy</ArticleTitle>"
        "<Book><PubDate><Year>2011</Year></PubDate></Book>"
        "<Abstract><AbstractText>OPA1.</AbstractText></Abstract>"
        "</BookDocument></PubmedBookArticle>"
    )
    assert parse_record(book) == Abstract("8", "Optic atrophy", "OPA1.", 2011)
