"""Runs tested on other corpora, strict and relaxed, and the figures of what generalizes."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from small_runs import run_in, small

from bioner_lib import RunConfig, WorkbookError, cross_corpus, load_corpus, read_predictions
from bioner_lib.board import plots
from bioner_lib.evaluation.calibration import SpanScores, reliability
from bioner_lib.evaluation.generalization import GoldMention
from bioner_lib.evaluation.scoring import relaxed_score, score
from bioner_lib.runs import evaluations
from bioner_lib.runs.scored import evaluation_file


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """Two finished runs: all types, and diseases only."""
    folder = tmp_path_factory.mktemp("outputs")
    configs = [small(tiny, heads="joint"), small(tiny, corpora="sample-disease")]
    return folder, [run_in(folder, config)["run_id"] for config in configs]


@pytest.fixture
def run_ids(made, monkeypatch):
    monkeypatch.setenv("BIONER_OUTPUTS", str(made[0]))
    return made[1]


def test_f1_of_each_run_on_each_corpus(run_ids):
    lines = cross_corpus(run_ids, ["sample", "sample-gene"], limit=40)
    assert [(line["trained_on"], line["tested_on"]) for line in lines] == [
        ("sample", "sample"),
        ("sample", "sample-gene"),
        ("sample-disease", "sample"),
    ], "the disease tagger knows no type of sample-gene"
    assert lines[2]["types"] == ["Disease"]
    stored = read_predictions(run_ids[0], "sample", "test")
    gold, found = ([one[side] for one in stored] for side in ("gold", "predicted"))
    types = load_corpus("sample").types
    assert lines[0]["f1"] == score(gold, found, types)["micro"]["f1"]
    assert lines[0]["relaxed_f1"] == relaxed_score(gold, found, types)["micro"]["relaxed_f1"]
    assert lines[0]["support"] == sum(map(len, gold))


def test_stored_predictions_are_read_and_only_missing_ones_made(made, run_ids, monkeypatch):
    asked = []
    inner = evaluations.evaluate

    def watched(run_id, corpus, *options, **more):
        asked.append(corpus)
        return inner(run_id, corpus, *options, **more)

    monkeypatch.setattr(evaluations, "evaluate", watched)
    run_id = run_ids[0]
    cross_corpus([run_id], ["sample"], limit=40)
    assert asked == [], "its own test split, as the run scored it"
    first = cross_corpus([run_id], ["sample-virus"], limit=8)
    assert cross_corpus([run_id], ["sample-virus"], limit=8) == first
    assert asked == ["sample-virus"], "the second time its predictions are read"
    path = made[0] / "runs" / run_id / "evaluations" / "sample-virus.test.limit-8.jsonl"
    whole = path.read_text()
    path.write_text("\n".join(whole.splitlines()[:-1]))
    assert cross_corpus([run_id], ["sample-virus"], limit=8) == first
    assert asked == ["sample-virus"] * 2, "predictions of other sentences aren't used"
    records = [json.loads(line) for line in whole.splitlines()]
    records[0]["gold"] = [[0, 1, "Virus"]]
    path.write_text("\n".join(map(json.dumps, records)))
    assert cross_corpus([run_id], ["sample-virus"], limit=8) == first, "nor of other mentions"
    path.write_text(whole[:-20])
    assert cross_corpus([run_id], ["sample-virus"], limit=8) == first, (
        "one that was cut is made anew"
    )
    assert path.read_text() == whole
    path.unlink()


def test_results_of_two_corpora_and_of_two_parts_never_share_a_file(outputs, tmp_path):
    names = ["sample-gene", "sample-gene@50", "sample-gene@25%"]
    for folder in ("x1/own", "x2/own"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "train.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
        names.append(str(tmp_path / folder))
    paths = [evaluation_file("run", load_corpus(name), "train") for name in names]
    assert len(set(paths)) == len(names)
    assert [path.name for path in paths[:2]] == [
        "sample-gene.train.jsonl",
        "sample-gene@50.train.jsonl",
    ]
    again = load_corpus(tmp_path / "x1" / ".." / "x1" / "own")
    assert evaluation_file("run", again, "train") == paths[3]


def test_unknown_runs_and_corpora_are_named(made, run_ids):
    with pytest.raises(WorkbookError, match="unknown run 'x'"):
        cross_corpus(["x"], ["sample"])
    with pytest.raises(WorkbookError, match="unknown corpus 'sampel'"):
        cross_corpus(run_ids, ["sampel"])
    model = made[0] / "runs" / run_ids[0] / "model"
    with pytest.raises(WorkbookError, match=r"unknown run \(evaluate takes run ids\) .*model"):
        evaluations.evaluate(str(model), "sample")
    dictionary = run_in(made[0], RunConfig(corpora="sample", system="dictionary"))
    with pytest.raises(WorkbookError, match=r"holds no tagger\.json"):
        cross_corpus([dictionary["run_id"]], ["sample"])


def mention(found, familiarity, count=0, text="TP53"):
    return GoldMention(0, text, "Gene", found, familiarity, count)


MENTIONS = {
    "one": [
        mention(True, "seen", 3),
        mention(False, "seen", 3),
        mention(True, "unseen", 0, "ab c"),
    ],
    "other": [mention(True, "seen", 3)],
}


def dots(ax):
    """(recall in %, label of the group) of each dot."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    found = []
    for container in ax.containers:
        (x,), (y,) = container.lines[0].get_data()
        found.append((float(x), names[round(float(y))]))
    return found


def test_recall_dots_by_hand():
    ax = plots.recall_dots(MENTIONS, "familiarity", plt.subplots()[1])
    assert dots(ax) == [(50.0, "seen"), (100.0, "unseen"), (100.0, "seen")]
    assert [text.get_text() for text in ax.texts] == ["2", "1", "1"]
    assert [text.get_text() for text in ax.get_legend().texts] == ["one", "other"]
    low, high = ax.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert (low, high) == pytest.approx((9.45, 90.55), abs=0.01), "Wilson's interval of 1 of 2"
    axes = plots.recall_panels(MENTIONS, ["frequency", "case"], plt.subplots(1, 2)[1])
    assert dots(axes[0]) == [(100.0, "0"), (50.0, "2-5"), (100.0, "2-5")]
    assert [text.get_text() for text in axes[0].figure.legends[0].texts] == ["one", "other"]
    assert not axes[0].get_legend()
    swapped = dict(reversed(MENTIONS.items()))
    ax = plots.recall_dots(swapped, "frequency", plt.subplots()[1])
    assert dots(ax) == [(100.0, "2-5"), (100.0, "0"), (50.0, "2-5")]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "2-5"], "in their order"


def test_the_matrix_shows_strict_beside_relaxed_and_blanks():
    lines = [
        {"trained_on": "a", "tested_on": "a", "f1": 0.5, "relaxed_f1": 0.75},
        {"trained_on": "b", "tested_on": "b", "f1": 0.25, "relaxed_f1": 0.25},
        {"trained_on": "b", "tested_on": "a", "f1": 0.1, "relaxed_f1": 0.2},
    ]
    strict, relaxed = plots.cross_matrix(lines, plt.subplots(1, 2)[1])
    assert [text.get_text() for text in strict.texts] == ["50.0", "10.0", "25.0"]
    assert [text.get_text() for text in relaxed.texts] == ["75.0", "20.0", "25.0"]
    assert "strict" in strict.get_title() and "relaxed" in relaxed.get_title()
    assert [label.get_text() for label in strict.get_yticklabels()] == ["a", "b"]


def test_the_reliability_diagram_shows_precision_by_score():
    sure = SpanScores(np.full(12, 0.95), np.arange(12) < 9, 9)
    few = SpanScores(np.full(9, 0.55), np.arange(9) < 3, 9)
    bins = {"raw": reliability(sure), "few": [*reliability(few), *reliability(sure)]}
    ax = plots.reliability_diagram(bins, plt.subplots()[1])
    assert ax.collections[0].get_offsets().tolist() == [[pytest.approx(0.95), 0.75]]
    assert ax.get_legend().texts[1].get_text() == "raw, ECE 0.20"
    assert len(ax.collections[1].get_offsets()) == 1, "nine spans are too few to be drawn"
    error = (12 * 0.20 + 9 * (0.55 - 3 / 9)) / 21
    assert ax.get_legend().texts[2].get_text() == f"few, ECE {error:.2f}", "but they count"
    ax = plots.reliability_diagram({"raw": []}, plt.subplots()[1])
    assert len(ax.get_legend().texts) == 1, "without predictions there is no line"
