"""Figures of corpora: one function per figure; it takes data and an ax, and returns the ax."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from ...corpora.corpus import Corpus
from .style import PALETTE


def split_sizes(corpora: Sequence[Corpus], ax: plt.Axes) -> plt.Axes:
    """Sentences by split, one group of bars per corpus."""
    lines = [
        (corpus.name, role, len(split))
        for corpus in corpora
        for role, split in corpus.splits.items()
    ]
    frame = pd.DataFrame(lines, columns=["corpus", "split", "sentences"])
    sns.barplot(
        frame, x="sentences", y="corpus", hue="split", hue_order=["train", "dev", "test"], ax=ax
    )
    ax.set(xlabel="sentences", ylabel="")
    ax.legend(fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def types_matrix(corpora: Sequence[Corpus], ax: plt.Axes) -> plt.Axes:
    """Mentions in train by corpus and type; blank is *not annotated*, which isn't 0."""
    types = list(dict.fromkeys(name for corpus in corpora for name in corpus.types))
    table = pd.DataFrame(index=[corpus.name for corpus in corpora], columns=types, dtype=float)
    for corpus in corpora:
        counts = corpus.counts("train")
        for name in corpus.types:
            table.loc[corpus.name, name] = counts[name]
    small = {"fontsize": "small" if len(types) < 8 else "x-small"}
    words = table.map(lambda n: "" if np.isnan(n) else f"{n:,.0f}")
    sns.heatmap(
        np.log10(table.clip(lower=1)),
        annot=words,
        fmt="",
        cmap="crest",
        cbar=False,
        linewidths=1,
        ax=ax,
        mask=table.isna(),
        annot_kws=small,
    )
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)
    if len(types) > 5:
        ax.set_xticklabels(types, rotation=30, ha="right", rotation_mode="anchor")
    ax.grid(False)
    return ax


def portraits(table: pd.DataFrame, axes: Sequence[plt.Axes]) -> Sequence[plt.Axes]:
    """Corpora (rows) by measure: one ax per column of the table, a dot and its value per corpus.

    A dash stands for what can't be measured. Each ax starts at 0 and has its own scale.
    """
    names, places = list(table.index), range(len(table))
    for ax, measure in zip(axes, table.columns, strict=True):
        values = table[measure].to_numpy(dtype=float)
        top = max(np.nanmax(values, initial=0), 1e-9)
        digits = 1 if top < 20 else 0
        ax.hlines(places, 0, np.nan_to_num(values), color="0.8", linewidth=2)
        ax.plot(values, places, "o", color=PALETTE[0], markersize=7, clip_on=False)
        for y, value in zip(places, values, strict=True):
            is_known = not np.isnan(value)
            told = f"{value:.{digits}f}" if is_known else "–"
            x = (value if is_known else 0) + 0.14 * top
            ax.text(x, y, told, va="center", fontsize="medium")
        ax.set(xlim=(-0.08 * top, 1.7 * top), ylim=(len(table) - 0.5, -0.5), xticks=[])
        ax.set_title(fill(measure, 10), fontsize="medium", loc="left")
        ax.set_yticks(places, names if ax is axes[0] else [""] * len(names))
        ax.grid(False)
        ax.spines["bottom"].set_visible(False)
    return axes


def pair_matrix(table: pd.DataFrame, ax: plt.Axes, digits: int = 0, most: float = 0) -> plt.Axes:
    """A matrix of corpora by corpora with its numbers; grey and a dash: not known.

    The colour scale ends at `most`, 0: at the largest value.
    """
    ax.set_facecolor("0.92")
    words = table.map(lambda value: "–" if np.isnan(value) else f"{value:,.{digits}f}")
    top = most or np.nanmax(table.to_numpy(dtype=float), initial=0) or 1
    size = "medium" if len(table) < 9 else "small"
    style = {"cmap": "crest", "linewidths": 1, "cbar": False, "vmin": 0, "vmax": top}
    sns.heatmap(
        table, annot=words, fmt="", annot_kws={"fontsize": size}, mask=table.isna(), ax=ax, **style
    )
    for y, x in np.argwhere(table.isna().to_numpy()):
        ax.text(x + 0.5, y + 0.5, "–", ha="center", va="center", color="0.5", fontsize=size)
    ax.tick_params(axis="y", rotation=0)
    ax.set_xticklabels(ax.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
    ax.grid(False)
    return ax


def mention_lengths(corpora: Sequence[Corpus], ax: plt.Axes) -> plt.Axes:
    """Share of train mentions with 1, 2, 3, 4, 5 and more words, one bar per corpus."""
    shares = np.zeros((len(corpora), 5))
    for i, corpus in enumerate(corpora):
        for sentence in corpus.splits.get("train", ()):
            for start, end, _ in sentence.spans:
                shares[i, min(end - start, 5) - 1] += 1
    shares = 100 * shares / np.maximum(1, shares.sum(axis=1, keepdims=True))
    left, colours = np.zeros(len(corpora)), sns.color_palette("viridis_r", 5)
    for k in range(5):
        label = f"{k + 1} word" + "s" * (k > 0) + " or more" * (k == 4)
        places = [corpus.name for corpus in corpora]
        ax.barh(places, shares[:, k], left=left, color=colours[k], label=label)
        left += shares[:, k]
    ax.set(xlabel="share of train mentions (%)", xlim=(0, 100), ylim=(len(corpora) - 0.5, -0.5))
    ax.grid(False, axis="y")
    ax.legend(fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def pieces_per_word(counts: Mapping[str, Sequence[int]], ax: plt.Axes) -> plt.Axes:
    """Share of words by their number of pieces; `counts`: label -> one number a word."""
    for i, (label, numbers) in enumerate(counts.items()):
        values = np.clip(numbers, 1, 8)
        shares = [np.mean(values == k) for k in range(1, 9)]
        ax.plot(
            range(1, 9),
            shares,
            marker="osD^"[i % 4],
            label=f"{label} (mean {np.mean(numbers):.2f})",
        )
    ax.set(
        xlabel="pieces per word",
        ylabel="share of words",
        xticks=range(1, 9),
        xticklabels=[*map(str, range(1, 8)), "8+"],
        ylim=(0, 1),
    )
    ax.legend(fontsize="small")
    return ax
