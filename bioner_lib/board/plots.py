"""One function a figure: takes data and an ax, returns the ax. Colour-blind-safe, readable at half a page's width."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..data.corpora import Corpus
from ..errors import WorkbookError
from ..home import home
from ..home import outputs as outputs_folder

PALETTE = sns.color_palette("colorblind")
_MARKS = "sD^vPX*ph"


def use_style() -> None:
    """Fonts and grid of all figures."""
    sns.set_theme(
        "notebook", "whitegrid", palette="colorblind", rc={"figure.dpi": 110, "axes.spines.top": False, "axes.spines.right": False}
    )


def save_figure(figure: plt.Figure, name: str, published: bool = False) -> Path:
    """Write name.png and name.pdf to outputs/figures, or to figures/ if drawn from published rows; returns the png's path."""
    folder = home() / "figures" if published else outputs_folder() / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("pdf", "png"):
        metadata = {"CreationDate": None} if kind == "pdf" else {"Software": None}  # the same data gives the same bytes
        figure.savefig(folder / f"{name}.{kind}", bbox_inches="tight", dpi=160, metadata=metadata)
    return folder / f"{name}.png"


def split_sizes(corpora: Sequence[Corpus], ax: plt.Axes) -> plt.Axes:
    """Sentences by split, one group of bars a corpus."""
    lines = [(corpus.name, role, len(split)) for corpus in corpora for role, split in corpus.splits.items()]
    frame = pd.DataFrame(lines, columns=["corpus", "split", "sentences"])
    sns.barplot(frame, x="sentences", y="corpus", hue="split", hue_order=["train", "dev", "test"], ax=ax)
    ax.set(xlabel="sentences", ylabel="")
    ax.legend(fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def sentence_lengths(corpora: Sequence[Corpus], ax: plt.Axes) -> plt.Axes:
    """Share of sentences with at most x words."""
    for corpus in corpora:
        lengths = np.sort([len(sentence.tokens) for split in corpus.splits.values() for sentence in split])
        ax.step(lengths, np.arange(1, len(lengths) + 1) / len(lengths), label=corpus.name)
    ax.set(xlabel="words a sentence", ylabel="share of sentences", xscale="log", ylim=(0, 1.02))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend(fontsize="small")
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
    ax.grid(False)
    return ax


def label_balance(corpora: Sequence[Corpus], ax: plt.Axes) -> plt.Axes:
    """Share of train words that carry a tag other than O, by type."""
    types, left = list(dict.fromkeys(name for corpus in corpora for name in corpus.types)), np.zeros(len(corpora))
    for i, name in enumerate(types):
        inside = [sum(end - start for s in corpus.train for start, end, kind in s.spans if kind == name) for corpus in corpora]
        shares = [100 * n / sum(len(s.tokens) for s in corpus.train) for n, corpus in zip(inside, corpora, strict=True)]
        ax.barh([corpus.name for corpus in corpora], shares, left=left, label=name, color=PALETTE[i % 10], hatch="//" if i >= 10 else None)
        left += shares
    ax.set(xlabel="words inside a mention (%)")
    ax.grid(False, axis="y")
    ax.invert_yaxis()
    ax.legend(fontsize="small", ncols=5, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def pieces_per_word(counts: Mapping[str, Sequence[int]], ax: plt.Axes) -> plt.Axes:
    """Share of words by their number of pieces; `counts`: label -> one number a word."""
    for i, (label, numbers) in enumerate(counts.items()):
        values = np.clip(numbers, 1, 8)
        shares = [np.mean(values == k) for k in range(1, 9)]
        ax.plot(range(1, 9), shares, marker="osD^"[i % 4], label=f"{label} (mean {np.mean(numbers):.2f})")
    ax.set(xlabel="pieces a word", ylabel="share of words", xticks=range(1, 9), xticklabels=[*map(str, range(1, 8)), "8+"], ylim=(0, 1))
    ax.legend(fontsize="small")
    return ax


def dev_curves(rows: Sequence[Mapping], ax: plt.Axes, label: str = "run_id") -> plt.Axes:
    """Dev F1 by epoch, one line a run; the chosen epoch is ringed."""
    for i, row in enumerate(rows):
        scores = [100 * record["dev"]["mean"] for record in row["history"]]
        if scores:
            name = row.get(label) or f"seed {row['config']['seed']}"
            colour = PALETTE[i % len(PALETTE)]
            ax.plot(range(1, len(scores) + 1), scores, marker=".", color=colour, label=name)
            best = int(np.argmax(scores))
            ax.plot(best + 1, scores[best], "o", markersize=11, markerfacecolor="none", color=colour)
    ax.set(xlabel="epoch", ylabel="dev F1 (strict spans, x 100)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize="small")
    return ax


def error_kinds(kinds: Mapping[str, Mapping[str, int]], ax: plt.Axes) -> plt.Axes:
    """How predictions go wrong, one stacked bar a system; `kinds`: system -> kind -> count."""
    order = ["boundary", "type", "both", "spurious", "missed"]
    frame = pd.DataFrame({name: {kind: counts.get(kind, 0) for kind in order} for name, counts in kinds.items()}).T
    left = np.zeros(len(frame))
    for i, kind in enumerate(order):
        ax.barh(frame.index, frame[kind], left=left, label=kind, color=PALETTE[i])
        left += frame[kind].to_numpy()
    ax.set(xlabel="errors (spans)")
    ax.invert_yaxis()
    ax.legend(fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def f1_bars(table: pd.DataFrame, anchors: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 by corpus and type with sd over seeds and every seed as a dot; published figures as marks.

    `table` is `leaderboard.aggregate`'s; only official splits get marks.
    """
    table = _main(table)
    groups = list(dict.fromkeys(zip(table["corpus"], table["type"], strict=True)))
    names = list(dict.fromkeys(table["name"]))
    width, shown = 0.8 / table.groupby(["corpus", "type"]).size().max(), []
    for i, (corpus, kind) in enumerate(groups):
        here = table[(table["corpus"] == corpus) & (table["type"] == kind)].set_index("name")
        for k, name in enumerate(name for name in names if name in here.index):
            line, x = here.loc[name], i + width * (k + 0.5 - len(here) / 2)
            colour, label = PALETTE[names.index(name) % len(PALETTE)], name if name not in shown else None
            ax.bar(
                x,
                100 * line["f1_mean"],
                width,
                color=colour,
                label=label,
                yerr=None if line["runs"] == 1 else 100 * line["f1_sd"],
                capsize=3,
            )
            ax.plot([x] * len(line["values"]), 100 * np.array(line["values"]), ".", color="black", markersize=4)
            shown.append(name)
        if here["official"].all():
            marks = anchors[(anchors["corpus"] == corpus) & (anchors["type"] == kind)]
            for k, mark in enumerate(marks.itertuples()):
                label = f"{mark.system}, {mark.source}"
                ax.plot(
                    i + 0.42 + 0.035 * (k % 3),
                    100 * mark.f1,
                    _MARKS[k % len(_MARKS)],
                    color="0.35",
                    markersize=6,
                    label=None if label in shown else label,
                    clip_on=False,
                )
                shown.append(label)
    ax.set(xticks=range(len(groups)), ylabel="test F1 (strict spans, x 100)")
    ax.set_xticklabels([f"{corpus}\n{kind}" for corpus, kind in groups], fontsize="small" if len(groups) < 6 else "x-small")
    low = 100 * min(value for values in table["values"] for value in values)
    ax.set_ylim(max(0, 10 * ((low - 5) // 10)), 100)
    ax.grid(False, axis="x")
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return ax


def f1_radar(table: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1, a spoke for each corpus and type; the systems that share most spokes, on the spokes that they share.

    Raises WorkbookError where no system has three spokes.
    """
    wide = _main(table).pivot_table(index="name", columns=["corpus", "type"], values="f1_mean")
    wide = wide.loc[wide.notna().sum(axis=1).sort_values(ascending=False, kind="stable").index]
    # of the first k systems, those with most figures, take the k that fill the largest table without gaps
    shared = [wide.iloc[:k].dropna(axis=1) for k in range(1, len(wide) + 1)]
    shown = max((part for part in shared if part.shape[1] >= 3), key=lambda part: part.size, default=None)
    if shown is None:
        raise WorkbookError(f"a radar needs a system with three spokes (corpus and type); these rows have {wide.notna().sum(axis=1).max()}")
    angles = np.linspace(0, 2 * np.pi, shown.shape[1], endpoint=False)
    for name, values in shown.iterrows():
        closed = 100 * np.append(values.to_numpy(), values.iloc[0])
        ax.plot(np.append(angles, angles[0]), closed, marker=".", label=name)
    ax.set_xticks(angles, [f"{corpus}\n{kind}" for corpus, kind in shown.columns], fontsize="small")
    ax.tick_params(axis="x", pad=14)
    ax.tick_params(axis="y", labelsize="x-small")
    ax.set_ylim(max(0, 10 * ((100 * float(shown.min().min()) - 5) // 10)), 100)
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return ax


def f1_heatmap(table: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean test F1 of every system on every corpus and type; blank where it wasn't scored."""
    wide = 100 * _main(table).pivot_table(index="name", columns=["corpus", "type"], values="f1_mean")
    wide = wide.loc[wide.mean(axis=1).sort_values(ascending=False).index]
    wide.columns = [f"{corpus}\n{kind}" for corpus, kind in wide.columns]
    sns.heatmap(wide, annot=True, fmt=".1f", cmap="crest", linewidths=1, ax=ax, cbar_kws={"label": "test F1 (x 100)"})
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)
    ax.grid(False)
    return ax


def differences(frame: pd.DataFrame, ax: plt.Axes, label: str = "corpus") -> plt.Axes:
    """Forest plot of `leaderboard.compare`: F1 difference with its 95 % bootstrap interval; filled where Holm's p < 0.05."""
    for i, line in enumerate(frame.itertuples()):
        x, low, high = 100 * line.difference, 100 * line.low, 100 * line.high
        ax.errorbar(
            x,
            i,
            xerr=[[x - low], [high - x]],
            fmt="o",
            color=PALETTE[0],
            capsize=4,
            markerfacecolor=PALETTE[0] if line.p_holm < 0.05 else "white",
        )
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set(yticks=range(len(frame)), yticklabels=frame[label], xlabel="difference in test F1 (points)", ylim=(len(frame) - 0.5, -0.5))
    return ax


def _main(table: pd.DataFrame) -> pd.DataFrame:
    """The lines a figure shows: types, and `micro` where a corpus has several."""
    kinds = table[table["type"] != "macro"].groupby("corpus")["type"].nunique()
    single = table["corpus"].map(kinds) == 2
    return table[(table["type"] != "macro") & ~(single & (table["type"] == "micro"))]
