"""Words <-> pieces: one aligner for training, scoring and inference.

A sentence longer than the encoder's window becomes several windows that overlap at word boundaries; every word is owned by exactly
one of them, the one that shows it with the most context, and is trained and scored there. No word is ever cut off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..choices import LABEL_PIECES
from ..errors import WorkbookError


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a sentence as the encoder sees it.

    `positions[i]` is where in `input_ids` the i-th labelled piece stands and `words[i]` the word it belongs to; with
    label_pieces="first" that is one piece a word, with "all" every piece. `opens` and `closes` say whether the sentence begins and
    ends here.
    """

    sentence: int
    input_ids: list[int]
    positions: list[int]
    words: list[int]
    opens: bool = True
    closes: bool = True


class Aligner:
    """Cuts words into pieces and sentences into windows of at most `max_length` pieces, special tokens included.

    Raises WorkbookError for a slow tokenizer and for windows too short to hold an overlap.
    """

    def __init__(
        self, tokenizer, max_length: int = 256, overlap: int = 64, label_pieces: str = "first"
    ):
        if not tokenizer.is_fast:
            raise WorkbookError(
                f"{type(tokenizer).__name__} is a slow tokenizer; alignment needs a fast one (a tokenizer.json)"
            )
        if label_pieces not in LABEL_PIECES:
            raise WorkbookError(
                f"unknown label_pieces {label_pieces!r}; known: {list(LABEL_PIECES)}"
            )
        self.tokenizer, self.label_pieces, self.overlap = tokenizer, label_pieces, overlap
        self.prefix, self.suffix = _special_tokens(tokenizer)
        self.room = max_length - len(self.prefix) - len(self.suffix)
        if not 0 <= overlap < self.room:
            raise WorkbookError(
                f"an overlap of {overlap} pieces leaves nothing of windows of {max_length}; make max_length larger"
            )

    def pieces(self, sentences: Sequence[Sequence[str]]) -> list[list[list[int]]]:
        """For each sentence, for each word, its piece ids; a word that tokenizes to nothing gets the unknown piece."""
        if not sentences:
            return []
        unknown = (
            self.tokenizer.unk_token_id
            if self.tokenizer.unk_token_id is not None
            else self.tokenizer.pad_token_id
        )
        encoded = self.tokenizer(
            [list(tokens) for tokens in sentences], is_split_into_words=True, add_special_tokens=False,
            return_attention_mask=False, return_token_type_ids=False, verbose=False,
        )  # fmt: skip
        result = []
        for i, tokens in enumerate(sentences):
            cut: list[list[int]] = [[] for _ in tokens]
            for piece, word in zip(encoded["input_ids"][i], encoded.word_ids(i), strict=True):
                if word is not None:
                    cut[word].append(piece)
            result.append([ids[: self.room] or [unknown] for ids in cut])
        return result

    def windows(self, sentences: Sequence[Sequence[str]]) -> list[Window]:
        """All windows of all sentences, in order; together they own every word once."""
        return [
            window
            for i, cut in enumerate(self.pieces(sentences))
            for window in self._windows(i, cut)
        ]

    def _windows(self, sentence: int, cut: list[list[int]]) -> list[Window]:
        bounds = _window_bounds([len(ids) for ids in cut], self.room, self.overlap)
        result = []
        for k, (start, end) in enumerate(bounds):
            # the middle of an overlap is where both windows have as much context
            owned_from = 0 if k == 0 else (start + bounds[k - 1][1]) // 2
            owned_to = len(cut) if k == len(bounds) - 1 else (bounds[k + 1][0] + end) // 2
            ids, positions, words = list(self.prefix), [], []
            for word in range(start, end):
                if owned_from <= word < owned_to:
                    labelled = len(cut[word]) if self.label_pieces == "all" else 1
                    positions += range(len(ids), len(ids) + labelled)
                    words += [word] * labelled
                ids += cut[word]
            result.append(
                Window(sentence, ids + self.suffix, positions, words, k == 0, k == len(bounds) - 1)
            )
        return result


def _window_bounds(lengths: list[int], room: int, overlap: int) -> list[tuple[int, int]]:
    """(first word, end word) of each window: as many words as fit, then back by at most `overlap` pieces."""
    bounds, start = [], 0
    while True:
        end, used = start, 0
        while end < len(lengths) and used + lengths[end] <= room:
            used += lengths[end]
            end += 1
        if (
            bounds and end == bounds[-1][1]
        ):  # stepping back showed nothing new: a very long word follows
            start += 1
            continue
        bounds.append((start, end))
        if end == len(lengths):
            return bounds
        back, start = 0, end
        while start - 1 > bounds[-1][0] and back + lengths[start - 1] <= overlap:
            start -= 1
            back += lengths[start]


def _special_tokens(tokenizer) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text, e.g. [CLS] and [SEP]."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    at = next(i for i in range(len(full) - len(bare) + 1) if full[i : i + len(bare)] == bare)
    return full[:at], full[at + len(bare) :]
