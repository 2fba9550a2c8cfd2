"""Sweeps that are killed, interrupted or shared between processes."""

import os
import random
import signal
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from small_sweeps import add_second_step, descendants, results_in, start_sweep, training_sweep

from bioner_lib.__main__ import MISTAKE, STOPPED, main
from bioner_lib.sweeps import execution, executors
from bioner_lib.sweeps.execution import state_of
from bioner_lib.sweeps.executors import opened, run_sweep
from bioner_lib.sweeps.reading import read_sweep

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
    errors = last.communicate(timeout=300)[1]
    assert last.returncode == 0, errors
    killed = results_in(sweep_folder)
    assert len(killed) == 2 * len(seeds)
    assert not list((sweep_folder / "outputs" / "runs").glob(".working*"))
    notebooks = sorted(file.name for file in (sweep_folder / "outputs" / "notebooks").iterdir())
    assert len(notebooks) == 2 * len(seeds)
    assert not any("running" in name or "failed" in name for name in notebooks)
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


def test_a_scheduler_that_goes_away_is_named():
    future = Future()
    future.cancel()
    assert (
        "its scheduler is gone or was closed; the same command goes on"
        in executors._outcome(future).trace
    )


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
    errors = process.communicate(timeout=90)[1]
    assert process.returncode == STOPPED
    assert "the same command goes on" in errors
    for _ in range(100):  # they are killed, and reaped by whoever took them over
        time.sleep(0.1)
        if not (left := [pid for pid in kernels if _works(pid)]):
            break
    assert not left
    assert {state_of(job) for job in read_sweep(path)[0]} <= {"todo", "done"}
    if after == 1.0:
        assert main(["sweep", str(path), "--workers", "2"]) == 0
        assert len(results_in(sweep_folder)) == 4
