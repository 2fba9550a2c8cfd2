"""Which arms may be compared, and whether a difference is more than luck."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import permutations
from statistics import mean

import numpy as np
import pandas as pd

from ..config import RunConfig, is_released
from ..errors import WorkbookError, delete_run, unknown
from ..evaluation.statistics import f1_interval, holm, paired_difference, smallest_difference
from ..home import runs_folder
from ..runs.rows import (
    arm,
    arm_of,
    earlier_runs,
    inputs_of,
    is_readable,
    parents_of,
    phases,
    precision_of,
    read_row,
    read_rows,
)
from .arm_names import short_names
from .budgets import check_budgets, equal_budgets
from .published_files import asked_of, counts_of
from .tables import by_run, results

Rows = Sequence[Mapping]
ByCorpus = Mapping[str, Rows]  # corpus -> one row per seed
_MEASURED = ("corpus", "seeds", "documents", "difference", "low", "high", "p", "detectable")
_COLUMNS = (*_MEASURED, "p_holm", "note")
ENOUGH = 3  # seeds for a claim
# test documents for a claim: of simulated systems that don't differ, the test at 0.05 tells 16 %
# apart on 3 documents, 9 % on 8, and 4 % on 15
ENOUGH_DOCUMENTS = 15


def compare(a: ByCorpus, b: ByCorpus, resamples: int = 2_000) -> pd.DataFrame:
    """Test F1 of a minus b per corpus, with its 95 % interval and Holm-corrected p.

    `detectable`: the smallest true difference that these runs would mostly show (power 80 %), see
    `statistics.smallest_difference`.

    The seeds that both arms have are used; a system without seeds, such as the dictionary, stands
    against each seed of the other arm. Documents (sentences, where a corpus has no documents) and
    seeds count as luck: see `statistics.paired_difference`. Rows of `published_rows` need no
    predictions where their table has committed counts.

    Raises WorkbookError where budgets or asked types differ, and where no seed is shared.
    """
    lines = []
    for corpus in sorted(set(a) & set(b)):
        check_budgets([*a[corpus], *b[corpus]])
        pairs = _for_each_seed(*(_by_seed(side[corpus], corpus) for side in (a, b)))
        seeds = sorted(set(pairs[0]) & set(pairs[1]))
        if not seeds:
            raise WorkbookError(
                f"{corpus}: seeds {sorted(pairs[0])} against {sorted(pairs[1])}; paired runs need "
                "a seed in common: make them first"
            )
        tables = _counts_of_pairs(pairs, seeds, corpus)
        line = paired_difference(*tables, resamples=resamples)
        line["detectable"] = smallest_difference(*tables, resamples=resamples)
        about = {"corpus": corpus, "seeds": len(seeds), "documents": tables[0].shape[1]}
        lines.append(about | line)
    return _corrected(pd.DataFrame(lines, columns=_MEASURED))


def _by_seed(rows: Rows, corpus: str) -> dict[int, Mapping]:
    """seed -> row; raises WorkbookError for two rows with one seed."""
    by_seed = {row["config"]["seed"]: row for row in rows}
    if len(by_seed) < len(rows):
        run_ids = sorted(row["run_id"] for row in rows)
        raise WorkbookError(f"{corpus}: two runs of one arm have one seed: {run_ids}")
    return by_seed


def _for_each_seed(
    one: dict[int, Mapping], other: dict[int, Mapping]
) -> tuple[dict[int, Mapping], dict[int, Mapping]]:
    """Two {seed: row}; a system without seeds repeats its row for the seeds of the other side."""

    def repeated(side: dict[int, Mapping], seeds: Iterable[int]) -> dict[int, Mapping]:
        return dict.fromkeys(seeds, *side.values()) if _is_seedless(side) else side

    if _is_seedless(one) and _is_seedless(other):
        return repeated(one, [0]), repeated(other, [0])
    return repeated(one, other), repeated(other, one)


def _is_seedless(side: dict[int, Mapping]) -> bool:
    """Whether this is the one row of a dictionary or an ensemble."""
    return len(side) == 1 and next(iter(side.values()))["config"]["system"] != "tagger"


def _counts_of_pairs(
    pairs: Sequence[Mapping[int, Mapping]], seeds: Sequence[int], corpus: str
) -> list[np.ndarray]:
    """tp, fp, fn per seed and document of both sides.  two (S D 3)"""
    asked = {tuple(asked_of(by_seed[seed], corpus)) for by_seed in pairs for seed in seeds}
    if len(asked) > 1:
        raise WorkbookError(
            f"{corpus}: these runs were asked for different types, {sorted(asked)}; they can't be "
            "compared there"
        )
    types = asked.pop()
    sides = [[counts_of(by_seed[seed], corpus) for seed in seeds] for by_seed in pairs]
    if len({counts.documents for side in sides for counts in side}) > 1:
        raise WorkbookError(
            f"{corpus}: these runs were tested on different text; they can't be compared there"
        )
    return [np.stack([counts.of(types) for counts in side]) for side in sides]


def _corrected(frame: pd.DataFrame) -> pd.DataFrame:
    """With Holm's p, and a note beside what too few seeds or documents stand behind."""
    notes = []
    for line in frame.itertuples():
        few = [f"{ENOUGH} seeds"] if line.seeds < ENOUGH else []
        few += [f"{ENOUGH_DOCUMENTS} documents"] if line.documents < ENOUGH_DOCUMENTS else []
        notes.append(f"fewer than {' and '.join(few)}: no claim" if few else "")
    return frame.assign(p_holm=holm(frame["p"].tolist()), note=notes)


def claims(frame: pd.DataFrame) -> pd.Series:
    """Which lines of `compare` are a claim: Holm's p < 0.05, with enough seeds and documents."""
    return (frame["p_holm"] < 0.05) & (frame["note"] == "")


def by_arm(rows: Iterable[Mapping]) -> dict[str, dict[str, list[Mapping]]]:
    """Arm's name on the board -> test corpus -> rows, one per seed: what `compare` takes.

    For committed rows; `finals` finds those of runs on this machine.

    Raises WorkbookError for two rows of one run.
    """
    by_id = by_run(rows)
    frame = results(by_id.values())
    tests = frame[frame["split"] == "test"].drop_duplicates(["name", "corpus", "run_id"])
    arms: dict[str, dict[str, list[Mapping]]] = {}
    for line in tests.itertuples():
        arms.setdefault(line.name, {}).setdefault(line.corpus, []).append(by_id[line.run_id])
    return arms


def intervals(rows: Iterable[Mapping], resamples: int = 1_000) -> pd.DataFrame:
    """Test F1 per arm, corpus and type with its 95 % interval: what `plots.f1_dots` draws.

    Columns: name, corpus, type (`micro` where there are several types), official, seeds, f1, low,
    high (0 to 1). Documents and seeds count as luck: see `statistics.f1_interval`.

    Raises WorkbookError for rows without predictions or committed counts, two rows of one run, and
    runs of one arm that were tested on different documents.
    """
    rows = by_run(rows)
    return intervals_of(results(rows.values()), rows, resamples)


def intervals_of(
    frame: pd.DataFrame, rows: Mapping[str, Mapping], resamples: int = 1_000
) -> pd.DataFrame:
    """`intervals` of the runs in a table of `results`; `rows`: run id -> row."""
    tests = frame[(frame["split"] == "test") & (frame["type"] != "macro")]
    lines = []
    for (name, corpus), part in tests.groupby(["name", "corpus"]):
        counts = [counts_of(rows[run_id], corpus) for run_id in dict.fromkeys(part["run_id"])]
        if len({one.documents for one in counts}) > 1:
            raise WorkbookError(f"{corpus}: the runs of {name} were tested on different text")
        types = [type for type in dict.fromkeys(part["type"]) if type != "micro"]
        micro = {"micro": types} if len(types) > 1 and "micro" in set(part["type"]) else {}
        for type, counted in ({type: [type] for type in types} | micro).items():
            found = f1_interval(np.stack([one.of(counted) for one in counts]), resamples)
            about = {"name": name, "corpus": corpus, "type": type, "seeds": len(counts)}
            lines.append(about | {"official": part["official"].all(), **found})
    columns = ["name", "corpus", "type", "seeds", "official", "f1", "low", "high"]
    return pd.DataFrame(lines, columns=columns)


def compare_arms(arms: Mapping[str, ByCorpus], base: ByCorpus) -> pd.DataFrame:
    """`compare` of each arm with one base: a line per arm and corpus, corrected together."""
    return _together({name: compare(rows, base) for name, rows in arms.items()})


def compare_rivals(own: ByCorpus, rivals: Mapping[str, ByCorpus]) -> pd.DataFrame:
    """`compare` of one arm with each rival, own minus rival, corrected together."""
    return _together({name: compare(own, rows) for name, rows in rivals.items()})


def against_single(arms: Mapping[str, ByCorpus]) -> pd.DataFrame:
    """Each arm of several training corpora minus each arm of one of them, at equal budgets.

    `arms` is `by_arm`'s; the corpora of all phases count. The column `arm` says "multi against
    single", in `short_names`. Pairs that can't be compared (no common seed or types) are left out.
    """
    short, _ = short_names(arms)
    taggers = {name: own for name, own in arms.items() if _is_tagger(own)}
    taught = {name: {c: _taught(rows) for c, rows in own.items()} for name, own in taggers.items()}
    pairs = {}
    for multi, single in permutations(taggers, 2):
        base = {}
        for corpus, rows in taggers[single].items():
            alone, together = taught[single][corpus], taught[multi].get(corpus, set())
            if len(alone) == 1 and alone < together:
                base[corpus] = rows
        if comparable(taggers[multi], base):
            with suppress(WorkbookError):  # asked for other types, or other documents
                name = f"{short[multi]} against {short[single]}"
                pairs[name] = compare(taggers[multi], base)
    return _together(pairs)


def against_base(arms: Mapping[str, ByCorpus], base: str) -> pd.DataFrame:
    """Each arm with the base's training corpora minus the base, at equal budgets.

    `arms` is `by_arm`'s. Raises WorkbookError for a base that is none of them.
    """
    if base not in arms:
        raise unknown("arm", base, arms)
    taught = {corpus: _taught(rows) for corpus, rows in arms[base].items()}
    others = {}
    for name, by_corpus in arms.items():
        same = {c: rows for c, rows in by_corpus.items() if _taught(rows) == taught.get(c)}
        if name != base and _is_tagger(by_corpus) and comparable(same, arms[base]):
            others[name] = same
    return compare_arms(others, arms[base])


def _is_tagger(by_corpus: ByCorpus) -> bool:
    return next(iter(by_corpus.values()))[0]["config"]["system"] == "tagger"


def _taught(rows: Rows) -> set[str]:
    """The training corpora of an arm, of all phases."""
    return {name for row in rows for config in phases(row) for name in config["corpora"]}


def _together(compared: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    parts = [part.assign(arm=name) for name, part in compared.items() if len(part)]
    if not parts:
        return pd.DataFrame(columns=[*_COLUMNS, "arm"])
    return _corrected(pd.concat(parts, ignore_index=True))


def finals(configs: Sequence[RunConfig]) -> dict[str, list[dict]]:
    """Test corpus -> finished runs of the last phase, all seeds: what `compare` takes.

    If several of these runs score one corpus, the run that was trained on it counts. If none was,
    the corpus is left out.
    """
    started_from = {config.start_from for config in configs}
    found: dict[str, dict[str, list[dict]]] = {}
    for config in configs:
        if config.run_id in started_from:
            continue
        for row in repetitions(config):
            for corpus, splits in row["scores"].items():
                if "test" in splits:
                    key = "trained" if "dev" in splits else config.run_id
                    found.setdefault(corpus, {}).setdefault(key, []).append(row)
    chosen = {}
    for corpus, of_runs in found.items():
        if "trained" in of_runs:
            chosen[corpus] = of_runs["trained"]
        elif len(of_runs) == 1:
            chosen[corpus] = next(iter(of_runs.values()))
    return chosen


def comparable(arm_rows: ByCorpus, base: ByCorpus) -> bool:
    """Whether `compare` works for two arms: a corpus and a seed in common, equal budgets, and on
    each common corpus the same types asked for."""
    shared = [corpus for corpus in arm_rows if corpus in base]
    for corpus in shared:
        by_seed = [
            {row["config"]["seed"]: row for row in side[corpus]} for side in (arm_rows, base)
        ]
        own, other = _for_each_seed(*by_seed)
        seeds = set(own) & set(other)
        asked = {tuple(asked_of(side[seed], corpus)) for side in (own, other) for seed in seeds}
        if not seeds or len(asked) > 1:
            return False
    rows = [row for corpus in shared for row in (*arm_rows[corpus], *base[corpus])]
    return bool(shared) and equal_budgets(rows)


def repetitions(config: RunConfig) -> list[dict]:
    """All finished runs of this configuration, whatever their seed; [] if a run that it builds on
    isn't finished.

    Only runs in this run's precision are returned, and only those that were made from the same
    data and encoder files. A row that only another version of the workbook can read is of another
    configuration. Raises WorkbookError if this run isn't finished, and the others differ in their
    data or files, or (for precision="auto") in their precision.
    """
    runs = runs_folder()
    for run_id in earlier_runs(config).values():
        if not is_released(run_id) and read_row(runs / run_id) is None:
            return []
    parents, mine = parents_of(config), read_row(runs / config.run_id)
    rows = [
        row
        for row in read_rows()
        if is_readable(row) and arm_of(row) == arm(config, parents, precision_of(row))
    ]
    wanted = precision_of(mine) if mine else config.precision
    if wanted != "auto":
        rows = [row for row in rows if precision_of(row) in (wanted, "none")]
    used = {precision_of(row) for row in rows}
    if len(used) > 1:
        raise WorkbookError(
            f"runs of {config.slug} computed in {' and '.join(sorted(used))}; say which with "
            "precision="
        )
    if mine:
        return [row for row in rows if inputs_of(row) == inputs_of(mine)]  # the board shows others
    if len({inputs_of(row) for row in rows}) > 1:
        raise WorkbookError(
            f"runs of {config.slug} were made from different data or encoder files: "
            f"{[row['run_id'] for row in rows]}; delete those of the old files, as in "
            f"{delete_run(rows[0]['run_id'])}"
        )
    return rows


def best_dev(row: Mapping) -> float:
    """The mean dev F1 of the chosen epoch; of a system without epochs that over its corpora."""
    if row["history"]:
        return max(record["dev"]["mean"] for record in row["history"])
    own = [splits["dev"]["types"] for splits in row["scores"].values() if "dev" in splits]
    return mean(types["micro"]["f1"] for types in own)
