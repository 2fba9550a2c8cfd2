"""Publishing the table of a finished sweep: what is written, what is replaced, what is refused."""

import pytest
from made_rows import answers, execute_job, predicted
from published_runs import DEVICE, check_table

from bioner_lib import WorkbookError, forget
from bioner_lib.__main__ import MISTAKE, main
from bioner_lib.board.published_files import (
    jobs_of,
    published_counts,
    published_rows,
    published_tables,
    sweep_file,
)
from bioner_lib.board.publishing import publish
from bioner_lib.sweeps.execution import executed, failure, record_failure


def test_publish_writes_rows_counts_and_jobs(published, finished_sweep, capsys):
    assert main(["publish", "tiny"]) == 0
    assert "3 rows with their counts" in capsys.readouterr().out
    assert published_tables() == ["tiny"]
    by_id = {made["run_id"]: made for made in published_rows("tiny")}
    assert by_id == {made["run_id"]: made | {"table": "tiny"} for made in finished_sweep}
    run_id = finished_sweep[1]["run_id"]
    counts = published_counts("tiny")[run_id]["sample"]
    assert counts.of(["Gene"]).sum(0).tolist() == [36, 0, 4]
    assert (published / "tiny" / "counts" / f"{run_id}.json").stat().st_size < 500
    check_table("tiny")


def test_publishing_again_replaces_the_tables_own_files_only(published, finished_sweep):
    publish("tiny")
    other = published / "other"
    other.mkdir()
    kept = [published / "old.json", other / "old.json"]
    gone = [published / "tiny" / "old.json", published / "tiny" / "counts" / "old.json"]
    for path in kept + gone:
        path.write_text("{}")
    publish("tiny")
    assert sorted(published.rglob("old.json")) == kept
    left = {path.name for path in published.rglob("*.json")}
    assert left == {"old.json", "jobs.json", *(f"{made['run_id']}.json" for made in finished_sweep)}


def test_an_unknown_table_is_named(outputs, published, capsys):
    outputs.mkdir()
    assert main(["publish", "tyni"]) == MISTAKE
    assert "unknown published table 'tyni'; did you mean 'tiny'" in capsys.readouterr().err
    with pytest.raises(WorkbookError, match=r"unknown published table '\.\./quick'"):
        publish("../quick")


def test_unfinished_jobs_are_named_with_the_command_that_goes_on(published, finished_sweep):
    first, _ = jobs_of("tiny").values()
    executed(first.name).unlink()
    message = rf"1 of 2 jobs .*{first.name} \(todo\).* sweep published/tiny$"
    with pytest.raises(WorkbookError, match=message):
        publish("tiny")
    record_failure(first, "a traceback", died=False)
    assert failure(first)
    with pytest.raises(WorkbookError, match=r"\(failed\).*sweep published/tiny --retry-failed"):
        publish("tiny")
    assert not published.exists()


def test_a_sweep_that_makes_no_run_is_refused(published, finished_sweep):
    for job in jobs_of("tiny").values():
        execute_job(job)
    with pytest.raises(WorkbookError, match="makes a run"):
        publish("tiny")
    assert not published.exists()


def test_a_job_that_is_executed_every_time_can_be_finished(published, finished_sweep):
    sweep_file("tiny").write_text("steps: [{notebook: small, seeds: [1, 2], always: true}]")
    assert len(publish("tiny")) == 3


def test_foreign_and_missing_predictions_are_refused(outputs, published, finished_sweep):
    last = finished_sweep[2]
    predicted(outputs, last, answers(3))
    with pytest.raises(WorkbookError, match=r"give .*'tp': 3.* row says .*'tp': 38.*forget\("):
        publish("tiny")
    (outputs / "runs" / last["run_id"] / "predictions" / "sample.test.jsonl").unlink()
    with pytest.raises(WorkbookError, match=r"sample.test.jsonl is missing.*forget\("):
        publish("tiny")
    assert not published.exists()


@pytest.fixture
def half_published(published, finished_sweep, capsys):
    """The table of the first job; this machine has then lost its runs and finished the second."""
    first, second = jobs_of("tiny").values()
    steps = sweep_file("tiny").read_text()
    sweep_file("tiny").write_text(f"{steps}\nx-names: {{of seed 2: {{seed: 2}}}}")
    executed(second.name).unlink()
    assert main(["publish", "tiny", "--part"]) == 0
    assert "2 rows with their counts" in capsys.readouterr().out
    check_table("tiny")
    for made in finished_sweep[:2]:
        forget(made["run_id"])
    executed(first.name).unlink()
    execute_job(second, finished_sweep[2])
    return published / "tiny"


def test_a_table_grows_by_parts_made_on_several_machines(half_published):
    """What one machine published stays when another one, with other outputs, adds its jobs."""
    before = {path.name for path in half_published.rglob("*.json")}
    assert len(publish("tiny")) == 3, "whole now"
    check_table("tiny")
    assert len(published_counts("tiny")) == 3
    assert all((half_published / name).exists() for name in before)


def test_parts_are_checked_together(outputs, half_published, finished_sweep):
    other = finished_sweep[2] | {"device": DEVICE | {"precision": "bf16"}}
    predicted(outputs, other, answers(38))
    with pytest.raises(WorkbookError, match="2 precisions"):
        publish("tiny")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"precision": "bf16"}, r"2 precisions: bf16 \(.*\), fp32 \("),
        ({"name": "a GPU"}, r"2 kinds of machine: a CPU \(.*\), a GPU \("),
    ],
)
def test_a_table_is_made_on_one_kind_of_machine(
    outputs, published, finished_sweep, device, message
):
    predicted(outputs, finished_sweep[1] | {"device": DEVICE | device}, answers(36))
    with pytest.raises(WorkbookError, match=message):
        publish("tiny")


@pytest.mark.parametrize(
    "device",
    [
        {"name": "x86_64"},
        {"precision": "none"},
        {"name": "a GPU", "precision": "none"},
    ],
    ids=["an old row's architecture", "a dictionary", "a dictionary elsewhere"],
)
def test_machines_that_are_no_contradiction(outputs, published, finished_sweep, device):
    """An old row's machine is known by its architecture alone; a dictionary computes nothing."""
    predicted(outputs, finished_sweep[1] | {"device": DEVICE | device}, answers(36))
    assert len(publish("tiny")) == 3
