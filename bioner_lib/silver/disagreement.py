"""Where corpora disagree: the names that one of them annotates, looked up in another one's text.

Both sides are cut into the words of running text first, since files cut words differently. A
corpus's names are the dictionary of its mentions: names that at least half of the time are a
mention in its own text. What a corpus doesn't annotate at all is silence and no disagreement.
"""

from collections.abc import Sequence
from itertools import accumulate

import pandas as pd

from ..corpora.corpus import Corpus
from ..corpora.schemes import Span, to_tags
from ..corpora.splits import Split
from ..corpora.text import Sentence, cut_again
from ..errors import DataError
from .lexicons import Lexicon

SAME, BOUNDARIES, NOTHING = "same", "other boundaries", "nothing"
TYPE, OVERLAP = "other type", "overlaps another type"
DIFFERENT = [TYPE, OVERLAP, NOTHING]
READINGS = (SAME, BOUNDARIES, *DIFFERENT)
_COLUMNS = ["names of", "text of", "type", "name", "reading", "sentence", "start", "end"]


def cut_like_running_text(split: Split) -> Split:
    """The split with words as `tokenize` cuts them; without offsets."""
    pieces: dict[str, list[str]] = {}

    def cut(sentence: Sentence) -> Sentence:
        parts = []
        for token in sentence.tokens:
            if token not in pieces:
                [pieces[token]] = cut_again([token])
            parts.append(pieces[token])
        at = [0, *accumulate(map(len, parts))]
        tokens = [piece for part in parts for piece in part]
        spans = [Span(at[start], at[end], type) for start, end, type in sentence.spans]
        return Sentence(tokens, to_tags(spans, len(tokens)), sentence.doc)

    return split.map(cut, split.corpus)


def cross_matches(
    corpora: Sequence[Corpus], role: str = "train", min_precision: float = 0.5
) -> pd.DataFrame:
    """Each match of a corpus's names in each corpus's text, its own text included.

    Columns: names of, text of, type (in the first corpus), name, reading, sentence (its index in
    the split), start, end (words of `cut_like_running_text`). The reading says what the second
    corpus annotates there:

        same                     the same words with the same type
        other boundaries         a mention of the same type that overlaps the name
        other type               the same words with another type
        overlaps another type    only mentions of other types with other boundaries
        nothing                  no mention at all

    Of a type that the second corpus doesn't annotate, the last two readings are silence and are
    left out. `min_precision`: how often a name must be a mention in its own corpus, 0 to 1.
    Corpora without this split are left out. Raises SelectionError for a test split, DataError for
    two corpora of one name.
    """
    texts, lexicons = {}, {}
    types = {corpus.name: frozenset(corpus.types) for corpus in corpora}
    if len(types) < len(corpora):
        raise DataError(f"each corpus may be named once: {[corpus.name for corpus in corpora]}")
    for corpus in corpora:
        if role in corpus.splits:
            text = cut_like_running_text(corpus.split(role))
            lexicons[corpus.name] = Lexicon.from_mentions(text, min_precision)
            texts[corpus.name] = [(s.tokens, s.spans) for s in text]
    lines = []
    for text_of, sentences in texts.items():
        for names_of, lexicon in lexicons.items():
            for i, (tokens, spans) in enumerate(sentences):
                for start, end, type, _ in lexicon.find(tokens):
                    reading = _reading(Span(start, end, type), spans)
                    if type in types[text_of] or reading not in (OVERLAP, NOTHING):
                        name = " ".join(tokens[start:end])
                        lines.append((names_of, text_of, type, name, reading, i, start, end))
    return pd.DataFrame(lines, columns=_COLUMNS)


def _reading(name: Span, spans: Sequence[Span]) -> str:
    if name in spans:
        return SAME
    overlapping = [span for span in spans if span.start < name.end and name.start < span.end]
    if not overlapping:
        return NOTHING
    if any(span.type == name.type for span in overlapping):
        return BOUNDARIES
    return TYPE if any(span[:2] == name[:2] for span in overlapping) else OVERLAP


def disagreements(matches: pd.DataFrame, corpora: Sequence[Corpus]) -> pd.DataFrame:
    """One line per pair of corpora and type: matches, a count per reading, differ (%).

    The readings add up to the matches. `differ` are the last three, NaN where the second corpus
    doesn't annotate the type: then only names with another type are counted. Where both corpora are
    the same one, it says how inconsistent a corpus is with itself.
    """
    keys = ["names of", "text of", "type"]
    if matches.empty:
        return pd.DataFrame(columns=[*keys, "matches", *READINGS, "differ (%)"])
    table = matches.groupby([*keys, "reading"]).size().unstack(fill_value=0)
    table = table.reindex(columns=list(READINGS), fill_value=0)
    table.insert(0, "matches", table.sum(axis=1))
    table["differ (%)"] = 100 * table[DIFFERENT].sum(axis=1) / table["matches"]
    table = table.reset_index().rename_axis(columns=None)
    types = {corpus.name: corpus.types for corpus in corpora}
    annotated = [
        type in types[of] for of, type in zip(table["text of"], table["type"], strict=True)
    ]
    table["differ (%)"] = table["differ (%)"].where(annotated)
    return table


def differing_share(matches: pd.DataFrame, corpora: Sequence[Corpus]) -> pd.DataFrame:
    """Share of matches that differ (%): names of the row in the text of the column.

    Only types that both corpora annotate; NaN where there is none, or no match.
    """
    types = {corpus.name: set(corpus.types) for corpus in corpora}
    table = pd.DataFrame(index=list(types), columns=list(types), dtype=float)
    for (row, column), own in matches.groupby(["names of", "text of"]):
        both = own[own["type"].isin(types[row] & types[column])]
        if len(both):
            table.loc[row, column] = 100 * both["reading"].isin(DIFFERENT).mean()
    return table.rename_axis("names of", axis=0).rename_axis("text of", axis=1)


def disagreeing_names(matches: pd.DataFrame, most: int = 3, at_least: int = 3) -> pd.DataFrame:
    """For each pair of corpora the names that the second one most often reads differently.

    Only names with `at_least` so many matches in their own corpus: a rare one shows no rule.
    Columns: names of, text of, type, name, matches, differ (how many of them), read as (the
    most frequent of the differing readings), own matches (in its own corpus), own mentions (%):
    how often it is a mention of its type there.
    Short names are compared with their case, longer ones without.
    """
    columns = ["names of", "text of", "type", "name", "matches", "differ"]
    columns += ["read as", "own matches", "own mentions (%)"]
    keys = ["names of", "text of", "type", "name"]
    if matches.empty:
        return pd.DataFrame(columns=columns)
    frame = matches.assign(name=matches["name"].map(folded))
    same = frame["reading"] == SAME
    home = same[frame["names of"] == frame["text of"]]
    home = home.groupby([frame["names of"], frame["type"], frame["name"]]).agg(["size", "mean"])
    abroad = frame[frame["names of"] != frame["text of"]]
    if abroad.empty:
        return pd.DataFrame(columns=columns)
    counts = abroad.groupby([*keys, "reading"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(READINGS), fill_value=0)
    table = pd.DataFrame({"matches": counts.sum(axis=1)})
    table["differ"] = counts[DIFFERENT].sum(axis=1)
    table["read as"] = counts[DIFFERENT].idxmax(axis=1)
    table = table[table["differ"] > 0].reset_index()
    own = pd.MultiIndex.from_frame(table[["names of", "type", "name"]])
    table["own matches"] = home["size"].reindex(own).fillna(0).astype(int).to_numpy()
    table["own mentions (%)"] = 100 * home["mean"].reindex(own).astype(float).to_numpy()
    table = table[table["own matches"] >= at_least]
    table = table.sort_values(["differ", "name"], ascending=[False, True])
    return table.groupby(["names of", "text of"]).head(most).reset_index(drop=True)[columns]


def folded(name: str) -> str:
    """A name as `disagreeing_names` compares it: a short one with its case."""
    return name if len(name.replace(" ", "")) <= 4 else name.casefold()
