"""Figures of 95 % intervals: of F1, and of differences between arms."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd

from ..comparison import claims
from .published_marks import legend_below, published_marks
from .style import PALETTE

_COLOURS = 6  # that a reader tells apart in one strip


def f1_dots(frame: pd.DataFrame, anchors: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Test F1 with its 95 % interval by corpus and type, beside published figures (`f1_means`).

    `frame` is `comparison.intervals`'. Up to _COLOURS systems have a colour each; of more, each has
    a row, the best one first. `f1_dots_height` suits both.
    """
    layout = _layout(frame)
    for line in frame.itertuples():
        x, y = 100 * line.f1, layout.y[line.corpus, line.type, line.name]
        bar = {"xerr": [[x - 100 * line.low], [100 * line.high - x]], "fmt": "o", "capsize": 3}
        ax.errorbar(x, y, markersize=5, color=layout.colours.get(line.name, PALETTE[0]), **bar)
    for name, colour in layout.colours.items():
        ax.plot([], [], "o-", color=colour, label=name)
    official = frame.groupby(["corpus", "type"])["official"].all()
    places = {group: y for group, y in layout.groups.items() if official[group]}
    for line, mark, style in published_marks(anchors, places, ax):
        y = places[line.corpus, line.type] + layout.marks[line.comparable]
        ax.plot(100 * line.f1, y, marker=mark, **style)
    ax.set_yticks(list(layout.labels), list(layout.labels.values()))
    if not layout.colours:
        for label in ax.get_yticklabels():
            is_group = label.get_position()[1] in layout.groups.values()
            label.set_fontweight("bold" if is_group else "normal")
    ax.set(ylim=(layout.end, -0.5), xlabel="test F1 (strict spans, x 100)")
    ax.set_xlim(max(0, 10 * ((100 * frame["low"].min() - 5) // 10)), 100)
    ax.grid(False, axis="y")
    for y in layout.groups.values():
        ax.axhline(y - 0.5, color="0.85", linewidth=0.8 if y else 0)
    # what lies below doesn't depend on the figure's height
    legend_below(ax, below=0.6 / ax.figure.get_figheight() + 0.02)
    return ax


def f1_dots_height(frame: pd.DataFrame) -> float:
    """Inches that `f1_dots` needs."""
    layout = _layout(frame)
    return 0.5 + (0.5 if layout.colours else 0.24) * (layout.end + 0.5)


@dataclass
class _Layout:
    """Where the lines of `f1_dots` lie."""

    y: dict[tuple[str, str, str], float]  # corpus, type, system
    groups: dict[tuple[str, str], float]  # corpus, type
    labels: dict[float, str]
    colours: dict[str, tuple]  # of systems; none where each has its row
    marks: dict[bool, float]  # from a group down to published figures: comparable ones, others
    end: float


def _layout(frame: pd.DataFrame) -> _Layout:
    groups = frame.groupby(["corpus", "type"], sort=False)
    names = list(dict.fromkeys(frame["name"]))
    if len(names) > _COLOURS:
        return _rows(groups)
    step = 0.5 / len(names)
    places = {group: float(i) for i, (group, _) in enumerate(groups)}
    y = {
        (*group, name): place - 0.35 + step * (k + 0.5)
        for group, place in places.items()
        for k, name in enumerate(names)
    }
    return _Layout(
        y=y,
        groups=places,
        labels={place: " ".join(group) for group, place in places.items()},
        colours=dict(zip(names, cycle(PALETTE), strict=False)),
        marks={True: 0.24, False: 0.36},
        end=len(places) - 0.5,
    )


def _rows(groups: Iterable[tuple[tuple[str, str], pd.DataFrame]]) -> _Layout:
    """A row per corpus and type, where published figures stand, then one per system."""
    places, y, labels = {}, {}, {}
    for group, part in groups:
        places[group] = float(len(labels))
        labels[places[group]] = " ".join(group)
        for name in part.sort_values("f1", ascending=False)["name"]:
            y[*group, name] = float(len(labels))
            labels[y[*group, name]] = name
    return _Layout(y, places, labels, {}, {True: -0.15, False: 0.2}, len(labels) - 0.5)


def differences(frame: pd.DataFrame, ax: plt.Axes, label: str = "corpus") -> plt.Axes:
    """Forest plot of `compare`: F1 difference with its 95 % interval.

    A dot is filled where the difference is a claim (`claims`).

    The corpora of one label are drawn below one another, each in its colour.
    """
    labels, corpora = list(dict.fromkeys(frame[label])), list(dict.fromkeys(frame["corpus"]))
    several = label != "corpus" and len(corpora) > 1
    for line in frame.assign(claim=claims(frame)).to_dict("records"):
        k = corpora.index(line["corpus"]) if several else 0
        y = labels.index(line[label]) + (0.6 * (k + 0.5) / len(corpora) - 0.3 if several else 0)
        x, low, high = 100 * line["difference"], 100 * line["low"], 100 * line["high"]
        face = PALETTE[k] if line["claim"] else "white"
        ax.errorbar(
            x,
            y,
            xerr=[[x - low], [high - x]],
            fmt="o",
            color=PALETTE[k],
            capsize=4,
            markerfacecolor=face,
        )
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set(
        yticks=range(len(labels)),
        yticklabels=labels,
        xlabel="difference in test F1 (points)",
        ylim=(len(labels) - 0.5, -0.5),
    )
    if several:
        handles = [
            plt.Line2D([], [], marker="o", linestyle="", color=PALETTE[k], label=name)
            for k, name in enumerate(corpora)
        ]
        ax.legend(
            handles=handles, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=3
        )
    return ax
