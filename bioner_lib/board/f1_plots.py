"""Figures of F1: systems by corpus and type, beside published figures."""

from collections import Counter
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..errors import WorkbookError
from .style import PALETTE, heatmap

# one per published system; no circle, which is a seed's dot
_MARKS = (*"sD^vPX*ph<>d8H", (4, 1, 0), (3, 1, 0))
_MARK = {"color": "0.35", "markersize": 5.5, "linestyle": "none", "clip_on": False}
_HOLLOW = {"markerfacecolor": "none"}


def f1_bars(table: pd.DataFrame, anchors: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 per corpus and type, with sd; dots are seeds, marks published figures.

    `table` is `tables.aggregate`'s. Only official splits get marks. A hollow mark isn't comparable
    with our runs: `why` in `anchors` says why not.
    """
    table = _main(table)
    groups = list(dict.fromkeys(zip(table["corpus"], table["type"], strict=True)))
    names = list(dict.fromkeys(table["name"]))
    width, shown = 0.8 / table.groupby(["corpus", "type"]).size().max(), []
    for i, (corpus, kind) in enumerate(groups):
        here = table[(table["corpus"] == corpus) & (table["type"] == kind)].set_index("name")
        for k, name in enumerate(name for name in names if name in here.index):
            line, x = here.loc[name], i + width * (k + 0.5 - len(here) / 2)
            ax.bar(
                x,
                100 * line["f1_mean"],
                width,
                color=PALETTE[names.index(name) % len(PALETTE)],
                label=None if name in shown else name,
                yerr=None if line["runs"] == 1 else 100 * line["f1_sd"],
                capsize=3,
            )
            ax.plot(
                [x] * len(line["values"]),
                100 * np.array(line["values"]),
                ".",
                color="black",
                markersize=4,
            )
            shown.append(name)
    _published(table, groups, anchors, ax)
    ax.set(xticks=range(len(groups)), ylabel="test F1 (strict spans, x 100)")
    many = len(groups) > 8
    ax.set_xticklabels(
        [f"{corpus} {kind}" if many else f"{corpus}\n{kind}" for corpus, kind in groups],
        fontsize="small" if len(groups) < 6 else "x-small",
        rotation=90 if many else 0,
    )
    low = 100 * min(value for values in table["values"] for value in values)
    ax.set_ylim(max(0, 10 * ((low - 5) // 10)), 100)
    ax.grid(False, axis="x")
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda k: isinstance(handles[k], plt.Line2D))
    ax.legend(
        [handles[k] for k in order],
        [labels[k] for k in order],
        fontsize="small",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.52 if many else -0.2),
        ncols=2,
    )
    return ax


def _published(
    table: pd.DataFrame, groups: list[tuple[str, str]], anchors: pd.DataFrame, ax: plt.Axes
) -> None:
    """Grey marks at the right of each group, in the legend after the systems of the table."""
    official = table.groupby(["corpus", "type"])["official"].all()
    places = {group: i for i, group in enumerate(groups) if official[group]}
    keys = list(zip(anchors["corpus"], anchors["type"], strict=True))
    drawn = anchors[[key in places for key in keys]]
    marks = dict(zip(dict.fromkeys(drawn["system"]), cycle(_MARKS), strict=False))
    drawn_at = Counter()
    for line in drawn.sort_values("f1").itertuples():
        i = places[line.corpus, line.type]
        # the hollow ones stand to the right, and neighbours in F1 beside each other
        strip = i + (0.42 if line.comparable else 0.49)
        x = strip + 0.035 * (drawn_at[strip] % 2)
        drawn_at[strip] += 1
        hollow = {} if line.comparable else _HOLLOW
        ax.plot(x, 100 * line.f1, marker=marks[line.system], **_MARK | hollow)
    for system, mark in marks.items():
        own = drawn[drawn["system"] == system]
        hollow = {} if own["comparable"].any() else _HOLLOW
        ax.plot([], [], marker=mark, label=f"{system}, {own['source'].iloc[0]}", **_MARK | hollow)
    if not drawn["comparable"].all():
        ax.plot([], [], " ", label="hollow: published under another protocol, not comparable")


def f1_radar(table: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 on a spoke per corpus and type, for the systems that share most spokes.

    Raises WorkbookError where no system has three spokes.
    """
    wide = _main(table).pivot_table(index="name", columns=["corpus", "type"], values="f1_mean")
    # the spokes of one system, and all systems that have them; the largest such table is drawn
    shared = [wide[line.dropna().index].dropna() for _, line in wide.iterrows()]
    shown = max(
        (part for part in shared if part.shape[1] >= 3), key=lambda part: part.size, default=None
    )
    if shown is None:
        raise WorkbookError(
            "a radar needs a system with three spokes (corpus and type); these rows have "
            f"{wide.notna().sum(axis=1).max()}"
        )
    angles = np.linspace(0, 2 * np.pi, shown.shape[1], endpoint=False)
    for name, values in shown.iterrows():
        closed = 100 * np.append(values.to_numpy(), values.iloc[0])
        ax.plot(np.append(angles, angles[0]), closed, marker=".", label=name)
    ax.set_xticks(angles, [f"{corpus}\n{kind}" for corpus, kind in shown.columns], fontsize="small")
    ax.tick_params(axis="x", pad=14)
    ax.tick_params(axis="y", labelsize="x-small")
    ax.set_ylim(max(0, 10 * ((100 * float(shown.min().min()) - 5) // 10)), 100)
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return ax


def f1_heatmap(table: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 of every system on every corpus and type; blank where it wasn't scored."""
    wide = 100 * _main(table).pivot_table(
        index="name", columns=["corpus", "type"], values="f1_mean"
    )
    wide = wide.loc[wide.mean(axis=1).sort_values(ascending=False).index]
    wide.columns = [f"{corpus}\n{kind}" for corpus, kind in wide.columns]
    heatmap(wide, ax, "test F1 (x 100)")
    ax.set(xlabel="", ylabel="")
    return ax


def _main(table: pd.DataFrame) -> pd.DataFrame:
    """The lines a figure shows: types, and `micro` where a corpus has several."""
    kinds = table[table["type"] != "macro"].groupby("corpus")["type"].nunique()
    single = table["corpus"].map(kinds) == 2
    return table[(table["type"] != "macro") & ~(single & (table["type"] == "micro"))]
