"""What F1 costs: time, memory, energy and parameters of runs, and which systems are worth it.

A system answers for a set of corpora: one multi-task tagger, or one single-task tagger per corpus.
The costs of the taggers of one system are added.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from ..runs.rows import arm_of, config_of, inputs_of, precision_of
from .arm_names import arm_name
from .tables import parts_of, results, told_apart

_GIB = 2**30
_TASK = re.compile(r" (multi|single)-task( \([^)]*\))?")
_COLUMNS = ["training seconds", "pieces per second", "peak memory (GiB)", "joules", "parameters"]


def cost_table(rows: Iterable[Mapping]) -> pd.DataFrame:
    """One line per arm and set of training corpora (or parts): its cost, mean over seeds.

    Seconds and joules include those of the runs that a run builds on (an earlier phase, a teacher);
    they are NaN where such a run isn't among the rows.

    Columns: name, trained_on, runs, device (name, threads, precision: only lines with one device
    can be compared), training seconds, pieces per second, peak memory (GiB; on a CPU that of the
    whole process), joules (NaN where the machine doesn't tell), parameters (NaN in old rows), F1
    (mean over test corpora that it was trained on, micro average, 0 to 1). Systems without training
    are left out.
    """
    rows = list(rows)
    by_id = {row["run_id"]: row for row in rows}
    lines = [_cost(row, by_id) for row in rows if row["config"]["system"] == "tagger"]
    about = ["name", "trained_on", "arithmetic", "arm", "inputs", "device"]
    frame = pd.DataFrame(lines, columns=[*about, *_COLUMNS, "F1"])
    frame = told_apart(frame, ["name", "trained_on", "device"])
    groups = frame.groupby(["name", "trained_on", "device"], sort=False)
    table = groups[[*_COLUMNS, "F1"]].mean()
    table.insert(0, "runs", groups.size())
    return table.reset_index()


def _spent(row: Mapping, what: str, by_id: Mapping[str, Mapping]) -> float:
    """`seconds` or `joules` of a run and of all that it builds on, each run once."""
    spent, seen, waiting = 0.0, {row["run_id"]}, [row]
    while waiting:
        one = waiting.pop()
        value = None if one is None else one["cost"].get(what)
        if value is None:
            return np.nan
        spent += value
        earlier = {parent["run_id"] for parent in one.get("parents", {}).values()} - seen
        seen |= earlier
        waiting += map(by_id.get, earlier)
    return spent


def _cost(row: Mapping, by_id: Mapping[str, Mapping]) -> dict:
    cost, device = row["cost"], row["device"]
    frame = results([row])
    own = [corpus for corpus, splits in row["scores"].items() if "dev" in splits]
    parts = parts_of(row)
    is_test = (frame["split"] == "test") & (frame["type"] == "micro") & frame["corpus"].isin(own)
    config = config_of(row)
    # a single-task tagger's name without its corpus, whatever part of it was trained on
    name = arm_name(config, config.corpora[0], row.get("parents", {}))
    return {
        "name": row.get("name") or name,
        "trained_on": " + ".join(sorted(parts.get(corpus, corpus) for corpus in own)),
        "arithmetic": precision_of(row),
        "arm": arm_of(row),
        "inputs": inputs_of(row),
        "device": f"{device['name']}, {device['threads']} threads, {device['precision']}",
        "training seconds": _spent(row, "seconds", by_id),
        "pieces per second": cost.get("pieces_per_second", np.nan),
        "peak memory (GiB)": cost["peak_memory_bytes"] / _GIB,
        "joules": _spent(row, "joules", by_id),
        "parameters": sum(row["parameters"].values()) if "parameters" in row else np.nan,
        "F1": frame.loc[is_test, "f1"].mean(),
    }


def systems(table: pd.DataFrame) -> pd.DataFrame:
    """`cost_table` -> what answers for the corpora of each multi-task tagger: it, or N taggers.

    Columns: corpora, device, name, taggers, training seconds, joules, parameters, F1. Single-task
    taggers form a system where one arm has a tagger for every corpus, on the same device.
    """
    lines = []
    together = table[table["trained_on"].str.contains(" + ", regex=False)]
    alone = table[~table["trained_on"].str.contains(" + ", regex=False)]
    for (trained_on, device), arms in together.groupby(["trained_on", "device"], sort=False):
        corpora = trained_on.split(" + ")
        for _, arm in arms.iterrows():
            lines.append(_system(trained_on, device, f"1 tagger: {arm['name']}", [arm]))
        rivals = alone[(alone["device"] == device) & alone["trained_on"].isin(corpora)]
        for name, parts in rivals.groupby("name", sort=False):
            if set(parts["trained_on"]) == set(corpora):
                members = [part for _, part in parts.iterrows()]
                lines.append(
                    _system(trained_on, device, f"{len(corpora)} taggers: {name}", members)
                )
    columns = ["corpora", "device", "name", "taggers", "training seconds", "joules", "parameters"]
    return pd.DataFrame(lines, columns=[*columns, "F1"])


def _system(corpora: str, device: str, name: str, members: Sequence[pd.Series]) -> dict:
    short = re.sub(r":,? +", ": ", _TASK.sub("", name))  # the line itself says the corpora
    line = {"corpora": corpora, "device": device, "name": short, "taggers": len(members)}
    for column in ("training seconds", "joules", "parameters"):
        line[column] = sum(member[column] for member in members)
    return line | {"F1": float(np.mean([member["F1"] for member in members]))}


def on_front(cost: Sequence[float], f1: Sequence[float]) -> list[bool]:
    """Whether no other system is at least as good in both, and better in one (Pareto front)."""
    points = list(zip(cost, f1, strict=True))

    def is_beaten(c: float, f: float) -> bool:
        return any(a <= c and b >= f and (a, b) != (c, f) for a, b in points)

    return [not is_beaten(c, f) for c, f in points]
