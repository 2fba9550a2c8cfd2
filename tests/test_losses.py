import math
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.choices import UNANNOTATED
from bioner_lib.corpora.schemes import tag_names, to_tags
from bioner_lib.models.batching import IGNORED, Batch
from bioner_lib.models.heads import Chain, Head, Output, plan_heads
from bioner_lib.models.losses import MultiTaskLoss, partial_label_nll


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
                brute_force(
                    logits[b, n].tolist(), tags[b, n].item(), annotated[b].tolist(), unannotated
                ),
                abs=1e-5,
            )


@pytest.mark.parametrize("unannotated", UNANNOTATED)
def test_full_annotation_is_plain_cross_entropy(unannotated):
    logits, tags = torch.randn(2, 3, 5), torch.randint(5, (2, 3))
    tags[0, 2] = IGNORED
    ours = partial_label_nll(logits, tags, torch.ones(2, 5, dtype=torch.bool), unannotated)
    theirs = torch.nn.functional.cross_entropy(
        logits.reshape(-1, 5), tags.reshape(-1), ignore_index=IGNORED, reduction="none"
    ).reshape(2, 3)
    torch.testing.assert_close(ours, theirs)


def batch_of(corpus_index, tags_by_head, words=3):
    valid = torch.ones(1, words, dtype=torch.bool)
    ids = torch.zeros(1, words, dtype=torch.long)
    yes = torch.ones(1, dtype=torch.bool)
    return Batch(
        ids,
        ids,
        ids,
        valid,
        torch.tensor([corpus_index]),
        yes,
        yes,
        {head: torch.tensor([tags]) for head, tags in tags_by_head.items()},
    )


@pytest.fixture
def two():
    return [load_corpus("sample-gene"), load_corpus("sample-disease")]


@pytest.mark.parametrize(
    ("unannotated", "learns"), [("mask", False), ("marginal", False), ("negative", True)]
)
def test_silence_teaches_a_head_nothing_unless_negative(two, unannotated, learns):
    plans = plan_heads("per-type", two)
    loss_of = MultiTaskLoss(plans, two, "IOB2", unannotated)
    logits = {plan.name: torch.randn(1, 3, 3, requires_grad=True) for plan in plans}
    loss_of(Output(logits), batch_of(0, {"Gene": [0, 1, 2], "Disease": [0, 0, 0]})).backward()
    assert logits["Gene"].grad.abs().sum() > 0
    assert (
        logits["Disease"].grad is not None and logits["Disease"].grad.abs().sum().item() > 0
    ) == learns


@pytest.mark.parametrize("unannotated", ["mask", "marginal"])
def test_a_joint_head_isnt_pushed_away_from_unannotated_types(two, unannotated):
    plans = plan_heads("joint", two)
    tags = tag_names(plans[0].types)
    logits = torch.randn(1, 3, len(tags), requires_grad=True)
    MultiTaskLoss(plans, two, "IOB2", unannotated)(
        Output({"joint": logits}), batch_of(0, {"joint": [0, 0, 0]})
    ).backward()
    disease = [i for i, tag in enumerate(tags) if tag.endswith("Disease")]
    assert (logits.grad[..., disease] <= 0).all(), (
        "no push against tags that this corpus doesn't annotate"
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_type_that_no_corpus_annotates_isnt_rewarded(two, smoothing):
    """With "marginal" each O would allow it, and a tagger would mark words at random."""
    plans = plan_heads("joint", two, ["Gene", "Disease", "Species"])
    tags = tag_names(plans[0].types)
    logits = torch.randn(1, 3, len(tags), requires_grad=True)
    batch = batch_of(0, {"joint": [0, 1, 0]})
    loss_of = MultiTaskLoss(plans, two, "IOB2", "marginal", label_smoothing=smoothing)
    loss_of(Output({"joint": logits}), batch).backward()
    by_tag = dict(zip(tags, logits.grad.abs().sum((0, 1)).tolist(), strict=True))
    assert by_tag["B-Species"] == by_tag["I-Species"] == 0
    assert by_tag["B-Disease"] > 0, "the other corpus annotates it"
    other = logits.detach().clone()
    other[..., tags.index("B-Species")] += 3.0
    outputs = Output({"joint": logits.detach()}), Output({"joint": other})
    assert loss_of.divergence(*outputs, batch) == 0
    logits.grad = None
    taught_before = MultiTaskLoss(plans, two, "IOB2", "marginal", continues=True)
    taught_before(Output({"joint": logits}), batch).backward()
    assert logits.grad[..., tags.index("B-Species")].abs().sum() > 0
    assert taught_before.divergence(*outputs, batch) > 0


def test_a_crf_leaves_out_a_type_that_no_corpus_annotates(two):
    plans = plan_heads("joint", two, ["Gene", "Disease", "Species"])
    head = Head(4, plans[0].types, "IOB2", "crf")
    logits = torch.randn(1, 3, len(head.tags), requires_grad=True)
    output = Output({"joint": logits}, {"joint": head.table()})
    MultiTaskLoss(plans, two, "IOB2", "marginal")(
        output, batch_of(0, {"joint": [0, 1, 0]})
    ).backward()
    by_tag = dict(zip(head.tags, logits.grad.abs().sum((0, 1)).tolist(), strict=True))
    assert by_tag["B-Species"] == by_tag["I-Species"] == 0
    assert by_tag["B-Disease"] > 0


def test_a_corpus_own_head_ignores_other_corpora(two):
    plans = plan_heads("per-corpus", two)
    loss_of = MultiTaskLoss(plans, two, "IOB2", "negative")
    logits = {plan.name: torch.randn(1, 3, 3, requires_grad=True) for plan in plans}
    loss_of(
        Output(logits), batch_of(1, {"sample-gene": [0, 0, 0], "sample-disease": [1, 0, 0]})
    ).backward()
    assert logits["sample-gene"].grad is None or not logits["sample-gene"].grad.any()
    assert logits["sample-disease"].grad.any()


def test_a_head_whose_corpora_have_no_weight_is_refused(two):
    plans = plan_heads("per-type", two)
    with pytest.raises(WorkbookError, match="every corpus that teaches 'Gene' to head 'Gene' the"):
        MultiTaskLoss(plans, two, "IOB2", corpus_weights={"sample-gene": 0})
    joint = plan_heads("joint", two)
    with pytest.raises(WorkbookError, match="every corpus that teaches 'Gene' to head 'joint' the"):
        MultiTaskLoss(joint, two, "IOB2", corpus_weights={"sample-gene": 0})


def test_loss_over_nothing_is_zero(two):
    """A batch of the one corpus gives the other's head 0, not NaN."""
    plans = plan_heads("per-type", two)
    logits = {plan.name: torch.randn(1, 3, 3, requires_grad=True) for plan in plans}
    loss = MultiTaskLoss(plans, two, "IOB2", loss_weights={"Gene": 0})(
        Output(logits), batch_of(0, {"Gene": [0, 0, 0], "Disease": [0, 0, 0]})
    )
    loss.backward()
    assert loss.item() == 0.0
    assert not logits["Disease"].grad.any()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.sampled_from(UNANNOTATED), st.sampled_from(["IOB2", "IOBES"]))
def test_crf_equals_brute_force(seed, unannotated, scheme):
    """-log of the gold sequences' share among the supported ones, every sequence written out."""
    generator = torch.Generator().manual_seed(seed)
    head = Head(4, ["X", "Y"], scheme, "crf")
    with torch.no_grad():
        head.transitions.copy_(torch.randn(head.transitions.shape, generator=generator))
    length, size = 3, len(head.tags)
    logits = torch.randn(1, length, size, generator=generator)
    only_x = torch.tensor([[not tag.endswith("-Y") for tag in head.tags]])
    spans = [[], [(0, 1, "X")], [(1, 3, "X")], [(0, 2, "X"), (2, 3, "X")]][seed % 4]
    names = to_tags(spans, length, scheme)
    tags = torch.tensor([[head.tags.index(name) for name in names]])
    yes = torch.ones(1, dtype=torch.bool)
    chain = Chain(head.table(), torch.ones(1, length, dtype=torch.bool), yes, yes)
    nll = partial_label_nll(logits, tags, only_x, unannotated, chain).item()
    table, gold, support = head.table().detach(), [], []
    for path in product(range(size), repeat=length):
        steps = [size, *path, size]
        total = sum(logits[0, i, t].item() for i, t in enumerate(path)) + sum(
            table[a, b].item() for a, b in pairwise(steps)
        )
        hidden = [head.tags[t].endswith("-Y") for t in path]
        if unannotated != "mask" or not any(hidden):
            support.append(total)
        silent = unannotated == "marginal"
        if all(
            name == head.tags[t] or (silent and name == "O" and h)
            for name, t, h in zip(names, path, hidden, strict=True)
        ):
            gold.append(total)
    expected = torch.tensor(support).logsumexp(0) - torch.tensor(gold).logsumexp(0)
    assert nll == pytest.approx(expected.item(), abs=1e-3)
    assert nll > -1e-4


def test_crf_is_finite_in_bf16_and_has_gradients():
    torch.manual_seed(0)
    head, hidden = Head(8, ["X", "Y"], "IOBES", "crf"), torch.randn(4, 200, 8)
    valid = torch.arange(200)[None] < torch.tensor([[200], [3], [1], [0]])
    yes = torch.ones(4, dtype=torch.bool)
    tags = torch.zeros(4, 200, dtype=torch.long).masked_fill(~valid, IGNORED)
    annotated = torch.tensor([[not tag.endswith("-Y") for tag in head.tags]] * 4)
    for unannotated in UNANNOTATED:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            nll = partial_label_nll(
                head(hidden), tags, annotated, unannotated, Chain(head.table(), valid, yes, yes)
            )
        head.zero_grad()
        nll.sum().backward()
        assert nll.isfinite().all()
        assert (nll >= -1e-2).all()
        assert nll[3] == 0.0
        assert head.transitions.grad.isfinite().all()
        assert head.linear.weight.grad.isfinite().all()
        assert head.transitions.grad.any()


def test_weights(two):
    plans = plan_heads("per-type", two)
    logits = {plan.name: torch.randn(1, 3, 3) for plan in plans}
    batch = batch_of(0, {"Gene": [0, 1, 2], "Disease": [0, 0, 0]})
    once, twice = (
        MultiTaskLoss(plans, two, "IOB2", loss_weights={"Gene": w})(Output(logits), batch)
        for w in (1, 2)
    )
    torch.testing.assert_close(2 * once, twice)
    with pytest.raises(
        WorkbookError, match="unknown head in loss_weights 'gene'; did you mean 'Gene'"
    ):
        MultiTaskLoss(plans, two, "IOB2", loss_weights={"gene": 1})
    with pytest.raises(WorkbookError, match="'Gene' is -1"):
        MultiTaskLoss(plans, two, "IOB2", loss_weights={"Gene": -1})
    with pytest.raises(
        WorkbookError, match="unknown loss_weights 'uncertain'; did you mean 'uncertainty'"
    ):
        MultiTaskLoss(plans, two, "IOB2", loss_weights="uncertain")
    halved = MultiTaskLoss(plans, two, "IOB2", corpus_weights={"sample-gene": 0.5})(
        Output(logits), batch
    )
    torch.testing.assert_close(2 * halved, MultiTaskLoss(plans, two, "IOB2")(Output(logits), batch))
    with pytest.raises(WorkbookError, match="unknown corpus in corpus_weights 'sample'"):
        MultiTaskLoss(plans, two, "IOB2", corpus_weights={"sample": 0.5})


def test_uncertainty_settles_at_the_loss_per_word():
    """exp(-s) l + s / 2 is least at s = log 2 l (s: log-variance); an unused head keeps its s."""
    two = [load_corpus("sample-gene"), load_corpus("sample-disease")]
    plans = plan_heads("per-type", two)
    loss_of = MultiTaskLoss(plans, two, "IOB2", loss_weights="uncertainty")
    batch = batch_of(0, {"Gene": [0, 1, 2], "Disease": [0, 0, 0]})
    output = Output(
        {
            plan.name: torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(1))
            for plan in plans
        }
    )
    optimizer = torch.optim.SGD(loss_of.parameters(), lr=0.5)
    for _ in range(500):
        optimizer.zero_grad()
        loss_of(output, batch).backward()
        optimizer.step()
    each = torch.nn.functional.cross_entropy(output.logits["Gene"][0], batch.tags["Gene"][0])
    assert loss_of.log_variances[0].item() == pytest.approx((2 * each).log().item(), abs=1e-3)
    assert loss_of.log_variances[1] == 0.0


def test_learned_weights_weigh_the_divergence_too(two):
    plans = plan_heads("per-type", two)
    loss_of = MultiTaskLoss(plans, two, "IOB2", loss_weights="uncertainty")
    batch = batch_of(0, {"Gene": [0, 1, 2], "Disease": [0, 0, 0]})
    one, other = (Output({plan.name: torch.randn(1, 3, 3) for plan in plans}) for _ in range(2))
    before = loss_of.divergence(one, other, batch)
    loss_of.log_variances.data += 3
    after = loss_of.divergence(one, other, batch)
    torch.testing.assert_close(after, before * math.exp(-3))


def test_heads_and_corpora_that_dont_meet_are_refused(two):
    gene, disease = plan_heads("per-type", two)
    with pytest.raises(WorkbookError, match="no corpus teaches head 'Disease'"):
        MultiTaskLoss([gene, disease], two[:1], "IOB2")
    with pytest.raises(
        WorkbookError,
        match=r"corpus 'sample-disease' \(\['Disease'\]\) has no head that learns from it",
    ):
        MultiTaskLoss([gene], two, "IOB2")
