"""Executing sweeps: killed, resumed, shared, on a cluster."""

import json
import os
import random
import re
import shutil
import signal
import time
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from conftest import add_second_step, descendants, results_in, start_sweep, training_sweep

from bioner_lib import WorkbookError, read_rows
from bioner_lib.__main__ import MISTAKE, STOPPED, main
from bioner_lib.home import replace_text
from bioner_lib.sweeps import execution, executors, status
from bioner_lib.sweeps.execution import state_of
from bioner_lib.sweeps.executors import opened, run_sweep
from bioner_lib.sweeps.reading import read_sweep
from bioner_lib.training.progress import VARIABLE, add_made, add_run

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("BIONER_KILLS", "3"))


@pytest.mark.parametrize("more", [(), ("--executor", "dask")], ids=["threads", "dask"])
def test_killed_again_and_again_every_run_is_there_once(sweep_folder, tiny, monkeypatch, more):
    """After kill -9 on the sweep, a kernel or a worker, the rows equal those of a calm sweep."""
    if more and "BIONER_KILLS" not in os.environ:
        pytest.skip("a cluster is killed again and again where BIONER_KILLS says how often")
    seeds, dice = list(range(2 + KILLS // 4)), random.Random(KILLS)
    path = training_sweep(sweep_folder, tiny, f"seeds: {seeds}")
    add_second_step(path)
    hits = 0
    for _ in range(KILLS):
        process = start_sweep(path, *more)
        time.sleep(dice.uniform(2.0, 9.0))
        worked_on = list((sweep_folder / "outputs" / "sweeps" / ".progress").glob("*.json"))
        victim = dice.choice([process.pid, *descendants(process.pid)])
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                hits += bool(worked_on)
        if victim != process.pid:  # what is left of the sweep goes on for a while
            time.sleep(dice.uniform(1.0, 5.0))
            process.kill()
        process.wait()
        process.stderr.close()
    assert hits, "no kill hit a job that was being worked on"
    last = start_sweep(path, *more)
    said = last.communicate(timeout=300)[1]
    assert last.returncode == 0, said
    killed = results_in(sweep_folder)
    assert len(killed) == 2 * len(seeds)
    assert not list((sweep_folder / "outputs" / "runs").glob(".working*"))
    held = sorted(file.name for file in (sweep_folder / "outputs" / "notebooks").iterdir())
    assert len(held) == 2 * len(seeds)
    assert not any("running" in name or "failed" in name for name in held)
    monkeypatch.setenv("BIONER_OUTPUTS", str(sweep_folder / "calm" / "outputs"))
    assert main(["sweep", str(path), "--workers", "2"]) == 0
    assert results_in(sweep_folder / "calm") == killed


def test_two_sweeps_share_the_work(sweep_folder, tiny):
    """Each job is executed by one of them: its notebook leaves one line."""
    notebook = nbformat.read(sweep_folder / "small.ipynb", 4)
    notebook.cells[
        1
    ].source += f"\nopen({str(sweep_folder / 'executed')!r}, 'a').write(f'{{seed}}\\n')"
    nbformat.write(notebook, sweep_folder / "small.ipynb")
    path = training_sweep(sweep_folder, tiny, "seeds: [1, 2, 3, 4]")
    both = [start_sweep(path), start_sweep(path)]
    assert [process.communicate(timeout=300)[1] and process.returncode for process in both] == [
        0,
        0,
    ]
    assert len(results_in(sweep_folder)) == 4
    assert len(list((sweep_folder / "outputs" / "notebooks").iterdir())) == 4
    assert len(list((sweep_folder / "outputs" / "sweeps").glob("mine-*.json"))) == 2
    assert sorted((sweep_folder / "executed").read_text().split()) == ["1", "2", "3", "4"]


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


def test_dry_run_and_status(sweep_folder, tiny, capsys):
    path = training_sweep(sweep_folder, tiny, "seeds: [1, 2, 3]")
    assert main(["sweep", str(path), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.count("todo") == 4
    assert "3 of unknown length" in said
    assert not list((sweep_folder / "outputs").glob("sweeps/*"))
    assert main(["sweep", str(path), "--only", "seed=1"]) == 0
    assert main(["sweep", str(path), "--dry-run", "--workers", "2"]) == 0
    said = capsys.readouterr().out
    assert "1 done, 2 todo; about" in said
    assert "unknown" not in said
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "over" in said
    assert "1 done" in said
    assert main(["status", str(path)]) == 0
    assert "1 done, 2 todo" in capsys.readouterr().out


def test_status_while_it_goes_on(sweep_folder, tiny, capsys, monkeypatch):
    """From another process: what runs, and how far it is."""
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    path.write_text(
        path.read_text()
        .replace('"epochs": 2', '"epochs": 400')
        .replace('"limit": 24', '"limit": 0')
    )
    process, said = start_sweep(path), ""
    try:
        for _ in range(120):
            time.sleep(1)
            said = status.report()
            if "epoch" in said:
                break
    finally:
        for kernel in descendants(process.pid):
            os.kill(kernel, signal.SIGKILL)
        process.kill()
        process.communicate()
    assert "running" in said
    assert "1 running" in said
    assert re.search(r"epoch \d+/400", said)
    assert "left in this run" in said
    monkeypatch.setattr(status, "_SILENT", 0.0)
    assert "gone: last heard of" in status.report()


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


def test_a_cluster_loses_a_worker(sweep_folder, tiny):
    """Dask, two processes; one is killed while its kernel works; every run is there in the end."""
    pytest.importorskip("distributed")
    path = training_sweep(sweep_folder, tiny, "seeds: [1, 2, 3]")
    steps, outputs = read_sweep(path), sweep_folder / "outputs"
    with opened("dask", 2) as executor:
        client = executor._client
        futures = [executor.submit(execution.execute, job, {}, True) for job in steps[0]]
        for _ in range(200):
            time.sleep(0.1)
            if list((outputs / "sweeps" / ".progress").glob("*.json")):
                break
        pids = client.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        assert [future.result(timeout=240).state for future in futures] == ["done"] * 3
        assert run_sweep(steps, executor=executor) == []
    assert len(results_in(sweep_folder)) == 3


def test_a_scheduler_that_does_not_answer(sweep_folder, tiny, capsys):
    pytest.importorskip("distributed")
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    assert main(["sweep", str(path), "--executor", "tcp://127.0.0.1:9"]) == MISTAKE
    assert "no scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    assert not list((sweep_folder / "outputs").glob("notebooks/*"))
    assert main(["sweep", str(path), "--executor", "slrum"]) == MISTAKE
    assert "--executor slrum: a sweep takes threads" in capsys.readouterr().err


def test_no_room(sweep_folder, tiny, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1 << 20))
    assert main(["sweep", str(training_sweep(sweep_folder, tiny, "seeds: [1]"))]) == MISTAKE
    assert "has 1 MiB left" in capsys.readouterr().err


def test_only_takes_numbers_as_people_write_them(sweep_folder, tiny):
    (sweep_folder / "noop.ipynb").write_text(
        (sweep_folder / "small.ipynb").read_text().replace("seed: int = 13", "rate: float = 0.1")
    )
    path = sweep_folder / "noop.yaml"
    path.write_text("steps: [{notebook: noop.ipynb, grid: {rate: [3.0e-5, 0.1]}}]")
    assert [job.parameters["rate"] for job in read_sweep(path, ["rate=3e-5"])[0]] == [3e-5]


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("sead=1", "unknown parameter in --only: 'sead'; did you mean 'seed'"),
        ("seed=9", "no job matches"),
        ("seed", "expected name=value"),
    ],
)
def test_mistakes_in_only(sweep_folder, tiny, only, said):
    with pytest.raises(WorkbookError, match=said):
        read_sweep(training_sweep(sweep_folder, tiny, "seeds: [1, 2]"), [only])


def test_only(sweep_folder, tiny):
    path = training_sweep(sweep_folder, tiny, "seeds: [1, 2], grid: {broken: [true, false]}")
    ((job,),) = read_sweep(path, ["seed=2", "broken=false"])
    assert job.parameters["seed"] == 2
    assert job.parameters["broken"] is False
    assert Path(job.notebook) == sweep_folder / "small.ipynb"


def test_workers_divide_the_machine(sweep_folder, tiny, monkeypatch):
    """Each kernel gets its share of the cores and its own GPU; os.environ stays unchanged."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr(executors, "cores", lambda: 6)
    before = dict(os.environ)
    places = executors._Places(2)
    held = [places._free.get() for _ in range(2)]
    assert {place["CUDA_VISIBLE_DEVICES"] for place in held} == {"3", "5"}
    assert {place["OMP_NUM_THREADS"] for place in held} == {"3"}
    notebook = nbformat.read(sweep_folder / "small.ipynb", 4)
    notebook.cells[
        2
    ].source = "import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES'])"
    nbformat.write(notebook, sweep_folder / "small.ipynb")
    (sweep_folder / "mine.yaml").write_text("steps: [{notebook: small.ipynb, seeds: [1, 2]}]")
    assert run_sweep(read_sweep(sweep_folder / "mine.yaml"), workers=2) == []
    said = [path.read_text() for path in (sweep_folder / "outputs" / "notebooks").glob("*.ipynb")]
    assert sorted(text.split('"3 ')[1][0] for text in said) == ["3", "5"]
    assert dict(os.environ) == before


def test_a_taken_port_is_tried_once_more(sweep_folder, tiny, monkeypatch):
    import papermill

    calls, inner = [], papermill.execute_notebook

    def flaky(*args, **options):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return inner(*args, **options)

    monkeypatch.setattr(papermill, "execute_notebook", flaky)
    assert run_sweep(read_sweep(training_sweep(sweep_folder, tiny, "seeds: [1]"))) == []
    assert len(calls) == 2


def test_a_job_whose_parent_died_is_to_do_again(sweep_folder, tiny, monkeypatch):
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


def test_what_failed_in_another_sweep_meanwhile_is_not_tried_again(sweep_folder, tiny):
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


def test_a_clock_that_is_ahead_stops_no_second_try(sweep_folder, tiny, monkeypatch):
    """A worker's clock may be hours ahead of the one that asks."""
    ((job,),), tried = read_sweep(training_sweep(sweep_folder, tiny)), []
    monkeypatch.setattr(execution, "_execute", lambda *_: tried.append(1))
    with monkeypatch.context() as patch:
        patch.setattr(execution.time, "time", lambda: 9e12)
        execution.record_failure(job, "as asked", died=False)
    assert state_of(job) == "failed"
    assert run_sweep([[job]], retry_failed=True) == []
    assert tried == [1]


def test_a_board_that_failed_for_want_of_runs_is_made_again(sweep_folder, tiny):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    board = nbformat.read(sweep_folder / "small.ipynb", 4)
    board.cells[1:] = [
        nbformat.v4.new_code_cell("from bioner_lib import read_rows\nassert read_rows()")
    ]
    nbformat.write(board, sweep_folder / "board.ipynb")
    path.write_text(path.read_text() + "- {notebook: board.ipynb, always: true}\n")
    ((_, said),) = run_sweep([read_sweep(path)[1]])
    assert "AssertionError" in said
    assert run_sweep(read_sweep(path)) == []
    assert not list((sweep_folder / "outputs" / "notebooks").glob("*.failed.*"))


def test_a_notebook_that_changes_meanwhile_is_not_executed_as_the_old_one(sweep_folder, tiny):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    steps = read_sweep(path)
    (sweep_folder / "small.ipynb").write_text(
        (sweep_folder / "small.ipynb").read_text().replace("as asked", "as wished")
    )
    ((_, said),) = run_sweep(steps)
    assert "small.ipynb has changed since the sweep was started; start it again" in said
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


def test_how_long_jobs_may_take(sweep_folder, tiny):
    from bioner_lib.sweeps.jobs import Job

    def job(**parameters):
        return Job(Path("30_single_task.ipynb"), parameters)

    took = {
        "30_single_task": [
            ({"corpus": "sample", "seed": 1}, 10.0),
            ({"corpus": "sample", "heads": "joint"}, 30.0),
        ]
    }
    assert status._expected(job(corpus="sample", seed=2), took) == 10
    assert status._expected(job(corpus="sample", decoder="crf"), took) == 20
    assert status._expected(job(corpus="bc5cdr"), took) is None, "another corpus says nothing"
    assert status._expected(job(corpus="sample", epochs=9), took) is None
    child = {"30_single_task": [({"corpus": "sample", "options": {"start_from": "x"}}, 5.0)]}
    assert status._expected(job(corpus="sample", seed=3), child) == 5


def test_a_scheduler_that_goes_away_is_told():
    from concurrent.futures import Future

    future = Future()
    future.cancel()
    assert (
        "its scheduler is gone or was closed; the same command goes on"
        in executors._outcome(future).trace
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
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: replace_text(tmp_path / "one.json", str(k)), range(400)))
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_what_is_worked_on(sweep_folder, tiny, capsys):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    ((job,),) = read_sweep(path)
    place = execution.progress_file(job)
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    with execution.claimed(job, wait=False):
        assert "running" in status.table([[job]])
    assert "todo" in status.table([[job]])
    assert not place.exists(), "a killed one's trace is gone"


def _works(pid):
    """Whether a process is there and more than a zombie."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_ctrl_c_while_another_sweep_works_on_the_job(sweep_folder, tiny):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    ((job,),) = read_sweep(path)
    outputs = (sweep_folder / "outputs").resolve()
    with execution.claimed(job, wait=False):
        process = start_sweep(path)
        for _ in range(100):
            time.sleep(0.1)
            if list((outputs / "sweeps").glob("mine-*.json")):
                break
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert "the same command goes on" in process.communicate(timeout=60)[1]
        assert process.returncode == STOPPED


@pytest.mark.parametrize(
    ("after", "sent"), [(0.05, signal.SIGINT), (0.4, signal.SIGTERM), (1.0, signal.SIGINT)]
)
def test_ctrl_c_and_sigterm_stop_at_once_and_lose_nothing(sweep_folder, tiny, after, sent):
    """While kernels start, too."""
    path = training_sweep(sweep_folder, tiny, "seeds: [1, 2, 3, 4]")
    process = start_sweep(path)
    for _ in range(200):
        time.sleep(0.1)
        if list((sweep_folder / "outputs" / "sweeps" / ".progress").glob("*.json")):
            break
    time.sleep(after)
    kernels = descendants(process.pid)
    process.send_signal(sent)
    said = process.communicate(timeout=90)[1]
    assert process.returncode == STOPPED
    assert "the same command goes on" in said
    for _ in range(100):  # they are killed, and reaped by whoever took them over
        time.sleep(0.1)
        if not (left := [pid for pid in kernels if _works(pid)]):
            break
    assert not left
    assert {state_of(job) for job in read_sweep(path)[0]} <= {"todo", "done"}
    if after == 1.0:
        assert main(["sweep", str(path), "--workers", "2"]) == 0
        assert len(results_in(sweep_folder)) == 4


def test_a_job_is_done_while_what_it_made_is_there(sweep_folder, tiny, monkeypatch):
    """Runs and silver corpora alike: a sweep makes again what was deleted."""
    ((job,),) = read_sweep(training_sweep(sweep_folder, tiny))
    outputs, said = sweep_folder / "outputs", sweep_folder / "progress.json"
    made = [outputs / "silver" / "x" / "corpus.toml", outputs / "runs" / "y" / "run.json"]
    for path in made:
        path.parent.mkdir(parents=True)
        path.touch()
    monkeypatch.setenv(VARIABLE, str(said))
    add_made(made[0])
    add_run("y")
    done = execution.executed(job.name)
    done.parent.mkdir()
    (aside := done.with_suffix(".running.ipynb")).write_text('{"cells": [], "metadata": {}}')
    execution._keep(aside, done, json.loads(said.read_text()))
    assert state_of(job) == "done"
    for path in made:
        path.unlink()
        assert state_of(job) == "todo"
        path.touch()
        assert state_of(job) == "done"
