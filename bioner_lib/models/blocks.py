"""Sentences -> blocks, which are tagged together, with the windows that the encoder reads."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..corpora.text import Sentence
from ..errors import WorkbookError
from .alignment import Aligner, Window

BLOCK = 4_096  # sentences that are tagged together, the longest last: a bound on memory


class Block(NamedTuple):
    """Sentences that are tagged together, and their windows; an empty sentence has none."""

    sentences: list[Sequence[str]]
    windows: list[Window]


class Cut(list):
    """Tokenized sentences, and their `blocks`. Who tags a text more than once cuts it once."""

    def __init__(self, blocks: Iterable[Block]):
        self.blocks = list(blocks)
        super().__init__(words for block in self.blocks for words in block.sentences)

    def share(self, rank: int, count: int) -> "Cut":
        """Every count-th sentence, from number `rank` on; its windows stay as they are."""
        blocks, first = [], rank
        for block in self.blocks:
            mine = range(first, len(block.sentences), count)
            number = {old: new for new, old in enumerate(mine)}
            windows = [
                replace(window, sentence=number[window.sentence])
                for window in block.windows
                if window.sentence in number
            ]
            blocks.append(Block([block.sentences[k] for k in mine], windows))
            first = (first - len(block.sentences)) % count
        return Cut(blocks)


Sentences = Iterable[Sequence[str]] | Iterable[Sentence] | Cut


def cut_into_blocks(aligner: Aligner, sentences: Sentences) -> Iterator[Block]:
    """Sentences, block by block, with their windows; what was cut before stays as it is.

    Raises WorkbookError for text that isn't cut into words.
    """
    if isinstance(sentences, Cut):
        yield from sentences.blocks
        return
    for block in _blocks(sentences):
        words = [s.tokens if isinstance(s, Sentence) else s for s in block]
        documents = [_document_of(sentence, i) for i, sentence in enumerate(block)]
        windows = aligner.windows(words, documents)
        yield Block(words, [window for window in windows if window.words])


def _blocks(sentences: Iterable[Sequence[str] | Sentence]) -> Iterator[list]:
    """About BLOCK sentences each; a document stays in one piece."""
    _refuse_text(sentences)
    block: list = []
    for i, sentence in enumerate(sentences):
        _refuse_text(sentence)
        if len(block) >= BLOCK and _document_of(sentence, i) != _document_of(block[-1], i - 1):
            yield block
            block = []
        block.append(sentence)
    if block:
        yield block


def _document_of(sentence: Sequence[str] | Sentence, number: int) -> str | int:
    """The document of a corpus's sentence; a list of words is one by itself."""
    return sentence.doc if isinstance(sentence, Sentence) else number


def _refuse_text(sentence: object) -> None:
    """Raises WorkbookError for a string where a list of words (or of sentences) is expected."""
    if isinstance(sentence, str):
        raise WorkbookError(
            f"{sentence[:40]!r} is text, and predict takes sentences as lists of words; "
            "tagger.tag(text) takes text"
        )
