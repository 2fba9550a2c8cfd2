"""Figures of what generalizes: recall by group, F1 across corpora, reliability of scores."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ...evaluation.calibration import error_of_bins
from ...evaluation.generalization import GROUPINGS, GoldMention, recall_by
from ..leaderboard import FEW
from .style import PALETTE, heatmap

_LABELS = {
    "familiarity": "name or concept in train",
    "frequency": "times in train",
    "length": "words",
    "case": "letters",
    "abbreviation": "form",
}


def recall_dots(
    mentions: Mapping[str, Sequence[GoldMention]], by: str, ax: plt.Axes, legend: bool = True
) -> plt.Axes:
    """Strict recall by group, one dot per system and group; whiskers are 95 % intervals (Wilson).

    `mentions`: system -> its `gold_mentions`; `by` is a grouping of `recall_by`. The number beside
    a dot counts its gold mentions.
    """
    groups = {name: recall_by(own, by) for name, own in mentions.items()}
    order = [group for group in GROUPINGS[by] if any(group in own for own in groups.values())]
    step = 0.6 / len(groups)
    for k, (name, own) in enumerate(groups.items()):
        style = {"color": PALETTE[k % len(PALETTE)], "markersize": 5, "capsize": 3}
        for group, line in own.items():
            y = order.index(group) - 0.3 + step * (k + 0.5)
            recall, low, high = (100 * v for v in _wilson(line["found"], line["support"]))
            ax.errorbar(recall, y, xerr=[[recall - low], [high - recall]], fmt="o", **style)
            ax.text(105, y, f"{line['support']:,}", va="center", fontsize="x-small", color="0.3")
        ax.plot([], [], "o-", color=style["color"], label=name)
    ax.set_yticks(range(len(order)), order)
    ax.set(xlim=(-4, 104), ylim=(len(order) - 0.5, -0.5), xlabel="recall (strict spans, %)")
    ax.set_ylabel(_LABELS[by])
    ax.grid(False, axis="y")
    for line in range(1, len(order)):
        ax.axhline(line - 0.5, color="0.85", linewidth=0.8)
    if legend:
        ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return ax


def recall_panels(
    mentions: Mapping[str, Sequence[GoldMention]], groupings: Sequence[str], axes: np.ndarray
) -> np.ndarray:
    """`recall_dots` for several groupings, one panel each; there is one legend."""
    for ax, by in zip(axes.flat, groupings, strict=True):
        recall_dots(mentions, by, ax, legend=False)
    for ax in axes[:-1].flat:
        ax.set(xlabel="")
    _legend_above(axes.flat[0], 3)
    return axes


def _legend_above(ax: plt.Axes, columns: int) -> None:
    """The legend of one panel for its figure; in the panel it would take its neighbour's width."""
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": columns}
    ax.figure.legend(*ax.get_legend_handles_labels(), fontsize="small", **place)


def _wilson(found: int, support: int, z: float = 1.96) -> tuple[float, float, float]:
    """A share and its 95 % interval (Wilson 1927), which holds for few mentions too."""
    share = found / support
    middle = (share + z**2 / (2 * support)) / (1 + z**2 / support)
    root = np.sqrt(share * (1 - share) / support + z**2 / (4 * support**2))
    half = z * root / (1 + z**2 / support)
    return share, min(share, middle - half), max(share, middle + half)


def cross_matrix(lines: Sequence[Mapping], axes: Sequence[plt.Axes]) -> Sequence[plt.Axes]:
    """`cross_corpus`: training corpora down, test corpora across, strict on the left.

    Relaxed F1 on the right counts every overlap within the type. Blank: no head knows a type.
    """
    frame = pd.DataFrame(lines)
    rows, columns = (list(dict.fromkeys(frame[key])) for key in ("trained_on", "tested_on"))
    for ax, measure in zip(axes, ("f1", "relaxed_f1"), strict=True):
        wide = frame.pivot_table(index="trained_on", columns="tested_on", values=measure)
        name = "strict" if measure == "f1" else "relaxed (any overlap)"
        # one scale for both, so that a colour means one F1
        heatmap(
            100 * wide.reindex(rows)[columns],
            ax,
            "test F1 (x 100)",
            vmin=0,
            vmax=100,
            cbar=ax is axes[1],
        )
        ax.set(title=name, xlabel="tested on", ylabel="trained on")
        ax.tick_params(axis="x", rotation=35)
        plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    axes[1].set(ylabel="", yticklabels=[])
    return axes


def reliability_diagram(bins: Mapping[str, Sequence[Mapping]], ax: plt.Axes) -> plt.Axes:
    """Precision by mean score of the spans in each bin; on the diagonal scores are probabilities.

    `bins`: name -> `evaluation.reliability` of its spans, e.g. raw and calibrated. A dot's area
    grows with its spans; bins of fewer than ten spans aren't drawn. The legend gives the expected
    calibration error (ECE), which counts all spans.
    """
    style = {"color": "0.5", "linewidth": 1, "linestyle": "--"}
    ax.plot([0, 1], [0, 1], label="scores are probabilities", **style)
    bins = {name: own for name, own in bins.items() if own}
    most = max([1, *(one["spans"] for own in bins.values() for one in own)])
    for k, (name, own) in enumerate(bins.items()):
        columns = ["score", "precision", "spans"]
        found = pd.DataFrame(own, columns=columns, dtype=float)
        found = found[found["spans"] >= FEW]
        label = f"{name}, ECE {error_of_bins(own):.2f}"
        colour, mark = PALETTE[k % len(PALETTE)], "os^Dv"[k % 5]
        ax.plot(found["score"], found["precision"], color=colour, linewidth=1, alpha=0.4)
        sizes = 6 + 120 * found["spans"] / most
        ax.scatter(found["score"], found["precision"], sizes, color=colour, marker=mark)
        ax.plot([], [], mark, linestyle="-", color=colour, label=label)
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="mean score", ylabel="precision")
    ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def recall_by_corpus(table: pd.DataFrame, axes: Sequence[plt.Axes]) -> Sequence[plt.Axes]:
    """Recall of each group of names: a panel per arm, a line per corpus and type, a dot per group.

    `table` is `measures.recall_of_groups`'s. A dot's area grows with the share of its
    group among the mentions; groups of fewer than ten mentions aren't drawn. Memorized names
    are called seen, as those of corpora without identifiers.
    """
    table = table[table["mentions"] >= FEW].replace({"group": {"memorized": "seen"}})
    colours = dict(zip(dict.fromkeys(table["group"]), cycle(PALETTE), strict=False))
    places = sorted(set(zip(table["corpus"], table["type"], strict=True)))
    for ax, (name, arm) in zip(axes, table.groupby("name", sort=False), strict=True):
        for place, own in arm.groupby(["corpus", "type"]):
            x, y = 100 * own["recall"], places.index(place)
            ax.plot([x.min(), x.max()], [y, y], color="0.8", zorder=1)
            sizes = 12 + 160 * own["mentions"] / own["mentions"].sum()
            fills = [colours[group] for group in own["group"]]
            ax.scatter(x, [y] * len(x), sizes, fills, zorder=2, clip_on=False)
        ax.set(xlim=(-4, 104), xlabel="test recall (%)")
        ax.set_title(name, fontsize="small")
    axes[0].set_yticks(range(len(places)), [" ".join(place) for place in places], fontsize="small")
    axes[0].set_ylim(len(places) - 0.5, -0.5)
    for group, colour in colours.items():
        axes[0].plot([], [], "o", color=colour, label=group)
    _legend_above(axes[0], len(colours))
    return axes
