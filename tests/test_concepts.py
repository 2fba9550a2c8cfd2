"""Identifiers of mentions, read a second time from PubTator and BioC files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioner_lib import Sentence, load_corpus
from bioner_lib.corpora.concepts import Place, concepts, concepts_of, identified, identifiers
from bioner_lib.errors import DataError, WorkbookError

TEXT = """1|t|Wilson disease and WD
1|a|Iron.
1\t0\t14\tWilson disease\tDisease\tMESH:D006527
1\t19\t21\tWD\tDisease\tD006527
1\t22\t26\tIron\tChemical\t-1
1\tCID\tD007501\tD006527

2|t|breast and ovarian cancer
2|a|
2\t0\t25\tbreast and ovarian cancer\tDisease\tD001943|D010051
2\t11\t25\tovarian cancer\tDisease\tD010051
"""


def folder(tmp_path, text=TEXT, name="train.pubtator"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path)


def test_every_mention_has_its_identifiers(tmp_path):
    found = concepts(folder(tmp_path))
    assert found == {
        Place("1", 0, 14, "Disease"): ("D006527",),
        Place("1", 19, 21, "Disease"): ("D006527",),
        Place("1", 22, 26, "Chemical"): (),
        Place("2", 0, 25, "Disease"): ("D001943", "D010051"),
        Place("2", 11, 25, "Disease"): ("D010051",),  # a tag sequence holds only the longer one
    }


def test_mentions_of_sentences_find_their_identifiers(tmp_path):
    name = folder(tmp_path)
    corpus, found = load_corpus(name), concepts(name)
    listed = [*identified(corpus, "train", found), *identified(corpus, "dev", found)]
    assert sorted(listed) == [
        ("breast and ovarian cancer", "Disease", ("D001943", "D010051")),
        ("iron", "Chemical", ()),
        ("wd", "Disease", ("D006527",)),
        ("wilson disease", "Disease", ("D006527",)),
    ]


def test_bioc_identifiers_are_found_by_the_same_characters(tmp_path):
    annotation = (
        '{"id": "T1", "infons": {"type": "Gene", "identifier": "672"}, "text": " BRCA1",'
        ' "locations": [{"offset": 12, "length": 6}]}'
    )
    documents = [
        f'{{"id": "{k}", "infons": {{}}, "relations": [], "passages": [{{"offset": 10, "infons": '
        f'{{}}, "text": "A  BRCA1 gene", "sentences": [], "relations": [], '
        f'"annotations": [{annotation}]}}]}}'
        for k in (1, 2)
    ]
    text = (
        '{"source": "", "date": "", "key": "", "infons": {}, '
        f'"documents": [{", ".join(documents)}]}}'
    )
    name = folder(tmp_path, text, "train.json")
    found = concepts(name)
    assert found == {Place(doc, 13, 18, "Gene"): ("672",) for doc in "12"}
    assert list(identified(load_corpus(name), "train", found)) == [("brca1", "Gene", ("672",))]


def test_fields_with_several_identifiers():
    assert identifiers("D003110|OMIM:116800 +D1") == ["D003110", "OMIM:116800", "D1"]
    assert identifiers("17125;17129,5") == ["17125", "17129", "5"]
    assert identifiers("p|SUB|V|600|E") == ["p|SUB|V|600|E"]
    assert identifiers("c|SUB|G|IVS3+1|A,rs1") == ["c|SUB|G|IVS3+1|A", "rs1"]
    assert [identifiers(field) for field in ("", "-", "-1", "MESH:D1")] == [[], [], [], ["D1"]]


@given(st.lists(st.from_regex(r"[A-Z]\d{3,6}", fullmatch=True)), st.sampled_from(",;|+"))
def test_joined_identifiers_come_apart_again(parts, sign):
    assert identifiers(sign.join(parts)) == parts


def test_what_has_no_identifiers_says_where_they_are(tmp_path):
    with pytest.raises(DataError, match=r"'ncbi-disease' has no .*'ncbi-disease-pubtator' has"):
        concepts("ncbi-disease")
    with pytest.raises(DataError, match="corpus 'sample' has no identifiers"):
        concepts("sample-gene")
    with pytest.raises(WorkbookError, match="did you mean 'biored'"):
        concepts("bioredd")
    plain = "1|t|Iron\n1|a|\n1\t0\t4\tIron\tChemical\n"
    with pytest.raises(DataError, match="for none of their mentions"):
        concepts(folder(tmp_path, plain))
    sentence = Sentence(["Iron"], ["B-Chemical"], "1")
    with pytest.raises(DataError, match="document '1' has no character offsets"):
        concepts_of(sentence, sentence.spans[0], {})


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["ncbi-disease-pubtator", "bc5cdr-pubtator", "nlm-gene", "biored", "s800-virus"]
)
def test_real_mentions_all_find_their_place(name, mirror):
    corpus, found = load_corpus(name), concepts(name)
    for role, split in corpus.splits.items():
        for sentence in split:
            for span in sentence.spans:
                start, end = sentence.offsets[span.start][0], sentence.offsets[span.end - 1][1]
                assert Place(sentence.doc, start, end, span.type) in found, (role, sentence.doc)


@pytest.mark.real
def test_real_counts_of_concepts_are_the_published_ones(mirror):
    """Luo et al. 2022: BioRED has 20,419 mentions of 3,869 concepts; Li et al. 2016: BC5CDR."""
    biored = concepts("biored")
    assert len(biored) == 20_419
    assert len({(place.type, own) for place, ids in biored.items() for own in ids}) == 3_869
    corpus, found = load_corpus("bc5cdr-pubtator"), concepts("bc5cdr-pubtator")
    docs = {sentence.doc for sentence in corpus.train}
    pairs = {(p.type, p.doc, own) for p, ids in found.items() if p.doc in docs for own in ids}
    counts = [sum(type == of for type, *_ in pairs) for of in ("Chemical", "Disease")]
    assert counts == [1_467, 1_965]
