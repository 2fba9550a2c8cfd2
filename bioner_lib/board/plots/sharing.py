"""Pictures of a tagger: what teaches its encoder and its heads, and what each head listens to."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ...corpora.corpus import Corpus
from ...corpora.text import Sentence
from .style import PALETTE, heatmap

# x of the columns: where corpora end, the middle of encoder and views, where heads start, squares
_CORPORA, _ENCODER, _VIEWS, _HEADS, _TAUGHT = 0.0, 0.75, 1.55, 2.15, 2.95
_BOX = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "0.5", "linewidth": 1.5}


def network(
    plans: Sequence,
    corpora: Sequence[Corpus],
    ax: plt.Axes,
    encoder: str = "encoder",
    sharing: str = "hard",
) -> plt.Axes:
    """Corpora, the shared encoder, a view per head (unless `sharing` is hard), and the heads.

    `plans` are the HeadPlans that `models.plan_heads` makes of these corpora. The squares beside a
    head have the colours of the corpora that teach it: those that annotate its types.
    """
    colours = {c.name: PALETTE[k % len(PALETTE)] for k, c in enumerate(corpora)}
    middle = {"ha": "center", "va": "center", "fontsize": "small"}
    ax.text(_ENCODER, 0.5, f"one shared\n{encoder}", bbox=_BOX, **middle)
    for corpus, y in zip(corpora, _heights(len(corpora)), strict=True):
        box = _BOX | {"edgecolor": colours[corpus.name]}
        ax.text(_CORPORA, y, corpus.name, bbox=box, **middle | {"ha": "right"})
        _arrow(ax, (_CORPORA + 0.08, y), (_ENCODER - 0.3, 0.5), colours[corpus.name])
    for plan, y in zip(plans, _heights(len(plans)), strict=True):
        start = (_ENCODER + 0.3, 0.5)
        if sharing != "hard":
            ax.text(_VIEWS, y, sharing, bbox=_BOX, **middle)
            _arrow(ax, start, (_VIEWS - 0.28, y), "0.6")
            start = (_VIEWS + 0.28, y)
        _arrow(ax, start, (_HEADS - 0.08, y), "0.6")
        ax.text(_HEADS, y, f"head {plan.name}", bbox=_BOX, **middle | {"ha": "left"})
        taught = [colours[corpus.name] for corpus in corpora if corpus.name in plan.corpora]
        for k, colour in enumerate(taught):
            ax.plot(_TAUGHT + 0.09 * k, y, "s", color=colour, markersize=8)
    ax.text(_TAUGHT, 1.02, "taught by", fontsize="small", va="center")
    ax.set(xlim=(-0.8, _TAUGHT + 0.3 + 0.09 * len(corpora)), ylim=(-0.02, 1.08))
    ax.set_axis_off()
    return ax


def _heights(n: int) -> np.ndarray:
    """So many places from top to bottom."""
    return 1 - (np.arange(n) + 0.5) / n


def _arrow(ax: plt.Axes, start: tuple, end: tuple, colour: str | tuple) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.5})


def sharing_by_place(tagger, corpus: Corpus, most: int = 200) -> pd.DataFrame:
    """`weights_by_place` of a tagger with gates or a router, for a corpus's first dev sentences."""
    split = corpus.dev[:most]
    weights = tagger.sharing_weights([sentence.tokens for sentence in split])
    heads = [plan.name for plan in tagger.plans]
    experts = [f"expert {k + 1}" for k in range(weights[0].shape[1])]
    sources = heads if tagger.settings["sharing"] == "cross" else experts
    return weights_by_place(split, weights, heads, sources, corpus.types)


def weights_by_place(
    split: Sequence[Sentence],
    weights: Sequence[np.ndarray],
    heads: Sequence[str],
    sources: Sequence[str],
    types: Sequence[str],
) -> pd.DataFrame:
    """Mean weight of each source for each head, inside mentions of these types and outside.

    `weights` is `MultiTaskTagger.sharing_weights` of the split: (heads, sources, words) per
    sentence.
    """
    inside = []
    for sentence in split:
        spans = [span for span in sentence.spans if span.type in types]
        for word in range(len(sentence.tokens)):
            inside.append(any(span.start <= word < span.end for span in spans))
    inside = np.array(inside)
    table, names = np.concatenate(weights, axis=-1), " + ".join(types)
    lines = {}
    for i, head in enumerate(heads):
        lines[head, f"in {names}"] = table[i][:, inside].mean(-1)
        lines[head, f"outside {names}"] = table[i][:, ~inside].mean(-1)
    index = pd.MultiIndex.from_tuples(lines)
    return pd.DataFrame(list(lines.values()), index=index, columns=list(sources))


def sharing_weights(frame: pd.DataFrame, ax: plt.Axes) -> plt.Axes:
    """Mean weight of each source (expert or other head) for each head and place.

    `frame` is `weights_by_place`.
    """
    own = np.array([[head == source for source in frame.columns] for head, _ in frame.index])
    shown = frame.set_axis([f"{head} head, {place}" for head, place in frame.index])
    heatmap(shown, ax, "mean weight", mask=own, fmt=".2f")
    ax.set(xlabel="source", ylabel="")
    return ax
