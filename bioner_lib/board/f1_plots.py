"""Figures of F1: systems by corpus and type, beside published figures."""

from itertools import zip_longest

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..errors import WorkbookError
from .published_marks import legend_below, published_marks
from .style import PALETTE, heatmap

_ROOM = 16  # corpora and types that have room in one figure


def f1_means(table: pd.DataFrame, anchors: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 (a dash) per corpus and type, with sd; dots are seeds, marks published figures.

    `table` is `tables.aggregate`'s. Only official splits get marks. A hollow mark isn't comparable
    with our runs: `why` in `anchors` says why not. With more than eight groups only comparable
    figures are shown, and with more than 16 one group per corpus (`facets`).
    """
    table = _uncrowded(table)
    groups = list(dict.fromkeys(zip(table["corpus"], table["type"], strict=True)))
    names = list(dict.fromkeys(table["name"]))
    width, shown = 0.8 / table.groupby(["corpus", "type"]).size().max(), []
    for i, (corpus, kind) in enumerate(groups):
        is_here = (table["corpus"] == corpus) & (table["type"] == kind)
        here = table[is_here].set_index("name")
        present = [name for name in names if name in here.index]
        for k, name in enumerate(present):
            x = i + width * (k + 0.5 - len(here) / 2)
            colour = PALETTE[names.index(name) % len(PALETTE)]
            label = None if name in shown else name
            _mean_and_seeds(ax, x, here.loc[name], colour, label)
            shown.append(name)
    official = table.groupby(["corpus", "type"])["official"].all()
    places = {group: i for i, group in enumerate(groups) if official[group]}
    many = len(groups) > 8
    shown_anchors = anchors[anchors["comparable"]] if many else anchors
    for line, mark, style in published_marks(shown_anchors, places, ax):
        # the hollow ones stand to the right, and neighbours in F1 beside each other
        strip = places[line.corpus, line.type] + (0.42 if line.comparable else 0.49)
        x = strip + 0.035 * (line.rank % 2)
        ax.plot(x, 100 * line.f1, marker=mark, **style)
    ax.set(xticks=range(len(groups)), ylabel="test F1 (strict spans, x 100)")
    ax.set_xticklabels(
        [f"{corpus} {kind}" if many else f"{corpus}\n{kind}" for corpus, kind in groups],
        fontsize="small" if len(groups) < 6 else "x-small",
        rotation=90 if many else 0,
    )
    low = 100 * min(value for values in table["values"] for value in values)
    ax.set_ylim(max(0, 10 * ((low - 5) // 10)), 100)
    ax.grid(False, axis="x")
    for line in range(1, len(groups)):
        ax.axvline(line - 0.44, color="0.85", linewidth=0.8)
    longest = max(len(f"{corpus} {kind}") for corpus, kind in groups)
    legend_below(ax, below=max(0.52, 0.1 + 0.021 * longest) if many else 0.2)
    return ax


def _mean_and_seeds(
    ax: plt.Axes, x: float, line: pd.Series, colour: tuple, label: str | None
) -> None:
    """A dash for the mean with its sd, and a dot per seed; `line` is one of `aggregate`'s."""
    spread = None if line["runs"] == 1 else 100 * line["f1_sd"]
    dash = {"fmt": "_", "markersize": 13, "markeredgewidth": 2.5}
    ax.errorbar(x, 100 * line["f1_mean"], yerr=spread, color=colour, label=label, **dash)
    seeds = 100 * np.array(line["values"])
    ax.plot([x] * len(seeds), seeds, "o", color=colour, markersize=3.5, alpha=0.7)


def f1_facets(table: pd.DataFrame) -> plt.Figure:
    """Mean test F1 of many arms: a panel per corpus with a row per arm, small dots are seeds.

    `table` is `tables.aggregate`'s. Panels with most arms come first, and in a panel the best arm.
    """
    table = _main(table)
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


def facets(table: pd.DataFrame) -> list[tuple[str, str]]:
    """The (corpus, type) pairs that get a panel each: the only type, or `micro` of several."""
    table = _main(table)
    pairs = dict(zip(table["corpus"], table["type"], strict=True))
    averaged = set(table.loc[table["type"] == "micro", "corpus"])
    return [(corpus, "micro" if corpus in averaged else type) for corpus, type in pairs.items()]


def f1_radar(table: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 on a spoke per corpus and type, for the systems that share most spokes.

    Where more than 16 would crowd it, there is one spoke per corpus (`facets`).

    Raises WorkbookError where no system has three spokes, and where no two systems differ.
    """
    table = _uncrowded(table)
    wide = table.pivot_table(index="name", columns=["corpus", "type"], values="f1_mean")
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
    if len(shown.drop_duplicates()) < 2:
        raise WorkbookError(
            f"a radar compares systems, and {len(shown)} of the same values share these spokes: "
            f"{', '.join(shown.index)}; the table above says all of it"
        )
    angles = np.linspace(0, 2 * np.pi, shown.shape[1], endpoint=False)
    for name, values in shown.iterrows():
        closed = 100 * np.append(values.to_numpy(), values.iloc[0])
        ax.plot(np.append(angles, angles[0]), closed, marker=".", label=name)
    ax.set_xticks(angles, [f"{corpus}\n{kind}" for corpus, kind in shown.columns], fontsize="small")
    ax.tick_params(axis="x", pad=14)
    ax.tick_params(axis="y", labelsize="x-small")
    ax.set_rlabel_position(180 / shown.shape[1])  # between two spokes
    ax.set_ylim(max(0, 10 * ((100 * float(shown.min().min()) - 5) // 10)), 100)
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return ax


def f1_heatmap(table: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 of every system on every corpus and type; blank where it wasn't scored.

    Where more than 16 columns would crowd it, there is one column per corpus (`facets`).
    """
    table = _uncrowded(table)
    wide = 100 * table.pivot_table(index="name", columns=["corpus", "type"], values="f1_mean")
    wide = wide.loc[wide.mean(axis=1).sort_values(ascending=False).index]
    wide.columns = [f"{corpus}\n{kind}" for corpus, kind in wide.columns]
    heatmap(wide, ax, "test F1 (x 100)")
    ax.set(xlabel="", ylabel="")
    return ax


def _uncrowded(table: pd.DataFrame) -> pd.DataFrame:
    """The lines of `_main`, or of more than _ROOM corpora and types those of `facets`."""
    table = _main(table)
    pairs = pd.MultiIndex.from_frame(table[["corpus", "type"]])
    return table if pairs.nunique() <= _ROOM else table[pairs.isin(facets(table))]


def _main(table: pd.DataFrame) -> pd.DataFrame:
    """The lines a figure shows: types, and `micro` where a corpus has several."""
    kinds = table[table["type"] != "macro"].groupby("corpus")["type"].nunique()
    single = table["corpus"].map(kinds) == 2
    return table[(table["type"] != "macro") & ~(single & (table["type"] == "micro"))]
