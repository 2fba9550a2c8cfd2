"""The training loop: the parts of a step, the choice of an epoch, what a resumed run restores."""

import math
import random

import numpy as np
import pytest
import torch

from bioner_lib import RunConfig, load_corpus
from bioner_lib.models.batching import collate
from bioner_lib.models.heads import Prediction, plan_heads
from bioner_lib.training import loop as training
from bioner_lib.training.building import build, seed_everything
from bioner_lib.training.choosing import dev_f1, dev_scores
from bioner_lib.training.fitting import cost_of, fit
from bioner_lib.training.loop import Loop

NAMES = ("sample-gene", "sample-disease")


def test_an_epoch_is_chosen_on_types_that_a_head_knows():
    """Others would count as missed, and favour recall."""
    corpus = load_corpus("sample")
    is_disease = [[span for span in s.spans if span.type == "Disease"] for s in corpus.dev]

    class Perfect:
        plans = plan_heads("per-type", [load_corpus("sample-disease")])

        def cut(self, sentences):
            return []

        def predict(self, cut, corpus, types, autocast):
            return [[Prediction(*span, 1.0) for span in spans] for spans in is_disease]

    found = dev_scores(Perfect(), [corpus.dev], [corpus], None)["sample"]
    assert found["micro"]["f1"] == 1 and set(found) == {"Disease", "micro", "macro"}


def config_for(tiny, **changes):
    options = {
        "epochs": 2,
        "learning_rate": 3e-3,
        "limit": 24,
        "max_length": 64,
        "overlap": 8,
        "batch_size": 8,
        "precision": "fp32",
    }
    return RunConfig(**{"corpora": NAMES, "encoder": tiny, "dropout": 0.0} | options | changes)


def corpora_for(config):
    return [load_corpus(name).limit(config.limit) for name in config.corpora]


def loop_for(config):
    return Loop(config, corpora_for(config), progress=False)


def gradients(model):
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: grad.to_dense().clone() for name, grad in found.items()}


def test_accumulated_gradients_are_the_mean_of_the_batches(tiny, monkeypatch):
    """Three batches a step, and a last step with the two that are left."""
    config = config_for(
        tiny, accumulate=3, clip=1e9, learning_rate=1e-12
    )  # the weights stay where they are
    loop = loop_for(config)
    batches = loop.batches(0)[:5]
    monkeypatch.setattr(loop, "batches", lambda epoch: batches)
    single = []
    loop.model.train()
    for examples in batches:
        loop.model.zero_grad()
        loop.model(collate(examples, 0)).backward()
        single.append(gradients(loop.model))
    loop.model.zero_grad()
    stepped = []
    loop.optimizer.register_step_pre_hook(lambda *_: stepped.append(gradients(loop.model)))
    assert loop.one_epoch(0)["steps"] == 2
    for taken, parts in zip(stepped, (single[:3], single[3:]), strict=True):
        for name, gradient in taken.items():
            mean = sum(part[name] for part in parts if name in part) / len(parts)
            torch.testing.assert_close(gradient, mean, atol=1e-6, rtol=1e-4)


def test_gradients_are_clipped_to_the_norm_that_was_asked_for(tiny):
    loop = loop_for(config_for(tiny, clip=0.01))
    norms = []

    def watch(*_):
        norms.append(math.sqrt(sum(g.norm() ** 2 for g in gradients(loop.model).values())))

    loop.optimizer.register_step_pre_hook(watch)
    loop.one_epoch(0)
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_an_epoch_is_chosen_on_all_corpora_alike(tiny, monkeypatch):
    """Perfect on the second corpus, nothing on the first: the mean counts, not one of them."""
    config = config_for(tiny)
    corpora = corpora_for(config)
    tagger = build(config, plan_heads(config.heads, corpora))

    def predict(tokens, name, types, **_):
        gold = {tuple(s.tokens): s.spans for s in corpora[1].dev}
        return [
            [(*span, 1.0) for span in gold[tuple(words)]] if name == NAMES[1] else []
            for words in tokens
        ]

    monkeypatch.setattr(tagger, "predict", predict)
    assert dev_f1(tagger, [corpus.dev for corpus in corpora], corpora, None) == {
        NAMES[0]: 0.0,
        NAMES[1]: 1.0,
        "mean": 0.5,
    }


def test_learned_loss_weights_are_restored_on_resuming(tiny, tmp_path, monkeypatch):
    """A resumed run ends with the same log-variances as an uninterrupted one."""
    config = config_for(tiny, loss_weights="uncertainty", epochs=3)
    ends = []
    inner = Loop.one_epoch

    def watched(self, epoch, dev=None):
        if epoch == 2 and stop:
            raise KeyboardInterrupt
        record = inner(self, epoch, dev)
        ends.append(self.loss_of.log_variances.detach().clone())
        return record

    monkeypatch.setattr(Loop, "one_epoch", watched)
    stop = False
    whole = fit(config, corpora_for(config), tmp_path / "whole", progress=False).history
    undisturbed = ends[-1]
    stop = True
    with pytest.raises(KeyboardInterrupt):
        fit(config, corpora_for(config), tmp_path / "cut", progress=False)
    stop = False
    resumed = fit(config, corpora_for(config), tmp_path / "cut", progress=False).history
    assert undisturbed.abs().min() > 1e-3, "they have learned something"
    assert torch.equal(ends[-1], undisturbed)
    assert [record["loss"] for record in resumed] == [record["loss"] for record in whole]


def test_weight_decay_is_for_matrices_and_log_variances_have_their_own_rate(tiny):
    loop = loop_for(config_for(tiny, loss_weights="uncertainty", weight_decay=0.3, decoder="crf"))
    matrices, rest, variances = loop.optimizer.param_groups
    assert [group["weight_decay"] for group in (matrices, rest, variances)] == [0.3, 0.0, 0.0]
    assert all(p.ndim >= 2 for p in matrices["params"])
    names = {id(p): name for name, p in loop.model.named_parameters()}
    small = [names[id(p)] for p in rest["params"]]
    assert any(name.endswith("transitions") for name in small)
    assert all(name.endswith(("bias", "transitions")) or "norm" in name.lower() for name in small)
    assert [names[id(p)] for p in variances["params"]] == ["loss_of.log_variances"]
    assert variances["initial_lr"] == 1e-2
    assert matrices["initial_lr"] == rest["initial_lr"] == 3e-3
    assert names[id(loop.rows.weight)].endswith("word_embeddings.weight")
    # every parameter is in a group, or the table of word embeddings
    assert len(small) + len(matrices["params"]) + 2 == len(names)


def test_an_epochs_batches_follow_from_seed_and_epoch(tiny):
    def order(config, epoch):
        return [
            [(e.corpus, e.window.sentence) for e in batch]
            for batch in loop_for(config).batches(epoch)
        ]

    config = config_for(tiny)
    assert order(config, 1) == order(config, 1)
    assert order(config, 0) != order(config, 1)
    assert order(config, 0) != order(config_for(tiny, seed=14), 0)


def test_what_an_epoch_reports(tiny):
    loop = loop_for(config_for(tiny))
    batches = loop.batches(0)
    record = loop.one_epoch(0)
    assert record["pieces"] == sum(len(e.window.input_ids) for batch in batches for e in batch)
    assert record["steps"] == len(batches)
    assert record["training_seconds"] > 0
    loop = loop_for(config_for(tiny, learning_rate=1e-12))
    loop.model.train()
    losses = [loop.model(collate(batch, 0)).item() for batch in loop.batches(0)]
    assert loop.one_epoch(0)["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4), (
        "the mean over batches"
    )


def test_the_learning_rate_ends_at_zero_where_epochs_have_other_numbers_of_batches(tiny):
    """`max_pieces` cuts batches, and each epoch's batches are other ones."""
    cut = {"batch_size": 4, "max_pieces": 128, "limit": 80, "seed": 13}
    loop = loop_for(config_for(tiny, epochs=3, **cut))
    counts = [len(loop.batches(epoch)) for epoch in range(3)]
    assert sum(counts) > 3 * counts[0], counts
    for epoch in range(3):
        assert loop.one_epoch(epoch)["steps"] == counts[epoch]
    assert loop.scheduler.get_last_lr()[0] == 0
    assert loop.tracking.before == sum(counts[:2])


def test_seeds_and_epochs_give_different_random_numbers():
    drawn = set()
    for seed in (13, 42):
        for epoch in range(5):
            seed_everything(seed, epoch)
            drawn.add((random.random(), float(np.random.rand()), float(torch.rand(1))))
    assert len(drawn) == 10
    for part in range(3):
        assert len({values[part] for values in drawn}) == 10, "each of the three"


def test_dev_is_read_by_the_corpus_own_head_in_training_precision(tiny, monkeypatch):
    config = config_for(tiny)
    corpora = corpora_for(config)
    tagger = build(config, plan_heads(config.heads, corpora))
    asked = []

    def predict(tokens, *given, **more):
        asked.append((len(tokens), *given, more))
        return [[] for _ in tokens]

    monkeypatch.setattr(tagger, "predict", predict)
    dev_f1(tagger, [corpus.dev for corpus in corpora], corpora, torch.bfloat16)
    assert asked == [
        (len(c.dev), c.name, list(c.types), {"autocast": torch.bfloat16}) for c in corpora
    ]
    with pytest.raises(ValueError, match="longer than argument"):
        dev_f1(tagger, [corpora[0].dev], corpora, None)


def test_precision_is_what_the_loss_is_computed_in(tiny, monkeypatch):
    dtypes = []
    inner = training.Objective.forward

    def watched(self, *given):
        dtypes.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return inner(self, *given)

    monkeypatch.setattr(training.Objective, "forward", watched)
    for precision, seen in (("bf16", (True, torch.bfloat16)), ("fp32", (False, torch.bfloat16))):
        dtypes.clear()
        loop_for(config_for(tiny, precision=precision)).one_epoch(0)
        assert set(dtypes) == {seen}


def test_the_cost_of_a_training_by_hand():
    record = {
        "training_seconds": 2.0,
        "seconds": 3.0,
        "process_seconds": 2.5,
        "pieces": 100,
        "steps": 7,
        "joules": 5.0,
    }
    cost = cost_of([record, record])
    assert cost == {
        "joules": 10.0,
        "seconds": 6.0,
        "process_seconds": 5.0,
        "pieces_per_second": 50.0,
        "steps": 14,
    }
    assert cost_of([record, record | {"joules": None}])["joules"] is None
    assert cost_of([])["joules"] is None


def test_progress_is_shown(tiny, monkeypatch, capsys):
    loop = loop_for(config_for(tiny, batch_size=1, limit=40))
    shown = []
    monkeypatch.setattr(
        "tqdm.std.tqdm.set_postfix", lambda self, values, refresh: shown.append(values)
    )
    loop.progress = True
    loop.one_epoch(0, 0.5)
    assert len(shown) == len(loop.batches(0)) // 20
    assert all(values["dev F1"] == "50.00" and float(values["loss"]) > 0 for values in shown)
    assert "epoch 1/2" in capsys.readouterr().err


def test_the_dropout_of_a_second_phase_is_its_own(tiny, outputs):
    config = config_for(tiny, dropout=0.3)
    plans = plan_heads(config.heads, corpora_for(config))
    build(config, plans).save_pretrained(outputs / "runs" / "first" / "model")
    second = build(config_for(tiny, start_from="first", dropout=0.2), plans)
    assert {m.p for m in second.modules() if isinstance(m, torch.nn.Dropout)} == {0.2}
