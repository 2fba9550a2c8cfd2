"""What the tables of several corpora say, as sentences."""

from html import escape

import numpy as np
import pandas as pd

_MOST = 3  # pairs of corpora that are named


def in_words(glance: pd.DataFrame, shared: pd.DataFrame, differing: pd.DataFrame) -> str:
    """Markdown about `portraits`, `shared_documents` and `differing_share` of the same corpora.

    It names extremes: density, names seen in train, leaked sentences, shared documents, and the
    pairs that differ most. What can't be measured is said to be unknown. Names are escaped.
    """
    sentences = [
        _range(glance["mentions per 100 words"], "Mentions per 100 words", "{:.1f}"),
        _range(
            glance["test seen in train (%)"], "Test mentions whose name train has shown", "{:.0f} %"
        ),
        _leaks(glance["leaked sentences (%)"]),
        _shared(shared),
        _differing(differing),
    ]
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _code(name: object) -> str:
    return f"<code>{escape(str(name))}</code>"


def _range(values: pd.Series, what: str, form: str) -> str:
    known = values.dropna()
    if known.empty:
        return f"{what}: unknown."
    low, high = known.idxmin(), known.idxmax()
    if known[low] == known[high]:
        return f"{what}: **{form.format(known[high])}** in {_code(high)}."
    return (
        f"{what}: from **{form.format(known[low])}** in {_code(low)} to "
        f"**{form.format(known[high])}** in {_code(high)}."
    )


def _leaks(values: pd.Series) -> str:
    found = values[values > 0]
    if values.notna().sum() == 0:
        return "Whether test sentences stand in train is unknown: no corpus has both splits."
    if found.empty:
        return "No test sentence of eight or more words stands in its own train split."
    return _range(found, "Test sentences of eight or more words that stand in train", "{:.1f} %")


def _off_diagonal(table: pd.DataFrame) -> pd.Series:
    """(row, column) -> value of all known pairs of two corpora, the largest first."""
    pairs = {}
    for row in table.index:
        for column in table.columns:
            if row != column and not np.isnan(table.loc[row, column]):
                pairs[row, column] = table.loc[row, column]
    return pd.Series(pairs, dtype=float).sort_values(ascending=False, kind="stable")


def _shared(table: pd.DataFrame) -> str:
    pairs = _off_diagonal(table)
    if pairs.empty:
        return "Shared documents: unknown, since no two corpora name PMIDs."
    pairs = pairs[pairs > 0].head(_MOST)
    if pairs.empty:
        return "Between the corpora that name PMIDs, train and test share no document."
    told = [
        f"train of {_code(row)} holds **{n:.0f}** documents of the test split of {_code(column)}"
        for (row, column), n in pairs.items()
    ]
    return f"Shared documents: {'; '.join(told)}. Don't train on the one and test on the other."


def _differing(table: pd.DataFrame) -> str:
    """The pairs whose share is furthest above the larger one of their own shares."""
    pairs = _off_diagonal(table).index
    if pairs.empty:
        return "No two of these corpora annotate a common type, so their names can't be compared."
    excess = {}
    for row, column in pairs:
        own = np.nanmax([table.loc[row, row], table.loc[column, column], 0])
        excess[row, column] = table.loc[row, column] - own
    worst = pd.Series(excess, dtype=float).sort_values(ascending=False, kind="stable")
    worst = worst[worst > 0].head(_MOST)
    if worst.empty:
        return "No two corpora that annotate one type differ more than each does in its own text."
    told = [
        f"**{table.loc[row, column]:.0f} %** of the places with names of {_code(row)} in the text "
        f"of {_code(column)} (in its own text {table.loc[row, row]:.0f} %)"
        for row, column in worst.index
    ]
    return f"Unmarked or of another type: {'; '.join(told)}."
