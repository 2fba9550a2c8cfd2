"""Figures of silver data: what a lexicon labels, and F1 by silver ratio."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from .style import PALETTE


def label_quality(frame: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Precision and recall of a lexicon on gold, one line per corpus and type (`quality`)."""
    lines = [f"{line.corpus} {line.type}" for line in frame.itertuples()]
    for k, measure in enumerate(("precision", "recall")):
        ax.plot(
            100 * frame[measure],
            range(len(frame)),
            "os"[k],
            color=PALETTE[k],
            label=measure,
            markersize=8,
        )
    ax.set(
        yticks=range(len(lines)),
        yticklabels=lines,
        xlim=(0, 100),
        xlabel="strict spans on gold (%)",
        ylim=(len(lines) - 0.5, -0.5),
    )
    ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return ax


def ratio_curve(frame: pd.DataFrame, ax: plt.Axes, measure: str, legend: bool = True) -> plt.Axes:
    """A measure of one type by silver ratio, one line per treatment.

    Bands are ± one standard deviation over seeds. The frame has a column `ratio`.
    """
    order = sorted(frame["name"].unique())  # the same colour for the same name in every panel
    shown = frame.assign(percent=100 * frame[measure])
    sns.lineplot(
        shown,
        x="ratio",
        y="percent",
        hue="name",
        hue_order=order,
        style="name",
        style_order=order,
        markers=True,
        errorbar="sd",
        ax=ax,
    )
    ax.set(xlabel="silver sentences per gold sentence", ylabel=f"test {measure} x 100")
    colour = ax.lines[0].get_color()  # hollow, so that another line's equal value is seen in it
    hollow = {"markerfacecolor": "none", "markeredgecolor": colour, "markersize": 9}
    ax.lines[0].set(**hollow)
    ax.set_ylim(bottom=max(0, ax.get_ylim()[0]))
    if legend:
        ax.legend(fontsize="x-small", title=None).get_lines()[0].set(**hollow)
    else:
        ax.get_legend().remove()
    return ax


def ratio_curves(frame: pd.DataFrame, axes: np.ndarray) -> np.ndarray:
    """Two axes for each type of the frame: recall above precision. There is one legend."""
    for column, (kind, part) in zip(axes.T, frame.groupby("type", sort=False), strict=True):
        for ax, measure in zip(column, ("recall", "precision"), strict=True):
            ratio_curve(part, ax, measure, legend=ax is axes[0, 0])
        column[0].set(title=kind, xlabel="")
        column[1].set(xlabel="")
    for ax in axes[:, 1:].flat:
        ax.set(ylabel="")
    for ax in axes.flat:
        ax.set_xticks(sorted(set(frame["ratio"])))
    axes[0, 0].figure.supxlabel("silver sentences per gold sentence", fontsize="medium")
    return axes
