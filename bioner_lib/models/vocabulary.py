"""Frequent training words get a piece of their own.

A general-domain vocabulary cuts "metformin" into met ##form ##in. Here such a word becomes one
piece, and its row in the table of word embeddings begins as the mean of the rows of its old pieces
(Gee, Zugarini, Rigutini, Torroni 2022, 2022.emnlp-industry.41).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch

from ..errors import WorkbookError


def add_words(encoder, tokenizer, sentences: Iterable[Sequence[str]], count: int) -> list[str]:
    """Give a piece and a row to each of the `count` most frequent words that the tokenizer cuts.

    Changes the encoder and the tokenizer; returns the new words, the most frequent first. A word
    that stands only once stays cut. Raises WorkbookError for a slow tokenizer, and for one that
    goes on cutting such a word.
    """
    from transformers import AddedToken

    if not tokenizer.is_fast:
        raise WorkbookError(f"extra_words needs a fast tokenizer, not {type(tokenizer).__name__}")
    pieces = dict(_cut_words(tokenizer, sentences)[:count])
    # byte-level tokenizers hold the blank before a word in its piece, WordPiece doesn't
    blank = {"lstrip": type(tokenizer.backend_tokenizer.model).__name__ != "WordPiece"}
    tokenizer.add_tokens([AddedToken(word, single_word=True, **blank) for word in pieces])
    rows = max(len(tokenizer), encoder.get_input_embeddings().num_embeddings)
    encoder.resize_token_embeddings(rows, mean_resizing=False)
    table = encoder.get_input_embeddings().weight
    with torch.no_grad():
        for word, old in pieces.items():
            table[tokenizer.convert_tokens_to_ids(word)] = table[old].mean(dim=0)
    words = list(pieces)
    now = zip(words, _ids(tokenizer, words), strict=True)
    if still_cut := [word for word, ids in now if len(ids) != 1]:
        raise WorkbookError(
            f"the tokenizer {type(tokenizer).__name__} goes on cutting {still_cut[:5]}; take "
            "extra_words=0"
        )
    return words


def vocabulary(tokenizer) -> dict[str, int]:
    """Piece -> its id, without words that were added."""
    added = tokenizer.get_added_vocab()
    return {piece: id for piece, id in tokenizer.get_vocab().items() if piece not in added}


def _cut_words(tokenizer, sentences: Iterable[Sequence[str]]) -> list[tuple[str, list[int]]]:
    """(word, ids of its pieces) of words of several pieces that stand twice or more often."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    counts = Counter(word for words in sentences for word in words)
    normal: Counter = Counter()  # an uncased tokenizer reads OPA1 and opa1 as one word
    for word, number in counts.items():
        normal[normalizer.normalize_str(word).strip() if normalizer else word] += number
    words = [word for word, number in normal.items() if number > 1 and word]
    words.sort(key=lambda word: (-normal[word], word))
    pairs = zip(words, _ids(tokenizer, words), strict=True)
    return [(word, ids) for word, ids in pairs if len(ids) > 1]


def _ids(tokenizer, words: Sequence[str]) -> list[list[int]]:
    """The pieces of each word, as it is cut in a list of words."""
    if not words:
        return []
    alone = [[word] for word in words]
    encoded = tokenizer(alone, is_split_into_words=True, add_special_tokens=False)
    return encoded["input_ids"]
