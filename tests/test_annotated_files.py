"""Files with character offsets: PubTator and BioC."""

import gzip
import json
import lzma

import bioc
import pytest
from bioc import biocjson, biocxml
from conftest import spans_of, write

from bioner_lib.corpora.annotated_files import read_bioc, read_pubtator
from bioner_lib.corpora.inline_files import read_inline
from bioner_lib.corpora.readers import guess_reader
from bioner_lib.corpora.reading import DROPS
from bioner_lib.corpora.tagged_files import read_conll
from bioner_lib.errors import DataError

PUBTATOR = (
    "1|t|Loss of TP53.\n1|a|It causes Li-Fraumeni syndrome. Rarely e.g. ataxia.\n"
    "1\t8\t12\tTP53\tGene\t7157\n"
    "1\t24\t45\tLi-Fraumeni syndrome\tDisease\tD016864\tx|y\n1\tCID\tD1\tD2\n\n"
)


def test_pubtator_offsets_run_over_title_and_abstract(tmp_path):
    text = PUBTATOR.replace("24\t45", "24\t44")
    reading = read_pubtator(write(tmp_path, "a.PubTator", text.replace("\n", "\r\n")))
    found = [(" ".join(s.tokens[a:b]), name) for s in reading.sentences for a, b, name in s.spans]
    assert found == [("TP53", "Gene"), ("Li - Fraumeni syndrome", "Disease")]
    whole = "Loss of TP53. It causes Li-Fraumeni syndrome. Rarely e.g. ataxia."
    assert all(
        whole[a:b] == token
        for s in reading.sentences
        for token, (a, b) in zip(s.tokens, s.offsets, strict=True)
    )
    assert reading.repairs == {"relation line passed over": 1}


def test_pubtator_counts_what_it_mends(tmp_path):
    text = (
        "1|t|Anti-TNFalpha.\n1|a|\n"
        "1\t5\t8\tTNF\tGene\n1\t5\t13\tTNFalpha\tGene\n1\t0\t4\tXXXX\tGene\n"
    )
    reading = read_pubtator(write(tmp_path, "a.txt", text + "\n" + text))
    assert [s.spans for s in reading.sentences] == [[(0, 1, "Gene"), (2, 3, "Gene")]]
    assert reading.mentions == {"Gene": 6}
    assert reading.repairs["overlapping mention dropped"] == 1
    assert reading.repairs["repeated document dropped"] == 1
    assert reading.repairs["mention text differs from its offsets"] == 2


def test_pubtator_relations_are_counted_and_blank_lines_are_needed(tmp_path):
    one = (
        "1|t|Loss of TP53.\n1|a|Here.\n1\t8\t12\tTP53\tGene\n"
        "1\tCID\tD1\tD2\n1\tAssociation\t3175\tD1\tNo\n"
    )
    assert read_pubtator(write(tmp_path, "a.txt", one)).repairs == {"relation line passed over": 2}
    with pytest.raises(DataError, match=r"a.txt:6: .* starts another document"):
        read_pubtator(write(tmp_path, "a.txt", one + one.replace("1|", "2|").replace("1\t", "2\t")))
    for broken in ("x8\t12", "8\tx12"):
        with pytest.raises(DataError, match=r"a.txt:3: .*separated by tabs"):
            read_pubtator(write(tmp_path, "a.txt", one.replace("8\t12", broken)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t90\t99\tx\tGene", "offsets 90-99"),
        ("2\t0\t4\tLoss\tGene", "neither"),
        ("1\t0\tx\tLoss\tGene", "separated by tabs"),
        ("1\t0\t4\tLoss\tGenes", "unknown label 'Genes'"),
    ],
)
def test_pubtator_errors_name_file_and_line(tmp_path, line, message):
    with pytest.raises(DataError, match=rf"a.txt:3: .*{message}"):
        read_pubtator(
            write(tmp_path, "a.txt", f"1|t|Loss of TP53.\n1|a|Here.\n{line}\n"),
            labels={"Gene": "Gene"},
        )


def test_bioc_xml_and_json_agree(tmp_path):
    collection, document, passage = bioc.BioCCollection(), bioc.BioCDocument(), bioc.BioCPassage()
    document.id = "1"
    passage.offset = 10
    passage.text = "Loss of TP53."
    annotation = bioc.BioCAnnotation()
    annotation.id = "a"
    annotation.text = "TP53"
    annotation.infons = {"type": "Gene"}
    annotation.add_location(bioc.BioCLocation(18, 4))
    passage.add_annotation(annotation)
    document.add_passage(passage)
    collection.add_document(document)
    write(tmp_path, "a.xml", biocxml.dumps(collection))
    write(tmp_path, "a.json", biocjson.dumps(collection))
    xml, json_ = (read_bioc(tmp_path / name) for name in ("a.xml", "a.json"))
    assert xml.sentences == json_.sentences
    assert xml.sentences[0].spans == [(2, 3, "Gene")]
    assert xml.sentences[0].offsets[2] == (18, 22)
    inner = bioc.BioCSentence()
    inner.offset = 10
    inner.text = passage.text
    inner.add_annotation(annotation)
    passage.annotations = []
    passage.sentences = [inner]
    assert read_bioc(write(tmp_path, "s.xml", biocxml.dumps(collection))).sentences == xml.sentences
    passage.text = None
    assert read_bioc(write(tmp_path, "s.xml", biocxml.dumps(collection))).sentences == xml.sentences
    annotation.locations[0].offset = 90
    with pytest.raises(DataError, match="document 1, annotation a"):
        read_bioc(write(tmp_path, "b.xml", biocxml.dumps(collection)))
    with pytest.raises(DataError, match="not BioC"):
        read_bioc(write(tmp_path, "c.xml", "<x"))
    with pytest.raises(DataError, match=r"not BioC .*; expected one object with `documents`"):
        read_bioc(write(tmp_path, "c.json", "[]"))


@pytest.mark.parametrize("packed", ["a.xml", "a.xml.gz", "a.xml.xz"])
@pytest.mark.parametrize(
    ("declared", "actual"),
    [
        ("ISO-8859-1", "iso-8859-1"),
        ("UTF-16", "utf-16"),
        ("ISO-8859-1", "utf-8"),  # what iconv leaves
        ("ISO-8859-1", "utf-8-sig"),
        ("UTF-8", "utf-8"),
    ],
)
def test_bioc_xml_is_read_in_the_encoding_that_it_has(tmp_path, packed, declared, actual):
    text = (
        f'<?xml version="1.0" encoding="{declared}" standalone="yes"?><collection><document>'
        "<id>1</id><passage><offset>0</offset><text>Größe of TP53</text></passage>"
        "</document></collection>"
    )
    pack = {".gz": gzip.compress, ".xz": lzma.compress}.get(packed[-3:], bytes)
    (tmp_path / packed).write_bytes(pack(text.encode(actual)))
    assert guess_reader(tmp_path / packed) == "bioc"
    assert read_bioc(tmp_path / packed).sentences[0].tokens == ["Größe", "of", "TP53"]


def test_bioc_xml_that_declares_no_encoding_is_utf_8(tmp_path):
    (tmp_path / "a.xml").write_bytes(
        '<?xml version="1.0"?><collection>Größe</collection>'.encode("latin-1")
    )
    with pytest.raises(DataError, match=r"a.xml: not BioC .*; declare its encoding, such as"):
        read_bioc(tmp_path / "a.xml")


def test_bioc_json_with_a_byte_order_mark_and_with_values_of_the_wrong_kind(tmp_path):
    annotation = {"id": "a", "infons": {"type": "Gene"}, "text": "TP53"}
    annotation["locations"] = [{"offset": 0, "length": 4}]
    passage = {"offset": 0, "infons": {}, "text": "TP53 binds.", "sentences": [], "relations": []}
    passage["annotations"] = [annotation]
    document = {"id": "1", "infons": {}, "passages": [passage], "annotations": [], "relations": []}
    whole = {"source": "", "date": "", "key": "", "infons": {}, "documents": [document]}
    read = read_bioc(write(tmp_path, "a.json", "\ufeff" + json.dumps(whole)))
    assert [s.spans for s in read.sentences] == [[(0, 1, "Gene")]]
    packed = tmp_path / "a.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(whole).encode()))
    assert read_bioc(packed).sentences == read.sentences
    annotation["locations"][0]["length"] = "4"
    with pytest.raises(DataError, match="offset 0, length '4'; expected numbers"):
        read_bioc(write(tmp_path, "b.json", json.dumps(whole)))
    annotation["infons"]["type"] = ["Gene"]
    with pytest.raises(DataError, match=r"the type is \['Gene'\]; expected a text"):
        read_bioc(write(tmp_path, "b.json", json.dumps(whole)))


def test_bioc_json_of_other_tools(tmp_path):
    """Without the keys that hold nothing; one document, one per line, or PubTator 3's answer."""
    annotation = {"infons": {"type": "Gene"}, "locations": [{"offset": 0, "length": 4}]}
    inner = {"offset": 12, "text": "BRCA1 too."}
    passages = [
        {"offset": 0, "text": "TP53 binds.", "annotations": [annotation], "infons": None},
        {"offset": 12, "sentences": [inner]},
    ]
    document = {"id": "1", "passages": passages}
    other = {"id": "2", "passages": [{"offset": 0, "text": "None."}], "relations": [{"id": "R"}]}
    whole = read_bioc(write(tmp_path, "a.json", json.dumps({"documents": [document, other]})))
    assert [s.spans for s in whole.sentences] == [[(0, 1, "Gene")], [], []]
    assert [s.doc for s in whole.sentences] == ["1", "1", "2"]
    answer = json.dumps({"PubTator3": [document, other]})
    assert read_bioc(write(tmp_path, "b.json", answer)) == whole
    lines = f"{json.dumps(document)}\n{json.dumps(other)}\n"
    assert read_bioc(write(tmp_path, "c.json", lines)) == whole
    one = read_bioc(write(tmp_path, "d.json", json.dumps(document)))
    assert one.sentences == whole.sentences[:2]
    with pytest.raises(DataError, match=r"not BioC \(KeyError: 'passages'\)"):
        read_bioc(write(tmp_path, "e.json", '{"documents": [{"id": "1"}]}'))


def test_pubtator_mentions_of_some_concepts(tmp_path):
    """A species corpus read as a virus corpus: the identifiers say which mentions are viruses."""
    text = (
        "1|t|Mice with HIV and HSV\n1|a|x\n1\t0\t4\tMice\tSpecies\t10090\n"
        "1\t10\t13\tHIV\tSpecies\t12721;11676\n1\t18\t21\tHSV\tSpecies\n"
    )
    (tmp_path / "x.PubTator").write_text(text)
    reading = read_pubtator(
        tmp_path / "x.PubTator", labels={"Species": "Virus"}, concepts=["11676", "10298"]
    )
    assert [s.spans for s in reading.sentences if s.spans] == [[(2, 3, "Virus")]]
    assert reading.mentions == {"Virus": 1}


def bioc_file(folder, name, passages, annotations=(), document_id="1"):
    """A BioC XML file.

    A passage is (offset, text, annotations, sentences); an annotation is
    (text, type, [(offset, length)]).
    """

    def filled(holder, given):
        for i, (text, kind, locations) in enumerate(given):
            annotation = bioc.BioCAnnotation()
            annotation.id = f"a{i}"
            annotation.text = text
            annotation.infons = {} if kind is None else {"type": kind}
            annotation.locations = [
                bioc.BioCLocation(offset, length) for offset, length in locations
            ]
            holder.add_annotation(annotation)
        return holder

    collection = bioc.BioCCollection()
    for identifier in document_id.split():
        document = bioc.BioCDocument()
        document.id = identifier
        for offset, text, mentions, sentences in passages:
            passage = bioc.BioCPassage()
            passage.offset = offset
            passage.text = text
            for at, inner in sentences:
                sentence = bioc.BioCSentence()
                sentence.offset = at
                sentence.text = inner
                passage.add_sentence(sentence)
            document.add_passage(filled(passage, mentions))
        collection.add_document(filled(document, annotations))
    return write(folder, name, biocxml.dumps(collection))


def test_bioc_annotations_are_read_wherever_they_stand(tmp_path):
    """In the document, in a passage whose text stands in its sentences, across two of them."""
    passages = [
        (0, "Loss of TP53.", [], []),
        (
            20,
            None,
            [("BRCA1", "Gene", [(20, 5)]), ("ovary. Cells", "Disease", [(29, 12)])],
            [(20, "BRCA1 in ovary."), (36, "Cells died.")],
        ),
    ]
    path = bioc_file(
        tmp_path, "a.xml", passages, [("TP53", "Gene ", [(8, 4)]), ("died", "Disease", [(42, 4)])]
    )
    reading = read_bioc(path)
    assert spans_of(reading) == [
        ("TP53", "Gene"),
        ("BRCA1", "Gene"),
        ("ovary . Cells", "Disease"),
        ("died", "Disease"),
    ]
    assert reading.mentions == {"Gene": 2, "Disease": 2}, (
        "a blank behind a label makes no second type"
    )
    assert reading.repairs == {"sentence boundary inside a mention": 1}
    assert [s.offsets[0][0] for s in reading.sentences] == [0, 20]


def test_bioc_sentences_are_kept_as_they_are_given(tmp_path):
    path = bioc_file(
        tmp_path, "a.xml", [(5, None, [], [(5, "No stop here"), (20, "and on. It goes")])]
    )
    assert [s.tokens for s in read_bioc(path).sentences] == [
        ["No", "stop", "here"],
        ["and", "on", ".", "It", "goes"],
    ]


@pytest.mark.parametrize(
    "sentences", [[(0, "Loss of it."), (0, "Gain of it.")], [(12, "Gain."), (0, "Loss of it.")]]
)
def test_bioc_sentences_that_overlap_or_change_places_are_refused(tmp_path, sentences):
    """One would be written over the other."""
    with pytest.raises(
        DataError,
        match=r"document 1: the sentence at offset 0 starts before the previous one ends",
    ):
        read_bioc(bioc_file(tmp_path, "a.xml", [(0, None, [], sentences)]))


def test_a_blank_at_the_end_of_a_mention_joins_no_sentences(tmp_path):
    text = "1|t|The drug kills.\n1|a|Cells died here.\n1\t15\t21\t Cells\tGene\n"
    reading = read_pubtator(write(tmp_path, "a.PubTator", text))
    assert [len(sentence.tokens) for sentence in reading.sentences] == [4, 4]
    assert spans_of(reading) == [("Cells", "Gene")]
    assert reading.repairs == {"blank at the end of a mention cut off": 1}


def test_bioc_counts_what_it_leaves_out(tmp_path):
    mentions = [
        ("breast cancer", "Disease", [(0, 6), (18, 6)]),
        ("ovarian cancer", "Disease", [(11, 14)]),
        ("breast", None, [(0, 6)]),
        ("breast", " ", [(0, 6)]),
    ]
    reading = read_bioc(
        bioc_file(
            tmp_path,
            "a.xml",
            [(0, "breast and ovarian cancer", mentions, [])],
            document_id="1 PMID:1 2",
        )
    )
    assert spans_of(reading) == [("ovarian cancer", "Disease")] * 2
    assert reading.mentions == {"Disease": 6}
    assert reading.repairs == {
        "discontinuous mention dropped": 3,
        "annotation without a type passed over": 6,
        "repeated document dropped": 1,
        "mentions of repeated documents dropped": 1,
    }
    kept = sum(len(s.spans) for s in reading.sentences)
    assert sum(reading.mentions.values()) - sum(reading.repairs[key] for key in DROPS) == kept, (
        "nothing else was lost"
    )
    assert {s.doc for s in reading.sentences} == {"1", "2"}


@pytest.mark.parametrize("shift", [4, -1])
def test_offsets_that_count_something_else_are_refused(tmp_path, shift):
    """Off by four they would train "ian cancer in"."""
    text, words = "An ovarian cancer in mice and TP53 loss", ("ovarian cancer", "mice", "TP53")
    places = [(word, text.index(word)) for word in words]
    mentions = [(word, "Gene", [(at + shift, len(word))]) for word, at in places]
    with pytest.raises(
        DataError,
        match=r"a\.xml: the text at the offsets of 3 of 3 mentions differs .*"
        r"'ovarian cancer', but the text at .* correct the offsets",
    ):
        read_bioc(bioc_file(tmp_path, "a.xml", [(0, text, mentions, [])]))
    lines = [f"1\t{at + shift}\t{at + shift + len(word)}\t{word}\tGene" for word, at in places]
    with pytest.raises(DataError, match=r"a\.PubTator: the text at the offsets of 3 of 3 mentions"):
        read_pubtator(write(tmp_path, "a.PubTator", "\n".join([f"1|t|{text}", "1|a|", *lines])))
    right = [f"1\t{at}\t{at + len(word)}\t{word}\tGene" for word, at in places]
    reading = read_pubtator(
        write(tmp_path, "b.PubTator", "\n".join([f"1|t|{text}", "1|a|", *right[:2], lines[2]]))
    )
    assert reading.repairs["mention text differs from its offsets"] == 1, "a few are counted"


def test_pubtator_labels_with_blanks_and_without_a_name(tmp_path):
    text = (
        "1|t|TP53 and BRCA1\n1|a|\n"
        "1\t0\t4\tTP53\tGene \n1\t9\t14\tBRCA1\t\n1\t9\t14\tBRCA1\t Gene\n"
    )
    reading = read_pubtator(write(tmp_path, "a.PubTator", text))
    assert reading.mentions == {"Gene": 2}
    assert reading.repairs == {"annotation without a type passed over": 1}
    assert read_conll(write(tmp_path, "a.tsv", "TP53\tB-Gene \nx\tO\n")).mentions == {"Gene": 1}


def test_words_are_cut_where_a_mention_begins_or_ends(tmp_path):
    """So that its boundaries are scored as they were annotated."""
    text = "1|t|antip53null cells of E2F1p\n1|a|\n1\t4\t7\tp53\tGene\n1\t21\t25\tE2F1\tGene\n"
    (sentence,) = read_pubtator(write(tmp_path, "a.PubTator", text)).sentences
    assert sentence.tokens == ["anti", "p53", "null", "cells", "of", "E2F1", "p"]
    assert sentence.spans == [(1, 2, "Gene"), (5, 6, "Gene")]
    assert sentence.offsets[:3] == [(0, 4), (4, 7), (7, 11)]
    inline = read_inline(write(tmp_path, "a.txt", "anti[p53](Gene)null"))
    assert inline.sentences[0].tokens == ["anti", "p53", "null"]
    assert inline.repairs == {"word cut at the border of a mention": 1}


def test_a_mention_across_a_sentence_border_keeps_its_words_and_its_neighbours(tmp_path):
    text = (
        "1|t|We saw S. aureus. Cells died. TP53 too.\n1|a|\n"
        "1\t10\t23\taureus. Cells\tSpecies\n1\t30\t34\tTP53\tGene\n"
    )
    reading = read_pubtator(write(tmp_path, "a.PubTator", text))
    assert spans_of(reading) == [("aureus . Cells", "Species"), ("TP53", "Gene")]
    assert [s.tokens[-3:] for s in reading.sentences] == [
        ["Cells", "died", "."],
        ["TP53", "too", "."],
    ]
    assert reading.repairs == {"sentence boundary inside a mention": 1}


def bioc_json(folder, *documents):
    """A BioC JSON file of (identifier, passages).

    A passage is (offset, text, annotations); an annotation is (text, [(offset, length)]).
    """

    def annotation(text, places):
        where = [{"offset": offset, "length": length} for offset, length in places]
        return {"id": "a", "infons": {"type": "Gene"}, "text": text, "locations": where}

    def passage(offset, text, given):
        annotations = [annotation(*one) for one in given]
        return {
            "offset": offset,
            "text": text,
            "annotations": annotations,
            "sentences": [],
            "infons": {},
            "relations": [],
        }

    records = [
        {
            "id": identifier,
            "infons": {},
            "passages": [passage(*one) for one in passages],
            "annotations": [],
            "relations": [],
        }
        for identifier, passages in documents
    ]
    return write(
        folder,
        "a.json",
        json.dumps({"source": "", "date": "", "key": "", "infons": {}, "documents": records}),
    )


def test_an_annotation_belongs_to_the_passage_that_it_stands_in(tmp_path):
    """If offsets start at 0 in each passage, all mentions would land in the first one."""
    path = bioc_json(
        tmp_path, ("1", [(0, "Loss of TP53 here.", []), (0, "The gene OPA1 is.", [("", [(9, 4)])])])
    )
    assert spans_of(read_bioc(path)) == [("OPA1", "Gene")]


def test_a_mention_in_pieces_of_two_passages_is_dropped_like_any_other(tmp_path):
    reading = read_bioc(
        bioc_json(
            tmp_path, ("1", [(0, "Loss.", [("Loss Gain", [(0, 4), (6, 4)])]), (6, "Gain.", [])])
        )
    )
    assert reading.repairs == {"discontinuous mention dropped": 1}


def test_documents_without_a_name_are_not_one(tmp_path):
    reading = read_bioc(bioc_json(tmp_path, ("", [(0, "Loss.", [])]), ("", [(0, "Gain.", [])])))
    assert [sentence.doc for sentence in reading.sentences] == ["a-1", "a-2"]


def test_bioc_text_holds_whole_characters(tmp_path):
    with pytest.raises(DataError, match=r"document 1: 'Loss .* holds half of a surrogate pair"):
        read_bioc(bioc_json(tmp_path, ("1", [(0, "Loss \ud83d.", [])])))
