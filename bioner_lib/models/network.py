"""Encoder -> sharing -> heads: what is trained.

B sentences   P pieces   N labelled pieces   W words   D hidden   T tags   H heads   L characters
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from ..errors import WorkbookError
from .alignment import Aligner
from .characters import CharacterNetwork
from .dropout import Dropout, with_fast_dropout
from .encoders import longest_window
from .heads import Head, HeadPlan, Output, WithHeads
from .packing import can_pack, encode
from .sentence_heads import make_sentence_head
from .sharing import make_sharing


class Network(WithHeads, nn.Module):
    """Any Hugging Face encoder, a sharing design, and one head per plan.

    `characters` and `sentence_head` are values of `choices`; `sharing_options` are the design's
    coefficients; `encoder_name` is only remembered. Raises WorkbookError for windows longer than
    the encoder's positions.
    """

    def __init__(
        self,
        encoder,
        tokenizer,
        plans: Sequence[HeadPlan],
        scheme: str = "IOB2",
        dropout: float = 0.1,
        max_length: int = 256,
        overlap: int = 64,
        label_pieces: str = "first",
        encoder_name: str = "",
        decoder: str = "softmax",
        sharing: str = "hard",
        sharing_options: Mapping[str, float] | None = None,
        characters: str = "none",
        sentence_head: str = "none",
        context: int = 0,
    ):
        super().__init__()
        longest = longest_window(encoder)
        if longest is not None and max_length > longest:
            raise WorkbookError(
                f"max_length={max_length} is too long for {encoder_name or 'this encoder'}: "
                f"its windows hold at most {longest} pieces"
            )
        self.plans, self.scheme = list(plans), scheme
        self.tokenizer, self.encoder_name = tokenizer, encoder_name
        reads_characters = characters != "none"
        self.aligner = Aligner(
            tokenizer, max_length, overlap, label_pieces, reads_characters, context
        )
        self.encoder, self.dropout = with_fast_dropout(encoder), Dropout(dropout)
        names = [plan.name for plan in plans]
        corpora = {name for plan in plans for name in plan.corpora}
        self.characters = CharacterNetwork(characters, dropout) if reads_characters else None
        hidden = encoder.config.hidden_size
        hidden += self.characters.width if reads_characters else 0
        self.sharing = make_sharing(sharing, hidden, names, len(corpora), sharing_options)
        self.heads = nn.ModuleList(
            Head(self.sharing.width, plan.types, scheme, decoder) for plan in plans
        )
        self.sentence_head = make_sentence_head(sentence_head, hidden, plans, scheme)
        self.settings = {
            "scheme": scheme,
            "dropout": dropout,
            "max_length": max_length,
            "overlap": overlap,
            "context": context,
            "label_pieces": label_pieces,
            "decoder": decoder,
            "sharing": sharing,
            "sharing_options": dict(sharing_options or {}),
            "characters": characters,
            "sentence_head": sentence_head,
        }

    def freeze(self, names: Iterable[str]) -> None:
        """Heads that don't learn: their layers, and what only they use of the sharing design."""
        frozen = set(names)
        for i, (name, head) in enumerate(self.named_heads):
            if name in frozen:
                head.requires_grad_(False)
                for parameter in self.sharing.own(i):
                    parameter.requires_grad_(False)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        positions: torch.Tensor,
        valid: torch.Tensor | None = None,
        corpus: torch.Tensor | None = None,
        characters: torch.Tensor | None = None,
    ) -> Output:
        """(B P), (B P), (B N), (B N), (B), (B N 1+L) -> Output

        Without `valid` all positions count. `corpus` is for the auxiliary loss of the sharing
        design, in training.
        """
        valid = torch.ones_like(positions, dtype=torch.bool) if valid is None else valid
        hidden = self.hidden(input_ids, attention_mask, positions, valid, characters)
        sentence = None if self.sentence_head is None else self.sentence_head(hidden, valid)
        views, penalty = self.sharing(hidden, *((valid, corpus) if self.training else ()))
        logits, tables = {}, {}
        for (name, head), view in zip(self.named_heads, views, strict=True):
            logits[name] = head(view)
            if sentence is not None and self.sentence_head.is_router:
                logits[name] = self.sentence_head.gate(logits[name], sentence, name)
            if (table := head.table()) is not None:
                tables[name] = table
        return Output(logits, tables, penalty, sentence)

    def hidden(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        positions: torch.Tensor,
        valid: torch.Tensor,
        characters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What heads read of each labelled piece: the encoder's vector, and beside it the values
        of its word's characters where the tagger has a character network.  -> (B N D)
        """
        encoded = self._encoded(input_ids, attention_mask, positions, valid)
        if self.characters is None:
            return encoded
        if characters is None:  # no window of the batch has a word
            size = (*positions.shape, self.characters.width)
            return torch.cat([encoded, encoded.new_zeros(size)], -1)
        return torch.cat([encoded, self.characters(characters).to(encoded.dtype)], -1)

    def _encoded(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        positions: torch.Tensor,
        valid: torch.Tensor,
    ) -> torch.Tensor:
        """The encoder's vector of each labelled piece.  -> (B N D)"""
        if can_pack(self.encoder):
            hidden = encode(self.encoder, input_ids, attention_mask, positions, valid)
            return self.dropout(hidden)
        encoded = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        hidden = encoded.last_hidden_state  # (B P D)
        index = positions[..., None].expand(-1, -1, hidden.shape[-1])
        return self.dropout(hidden.gather(1, index))
