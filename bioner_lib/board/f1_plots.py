"""Figures of F1: systems by corpus and type, beside published figures."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..errors import WorkbookError
from . import tables
from .style import PALETTE, heatmap

# one per published system; no circle, which is a seed's dot
_MARKS = (*"sD^vPX*ph<>d8H", (4, 1, 0), (3, 1, 0))
_MARK = {"color": "0.35", "markersize": 5.5, "linestyle": "none", "clip_on": False}
_HOLLOW = {"markerfacecolor": "none"}
_SPOKES = 16  # whose labels have room around a radar
_STRICT = "strict span F1"  # what anchors.csv calls our metric


def f1_means(table: pd.DataFrame, anchors: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 (a dash) per corpus and type, with sd; dots are seeds, marks published figures.

    `table` is `tables.aggregate`'s. Only official splits get marks. A hollow mark isn't comparable
    with our runs: `why` in `anchors` says why not. With more than eight groups only comparable
    figures are shown.
    """
    table = _main(table)
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
    for line, mark, style in _published(shown_anchors, places, ax):
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
    _legend(ax, below=max(0.52, 0.1 + 0.021 * longest) if many else 0.2)
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


def f1_facets(table: pd.DataFrame, axes: Sequence[plt.Axes]) -> Sequence[plt.Axes]:
    """Mean test F1 of many arms: one panel per corpus, one row per arm, small dots are seeds.

    `table` is `tables.aggregate`'s; as many axes, with one y axis, as `facets` lists. Arms in
    most panels stand on top, and among them the one with the best mean over its panels.
    """
    table = _main(table)
    names = table["name"].map(_cut)
    whole = table["name"].str.wrap(64)
    table = table.assign(name=names.where(~_collides(names, table["name"]), whole))
    means = table.groupby("name")["f1_mean"].agg(["size", "mean"])
    order = means.sort_values(["size", "mean"], ascending=False).index
    place = {name: i for i, name in enumerate(order)}
    for ax, (corpus, type) in zip(axes, facets(table), strict=True):
        is_here = (table["corpus"] == corpus) & (table["type"] == type)
        own = table[is_here]
        for line in own.itertuples():
            y = place[line.name]
            spread = 0 if line.runs == 1 else 100 * line.f1_sd
            ax.errorbar(100 * line.f1_mean, y, xerr=spread, fmt="o", color=PALETTE[0], markersize=4)
            ax.plot(100 * np.array(line.values), [y] * line.runs, ".", color="0.5", markersize=3)
        every = 100 * np.concatenate([np.array(values) for values in own["values"]])
        ax.set_xlim(max(-2, every.min() - 5), min(102, every.max() + 5))
        ax.set_title(f"{corpus}\n{type}", fontsize="small")
        ax.set_xlabel("test F1", fontsize="small")
    axes[0].set_yticks(range(len(order)), order, fontsize="small")
    axes[0].set_ylim(len(order) - 0.5, -0.5)
    return axes


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


def f1_dots(frame: pd.DataFrame, anchors: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Test F1 with its 95 % interval, one line per corpus and type, one colour per system.

    `frame` is `comparison.intervals`'. Published figures stand below the systems, as in `f1_means`.
    """
    groups = list(dict.fromkeys(zip(frame["corpus"], frame["type"], strict=True)))
    names = list(dict.fromkeys(frame["name"]))
    step = 0.5 / len(names)
    for line in frame.itertuples():
        k, x = names.index(line.name), 100 * line.f1
        ax.errorbar(
            x,
            groups.index((line.corpus, line.type)) - 0.35 + step * (k + 0.5),
            xerr=[[x - 100 * line.low], [100 * line.high - x]],
            fmt="o",
            markersize=5,
            capsize=3,
            color=PALETTE[k % len(PALETTE)],
        )
    for k, name in enumerate(names):
        ax.plot([], [], "o-", color=PALETTE[k % len(PALETTE)], label=name)
    official = frame.groupby(["corpus", "type"])["official"].all()
    places = {group: i for i, group in enumerate(groups) if official[group]}
    for line, mark, style in _published(anchors, places, ax):
        y = places[line.corpus, line.type] + (0.24 if line.comparable else 0.36)
        ax.plot(100 * line.f1, y, marker=mark, **style)
    ax.set_yticks(range(len(groups)), [f"{corpus} {type}" for corpus, type in groups])
    ax.set(ylim=(len(groups) - 0.5, -0.5), xlabel="test F1 (strict spans, x 100)")
    ax.set_xlim(max(0, 10 * ((100 * frame["low"].min() - 5) // 10)), 100)
    ax.grid(False, axis="y")
    for line in range(1, len(groups)):
        ax.axhline(line - 0.5, color="0.85", linewidth=0.8)
    # what lies below doesn't depend on the figure's height
    _legend(ax, below=0.6 / ax.figure.get_figheight() + 0.02)
    return ax


def _published(anchors: pd.DataFrame, places: Mapping, ax: plt.Axes) -> Iterator[tuple]:
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


def _legend(ax: plt.Axes, below: float) -> None:
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


def f1_radar(table: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 on a spoke per corpus and type, for the systems that share most spokes.

    Where more than _SPOKES would crowd it, there is one spoke per corpus (`facets`).

    Raises WorkbookError where no system has three spokes, and where no two systems differ.
    """
    wide = _main(table).pivot_table(index="name", columns=["corpus", "type"], values="f1_mean")
    if wide.shape[1] > _SPOKES:
        wide = wide[facets(table)]
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
