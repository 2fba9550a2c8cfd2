"""What heads read of a word's characters, beside the encoder's vector of its first piece.

    "case"   an embedding of the word's pattern of capitals and digits: what the tokenizer of an
             uncased encoder threw away
    "cnn"    convolutions over the embeddings of its characters, and their maximum over the word
             (Ma and Hovy 2016, P16-1101; for this field Wang et al. 2019,
             doi:10.1093/bioinformatics/bty869)

B sentences   N labelled pieces   L characters   V values of the network
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn

LONGEST = 24  # characters of a word; of a longer one the first and last twelve
_KNOWN = 1024  # characters up to Cyrillic have an embedding each, all others share one
_PAD, _OTHER = 0, _KNOWN
_CHARACTER, _FILTERS, _CASE = 32, 64, 16  # sizes of the embeddings and of the convolution
# lower, Title, UPPER, inner capitals, and each of them with a digit; digits only; no letter
CASES = 10


def case_of(word: str) -> int:
    """The class of a word's capitals and digits, 0 to CASES - 1."""
    letters = [letter for letter in word if letter.isalpha()]
    has_digit = any(letter.isdigit() for letter in word)
    if not letters:
        return 8 if has_digit else 9
    capitals = [letter.isupper() for letter in letters]
    if not any(capitals):
        kind = 0
    elif all(capitals):
        kind = 2
    else:
        kind = 1 if capitals[0] and sum(capitals) == 1 else 3
    return kind + 4 * has_digit


@lru_cache(maxsize=200_000)
def word_features(word: str) -> tuple[int, ...]:
    """The word's case, then one number per character, padded to LONGEST."""
    if len(word) > LONGEST:
        word = word[: LONGEST // 2] + word[-LONGEST // 2 :]
    numbers = [ord(letter) if 0 < ord(letter) < _KNOWN else _OTHER for letter in word]
    return (case_of(word), *numbers, *[_PAD] * (LONGEST - len(numbers)))


def features(words: Sequence[str]) -> list[tuple[int, ...]]:
    """One row of numbers per word."""
    return [word_features(word) for word in words]


class CharacterNetwork(nn.Module):
    """`width` values per word, next to the encoder's; `parts` is a value of CHARACTERS."""

    def __init__(self, parts: str, dropout: float):
        super().__init__()
        names = parts.split("+")
        self.case = nn.Embedding(CASES, _CASE) if "case" in names else None
        self.letters = self.convolution = None
        if "cnn" in names:
            self.letters = nn.Embedding(_KNOWN + 1, _CHARACTER, padding_idx=_PAD)
            self.convolution = nn.Conv1d(_CHARACTER, _FILTERS, kernel_size=3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.width = _CASE * ("case" in names) + _FILTERS * ("cnn" in names)

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """(B N 1+L) -> (B N V)"""
        found = []
        if self.case is not None:
            found.append(self.case(characters[..., 0]))
        if self.letters is not None:
            found.append(self._over_letters(characters[..., 1:]))
        return self.dropout(torch.cat(found, -1))

    def _over_letters(self, letters: torch.Tensor) -> torch.Tensor:
        """(B N L) -> (B N V).  Padding is left out of the maximum."""
        rows = letters.flatten(0, -2)  # (B*N L)
        hidden = self.convolution(self.letters(rows).transpose(1, 2))  # (B*N V L)
        is_pad = (rows == _PAD)[:, None]
        # a word of padding only (no word) keeps its zeros
        hidden = hidden.masked_fill(is_pad & ~is_pad.all(-1, keepdim=True), -torch.inf)
        return hidden.amax(-1).relu().unflatten(0, letters.shape[:-1])
