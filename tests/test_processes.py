"""One run in two processes."""

import json
import math
import os
import subprocess
import sys
import time

import pytest
from small_runs import rows_in
from small_sweeps import sweep, write_notebook

from bioner_lib import RunConfig, load_corpus, run
from bioner_lib.models.batching import epoch_batches, make_examples
from bioner_lib.models.heads import plan_heads
from bioner_lib.training import processes
from bioner_lib.training.building import build
from bioner_lib.training.shares import Share, share_of

pytestmark = pytest.mark.slow
FIELDS = {
    "epochs": 2,
    "limit": 40,
    "max_length": 128,
    "overlap": 16,
    "precision": "fp32",
    "dropout": 0.0,
    "batch_size": 7,
}


def together(outputs, config, n=2, more=()):
    """torchrun on the command line."""
    arguments = [f"{name}={json.dumps(value)}" for name, value in config.items()]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        str(n),
        "-m",
        "bioner_lib",
        "run",
        *arguments,
        *more,
    ]
    environment = os.environ | {
        "BIONER_OUTPUTS": str(outputs),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    "more",
    [
        {"corpora": ["sample-gene", "sample-disease"], "heads": "per-type", "accumulate": 2},
        {
            "corpora": ["sample-gene", "sample-disease"],
            "heads": "per-type",
            "sharing": "private",
            "decoder": "crf",
            "unannotated": "marginal",
        },
    ],
)
def test_two_processes_give_the_losses_of_one(tiny, tmp_path, outputs, more):
    """With equal global batches, losses agree within 1e-4 and the same epoch is chosen.

    The spans are nearly the same, and a head without data in a step doesn't change.
    """
    config = FIELDS | more | {"encoder": str(tiny)}
    done = together(tmp_path / "two", config, more=["--track", "tensorboard"])
    assert done.returncode == 0, done.stderr[-3000:]
    assert list((tmp_path / "two" / "tensorboard").rglob("events*"))
    (two,) = rows_in(tmp_path / "two")
    one = run(RunConfig(**config), progress=False)
    assert two["device"]["processes"] == 2
    assert one["device"]["processes"] == 1
    assert two["run_id"] == one["run_id"]
    assert [e["loss"] for e in two["history"]] == pytest.approx(
        [e["loss"] for e in one["history"]], abs=2e-4
    )
    assert [e["steps"] for e in two["history"]] == [e["steps"] for e in one["history"]]
    for before, after in zip(one["history"], two["history"], strict=True):
        assert after["dev"] == pytest.approx(before["dev"], abs=0.02)
    assert done.stdout.count("row: runs/") == 1
    log = (tmp_path / "two" / "logs" / f"{two['run_id']}.log").read_text()
    assert [log.count(text) for text in ("# 20", "epoch 2/2  loss", "row: runs/")] == [1, 1, 1]
    again = together(tmp_path / "two", config)
    assert again.returncode == 0
    assert rows_in(tmp_path / "two") == [two], "a finished run is only read"


def test_shares_add_up(tiny, monkeypatch):
    """Each example is used once, and losses are divided by the counts of the whole batch.

    A process without examples adds no gradient.
    """
    corpus = load_corpus("sample").limit(10)
    config = RunConfig(corpora="sample", encoder=str(tiny), max_length=128, overlap=16)
    tagger = build(config, plan_heads("joint", [corpus]))
    examples = make_examples(tagger.aligner, corpus.train, 0, {"x": corpus.types}, "IOBES")
    (batch, *_) = epoch_batches([examples], 0, 13, 5, 4096, "proportional", 2.0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = []
    for i in range(2):
        monkeypatch.setenv("RANK", str(i))
        shares.append(share_of(batch))
    used = [example for share in shares for example in share.examples]
    assert sorted(map(id, batch)) == sorted(map(id, used))
    words = sum(len(example.window.positions) for example in batch)
    assert {share.words for share in shares} == {words / 2}
    assert sum(share.weight for share in shares) == pytest.approx(2)
    assert len({share.weight for share in shares}) == 2
    assert share_of(batch[:1]) == Share(batch[:1], math.inf, 0.0)


def test_a_mistake_ends_all_processes(tiny, tmp_path):
    done = together(tmp_path, FIELDS | {"corpora": "sampel", "encoder": str(tiny)})
    assert done.returncode != 0
    assert "did you mean 'sample'" in done.stderr
    assert not rows_in(tmp_path)


CELLS = [
    "seed: int = 13  # of the run\noptions: dict = {}  # fields of RunConfig",
    "from bioner_lib import RunConfig, run\nfrom bioner_lib.training.processes import launch",
    "launch(run, RunConfig(seed=seed, **options), 2)",
]


def sweep_of_launches(folder, config, seeds):
    """A notebook that launches two ranks, and a sweep of it."""
    write_notebook(folder / "launch.ipynb", CELLS)
    parameters = f"{{options: {json.dumps(config)}}}"
    step = f"{{notebook: launch.ipynb, parameters: {parameters}, seeds: {seeds}}}"
    return sweep(folder, f"steps: [{step}]")


def swept(path):
    environment = os.environ | {
        "BIONER_OUTPUTS": str(path.parent / "outputs"),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    call = [sys.executable, "-m", "bioner_lib", "sweep", str(path), "--workers", "2"]
    return subprocess.Popen(
        call, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def test_ranks_die_with_their_kernel_and_the_same_call_goes_on(tiny, tmp_path):
    """After kill -9 on the kernel, no process is left, and the run's lock and port are free."""
    import psutil

    path = sweep_of_launches(
        tmp_path, FIELDS | {"corpora": "sample", "encoder": str(tiny), "epochs": 8}, [1]
    )
    first = swept(path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("outputs/runs/.working-*/last.pt")):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kernel, *ranks = psutil.Process(first.pid).children(recursive=True)
    assert len(ranks) >= 2
    kernel.kill()
    _, left = psutil.wait_procs([kernel, *ranks], timeout=5)
    alive = [
        process
        for process in left
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]
    for process in alive:
        process.kill()
    assert not alive
    assert first.wait(timeout=60) == 1
    assert rows_in(tmp_path / "outputs") == [], "the kill hit a run that was going on"
    assert swept(path).wait(timeout=300) == 0
    (row,) = rows_in(tmp_path / "outputs")
    assert len(row["history"]) == 8
    assert row["device"]["processes"] == 2


def test_two_launches_side_by_side_both_finish(tiny, tmp_path):
    """Each over a port of its own."""
    path = sweep_of_launches(
        tmp_path, FIELDS | {"corpora": "sample", "encoder": str(tiny), "epochs": 1}, [1, 2]
    )
    assert swept(path).wait(timeout=300) == 0
    assert len(rows_in(tmp_path / "outputs")) == 2


def test_a_thread_watches_the_parent_where_the_kernel_cannot(monkeypatch):
    ended = []
    parents = iter([7, 7, 1])
    monkeypatch.setattr(processes.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(processes.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(processes.os, "_exit", ended.append)
    processes._watch(7)
    assert ended == [1]


def test_one_process_needs_no_others():
    processes.join()
    assert (processes.count(), processes.rank(), processes.tell("x"), processes.gather([1, 2])) == (
        1,
        0,
        "x",
        [1, 2],
    )
