"""What a lexicon's labels are worth, measured on gold before anything is trained on them."""

from collections import Counter
from collections.abc import Iterable, Iterator

import pandas as pd

from ..corpora.corpus import Corpus, Split, refuse_test
from ..corpora.schemes import Span
from ..corpora.text import Sentence
from ..evaluation.scoring import score
from .lexicons import Entry, Lexicon


def quality(
    lexicon: Lexicon, corpora: list[Corpus], roles: tuple[str, ...] = ("train", "dev")
) -> pd.DataFrame:
    """One line a corpus and type that the lexicon knows: strict precision, recall, F1 (0 to 1) and support over these splits.

    A corpus that annotates none of its types has no line. Raises SelectionError for a test split: filters are chosen by these figures.
    """
    lines = []
    for corpus in corpora:
        splits = [
            refuse_test(corpus.splits[role], "choosing terms")
            for role in roles
            if role in corpus.splits
        ]
        types = [name for name in corpus.types if name in lexicon.types]
        if not types:
            continue
        found = [
            [(*span, 1.0) for span in lexicon.tag(sentence.tokens)]
            for split in splits
            for sentence in split
        ]
        measured = score([sentence.spans for split in splits for sentence in split], found, types)
        for name in types:
            keep = {key: measured[name][key] for key in ("precision", "recall", "f1", "support")}
            lines.append({"corpus": corpus.name, "type": name, **keep})
    return pd.DataFrame(lines, columns=["corpus", "type", "precision", "recall", "f1", "support"])


def _matches(lexicon: Lexicon, split: Split) -> Iterator[tuple[Sentence, Span, bool]]:
    """What the lexicon finds in a split, and whether it is right; raises SelectionError for a test split."""
    for sentence in refuse_test(split, "choosing terms"):
        gold = set(sentence.spans)
        for span in lexicon.tag(sentence.tokens):
            yield sentence, span, span in gold


def noisiest(lexicon: Lexicon, split: Split, type: str, n: int = 20) -> pd.DataFrame:
    """The terms of a type that are wrong most often in a split: matches, right ones, precision, and one sentence with the term in [].

    Raises SelectionError for a test split.
    """
    matches, hits, example = Counter(), Counter(), {}
    for sentence, (start, end, name), right in _matches(lexicon, split):
        if name == type:
            term = " ".join(sentence.tokens[start:end])
            matches[term] += 1
            hits[term] += right
            if not right:
                before, after = (
                    sentence.tokens[max(0, start - 8) : start],
                    sentence.tokens[end : end + 8],
                )
                example.setdefault(term, " ".join([*before, f"[{term}]", *after]))
    worst = sorted(example, key=lambda term: (hits[term] - matches[term], term))[:n]
    lines = [
        {
            "term": t,
            "matches": matches[t],
            "right": hits[t],
            "precision": hits[t] / matches[t],
            "in": example[t],
        }
        for t in worst
    ]
    return pd.DataFrame(lines)


def term_precision(lexicon: Lexicon, split: Split) -> dict[tuple[str, str], tuple[int, int]]:
    """(term, type) -> (matches, right ones) in a split, terms case-folded; what terms may be dropped or weighted by.

    Raises SelectionError for a test split.
    """
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for sentence, (start, end, name), right in _matches(lexicon, split):
        key = (" ".join(sentence.tokens[start:end]).casefold(), name)
        matches, hits = counts.get(key, (0, 0))
        counts[key] = (matches + 1, hits + right)
    return counts


def drop_noisy(
    entries: Iterable[Entry], corpora: Iterable[Corpus], precision: float = 0.3, matches: int = 3
) -> tuple[list[Entry], pd.DataFrame]:
    """Entries without those whose precision on train, over all corpora that annotate their type, is below
    `precision` (0 to 1); and what was dropped.

    A term needs so many `matches` to be judged. Raises SelectionError for a test split.
    """
    entries, seen = list(entries), Counter()
    right: Counter = Counter()
    lexicon = Lexicon(entries)
    for corpus in corpora:
        for (term, kind), (n, hits) in term_precision(lexicon, corpus.train).items():
            if kind in corpus.types:
                seen[term, kind] += n
                right[term, kind] += hits
    noisy = {key for key, n in seen.items() if n >= matches and right[key] / n < precision}
    kept = [entry for entry in entries if (" ".join(entry[0]).casefold(), entry[1]) not in noisy]
    lines = [
        {"term": t, "type": kind, "matches": seen[t, kind], "right": right[t, kind]}
        for t, kind in noisy
    ]
    frame = pd.DataFrame(lines, columns=["term", "type", "matches", "right"]).sort_values(
        ["matches", "term"], ascending=[False, True]
    )
    return kept, frame.reset_index(drop=True)
