"""Every design: who reaches the encoder, what each part is good for, what one task leaves of it."""

import pytest
import torch

from bioner_lib import MultiTaskTagger, WorkbookError, load_corpus
from bioner_lib.board.plots import sharing_by_place
from bioner_lib.choices import SHARING
from bioner_lib.models.batching import collate, make_examples
from bioner_lib.models.encoders import load_encoder
from bioner_lib.models.heads import plan_heads
from bioner_lib.models.losses import MultiTaskLoss
from bioner_lib.models.sharing import DESIGNS, OPTIONS, make_sharing, squared_overlap

PARTS = {
    "private": ("weight",),
    "adversarial": ("weight",),
    "cross": ("weight", "gate_weight"),
    "moe": ("weight", "router_weight"),
}
THREE = ["sample-gene", "sample-disease", "sample-virus"]


def tagger_for(folder, sharing, names=THREE, **options):
    torch.manual_seed(0)
    corpora = [load_corpus(name).limit(6) for name in names]
    encoder, tokenizer = load_encoder(folder, dropout=0.0)
    options = {"max_length": 64, "overlap": 8, "dropout": 0.0, "sharing": sharing} | options
    return MultiTaskTagger(encoder, tokenizer, plan_heads("per-type", corpora), **options), corpora


def batch_of(tagger, corpora, which):
    heads = {plan.name: plan.types for plan in tagger.plans}
    return collate(
        [
            e
            for i in which
            for e in make_examples(tagger.aligner, corpora[i].train, i, heads, "IOB2")
        ],
        0,
    )


def test_every_choice_has_its_design():
    assert tuple(DESIGNS) == SHARING
    assert set(OPTIONS) == set(SHARING)


@pytest.mark.parametrize("sharing", SHARING)
def test_each_tasks_gradient_reaches_the_encoder(tiny, sharing):
    tagger, corpora = tagger_for(tiny, sharing)
    tagger.train()
    for i in range(3):
        tagger.zero_grad()
        batch = batch_of(tagger, corpora, [i])
        output = tagger(**batch.inputs)
        output.penalty = 0.0  # the task's own gradient, nothing else
        MultiTaskLoss(tagger.plans, corpora, "IOB2")(output, batch).backward()
        for name, p in tagger.encoder.named_parameters():
            if "attention" in name and "weight" in name:
                assert p.grad is not None
                assert p.grad.any(), name
        assert [head.linear.weight.grad.any().item() for head in tagger.heads] == [
            k == i for k in range(3)
        ]


@pytest.mark.parametrize(
    ("sharing", "part"), [(s, part) for s, parts in PARTS.items() for part in parts]
)
def test_knocking_out_each_part_changes_the_logits(tiny, sharing, part):
    """A private view changes its own head's logits, an expert all heads', a gate one head's."""
    tagger, corpora = tagger_for(tiny, sharing)
    tagger.eval()
    inputs = batch_of(tagger, corpora, [0]).inputs
    before = tagger(**inputs).logits
    weight = getattr(tagger.sharing, part)
    heads = range(3)
    is_gate = part == "gate_weight"
    indices = (
        [(i, j) for i in heads for j in heads] if is_gate else [(i,) for i in range(len(weight))]
    )
    for index in indices:
        target = weight[index[0]][index[1]] if is_gate else weight[index[0]]
        kept = target.detach().clone()
        with torch.no_grad():
            target.zero_()
            logits = tagger(**inputs).logits
            target.copy_(kept)
        changed = {
            i for i, name in enumerate(logits) if not torch.equal(logits[name], before[name])
        }
        if is_gate:
            assert changed == (set() if index[0] == index[1] else {index[0]}), index
        elif sharing == "cross" or (sharing, part) == ("moe", "weight"):
            # a view feeds the gates of the other heads, and an expert serves all heads
            assert changed == {0, 1, 2}, index
        else:
            assert changed == {index[0]}, index


def test_the_reversal_reverses(tiny):
    """A gradient step improves the discriminator; through the encoder it makes it worse."""
    tagger, corpora = tagger_for(
        tiny, "adversarial", sharing_options={"reversal": 1.0, "orthogonality": 0.0}
    )
    tagger.train()
    batch = batch_of(tagger, corpora, [0, 1, 2])
    before = tagger(**batch.inputs).penalty
    before.backward()
    for part, sign in ((tagger.sharing.discriminator, -1), (tagger.encoder, 1)):
        with torch.no_grad():
            weights = [p.clone() for p in part.parameters()]
            for p in part.parameters():
                if p.grad is not None:
                    p -= 1e-2 * p.grad
            change = tagger(**batch.inputs).penalty - before
            for p, old in zip(part.parameters(), weights, strict=True):
                p.copy_(old)
        assert torch.sign(change) == sign, part


def test_overlap_by_hand():
    """Two words, centred to +-x: parallel views overlap fully, disjoint supports correlate too."""
    shared = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert squared_overlap(shared, shared[None]).item() == pytest.approx(
        2.0
    )  # |S'P|^2 = 2^2, over M = 2
    unrelated = (
        torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]),
        torch.tensor([[[1.0], [-1.0], [1.0], [-1.0]]]),
    )
    assert squared_overlap(*unrelated).item() == pytest.approx(0.0)


def test_orthogonality_is_charged_in_training_only(tiny):
    tagger, corpora = tagger_for(
        tiny, "adversarial", sharing_options={"reversal": 0.0, "orthogonality": 1.0}
    )
    inputs = batch_of(tagger, corpora, [0, 1]).inputs
    assert tagger.train()(**inputs).penalty > 0
    assert tagger.eval()(**inputs).penalty == 0.0


def test_the_router_is_charged_for_a_load_on_one_expert():
    torch.manual_seed(0)
    design, shared = make_sharing("moe", 8, ["a", "b"], 2, {"balance": 1.0}), torch.randn(2, 5, 8)
    valid, corpus = torch.ones(2, 5, dtype=torch.bool), torch.zeros(2, dtype=torch.long)
    with torch.no_grad():
        for weight in design.router_weight:
            weight.zero_()
        assert design(shared, valid, corpus)[1].item() == pytest.approx(0.0, abs=1e-6)
        for bias in design.router_bias:
            bias[0] = 50.0
        assert design(shared, valid, corpus)[1].item() == pytest.approx(
            3.0, abs=1e-4
        )  # E - 1: all on one of four


@pytest.mark.parametrize("sharing", SHARING)
def test_one_task(tiny, sharing):
    """With one head there is nothing to confuse, gate or balance: at most a private view."""
    design = DESIGNS[sharing](8, 1, **({"corpora": 1} if sharing == "adversarial" else {}))
    shared, valid = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    (view,), penalty = design(shared, valid, torch.zeros(2, dtype=torch.long))
    assert view.shape == (2, 5, design.width)
    assert torch.equal(view[..., :8], shared)
    if sharing in ("private", "adversarial", "cross"):
        torch.testing.assert_close(view[..., 8:], design.private(shared)[0])
    if sharing == "adversarial":
        design.orthogonality = 0.0
        assert design(shared, valid, torch.zeros(2, dtype=torch.long))[1].item() == pytest.approx(
            0.0
        )
    elif sharing != "moe":  # which still balances its experts
        assert penalty == 0.0


def test_gates_with_one_task_and_unknown_designs_are_refused(tiny):
    with pytest.raises(WorkbookError, match="'Gene' is the only one"):
        tagger_for(tiny, "cross", ["sample-gene"])
    with pytest.raises(WorkbookError, match="unknown sharing 'hart'; did you mean 'hard'"):
        tagger_for(tiny, "hart")
    tagger, _ = tagger_for(tiny, "private")
    with pytest.raises(WorkbookError, match="'private' has no gates"):
        tagger.sharing_weights([["TP53"]])


@pytest.mark.parametrize(("sharing", "sources"), [("cross", 3), ("moe", 4)])
def test_weights_can_be_read_word_by_word(tiny, sharing, sources):
    tagger, _ = tagger_for(tiny, sharing)
    sentences = [["TP53", "binds", "MDM2"] * 20, [], ["OPA1"]]  # the first fills two windows
    found = tagger.sharing_weights([s for s in sentences if s])
    assert [w.shape for w in found] == [(3, sources, 60), (3, sources, 1)]
    assert all((w > 0).all() and (w < 1).all() for w in found)
    if sharing == "moe":
        assert all(abs(w.sum(1) - 1).max() < 1e-5 for w in found)
    frame = sharing_by_place(tagger, load_corpus("sample-gene"), most=20)
    heads = [plan.name for plan in tagger.plans]
    shown = heads if sharing == "cross" else [f"expert {k}" for k in (1, 2, 3, 4)]
    assert list(frame.columns) == shown
    assert list(frame.index) == [(h, f"{w} Gene") for h in heads for w in ("in", "outside")]


@pytest.mark.parametrize("sharing", SHARING)
def test_designs_are_saved_and_are_cheap(tiny, sharing, tmp_path):
    tagger, corpora = tagger_for(tiny, sharing, sharing_options={"experts": 3})
    tagger.save_pretrained(tmp_path)
    again, tokens = MultiTaskTagger.from_pretrained(tmp_path), [s.tokens for s in corpora[0].test]
    assert again.predict(tokens) == tagger.predict(tokens)
    assert again.settings == tagger.settings
    hidden, heads, size = 768, 5, 384
    added = sum(p.numel() for p in make_sharing(sharing, hidden, list("abcde"), 5).parameters())
    expected = {
        "hard": 0,
        "private": heads * (hidden + 1) * size,
        "adversarial": heads * (hidden + 1) * size + 5 * (hidden + 1),
        "cross": heads * (hidden + 1) * size + heads**2 * (size + 1) * size,
        "moe": 4 * (hidden + 1) * size + heads * (hidden + 1) * 4,
    }[sharing]
    assert added == expected < 0.05 * 108e6


def test_gates_are_the_mean_over_the_other_heads():
    """Three heads: two gates of 1/2 open the view by a half, and so do gates of 1 and 0."""
    torch.manual_seed(0)
    design, shared = make_sharing("cross", 8, ["a", "b", "c"], 3), torch.randn(2, 5, 8)
    with torch.no_grad():
        for weight in design.gate_weight:
            weight.zero_()
        private = design.private(shared)
        torch.testing.assert_close(design.mixed(shared, private), private / 2)
        design.gate_bias[0][1] = 50.0
        design.gate_bias[0][2] = -50.0
        for bias in design.gate_bias[1:]:
            bias.fill_(50.0)
        mixed = design.mixed(shared, private)
    torch.testing.assert_close(mixed[0], private[0] / 2)
    torch.testing.assert_close(mixed[1:], private[1:])


@pytest.mark.parametrize("sharing", ["adversarial", "moe"])
def test_padding_is_charged_nothing(sharing):
    """What stands where `valid` is False may be anything."""
    torch.manual_seed(0)
    options = (
        {"reversal": 1.0, "orthogonality": 1.0} if sharing == "adversarial" else {"balance": 1.0}
    )
    design = make_sharing(sharing, 8, ["a", "b"], 2, options)
    shared = torch.randn(2, 5, 8)
    corpus = torch.tensor([0, 1])
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    with torch.no_grad():
        charged = design(shared, valid, corpus)[1]
        noisy = torch.where(valid[..., None], shared, torch.randn(2, 5, 8) * 100)
        assert charged > 0
        torch.testing.assert_close(design(noisy, valid, corpus)[1], charged)


def test_what_a_design_charges_is_part_of_the_loss(tiny):
    tagger, corpora = tagger_for(
        tiny, "adversarial", sharing_options={"reversal": 1.0, "orthogonality": 1.0}
    )
    batch = batch_of(tagger, corpora, [0, 1])
    output = tagger.train()(**batch.inputs)
    loss_of = MultiTaskLoss(tagger.plans, corpora, "IOB2")
    with_charge, charge = loss_of(output, batch), output.penalty
    half = loss_of(output, batch, share=0.5)
    output.penalty = 0.0
    alone = loss_of(output, batch)
    assert charge > 0
    torch.testing.assert_close(with_charge, alone + charge)
    torch.testing.assert_close(half, alone + charge / 2)


def test_the_reversed_loss_by_hand():
    """The discriminator sees the mean over valid words, also of unequal lengths."""
    torch.manual_seed(0)
    design = make_sharing("adversarial", 4, ["a"], 2, {"reversal": 0.5, "orthogonality": 0.0})
    shared, corpus = torch.randn(2, 3, 4), torch.tensor([0, 1])
    valid = torch.tensor([[True, True, True], [True, False, False]])
    means = torch.stack([shared[0].mean(0), shared[1, 0]])
    expected = torch.nn.functional.cross_entropy(design.discriminator(means), corpus)
    torch.testing.assert_close(design(shared, valid, corpus)[1], 0.5 * expected)


def test_overlap_is_the_mean_over_heads_of_centred_unit_vectors():
    torch.manual_seed(0)
    shared, private = torch.randn(7, 4) + 3, torch.randn(2, 7, 3) - 5
    a = shared - shared.mean(0)
    a = a / a.norm(dim=1, keepdim=True)
    expected = 0.0
    for view in private:
        b = view - view.mean(0)
        b = b / b.norm(dim=1, keepdim=True)
        expected += (a.T @ b).square().sum() / 7
    torch.testing.assert_close(squared_overlap(shared, private), expected / 2)


def test_overlap_is_weighed_by_its_coefficient():
    torch.manual_seed(0)
    shared = torch.randn(2, 5, 8)
    corpus = torch.tensor([0, 1])
    valid = torch.ones(2, 5, dtype=torch.bool)
    design = make_sharing("adversarial", 8, ["a", "b"], 2, {"reversal": 0.0, "orthogonality": 3.0})
    expected = 3.0 * squared_overlap(shared[valid], design.private(shared)[:, valid])
    torch.testing.assert_close(design(shared, valid, corpus)[1], expected)
