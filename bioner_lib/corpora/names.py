"""The names that a corpus annotates: how many, how often, how ambiguous, how many concepts.

A name is a mention's words, joined by blanks and case-folded. Two texts hold the same name if its
`surface` is the same, because files cut words differently.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from ..errors import WorkbookError
from .concepts import concepts, identified
from .corpus import Corpus

INSIDE, OUTSIDE = "part of a longer mention", "no mention"
_NAMES = [
    "corpus",
    "mentions",
    "names",
    "distinct (%)",
    "once (%)",
    "top ten (%)",
    "most frequent",
    "abbreviations (%)",
    "several types (%)",
]


def mentions(corpus: Corpus, role: str) -> Iterator[tuple[str, str]]:
    """(words as written, joined by blanks; type) of each mention in a split."""
    for sentence in corpus.split(role):
        for start, end, type in sentence.spans:
            yield " ".join(sentence.tokens[start:end]), type


def surface(name: str) -> str:
    """A name without blanks and case: IL-2 and "il - 2" are equal."""
    return "".join(name.split()).casefold()


def is_abbreviation(name: str) -> bool:
    """2 to 10 characters without blanks; at least two capitals, and half of the letters are.

    A rule about form, so that it holds for every corpus: it takes gene symbols too.
    """
    written = "".join(name.split())
    letters = [sign for sign in written if sign.isalpha()]
    capitals = sum(sign.isupper() for sign in letters)
    return 2 <= len(written) <= 10 and capitals >= 2 and 2 * capitals >= len(letters)


def name_structure(corpora: Sequence[Corpus], role: str = "train") -> pd.DataFrame:
    """One line per corpus.

    mentions, names                  mentions, and distinct names
    distinct (%)                     names per 100 mentions
    once (%)                         share of names that occur once
    top ten (%)                      share of mentions that have one of the ten most frequent names
    most frequent                    the three most frequent names
    abbreviations (%)                share of mentions that `is_abbreviation`
    several types (%)                share of mentions whose name also has another type

    A corpus without this split, or without a mention in it, has no line.
    """
    lines = []
    for corpus in corpora:
        found = list(mentions(corpus, role)) if role in corpus.splits else []
        if not found:
            continue
        counts = Counter(name.casefold() for name, _ in found)
        types = defaultdict(set)
        for name, type in found:
            types[name.casefold()].add(type)
        once = sum(count == 1 for count in counts.values())
        top = counts.most_common(10)
        several = sum(counts[name] for name, own in types.items() if len(own) > 1)
        lines.append(
            {
                "corpus": corpus.name,
                "mentions": len(found),
                "names": len(counts),
                "distinct (%)": 100 * len(counts) / len(found),
                "once (%)": 100 * once / len(counts),
                "top ten (%)": 100 * sum(count for _, count in top) / len(found),
                "most frequent": ", ".join(name for name, _ in top[:3]),
                "abbreviations (%)": 100 * np.mean([is_abbreviation(name) for name, _ in found]),
                "several types (%)": 100 * several / len(found),
            }
        )
    return pd.DataFrame(lines, columns=_NAMES)


def concept_structure(corpora: Sequence[Corpus], role: str = "train") -> pd.DataFrame:
    """One line per corpus: names per concept and concepts per name, where there are identifiers.

    concepts                  distinct (type, identifier)
    without (%)               share of mentions without an identifier
    names per concept         mean; a mention of several concepts counts for each of them
    most names                of one concept
    concepts per name         mean
    several concepts (%)      share of names that stand for several identifiers (or lists of them)
    note                      why a line is blank

    A corpus without this split has no line.
    """
    columns = ["concepts", "without (%)", "names per concept", "most names", "concepts per name"]
    columns += ["several concepts (%)", "note"]
    lines = {}
    for corpus in corpora:
        if role in corpus.splits:
            try:
                found = concepts(corpus.base or corpus.name)
                lines[corpus.name] = _concept_line(list(identified(corpus, role, found)))
            except WorkbookError as error:
                lines[corpus.name] = {"note": str(error)}
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
    frame["note"] = [note if isinstance(note, str) else "" for note in frame["note"]]
    return frame.astype({"concepts": "Int64", "most names": "Int64"})


def _concept_line(found: list[tuple[str, str, tuple[str, ...]]]) -> dict[str, float]:
    names_of, concepts_of = defaultdict(set), defaultdict(set)
    for name, type, ids in found:
        for own in ids:
            names_of[type, own].add(name)
        if ids:
            concepts_of[name].add((type, ids))
    names = [len(own) for own in names_of.values()]
    meanings = np.array([len(own) for own in concepts_of.values()])
    return {
        "concepts": len(names),
        "without (%)": 100 * np.mean([not ids for *_, ids in found]) if found else np.nan,
        "names per concept": np.mean(names) if names else np.nan,
        "most names": max(names, default=0),
        "concepts per name": meanings.mean() if names else np.nan,
        "several concepts (%)": 100 * np.mean(meanings > 1) if names else np.nan,
    }


def _readings(corpus: Corpus, role: str) -> Mapping[str, Counter]:
    """Word -> how often it is a mention of each type, part of a longer mention, or no mention.

    Only words that are at least once a mention of one word. Case matters.
    """
    readings: dict[str, Counter] = defaultdict(Counter)
    for sentence in corpus.split(role):
        reading = [OUTSIDE] * len(sentence.tokens)
        for start, end, type in sentence.spans:
            reading[start:end] = [type if end - start == 1 else INSIDE] * (end - start)
        for token, name in zip(sentence.tokens, reading, strict=True):
            readings[token][name] += 1
    return {word: own for word, own in readings.items() if own.keys() & set(corpus.types)}


def _rivals(counts: Mapping[str, int]) -> list[int]:
    """How often each reading occurs, most frequent first; a part of a longer mention is none."""
    return sorted((n for name, n in counts.items() if name != INSIDE), reverse=True)


def ambiguous_words(corpora: Iterable[Corpus], role: str = "train", most: int = 4) -> pd.DataFrame:
    """Of each corpus the words that are a mention here, and another type or no mention elsewhere.

    Ordered by how often the second most frequent reading occurs. Case matters.
    Columns: corpus, word, readings (with their counts).
    """
    lines = []
    for corpus in corpora:
        found = _readings(corpus, role) if role in corpus.splits else {}
        several = {word: own for word, own in found.items() if len(_rivals(own)) > 1}
        for word in sorted(several, key=lambda word: (-_rivals(several[word])[1], word))[:most]:
            told = ", ".join(f"{name} {n:,}" for name, n in several[word].most_common())
            lines.append({"corpus": corpus.name, "word": word, "readings": told})
    return pd.DataFrame(lines, columns=["corpus", "word", "readings"])


def ambiguity(corpus: Corpus, role: str = "train") -> float:
    """Share of the occurrences of one-word names that have a rarer reading, 0 to 1.

    A word's readings are each type, and no mention. A dictionary that knows one reading per word
    is wrong at least so often. NaN where no mention has one word.
    """
    rivals = [_rivals(own) for own in _readings(corpus, role).values()]
    total = sum(map(sum, rivals))
    return sum(sum(own) - own[0] for own in rivals) / total if total else np.nan
