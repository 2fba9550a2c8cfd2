"""Dropout from random bytes, and layers without padding, against torch and transformers."""

import pytest
import torch
from transformers import AutoConfig, AutoModel

from bioner_lib.models import packing
from bioner_lib.models.dropout import Dropout, dropout, with_fast_dropout


def test_dropout_keeps_the_mean_and_drops_its_share():
    torch.manual_seed(0)
    y = dropout(torch.ones(1000, 1001), 0.1)
    assert y.unique().tolist() == pytest.approx([0, 256 / 230])
    assert (y == 0).float().mean().item() == pytest.approx(26 / 256, abs=1e-3)
    assert y.mean().item() == pytest.approx(1, abs=1e-3)


def test_dropout_treats_every_position_alike():
    torch.manual_seed(0)
    dropped = sum(dropout(torch.ones(16), 0.5) == 0 for _ in range(4000)) / 4000
    assert (dropped - 0.5).abs().max() < 0.05


def test_dropout_passes_gradients_through_its_own_mask():
    x = torch.ones(100, requires_grad=True)
    y = dropout(x, 0.5)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_dropout_of_probabilities_that_bytes_cannot_express():
    assert torch.equal(dropout(torch.ones(5), 0.0), torch.ones(5))
    assert torch.equal(dropout(torch.ones(5), 1.0), torch.zeros(5))


def test_dropout_is_seeded_and_off_in_evaluation():
    layer = with_fast_dropout(torch.nn.Sequential(torch.nn.Dropout(0.3)))
    assert type(layer[0]) is Dropout
    torch.manual_seed(1)
    first = layer(torch.ones(50))
    torch.manual_seed(1)
    assert torch.equal(layer(torch.ones(50)), first)
    assert torch.equal(layer.eval()(torch.ones(50)), torch.ones(50))


def encoder(family):
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        pad_token_id=1,
    )
    return AutoModel.from_config(config, add_pooling_layer=False)


def batch():
    """Three sentences of 4, 9 and 6 pieces, of which 2, 5 and 1 are labelled."""
    torch.manual_seed(0)
    mask = torch.arange(16) < torch.tensor([4, 9, 6])[:, None]
    ids = torch.randint(5, 50, (3, 16)).where(mask, 1)
    valid = torch.arange(8) < torch.tensor([2, 5, 1])[:, None]
    positions = (torch.arange(8) + 1).expand(3, 8).where(valid, 0)
    return ids, mask.long(), positions, valid


@pytest.mark.parametrize("family", packing.FAMILIES)
def test_packed_layers_equal_the_encoders_own(family):
    model = encoder(family)
    assert packing.can_pack(model)
    ids, mask, positions, valid = batch()
    results = []
    for mode in ("own", "packed", "packed with dropout"):
        model.zero_grad()
        # without dropout the fused attention is computed, with it our own
        model.train(mode == "packed with dropout")
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 1e-9
        if mode == "own":
            hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
            found = hidden.gather(1, positions[..., None].expand(-1, -1, 16))
        else:
            found = packing.encode(model, ids, mask, positions, valid)
            assert not found[~valid].any()
        (found * valid[..., None]).square().sum().backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        results.append((found[valid], gradients))
    own, gradients = results[0]
    for found, others in results[1:]:
        assert torch.allclose(found, own, atol=1e-5)
        assert others.keys() == gradients.keys()
        for name, gradient in gradients.items():
            assert torch.allclose(others[name], gradient, atol=1e-5), name


def test_last_layer_sees_labelled_pieces_only(monkeypatch):
    monkeypatch.setattr(packing, "ROWS_TO", 1)
    model, rows = encoder("bert"), []
    for layer in model.encoder.layer:
        layer.intermediate.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    packing.encode(model, *batch())
    assert rows == [19, 19, 8]


def test_other_families_run_their_own_forward():
    config = AutoConfig.for_model("distilbert", vocab_size=50, dim=16, n_layers=1, n_heads=2)
    assert not packing.can_pack(AutoModel.from_config(config))
