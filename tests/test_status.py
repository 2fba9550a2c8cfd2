"""What a sweep would do and how far it is: --dry-run, --only and status."""

import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_sweeps import descendants, start_sweep, training_sweep

from bioner_lib import WorkbookError
from bioner_lib.__main__ import main
from bioner_lib.sweeps import execution, status
from bioner_lib.sweeps.jobs import Job
from bioner_lib.sweeps.reading import read_sweep

pytestmark = pytest.mark.slow


def test_dry_run_and_status(sweep_folder, tiny, capsys):
    path = training_sweep(sweep_folder, tiny, "seeds: [1, 2, 3]")
    assert main(["sweep", str(path), "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert output.count("todo") == 4
    assert "3 of unknown length" in output
    assert not list((sweep_folder / "outputs").glob("sweeps/*"))
    assert main(["sweep", str(path), "--only", "seed=1"]) == 0
    assert main(["sweep", str(path), "--dry-run", "--workers", "2"]) == 0
    output = capsys.readouterr().out
    assert "1 done, 2 todo; about" in output
    assert "unknown" not in output
    assert main(["status"]) == 0
    output = capsys.readouterr().out
    assert "over" in output
    assert "1 done" in output
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
    process, output = start_sweep(path), ""
    try:
        for _ in range(120):
            time.sleep(1)
            output = status.report()
            if "epoch" in output:
                break
    finally:
        for kernel in descendants(process.pid):
            os.kill(kernel, signal.SIGKILL)
        process.kill()
        process.communicate()
    assert "running" in output
    assert "1 running" in output
    assert re.search(r"epoch \d+/400", output)
    assert "left in this run" in output
    monkeypatch.setattr(status, "_SILENT", 0.0)
    assert "gone: last heard of" in status.report()


def test_only_takes_numbers_as_people_write_them(sweep_folder, tiny):
    (sweep_folder / "noop.ipynb").write_text(
        (sweep_folder / "small.ipynb").read_text().replace("seed: int = 13", "rate: float = 0.1")
    )
    path = sweep_folder / "noop.yaml"
    path.write_text("steps: [{notebook: noop.ipynb, grid: {rate: [3.0e-5, 0.1]}}]")
    assert [job.parameters["rate"] for job in read_sweep(path, ["rate=3e-5"])[0]] == [3e-5]


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("sead=1", "unknown parameter in --only: 'sead'; did you mean 'seed'"),
        ("seed=9", "no job matches"),
        ("seed", "expected name=value"),
    ],
)
def test_mistakes_in_only(sweep_folder, tiny, only, message):
    with pytest.raises(WorkbookError, match=message):
        read_sweep(training_sweep(sweep_folder, tiny, "seeds: [1, 2]"), [only])


def test_only_selects_jobs(sweep_folder, tiny):
    path = training_sweep(sweep_folder, tiny, "seeds: [1, 2], grid: {broken: [true, false]}")
    ((job,),) = read_sweep(path, ["seed=2", "broken=false"])
    assert job.parameters["seed"] == 2
    assert job.parameters["broken"] is False
    assert Path(job.notebook) == sweep_folder / "small.ipynb"


def test_how_long_jobs_may_take(sweep_folder, tiny):
    def job(**parameters):
        return Job(Path("30_single_task.ipynb"), parameters)

    took = {
        "30_single_task": [
            ({"corpus": "sample", "seed": 1}, 10.0),
            ({"corpus": "sample", "seed": 3}, 0.5),  # it only read a finished run
            ({"corpus": "sample", "heads": "joint"}, 30.0),
        ]
    }
    assert status._expected(job(corpus="sample", seed=2), took) == 10
    assert status._expected(job(corpus="sample", decoder="crf"), took) == 30
    assert status._expected(job(corpus="bc5cdr"), took) is None, "another corpus says nothing"
    assert status._expected(job(corpus="sample", epochs=9), took) is None
    child = {"30_single_task": [({"corpus": "sample", "options": {"start_from": "x"}}, 5.0)]}
    assert status._expected(job(corpus="sample", seed=3), child) == 5


def test_what_is_left_is_unknown_until_the_notebook_was_executed():
    """Two minutes for the lexicon say nothing about the training that follows."""
    lexicon = Job(Path("70_lexicons.ipynb"), {"gold": "nlm-gene"}, digest="a")
    runs = [Job(Path("45_published_systems.ipynb"), {"seed": i}, digest=f"{i}") for i in (1, 2)]
    real = [replace(job, parameters={**job.parameters, "corpora": "bc5cdr"}) for job in runs]
    for jobs, expected in ((runs, True), (real, False)):
        watch = status.Watch("mine", [[lexicon], jobs])
        watch._before = set()
        assert watch._left() is None
        watch.outcomes[lexicon.name] = execution.Outcome("done")
        assert (watch._left() is not None) == expected
        watch.outcomes[jobs[0].name] = execution.Outcome("done")
        assert watch._left() is not None


def test_a_running_job_is_shown(sweep_folder, tiny, capsys):
    path = training_sweep(sweep_folder, tiny, "seeds: [1]")
    ((job,),) = read_sweep(path)
    place = execution.progress_file(job)
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    with execution.claimed(job, wait=False):
        assert "running" in status.table([[job]])
    assert "todo" in status.table([[job]])
    assert not place.exists(), "a killed one's trace is gone"
