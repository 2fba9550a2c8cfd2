"""What all figures share: colours, fonts, files, heat maps.

Colours are safe for colour-blind readers; figures are readable at half a page's width.
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from ...home import home, outputs

PALETTE = sns.color_palette("colorblind")
_FILLS = sns.color_palette("pastel", 10).as_hex()


def colours_of(types: Sequence[str]) -> dict[str, str]:
    """A light colour per type, for highlighted mentions."""
    return dict(zip(types, cycle(_FILLS), strict=False))


def use_style() -> None:
    """Fonts and grid of all figures."""
    sns.set_theme(
        "notebook",
        "whitegrid",
        palette="colorblind",
        rc={"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False},
    )


def save_figure(figure: plt.Figure, name: str, published: bool = False) -> Path:
    """Write name.png and name.pdf to outputs/figures; returns the path of the PNG.

    Figures of `published` rows go to figures/.
    """
    folder = home() / "figures" if published else outputs(write=True) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("pdf", "png"):
        metadata = (
            {"CreationDate": None} if kind == "pdf" else {"Software": None}
        )  # the same data gives the same bytes
        figure.savefig(folder / f"{name}.{kind}", bbox_inches="tight", dpi=160, metadata=metadata)
    return folder / f"{name}.png"


def heatmap(values: pd.DataFrame, ax: plt.Axes, label: str, **options) -> None:
    """The values as a grid of numbered cells; `label` names the colour bar."""
    style = {"annot": True, "fmt": ".1f", "cmap": "crest", "linewidths": 1}
    sns.heatmap(values, ax=ax, cbar_kws={"label": label}, **style | options)
    ax.tick_params(axis="y", rotation=0)
    ax.grid(False)
