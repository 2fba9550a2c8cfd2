"""What a figure of F1 shows: of a table with many corpora and types, one line per corpus."""

import pandas as pd

_ROOM = 16  # corpora and types that have room in one figure


def facets(table: pd.DataFrame) -> list[tuple[str, str]]:
    """The (corpus, type) pairs that get a panel each: the only type, or `micro` of several."""
    table = main_lines(table)
    pairs = dict(zip(table["corpus"], table["type"], strict=True))
    averaged = set(table.loc[table["type"] == "micro", "corpus"])
    return [(corpus, "micro" if corpus in averaged else type) for corpus, type in pairs.items()]


def uncrowded(table: pd.DataFrame) -> pd.DataFrame:
    """The lines of `main_lines`, or of more than _ROOM corpora and types those of `facets`."""
    table = main_lines(table)
    pairs = pd.MultiIndex.from_frame(table[["corpus", "type"]])
    return table if pairs.nunique() <= _ROOM else table[pairs.isin(facets(table))]


def main_lines(table: pd.DataFrame) -> pd.DataFrame:
    """The lines a figure shows: types, and `micro` where a corpus has several."""
    kinds = table[table["type"] != "macro"].groupby("corpus")["type"].nunique()
    single = table["corpus"].map(kinds) == 2
    return table[(table["type"] != "macro") & ~(single & (table["type"] == "micro"))]
