"""Rows -> tables: who leads, by how much, over how many seeds.

An *arm* is a configuration without its seed; runs of one arm are repetitions.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..corpora.corpus import AVERAGES
from ..home import outputs as outputs_folder
from ..home import replace_text
from .comparison import equal_budgets
from .results import aggregate, apart_by_corpus, results

FEW = 10  # with fewer gold spans a type's F1 is noise
ENOUGH = 3  # seeds for a claim


def markdown(table: pd.DataFrame) -> str:
    """F1 x 100 as mean ± sd, arms down, corpora and types across; N/A where the gold has fewer than ten spans."""
    shown = table[table["type"] != "macro"]
    # where a corpus has one type its micro figure says the same again
    single = shown.groupby("corpus")["type"].transform("nunique") == 2
    shown = shown[~(single & (shown["type"] == "micro"))].copy()
    shown["cell"] = [_cell(line) for line in shown.itertuples()]
    wide = shown.pivot_table(
        index="name", columns=["corpus", "type"], values="cell", aggfunc="first", fill_value=""
    )
    runs = {
        name: "-".join(map(str, sorted({min(n), max(n)})))
        for name, n in shown.groupby("name")["runs"]
    }
    head = ["system", "runs", *(f"{corpus} {name}" for corpus, name in wide.columns)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    order = (
        shown[shown["type"] != "micro"]
        .groupby("name")["f1_mean"]
        .mean()
        .sort_values(ascending=False)
        .index
    )
    lines += ["| " + " | ".join([name, runs[name], *wide.loc[name]]) + " |" for name in order]
    return "\n".join(lines) + "\n"


def _cell(line) -> str:
    if line.support < FEW:
        return "N/A"
    spread = f" ± {100 * line.f1_sd:.1f}" if line.runs > 1 else ""
    return f"{100 * line.f1_mean:.1f}{spread}{'' if line.official else ' *'}"


def write_leaderboard(rows: Iterable[Mapping], outputs: str | Path | None = None) -> pd.DataFrame:
    """Write leaderboard.csv, .json (all raw values) and .md to the outputs folder; returns the table."""
    frame = results(rows)
    table, folder = aggregate(frame), outputs_folder(outputs, write=True)
    replace_text(
        folder / "leaderboard.csv", table.drop(columns=["values", "seeds"]).to_csv(index=False)
    )
    records = {
        key: json.loads(part.to_json(orient="records", double_precision=15))
        for key, part in (("aggregated", table), ("runs", frame))
    }
    replace_text(folder / "leaderboard.json", json.dumps(records, indent=1))
    replace_text(folder / "leaderboard.md", board_text(table))
    return table


def board_text(table: pd.DataFrame) -> str:
    """The board as Markdown with its notes."""
    note = f"\nStrict span F1 x 100 on test, mean ± sd over runs (n-1). N/A: fewer than {FEW} gold spans.\n"
    if not table["official"].all():
        note += (
            "\n\\* on a limited split, a corpus of your own, or one whose test split isn't scored whole: "
            "not comparable with published figures.\n"
        )
    return markdown(table) + note


def leaders(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Per corpus, type and budget the arm with the best mean test F1: corpus, type, official, name, f1, sd, seeds, rivals, epochs.

    An arm takes part with ENOUGH seeds or, without a neural network, with one run, and with an F1 above 0; it needs a rival of equal
    budget. Corpora and types without such a pair have no line.
    """
    rows = list(rows)
    by_id = {row["run_id"]: row for row in rows}
    frame = results(rows)
    frame = frame[
        (frame["split"] == "test") & ~frame["type"].isin(AVERAGES) & (frame["support"] >= FEW)
    ]
    lines = []
    for (corpus, kind, official), part in frame.groupby(["corpus", "type", "official"]):
        arms = {
            name: group
            for name, group in part.groupby("name")
            if group["f1"].mean() > 0 and _takes_part(group)
        }
        ranked = sorted(arms, key=lambda name: -arms[name]["f1"].mean())
        while ranked:
            best, *others = ranked
            mine = [by_id[run_id] for run_id in arms[best]["run_id"]]
            rivals = [
                name
                for name in others
                if equal_budgets([*mine, *(by_id[run_id] for run_id in arms[name]["run_id"])])
            ]
            ranked = [name for name in others if name not in rivals]
            if rivals:
                f1, seeds = arms[best]["f1"], arms[best]["seed"].nunique()
                trained = [
                    arms[name] for name in (best, *rivals) if "tagger" in set(arms[name]["system"])
                ]
                epochs = max((group["epochs"].max() for group in trained), default=0)
                lines.append(
                    [corpus, kind, official, best, f1.mean(), f1.std(), seeds, len(rivals), epochs]
                )
    return pd.DataFrame(
        lines,
        columns=["corpus", "type", "official", "name", "f1", "sd", "seeds", "rivals", "epochs"],
    )


def _takes_part(group: pd.DataFrame) -> bool:
    return group["seed"].nunique() >= ENOUGH or "tagger" not in set(group["system"])


def by_type(frame: pd.DataFrame, types: Sequence[str]) -> str:
    """Markdown of `results` or `named`: arms down, test F1 and recall x 100 of each type across, mean ± sd over seeds."""
    tests = apart_by_corpus(frame[(frame["split"] == "test") & frame["type"].isin(types)])
    types = sorted(
        tests["type"].unique(), key=lambda name: (list(types).index(name.split(" on ")[0]), name)
    )
    lines = [
        "| "
        + " | ".join(
            [
                "arm",
                "runs",
                *(f"{name} {measure}" for measure in ("F1", "recall") for name in types),
            ]
        )
        + " |",
        "|" + "---|" * (2 + 2 * len(types)),
    ]
    order = (
        tests.groupby("name")
        .agg(types=("type", "nunique"), f1=("f1", "mean"))
        .sort_values(["types", "f1"], ascending=False)
    )
    for name_ in order.index:
        part = tests[tests["name"] == name_]
        cells = [str(part["run_id"].nunique())]
        for measure in ("f1", "recall"):
            for name in types:
                values = 100 * part.loc[part["type"] == name, measure]
                spread = f" ± {values.std():.1f}" if len(values) > 1 else ""
                cells.append(f"{values.mean():.1f}{spread}" if len(values) else "")
        lines.append(f"| {name_} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
