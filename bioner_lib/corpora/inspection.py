"""What is in a corpus before anything is trained: sizes, ambiguous surfaces, duplicates, what test shares with train."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pandas as pd

from .corpus import Corpus
from .text import Sentence


def summary(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """One line a corpus and split: documents (blank where unknown), sentences, words, longest sentence, mentions by type."""
    lines = []
    for corpus in corpora:
        for role, split in corpus.splits.items():
            counts = corpus.counts(role)
            lines.append({
                "corpus": corpus.name, "split": role, "documents": len({s.doc for s in split}) if corpus.documented else None,
                "sentences": len(split), "words": sum(len(s.tokens) for s in split), "longest": max(len(s.tokens) for s in split),
                "mentions": ", ".join(f"{name} {counts[name]:,}" for name in corpus.types),
            })  # fmt: skip
    return pd.DataFrame(lines).astype({"documents": "Int64"})


def _surface(sentence: Sentence, start: int, end: int) -> str:
    return " ".join(sentence.tokens[start:end])


def ambiguous_surfaces(corpus: Corpus, role: str = "train", most: int = 15) -> pd.DataFrame:
    """One-word mentions whose surface also stands with another type or outside any mention, with a count for each reading.

    Ordered by how often the rarer reading occurs. Case matters.
    """
    readings: dict[str, Counter] = defaultdict(Counter)
    for sentence in corpus.splits[role]:
        inside = {}
        for start, end, name in sentence.spans:
            inside |= dict.fromkeys(range(start, end), "part of a longer mention")
            if end - start == 1:
                inside[start] = name
        for i, token in enumerate(sentence.tokens):
            readings[token][inside.get(i, "no mention")] += 1
    lines = []
    for surface, counts in readings.items():
        named = [name for name in corpus.types if counts[name]]
        rivals = [counts[name] for name in [*named, "no mention"] if counts[name]]
        if named and len(rivals) > 1:
            lines.append({"surface": surface, "rarer": sorted(rivals)[-2], **counts})
    frame = pd.DataFrame(
        lines, columns=["surface", "rarer", *corpus.types, "part of a longer mention", "no mention"]
    )
    return (
        frame.sort_values(["rarer", "surface"], ascending=[False, True])
        .head(most)
        .drop(columns="rarer")
        .fillna(0)
        .set_index("surface")
        .astype(int)
    )


def duplicates(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """Test sentences (rows) that stand word for word in a train split (columns): counts, the leakage that is in the data."""
    texts = {
        corpus.name: {" ".join(s.tokens) for s in corpus.splits.get("train", ())}
        for corpus in corpora
    }
    table = {}
    for corpus in corpora:
        if "test" in corpus.splits:
            table[corpus.name] = {
                name: sum(" ".join(s.tokens) in train for s in corpus.test)
                for name, train in texts.items()
            }
    return (
        pd.DataFrame(table)
        .T.rename_axis("test of", axis=0)
        .rename_axis("stands in train of", axis=1)
    )


def seen_in_train(corpus: Corpus) -> float:
    """Share of test mentions whose surface (case folded) is a mention of the same type in train."""
    seen = {
        (name, _surface(s, start, end).casefold())
        for s in corpus.train
        for start, end, name in s.spans
    }
    test = [
        (name, _surface(s, start, end).casefold())
        for s in corpus.test
        for start, end, name in s.spans
    ]
    return sum(mention in seen for mention in test) / max(1, len(test))


def pieces_by_place(
    split: Sequence[Sentence], pieces: Sequence[Sequence[Sequence[int]]]
) -> dict[str, list[int]]:
    """Number of pieces of each word, inside and outside mentions; `pieces` is `Aligner.pieces` of the split."""
    counts: dict[str, list[int]] = {"inside mentions": [], "outside": []}
    for sentence, words in zip(split, pieces, strict=True):
        inside = {w for start, end, _ in sentence.spans for w in range(start, end)}
        for w, ids in enumerate(words):
            counts["inside mentions" if w in inside else "outside"].append(len(ids))
    return counts


def weights_by_place(
    split: Sequence[Sentence],
    weights: Sequence[np.ndarray],
    heads: Sequence[str],
    sources: Sequence[str],
    types: Sequence[str],
) -> pd.DataFrame:
    """Mean weight of each source for each head, inside and outside mentions of these types.

    `weights` is `MultiTaskTagger.sharing_weights` of the split: (heads, sources, words) a sentence.
    """
    inside = np.array(
        [
            any(start <= w < end and name in types for start, end, name in s.spans)
            for s in split
            for w in range(len(s.tokens))
        ]
    )
    table = np.concatenate(weights, axis=-1)
    where = " + ".join(types)
    lines = {}
    for i, head in enumerate(heads):
        lines[head, f"in {where}"], lines[head, "elsewhere"] = (
            table[i][:, mask].mean(-1) for mask in (inside, ~inside)
        )
    return pd.DataFrame(
        list(lines.values()), index=pd.MultiIndex.from_tuples(lines), columns=list(sources)
    )


def lost_by_cutting(
    split: Sequence[Sentence], pieces: Sequence[Sequence[Sequence[int]]], room: int
) -> int:
    """How many mentions end beyond the first `room` pieces of their sentence."""
    lost = 0
    for sentence, words in zip(split, pieces, strict=True):
        ends = list(accumulate(len(ids) for ids in words))
        lost += sum(ends[end - 1] > room for _, end, _ in sentence.spans)
    return lost
