"""Figures of costs: F1 against a cost, and speeds."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from ..arm_names import short_names
from ..costs import on_front
from .style import PALETTE

_LEAST_POINTS = 2  # of F1 on the axis: smaller differences look small


def pareto(frame: pd.DataFrame, ax: plt.Axes, cost: str = "training seconds") -> plt.Axes:
    """`systems` of one set of corpora: mean test F1 against a cost; the line is the front.

    A system above the line or on it isn't beaten: no other is as good for less.
    """
    short, shared = short_names(frame["name"])
    front = frame[on_front(frame[cost], frame["F1"])].sort_values(cost)
    ax.plot(front[cost], 100 * front["F1"], color="0.6", linewidth=1, zorder=1)
    for k, line in enumerate(frame.itertuples(index=False)):
        x, y = frame[cost].iloc[k], 100 * line.F1
        marker = ("o^", "sD")[line.taggers > 1][k // len(PALETTE) % 2]
        ax.plot(x, y, marker, color=PALETTE[k % len(PALETTE)], label=short[line.name], zorder=2)
    ax.set(xlabel=f"{cost} of all taggers together", ylabel="mean test F1 (strict spans, x 100)")
    ax.set_xlim(0, 1.1 * frame[cost].max())
    low, high = ax.get_ylim()
    room = max(0, _LEAST_POINTS - (high - low)) / 2
    ax.set_ylim(low - room, high + room)
    title = f"all: {shared}" if shared else None
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.25)}
    ax.legend(fontsize="x-small", title=title, title_fontsize="x-small", **place)
    return ax


def rates(frame: pd.DataFrame, ax: plt.Axes, label: str) -> plt.Axes:
    """Items per second: one bar per arm, the median of its repeats, each repeat as a dot."""
    bars = {"data": frame, "y": "arm", "x": "rate", "ax": ax}
    sns.barplot(**bars, estimator="median", errorbar=None, color=PALETTE[0])
    sns.stripplot(**bars, color="black", size=4)
    ax.set(xlabel=label, ylabel="")
    return ax


def growth_curves(frame: pd.DataFrame, axes: Sequence[plt.Axes]) -> Sequence[plt.Axes]:
    """Microseconds per word, one panel for each thing that grows."""
    for ax, (what, part) in zip(axes, frame.groupby("what", sort=False), strict=True):
        ax.plot(part["value"], part["microseconds_per_word"], marker="o")
        ax.set_xscale("log", base=2)
        ax.set_xticks(part["value"], part["value"])
        ax.minorticks_off()
        ax.set(xlabel=what, ylim=(0, 1.1 * frame["microseconds_per_word"].max()))
    axes[0].set_ylabel("microseconds per word")
    return axes
