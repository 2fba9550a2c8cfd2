"""Brat's pairs of .txt and .ann files."""

import pytest
from small_corpora import brat, spans_of, write

from bioner_lib import load_corpus
from bioner_lib.corpora.brat_folders import read_brat
from bioner_lib.errors import DataError


def test_mentions_that_a_tag_sequence_cannot_hold_are_counted(tmp_path):
    lines = [
        "T1\tGene 0 4\tTP53",
        "T2\tGene 0 4;9 14\tTP53 BRCA1",
        "T3\tGene 0 8;9 14\tTP53 and BRCA1",
        "T4\tGene 9 14;0 4\tTP53 BRCA1",
        "T5\tGene 0 4;2 6\tTP53 a",
        "R1\tBinds Arg1:T1 Arg2:T2",
        "#1\tAnnotatorNotes T1\tsure",
    ]
    reading = read_brat(brat(tmp_path, "\n".join(lines)))
    assert [s.spans for s in reading.sentences] == [[(0, 3, "Gene")]]
    assert reading.repairs["discontinuous mention dropped"] == 3
    assert reading.repairs["overlapping mention dropped"] == 1
    assert reading.mentions == {"Gene": 5}


def test_documents_have_one_name_and_a_byte_order_mark_is_a_character(tmp_path):
    for name in ("PMID-10022882", "10022882"):
        brat(tmp_path, "T1\tGene 1 5\tTP53", "\ufeffTP53 binds.", name)
    reading = read_brat(tmp_path)
    assert [sentence.doc for sentence in reading.sentences] == ["10022882"]
    assert spans_of(reading) == [("TP53", "Gene")]
    assert reading.repairs["repeated document dropped"] == 1


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ("T1\tGene 0 99\tTP53", r"a\.ann:1: offsets 0 99 are empty or outside"),
        ("T1 Gene 0 4 TP53", r"a\.ann:1: 'T1 Gene 0 4 TP53'; an entity is"),
    ],
)
def test_wrong_lines_are_named(tmp_path, annotations, message):
    with pytest.raises(DataError, match=message):
        read_brat(brat(tmp_path, annotations))


def test_a_text_may_lack_annotations(tmp_path):
    folder = brat(tmp_path / "train", "T1\tGene 0 4\tTP53")
    write(folder, "b.txt", "No annotations.")
    write(folder, "README.txt", "This is no text of the corpus.")
    write(tmp_path, "annotation.conf", "[entities]\nGene\n")
    reading = read_brat(folder)
    assert reading.repairs["text without annotations"] == 1
    assert {sentence.doc for sentence in reading.sentences} == {"a", "b"}
    corpus = load_corpus(tmp_path)
    assert len(corpus.train) + len(corpus.dev) == 2


def test_annotations_need_their_text(tmp_path):
    folder = brat(tmp_path, "T1\tGene 0 4\tTP53")
    write(folder, "c.ann", "")
    with pytest.raises(DataError, match=r"c\.ann: no c\.txt beside it"):
        read_brat(folder)
