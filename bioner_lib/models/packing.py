"""The layers of BERT and RoBERTa, computed without padding.

A batch of sentences is padded to the length of its longest one. All layers but attention treat each
piece by itself, so here they see the pieces of a batch as rows, without its padding. The last layer
computes only the labelled pieces, the only ones that a head reads. Modules and weights are the
encoder's own; the order in which they are called stands here.

B sentences   P pieces   N labelled pieces   M rows   D hidden   A attention heads   d = D / A
"""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from .dropout import dropout

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert")  # model types with these modules
# rows are a multiple of this: the CPU's kernels are compiled for each number of rows
ROWS_TO = 32


def can_pack(encoder: nn.Module) -> bool:
    """Whether `encode` knows the modules of this encoder."""
    config = encoder.config
    return config.model_type in FAMILIES and not config.is_decoder


def _take(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The rows of `index`, and rows of zeros up to a multiple of ROWS_TO.  (R D) -> (M D)"""
    rows = x.new_zeros(-(-len(index) // ROWS_TO) * ROWS_TO, x.shape[1])
    return rows.index_copy_(0, torch.arange(len(index), device=x.device), x[index])


def _put(x: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
    """Rows back where `_take` took them from, among zeros.  (M D) -> (R D)"""
    return x.new_zeros(size, x.shape[1]).index_copy_(0, index, x[: len(index)])


class _Take(torch.autograd.Function):
    """`_take`, whose backward is `_put`: faster than adding row by row."""

    @staticmethod
    def forward(context, x, index):
        context.save_for_backward(index)
        context.size = len(x)
        return _take(x, index)

    @staticmethod
    def backward(context, gradient):
        (index,) = context.saved_tensors
        return _put(gradient, index, context.size), None


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(context, x, index, size):
        context.save_for_backward(index)
        return _put(x, index, size)

    @staticmethod
    def backward(context, gradient):
        (index,) = context.saved_tensors
        return _take(gradient, index), None, None


class Rows:
    """Which positions of a padded batch are rows.  (B P) bool"""

    def __init__(self, valid: torch.Tensor):
        self.shape = valid.shape
        self.index = valid.flatten().nonzero()[:, 0]

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """(B P D) -> (M D)"""
        return _Take.apply(padded.flatten(0, 1), self.index)

    def pad(self, rows: torch.Tensor) -> torch.Tensor:
        """(M D) -> (B P D)"""
        return _Put.apply(rows, self.index, self.shape.numel()).view(*self.shape, -1)


def encode(
    encoder: nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    positions: torch.Tensor,
    valid: torch.Tensor,
) -> torch.Tensor:
    """The encoder's vector of each labelled piece, 0 where not valid.

    (B P), (B P), (B N), (B N) -> (B N D)
    """
    pieces, labelled = Rows(attention_mask.bool()), Rows(valid)
    row_of = input_ids.new_zeros(attention_mask.numel())
    row_of[pieces.index] = torch.arange(len(pieces.index), device=row_of.device)
    read = row_of.view_as(input_ids).gather(1, positions).flatten()[labelled.index]
    mask = attention_mask.bool()[:, None, None]
    hidden = pieces.pack(encoder.embeddings(input_ids=input_ids))
    *layers, last = encoder.encoder.layer
    for layer in layers:
        hidden = _layer(layer, hidden, hidden, pieces, pieces, mask)
    wanted = _Take.apply(hidden, read)
    return labelled.pad(_layer(last, wanted, hidden, labelled, pieces, mask))


def _layer(
    layer: nn.Module,
    wanted: torch.Tensor,
    hidden: torch.Tensor,
    wanted_rows: Rows,
    rows: Rows,
    mask: torch.Tensor,
) -> torch.Tensor:
    """One layer for the wanted rows, which attend to all rows.  (M' D), (M D) -> (M' D)"""
    attention = layer.attention.self

    def heads(linear: nn.Linear, x: torch.Tensor, rows: Rows) -> torch.Tensor:
        """(M D) -> (B A P d)"""
        return rows.pad(linear(x)).unflatten(2, (-1, attention.attention_head_size)).transpose(1, 2)

    low = _autocast(hidden)
    query = low if wanted is hidden else _autocast(wanted)
    q = heads(attention.query, query, wanted_rows)
    k, v = heads(attention.key, low, rows), heads(attention.value, low, rows)
    p = attention.dropout.p if layer.training else 0.0
    context = wanted_rows.pack(attend(q, k, v, mask, p).transpose(1, 2).flatten(2))
    return layer.feed_forward_chunk(layer.attention.output(context, wanted))


def _autocast(x: torch.Tensor) -> torch.Tensor:
    """x in the type of matrix products: cast once for the three that read it."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, p: float
) -> torch.Tensor:
    """softmax(q k' / sqrt(d)) v with dropout p on the softmax; keys where `mask` is False count 0.

    (B A N d), (B A P d), (B A P d), (B 1 1 P) bool -> (B A N d)

    On a CPU these few products are faster than the fused kernel for sentences of one line.
    """
    if q.device.type != "cpu":
        return scaled_dot_product_attention(q, k, v, mask, p)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    weights = scores.float().masked_fill_(~mask, -torch.inf).softmax(-1).to(v.dtype)
    return (dropout(weights, p) if p else weights) @ v
