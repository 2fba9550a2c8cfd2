"""Words <-> pieces: one aligner for training, scoring and inference.

A sentence longer than the encoder's window becomes several windows, which overlap at word borders.
Exactly one window owns each word: the one that shows it with the most context. The word is trained
and scored there. No word is cut off.

A shorter sentence may show its neighbours too (`context`): pieces of the sentences before and after
it in its document (Luoma and Pyysalo 2020, doi:10.18653/v1/2020.coling-main.78). They have no
labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from ..choices import LABEL_PIECES
from ..errors import WorkbookError, unknown
from .characters import features

Pieces = list[list[int]]  # the piece ids of each word of a sentence


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a sentence as the encoder sees it.

    sentence         its index
    input_ids        piece ids, special tokens included
    positions        where in `input_ids` the labelled pieces are
    words            for each labelled piece, the word that it belongs to
    opens, closes    whether the sentence starts and ends in this window
    characters       for each labelled piece, numbers of its word's characters (`characters`); none
                     where no head reads them

    With label_pieces="first" one piece per word is labelled, with "all" every piece.
    """

    sentence: int
    input_ids: list[int]
    positions: list[int]
    words: list[int]
    opens: bool = True
    closes: bool = True
    characters: Sequence[Sequence[int]] = ()


class Aligner:
    """Cuts words into pieces, and sentences into windows.

    A window has at most `max_length` pieces, special tokens included, and shares at most `overlap`
    pieces with the next one. A sentence that fits into one window shows at most `context` pieces
    of its document on each side. Raises WorkbookError for a slow tokenizer, and for windows that
    are too short for their overlap.
    """

    def __init__(
        self,
        tokenizer,
        max_length: int = 256,
        overlap: int = 64,
        label_pieces: str = "first",
        with_characters: bool = False,
        context: int = 0,
    ):
        if not tokenizer.is_fast:
            raise WorkbookError(
                f"{type(tokenizer).__name__} is a slow tokenizer; alignment needs a fast one "
                "(a tokenizer.json)"
            )
        if label_pieces not in LABEL_PIECES:
            raise unknown("label_pieces", label_pieces, LABEL_PIECES)
        self.tokenizer, self.label_pieces, self.overlap = tokenizer, label_pieces, overlap
        self.context, self.with_characters = context, with_characters
        self.prefix, self.suffix = _special_tokens(tokenizer)
        self.room = max_length - len(self.prefix) - len(self.suffix)
        if not 0 <= overlap < self.room:
            raise WorkbookError(
                f"an overlap of {overlap} pieces leaves nothing of windows of {max_length}; "
                "make max_length larger"
            )

    def pieces(self, sentences: Sequence[Sequence[str]]) -> list[Pieces]:
        """For each sentence and each of its words, the piece ids.

        A word without a piece (a control character) gets the unknown piece.
        """
        if not sentences:
            return []
        unknown_id = self.tokenizer.unk_token_id
        if unknown_id is None:
            unknown_id = self.tokenizer.pad_token_id
        encoded = self.tokenizer(
            [list(tokens) for tokens in sentences],
            is_split_into_words=True,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        result = []
        for i, tokens in enumerate(sentences):
            by_word: Pieces = [[] for _ in tokens]
            for piece, word in zip(encoded["input_ids"][i], encoded.word_ids(i), strict=True):
                if word is not None:
                    by_word[word].append(piece)
            result.append([ids[: self.room] or [unknown_id] for ids in by_word])
        return result

    def windows(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[str] = ()
    ) -> list[Window]:
        """The windows of all sentences, in order; together they own every word once.

        `documents` names the document of each sentence; its sentences follow each other. Without
        documents each sentence stands alone.
        """
        pieces, found = self.pieces(sentences), []
        for i, tokens in enumerate(sentences):
            shows_more = self.context and documents
            around = self._neighbours(i, pieces, documents) if shows_more else ([], [])
            found += self._windows(i, tokens, pieces[i], *around)
        return found

    def _neighbours(
        self, i: int, pieces: Sequence[Pieces], documents: Sequence[str]
    ) -> tuple[list[int], list[int]]:
        """The pieces that sentence i shows before and after its own: whole words, the nearest."""
        spare = self.room - sum(map(len, pieces[i]))
        most = min(self.context, spare // 2)
        before = _nearest(_beside(i, -1, pieces, documents), most)[::-1]  # was read outwards
        after = _nearest(_beside(i, 1, pieces, documents), most)
        return list(chain(*before)), list(chain(*after))

    def _windows(
        self,
        sentence: int,
        tokens: Sequence[str],
        pieces: Pieces,
        before: Sequence[int],
        after: Sequence[int],
    ) -> list[Window]:
        bounds = _window_bounds([len(ids) for ids in pieces], self.room, self.overlap)
        # in the middle of an overlap, both windows show as much context
        borders = [0]
        for (_, end), (start, _) in pairwise(bounds):
            borders.append((start + end) // 2)
        borders.append(len(pieces))
        result = []
        for k, (start, end) in enumerate(bounds):
            ids, positions, words = [*self.prefix, *before], [], []
            for word in range(start, end):
                if borders[k] <= word < borders[k + 1]:
                    labelled = len(pieces[word]) if self.label_pieces == "all" else 1
                    positions += range(len(ids), len(ids) + labelled)
                    words += [word] * labelled
                ids += pieces[word]
            opens, closes = k == 0, k == len(bounds) - 1
            ids += [*after, *self.suffix]
            characters = features([tokens[w] for w in words]) if self.with_characters else ()
            result.append(Window(sentence, ids, positions, words, opens, closes, characters))
        return result


def _beside(
    i: int, step: int, pieces: Sequence[Pieces], documents: Sequence[str]
) -> Iterator[list[int]]:
    """The words beside sentence i in its document, outwards: before it (step -1) or after (1)."""
    k = i + step
    while 0 <= k < len(pieces) and documents[k] == documents[i]:
        yield from pieces[k][::step]
        k += step


def _nearest(words: Iterator[list[int]], most: int) -> list[list[int]]:
    """The first words that have at most so many pieces together."""
    kept, used = [], 0
    for ids in words:
        used += len(ids)
        if used > most:
            break
        kept.append(ids)
    return kept


def _window_bounds(lengths: list[int], room: int, overlap: int) -> list[tuple[int, int]]:
    """(first word, end word) of each window.

    A window takes as many words as fit; the next one starts at most `overlap` pieces before its
    end.
    """
    bounds, start = [], 0
    while True:
        end, used = start, 0
        while end < len(lengths) and used + lengths[end] <= room:
            used += lengths[end]
            end += 1
        if bounds and end == bounds[-1][1]:  # a very long word follows: the overlap must shrink
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
    starts = range(len(full) - len(bare) + 1)
    at = next(i for i in starts if full[i : i + len(bare)] == bare)
    return full[:at], full[at + len(bare) :]
