"""A text as a whole: its sentences, its words, and the entities that were found in it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .text import Characters, sentence_bounds, words

_HALF = re.compile("[\ud800-\udfff]")

Entity = dict[str, object]  # entity_group, score, word, start, end, sentence


@dataclass(frozen=True, slots=True)
class Document:
    """A text, cut into sentences and words; all offsets are characters of `text`.

    sentences   (start, end) of each sentence that has a word
    tokens      for each sentence, (start, end) of its words
    entities    sorted by start. Each has `entity_group` (its type), `score` (0 to 1), `word`,
                `start`, `end` (exclusive) and `sentence` (its index). Those of different types
                may overlap.
    """

    id: str
    text: str
    sentences: list[Characters]
    tokens: list[list[Characters]]
    entities: list[Entity] = field(default_factory=list)

    @property
    def words(self) -> list[list[str]]:
        """The words of each sentence, as strings."""
        text = without_halves(self.text)
        return [[text[start:end] for start, end in offsets] for offsets in self.tokens]


def document_of(text: str, id: str = "", passages: Sequence[int] = ()) -> Document:
    """A text, cut as the text of PubTator and BioC corpora is.

    No sentence goes on across the start of a passage; `passages` are these starts.
    """
    sentences, tokens = [], []
    for first, last in pairwise(sorted({0, *passages, len(text)})):
        for a, b in sentence_bounds(without_halves(text[first:last])):
            start, end = first + a, first + b
            inside = [(start + a, start + b) for a, b in words(text[start:end])]
            if inside:
                sentences.append((start, end))
                tokens.append(inside)
    return Document(id, text, sentences, tokens)


def without_halves(text: str) -> str:
    """The text with U+FFFD for half a character, which UTF-8 can't hold; the offsets stay."""
    return _HALF.sub("\ufffd", text)
