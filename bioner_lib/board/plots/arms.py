"""Figures that compare the arms of one table."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from .style import PALETTE, heatmap


def arms_by_type(
    frame: pd.DataFrame, ax: plt.Axes, measure: str = "f1", order: Sequence[str] | None = None
) -> plt.Axes:
    """One line per arm, one dot per type: the mean over seeds, whiskers ± one standard deviation.

    `frame` is `results` of the arms.
    """
    shown = frame.assign(percent=100 * frame[measure])
    order = list(order or dict.fromkeys(shown["name"]))
    kinds = shown["type"].nunique()
    sns.pointplot(
        shown,
        x="percent",
        y="name",
        hue="type",
        order=order,
        errorbar="sd",
        dodge=0.3 if kinds > 1 else False,
        linestyle="none",
        capsize=0.1,
        ax=ax,
        palette=PALETTE[:kinds],
    )
    ax.set(xlabel=f"test {measure if measure != 'f1' else 'F1'} (strict spans, x 100)", ylabel="")
    ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    return ax


def error_kinds(kinds: Mapping[str, Mapping[str, int]], ax: plt.Axes) -> plt.Axes:
    """How predictions go wrong, one stacked bar per system; `kinds`: system -> kind -> count.

    The kinds are those of `scoring.kinds`. Older rows count `split` and `merged` as `boundary`.
    """
    order = ["boundary", "split", "merged", "type", "both", "spurious", "missed"]
    colours = dict(zip(order, PALETTE, strict=False)) | {"spurious": "0.25", "missed": "0.8"}
    frame = pd.DataFrame(
        {name: {kind: counts.get(kind, 0) for kind in order} for name, counts in kinds.items()}
    ).T
    left = np.zeros(len(frame))
    for kind in order:
        ax.barh(frame.index, frame[kind], left=left, label=kind, color=colours[kind])
        left += frame[kind].to_numpy()
    ax.set(xlabel="errors (spans)")
    ax.invert_yaxis()
    ax.legend(fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def share_curve(frame: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Test F1 by number of training sentences, one line per arm, one dot per seed.

    The frame has the columns sentences, f1, name.
    """
    shown = frame.assign(percent=100 * frame["f1"])
    sns.lineplot(
        shown,
        x="sentences",
        y="percent",
        hue="name",
        style="name",
        markers=True,
        errorbar="sd",
        err_style="bars",
        ax=ax,
    )
    sns.scatterplot(shown, x="sentences", y="percent", hue="name", legend=False, s=15, ax=ax)
    ax.set(xscale="log", xlabel="training sentences", ylabel="test F1 (strict spans, x 100)")
    ticks = sorted(set(shown["sentences"]))
    ax.set_xticks(ticks, [f"{n:,}" for n in ticks])
    ax.minorticks_off()
    ax.margins(y=0.12)
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.4)}
    ax.legend(fontsize="small", title=None, **place)
    return ax


def forgetting(frame: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """`forgotten`: an arrow from the first phase's test F1 to the second's, mean over seeds.

    One line per arm and type; the number beside it is the forgetting score, in points.
    """
    means = frame.groupby(["name", "type"], sort=False)[["before", "after"]].mean() * 100
    types = list(dict.fromkeys(frame["type"]))
    for y, ((_, type), line) in enumerate(means.iterrows()):
        colour = PALETTE[types.index(type) % len(PALETTE)]
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 2}
        ax.annotate("", (line["after"], y), (line["before"], y), arrowprops=arrow)
        ax.plot(line["before"], y, "o", color=colour)
        lost = f"{line['before'] - line['after']:+.1f}"
        ax.annotate(lost, (102, y), va="center", fontsize="small", annotation_clip=False)
    ax.set_yticks(range(len(means)), [f"{name}, {type}" for name, type in means.index])
    ax.set(
        xlabel="test F1 after the first phase (dot) and after the second (arrow)",
        xlim=(-2, 100),
        ylim=(len(means) - 0.5, -0.5),
    )
    ax.set_title("forgotten", loc="right", fontsize="small")
    return ax


def transfer_matrix(frame: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """`transfer`: test F1 minus the single-task tagger's, in points.

    Blank where no run exists, and where the single-task tagger stands against itself; lines that
    are blank everywhere are left out.
    """
    itself = np.array([[row == column for column in frame.columns] for row in frame.index])
    shown = 100 * frame.mask(itself)
    shown = shown.dropna(how="all").dropna(how="all", axis=1)
    bound = max(2.0, float(shown.abs().max(axis=None)))
    colours = {"cmap": "vlag_r", "vmin": -bound, "vmax": bound, "center": 0}
    heatmap(shown, ax, "difference in test F1 (points)", fmt="+.1f", **colours)
    ax.set(xlabel="tested on", ylabel="trained on")
    return ax
