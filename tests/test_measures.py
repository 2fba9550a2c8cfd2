"""Measures of runs, committed or not: recall of known and new names, scores, leaked sentences."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from made_rows import execute_job
from made_rows import row as made_row
from small_corpora import own_corpus
from small_runs import run_in

from bioner_lib import RunConfig, WorkbookError, forget, load_corpus
from bioner_lib.board import plots
from bioner_lib.board.measures import (
    FOLDER,
    Measured,
    leak_free_f1,
    measured,
    measures_of,
    recall_of_groups,
    score_bins,
)
from bioner_lib.board.published_files import published_rows, published_tables, table_folder
from bioner_lib.board.publishing import jobs_of, publish
from bioner_lib.board.table_pages import _computed, _second_phases, page
from bioner_lib.evaluation.generalization import gold_mentions
from bioner_lib.runs.rows import read_predictions

GROUPS = {"familiarity": {"seen": [3, 4], "unseen": [1, 2]}}
BIN = {"low": 0.9, "high": 1.0}


def one(name="an arm", corpus="sample", f1=0.5, **measures):
    usual = {"recall": {"Gene": GROUPS}, "reliability": {}, "leak_free": 0.25, "leaked": 2}
    return Measured(name, corpus, f1, usual | measures)


def test_recall_by_hand():
    other = {"familiarity": {"seen": [1, 4], "unseen": [2, 2]}}
    table = recall_of_groups([one(), one(recall={"Gene": other}), one("other", "sample-gene")])
    found = table.set_index(["name", "corpus", "group"])[["seeds", "mentions", "recall"]]
    assert found.loc["an arm", "sample", "seen"].tolist() == [2, 4, 0.5]
    assert found.loc["an arm", "sample", "unseen"].tolist() == [2, 2, 0.75]
    assert found.loc["other", "sample-gene", "seen"].tolist() == [1, 4, 0.75]
    assert table["sd"][0] == pytest.approx(0.5 / 2**0.5), "3/4 and 1/4"
    with pytest.raises(WorkbookError, match="unknown grouping 'familarity'; did you mean"):
        recall_of_groups([one()], "familarity")


def test_bins_of_seeds_and_types_are_joined():
    first = BIN | {"spans": 3, "score": 0.9, "precision": 1.0}
    second = BIN | {"spans": 1, "score": 1.0, "precision": 0.0}
    low = {"low": 0.1, "high": 0.2, "spans": 1, "score": 0.1, "precision": 0.0}
    seeds = [
        one(reliability={"Gene": [first], "Disease": [low]}),
        one(reliability={"Gene": [second]}),
    ]
    (joined,) = score_bins(seeds).values()
    assert joined == [low, BIN | {"spans": 4, "score": pytest.approx(0.925), "precision": 0.75}]


def test_f1_without_leaks_stands_beside_the_official_one():
    (line,) = leak_free_f1([one(f1=0.5), one(f1=0.7)]).itertuples(index=False)
    assert line[:3] == ("an arm", "sample", 2)
    assert line[3:] == (2, pytest.approx(0.6), 0.25)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The outputs and the row of a dictionary on the sample."""
    folder = tmp_path_factory.mktemp("measured")
    return folder, run_in(folder, RunConfig(corpora="sample", system="dictionary"))


def test_a_run_is_measured_from_its_predictions(made, monkeypatch):
    folder, row = made
    monkeypatch.setenv("BIONER_OUTPUTS", str(folder))
    corpus = load_corpus("sample")
    mentions = gold_mentions(corpus, read_predictions(row["run_id"], "sample", "test"))
    table = recall_of_groups(measured([row]))
    for type in corpus.types:
        own = [m for m in mentions if m.type == type and m.familiarity == "seen"]
        line = table[(table["type"] == type) & (table["group"] == "seen")].iloc[0]
        assert line["mentions"] == len(own)
        assert line["recall"] == sum(m.found for m in own) / len(own) > 0
    unseen = table[table["group"] == "unseen"]
    assert unseen["recall"].max() == 0, "a dictionary knows what train told"
    spans = sum(bin["spans"] for bin in score_bins(measured([row]))["dictionary", "sample"])
    scores = row["scores"]["sample"]["test"]["types"]["micro"]
    assert spans == scores["tp"] + scores["fp"]


@pytest.mark.parametrize("field", ["start_from", "teacher"])
def test_what_taught_earlier_runs_is_known(made, monkeypatch, field):
    folder, row = made
    monkeypatch.setenv("BIONER_OUTPUTS", str(folder))
    first = row["config"] | {"corpora": ["sample"]}
    data = row["data"]["sample"] | {"fingerprint": load_corpus("sample@1/4").fingerprint}
    half = row | {"config": row["config"] | {"corpora": ["sample@1/4"]}, "data": {"sample": data}}
    limited = first | {"limit": 40}
    phased = half | {"parents": {field: {"phases": [limited, first]}}}
    mentions = []
    for one_row in (half, phased, row):
        recall = measures_of(one_row, "sample")["recall"]
        mentions.append(sum(own["familiarity"]["seen"][1] for own in recall.values()))
    assert mentions[0] < mentions[1] == mentions[2]


def test_a_corpus_that_has_changed_is_refused(tiny, tmp_path, outputs):
    """Its test words are those of the run, but its train text isn't."""
    corpus = load_corpus("sample")
    mine = own_corpus(tmp_path / "mine", corpus.train[:20])
    text = (tmp_path / "mine" / "dev.jsonl").read_text()
    (tmp_path / "mine" / "test.jsonl").write_text(text)
    row = run_in(outputs, RunConfig(corpora=mine, system="dictionary"))
    assert len(measured([row])) == 1
    path = tmp_path / "mine" / "train.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))
    with pytest.raises(WorkbookError, match=r"has changed since .* was made; .*forget\("):
        measured([row])


def test_two_rows_of_one_run_are_refused(made, monkeypatch):
    folder, row = made
    monkeypatch.setenv("BIONER_OUTPUTS", str(folder))
    with pytest.raises(WorkbookError, match="two rows of run"):
        measured([row, row])


def test_a_table_that_cannot_be_shown_leaves_the_old_one(published, outputs, monkeypatch):
    (published.parents[1] / "data").symlink_to(Path(__file__).parents[1] / "data")
    row = run_in(outputs, RunConfig(corpora="sample", system="dictionary", seed=1))
    for job in jobs_of("tiny").values():
        execute_job(job, row)
    publish("tiny")
    before = {path: path.read_text() for path in published.rglob("*") if path.is_file()}

    def broken(*_):
        raise WorkbookError("no page")

    monkeypatch.setattr("bioner_lib.board.publishing.page", broken)
    with pytest.raises(WorkbookError, match="no page"):
        publish("tiny")
    assert {path: path.read_text() for path in published.rglob("*") if path.is_file()} == before
    assert published_tables() == ["tiny"]


def test_committed_rows_need_neither_predictions_nor_corpora(published, outputs, monkeypatch):
    (published.parents[1] / "data").symlink_to(Path(__file__).parents[1] / "data")
    config = RunConfig(corpora="sample", system="dictionary", seed=1)
    row = run_in(outputs, config)
    for job in jobs_of("tiny").values():
        execute_job(job, row)
    publish("tiny")
    at_home = measured([row])
    forget(row["run_id"])
    monkeypatch.setattr("bioner_lib.board.measures.load_corpus", None)
    assert measured(published_rows("tiny")) == at_home
    text = (published / "tiny" / "README.md").read_text(encoding="utf-8")
    assert text == page("tiny"), "from committed files"
    sweep = published.parents[1] / "notebooks" / "sweeps" / "published" / "tiny.yaml"
    sweep.write_text(f"{sweep.read_text()}\nx-base: nobody")
    with pytest.raises(WorkbookError, match="unknown arm 'nobody'"):
        page("tiny")
    sweep.write_text(sweep.read_text().replace("[1, 2]", "[1, 2, 3]"))
    assert "**Not whole yet**, 1 of 3 jobs" in page("tiny"), "the base may still be to be made"
    sweep.write_text(
        sweep.read_text().replace("[1, 2, 3]", "[1, 2]").replace("nobody", "dictionary")
    )
    assert page("tiny") == text, "no other arm stands against it"
    sweep.write_text(sweep.read_text().replace("x-base: dictionary", "x-base: [dictionary, other]"))
    with pytest.raises(WorkbookError, match="unknown arm 'other'"):
        page("tiny")
    f1 = f"{100 * row['scores']['sample']['test']['types']['Gene']['f1']:.1f}"
    assert re.search(rf"\| sample \| Gene \| dictionary \| 1 \| [\d.]+ \| [\d.]+ \| {f1} \|", text)
    assert re.search(r"\| sample \| Gene \| dictionary \| [\d.]+ \(\d+\) \| 0\.0 \(\d+\) \|", text)
    (path,) = (published / "tiny" / FOLDER).glob("*.json")
    assert path.stat().st_size < 8_000
    for content in ("{", "{}", "[]", '{"sample": {}}', '{"sample": null}'):
        path.write_text(content)
        with pytest.raises(WorkbookError, match=r"measures.*json holds no measures of 'sample'"):
            measured(published_rows("tiny"))
    path.unlink()
    with pytest.raises(WorkbookError, match="publish its table again"):
        measured(published_rows("tiny"))


def test_a_page_says_what_computed_the_rows():
    device = {"name": "A Chip, AVX512", "threads": 1, "precision": "fp32"}
    rows = [
        made_row(seed, 0.5) | {"device": device, "cost": {"total_seconds": 1800}} for seed in (1, 2)
    ]
    rows.append(made_row(1, 0.4, system="dictionary") | {"device": device | {"precision": "none"}})
    rows[-1]["cost"] = {"total_seconds": 360}
    said = "Computed on A Chip, AVX512 in fp32, threads per run: 1. Hours of all runs: 1.1."
    assert _computed(rows).strip() == said
    assert _computed(rows[2:]) == "", "a dictionary needs no machine to speak of"


def test_the_page_shows_what_second_phases_forget():
    lost = {"before": 0.8, "after": 0.1, "forgotten": 0.7}
    second = [
        made_row(s, 0.5) | {"name": "in turn", "forgotten": {"sample": {"Gene": lost}}}
        for s in (1, 2)
    ]
    assert "| sample | Gene | in turn | 2 | 80.0 | 10.0 | +70.0 |" in _second_phases(second)
    assert _second_phases([made_row(1, 0.5)]) == ""


def test_the_page_of_all_tables_quotes_the_committed_measures():
    """What scores above 0.9 and from 0.7 to 0.8 are worth, and the recall of new names."""
    found = [one for one in measured(published_rows("single_task")) if one.name != "dictionary"]
    quoted = []
    for low in (0.9, 0.7):
        bins = [own for by_corpus in score_bins(found).values() for own in by_corpus]
        right = [100 * own["precision"] for own in bins if own["low"] == pytest.approx(low)]
        quoted.append((f"{min(right):.0f}", f"{max(right):.0f}"))
    recall = recall_of_groups(found)
    general = recall["corpus"].isin(["conll2003", "wnut17"])
    new = 100 * recall[(recall["group"] == "unseen") & ~general].set_index("corpus")["recall"]
    others = new.drop("linnaeus")
    text = " ".join((table_folder("") / "README.md").read_text(encoding="utf-8").split())
    assert f"above 0.9, between {quoted[0][0]} and {quoted[0][1]} % are right" in text
    assert f"between 0.7 and 0.8 {quoted[1][0]} to {quoted[1][1]} %" in text
    assert f"{min(others):.1f} to {max(others):.1f} % on the other biomedical corpora" in text
    assert f"{new['linnaeus']:.1f} % on LINNAEUS" in text


def test_the_figure_has_a_panel_per_arm_and_leaves_out_small_groups():
    groups = {"familiarity": {"seen": [15, 20], "unseen": [5, 10]}}
    few = {"familiarity": {"seen": [9, 30], "unseen": [4, 9]}}
    arms = [one(recall={"Gene": groups, "Virus": few}), one("other", recall={"Virus": groups})]
    axes = plots.recall_by_corpus(recall_of_groups(arms), plt.subplots(1, 2)[1])
    dots = [[dot.get_offsets().tolist() for dot in ax.collections] for ax in axes]
    assert dots[0] == [[[75.0, 0.0], [50.0, 0.0]], [[30.0, 1.0]]]
    assert dots[1] == [[[75.0, 1.0], [50.0, 1.0]]]
    assert [ax.get_title() for ax in axes] == ["an arm", "other"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == [
        "sample Gene",
        "sample Virus",
    ]


def test_memorized_names_are_drawn_as_seen_ones():
    with_ids = one("with identifiers", recall={"Gene": {"familiarity": {"memorized": [15, 20]}}})
    without = one("without", recall={"Gene": {"familiarity": {"seen": [5, 20]}}})
    axes = plots.recall_by_corpus(recall_of_groups([with_ids, without]), plt.subplots(1, 2)[1])
    assert [entry.get_text() for entry in axes[0].figure.legends[0].texts] == ["seen"]
    first, second = (ax.collections[0].get_facecolor().tolist() for ax in axes)
    assert first == second
