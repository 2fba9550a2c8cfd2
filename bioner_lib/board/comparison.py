"""Which arms may be compared, and whether a difference is more than luck."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import RunConfig
from ..errors import WorkbookError
from ..evaluation.statistics import document_counts, holm, paired_difference
from ..home import outputs as outputs_folder
from ..runs.rows import (
    PARENTS,
    arm,
    arm_of,
    parents_of,
    phases,
    precision_of,
    read_predictions,
    read_row,
    read_rows,
)
from .results import results

# what arms may differ in and still have equal budgets
_VARIED = (
    "encoder", "corpora", "also_test", "system", "heads", "sharing", "reversal", "orthogonality", "experts", "balance", "decoder",
    "scheme", "unannotated", "label_pieces", "loss_weights", "corpus_weights", "sampling", "temperature", "start_from", "teacher",
    "confidence", "seed",
)  # fmt: skip
_COMPARED = ("corpus", "seeds", "difference", "low", "high", "p", "p_holm")


def compare(
    a: Mapping[str, Mapping],
    b: Mapping[str, Mapping],
    outputs: str | Path | None = None,
    resamples: int = 2_000,
) -> pd.DataFrame:
    """Two arms' rows by corpus -> F1 difference a - b on test with its 95 % interval and Holm-corrected p.

    `a` and `b` map a corpus to a list of rows, one per seed. The seeds that both arms have are used; documents (sentences, where a
    corpus has no documents) and seeds count as luck, as `statistics.paired_difference` says. Raises WorkbookError where budgets or
    the types that were asked for differ, and where no seed is shared.
    """
    lines = []
    for corpus in sorted(set(a) & set(b)):
        check_budgets([*a[corpus], *b[corpus]])
        by_seed = [{row["config"]["seed"]: row for row in side[corpus]} for side in (a, b)]
        if twice := [
            side
            for side, rows in zip((a, b), by_seed, strict=True)
            if len(rows) < len(side[corpus])
        ]:
            raise WorkbookError(
                f"{corpus}: two runs of one arm have one seed: {sorted(row['run_id'] for row in twice[0][corpus])}"
            )
        seeds = sorted(set(by_seed[0]) & set(by_seed[1]))
        if not seeds:
            raise WorkbookError(
                f"{corpus}: seeds {sorted(by_seed[0])} against {sorted(by_seed[1])}; paired runs need a seed in common: make them first"
            )
        asked = {tuple(_asked(rows[seed], corpus)) for rows in by_seed for seed in seeds}
        if len(asked) > 1:
            raise WorkbookError(
                f"{corpus}: these runs were asked for different types, {sorted(asked)}; they can't be compared there"
            )
        types = asked.pop()
        predictions = [
            [read_predictions(rows[seed]["run_id"], corpus, "test", outputs) for seed in seeds]
            for rows in by_seed
        ]
        if (
            len({tuple(sorted({p["doc"] for p in read})) for side in predictions for read in side})
            > 1
        ):
            raise WorkbookError(
                f"{corpus}: these runs were tested on different documents; they can't be compared there"
            )
        tables = [np.stack([document_counts(read, types) for read in side]) for side in predictions]
        lines.append(
            {
                "corpus": corpus,
                "seeds": len(seeds),
                **paired_difference(*tables, resamples=resamples),
            }
        )
    return _corrected(pd.DataFrame(lines, columns=_COMPARED[:-1]))


def _corrected(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(p_holm=holm(frame["p"].tolist()))


def _asked(row: Mapping, corpus: str) -> list[str]:
    """The types that a run was asked for on a corpus."""
    left_out = row["scores"][corpus]["test"].get("not_asked", [])
    return [name for name in row["data"][corpus]["types"] if name not in left_out]


def compare_arms(
    arms: Mapping[str, Mapping[str, Sequence[Mapping]]],
    base: Mapping[str, Sequence[Mapping]],
    outputs: str | Path | None = None,
) -> pd.DataFrame:
    """`compare` of each arm with one base, a line per arm and corpus; Holm's correction is for all of them together."""
    parts = [compare(rows, base, outputs).assign(arm=name) for name, rows in arms.items()]
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=[*_COMPARED, "arm"])
    return _corrected(pd.concat(parts, ignore_index=True))


def finals(
    configs: Sequence[RunConfig], outputs: str | Path | None = None
) -> dict[str, list[dict]]:
    """For each test corpus the finished runs, all seeds, of the last phase: what `compare` takes.

    Where several of these runs score one corpus, the run trained on it counts; where none was trained on it, the corpus is left out.
    """
    begun = {config.start_from for config in configs}
    found: dict[str, dict[str, list[dict]]] = {}
    for config in configs:
        for row in repetitions(config, outputs) if config.run_id not in begun else ():
            for corpus, splits in row["scores"].items():
                if "test" in splits:
                    key = "trained" if "dev" in splits else config.run_id
                    found.setdefault(corpus, {}).setdefault(key, []).append(row)
    return {
        corpus: by.get("trained") or next(iter(by.values()))
        for corpus, by in found.items()
        if "trained" in by or len(by) == 1
    }


def comparable(
    arm_rows: Mapping[str, Sequence[Mapping]], base: Mapping[str, Sequence[Mapping]]
) -> bool:
    """Whether `compare` can say something of two arms: a corpus and a seed in common, and equal budgets."""
    shared = [corpus for corpus in arm_rows if corpus in base]
    seeds = [
        [{row["config"]["seed"] for row in side[corpus]} for side in (arm_rows, base)]
        for corpus in shared
    ]
    equal = equal_budgets([row for corpus in shared for row in (*arm_rows[corpus], *base[corpus])])
    return equal and bool(shared) and all(a & b for a, b in seeds)


def best_dev(row: Mapping) -> float:
    """The mean dev F1 of the epoch that was chosen."""
    return max(record["dev"]["mean"] for record in row["history"])


def transfer(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Test F1 minus the single-task tagger's, mean over seeds: sets of training corpora down, test corpora across."""
    rows = list(rows)
    check_budgets(rows)
    trained_on = {
        row["run_id"]: " + ".join(name for name, splits in row["scores"].items() if "dev" in splits)
        for row in rows
    }
    frame = results(rows)
    frame = frame[(frame["split"] == "test") & (frame["type"] == "micro")]
    wide = frame.assign(trained_on=frame["run_id"].map(trained_on)).pivot_table(
        index="trained_on", columns="corpus", values="f1"
    )
    alone = {name: wide.loc[name, name] for name in wide.columns if name in wide.index}
    if not alone:
        raise WorkbookError(
            f"no single-task tagger among {list(wide.index)}; a transfer matrix is drawn against those"
        )
    return (wide[list(alone)] - pd.Series(alone)).loc[
        sorted(wide.index, key=lambda name: (name.count(" + "), name))
    ]


def repetitions(config: RunConfig, outputs: str | Path | None = None) -> list[dict]:
    """All finished runs that differ from this one in their seed at most; none where what it builds on isn't finished.

    Runs count that computed in this one's precision. Where `precision="auto"` and this one isn't finished, raises WorkbookError if
    the others computed in several.
    """
    runs = outputs_folder(outputs) / "runs"
    if any(
        getattr(config, name) and read_row(runs / getattr(config, name)) is None for name in PARENTS
    ):
        return []
    parents, mine = parents_of(config, runs), read_row(runs / config.run_id)
    rows = [
        row for row in read_rows(outputs) if arm_of(row) == arm(config, parents, precision_of(row))
    ]
    wanted = precision_of(mine) if mine else config.precision
    if wanted != "auto":
        return [row for row in rows if precision_of(row) in (wanted, "none")]
    if len(used := {precision_of(row) for row in rows}) > 1:
        raise WorkbookError(
            f"runs of {config.slug} computed in {' and '.join(sorted(used))}; say which with precision="
        )
    return rows


def check_budgets(rows: Sequence[Mapping]) -> None:
    """Raises WorkbookError unless all taggers were trained with the same budget: everything but what an arm may vary.

    An encoder is an arm's to vary, and brings its own learning rate. A first phase counts: its epochs are added, and all else must be
    the same there. Steps follow from epochs and corpora, which an arm may vary.
    """
    taggers = []
    for row in rows:
        chain = [RunConfig(**config).as_dict() for config in phases(row)]
        if chain[0]["system"] == "tagger":
            epochs = sum(config["epochs"] for config in chain)
            taggers += [config | {"epochs": epochs} for config in chain]
    for key in [key for config in taggers[:1] for key in config if key not in _VARIED]:
        own = [config["encoder"] if key == "learning_rate" else "" for config in taggers]
        values = {
            (encoder, json.dumps(config[key])) for encoder, config in zip(own, taggers, strict=True)
        }
        if len(values) > len(set(own)):
            said = ", ".join(sorted(value for _, value in values))
            raise WorkbookError(
                f"these runs can't be compared: {key} differs ({said}); run both arms with one budget"
            )


def equal_budgets(rows: Sequence[Mapping]) -> bool:
    try:
        check_budgets(rows)
    except WorkbookError:
        return False
    return True
