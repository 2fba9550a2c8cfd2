"""Figures of training: dev F1 by epoch, by trial of a search and by weights of the losses."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from .style import PALETTE, heatmap


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
