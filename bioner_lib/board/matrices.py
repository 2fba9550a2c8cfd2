"""Rows -> matrices: what tasks do to each other, and dev F1 over the loss weights of two heads."""

from collections.abc import Iterable, Mapping

import pandas as pd

from ..errors import WorkbookError
from ..runs.rows import config_of, precision_of
from .budgets import check_budgets
from .comparison import best_dev
from .tables import parts_of, results


def transfer(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Test F1 minus the single-task tagger's, mean over seeds.

    Sets of training corpora (or parts of them) are the rows, test corpora the columns; a set stands
    against the taggers of the same parts.
    """
    rows = list(rows)
    check_budgets(rows)
    trained_on, learned = {}, {}
    for row in rows:
        parts = parts_of(row)
        trained_on[row["run_id"]] = " + ".join(parts.values())
        learned |= {(row["run_id"], corpus): part for corpus, part in parts.items()}
    frame = results(rows)
    frame = frame[(frame["split"] == "test") & (frame["type"] == "micro")]
    keys = zip(frame["run_id"], frame["corpus"], strict=True)
    # who wasn't trained on a corpus stands against the tagger of the whole one
    own = [learned.get(key, key[1]) for key in keys]
    frame = frame.assign(trained_on=frame["run_id"].map(trained_on), corpus=own)
    wide = frame.pivot_table(index="trained_on", columns="corpus", values="f1")
    alone = {name: wide.loc[name, name] for name in wide.columns if name in wide.index}
    if not alone:
        raise WorkbookError(
            f"no single-task tagger among {list(wide.index)}; a transfer matrix is drawn against "
            "those"
        )
    order = sorted(wide.index, key=lambda name: (name.count(" + "), name))
    return (wide[list(alone)] - pd.Series(alone)).loc[order]


def transfers(rows: Iterable[Mapping]) -> list[pd.DataFrame]:
    """`transfer` of each design that was trained on single corpora and on several."""
    by_design: dict[str, list[Mapping]] = {}
    for row in rows:
        config = config_of(row)
        if config.system == "tagger" and not any(row.get("parents", {})):
            left_out = ("corpora", "also_test", "seed", "precision")
            key = f"{config.digest(left_out)} {precision_of(row)}"
            by_design.setdefault(key, []).append(row)
    found = []
    for own in by_design.values():
        sizes = {len(row["config"]["corpora"]) for row in own}
        if 1 in sizes and max(sizes) > 1:
            matrix = transfer(own)
            shared = matrix[matrix.index.str.contains(" + ", regex=False)]
            # a multi-task arm may be tested on other corpora than the single-task ones
            if shared.notna().any(axis=None):
                found.append(matrix)
    return found


def weight_grids(rows: Iterable[Mapping]) -> list[pd.DataFrame]:
    """Mean dev F1 over the loss weights of two heads: one grid per configuration that varies them.

    Only whole grids of at least two by two weights; what `plots.weight_heatmap` draws.
    """
    by_rest: dict[str, list[Mapping]] = {}
    for row in rows:
        config = config_of(row)
        if config.system == "tagger" and not isinstance(config.loss_weights, str):
            left_out = ("loss_weights", "seed", "precision")
            key = f"{config.digest(left_out)} {precision_of(row)}"
            by_rest.setdefault(key, []).append(row)
    grids = []
    for own in by_rest.values():
        heads = sorted({head for row in own for head in row["config"]["loss_weights"]})
        if len(heads) == 2:
            lines = []
            for row in own:
                weights = [row["config"]["loss_weights"].get(head, 1.0) for head in heads]
                lines.append([*weights, best_dev(row)])
            frame = pd.DataFrame(lines, columns=[*heads, "dev"])
            grid = frame.pivot_table(index=heads[0], columns=heads[1], values="dev")
            # a run with both weights at 1 may stand outside of the grid
            whole = grid.dropna(axis=0, thresh=2).dropna(axis=1, thresh=2)
            if min(whole.shape) > 1 and not whole.isna().any(axis=None):
                grids.append(whole)
    return grids
