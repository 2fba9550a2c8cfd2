"""A split: sentences that know whether they train, choose or test."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import eq

from ..errors import SelectionError
from .lines import Lines
from .text import Sentence

SPLITS = ("train", "dev", "test")


class Split(Sequence):
    """The sentences of one split.

    A split knows its role, so that code which chooses can't be handed a test split by mistake.
    Sentences are held in memory, or stay on disk where `Lines` are given.
    """

    def __init__(self, sentences: Iterable[Sentence], role: str, corpus: str):
        self._sentences = sentences if isinstance(sentences, Lines) else tuple(sentences)
        self.role, self.corpus = role, corpus

    def __len__(self) -> int:
        return len(self._sentences)

    def __getitem__(self, index):
        return self._sentences[index]

    def __iter__(self) -> Iterator[Sentence]:
        return iter(self._sentences)

    def __eq__(self, other) -> bool:
        if not isinstance(other, Split) or len(self) != len(other):
            return False
        return all(map(eq, self, other))

    __hash__ = None

    @property
    def on_disk(self) -> bool:
        """Whether each sentence is read from disk when it is asked for."""
        return isinstance(self._sentences, Lines)

    def take(self, indices: Iterable[int]) -> "Split":
        """The sentences with these indices."""
        if self.on_disk:
            return Split(self._sentences.take(indices), self.role, self.corpus)
        return Split([self._sentences[i] for i in indices], self.role, self.corpus)

    def map(self, change: Callable[[Sentence], Sentence], corpus: str) -> "Split":
        """The changed sentences, as a split of the corpus with this name."""
        if self.on_disk:
            return Split(self._sentences.map(change), self.role, corpus)
        return Split(map(change, self._sentences), self.role, corpus)


def refuse_test(split: Split, purpose: str) -> Split:
    """The split, if `purpose` may see it.

    Raises SelectionError for a test split, and for a plain list, which doesn't know its role.
    """
    if not isinstance(split, Split):
        raise SelectionError(
            f"{purpose} takes a Split such as corpus.dev, which knows its role, "
            f"not {type(split).__name__}"
        )
    if split.role == "test":
        raise SelectionError(
            f"{purpose} must not see the test split of {split.corpus!r}; choose on corpus.dev"
        )
    return split
