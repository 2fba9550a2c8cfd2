"""What a lexicon's labels are worth, measured on gold before anything is trained on them."""

from collections import Counter
from collections.abc import Iterable, Iterator

import pandas as pd

from ..corpora.corpus import Corpus
from ..corpora.schemes import Span
from ..corpora.splits import Split, refuse_test
from ..corpora.text import Sentence, cut_again
from ..evaluation.scoring import score
from .lexicons import Entry, Lexicon


def quality(
    lexicon: Lexicon, corpora: list[Corpus], roles: tuple[str, ...] = ("train", "dev")
) -> pd.DataFrame:
    """One line per corpus and type that the lexicon knows, over these splits.

    Columns: strict precision, recall, f1 (0 to 1), support. A corpus that annotates none of its
    types has no line. Raises SelectionError for a test split: filters are chosen by these figures.
    """
    lines = []
    for corpus in corpora:
        sentences = []
        for role in roles:
            if role in corpus.splits:
                sentences += refuse_test(corpus.splits[role], "choosing terms")
        types = [type for type in corpus.types if type in lexicon.types]
        if not types:
            continue
        gold = [sentence.spans for sentence in sentences]
        found = [_spans(lexicon, sentence) for sentence in sentences]
        scores = score(gold, found, types)
        for type in types:
            line = {"corpus": corpus.name, "type": type}
            for key in ("precision", "recall", "f1", "support"):
                line[key] = scores[type][key]
            lines.append(line)
    columns = ["corpus", "type", "precision", "recall", "f1", "support"]
    return pd.DataFrame(lines, columns=columns)


def _spans(lexicon: Lexicon, sentence: Sentence) -> list[Span]:
    return [Span(*match[:3]) for match in lexicon.find_whole(sentence.tokens)]


def _term(sentence: Sentence, span: Span) -> str:
    """The words of a match as a lexicon writes them, with blanks between."""
    parts = cut_again(sentence.tokens[span.start : span.end])
    return " ".join(part for own in parts for part in own)


def _matches(lexicon: Lexicon, split: Split) -> Iterator[tuple[Sentence, Span, bool]]:
    """The lexicon's matches in a split, and whether they are right."""
    for sentence in refuse_test(split, "choosing terms"):
        gold = set(sentence.spans)
        for span in _spans(lexicon, sentence):
            yield sentence, span, span in gold


def noisiest(lexicon: Lexicon, split: Split, type: str, n: int = 20) -> pd.DataFrame:
    """The terms of a type that are wrong most often in a split.

    Columns: term, matches, right, precision, and one sentence with the wrong term in []. Raises
    SelectionError for a test split.
    """
    matches, right = Counter(), Counter()
    example: dict[str, str] = {}
    for sentence, span, is_right in _matches(lexicon, split):
        if span.type != type:
            continue
        term = _term(sentence, span)
        matches[term] += 1
        right[term] += is_right
        if not is_right:
            before = sentence.tokens[max(0, span.start - 8) : span.start]
            after = sentence.tokens[span.end : span.end + 8]
            example.setdefault(term, " ".join([*before, f"[{term}]", *after]))
    worst = sorted(example, key=lambda term: (right[term] - matches[term], term))[:n]
    return pd.DataFrame(
        {
            "term": worst,
            "matches": [matches[term] for term in worst],
            "right": [right[term] for term in worst],
            "precision": [right[term] / matches[term] for term in worst],
            "in": [example[term] for term in worst],
        }
    )


def term_precision(lexicon: Lexicon, split: Split) -> dict[tuple[str, str], tuple[int, int]]:
    """(case-folded term, type) -> (matches, right ones) in a split.

    Raises SelectionError for a test split.
    """
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for sentence, span, is_right in _matches(lexicon, split):
        term = _term(sentence, span).casefold()
        matches, right = counts.get((term, span.type), (0, 0))
        counts[term, span.type] = (matches + 1, right + is_right)
    return counts


def drop_noisy(
    entries: Iterable[Entry],
    corpora: Iterable[Corpus],
    precision: float = 0.3,
    matches: int = 3,
) -> tuple[list[Entry], pd.DataFrame]:
    """Entries without those that are often wrong on train; and what was dropped.

    An entry is dropped if its precision, over all corpora that annotate its type, is below
    `precision` (0 to 1) in at least so many `matches`. Raises SelectionError for a test split.
    """
    entries = [Entry._make(entry) for entry in entries]
    found, right = Counter(), Counter()
    lexicon = Lexicon(entries)
    for corpus in corpora:
        for (term, type), (n, hits) in term_precision(lexicon, corpus.train).items():
            if type in corpus.types:
                found[term, type] += n
                right[term, type] += hits
    noisy = [key for key, n in found.items() if n >= matches and right[key] / n < precision]
    dropped = set(noisy)
    kept = []
    for entry in entries:
        if (" ".join(entry.words).casefold(), entry.type) not in dropped:
            kept.append(entry)
    frame = pd.DataFrame(
        {
            "term": [term for term, _ in noisy],
            "type": [type for _, type in noisy],
            "matches": [found[key] for key in noisy],
            "right": [right[key] for key in noisy],
        }
    )
    frame = frame.sort_values(["matches", "term"], ascending=[False, True])
    return kept, frame.reset_index(drop=True)
