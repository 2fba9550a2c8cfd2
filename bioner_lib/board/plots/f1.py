"""Figures of F1: systems by corpus and type, beside published figures."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ...errors import WorkbookError
from .crowding import uncrowded
from .published_marks import legend_below, published_marks
from .style import PALETTE, heatmap

_MANY = 8  # groups (corpus and type); the labels of more stand upright


def f1_means(table: pd.DataFrame, anchors: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 (a dash) per corpus and type, with sd; dots are seeds, marks published figures.

    `table` is `tables.aggregate`'s. Only official splits get marks. A hollow mark isn't comparable
    with our runs: `why` in `anchors` says why not. With more than eight groups only comparable
    figures are shown, and with more than 16 one group per corpus (`facets`).
    """
    table = uncrowded(table)
    groups = list(dict.fromkeys(zip(table["corpus"], table["type"], strict=True)))
    _draw_systems(table, groups, ax)
    _draw_published(table, groups, anchors, ax)
    low = 100 * min(min(values) for values in table["values"])
    ax.set(ylim=(max(0, 10 * ((low - 5) // 10)), 100), ylabel="test F1 (strict spans, x 100)")
    ax.grid(False, axis="x")
    for line in range(1, len(groups)):
        ax.axvline(line - 0.44, color="0.85", linewidth=0.8)
    _label_groups(groups, ax)
    return ax


def _draw_systems(table: pd.DataFrame, groups: Sequence[tuple[str, str]], ax: plt.Axes) -> None:
    """The systems of each group beside each other, in one order and each in its colour."""
    names = list(dict.fromkeys(table["name"]))
    by_group = table.groupby(["corpus", "type"])
    width, in_legend = 0.8 / by_group.size().max(), set()
    for i, group in enumerate(groups):
        here = by_group.get_group(group).set_index("name")
        for k, name in enumerate(name for name in names if name in here.index):
            x = i + width * (k + 0.5 - len(here) / 2)
            colour = PALETTE[names.index(name) % len(PALETTE)]
            label = None if name in in_legend else name
            _mean_and_seeds(ax, x, here.loc[name], colour, label)
            in_legend.add(name)


def _mean_and_seeds(
    ax: plt.Axes, x: float, line: pd.Series, colour: tuple, label: str | None
) -> None:
    """A dash for the mean with its sd, and a dot per seed; `line` is one of `aggregate`'s."""
    spread = None if line["runs"] == 1 else 100 * line["f1_sd"]
    dash = {"fmt": "_", "markersize": 13, "markeredgewidth": 2.5}
    ax.errorbar(x, 100 * line["f1_mean"], yerr=spread, color=colour, label=label, **dash)
    seeds = 100 * np.array(line["values"])
    ax.plot([x] * len(seeds), seeds, "o", color=colour, markersize=3.5, alpha=0.7)


def _draw_published(
    table: pd.DataFrame, groups: Sequence[tuple[str, str]], anchors: pd.DataFrame, ax: plt.Axes
) -> None:
    """Published figures at the right of their group, the hollow ones outermost."""
    official = table.groupby(["corpus", "type"])["official"].all()
    places = {group: i for i, group in enumerate(groups) if official[group]}
    shown = anchors if len(groups) <= _MANY else anchors[anchors["comparable"]]
    for line, mark, style in published_marks(shown, places, ax):
        strip = places[line.corpus, line.type] + (0.42 if line.comparable else 0.49)
        x = strip + 0.035 * (line.rank % 2)  # neighbours in F1 don't cover each other
        ax.plot(x, 100 * line.f1, marker=mark, **style)


def _label_groups(groups: Sequence[tuple[str, str]], ax: plt.Axes) -> None:
    """The groups' names below the axes, and the legend below these."""
    if len(groups) > _MANY:
        names = [f"{corpus} {type}" for corpus, type in groups]
        ax.set_xticks(range(len(groups)), names, fontsize="x-small", rotation=90)
        legend_below(ax, below=max(0.52, 0.1 + 0.021 * max(map(len, names))))
    else:
        names = [f"{corpus}\n{type}" for corpus, type in groups]
        size = "small" if len(groups) < 6 else "x-small"
        ax.set_xticks(range(len(groups)), names, fontsize=size)
        legend_below(ax, below=0.2)


def f1_radar(table: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 on a spoke per corpus and type, for the systems that share most spokes.

    Where more than 16 would crowd it, there is one spoke per corpus (`facets`).

    Raises WorkbookError where no system has three spokes, and where no two systems differ.
    """
    table = uncrowded(table)
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
    table = uncrowded(table)
    wide = 100 * table.pivot_table(index="name", columns=["corpus", "type"], values="f1_mean")
    wide = wide.loc[wide.mean(axis=1).sort_values(ascending=False).index]
    wide.columns = [f"{corpus}\n{kind}" for corpus, kind in wide.columns]
    heatmap(wide, ax, "test F1 (x 100)")
    ax.set(xlabel="", ylabel="")
    return ax
