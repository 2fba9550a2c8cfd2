"""What a tracker is told: which values, at which steps."""

import pytest
import torch
from small_runs import run_in, small
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bioner_lib import load_corpus
from bioner_lib.training.loop import Loop
from bioner_lib.training.tracking import due

STEP_TAGS = {"loss", "learning_rate", "gradient_norm"}


def events_in(outputs, run_id) -> dict[str, dict[int, float]]:
    """Tag -> step -> value of a run's event files."""
    found: dict[str, dict[int, float]] = {}
    for file in (outputs / "tensorboard" / run_id).rglob("events.out.tfevents*"):
        events = EventAccumulator(str(file)).Reload()
        for tag in events.Tags()["scalars"]:
            values = {event.step: event.value for event in events.Scalars(tag)}
            found[tag] = found.get(tag, {}) | values
    return found


def tracked_loop(config):
    """A loop whose tracker keeps what it is told in a list of (values, step)."""
    corpora = [load_corpus(name).limit(config.limit) for name in config.corpora]
    loop, told = Loop(config, corpora, progress=False), []
    loop.tracking.track = "tensorboard"
    loop.accelerator.log = lambda values, step: told.append((values, step))
    return loop, told


@pytest.mark.parametrize(
    ("epoch", "steps", "expected"),
    [
        (0, 40, {1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40}),
        (1, 40, {4, 8, 12, 16, 20, 24, 28, 32, 36, 40}),
        (0, 25, {1, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25}),
        (3, 3, {1, 2, 3}),
        (0, 1, {1}),
    ],
)
def test_the_first_step_and_each_tenth_of_an_epoch_are_told(epoch, steps, expected):
    assert due(epoch, steps) == expected


def test_tensorboard_holds_the_curves_of_a_training(tiny, tmp_path, capsys):
    """40 batches, 2 a step: 20 steps per epoch."""
    corpora = ["sample-gene", "sample:Disease+Chemical"]
    config = small(tiny, corpora, epochs=2, limit=80, batch_size=4, accumulate=2)
    row = run_in(tmp_path, config, track="tensorboard", progress=True)
    assert "epoch 2/2  loss" in capsys.readouterr().out
    assert [record["steps"] for record in row["history"]] == [20, 20]
    events = events_in(tmp_path, config.run_id)
    for tag in STEP_TAGS:
        assert list(events[tag]) == [1, *range(2, 41, 2)], tag
        assert min(events[tag].values()) >= 0
    assert max(events["learning_rate"].values()) == pytest.approx(config.learning_rate)
    asked = {
        "sample-gene": ("Gene", "micro"),
        "sample:Disease+Chemical": ("Disease", "Chemical", "micro"),
    }
    expected = {
        f"dev {corpus}/{type}/{measure}"
        for corpus, types in asked.items()
        for type in types
        for measure in ("precision", "recall", "f1")
    }
    assert set(events) == STEP_TAGS | {"dev F1 mean"} | expected
    best = max(row["history"], key=lambda record: record["dev"]["mean"])
    for corpus, types in asked.items():
        curve = events[f"dev {corpus}/micro/f1"]
        dev = [record["dev"][corpus] for record in row["history"]]
        assert list(curve) == [20, 40]
        assert list(curve.values()) == pytest.approx(dev)
        scores = row["scores"][corpus]["dev"]["types"]
        for type in types:
            for measure in ("precision", "recall", "f1"):
                values = list(events[f"dev {corpus}/{type}/{measure}"].values())
                assert values[best["epoch"]] == pytest.approx(scores[type][measure])


def test_told_losses_norms_and_rates_are_those_of_their_steps(tiny, monkeypatch):
    config = small(tiny, epochs=2, limit=96, batch_size=2, precision="fp32", dropout=0.0)
    loop, told = tracked_loop(config)
    losses, norms, rates = [], [], []
    loss_of, update = loop._loss, loop._update

    def watched_loss(examples):
        loss = loss_of(examples)
        losses.append(float(loss.detach()))
        return loss

    def watched_update():
        rates.append(loop.optimizer.param_groups[0]["lr"])
        norm = update()
        norms.append(float(norm))
        return norm

    monkeypatch.setattr(loop, "_loss", watched_loss)
    monkeypatch.setattr(loop, "_update", watched_update)
    steps = loop.one_epoch(0)["steps"]
    loop.one_epoch(1)
    assert [step for _, step in told[:3]] == [1, *sorted(due(1, steps))[:2]]
    before = 0
    for values, step in told:
        mean = sum(losses[before:step]) / (step - before)
        assert values["loss"] == pytest.approx(mean, rel=1e-3), step
        assert values["gradient_norm"] == norms[step - 1]
        assert values["learning_rate"] == rates[step - 1]
        before = step


def test_tensors_are_read_only_at_steps_that_are_told(tiny, monkeypatch):
    """On a GPU each reading waits for the kernels before it."""
    config = small(tiny, epochs=1, limit=96, batch_size=2)
    loop, told = tracked_loop(config)
    steps = len(loop.batches(0))
    reading, inner = [], torch.Tensor.__float__
    monkeypatch.setattr(
        torch.Tensor, "__float__", lambda self: reading.append(1) or inner(self), raising=False
    )
    loop.one_epoch(0)
    told_readings = 2 * len(told)
    others = steps // 20 + 1
    assert len(reading) <= told_readings + others < steps


def test_without_a_tracker_nothing_is_told(tiny, tmp_path):
    run_in(tmp_path, small(tiny, limit=16))
    assert not (tmp_path / "tensorboard").exists()
