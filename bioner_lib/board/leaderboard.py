"""Who leads: tables as Markdown, CSV and JSON."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from ..corpora.corpus import AVERAGES
from ..home import outputs, replace_text
from .comparison import ENOUGH, equal_budgets, intervals
from .tables import MEASURES, aggregate, apart_by_corpus, results

FEW = 10  # with fewer gold spans a type's F1 is noise
ACCURACY = "token accuracy †"


def markdown(table: pd.DataFrame) -> str:
    """F1 x 100 as mean ± sd; arms are the rows, corpora and types the columns.

    N/A where the gold has fewer than ten spans. The last column of a corpus, marked †, is the token
    accuracy, which is no F1 (`board_text` says so below the table).
    """
    shown = _without_repeated_micro(table).copy()
    shown["cell"] = [_cell(line) for line in shown.itertuples()]
    wide = shown.pivot_table(
        index="name", columns=["corpus", "type"], values="cell", aggfunc="first", fill_value=""
    )
    columns = {column: wide[column] for column in wide.columns}
    for corpus, part in shown[shown["token_accuracy_mean"].notna()].groupby("corpus"):
        by_name = part.drop_duplicates("name").set_index("name")
        columns[corpus, ACCURACY] = by_name.apply(_accuracy_cell, axis=1)
    heads = sorted(columns, key=lambda column: column[0])  # stable: the accuracy stays last
    runs = {}
    for name, numbers in shown.groupby("name")["runs"]:
        runs[name] = "-".join(map(str, sorted({min(numbers), max(numbers)})))
    of_types = shown[shown["type"] != "micro"]
    order = of_types.groupby("name")["f1_mean"].mean().sort_values(ascending=False).index
    lines = []
    for name in order:
        lines.append([name, runs[name], *(columns[head].get(name, "") for head in heads)])
    return markdown_table(["system", "runs", *map(" ".join, heads)], lines)


def _without_repeated_micro(table: pd.DataFrame) -> pd.DataFrame:
    """Without `macro`, and without `micro` where it repeats the figure of the only type."""
    shown = table[table["type"] != "macro"]
    single = shown.groupby("corpus")["type"].transform("nunique") == 2
    return shown[~(single & (shown["type"] == "micro"))]


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Cells -> a Markdown table."""
    rows = [head, *lines]
    text = ["| " + " | ".join(map(_safe, cells)) + " |" for cells in rows]
    text.insert(1, "|" + "---|" * len(head))
    return "\n".join(text) + "\n"


def _safe(cell: str) -> str:
    """A cell's text: a name that comes from a corpus's file is shown, and nothing in it is run."""
    return html.escape(cell, quote=False).replace("|", "&#124;")


def _cell(line) -> str:
    if line.support < FEW:
        return "N/A"
    shown = _with_sd(line.f1_mean, line.f1_sd, line.runs)
    return f"{shown}{'' if line.official else ' *'}"


def _accuracy_cell(line: pd.Series) -> str:
    return _with_sd(line["token_accuracy_mean"], line["token_accuracy_sd"], line["runs"])


def _with_sd(mean: float, sd: float, runs: int) -> str:
    return f"{100 * mean:.1f} ± {100 * sd:.1f}" if runs > 1 else f"{100 * mean:.1f}"


def write_leaderboard(rows: Iterable[Mapping], with_intervals: bool = False) -> pd.DataFrame:
    """Write leaderboard.csv, .json (with all raw values) and .md to outputs; returns the table.

    With intervals the table has columns low and high (0 to 1), see `comparison.intervals`.
    """
    rows = list(rows)
    frame = results(rows)
    table, folder = aggregate(frame), outputs(write=True)
    if with_intervals:
        table = with_ranges(table, rows)
    csv = table.drop(columns=["values", "seeds"]).to_csv(index=False)
    records = {}
    for key, part in (("aggregated", table), ("runs", frame)):
        records[key] = json.loads(part.to_json(orient="records", double_precision=15))
    replace_text(folder / "leaderboard.csv", csv)
    replace_text(folder / "leaderboard.json", json.dumps(records, indent=1))
    replace_text(folder / "leaderboard.md", board_text(table))
    return table


def with_ranges(table: pd.DataFrame, rows: Iterable[Mapping]) -> pd.DataFrame:
    """`aggregate`'s table of these rows with the 95 % interval of each F1: columns low, high.

    `macro`, and `micro` of a single type, have none.
    """
    ranges = intervals(rows)[["name", "corpus", "type", "low", "high"]]
    return table.merge(ranges, how="left", on=["name", "corpus", "type"])


def board_text(table: pd.DataFrame) -> str:
    """The board as Markdown, with its notes; with low and high also a line per system and type."""
    note = (
        f"\nStrict span F1 x 100 on test, mean ± sd over runs (n-1). N/A: fewer than {FEW} gold "
        "spans. Precision and recall stand in leaderboard.csv and .json.\n"
    )
    few = table[(table["system"] == "tagger") & (table["runs"] < ENOUGH)]
    if len(few):
        note += (
            f"\n**No claim**: {few['name'].nunique()} of {table['name'].nunique()} systems have "
            f"fewer than {ENOUGH} runs (column runs).\n"
        )
    if table["token_accuracy_mean"].notna().any():
        note += (
            "\n† share of words with the right tag, O included; it is high for any tagger and "
            "decides nothing here.\n"
        )
    if not table["official"].all():
        note += (
            "\n\\* on a limited split, a corpus of your own, or one whose test split isn't scored "
            "whole: not comparable with published figures.\n"
        )
    if "low" in table:
        note += f"\nIntervals hold documents and seeds.\n\n{by_corpus(table)}"
    return markdown(table) + note


def leaders(rows: Iterable[Mapping]) -> pd.DataFrame:
    """The arm with the best mean test F1, per corpus, type and budget.

    Columns: corpus, type, official, name, f1, sd, seeds, rivals, epochs. An arm takes part if it
    has three seeds (a system without a neural network: one run) and an F1 above 0. Corpora and
    types where it has no rival of equal budget, tested on as many mentions, have no line.
    """
    rows = list(rows)
    by_id = {row["run_id"]: row for row in rows}
    frame = results(rows)
    is_scored = (frame["split"] == "test") & (frame["support"] >= FEW)
    frame = frame[is_scored & ~frame["type"].isin(AVERAGES)]

    def of_equal_budget(group: pd.DataFrame, other: pd.DataFrame) -> bool:
        if {*group["support"]} != {*other["support"]}:  # tested on different gold
            return False
        return equal_budgets([by_id[run_id] for run_id in [*group["run_id"], *other["run_id"]]])

    lines = []
    for (corpus, type, official), part in frame.groupby(["corpus", "type", "official"]):
        arms = {name: group for name, group in part.groupby("name") if _takes_part(group)}
        ranked = sorted(arms, key=lambda name: -arms[name]["f1"].mean())
        while ranked:
            best, *others = ranked
            rivals = [name for name in others if of_equal_budget(arms[best], arms[name])]
            ranked = [name for name in others if name not in rivals]
            if rivals:
                group = arms[best]
                lines.append(
                    {
                        "corpus": corpus,
                        "type": type,
                        "official": official,
                        "name": best,
                        "f1": group["f1"].mean(),
                        "sd": group["f1"].std(),
                        "seeds": group["seed"].nunique(),
                        "rivals": len(rivals),
                        "epochs": _epochs([arms[name] for name in (best, *rivals)]),
                    }
                )
    columns = ["corpus", "type", "official", "name", "f1", "sd", "seeds", "rivals", "epochs"]
    return pd.DataFrame(lines, columns=columns)


def _takes_part(group: pd.DataFrame) -> bool:
    has_seeds = group["seed"].nunique() >= ENOUGH or "tagger" not in set(group["system"])
    return has_seeds and group["f1"].mean() > 0


def _epochs(arms: Sequence[pd.DataFrame]) -> int:
    """The budget of arms; 0 where none of them is trained."""
    trained = [group["epochs"].max() for group in arms if "tagger" in set(group["system"])]
    return max(trained, default=0)


def by_corpus(table: pd.DataFrame) -> str:
    """Markdown with a line per corpus, type and system: precision, recall, F1 x 100, mean ± sd.

    `table` is `aggregate`'s; of `with_ranges` it also shows the 95 % interval of F1.
    """
    shown = _without_repeated_micro(table)
    head = ["corpus", "type", "system", "runs", "precision", "recall", "F1"]
    has_ranges = "low" in shown
    if has_ranges:
        head.append("95 % interval")
    lines = []
    order = {"tagger": 0, "dictionary": 1}
    shown = shown.assign(order=shown["system"].map(order))
    for line in shown.sort_values(["corpus", "type", "order", "name"]).itertuples():
        cells = [line.corpus, line.type, line.name, str(line.runs)]
        for measure in MEASURES:
            mean, sd = getattr(line, f"{measure}_mean"), getattr(line, f"{measure}_sd")
            cells.append(_with_sd(mean, sd, line.runs) if line.support >= FEW else "N/A")
        if has_ranges:
            is_known = line.support >= FEW and not pd.isna(line.low)
            cells.append(f"{100 * line.low:.1f} to {100 * line.high:.1f}" if is_known else "")
        lines.append(cells)
    return markdown_table(head, lines)


def by_type(frame: pd.DataFrame, types: Sequence[str]) -> str:
    """Markdown of `results` or `named`: test F1 and recall x 100 per arm and type.

    Mean ± sd over seeds.
    """
    types = list(types)
    tests = apart_by_corpus(frame[(frame["split"] == "test") & frame["type"].isin(types)])
    columns = sorted(
        tests["type"].unique(), key=lambda name: (types.index(name.split(" on ")[0]), name)
    )
    head = ["arm", "runs"]
    head += [f"{type} {measure}" for measure in ("F1", "recall") for type in columns]
    order = tests.groupby("name").agg(types=("type", "nunique"), f1=("f1", "mean"))
    lines = []
    for name in order.sort_values(["types", "f1"], ascending=False).index:
        part = tests[tests["name"] == name]
        cells = [name, str(part["run_id"].nunique())]
        for measure in ("f1", "recall"):
            for type in columns:
                cells.append(_mean_and_sd(part.loc[part["type"] == type, measure]))
        lines.append(cells)
    return markdown_table(head, lines)


def _mean_and_sd(values: pd.Series) -> str:
    if not len(values):
        return ""
    return _with_sd(values.mean(), values.std(), len(values))
