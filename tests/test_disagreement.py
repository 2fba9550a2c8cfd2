"""Names of one corpus in another one's text, and in a lexicon."""

import time

import numpy as np
import pandas as pd
import pytest
from hand_corpora import corpus, sentences

from bioner_lib import Lexicon, load_corpus
from bioner_lib.corpora.conclusion import in_words
from bioner_lib.corpora.glance import MEASURES
from bioner_lib.corpora.text import tokenize
from bioner_lib.errors import DataError, SelectionError, WorkbookError
from bioner_lib.home import outputs as outputs_folder
from bioner_lib.look.disagreeing import disagreements_html
from bioner_lib.silver.coverage import lexicon_coverage, named_lexicon
from bioner_lib.silver.disagreement import (
    READINGS,
    cross_matches,
    cut_like_running_text,
    differing_share,
    disagreeing_names,
    disagreements,
)
from bioner_lib.silver.lexicons import Entry, save_entries

FIRST = corpus(
    "first",
    ("Gene",),
    train=sentences("interleukin-2/Gene and insulin/Gene", "insulin/Gene", "plasma or insulin"),
)
SECOND = corpus(
    "second",
    train=sentences(
        "interleukin - 2 now",  # nothing
        "insulin/Chemical",  # other type
        "insulin/Gene receptor/Gene",  # other boundaries
        "human/Chemical insulin/Chemical",  # overlaps another type
        "Insulin/Gene",  # same
    ),
)
THIRD = corpus("third", ("Disease",), train=sentences("insulin", "insulin/Disease shock/Disease"))
ALL = [FIRST, SECOND, THIRD]


def test_readings_by_hand():
    matches = cross_matches([FIRST, SECOND])
    abroad = matches[(matches["names of"] == "first") & (matches["text of"] == "second")]
    assert abroad["reading"].tolist() == [
        "nothing",
        "other type",
        "other boundaries",
        "overlaps another type",
        "same",
    ]
    assert abroad["name"].tolist()[0] == "interleukin - 2"
    table = disagreements(matches, [FIRST, SECOND]).set_index(["names of", "text of"])
    line = table.loc[("first", "second")]
    assert line["matches"].item() == 5
    assert line["differ (%)"].item() == 60
    assert table.loc[("first", "first"), "nothing"].item() == 1  # plasma or insulin
    assert (table[list(READINGS)].sum(axis=1) == table["matches"]).all()


def test_what_nobody_annotated_is_silence():
    matches = cross_matches(ALL)
    abroad = matches[matches["text of"] == "third"]
    assert set(abroad["names of"]) == {"third"}, "third annotates no gene and no chemical"
    shares = differing_share(matches, ALL)
    assert shares.loc["first", "second"] == 60
    assert shares.loc["first", "third"] != shares.loc["first", "third"], "NaN"
    conflict = corpus("conflict", ("Disease",), train=sentences("insulin/Disease"))
    table = disagreements(cross_matches([FIRST, conflict]), [FIRST, conflict])
    [line] = (
        table[table["text of"] != table["names of"]]
        .query("`names of` == 'first'")
        .to_dict("records")
    )
    assert line["other type"] == line["matches"] == 1
    assert line["differ (%)"] != line["differ (%)"], "no share: the text annotates no gene"


def test_names_are_those_that_differ_most():
    names = disagreeing_names(cross_matches([FIRST, SECOND]), most=1)
    line = names[names["names of"] == "first"].iloc[0]
    assert (line["name"], line["matches"], line["differ"]) == ("insulin", 4, 2)
    assert line["own mentions (%)"] == pytest.approx(200 / 3)
    assert line["own matches"] == 3
    rare = disagreeing_names(cross_matches([FIRST, SECOND]), at_least=1)
    assert "interleukin - 2" in set(rare["name"]) - set(names["name"])
    alone = disagreeing_names(cross_matches([FIRST]))
    assert alone.empty and "own matches" in alone


def test_a_corpus_agrees_with_itself_under_another_name():
    sample = load_corpus("sample")
    again = corpus("again", sample.types, train=sample.train)
    matches = cross_matches([sample, again])
    table = disagreements(matches, [sample, again]).drop(columns=["names of", "text of"])
    parts = [part.reset_index(drop=True) for _, part in table.groupby(table.index // 4)]
    assert len(parts) == 4
    assert all(part.equals(parts[0]) for part in parts)


def test_cutting_keeps_the_mentions():
    [sentence] = cut_like_running_text(
        corpus(train=sentences("a interleukin-2/Gene receptor/Gene x/y")).train
    )
    assert sentence.tokens == ["a", "interleukin", "-", "2", "receptor", "x"]
    assert [tuple(span) for span in sentence.spans] == [(1, 5, "Gene"), (5, 6, "y")]
    for cut in cut_like_running_text(load_corpus("sample").train):
        assert cut.tokens == tokenize(" ".join(cut.tokens))


def test_corpora_that_cannot_be_compared():
    with pytest.raises(SelectionError):
        cross_matches([load_corpus("sample")], "test")
    with pytest.raises(DataError, match="may be named once"):
        cross_matches([FIRST, FIRST])
    only_dev = corpus("only", train=sentences("a/Gene")).splits
    nothing = corpus("dev-only", dev=only_dev["train"])
    matches = cross_matches([nothing])
    assert matches.empty
    assert disagreements(matches, [nothing]).empty
    assert disagreeing_names(matches).empty
    assert differing_share(matches, [nothing]).isna().all(axis=None)
    assert disagreements_html([nothing], matches, disagreeing_names(matches)) == ""


def test_markup_in_a_corpus_is_shown_and_not_run():
    evil = "<script>alert(1)</script>"
    first = corpus("<b>first", ("Gene",), train=sentences(f"see {evil}|/Gene".replace("</", "<")))
    second = corpus("second", ("Gene",), train=sentences("see <script>alert(1)<script>|", "x/Gene"))
    matches = cross_matches([first, second])
    names = disagreeing_names(matches, at_least=1)
    assert len(names) == 1
    page = disagreements_html([first, second], matches, names)
    assert "script" in page and "<script" not in page and "<b>first" not in page
    assert ">?</small>" in page and ">Gene</small>" in page
    assert "<script" not in names._repr_html_()


def test_coverage_by_hand():
    entries = [Entry(["interleukin", "-", "2"], "Gene"), Entry(["insulin"], "Chemical")]
    lexicon = Lexicon(entries)
    table = lexicon_coverage({"mine": lexicon}, [FIRST, corpus(test=FIRST.train)])
    assert table.to_dict("records") == [
        {
            "lexicon": "mine",
            "corpus": "first",
            "type": "Gene",
            "mentions": 3,
            "held (%)": pytest.approx(100 / 3),
            "as another type (%)": pytest.approx(200 / 3),
        }
    ]
    other = Lexicon([Entry(["insulin"], "Gene")])
    table = lexicon_coverage({"mine": lexicon, "other": other}, [FIRST]).set_index("lexicon")
    assert table["held (%)"].to_dict() == {
        "mine": pytest.approx(100 / 3),
        "other": pytest.approx(200 / 3),
    }
    assert lexicon_coverage({}, [FIRST]).empty


def test_a_lexicon_is_found_by_its_name(outputs):
    entries = [Entry(["insulin"], "Gene")]
    save_entries(entries, outputs_folder(write=True) / "lexicons" / "mine.gz", [])
    assert lexicon_coverage({"mine": named_lexicon("mine")}, [FIRST])["held (%)"].tolist() == [
        pytest.approx(200 / 3)
    ]
    with pytest.raises(WorkbookError, match="did you mean 'mine'"):
        named_lexicon("mien")


def test_the_conclusion_names_extremes_and_what_is_unknown():
    measures = [[2.0, 1.0, 50, 5, 60, 0], [4.0, 1.0, 50, 5, 70, 1.5]]
    glance = pd.DataFrame(measures, ["a", "<b>"], MEASURES)
    shared = pd.DataFrame([[0, 3], [0, 0]], glance.index, glance.index, dtype=float)
    differing = pd.DataFrame([[1, 30], [2, 4]], glance.index, glance.index, dtype=float)
    lines = in_words(glance, shared, differing).splitlines()
    a, b = "<code>a</code>", "<code>&lt;b&gt;</code>"
    assert lines == [
        f"- Mentions per 100 words: from **2.0** in {a} to **4.0** in {b}.",
        f"- Test mentions whose name train has shown: from **60 %** in {a} to **70 %** in {b}.",
        f"- Test sentences of eight or more words that stand in train: **1.5 %** in {b}.",
        f"- Shared documents: train of {a} holds **3** documents of the test split of {b}. "
        "Don't train on the one and test on the other.",
        f"- Unmarked or of another type: **30 %** of the places with names of {a} in the text "
        f"of {b} (in its own text 1 %).",
    ]
    nothing = in_words(glance * np.nan, shared * np.nan, differing * np.nan)
    assert nothing.count("unknown") == 4 and "annotate a common type" in nothing
    assert "No two corpora" in in_words(glance, shared, differing * 0)
    assert "share no document" in in_words(glance, shared * 0, differing)


@pytest.mark.real
def test_real_corpora_disagree_where_it_is_known(mirror):
    names = ["ncbi-disease", "bc5cdr", "bc2gm", "jnlpba", "linnaeus", "s800"]
    corpora = [load_corpus(name) for name in names]
    started = time.process_time()
    matches = cross_matches(corpora)
    assert time.process_time() - started < 60
    table = disagreements(matches, corpora).set_index(["names of", "text of", "type"])
    shares = differing_share(matches, corpora).round()
    # what 10_explore_corpora quotes
    assert shares.loc["linnaeus", "s800"] == 33
    assert shares.loc["bc2gm", "jnlpba"] == 27
    assert shares.loc["jnlpba", "bc2gm"] == 21
    assert shares.loc["linnaeus", "linnaeus"] == shares.loc["bc2gm", "bc2gm"] == 1
    assert table.loc[("bc2gm", "jnlpba", "Gene"), "overlaps another type"] == 4_210
    found = disagreeing_names(matches, most=1).set_index(["names of", "text of"])["name"]
    assert found["linnaeus", "s800"] == "patients"  # one species for LINNAEUS, none for S800
