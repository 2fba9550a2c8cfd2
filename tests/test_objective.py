"""Regularisers of the objective: label smoothing, R-Drop, noise on word embeddings."""

from dataclasses import replace

import pytest
import torch
from small_runs import small
from test_losses import batch_of

from bioner_lib import RunConfig, WorkbookError, load_corpus, run
from bioner_lib.models import Example, collate
from bioner_lib.models.batching import make_examples
from bioner_lib.models.heads import Output, plan_heads
from bioner_lib.models.losses import MultiTaskLoss, partial_label_nll
from bioner_lib.training.building import build
from bioner_lib.training.objective import Objective


@pytest.mark.parametrize("unannotated", ["mask", "marginal", "negative"])
def test_label_smoothing_by_hand(unannotated):
    logits, tags = torch.randn(1, 2, 5), torch.tensor([[0, 1]])
    annotated = torch.tensor([[True, True, True, False, False]])
    plain = partial_label_nll(logits, tags, annotated, unannotated)
    smooth = partial_label_nll(logits, tags, annotated, unannotated, smoothing=0.2)
    kept = logits[..., :3] if unannotated == "mask" else logits
    spread = -kept.log_softmax(-1).mean(-1)
    torch.testing.assert_close(smooth, 0.8 * plain + 0.2 * spread)


def test_label_smoothing_equals_torch_where_everything_is_annotated():
    logits, tags = torch.randn(2, 3, 5), torch.randint(5, (2, 3))
    everything = torch.ones(2, 5, dtype=torch.bool)
    ours = partial_label_nll(logits, tags, everything, "mask", smoothing=0.1)
    theirs = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), tags.flatten(), reduction="none", label_smoothing=0.1
    )
    torch.testing.assert_close(ours.flatten(), theirs)


def test_the_divergence_of_r_drop_by_hand():
    two = [load_corpus("sample-gene"), load_corpus("sample-disease")]
    loss_of = MultiTaskLoss(plan_heads("joint", two), two, "IOB2", "mask")
    batch = batch_of(0, {"joint": [0, 1, 2]})
    one, other = torch.randn(1, 3, 5), torch.randn(1, 3, 5)
    found = loss_of.divergence(Output({"joint": one}), Output({"joint": other}), batch)
    p, q = one[..., :3].softmax(-1), other[..., :3].softmax(-1)  # genes are what is annotated
    expected = ((p * (p / q).log()).sum() + (q * (q / p).log()).sum()) / 2 / 3
    torch.testing.assert_close(found, expected)
    same = loss_of.divergence(Output({"joint": one}), Output({"joint": one}), batch)
    assert same.item() == 0


@pytest.fixture
def parts(tiny):
    corpus = load_corpus("sample-gene", limit=8)
    config = RunConfig(corpora="sample-gene", encoder=tiny, dropout=0.0, max_length=64, overlap=8)
    plans = plan_heads("per-type", [corpus])
    tagger = build(config, plans)
    examples = make_examples(tagger.aligner, corpus.train, 0, {"Gene": ("Gene",)}, config.scheme)
    batch = collate([e for e in examples if isinstance(e, Example)], 0)
    return tagger.train(), MultiTaskLoss(plans, [corpus], config.scheme), batch


def test_without_dropout_r_drop_adds_nothing(parts):
    tagger, loss_of, batch = parts
    plain = Objective(tagger, loss_of)(batch)
    torch.testing.assert_close(Objective(tagger, loss_of, r_drop=5.0)(batch), plain)


def test_noise_raises_the_loss_more_than_random_noise_of_its_size(parts):
    tagger, loss_of, batch = parts
    plain = Objective(tagger, loss_of)(batch)
    noisy = 2 * Objective(tagger, loss_of, embedding_noise=0.1)(batch) - plain
    embeddings = tagger.encoder.get_input_embeddings()
    assert not embeddings._forward_hooks, "the hook is gone"
    size = (*batch.input_ids.shape, embeddings.embedding_dim)
    random = torch.randn(size)
    random *= 0.1 / random.norm(dim=(1, 2), keepdim=True)
    other = sum(Objective(tagger, loss_of)._noisy_parts(embeddings, random, batch, None, 1.0))
    assert noisy > plain
    assert noisy - plain > 3 * (other - plain).abs()


def test_noise_climbs_the_loss_of_the_labels_where_another_loss_is_reversed(parts, monkeypatch):
    """As with sharing="adversarial": the gradient of the discriminator's loss points downhill."""
    tagger, loss_of, batch = parts
    inner = loss_of.parts

    def reversed_too(*given):
        labels, _ = inner(*given)
        return labels, 2 * labels.detach() - 2 * labels

    plain = inner(tagger(**batch.inputs), batch)[0]
    monkeypatch.setattr(loss_of, "parts", reversed_too)
    objective = Objective(tagger, loss_of, embedding_noise=0.1)
    seen = []
    monkeypatch.setattr(
        objective, "_noisy_parts", lambda *given: seen.append(given[1]) or _noisy(objective, *given)
    )
    objective(batch)
    monkeypatch.setattr(loss_of, "parts", inner)
    worst = _noisy(objective, tagger.encoder.get_input_embeddings(), seen[1], batch, None, 1.0)[0]
    assert worst > plain


def _noisy(objective, *given):
    return Objective._noisy_parts(objective, *given)


def test_noise_teaches_the_word_embeddings(parts):
    tagger, loss_of, batch = parts
    Objective(tagger, loss_of, embedding_noise=0.1)(batch).backward()
    assert tagger.encoder.get_input_embeddings().weight.grad.abs().sum() > 0


def test_what_a_pupil_learns_by_hand():
    two = [load_corpus("sample-gene"), load_corpus("sample-disease")]
    loss_of = MultiTaskLoss(plan_heads("joint", two), two, "IOB2", "mask")
    batch = batch_of(0, {"joint": [0, 1, 2]})
    teacher, own = torch.randn(1, 3, 5), torch.randn(1, 3, 5, requires_grad=True)
    outputs = Output({"joint": teacher}), Output({"joint": own})
    found = loss_of.divergence_from(*outputs, batch)
    p, log_q = (teacher[..., :3] / 2).softmax(-1), (own[..., :3] / 2).log_softmax(-1)
    torch.testing.assert_close(found, 4 * (p * (p.log() - log_q)).sum() / 3)
    found.backward()
    assert own.grad[..., 3:].abs().sum() == 0, "of genes only"
    same = loss_of.divergence_from(outputs[0], outputs[0], batch)
    assert same.item() == 0


def test_distillation_leaves_the_auxiliary_loss_as_it_is(parts, monkeypatch):
    tagger, loss_of, batch = parts
    labels = loss_of(tagger(**batch.inputs), batch)

    def with_auxiliary(*_):
        return labels, torch.tensor(3.0)

    monkeypatch.setattr(loss_of, "parts", with_auxiliary)
    pupil = Objective(tagger, loss_of, teacher=tagger, distillation=0.25)
    torch.testing.assert_close(pupil(batch), 0.75 * labels + 3.0)


def test_a_teacher_is_no_part_of_what_learns(parts, tiny):
    tagger, loss_of, batch = parts
    corpus = load_corpus("sample-gene", limit=8)
    config = RunConfig(corpora="sample-gene", encoder=tiny, dropout=0.0, max_length=64, overlap=8)
    teacher = build(config, plan_heads("per-type", [corpus])).eval()
    teacher.heads[0].linear.bias.data[0] += 1.0
    objective = Objective(tagger, loss_of, teacher=teacher, distillation=0.25).train()
    assert len(list(objective.parameters())) == len(list(Objective(tagger, loss_of).parameters()))
    assert not teacher.training
    soft = loss_of.divergence_from(teacher(**batch.inputs), tagger(**batch.inputs), batch)
    plain = Objective(tagger, loss_of)(batch)
    torch.testing.assert_close(objective(batch), 0.75 * plain + 0.25 * soft)
    objective(batch).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert soft > 0


def test_a_pupil_of_an_ensemble(tiny, outputs):
    together = small(tiny, "sample-gene", system="ensemble", seeds=(1, 2))
    run(together, progress=False)
    pupil = replace(small(tiny, "sample-gene"), teacher=together.run_id, distillation=1.0)
    row = run(pupil, progress=False)
    assert row["parents"]["teacher"]["run_id"] == together.run_id
    assert row["self_labelled"] == {}, "it labels nothing"
    other = replace(pupil, scheme="IOB2" if pupil.scheme == "IOBES" else "IOBES")
    with pytest.raises(WorkbookError, match=r"has scheme .* a pupil that learns"):
        run(other, progress=False)


def test_impossible_combinations_are_refused():
    for field in ("label_smoothing", "r_drop", "distillation"):
        with pytest.raises(WorkbookError, match=f"{field}=0.5 compares tag probabilities"):
            RunConfig(corpora="sample", decoder="crf", teacher="x", **{field: 0.5})
    with pytest.raises(WorkbookError, match=r"distillation=0\.5 is the share of a teacher's"):
        RunConfig(corpora="sample", distillation=0.5)
    with pytest.raises(WorkbookError, match=r"r_drop=1.0 and distillation=0.5 each take"):
        RunConfig(corpora="sample", r_drop=1, teacher="x", distillation=0.5)
    with pytest.raises(WorkbookError, match="each take a second pass"):
        RunConfig(corpora="sample", r_drop=1, embedding_noise=1)
