"""The page of a committed table: outputs/published/<table>/README.md, written by `publish`."""

from collections.abc import Mapping, Sequence
from math import isnan

import pandas as pd

from ..config_checks import as_tuple
from ..config_files import parse_yaml
from ..evaluation.calibration import error_of_bins
from ..evaluation.generalization import GROUPINGS
from ..runs.rows import precision_of
from .comparison import against_base, against_single, by_arm, compare_arms
from .leaderboard import FEW, board_table, board_text, markdown_table
from .measures import Measured, leak_free_f1, measured, recall_of_groups, score_bins
from .published_files import jobs_of, published_jobs, published_rows, sweep_file
from .tables import forgotten, last_phases

_LEFT = """**Not whole yet**, {left} of {all} jobs are still to be run:
`python -m bioner_lib sweep published/{table}`.

"""
_COMPUTED = (
    "Computed on {machines} in {precisions}, threads per run: {threads}. Hours of all runs: "
    "{hours:.1f}.\n\n"
)
_NOTE = """
Written by `python -m bioner_lib publish`; a test compares it with the rows.
"""
_DETECTABLE = """Detectable: the smallest true difference that four of five such experiments would
show; "no difference" rules out larger ones only.
"""
_AGAINST = f"""
## Against the dictionary

Points of F1 over all types, paired by document and seed.
{_DETECTABLE}
"""
_MULTI = f"""
## Together against alone

Arms that learn from several corpora or parts of them, minus arms that learn from one of these.
Equal epochs, batch size and learning rate; steps may differ. Points of F1 over all types, paired
by document and seed. The interval belongs to one comparison, p to all of them together.
{_DETECTABLE}
"""
_BASE = f"""
## Against *{{base}}*

Arms with the same training corpora, epochs, batch size and learning rate. Points of F1 over all
types, paired by document and seed.
{_DETECTABLE}
"""
_FORGOTTEN = """
## What a second phase forgets

Test F1 x 100 after the first phase and after the second, mean over runs.

"""
_KNOWN = """
## Known names, new names

Test recall (%), mean over runs; in brackets: mentions. Seen, or memorized: the name is in train.
Unseen: it isn't. With identifiers, an unseen name whose concept is in train is a synonym.

"""
_SCORES = """
## Scores and leaks

ECE: expected calibration error of the raw scores, all runs together. Leaked: test sentences of
eight words or more that train holds word for word; F1 with and without them.

"""


def page(table: str, folder: str = "") -> str:
    """The Markdown of a committed table, from its committed files alone.

    `folder` holds them, if it isn't called as the table is. Raises WorkbookError where its rows,
    counts or measures are missing, and for an x-base that is no arm of a whole table.
    """
    rows = published_rows(folder or table)
    text = sweep_file(table).read_text(encoding="utf-8")
    about = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    jobs = len(jobs_of(table))
    left = jobs - len(published_jobs(folder or table))
    found = measured(rows)
    scores = board_text(board_table(rows, with_intervals=True))
    head = f"# {table}\n\n" + "\n".join(about) + "\n\n"
    head += _LEFT.format(left=left, all=jobs, table=table) if left else ""
    head += _computed(rows)
    known = _KNOWN + _recall_table(found)
    bases = as_tuple("x-base", parse_yaml(text).get("x-base", []), "'hard'")
    body = scores + _NOTE + _comparisons(rows, bases, whole=not left) + _second_phases(rows)
    return head + body + known + _SCORES + _scores_table(found)


def _computed(rows: Sequence[Mapping]) -> str:
    """What trained a table's taggers, and for how long; "" where no row says it."""
    devices = [row["device"] for row in rows if precision_of(row) != "none" and "device" in row]
    if not devices:
        return ""
    said = {key: [] for key in ("name", "threads", "precision")}
    for key, values in said.items():
        values += sorted({str(device[key]) for device in devices})
    return _COMPUTED.format(
        machines=", ".join(said["name"]),
        threads=", ".join(said["threads"]),
        precisions=", ".join(said["precision"]),
        hours=sum(row["cost"].get("total_seconds", 0) for row in rows) / 3600,
    )


def _comparisons(rows: Sequence[Mapping], bases: Sequence[str], whole: bool) -> str:
    """Every arm minus the dictionary; at equal budgets, arms minus a base, multi minus single."""
    arms = by_arm(last_phases(rows))
    dictionary = arms.get("dictionary")
    trained = {name: own for name, own in arms.items() if name != "dictionary"}
    against = compare_arms(trained, dictionary) if dictionary else pd.DataFrame()
    parts = [(_AGAINST, against)]
    for base in bases:
        if base in arms or whole:  # in a part it may be still to be made
            parts.append((_BASE.format(base=base), against_base(arms, base)))
    parts.append((_MULTI, against_single(arms)))
    return "".join(head + _differences(frame) for head, frame in parts if len(frame))


def _differences(frame: pd.DataFrame) -> str:
    lines = []
    for one in frame.sort_values(["corpus", "arm"]).itertuples():
        low_high = f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
        numbers = [f"{100 * one.difference:+.1f}", low_high, f"{one.p_holm:.3f}"]
        runs = f"{one.seeds}{' (no claim)' if one.note else ''}"
        lines.append([one.corpus, one.arm, runs, *numbers, f"{100 * one.detectable:.1f}"])
    head = ["corpus", "system", "runs", "difference", "95 % interval", "p (Holm)", "detectable"]
    return markdown_table(head, lines)


def _second_phases(rows: Sequence[Mapping]) -> str:
    """What second phases cost the types of the first; "" where there is none."""
    found = forgotten(by_arm(rows))
    if not len(found):
        return ""
    lines = []
    for (corpus, type, name), own in found.groupby(["corpus", "type", "name"]):
        before, after, lost = (100 * own[key].mean() for key in ("before", "after", "forgotten"))
        cells = [f"{before:.1f}", f"{after:.1f}", f"{lost:+.1f}"]
        lines.append([corpus, type, name, str(len(own)), *cells])
    head = ["corpus", "type", "system", "runs", "before", "after", "forgotten"]
    return _FORGOTTEN + markdown_table(head, lines)


def _recall_table(found: Sequence[Measured]) -> str:
    table = recall_of_groups(found)
    groups = [group for group in GROUPINGS["familiarity"] if group in set(table["group"])]
    lines = []
    for key, own in table.groupby(["corpus", "type", "name"]):
        by_group = own.set_index("group")
        cells = []
        for group in groups:
            if group not in by_group.index:
                cells.append("")
                continue
            one = by_group.loc[group]
            recall = f"{100 * one['recall']:.1f}" if one["mentions"] >= FEW else "N/A"
            cells.append(f"{recall} ({one['mentions']:,})")
        lines.append([*key, *cells])
    return markdown_table(["corpus", "type", "system", *groups], lines)


def _scores_table(found: Sequence[Measured]) -> str:
    bins = score_bins(found)
    lines = []
    for one in leak_free_f1(found).sort_values(["corpus", "name"]).itertuples():
        error = error_of_bins(bins[one.name, one.corpus])
        error = "N/A" if isnan(error) else f"{error:.2f}"
        both = [f"{100 * f1:.1f}" for f1 in (one.official, one.leak_free)]
        lines.append([one.corpus, one.name, error, str(one.leaked), *both])
    return markdown_table(["corpus", "system", "ECE", "leaked", "F1", "F1 without"], lines)
