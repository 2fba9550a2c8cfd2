"""Runs that are killed, that fail or whose files are damaged, and what is left of them."""

import json
import os
import signal
import subprocess
import sys
from importlib import import_module

import pytest
import torch
from small_corpora import own_corpus
from small_runs import environment, rows_in, run_in, small, without_times

from bioner_lib import (
    WorkbookError,
    load_corpus,
)
from bioner_lib.runs.rows import forget
from bioner_lib.training import checkpoint, fitting
from bioner_lib.training import loop as training
from bioner_lib.training.fitting import fit
from bioner_lib.training.optimization import clip_gradient

ONE_RUN = """
import json, os, sys
from bioner_lib import RunConfig, run
os.environ["BIONER_OUTPUTS"] = sys.argv[2]
row = run(RunConfig(**json.loads(sys.argv[1])))
print(row["finished"])
"""

SLOW_SECOND_EPOCH = (
    """
import time
from bioner_lib.training.loop import Loop
inner = Loop.one_epoch
def slow(self, epoch, dev=None):
    if epoch == 1:
        print("second", flush=True)
        time.sleep(60)
    return inner(self, epoch, dev)
Loop.one_epoch = slow
"""
    + ONE_RUN
)


@pytest.mark.slow
def test_kill_in_the_second_epoch_then_resume_gives_the_same_row(tiny, tmp_path, monkeypatch):
    """The real thing: another process, kill -9, the same call again."""
    config = small(tiny, epochs=4)
    undisturbed = run_in(tmp_path / "whole", config)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SLOW_SECOND_EPOCH,
            json.dumps(config.as_dict()),
            str(tmp_path / "killed"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert any(line.strip() == b"second" for line in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    working = tmp_path / "killed" / "runs" / f".working-{config.run_id}"
    assert (working / "last.pt").exists()
    assert rows_in(tmp_path / "killed") == []
    starts = []
    inner = training.Loop.one_epoch

    def watched(self, epoch, dev):
        starts.append(epoch)
        return inner(self, epoch, dev)

    monkeypatch.setattr(training.Loop, "one_epoch", watched)
    resumed = run_in(tmp_path / "killed", config)
    assert starts == [1, 2, 3]
    assert not working.exists()
    assert without_times(resumed) == without_times(undisturbed)


def test_a_half_written_checkpoint_is_never_read(tiny, tmp_path, monkeypatch):
    config, corpora = small(tiny, epochs=2), [load_corpus("sample").limit(40)]
    fit(config, corpora, tmp_path, progress=False)
    (tmp_path / "last.tmp").write_bytes(b"half")
    assert len(fit(config, corpora, tmp_path, progress=False).history) == 2


def test_a_deleted_row_is_made_again(tiny, tmp_path):
    config = small(tiny, epochs=1)
    first = run_in(tmp_path, config)
    (tmp_path / "runs" / config.run_id / "run.json").unlink()
    assert without_times(run_in(tmp_path, config)) == without_times(first)


def test_killed_between_the_last_two_steps(tiny, tmp_path, monkeypatch):
    config = small(tiny, epochs=1)
    first = run_in(tmp_path, config)
    folder = tmp_path / "runs" / config.run_id
    folder.rename(folder.with_name(f".working-{config.run_id}"))
    monkeypatch.setattr(fitting, "fit", lambda *a, **k: pytest.fail("trained again"))
    assert run_in(tmp_path, config) == first
    assert (folder / "run.json").exists()


def test_disk_full_at_the_very_last_write_keeps_the_training(tiny, tmp_path, monkeypatch):
    finishing = import_module("bioner_lib.runs.run")
    config, inner = small(tiny, epochs=1, seed=99), finishing.replace_text

    def full(path, *content):
        if path.name == "run.json":
            raise OSError(28, "No space left on device", str(path))
        inner(path, *content)

    monkeypatch.setattr(finishing, "replace_text", full)
    with pytest.raises(WorkbookError, match=r"No space left on device .*what was reached is kept"):
        run_in(tmp_path, config)
    monkeypatch.setattr(finishing, "replace_text", inner)
    assert run_in(tmp_path, config)["run_id"] == config.run_id
    assert not (tmp_path / "runs" / config.run_id / "made_from.json").exists()


def test_changed_data_is_never_mistaken_for_the_old(tiny, tmp_path, monkeypatch):
    sample = load_corpus("sample").train
    config = small(tiny, corpora=own_corpus(tmp_path / "mine", sample[:20]), limit=0, epochs=2)
    run_in(tmp_path / "o", config)
    own_corpus(tmp_path / "mine", sample[:25])
    with pytest.raises(
        WorkbookError, match=r"has changed since: data / mine / fingerprint: .*forget\("
    ):
        run_in(tmp_path / "o", config)
    with environment(BIONER_OUTPUTS=tmp_path / "o"):
        forget(config.run_id)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Loop, "one_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path / "o", config)
    own_corpus(tmp_path / "mine", sample[:20])
    with pytest.raises(WorkbookError, match="has changed since"):
        run_in(tmp_path / "o", config)


def test_a_gradient_that_is_not_finite_never_reaches_the_checkpoint(tiny, tmp_path, monkeypatch):
    config, calls = small(tiny, epochs=3), []

    def broken(*arguments):
        calls.append(1)
        return clip_gradient(*arguments) * (float("inf") if len(calls) == 10 else 1.0)

    monkeypatch.setattr("bioner_lib.training.loop.clip_gradient", broken)
    with pytest.raises(WorkbookError, match="gradient is inf in epoch 2, step 5"):
        run_in(tmp_path, config)
    state = torch.load(
        tmp_path / "runs" / f".working-{config.run_id}" / "last.pt", weights_only=True
    )
    assert len(json.loads(state["history"])) == 1
    assert all(value.isfinite().all() for value in state["model"].values())


def test_damaged_checkpoints_are_named(tiny, tmp_path, monkeypatch):
    config = small(tiny, epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr("bioner_lib.runs.run._Maker._score", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_in(tmp_path, config)
    (last,) = tmp_path.glob("runs/.working-*/last.pt")
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(
        WorkbookError, match=rf"last.pt is damaged .*forget; forget\('{config.run_id}'\)"
    ):
        run_in(tmp_path, config)
    with environment(BIONER_OUTPUTS=tmp_path):
        forget(config.run_id)
    assert run_in(tmp_path, config)["scores"]


@pytest.mark.slow
def test_two_processes_share_one_run(tiny, tmp_path):
    config = small(tiny, epochs=2)
    call = [sys.executable, "-c", ONE_RUN, json.dumps(config.as_dict()), str(tmp_path)]
    processes = [
        subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate() for process in processes]
    assert all(process.returncode == 0 for process in processes), answers
    assert len({out.splitlines()[-1] for out, _ in answers}) == 1, (
        "one worked, the other read its row"
    )
    assert "waiting for it" in "".join(err for _, err in answers)


def test_non_finite_loss_stops_and_names_step_and_batch(tiny, tmp_path, monkeypatch):
    config, inner = small(tiny, epochs=3), training.MultiTaskLoss.parts
    calls = []

    def broken(self, logits, batch, *more):
        calls.append(1)
        labels, auxiliary = inner(self, logits, batch, *more)
        return labels * (float("nan") if len(calls) > 7 else 1.0), auxiliary

    monkeypatch.setattr(training.MultiTaskLoss, "parts", broken)
    with pytest.raises(
        WorkbookError,
        match=r"loss is nan in epoch 2, step 3, batch of \d+ windows .* of 'sample'"
        r".*checkpoint is kept",
    ):
        run_in(tmp_path, config)
    monkeypatch.setattr(training.MultiTaskLoss, "parts", inner)
    assert (tmp_path / "runs" / f".working-{config.run_id}" / "last.pt").exists()
    assert len(run_in(tmp_path, config)["history"]) == 3


def test_disk_full_is_named_and_loses_nothing(tiny, tmp_path, monkeypatch):
    config, inner = small(tiny, epochs=2), checkpoint._write
    written = []

    def full(path, content):
        written.append(path)
        if len(written) > 2:
            raise OSError(28, "No space left on device", str(path))
        inner(path, content)

    monkeypatch.setattr(checkpoint, "_write", full)
    with pytest.raises(WorkbookError, match=r"No space left on device .*BIONER_OUTPUTS"):
        run_in(tmp_path, config)
    monkeypatch.setattr(checkpoint, "_write", inner)
    assert len(run_in(tmp_path, config)["history"]) == 2


def test_outputs_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbookError, match=r"can't write to .*BIONER_OUTPUTS"):
        run_in(tmp_path / "file" / "outputs", small(tiny, epochs=3))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_read_only_outputs(tiny, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WorkbookError, match="can't write to"):
        run_in(tmp_path / "outputs", small(tiny, epochs=3))


def test_seconds_of_restored_epochs_are_told(tiny, tmp_path):
    config, corpora = small(tiny, epochs=2), [load_corpus("sample").limit(40)]

    def killed(epoch, _):
        if epoch == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(config, corpora, tmp_path, progress=False, after=killed)
    fitted = fit(config, corpora, tmp_path, progress=False)
    assert fitted.restored == fitted.history[0]["seconds"] > 0
    assert fit(config, corpora, progress=False).restored == 0
