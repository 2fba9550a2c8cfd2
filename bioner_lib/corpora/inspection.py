"""What is in a corpus before anything is trained: sizes, ambiguous words, what test shares."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pandas as pd

from .corpus import Corpus
from .schemes import Span
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


def ambiguous_surfaces(corpus: Corpus, role: str = "train", most: int = 15) -> pd.DataFrame:
    """One-word mentions that elsewhere have another type or none, with a count per reading.

    Ordered by how often the rarer reading occurs. Case matters.
    """
    inside_name, outside_name = "part of a longer mention", "no mention"
    readings: dict[str, Counter] = defaultdict(Counter)
    for sentence in corpus.splits[role]:
        reading = [outside_name] * len(sentence.tokens)
        for start, end, type in sentence.spans:
            one_word = end - start == 1
            reading[start:end] = [type if one_word else inside_name] * (end - start)
        for token, name in zip(sentence.tokens, reading, strict=True):
            readings[token][name] += 1
    lines = []
    for surface, counts in readings.items():
        types = [type for type in corpus.types if counts[type]]
        rivals = sorted(counts[name] for name in [*types, outside_name] if counts[name])
        if types and len(rivals) > 1:
            lines.append({"surface": surface, "rarer": rivals[-2], **counts})
    columns = ["surface", "rarer", *corpus.types, inside_name, outside_name]
    frame = pd.DataFrame(lines, columns=columns)
    frame = frame.sort_values(["rarer", "surface"], ascending=[False, True]).head(most)
    return frame.drop(columns="rarer").fillna(0).set_index("surface").astype(int)


def _text(sentence: Sentence) -> str:
    return " ".join(sentence.tokens)


def duplicates(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """How many test sentences (rows) occur word for word in a train split (columns)."""
    train = {}
    for corpus in corpora:
        train[corpus.name] = {_text(sentence) for sentence in corpus.splits.get("train", ())}
    table = {}
    for corpus in corpora:
        if "test" in corpus.splits:
            test = [_text(sentence) for sentence in corpus.test]
            table[corpus.name] = {
                name: sum(text in texts for text in test) for name, texts in train.items()
            }
    frame = pd.DataFrame(table).T
    return frame.rename_axis("test of", axis=0).rename_axis("occurs in train of", axis=1)


def seen_in_train(corpus: Corpus) -> float:
    """Share of test mentions whose case-folded surface is a mention of the same type in train."""

    def surface(sentence: Sentence, span: Span) -> tuple[str, str]:
        words = sentence.tokens[span.start : span.end]
        return span.type, " ".join(words).casefold()

    seen = {surface(s, span) for s in corpus.train for span in s.spans}
    test = [surface(s, span) for s in corpus.test for span in s.spans]
    return sum(mention in seen for mention in test) / max(1, len(test))


def pieces_by_place(split: Sequence[Sentence], pieces: Sequence[Pieces]) -> dict[str, list[int]]:
    """Number of pieces of each word, inside and outside mentions; `pieces` is `Aligner.pieces`."""
    counts: dict[str, list[int]] = {"inside mentions": [], "outside": []}
    for sentence, by_word in zip(split, pieces, strict=True):
        inside = {word for start, end, _ in sentence.spans for word in range(start, end)}
        for word, ids in enumerate(by_word):
            counts["inside mentions" if word in inside else "outside"].append(len(ids))
    return counts


def weights_by_place(
    split: Sequence[Sentence],
    weights: Sequence[np.ndarray],
    heads: Sequence[str],
    sources: Sequence[str],
    types: Sequence[str],
) -> pd.DataFrame:
    """Mean weight of each source for each head, inside mentions of these types and elsewhere.

    `weights` is `MultiTaskTagger.sharing_weights` of the split: (heads, sources, words) per
    sentence.
    """
    inside = []
    for sentence in split:
        spans = [span for span in sentence.spans if span.type in types]
        for word in range(len(sentence.tokens)):
            inside.append(any(span.start <= word < span.end for span in spans))
    inside = np.array(inside)
    table = np.concatenate(weights, axis=-1)
    lines = {}
    for i, head in enumerate(heads):
        lines[head, f"in {' + '.join(types)}"] = table[i][:, inside].mean(-1)
        lines[head, "elsewhere"] = table[i][:, ~inside].mean(-1)
    index = pd.MultiIndex.from_tuples(lines)
    return pd.DataFrame(list(lines.values()), index=index, columns=list(sources))


def lost_by_cutting(split: Sequence[Sentence], pieces: Sequence[Pieces], room: int) -> int:
    """How many mentions end after the first `room` pieces of their sentence."""
    lost = 0
    for sentence, by_word in zip(split, pieces, strict=True):
        ends = list(accumulate(len(ids) for ids in by_word))
        lost += sum(ends[span.end - 1] > room for span in sentence.spans)
    return lost
