import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.data.batching import IGNORED, Batch
from bioner_lib.data.schemes import tag_names
from bioner_lib.models.heads import plan_heads
from bioner_lib.models.losses import UNANNOTATED, MultiTaskLoss, partial_label_nll


def brute_force(logits, tag, annotated, unannotated):
    """The formulas of the module's docstring, tag by tag."""
    weights = [math.exp(x) for x in logits]
    everything = range(len(logits))
    support = [t for t in everything if annotated[t]] if unannotated == "mask" else everything
    gold = [tag]
    if unannotated == "marginal" and tag == 0:
        gold = [0] + [t for t in everything if not annotated[t]]
    return -math.log(sum(weights[t] for t in gold) / sum(weights[t] for t in support))


@settings(deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(UNANNOTATED))
def test_equals_brute_force(seed, unannotated):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 4, 5, generator=generator)
    annotated = torch.rand(3, 5, generator=generator) < 0.6
    annotated[:, 0] = True
    tags = torch.randint(5, (3, 4), generator=generator)
    tags[~annotated.gather(1, tags)] = 0
    nll = partial_label_nll(logits, tags, annotated, unannotated)
    for b in range(3):
        for n in range(4):
            assert nll[b, n].item() == pytest.approx(
                brute_force(logits[b, n].tolist(), tags[b, n].item(), annotated[b].tolist(), unannotated), abs=1e-5
            )


@pytest.mark.parametrize("unannotated", UNANNOTATED)
def test_full_annotation_is_plain_cross_entropy(unannotated):
    logits, tags = torch.randn(2, 3, 5), torch.randint(5, (2, 3))
    tags[0, 2] = IGNORED
    ours = partial_label_nll(logits, tags, torch.ones(2, 5, dtype=torch.bool), unannotated)
    theirs = torch.nn.functional.cross_entropy(logits.reshape(-1, 5), tags.reshape(-1), ignore_index=IGNORED, reduction="none").reshape(
        2, 3
    )
    torch.testing.assert_close(ours, theirs)


def batch_of(corpus_index, tags_by_head, words=3):
    valid = torch.ones(1, words, dtype=torch.bool)
    ids = torch.zeros(1, words, dtype=torch.long)
    return Batch(ids, ids, ids, valid, torch.tensor([corpus_index]), {head: torch.tensor([tags]) for head, tags in tags_by_head.items()})


@pytest.fixture
def two():
    return [load_corpus("sample-gene"), load_corpus("sample-disease")]


@pytest.mark.parametrize(("unannotated", "learns"), [("mask", False), ("marginal", False), ("negative", True)])
def test_silence_teaches_a_head_nothing_unless_negative(two, unannotated, learns):
    plans = plan_heads("per-type", two)
    loss_of = MultiTaskLoss(plans, two, "IOB2", unannotated)
    logits = {plan.name: torch.randn(1, 3, 3, requires_grad=True) for plan in plans}
    loss_of(logits, batch_of(0, {"Gene": [0, 1, 2], "Disease": [0, 0, 0]})).backward()
    assert logits["Gene"].grad.abs().sum() > 0
    assert (logits["Disease"].grad is not None and logits["Disease"].grad.abs().sum().item() > 0) == learns


@pytest.mark.parametrize("unannotated", ["mask", "marginal"])
def test_joint_head_isnt_told_that_the_unannotated_is_absent(two, unannotated):
    plans = plan_heads("joint", two)
    tags = tag_names(plans[0].types)
    logits = torch.randn(1, 3, len(tags), requires_grad=True)
    MultiTaskLoss(plans, two, "IOB2", unannotated)({"joint": logits}, batch_of(0, {"joint": [0, 0, 0]})).backward()
    disease = [i for i, tag in enumerate(tags) if tag.endswith("Disease")]
    assert (logits.grad[..., disease] <= 0).all(), "no push against tags that this corpus doesn't annotate"


def test_a_corpus_own_head_ignores_other_corpora(two):
    plans = plan_heads("per-corpus", two)
    loss_of = MultiTaskLoss(plans, two, "IOB2", "negative")
    logits = {plan.name: torch.randn(1, 3, 3, requires_grad=True) for plan in plans}
    loss_of(logits, batch_of(1, {"sample-gene": [0, 0, 0], "sample-disease": [1, 0, 0]})).backward()
    assert logits["sample-gene"].grad is None or not logits["sample-gene"].grad.any()
    assert logits["sample-disease"].grad.any()


def test_loss_over_nothing_is_zero(two):
    plans = plan_heads("per-type", two)[:1]
    logits = {"Gene": torch.randn(1, 3, 3, requires_grad=True)}
    loss = MultiTaskLoss(plans, two, "IOB2")(logits, batch_of(1, {"Gene": [0, 0, 0]}))
    loss.backward()
    assert loss.item() == 0.0 and not logits["Gene"].grad.any()


def test_weights(two):
    plans = plan_heads("per-type", two)
    logits = {plan.name: torch.randn(1, 3, 3) for plan in plans}
    batch = batch_of(0, {"Gene": [0, 1, 2], "Disease": [0, 0, 0]})
    once, twice = (MultiTaskLoss(plans, two, "IOB2", loss_weights={"Gene": w})(logits, batch) for w in (1, 2))
    torch.testing.assert_close(2 * once, twice)
    with pytest.raises(WorkbookError, match="unknown head in loss_weights 'gene'; did you mean 'Gene'"):
        MultiTaskLoss(plans, two, "IOB2", loss_weights={"gene": 1})
    with pytest.raises(WorkbookError, match="'Gene' is -1"):
        MultiTaskLoss(plans, two, "IOB2", loss_weights={"Gene": -1})
