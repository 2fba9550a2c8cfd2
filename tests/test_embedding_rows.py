"""Lazy AdamW of the word embeddings against torch's own."""

import pytest
import torch

from bioner_lib.training.embedding_rows import EmbeddingRows
from bioner_lib.training.optimization import clip_gradient, warm_up_and_decay

STEPS, WORDS = 300, 40


@pytest.fixture
def rates():
    factor = warm_up_and_decay(0.1, STEPS)
    return [2e-4 * factor(i) for i in range(STEPS)]


def batches():
    """Few words are frequent, most are rare, the last one is never read."""
    random = torch.Generator().manual_seed(1)
    frequencies = 1 / torch.arange(1, WORDS).float()
    for _ in range(STEPS):
        yield torch.multinomial(frequencies, 4, generator=random)


def test_lazy_rows_equal_torchs_adamw(rates):
    torch.manual_seed(0)
    lazy, dense = torch.nn.Embedding(WORDS, 8), torch.nn.Embedding(WORDS, 8)
    dense.load_state_dict(lazy.state_dict())
    before = lazy.weight.detach().clone()
    rows = EmbeddingRows(lazy, rates, weight_decay=0.01)
    adamw = torch.optim.AdamW(dense.parameters(), lr=1.0, weight_decay=0.01)
    for rate, ids in zip(rates, batches(), strict=True):
        adamw.param_groups[0]["lr"] = rate
        targets = ids[:, None].remainder(3) - 1.0
        for table in (lazy, dense):
            (table(ids) - targets).square().mean().backward()
        rows.step()
        adamw.step()
        adamw.zero_grad()
        # what a batch reads is up to date
        assert torch.allclose(lazy(ids), dense(ids), rtol=0, atol=1e-5)
    rows.catch_up()
    moved = (dense.weight - before).abs().max()
    assert moved > 1e-2
    assert (lazy.weight - dense.weight).abs().max() < 1e-5
    assert not torch.equal(lazy.weight[-1], before[-1])  # weight decay moves unread rows too


def test_rows_go_on_after_a_stop(rates):
    results = []
    for stop in (None, 100):
        torch.manual_seed(0)
        table = torch.nn.Embedding(WORDS, 8)
        rows = EmbeddingRows(table, rates, weight_decay=0.01)
        for i, ids in enumerate(batches()):
            if i == 100:
                rows.catch_up()
            if i == stop:
                state, weights = rows.state_dict(), table.state_dict()
                table = torch.nn.Embedding(WORDS, 8)
                table.load_state_dict(weights)
                rows = EmbeddingRows(table, rates, weight_decay=0.01)
                rows.load_state_dict(state)
            table(ids).square().mean().backward()
            rows.step()
        rows.catch_up()
        results.append(table.weight)
    assert torch.equal(*results)


def test_gradient_of_a_step_holds_only_the_words_read(rates):
    table = torch.nn.Embedding(WORDS, 8)
    rows = EmbeddingRows(table, rates, weight_decay=0.01)
    table(torch.tensor([3, 5, 3])).sum().backward()
    assert rows.gradient().shape == (2, 8)
    assert rows.gradient()[0].tolist() == [2.0] * 8


@pytest.mark.parametrize("largest", [1.0, 100.0])
def test_clipping_counts_rows_and_weights(largest):
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 0.0])
    rows = torch.tensor([[4.0]])
    assert clip_gradient([weight], largest, rows).item() == 5
    scale = min(1.0, largest / 5)
    assert weight.grad.tolist() == pytest.approx([3 * scale, 0])
    assert rows.item() == pytest.approx(4 * scale)
