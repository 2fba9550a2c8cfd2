"""What a run scores: its own test splits, other corpora, the types that it knows."""

import pytest
from small_corpora import own_corpus
from small_runs import quiet, small

from bioner_lib import WorkbookError, evaluate, load_corpus
from bioner_lib.board.tables import results
from bioner_lib.evaluation.scoring import score
from bioner_lib.models.heads import plan_heads
from bioner_lib.runs.scored import read_tagger
from bioner_lib.training.building import build


def test_a_finished_tagger_is_scored_elsewhere(tiny, outputs):
    config = small(tiny, "sample")
    row = quiet(config)
    again = evaluate(config.run_id, "sample", limit=40)
    assert again["types"] == row["scores"]["sample"]["test"]["types"]
    genes = evaluate(config.run_id, "sample-gene", "dev", limit=40)
    assert set(genes["types"]) == {"Gene", "micro", "macro"}


def test_an_unknown_run_is_named(outputs):
    with pytest.raises(WorkbookError, match=r"unknown run \(evaluate takes run ids\) 'nothing'"):
        evaluate("nothing", "sample")


def test_a_run_with_neighbouring_sentences(tiny, outputs):
    """Training, dev, test, scoring elsewhere and a second phase all show the neighbours."""
    config = small(tiny, "sample", context=24, epochs=30)
    row = quiet(config)
    scores = row["scores"]["sample"]["test"]["types"]
    assert scores["micro"]["tp"] > 0
    assert evaluate(config.run_id, "sample", limit=40)["types"] == scores
    tagger, split = read_tagger(config.run_id), load_corpus("sample").limit(40).test
    alone = tagger.predict([sentence.tokens for sentence in split])
    assert score([s.spans for s in split], alone, load_corpus("sample").types) != scores
    plans = plan_heads("per-type", [load_corpus("sample")])
    for context in (0, 12):
        second = build(small(tiny, "sample", context=context, start_from=config.run_id), plans)
        assert second.aligner.context == second.settings["context"] == context


def test_neighbouring_sentences_need_documents(tiny, outputs, tmp_path):
    (tmp_path / "train.tsv").write_text("Aspirin\tB-Chemical\nhelps\tO\n\nIt\tO\ndoes\tO\n")
    (tmp_path / "dev.tsv").write_text("Aspirin\tB-Chemical\n")
    with pytest.raises(WorkbookError, match=r"context=8 shows.*\['.*'\] don't say.*context=0"):
        quiet(small(tiny, str(tmp_path), context=8))


def test_types_that_no_head_knows_are_not_scored(tiny, outputs):
    """In training's own row, and when a finished tagger is scored elsewhere."""
    config = small(tiny, ["sample-gene", "sample-disease"], also_test=("sample",))
    row = quiet(config)
    whole = load_corpus("sample").limit(40)
    support = sum(whole.counts("test")[name] for name in ("Gene", "Disease"))
    for scored in (row["scores"]["sample"]["test"], evaluate(config.run_id, "sample", limit=40)):
        assert set(scored["types"]) == {"Gene", "Disease", "micro", "macro"}
        assert scored["types"]["micro"]["support"] == support
        assert scored["not_asked"] == ["Chemical", "Virus"]
    assert row["scores"]["sample"]["test"]["errors"].get("missed", 0) <= support
    assert row["scores"]["sample-gene"]["test"]["not_asked"] == []
    frame = results([row])
    types = set(frame[frame["corpus"] == "sample"]["type"])
    assert types == {"Gene", "Disease"}, "a micro figure over some types is no micro figure"


def test_a_corpus_of_which_nothing_would_be_scored_is_refused(tiny, outputs, tmp_path):
    mine = own_corpus(tmp_path / "mine", list(load_corpus("sample-gene").train[:20]), ["Gene"])
    with pytest.raises(WorkbookError, match=r"also_test: '.*mine' has no test split, only"):
        quiet(small(tiny, "sample-gene", also_test=[mine]))
    row = quiet(small(tiny, "sample-gene", also_test=[mine], chosen_on=[mine]))
    assert set(row["history"][0]["dev"]) == {"mine", "mean"}
