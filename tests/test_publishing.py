"""Publishing a table: rows and counts of a finished sweep, and what can be computed from them."""

import json

import numpy as np
import pytest
from conftest import answers, execute_job, predicted, row

from bioner_lib import RunConfig, WorkbookError, forget
from bioner_lib.__main__ import MISTAKE, main
from bioner_lib.board import publishing
from bioner_lib.board.comparison import compare
from bioner_lib.board.published_files import (
    Counts,
    counts_of,
    counts_text,
    jobs_of,
    published_counts,
    published_rows,
    published_tables,
    table_folder,
)
from bioner_lib.board.publishing import _fits, named_by_sweep, publish
from bioner_lib.board.table_pages import page
from bioner_lib.config import FIELDS
from bioner_lib.home import home
from bioner_lib.sweeps.execution import executed, failure, record_failure

DEVICE = {"name": "a CPU", "precision": "fp32"}


def finished(outputs, right, **config):
    """A finished run that found the first `right` of 40 genes."""
    made = row(config.pop("seed"), 2 * right / (40 + right), **config) | {"device": DEVICE}
    made["scores"]["sample"]["test"]["types"]["Gene"] |= {"tp": right, "fp": 0, "fn": 40 - right}
    return predicted(outputs, made, answers(right))


@pytest.fixture
def sweep(outputs, published, monkeypatch):
    """The finished sweep published/tiny: a run per seed, and one that both jobs read.

    Its predictions are of no corpus; `tests/test_measures.py` measures real ones.
    """
    monkeypatch.setattr(publishing, "measures_text", lambda row: "{}")
    monkeypatch.setattr(publishing, "page", lambda table, folder: "")
    shared = finished(outputs, 20, seed=13, scheme="IOB2")
    rows = [finished(outputs, right, seed=seed) for seed, right in ((1, 36), (2, 38))]
    for job, made in zip(jobs_of("tiny").values(), rows, strict=True):
        execute_job(job, shared, made)
    return [shared, *rows]


def check(table):
    """A committed table is what its sweep makes: the same jobs, with the same parameters."""
    recorded = json.loads((table_folder(table) / "jobs.json").read_text(encoding="utf-8"))
    rows = {made["run_id"]: made for made in published_rows(table)}
    assert set(recorded) <= set(jobs_of(table)), "the sweep has other jobs: publish it again"
    assert {run for job in recorded.values() for run in job["runs"]} == set(rows)
    assert set(published_counts(table)) == set(rows)
    whole = set(recorded) == set(jobs_of(table))
    for made in named_by_sweep(table, list(rows.values()), whole):
        assert made.get("name") == rows[made["run_id"]].get("name"), "publish it again"
    for run_id, made in rows.items():
        assert RunConfig(**made["config"]).run_id == run_id
        tested = {corpus: own for corpus, own in made["scores"].items() if "test" in own}
        for corpus, splits in tested.items():
            for type, counts in published_counts(table)[run_id][corpus].types.items():
                scored = [splits["test"]["types"][type][kind] for kind in ("tp", "fp", "fn")]
                assert counts.sum(0).tolist() == scored
    for job in recorded.values():
        if not job["runs"]:  # it made a lexicon or a silver corpus for the next jobs
            continue
        own = FIELDS.keys() - {"corpora", "also_test", "types"}  # notebooks take them as words
        if job["notebook"] == "45_published_systems":  # there it is a recipe's name
            own -= {"system"}
        fields = {name: value for name, value in job["parameters"].items() if name in own}
        configs = [rows[run_id]["config"] for run_id in job["runs"]]
        assert any(fields.items() <= config.items() for config in configs), job
        if corpora := job["parameters"].get("corpora", "").split():
            # a recipe's arm trains on them alone, or with the silver text beside them
            together = corpora + job["parameters"].get("added", "").split()
            assert any(config["corpora"] in (corpora, together) for config in configs), job
        if corpus := job["parameters"].get("corpus"):
            used = {
                name.partition("@")[0].partition(":")[0] for c in configs for name in c["corpora"]
            }
            assert used - {job["parameters"].get("general")} == {corpus}, job


def shown(table):
    """A committed table's page is what its rows, counts and measures say."""
    return (table_folder(table) / "README.md").read_text(encoding="utf-8") == page(table)


def committed_tables():
    sweeps = (home() / "notebooks" / "sweeps" / "published").glob("*.yaml")
    return [path.stem for path in sweeps if path.stem in published_tables()]


def test_committed_tables_are_what_their_sweeps_make():
    for table in committed_tables():
        check(table)
        assert shown(table), f"publish {table} again"


def test_publish_writes_rows_counts_and_jobs(outputs, published, sweep, capsys):
    assert main(["publish", "tiny"]) == 0
    assert "3 rows with their counts" in capsys.readouterr().out
    assert published_tables() == ["tiny"]
    by_id = {made["run_id"]: made for made in published_rows("tiny")}
    assert by_id == {made["run_id"]: made | {"table": "tiny"} for made in sweep}
    counts = published_counts("tiny")[sweep[1]["run_id"]]["sample"]
    assert counts.of(["Gene"]).sum(0).tolist() == [36, 0, 4]
    assert (published / "tiny" / "counts" / f"{sweep[1]['run_id']}.json").stat().st_size < 500
    check("tiny")


def test_a_table_that_its_sweep_no_longer_makes_is_noticed(published, sweep):
    publish("tiny")
    path = home() / "notebooks" / "sweeps" / "published" / "tiny.yaml"
    path.write_text("steps: [{notebook: small, seeds: [1, 3]}]")
    with pytest.raises(AssertionError, match="other jobs"):
        check("tiny")
    path.write_text("steps: [{notebook: small, seeds: [1, 2]}]")
    (published / "tiny" / f"{sweep[1]['run_id']}.json").unlink()
    with pytest.raises(AssertionError):
        check("tiny")


def test_a_job_is_the_same_when_its_notebooks_text_changes(published):
    before = jobs_of("tiny")
    path = home() / "notebooks" / "small.ipynb"
    path.write_text(path.read_text().replace("# of the run", "# seeds the run"))
    after = jobs_of("tiny")
    assert list(before) == list(after)
    assert [job.name for job in before.values()] != [job.name for job in after.values()]


def test_intervals_are_computed_from_committed_files_alone(outputs, published, sweep):
    rivals = [
        finished(outputs, right, seed=seed, decoder="crf") for seed, right in ((1, 9), (2, 8))
    ]
    at_home = compare({"sample": sweep[1:]}, {"sample": rivals}, resamples=300)
    for job, made in zip(jobs_of("tiny").values(), rivals, strict=True):
        execute_job(job, *sweep, made)
    publish("tiny")
    for made in (*sweep, *rivals):
        forget(made["run_id"])
    rows = {made["run_id"]: made for made in published_rows("tiny")}
    sides = [{"sample": [rows[made["run_id"]] for made in side]} for side in (sweep[1:], rivals)]
    assert compare(*sides, resamples=300).equals(at_home)
    with pytest.raises(WorkbookError, match="is missing"):
        compare({"sample": sweep[1:]}, {"sample": rivals})


def test_published_rows_are_counted_from_their_own_table(outputs, published, sweep):
    """A run of the same name on this machine may have other predictions."""
    publish("tiny")
    predicted(outputs, sweep[1], answers(5))
    (made,) = [made for made in published_rows("tiny") if made["run_id"] == sweep[1]["run_id"]]
    assert counts_of(made, "sample").of(["Gene"]).sum(0).tolist() == [36, 0, 4]
    assert counts_of(sweep[1], "sample").of(["Gene"]).sum(0).tolist() == [5, 0, 35]


def test_publishing_again_replaces_the_tables_own_files_only(outputs, published, sweep):
    publish("tiny")
    other = published / "other"
    other.mkdir()
    for path in (published / "old.json", other / "old.json", published / "tiny" / "old.json"):
        path.write_text("{}")
    (published / "tiny" / "counts" / "old.json").write_text("{}")
    publish("tiny")
    left = {path.name for path in published.rglob("*.json")}
    assert sorted(published.rglob("old.json")) == [published / "old.json", other / "old.json"]
    assert left == {"old.json", "jobs.json", *(f"{made['run_id']}.json" for made in sweep)}


def test_counts_keep_every_number_and_type(published):
    tables = {
        "Gene": np.array([[0, 9, 1], [35, 0, 0]]),
        "Virus": np.array([[10, 0, 1], [123, 4, 5]]),
    }
    text = counts_text({"sample": Counts("abc", tables)})
    assert '"tp": "0z"' in text
    assert json.loads(text)["sample"]["types"]["Virus"]["tp"] == [10, 123]
    (published / "new" / "counts").mkdir(parents=True)
    (published / "new" / "counts" / "a-run.json").write_text(text)
    counts = published_counts("new")["a-run"]["sample"]
    assert counts.documents == "abc"
    assert all((counts.types[type] == tables[type]).all() for type in tables)
    assert counts.of(["Gene", "Virus"]).tolist() == [[10, 9, 2], [158, 4, 5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is damaged"),
        ('{"x": {"documents": "", "types": {"Gene": {"tp": "A"}}}}', "is damaged"),
        ('{"x": {}}', "is damaged"),
        ("{}", "has no counts"),
    ],
)
def test_damaged_counts_are_named(outputs, published, sweep, content, message):
    publish("tiny")
    for path in (published / "tiny" / "counts").glob("*.json"):
        path.write_text(content)
    with pytest.raises(WorkbookError, match=rf"counts.*json {message}"):
        counts_of(published_rows("tiny")[0], "sample")


def test_a_sweep_names_arms(published, sweep):
    path = home() / "notebooks" / "sweeps" / "published" / "tiny.yaml"
    steps = path.read_text()
    path.write_text(steps + "\nx-names: {other tags: {scheme: IOB2}, our tags: {scheme: IOBES}}")
    publish("tiny")
    names = {made["run_id"]: made["name"] for made in published_rows("tiny")}
    assert names[sweep[0]["run_id"]] == "other tags"
    assert [names[made["run_id"]] for made in sweep[1:]] == ["our tags"] * 2
    check("tiny")
    path.write_text(f"{steps}\nx-names: {{ours: [{{scheme: IOBES}}, {{scheme: IOB2, seed: 13}}]}}")
    publish("tiny")
    assert {made["name"] for made in published_rows("tiny")} == {"ours"}, "any of several"
    for names, message in (
        ("a: [{scheme: IOB2}, {schema: IOB2}]", "unknown field in x-names of tiny.yaml 'schema'"),
        (
            "a: {schema: IOB2}",
            "unknown field in x-names of tiny.yaml 'schema'; did you mean 'scheme'",
        ),
        ("a: {scheme: IOB2}, b: {epochs: 10}, c: {heads: per-type}", "the x-names .* all fit"),
        ("a: {decoder: crf}", r"no run fits the x-names \['a'\]"),
    ):
        path.write_text(f"{steps}\nx-names: {{{names}}}")
        with pytest.raises(WorkbookError, match=message):
            publish("tiny")


def test_a_sweep_names_second_phases_by_the_first(published, sweep):
    path = home() / "notebooks" / "sweeps" / "published" / "tiny.yaml"
    path.write_text(f"{path.read_text()}\nx-names: {{a: {{start_from: {{epochs: 3}}}}}}")
    first, other = ({"epochs": epochs, "start_from": ""} for epochs in (3, 4))
    second = sweep[1] | {"parents": {"start_from": {"phases": [first]}}}
    third = sweep[2] | {"parents": {"start_from": {"phases": [other]}}}
    found = named_by_sweep("tiny", [sweep[0], second, third])
    assert [made.get("name") for made in found] == [None, "a", None]
    published_before = named_by_sweep("tiny", [second, third | {"name": "a"}])
    assert [made.get("name") for made in published_before] == ["a", None], "an old name is gone"
    path.write_text(path.read_text().replace("epochs: 3", "epoch: 3"))
    with pytest.raises(WorkbookError, match=r"unknown field in x-names of tiny\.yaml 'epoch'"):
        named_by_sweep("tiny", [second])


def test_an_unknown_table_is_named(outputs, published, capsys):
    outputs.mkdir()
    assert main(["publish", "tyni"]) == MISTAKE
    assert "unknown published table 'tyni'; did you mean 'tiny'" in capsys.readouterr().err
    with pytest.raises(WorkbookError, match=r"unknown published table '\.\./quick'"):
        publish("../quick")


def test_unfinished_jobs_are_named_with_the_command_that_goes_on(outputs, published, sweep):
    first, second = jobs_of("tiny").values()
    executed(first.name).unlink()
    with pytest.raises(
        WorkbookError, match=rf"1 of 2 jobs .*{first.name} \(todo\).* sweep published/tiny$"
    ):
        publish("tiny")
    record_failure(first, "a traceback", died=False)
    assert failure(first)
    with pytest.raises(WorkbookError, match=r"\(failed\).*sweep published/tiny --retry-failed"):
        publish("tiny")
    execute_job(first)
    execute_job(second)
    with pytest.raises(WorkbookError, match="makes a run"):
        publish("tiny")
    assert not published.exists()


def test_a_table_grows_by_parts_made_on_several_machines(outputs, published, sweep, capsys):
    """What one machine published stays when another one, with other outputs, adds its jobs."""
    first, second = jobs_of("tiny").values()
    path = home() / "notebooks" / "sweeps" / "published" / "tiny.yaml"
    path.write_text(path.read_text() + "\nx-names: {of seed 2: {seed: 2}}")
    executed(second.name).unlink()
    assert main(["publish", "tiny", "--part"]) == 0
    assert "2 rows with their counts" in capsys.readouterr().out
    check("tiny")
    before = {path.name: path.read_text() for path in (published / "tiny").rglob("*1*.json")}
    for made in sweep[:2]:
        forget(made["run_id"])
    executed(first.name).unlink()
    execute_job(second, sweep[2])
    assert len(publish("tiny")) == 3, "whole now"
    check("tiny")
    assert len(published_counts("tiny")) == 3
    assert all((published / "tiny" / name).exists() for name in before)
    # and both are checked together
    other = sweep[2] | {"device": DEVICE | {"precision": "bf16"}}
    predicted(outputs, other, answers(38))
    with pytest.raises(WorkbookError, match="2 precisions"):
        publish("tiny")


def test_a_job_that_is_executed_every_time_can_be_finished(outputs, published, sweep):
    path = home() / "notebooks" / "sweeps" / "published" / "tiny.yaml"
    path.write_text("steps: [{notebook: small, seeds: [1, 2], always: true}]")
    assert len(publish("tiny")) == 3


def test_missing_and_foreign_predictions_are_refused(outputs, published, sweep):
    predicted(outputs, sweep[2], answers(3))
    with pytest.raises(WorkbookError, match=r"give .*'tp': 3.* row says .*'tp': 38.*forget\("):
        publish("tiny")
    (outputs / "runs" / sweep[2]["run_id"] / "predictions" / "sample.test.jsonl").unlink()
    with pytest.raises(WorkbookError, match=r"sample.test.jsonl is missing.*forget\("):
        publish("tiny")
    assert not published.exists()


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"precision": "bf16"}, r"2 precisions: bf16 \(.*\), fp32 \("),
        ({"name": "a GPU"}, r"2 kinds of machine: a CPU \(.*\), a GPU \("),
    ],
)
def test_a_table_is_made_on_one_kind_of_machine(outputs, published, sweep, device, message):
    predicted(outputs, sweep[1] | {"device": DEVICE | device}, answers(36))
    with pytest.raises(WorkbookError, match=message):
        publish("tiny")
    # an old row's machine is known by its architecture alone
    predicted(outputs, sweep[1] | {"device": DEVICE | {"name": "x86_64"}}, answers(36))
    assert len(publish("tiny")) == 3
    # a dictionary computes nothing that a machine could round
    dictionary = {"device": DEVICE | device | {"precision": "none"}}
    predicted(outputs, sweep[1] | dictionary, answers(36))
    assert len(publish("tiny")) == 3


def test_committed_rows_are_found():
    folder = home() / "outputs" / "published" / "partial_labels"
    found = {path.stem for path in folder.glob("*.json")} - {"jobs"}
    assert {row["run_id"] for row in published_rows("partial_labels")} == found
    assert {"partial_labels", "silver_text"} <= set(published_tables())
    assert "throughput" not in published_tables(), "it holds no rows of runs"


def test_a_row_from_before_a_field_was_added_has_its_default(published, sweep):
    older = dict(sweep[0], config={k: v for k, v in sweep[0]["config"].items() if k != "context"})
    assert _fits([older["config"]], {"context": 0, "seed": older["config"]["seed"]})
    assert not _fits([older["config"]], {"context": 32})
