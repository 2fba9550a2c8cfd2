"""Published figures as grey marks beside our runs, and the legend that names both."""

from collections.abc import Iterator, Mapping
from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd

from .. import tables

# one per published system; no circle, which is a seed's dot. "1" has lines only, so it is hollow
_MARKS = (*"sD^vPX*ph<>d8", "1", (4, 1, 0), (3, 1, 0))
_MARK = {"color": "0.35", "markersize": 5.5, "linestyle": "none", "clip_on": False}
_HOLLOW = {"markerfacecolor": "none"}
_STRICT = "strict span F1"  # what anchors.csv calls our metric


def published_marks(anchors: pd.DataFrame, places: Mapping, ax: plt.Axes) -> Iterator[tuple]:
    """(line, mark, style) of each anchor of these places (corpus, type), and the legend's entries.

    `rank` of a line counts the anchors of its place that are as comparable, by F1.
    """
    keys = list(zip(anchors["corpus"], anchors["type"], strict=True))
    drawn = anchors[[key in places for key in keys]]
    systems = [*tables.anchors()["system"], *drawn["system"]]  # one mark in every figure
    marks = dict(zip(dict.fromkeys(systems), cycle(_MARKS), strict=False))
    by_place = drawn.groupby(["corpus", "type", "comparable"])["f1"]
    for line in drawn.assign(rank=by_place.rank(method="first")).itertuples():
        yield line, marks[line.system], _MARK | ({} if line.comparable else _HOLLOW)
    for system in drawn["system"].unique():
        mark, own = marks[system], drawn[drawn["system"] == system]
        style = _MARK | ({} if own["comparable"].any() else _HOLLOW)
        label = f"{system}, {own['source'].iloc[0]}"
        others = [metric for metric in own["metric"].unique() if metric != _STRICT]
        label += f" ({', '.join(others)})" if others else ""
        ax.plot([], [], marker=mark, label=label, **style)
    if not drawn["comparable"].all():
        ax.plot([], [], " ", label="hollow: published under another protocol, not comparable")


def legend_below(ax: plt.Axes, below: float) -> None:
    """The legend below the axes: our systems, then the published ones."""
    handles, labels = ax.get_legend_handles_labels()
    is_grey = [isinstance(h, plt.Line2D) and h.get_linestyle() == "None" for h in handles]
    order = sorted(range(len(labels)), key=lambda k: is_grey[k])
    ax.legend(
        [handles[k] for k in order],
        [labels[k] for k in order],
        fontsize="small",
        loc="upper center",
        bbox_to_anchor=(0.5, -below),
        ncols=2,
    )
