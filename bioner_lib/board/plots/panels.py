"""Test F1 of many arms: a panel per corpus with a row per arm."""

from itertools import zip_longest

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from .crowding import facets, main_lines
from .style import PALETTE


def f1_facets(table: pd.DataFrame) -> plt.Figure:
    """Mean test F1 of many arms: a panel per corpus with a row per arm, small dots are seeds.

    `table` is `tables.aggregate`'s. Panels with most arms come first, and in a panel the best arm.
    """
    table = main_lines(table)
    names = table["name"].map(_cut)
    whole = table["name"].str.wrap(64)
    table = table.assign(name=names.where(~_collides(names, table["name"]), whole))
    panels = sorted(facets(table), key=lambda panel: -_lines(_panel(table, *panel)))
    label = 0.07 * table["name"].str.len().clip(upper=64).max()  # inches
    columns = min(3 if label < 3 else 2, len(panels))
    lines = [_lines(_panel(table, *panel)) for panel in panels[::columns]]  # of each row of panels
    figure, axes = plt.subplots(
        len(lines),
        columns,
        figsize=(columns * (2.6 + label), sum(0.22 * n + 0.9 for n in lines)),
        height_ratios=[0.22 * n + 0.5 for n in lines],
        squeeze=False,
        layout="constrained",
    )
    for ax, panel in zip_longest(axes.flat, panels):
        if panel:
            _draw_panel(_panel(table, *panel), ax)
            ax.set_title("\n".join(panel), fontsize="small")
        else:
            ax.set_axis_off()
    return figure


def _panel(table: pd.DataFrame, corpus: str, type: str) -> pd.DataFrame:
    """The lines of one panel, the best one first."""
    own = table[(table["corpus"] == corpus) & (table["type"] == type)]
    return own.sort_values("f1_mean", ascending=False)


def _lines(own: pd.DataFrame) -> int:
    """Lines of text that a panel's names need."""
    return len(own) + own["name"].str.count("\n").sum()


def _draw_panel(own: pd.DataFrame, ax: plt.Axes) -> None:
    heights = own["name"].str.count("\n").to_numpy() + 1
    places = heights.cumsum() - heights / 2
    for y, line in zip(places, own.itertuples(), strict=True):
        spread = 0 if line.runs == 1 else 100 * line.f1_sd
        ax.errorbar(100 * line.f1_mean, y, xerr=spread, fmt="o", color=PALETTE[0], markersize=4)
        ax.plot(100 * np.array(line.values), [y] * line.runs, ".", color="0.5", markersize=3)
    every = 100 * np.concatenate([np.array(values) for values in own["values"]])
    ax.set_xlim(max(-2, every.min() - 5), min(102, every.max() + 5))
    ax.set_xlabel("test F1", fontsize="small")
    ax.set_yticks(places, own["name"], fontsize="small")
    ax.set_ylim(heights.sum(), 0)


def _cut(name: str) -> str:
    """A name of one line; its end tells more than its middle."""
    return name if len(name) <= 64 else f"{name[:28]} … {name[-33:]}"


def _collides(shorter: pd.Series, names: pd.Series) -> pd.Series:
    """Whether another name was cut to the same text."""
    return names.groupby(shorter).transform("nunique") > 1
