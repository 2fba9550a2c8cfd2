"""PubTator files, whose mentions are counted in characters."""

import pytest
from small_corpora import spans_of, write

from bioner_lib.corpora.inline_files import read_inline
from bioner_lib.corpora.pubtator_files import read_pubtator
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


def test_a_blank_at_the_end_of_a_mention_joins_no_sentences(tmp_path):
    text = "1|t|The drug kills.\n1|a|Cells died here.\n1\t15\t21\t Cells\tGene\n"
    reading = read_pubtator(write(tmp_path, "a.PubTator", text))
    assert [len(sentence.tokens) for sentence in reading.sentences] == [4, 4]
    assert spans_of(reading) == [("Cells", "Gene")]
    assert reading.repairs == {"blank at the end of a mention cut off": 1}


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
