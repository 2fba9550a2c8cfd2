"""Executing the jobs of a sweep: done, failed, to do again."""

import json
import os
import re
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import nbformat
import papermill
import pytest
from small_sweeps import add_second_step, results_in, training_sweep

from bioner_lib import WorkbookError, read_rows
from bioner_lib.__main__ import MISTAKE, main
from bioner_lib.home import replace_text
from bioner_lib.sweeps import execution, executors
from bioner_lib.sweeps.execution import state_of
from bioner_lib.sweeps.executors import run_sweep
from bioner_lib.sweeps.reading import read_sweep
from bioner_lib.training.progress import VARIABLE, add_made, add_run

pytestmark = pytest.mark.slow


def test_failures_are_kept_and_tried_again_when_asked(sweep_folder, tiny, capsys):
    path = training_sweep(sweep_folder, tiny, "grid: {broken: [true, false]}")
    steps = read_sweep(path)
    bad, good = steps[0]
    assert main(["sweep", str(path)]) == 1
    outputs = sweep_folder / "outputs"
    assert [state_of(job) for job in (bad, good)] == ["failed", "done"]
    record = execution.failure(bad)
    assert record["parameters"]["broken"] is True
    assert "ValueError: as asked" in record["traceback"]
    assert not record["died"]
    assert "as asked" in (outputs / "notebooks" / f"{bad.name}.failed.ipynb").read_text()
    assert "ValueError: as asked" in capsys.readouterr().err
    stamp = (outputs / "notebooks" / f"{bad.name}.failed.ipynb").stat().st_mtime_ns
    assert main(["sweep", str(path)]) == 1
    assert "failed before; --retry-failed runs it again" in capsys.readouterr().err
    assert (outputs / "notebooks" / f"{bad.name}.failed.ipynb").stat().st_mtime_ns == stamp
    assert main(["sweep", str(path), "--retry-failed", "--only", "broken=true"]) == 1
    assert (outputs / "notebooks" / f"{bad.name}.failed.ipynb").stat().st_mtime_ns > stamp


def test_one_run_starts_from_another(sweep_folder, tiny):
    path = training_sweep(sweep_folder, tiny, "seeds: [1, 2]")
    add_second_step(path)
    steps = read_sweep(path)
    assert [job.parent for job in steps[1]] == [job.name for job in steps[0]]
    assert run_sweep(steps, workers=2) == []
    rows = {(row["config"]["seed"], bool(row["config"]["start_from"])): row for row in read_rows()}
    assert len(rows) == 4
    assert all(
        rows[seed, True]["config"]["start_from"] == rows[seed, False]["run_id"] for seed in (1, 2)
    )
    path.write_text(path.read_text().replace("start_from: first", "start_from: last"))
    with pytest.raises(WorkbookError, match="start_from: 'last' is no earlier step's name"):
        read_sweep(path)
    path.write_text(
        path.read_text()
        .replace("start_from: last", "start_from: first")
        .replace("seeds: [1, 2]}", "seeds: [1, 7]}", 1)
    )
    with pytest.raises(WorkbookError, match="0 runs of step 'first' fit"):
        read_sweep(path)


def test_a_disk_without_room_stops_the_sweep_before_it_starts(
    sweep_folder, tiny, monkeypatch, capsys
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1 << 20))
    assert main(["sweep", str(training_sweep(sweep_folder, tiny, "seeds: [1]"))]) == MISTAKE
    assert "has 1 MiB left" in capsys.readouterr().err


def test_workers_divide_the_machine(sweep_folder, tiny, monkeypatch):
    """Each kernel gets its share of the cores and its own GPU; os.environ stays unchanged."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(executors, "cores", lambda: 6)
    before = dict(os.environ)
    places = executors._Places(2)
    places_taken = [places._free.get() for _ in range(2)]
    assert {place["CUDA_VISIBLE_DEVICES"] for place in places_taken} == {"3", "5"}
    assert {place["OMP_NUM_THREADS"] for place in places_taken} == {"3"}
    notebook = nbformat.read(sweep_folder / "small.ipynb", 4)
    notebook.cells[
        2
    ].source = "import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES'])"
    nbformat.write(notebook, sweep_folder / "small.ipynb")
    (sweep_folder / "mine.yaml").write_text("steps: [{notebook: small.ipynb, seeds: [1, 2]}]")
    assert run_sweep(read_sweep(sweep_folder / "mine.yaml"), workers=2) == []
    notebooks = [
        path.read_text() for path in (sweep_folder / "outputs" / "notebooks").glob("*.ipynb")
    ]
    assert sorted(text.split('"3 ')[1][0] for text in notebooks) == ["3", "5"]
    assert dict(os.environ) == before


def test_a_kernel_that_dies_at_its_start_is_started_once_more(sweep_folder, tiny, monkeypatch):
    calls, inner = [], papermill.execute_notebook

    def flaky(*args, **options):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return inner(*args, **options)

    monkeypatch.setattr(papermill, "execute_notebook", flaky)
    assert run_sweep(read_sweep(training_sweep(sweep_folder, tiny, "seeds: [1]"))) == []
    assert len(calls) == 2


def test_a_job_whose_parent_was_killed_counts_as_todo(sweep_folder, tiny, monkeypatch):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    add_second_step(path)
    steps, outputs = read_sweep(path), sweep_folder / "outputs"

    def killed(*args, **options):
        raise RuntimeError("DeadKernelError: Kernel died")

    with monkeypatch.context() as patch:
        patch.setattr("papermill.execute_notebook", killed)
        assert len(run_sweep(steps)) == 2
    assert [state_of(job) for jobs in steps for job in jobs] == ["todo", "todo"]
    assert execution.failure(steps[0][0])["died"]
    assert "isn't done" in execution.failure(steps[1][0])["traceback"]
    assert run_sweep(steps) == []
    assert not list((outputs / "notebooks").glob("*.failed.*"))


def test_a_parent_whose_run_was_deleted_and_whose_kernel_died_is_made_again(
    sweep_folder, tiny, monkeypatch
):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    add_second_step(path)
    steps = read_sweep(path)
    assert run_sweep(steps) == []
    for run in (sweep_folder / "outputs" / "runs").iterdir():
        shutil.rmtree(run)

    def killed(*args, **options):
        raise RuntimeError("DeadKernelError: Kernel died")

    with monkeypatch.context() as patch:
        patch.setattr("papermill.execute_notebook", killed)
        assert len(run_sweep(steps)) == 2
    assert run_sweep(steps) == []
    assert [state_of(job) for jobs in steps for job in jobs] == ["done", "done"]


def test_a_failure_in_another_sweep_is_not_retried(sweep_folder, tiny):
    ((job,),) = read_sweep(training_sweep(sweep_folder, tiny, "grid: {broken: [true]}"))
    outputs = (sweep_folder / "outputs").resolve()
    assert execution.execute(job, {}).state == "failed"
    failed = outputs / "notebooks" / f"{job.name}.failed.ipynb"
    stamp = failed.stat().st_mtime_ns
    assert execution.execute(job, {}, wait=True, known=None).trace.rstrip().endswith("as asked")
    assert failed.stat().st_mtime_ns == stamp, "it failed since this sweep looked"
    seen = execution.failure(job)["seen"]
    assert execution.execute(job, {}, known=seen).state == "failed"
    assert failed.stat().st_mtime_ns > stamp, "what is known to have failed is tried again"


def test_a_workers_fast_clock_does_not_prevent_a_retry(sweep_folder, tiny, monkeypatch):
    """A worker's clock may be hours ahead of the one that asks."""
    ((job,),), tried = read_sweep(training_sweep(sweep_folder, tiny)), []
    monkeypatch.setattr(execution, "_execute", lambda *_: tried.append(1))
    with monkeypatch.context() as patch:
        patch.setattr(execution.time, "time", lambda: 9e12)
        execution.record_failure(job, "as asked", died=False)
    assert state_of(job) == "failed"
    assert run_sweep([[job]], retry_failed=True) == []
    assert tried == [1]


def test_a_board_that_failed_without_runs_is_executed_again(sweep_folder, tiny):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    board = nbformat.read(sweep_folder / "small.ipynb", 4)
    board.cells[1:] = [
        nbformat.v4.new_code_cell("from bioner_lib import read_rows\nassert read_rows()")
    ]
    nbformat.write(board, sweep_folder / "board.ipynb")
    path.write_text(path.read_text() + "- {notebook: board.ipynb, always: true}\n")
    ((_, trace),) = run_sweep([read_sweep(path)[1]])
    assert "AssertionError" in trace
    assert run_sweep(read_sweep(path)) == []
    assert not list((sweep_folder / "outputs" / "notebooks").glob("*.failed.*"))


def test_a_notebook_edited_during_the_sweep_is_not_executed(sweep_folder, tiny):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    steps = read_sweep(path)
    (sweep_folder / "small.ipynb").write_text(
        (sweep_folder / "small.ipynb").read_text().replace("as asked", "as wished")
    )
    ((_, trace),) = run_sweep(steps)
    assert "small.ipynb has changed since the sweep was started; start it again" in trace
    assert state_of(steps[0][0]) == "todo"
    assert run_sweep(read_sweep(path)) == []


def test_damaged_files_are_named_or_made_again(sweep_folder, tiny, capsys):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    ((job,),) = read_sweep(path)
    assert main(["sweep", str(path)]) == 0
    outputs, whole = sweep_folder / "outputs", results_in(sweep_folder)
    execution.executed(job.name).write_text("")
    (outputs / "sweeps" / "odd.json").write_text("[]")
    (outputs / "sweeps" / "mine-old.json").write_text('{"sweep": "mine"}')
    assert main(["sweep", str(path), "--dry-run"]) == 0
    assert "1 todo" in capsys.readouterr().out
    assert main(["status"]) == 0
    assert main(["sweep", str(path)]) == 0
    assert results_in(sweep_folder) == whole
    (row,) = (outputs / "runs").glob("*/run.json")
    row.write_text(row.read_text()[:100])
    assert main(["board"]) == MISTAKE
    assert re.search(
        r"run.json is damaged .*make it again: from bioner_lib import forget",
        capsys.readouterr().err,
    )


def test_a_runs_processes_share_its_cores(sweep_folder, tiny, monkeypatch):
    (sweep_folder / "small.ipynb").write_text(
        (sweep_folder / "small.ipynb")
        .read_text()
        .replace("broken: bool = False", "processes: int = 1")
    )
    ((job,),) = read_sweep(training_sweep(sweep_folder, tiny, "grid: {processes: [2]}"))
    seen = []

    def executed(source, target, parameters, config, **_):
        seen.append(config["Kernel"]["environment"])
        raise ValueError

    monkeypatch.setattr("papermill.execute_notebook", executed)
    execution.execute(job, dict.fromkeys(execution.THREADS, "8"))
    assert {seen[0][name] for name in execution.THREADS} == {"4"}


def test_files_are_replaced_by_many_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: replace_text(tmp_path / "one.json", str(k)), range(400)))
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_a_job_is_done_while_its_results_exist(sweep_folder, tiny, monkeypatch):
    """Runs and silver corpora alike: a sweep makes again what was deleted."""
    ((job,),) = read_sweep(training_sweep(sweep_folder, tiny))
    outputs, progress = sweep_folder / "outputs", sweep_folder / "progress.json"
    made = [outputs / "silver" / "x" / "corpus.toml", outputs / "runs" / "y" / "run.json"]
    for path in made:
        path.parent.mkdir(parents=True)
        path.touch()
    monkeypatch.setenv(VARIABLE, str(progress))
    add_made(made[0])
    add_run("y")
    done = execution.executed(job.name)
    done.parent.mkdir()
    (aside := done.with_suffix(".running.ipynb")).write_text('{"cells": [], "metadata": {}}')
    execution._keep(aside, done, json.loads(progress.read_text()))
    assert state_of(job) == "done"
    for path in made:
        path.unlink()
        assert state_of(job) == "todo"
        path.touch()
        assert state_of(job) == "done"
