"""Rows -> long tables: one line per run, corpus, split and type.

An *arm* is a configuration without its seed; the runs of one arm are repetitions.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..config import RunConfig
from ..corpora.corpus import AVERAGES
from ..errors import WorkbookError, unknown
from ..runs.rows import (
    PARENTS,
    arm_of,
    config_of,
    precision_of,
)

_MEASURES = ("precision", "recall", "f1")
_NAMED = ("system", "encoder", "heads", "corpora", "seed", "also_test", *PARENTS)


def arm_name(
    config: RunConfig, corpus: str, parents: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """What a person calls an arm where it is scored on `corpus`: what it is, what it was trained on, and what isn't at its default.

    A single-task tagger on its own corpus is just that, so that the single-task taggers of several corpora stand in one line.
    """
    parts = [config.system]
    if config.system == "tagger":
        parts = [
            config.encoder.rstrip("/").rsplit("/", 1)[-1],
            config.heads,
            "single-task" if len(config.corpora) == 1 else "multi-task",
        ]
    shown = [name.rsplit("/", 1)[-1] for name in config.corpora]  # of a folder its last name
    parts += [f"({' + '.join(shown)})"] if config.corpora != (corpus,) else []
    usual = RunConfig(
        corpora=config.corpora, system=config.system, encoder=config.encoder
    ).as_dict()
    parts += [
        f"{key}={value}"
        for key, value in config.as_dict().items()
        if key not in _NAMED and value != usual[key]
    ]
    parts += [f"{key}={parent['name']}" for key, parent in (parents or {}).items()]
    return " ".join(parts)


def results(rows: Iterable[Mapping]) -> pd.DataFrame:
    """One line per run x corpus x split x type, `micro` and `macro` among the types; measures between 0 and 1."""
    rows = list(rows)
    configs = {row["run_id"]: config_of(row) for row in rows}
    lines = []
    for row in rows:
        config, parents = configs[row["run_id"]], row.get("parents", {})
        about = {
            "run_id": row["run_id"], "arm": arm_of(row), "arithmetic": precision_of(row), "seed": config.seed, "system": config.system,
            "encoder": config.encoder, "heads": config.heads, "trained_on": " + ".join(config.corpora),
            "task": "single-task" if len(config.corpora) == 1 else "multi-task", "epochs": config.epochs,
        }  # fmt: skip
        for corpus, splits in row["scores"].items():
            about |= {
                "name": row.get("name") or arm_name(config, corpus, parents),
                "corpus": corpus,
                "official": row["data"][corpus]["official"],
            }
            for split, scored in splits.items():
                for kind, measures in scored["types"].items():
                    if kind in AVERAGES and scored.get("not_asked"):
                        continue  # over some of the corpus's types only: it can't stand beside a whole one
                    lines.append(
                        {
                            **about,
                            "split": split,
                            "type": kind,
                            **{key: measures[key] for key in (*_MEASURES, "support")},
                        }
                    )
    if not lines:
        raise WorkbookError(
            "no finished runs yet; run 30_single_task first, or point BIONER_OUTPUTS at a folder that holds runs/"
        )
    frame = pd.DataFrame(lines)
    return _told_apart(frame)


def _told_apart(frame: pd.DataFrame) -> pd.DataFrame:
    """Arms that would share a name get their precision, or else their hash, added to it."""
    for column, mark in (("arithmetic", " "), ("arm", " #")):
        groups = frame.groupby(["name", "corpus"])
        shared = (groups["arm"].transform("nunique") > 1) & (
            groups[column].transform("nunique") > 1
        )
        frame["name"] = frame["name"].where(~shared, frame["name"] + mark + frame[column].str[:4])
    return frame


def aggregate(frame: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """One line per arm x corpus x type: runs, mean and sd (n-1) of each measure, and every F1 with its seed."""
    keys = [
        "name",
        "corpus",
        "type",
        "arm",
        "system",
        "encoder",
        "heads",
        "task",
        "trained_on",
        "epochs",
        "official",
    ]
    groups = frame[frame["split"] == split].sort_values("seed").groupby(keys, sort=True)
    table = groups.agg(
        runs=("f1", "size"),
        support=("support", "max"),
        **{f"{m}_mean": (m, "mean") for m in _MEASURES},
        **{f"{m}_sd": (m, "std") for m in _MEASURES},
    )
    table["values"] = groups["f1"].apply(list)
    table["seeds"] = groups["seed"].apply(list)
    return table.reset_index()


def only_corpora(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The table's lines of these corpora, or all of it for no names; raises WorkbookError for a name that it lacks."""
    for name in names:
        if name not in set(table["corpus"]):
            raise unknown("corpus on the board", name, set(table["corpus"]))
    return table[table["corpus"].isin(names)] if names else table


def anchors() -> pd.DataFrame:
    """Published figures to stand beside ours: corpus, type, system, f1 (between 0 and 1), source."""
    frame = pd.read_csv(Path(__file__).parent / "anchors.csv")
    frame["f1"] /= 100
    return frame


def named(arms: Mapping[str, Mapping[str, Sequence[Mapping]]]) -> pd.DataFrame:
    """`results` of arms under names of one's own, each on the corpora that it is given for; an arm is what `finals` returns."""
    parts = []
    for name, by_corpus in arms.items():
        rows = {row["run_id"]: row for rows in by_corpus.values() for row in rows}
        frame = results(rows.values()).assign(name=name)
        given = {(corpus, row["run_id"]) for corpus, rows in by_corpus.items() for row in rows}
        parts.append(
            frame[[pair in given for pair in zip(frame["corpus"], frame["run_id"], strict=True)]]
        )
    return pd.concat(parts, ignore_index=True)


def apart_by_corpus(frame: pd.DataFrame) -> pd.DataFrame:
    """Where one type is scored on several corpora, its name gets the corpus's, so that corpora are never averaged as if they were seeds.

    Views of one corpus share its test text and are one corpus here: a run that is scored on several keeps the first one's line.
    """
    base = frame["corpus"].str.split(":").str[0]
    frame = frame.assign(base=base).drop_duplicates(["name", "run_id", "split", "base", "type"])
    several = frame.groupby("type")["base"].transform("nunique") > 1
    frame["type"] = frame["type"].where(~several, frame["type"] + " on " + frame["base"])
    return frame.drop(columns="base")


def by_ratio(frame: pd.DataFrame) -> pd.DataFrame:
    """Arms called "mask 4:1", "mask per-type 4:1", "gold only", "gold only per-type" -> name without ratio, and `ratio`, 0 for gold only,
    which is repeated as the start of every arm with its heads.
    """
    told = frame["name"].str.extract(r"(?P<name>.*?)(?: (?P<ratio>[\d.]+):1)?$")
    frame = frame.assign(name=told["name"], ratio=told["ratio"].astype(float).fillna(0.0))
    gold, mixed = (
        frame[frame["name"].str.startswith("gold only") == which] for which in (True, False)
    )
    starts = [
        gold[gold["name"] == " ".join(["gold only", *name.split()[1:]])].assign(name=name)
        for name in mixed["name"].unique()
    ]
    return pd.concat([mixed, *starts], ignore_index=True)
