"""One function per figure: it takes data and an ax, and returns the ax.

Notebooks name all figures of rows plots.<name>, so those of f1_plots, interval_plots,
generalization_plots, network_plots and style are given here too, with the frames that only one
figure needs.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from .arm_names import short_names
from .costs import on_front
from .f1_plots import f1_facets as f1_facets
from .f1_plots import f1_heatmap as f1_heatmap
from .f1_plots import f1_means as f1_means
from .f1_plots import f1_radar as f1_radar
from .f1_plots import facets as facets
from .generalization_plots import cross_matrix as cross_matrix
from .generalization_plots import recall_by_corpus as recall_by_corpus
from .generalization_plots import recall_dots as recall_dots
from .generalization_plots import recall_panels as recall_panels
from .generalization_plots import reliability_diagram as reliability_diagram
from .interval_plots import differences as differences
from .interval_plots import f1_dots as f1_dots
from .interval_plots import f1_dots_height as f1_dots_height
from .network_plots import network as network
from .network_plots import sharing_by_place as sharing_by_place
from .network_plots import sharing_weights as sharing_weights
from .style import PALETTE, heatmap
from .style import colours_of as colours_of
from .style import save_figure as save_figure
from .style import use_style as use_style


def dev_curves(rows: Sequence[Mapping], ax: plt.Axes, label: str = "run_id") -> plt.Axes:
    """Dev F1 by epoch, one line a run; the chosen epoch is ringed."""
    for i, row in enumerate(rows):
        scores = [100 * record["dev"]["mean"] for record in row["history"]]
        if scores:
            name = row.get(label) or f"seed {row['config']['seed']}"
            colour = PALETTE[i % len(PALETTE)]
            ax.plot(range(1, len(scores) + 1), scores, marker=".", color=colour, label=name)
            best = int(np.argmax(scores))
            ax.plot(
                best + 1, scores[best], "o", markersize=11, markerfacecolor="none", color=colour
            )
    ax.set(xlabel="epoch", ylabel="dev F1 (strict spans, x 100)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize="small")
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


def trials(frame: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Dev F1 of a search's trials in their order (crosses: pruned), and the best so far."""
    frame = frame.assign(number=range(1, len(frame) + 1), f1=100 * frame["dev F1"])
    for state, mark in (("complete", "o"), ("pruned", "x"), ("fail", "v")):
        part = frame[(frame["state"] == state) & frame["f1"].notna()]
        if len(part):
            ax.scatter(
                part["number"],
                part["f1"],
                marker=mark,
                color=PALETTE[0 if state == "complete" else 7],
                label=state,
            )
    whole = frame.assign(best=frame["f1"].where(frame["state"] == "complete").cummax().ffill())
    ax.step(whole["number"], whole["best"], where="post", color=PALETTE[1], label="best so far")
    ax.set(xlabel="trial", ylabel="dev F1 (strict spans, x 100)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False)
    return ax


def weight_surface(grid: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Dev F1 over two loss weights, as a surface; the ax has projection="3d".

    `grid` has one weight in its rows, the other in its columns.
    """
    x, y = np.meshgrid(range(grid.shape[1]), range(grid.shape[0]))
    ax.plot_surface(x, y, 100 * grid.to_numpy(), cmap="crest", edgecolor="0.3", linewidth=0.5)
    ax.set(
        xlabel=f"\u03bb {grid.columns.name}",
        ylabel=f"\u03bb {grid.index.name}",
        zlabel="dev F1 (x 100)",
    )
    ax.set_xticks(range(grid.shape[1]), [f"{w:g}" for w in grid.columns])
    ax.set_yticks(range(grid.shape[0]), [f"{w:g}" for w in grid.index])
    return ax


def weight_heatmap(grid: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """The same from above; the best is framed."""
    heatmap(100 * grid, ax, "dev F1 (x 100)")
    row, column = np.unravel_index(np.argmax(grid.to_numpy()), grid.shape)
    ax.add_patch(plt.Rectangle((column, row), 1, 1, fill=False, edgecolor=PALETTE[1], linewidth=3))
    ax.set(xlabel=f"\u03bb {grid.columns.name}", ylabel=f"\u03bb {grid.index.name}")
    return ax


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
    title = f"all: {shared}" if shared else None
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.25)}
    ax.legend(fontsize="x-small", title=title, title_fontsize="x-small", **place)
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
