"""BioC files, in XML and in JSON."""

import gzip
import json
import lzma

import bioc
import pytest
from bioc import biocjson, biocxml
from small_corpora import spans_of, write

from bioner_lib.corpora.bioc_files import read_bioc
from bioner_lib.corpora.pubtator_files import read_pubtator
from bioner_lib.corpora.readers import guess_reader
from bioner_lib.corpora.reading import DROPS
from bioner_lib.errors import DataError


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


def test_json_lines_may_be_bioc_documents(tmp_path):
    """As PubTator's service gives them, when it is asked for several."""
    one = json.loads(
        bioc_json(tmp_path, ("1", [(0, "TP53 loss", [("TP53", [(0, 4)])])])).read_text()
    )
    lines = [json.dumps(document | {"id": id}) for document in one["documents"] for id in "12"]
    path = write(tmp_path, "pubtator.jsonl", "\n".join(lines))
    assert guess_reader(path) == "bioc"
    reading = read_bioc(path)
    assert reading.mentions == {"Gene": 2}
    assert [sentence.doc for sentence in reading.sentences] == ["1", "2"]
