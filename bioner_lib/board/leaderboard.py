"""Who leads: tables as Markdown, CSV and JSON."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from ..corpora.corpus import AVERAGES
from ..home import outputs, replace_text
from ..runs.rows import phases
from .budgets import equal_budgets
from .comparison import ENOUGH, intervals_of
from .published_files import has_counts
from .tables import MEASURES, aggregate, results

FEW = 10  # with fewer gold spans a type's F1 is noise
_ACCURACY = "token accuracy †"
_INTERVAL_NOTE = """
Each interval covers two kinds of chance: which documents (sentences, where a corpus names none) are
in the test split, and which seeds were run. With one seed it covers the first only.
"""
_ACCURACY_NOTE = """
† share of words with the right tag, O included; it is high for any tagger and decides nothing here.
"""


def markdown(table: pd.DataFrame) -> str:
    """A line per corpus, type and system, the best F1 first: x 100, as mean ± sd.

    `table` is `board_table`'s, with or without intervals. N/A where the gold has fewer than ten
    spans. The last column, marked †, is the token accuracy on the corpus, which is no F1
    (`board_text` says so below the table).
    """
    shown = _without_repeated_micro(table)
    shown = shown.assign(known=shown["support"] >= FEW)
    head = ["corpus", "type", "system", "runs", *MEASURES[:-1], "F1"]
    has_ranges, has_accuracy = "low" in shown, shown["token_accuracy_mean"].notna().any()
    if has_ranges:
        head.append("95 % interval")
    if has_accuracy:
        head.append(_ACCURACY)
    order = {"by": ["corpus", "type", "known", "f1_mean"], "ascending": [True, True, False, False]}
    lines = []
    for _, line in shown.sort_values(**order, kind="stable").iterrows():
        cells = [line["corpus"], line["type"], line["name"], str(line["runs"])]
        cells += [_cell(line, measure) if line["known"] else "N/A" for measure in MEASURES]
        cells[-1] += "" if line["official"] or not line["known"] else " *"
        if has_ranges:
            is_known = line["known"] and not pd.isna(line["low"])
            cells.append(f"{100 * line['low']:.1f} to {100 * line['high']:.1f}" if is_known else "")
        if has_accuracy:
            cells.append(_cell(line, "token_accuracy"))
        lines.append(cells)
    return markdown_table(head, lines)


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


def _cell(line: pd.Series, measure: str) -> str:
    mean, sd = line[f"{measure}_mean"], line[f"{measure}_sd"]
    if pd.isna(mean):
        return ""
    return f"{100 * mean:.1f} ± {100 * sd:.1f}" if line["runs"] > 1 else f"{100 * mean:.1f}"


def board_table(rows: Iterable[Mapping], with_intervals: bool = False) -> pd.DataFrame:
    """`aggregate`'s table of these rows.

    With intervals it has columns low and high, the 95 % interval of each F1 (0 to 1; see
    `comparison.intervals`). `macro`, `micro` of a single type, and arms of which a run's
    predictions were deleted have none.
    """
    rows = list(rows)
    frame, key = results(rows), ["name", "corpus", "type"]
    table = aggregate(frame)
    if not with_intervals:
        return table
    counted = {row["run_id"]: row for row in rows if has_counts(row)}
    if not counted:
        return table.assign(low=None, high=None)
    lacks = ~frame["run_id"].isin(counted)
    is_whole = ~lacks.groupby([frame["name"], frame["corpus"]]).transform("any")
    found = intervals_of(frame[is_whole], counted)
    return table.merge(found[[*key, "low", "high"]], how="left", on=key)


def write_leaderboard(table: pd.DataFrame, rows: Iterable[Mapping]) -> None:
    """Write `board_table`'s table of these rows to outputs.

    leaderboard.csv and .md hold the table, .json also the raw values of each run.
    """
    frame, folder = results(rows), outputs(write=True)
    csv = table.drop(columns=["values", "seeds"]).to_csv(index=False)
    records = {}
    for key, part in (("aggregated", table), ("runs", frame)):
        records[key] = json.loads(part.to_json(orient="records", double_precision=15))
    replace_text(folder / "leaderboard.csv", csv)
    replace_text(folder / "leaderboard.json", json.dumps(records, indent=1))
    replace_text(folder / "leaderboard.md", board_text(table))


def board_text(table: pd.DataFrame) -> str:
    """The board as Markdown, with its notes."""
    note = (
        f"\nStrict span F1 x 100 on test, mean ± sd over runs (n-1). N/A: fewer than {FEW} gold "
        "spans.\n"
    )
    few = table[(table["system"] == "tagger") & (table["runs"] < ENOUGH)]
    if len(few):
        note += (
            f"\n**No claim**: {few['name'].nunique()} of {table['name'].nunique()} systems have "
            f"fewer than {ENOUGH} runs (column runs).\n"
        )
    if table["token_accuracy_mean"].notna().any():
        note += _ACCURACY_NOTE
    if not table["official"].all():
        note += (
            "\n\\* trained on a part, or tested on a limited split, on a corpus of your own, or on "
            "one whose test split isn't scored whole: not comparable with published figures.\n"
        )
    if "low" in table:
        note += _INTERVAL_NOTE
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
                        "epochs": _epochs(
                            by_id[run_id]
                            for name in (best, *rivals)
                            for run_id in arms[name]["run_id"]
                        ),
                    }
                )
    columns = ["corpus", "type", "official", "name", "f1", "sd", "seeds", "rivals", "epochs"]
    return pd.DataFrame(lines, columns=columns)


def _takes_part(group: pd.DataFrame) -> bool:
    has_seeds = group["seed"].nunique() >= ENOUGH or set(group["system"]) == {"dictionary"}
    return has_seeds and group["f1"].mean() > 0


def _epochs(rows: Iterable[Mapping]) -> int:
    """The most epochs of a run, all phases together; 0 where none is trained."""
    chains = [phases(row) for row in rows if row["config"]["system"] == "tagger"]
    return max((sum(config["epochs"] for config in chain) for chain in chains), default=0)
