from dataclasses import replace

import pytest
from small_runs import small

from bioner_lib import WorkbookError, load_corpus, run
from bioner_lib.corpora.corpus import Corpus
from bioner_lib.corpora.splits import Split
from bioner_lib.corpora.text import Sentence
from bioner_lib.look import explore, explore_runs, runs_html, sentence_html, split_html
from bioner_lib.look.highlighting import highlighted, words_html
from bioner_lib.look.pages import KINDS, page_html
from bioner_lib.look.records import GOLD, Record, Records


def test_corpus_text_is_escaped():
    """Words, documents, types and the corpus's own name: none of them becomes markup."""
    evil = "<i onload=x>&"
    sentence = Sentence([evil, "&", evil], [f"B-{evil}", "O", "O"], evil)
    split = Split([sentence], "train", evil)
    for html in (
        sentence_html(sentence, {evil: "#fff"}),
        split_html(Corpus(evil, (evil,), {"train": split}), "train"),
    ):
        assert "<i" not in html
        assert "&lt;i onload=x&gt;&amp;" in html
    page = split_html(Corpus(evil, (evil,), {"train": split}), "train")
    assert page.count("&lt;i") == 6, "legend and name too"


def test_overlapping_mentions_are_cut_at_their_borders():
    html = highlighted("optic atrophy 1", [(0, 13, "Disease"), (6, 15, "Gene")], {"Gene": "#111"})
    first, both, last = html.split("</mark>")[:3]
    assert first.endswith(">optic ")
    assert "linear-gradient(#ddd 0% 50%, #111 50% 100%)" in both
    assert ">atrophy <small" in both and ">Disease</small>" in both
    assert "background:#111" in last and ">Gene</small>" in last


def test_words_become_characters():
    assert words_html(["a", "bc", "d"], [(1, 3, "X", 0.5)], {}).startswith("a <mark")
    assert words_html([], [], {}) == ""


def test_find_by_type_and_text():
    sample = load_corpus("sample")

    def found(role, type="", text=""):
        records = Records.of_split(sample.splits[role])
        return [list(records[i].tokens) for i in records.find(text, type)]

    viruses = [s for s in sample.train if any(span.type == "Virus" for span in s.spans)]
    assert found("train", "Virus") == [s.tokens for s in viruses]
    the = [s for s in sample.dev if "the " in " ".join(s.tokens).casefold()]
    assert found("dev", text="THE ") == [s.tokens for s in the]
    both = [
        s
        for s in sample.dev
        if "Gene" in {span.type for span in s.spans} and "in" in " ".join(s.tokens).casefold()
    ]
    assert found("dev", "Gene", "in") == [s.tokens for s in both]
    assert "0 sentences" in split_html(sample, "train", text="no such words")
    cut = [s.tokens for s in sample.train if "SARS - CoV - 2" in " ".join(s.tokens)]
    assert cut and found("train", text="SARS-CoV-2") == cut, "a name as people write it"
    with pytest.raises(WorkbookError, match="unknown split of 'sample': 'tst'"):
        split_html(sample, "tst")
    assert "page 1 of" in split_html(sample, "train", page=-1)


def test_a_split_is_read_once_for_all_searches(monkeypatch):
    """A page of a large silver corpus reads a page, and a search reads the split once."""
    read = []
    train, inner = load_corpus("sample").train, Split.__getitem__

    def watching(self, index):
        read.append(index)
        return inner(self, index)

    monkeypatch.setattr(Split, "__getitem__", watching)
    split_html(replace(load_corpus("sample"), splits={"train": train}), "train", page=3)
    assert len(read) <= 20
    read.clear()
    records = Records.of_split(train)
    for text in ("in", "the", "of"):
        records.find(text, "Gene")
    assert len(read) == len(train)


SENTENCES = [
    # tokens, gold, one run, another run
    (["BRCA1", "causes", "cancer"], [(0, 1, "Gene")], [(0, 1, "Gene", 0.9)], []),
    (["breast", "cancer"], [(0, 2, "Disease")], [(1, 2, "Disease", 0.8)], [(0, 2, "Gene", 0.7)]),
    (["nothing"], [], [(0, 1, "Gene", 0.5)], []),
]


@pytest.fixture
def records():
    def read(i):
        tokens, gold, one, other = SENTENCES[i]
        return Record("d", tokens, {GOLD: gold, "one": one, "other": other})

    return Records(len(SENTENCES), [GOLD, "one", "other"], read)


def test_errors_are_found_by_kind_and_type(records):
    assert list(records.find(kind="boundary")) == [1]
    assert list(records.find(kind="missed")) == [0]
    assert list(records.find(kind="missed", type="Disease")) == []
    assert list(records.find(kind="spurious", type="Gene")) == [2]
    assert list(records.find(text="CANCER", kind="type")) == [1]
    assert records.types == ["Disease", "Gene"]


def test_types_that_a_run_cant_know_are_no_errors(records):
    known = Records(3, records.sides, records.read, {"other": ["Gene"]})
    assert known.counts(range(3))["other"] == {"type": 1}, "not the missed Gene, as in its row"
    assert known.counts(range(3))["one"] == records.counts(range(3))["one"]
    assert list(known.find(kind="missed")) == []
    assert list(known.find(type="Gene")) == [0, 1, 2], "they are still shown"


def test_a_split_mention_is_found_by_its_kind():
    gold, pieces = [(0, 3, "Gene")], [(0, 1, "Gene", 0.9), (2, 3, "Gene", 0.9)]
    words = ["BRCA", "-", "1"]
    sides = [{GOLD: gold, "one": pieces}, {GOLD: pieces, "one": gold}, {GOLD: gold, "one": gold}]
    records = Records(3, [GOLD, "one"], lambda i: Record("d", words, sides[i]))
    assert list(records.find(kind="split")) == [0]
    assert list(records.find(kind="merged")) == [1]
    assert list(records.find(kind="boundary")) == []
    assert "split 2 · merged 1" in page_html(records, range(3), {}, "title")
    assert {"split", "merged"} <= set(KINDS)


def test_errors_are_counted_for_what_was_found(records):
    counts = records.counts(range(3))
    assert counts["one"] == {"correct": 1, "boundary": 1, "spurious": 1}
    assert counts["other"] == {"missed": 1, "type": 1}
    assert records.counts([0, 1], "Disease")["one"] == {"boundary": 1}


def test_widget_follows_its_controls():
    widget = explore([load_corpus("sample"), load_corpus("sample-gene")])
    (corpus, split, kind) = widget.children[0].children
    (text, page) = widget.children[1].children
    view = widget.children[2]
    assert "336 sentences" in view.value
    kind.value = "Virus"
    assert "Virus" in view.value
    assert "336 sentences" not in view.value
    text.value = "no such words"
    assert "0 sentences" in view.value
    text.value = ""
    kind.value = ""
    split.value = "dev"
    assert "108 sentences" in view.value
    page.value = 99
    assert page.value == 11
    assert "page 11 of 11" in view.value
    corpus.value = "sample-gene"
    assert kind.options == (("any", ""), ("Gene", "Gene"))
    assert "sample-gene" in view.value


def test_runs_are_shown_beside_gold(tiny, outputs):
    one, other = small(tiny, seed=13), small(tiny, seed=42)
    rows = [run(config, progress=False) for config in (one, other)]
    widget = explore_runs(one.run_id, other.run_id)
    (_, split, kind) = widget.children[0].children
    (error, text, _) = widget.children[1].children
    view = widget.children[2]
    assert split.options == ("dev", "test")
    split.value = "test"
    for row in rows:
        counts = row["scores"]["sample"]["test"]["errors"]
        assert f"missed {counts['missed']:,}" in view.value
        assert row["run_id"] in view.value
    ids = [one.run_id, other.run_id]
    assert "<b>sample test, missed</b>" in runs_html(ids, "sample", "test", kind="missed")
    error.value = "missed"
    kind.value = "Gene"
    assert "sentences, page 1" in view.value
    text.value = "no such words"
    assert "0 sentences" in view.value and "missed 0" in view.value


def test_errors_of_a_run_are_those_of_its_row(tiny, outputs):
    """Types that it can't know are no errors."""
    row = run(small(tiny, "sample-gene", also_test=["sample"]), progress=False)
    scores = row["scores"]["sample"]["test"]
    assert scores["not_asked"] == ["Disease", "Chemical", "Virus"]
    records = Records.of_runs([row["run_id"]], "sample", "test")
    assert records.counts(range(len(records)))[row["run_id"]] == {
        kind: count for kind, count in scores["errors"].items() if count
    }


def test_runs_that_share_nothing_are_refused(tiny, outputs):
    one, other = small(tiny), small(tiny, corpora="sample-gene")
    for config in (one, other):
        run(config, progress=False)
    with pytest.raises(WorkbookError, match="no predictions for the same split"):
        explore_runs(one.run_id, other.run_id)
    with pytest.raises(WorkbookError, match="unknown run 'x'"):
        explore_runs("x")


def test_runs_that_saw_other_sentences_are_refused(tiny, outputs):
    one, other = small(tiny), small(tiny, limit=30)
    for config in (one, other):
        run(config, progress=False)
    with pytest.raises(WorkbookError, match=r"saw different sentences .* same limit"):
        runs_html([one.run_id, other.run_id], "sample", "test")
