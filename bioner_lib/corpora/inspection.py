"""What is in a corpus before anything is trained: sizes, density, tags, pieces."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pandas as pd

from .corpus import Corpus
from .schemes import to_tags
from .text import Sentence

Pieces = Sequence[Sequence[int]]  # the piece ids of each word of a sentence


def summary(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """One line per corpus and split.

    Columns: documents (blank where unknown), sentences, words, longest sentence, mentions by type.
    """
    lines = []
    for corpus in corpora:
        for role, split in corpus.splits.items():
            counts = corpus.counts(role)
            lengths = [len(sentence.tokens) for sentence in split]
            documents = len({sentence.doc for sentence in split}) if corpus.documented else None
            lines.append(
                {
                    "corpus": corpus.name,
                    "split": role,
                    "documents": documents,
                    "sentences": len(split),
                    "words": sum(lengths),
                    "longest": max(lengths),
                    "mentions": ", ".join(f"{type} {counts[type]:,}" for type in corpus.types),
                }
            )
    return pd.DataFrame(lines).astype({"documents": "Int64"})


def density(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """One line per corpus and split: how many mentions there are, and how long they are.

    Columns: mentions, per sentence, per 100 words, words per mention (mean), longest mention,
    one word (share of mentions, %), and the share of sentences without a mention (%).
    """
    lines = []
    for corpus in corpora:
        for role, split in corpus.splits.items():
            words = sum(len(sentence.tokens) for sentence in split)
            by_sentence = [[span.end - span.start for span in s.spans] for s in split]
            lengths = np.array([n for own in by_sentence for n in own])
            lines.append(
                {
                    "corpus": corpus.name,
                    "split": role,
                    "mentions": len(lengths),
                    "per sentence": len(lengths) / len(split),
                    "per 100 words": 100 * len(lengths) / words,
                    "words per mention": lengths.mean() if len(lengths) else np.nan,
                    "longest": max(lengths, default=0),
                    "one word (%)": 100 * np.mean(lengths == 1) if len(lengths) else np.nan,
                    "sentences without (%)": 100 * sum(not own for own in by_sentence) / len(split),
                }
            )
    return pd.DataFrame(lines)


def tag_balance(corpora: Sequence[Corpus], role: str = "train") -> pd.DataFrame:
    """One line per corpus: counts of B, I, E, S and O in IOBES, and the share of O (%).

    B + S is the number of mentions, and all five together the number of words. A corpus without
    this split has no line.
    """
    lines = {}
    for corpus in corpora:
        if role in corpus.splits:
            counts: Counter = Counter()
            for sentence in corpus.split(role):
                tags = to_tags(sentence.spans, len(sentence.tokens), "IOBES")
                counts.update(tag[0] for tag in tags)
            own = {prefix: counts[prefix] for prefix in "BIESO"}
            lines[corpus.name] = own | {"O (%)": 100 * counts["O"] / counts.total()}
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=[*"BIESO", "O (%)"])
    return frame.rename_axis("corpus")


def pieces_by_place(split: Sequence[Sentence], pieces: Sequence[Pieces]) -> dict[str, list[int]]:
    """Number of pieces of each word, inside and outside mentions; `pieces` is `Aligner.pieces`."""
    counts: dict[str, list[int]] = {"inside mentions": [], "outside": []}
    for sentence, by_word in zip(split, pieces, strict=True):
        inside = {word for start, end, _ in sentence.spans for word in range(start, end)}
        for word, ids in enumerate(by_word):
            counts["inside mentions" if word in inside else "outside"].append(len(ids))
    return counts


def lost_by_cutting(split: Sequence[Sentence], pieces: Sequence[Pieces], room: int) -> int:
    """How many mentions end after the first `room` pieces of their sentence."""
    lost = 0
    for sentence, by_word in zip(split, pieces, strict=True):
        ends = list(accumulate(len(ids) for ids in by_word))
        lost += sum(ends[span.end - 1] > room for span in sentence.spans)
    return lost
