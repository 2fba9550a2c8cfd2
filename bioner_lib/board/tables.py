"""Rows -> long tables: one line per run, corpus, split and type.

An *arm* is a configuration without its seed; the runs of one arm are repetitions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..corpora.corpus import AVERAGES, HUB, whole_name
from ..corpora.registry import CORPORA, split_name
from ..errors import WorkbookError, unknown
from ..runs.rows import PARENTS, arm_of, config_of, inputs_of, phases, precision_of
from ..silver.labelled_gold import TRAINING_TEXT
from .arm_names import arm_name

MEASURES = ("precision", "recall", "f1")


def by_run(rows: Iterable[Mapping]) -> dict[str, Mapping]:
    """Run id -> row.

    Raises WorkbookError for two rows of one run: in two committed tables they may differ.
    """
    by_id: dict[str, Mapping] = {}
    for row in rows:
        if row["run_id"] in by_id:
            tables = [by_id[row["run_id"]].get("table", ""), row.get("table", "")]
            raise WorkbookError(
                f"two rows of run {row['run_id']!r}, of the tables {tables}; give the rows of one "
                "table"
            )
        by_id[row["run_id"]] = row
    return by_id


def results(rows: Iterable[Mapping]) -> pd.DataFrame:
    """One line per run x corpus x split x type, with `micro` and `macro`; measures from 0 to 1.

    `token_accuracy` is the same for all types of a split: the share of words with the right tag.
    `official`: may stand beside published figures, since the corpus is whole and its own one.
    """
    rows = list(rows)
    for row in rows:
        config_of(row)  # a row that can't be read is refused before any work
    lines = []
    for row in rows:
        about = _about(row)
        for corpus, splits in row["scores"].items():
            name = row.get("name") or arm_name(config_of(row), corpus, row.get("parents", {}))
            official = row["data"][corpus]["official"] and not _is_part(row, corpus)
            for split, scored in splits.items():
                for type, measures in scored["types"].items():
                    # an average over some of a corpus's types can't stand beside a whole one
                    if type in AVERAGES and scored.get("not_asked"):
                        continue
                    kept = {key: measures[key] for key in (*MEASURES, "support")}
                    kept["token_accuracy"] = scored.get("token_accuracy", float("nan"))
                    line = {**about, "name": name, "corpus": corpus, "official": official}
                    lines.append(line | {"split": split, "type": type, **kept})
    if not lines:
        raise WorkbookError(
            "no finished runs yet; run 30_single_task first, or point BIONER_OUTPUTS at a folder "
            "that holds runs/"
        )
    return told_apart(pd.DataFrame(lines), ["name", "corpus"])


def _is_part(row: Mapping, corpus: str) -> bool:
    """Whether a run learned from a part of the corpus only, as `bc5cdr@25%`.

    Gold text to which a lexicon added labels names the part that it was made from.
    """
    made_from = {}
    for name, about in row["data"].items():
        text = about.get("source", {}).get("text", {}).get("source", "")
        made_from[name] = text.removeprefix(TRAINING_TEXT)
    parts = set()
    for config in phases(row):
        for name in [made_from.get(name) or name for name in config["corpora"]]:
            if "@" in name or config.get("limit"):
                parts.add(whole_name(name.partition("@")[0]))
    return whole_name(corpus) in parts


def parts_of(row: Mapping) -> dict[str, str]:
    """Training corpus -> the part of it that a run learned from, as its configuration says."""
    # row["data"] lists the training corpora first, then those that are only tested on
    return dict(zip(row["data"], map(_without_folders, row["config"]["corpora"]), strict=False))


def _without_folders(name: str) -> str:
    """The name of a corpus of one's own without the folders above it."""
    base, part, types = split_name(name)
    if base.startswith(HUB) or len(Path(base).parts) < 2:
        return name
    return f"{Path(base).name}{'@' if part else ''}{part}{':' if types else ''}{types}"


def _about(row: Mapping) -> dict:
    """The columns that all lines of a run share."""
    config = config_of(row)
    return {
        "run_id": row["run_id"],
        "arm": arm_of(row),
        "inputs": inputs_of(row),
        "arithmetic": precision_of(row),
        "seed": config.seed,
        "system": config.system,
        "encoder": config.encoder,
        "heads": config.heads,
        "trained_on": " + ".join(config.corpora),
        "task": "single-task" if len(config.corpora) == 1 else "multi-task",
        "epochs": config.epochs,
    }


def told_apart(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Arms that would share a name get their precision, or else their hash, added to it.

    So do runs of one arm whose corpora or encoder were changed between them: they are no seeds of
    one arm. `keys`: the columns, `name` among them, that only runs of one arm may share.
    """
    whole = frame["arm"] + frame.get("inputs", "")
    for column, mark in (("arithmetic", " "), ("arm", " #"), ("inputs", " made from #")):
        if column not in frame:
            continue
        groups = frame.assign(whole=whole).groupby(list(keys))
        shared = groups["whole"].transform("nunique") > 1
        shared &= groups[column].transform("nunique") > 1
        longer = frame["name"] + mark + frame[column].str[:4]
        frame["name"] = frame["name"].where(~shared, longer)
    return frame


def aggregate(frame: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """One line per arm x corpus x type.

    Columns: runs, mean and sd (n-1) of each measure and of the token accuracy, every F1 (`values`)
    with its seed (`seeds`).
    """
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
    columns = {"runs": ("f1", "size"), "support": ("support", "max")}
    for measure in (*MEASURES, "token_accuracy"):
        columns[f"{measure}_mean"] = (measure, "mean")
        columns[f"{measure}_sd"] = (measure, "std")
    table = groups.agg(**columns)
    table["values"] = groups["f1"].apply(list)
    table["seeds"] = groups["seed"].apply(list)
    return table.reset_index()


def only_corpora(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The table's lines of these corpora, or all lines for no names.

    Raises WorkbookError for a name that the table lacks.
    """
    known = set(table["corpus"])
    for name in names:
        if name not in known:
            raise unknown("corpus on the board", name, known)
    return table[table["corpus"].isin(names)] if names else table


def named(arms: Mapping[str, Mapping[str, Sequence[Mapping]]]) -> pd.DataFrame:
    """`results` of arms under given names, each on the corpora that it is given for.

    `arms`: name -> corpus -> rows, as `finals` returns them.
    """
    parts = []
    for name, by_corpus in arms.items():
        rows = {row["run_id"]: row for rows in by_corpus.values() for row in rows}
        frame = results(rows.values()).assign(name=name)
        given = {(corpus, row["run_id"]) for corpus, rows in by_corpus.items() for row in rows}
        pairs = zip(frame["corpus"], frame["run_id"], strict=True)
        parts.append(frame[[pair in given for pair in pairs]])
    return pd.concat(parts, ignore_index=True)


_FORGOTTEN = ["name", "seed", "corpus", "type", "before", "after", "forgotten"]


def forgotten(arms: Mapping[str, Mapping[str, Sequence[Mapping]]]) -> pd.DataFrame:
    """What second phases cost the types that a first phase knew.

    `arms`: name -> corpus -> rows, as `finals` and `by_arm` return them. One line per arm, seed,
    corpus and type: before, after, forgotten (strict test F1, 0 to 1; see
    `runs.scored.forgotten`). Empty where no row has a second phase.
    """
    lines = []
    for name, by_corpus in arms.items():
        for corpus, rows in by_corpus.items():
            for row in rows:
                about = {"name": name, "seed": row["config"]["seed"], "corpus": corpus}
                types = row.get("forgotten", {}).get(corpus, {})
                lines += [about | {"type": t} | v for t, v in types.items() if t not in AVERAGES]
    return pd.DataFrame(lines, columns=_FORGOTTEN)


def last_phases(rows: Iterable[Mapping]) -> list[Mapping]:
    """The rows without first phases, and without what forgot half of a type's F1.

    `forgotten` shows both. An arm stays or goes with all of its seeds. It is a first phase where
    other rows start from each of its runs, and what it forgot is the mean over its runs.
    """
    arms: dict[str, list[Mapping]] = {}
    for row in rows:
        arms.setdefault(arm_of(row), []).append(row)
    started_from = {row["config"]["start_from"] for own in arms.values() for row in own}
    kept = []
    for own in arms.values():
        is_first = started_from.issuperset(row["run_id"] for row in own)
        if not is_first and not _forgot_half(own):
            kept += own
    return kept


def _forgot_half(runs: Sequence[Mapping]) -> bool:
    """Whether runs of one arm lost half of what they knew of a type, on average."""
    before, lost = Counter(), Counter()
    for row in runs:
        for corpus, types in row.get("forgotten", {}).items():
            for type, one in types.items():
                before[corpus, type] += one["before"]
                lost[corpus, type] += one["forgotten"]
    return any(lost[key] > before[key] / 2 for key in before)


def learning(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Test F1 by training sentences, for single-task taggers trained on parts of one corpus.

    One line per run: name (corpus, and what isn't at its default), sentences, f1 (micro, 0 to 1).
    Only arms with at least two sizes are kept; a run that is another one's second phase is left
    out. The frame is what `plots.share_curve` draws.
    """
    lines = []
    for row in rows:
        config = config_of(row)
        if config.system != "tagger" or len(config.corpora) > 1 or config.start_from:
            continue
        (corpus,) = [name for name, splits in row["scores"].items() if "dev" in splits] or [""]
        scored = row["scores"].get(corpus, {}).get("test")
        if scored:
            parents = row.get("parents", {})
            earlier = [parent["arm"] for parent in parents.values()]
            left_out = ("corpora", "also_test", "seed", "precision", *PARENTS)
            line = {
                "name": f"{corpus}: {arm_name(config, config.corpora[0], parents)}",
                "arithmetic": precision_of(row),
                "arm": "+".join([*earlier, config.digest(left_out), precision_of(row)]),
                "sentences": row["data"][corpus]["sentences"]["train"],
                "f1": scored["types"]["micro"]["f1"],
            }
            lines.append(line)
    columns = ["name", "arithmetic", "arm", "sentences", "f1"]
    frame = told_apart(pd.DataFrame(lines, columns=columns), ["name"])
    sizes = frame.groupby("name")["sentences"].transform("nunique")
    return frame.loc[sizes > 1, ["name", "sentences", "f1"]].reset_index(drop=True)


def apart_by_corpus(frame: pd.DataFrame) -> pd.DataFrame:
    """A type that is scored on several corpora gets the corpus's name added.

    So corpora are never averaged as if they were seeds. Views of one corpus share its test text and
    count as one corpus: a run that is scored on several views keeps the first one's line.
    """
    frame = frame.assign(base=frame["corpus"].map(whole_name))
    frame = frame.drop_duplicates(["name", "run_id", "split", "base", "type"])
    several = frame.groupby("type")["base"].transform("nunique") > 1
    longer = frame["type"] + " on " + frame["base"]
    return frame.assign(type=frame["type"].where(~several, longer)).drop(columns="base")


def by_ratio(frame: pd.DataFrame) -> pd.DataFrame:
    """Arms called "mask 4:1" or "mask per-type 4:1" -> name without ratio, and the column `ratio`.

    "gold only" (or "gold only per-type") has ratio 0 and starts every arm with the same heads.
    Other arms without a ratio are left out.
    """
    parts = frame["name"].str.extract(r"(?P<name>.*?)(?: (?P<ratio>[\d.]+):1)?$")
    frame = frame.assign(name=parts["name"], ratio=parts["ratio"].astype(float))
    is_gold = frame["name"].str.startswith("gold only")
    gold, mixed = frame[is_gold].fillna({"ratio": 0.0}), frame[frame["ratio"].notna()]
    starts = []
    for name in mixed["name"].unique():
        own = " ".join(["gold only", *name.split()[1:]])
        starts.append(gold[gold["name"] == own].assign(name=name))
    return pd.concat([mixed, *starts], ignore_index=True)


def anchors() -> pd.DataFrame:
    """Published figures to compare with; they hold for every form of a corpus (CoNLL, PubTator).

    Columns: corpus, type, system, f1 (0 to 1), metric, split, protocol, comparable (whether a run
    of ours may be compared with it), why (why not), source, url.
    """
    frame = pd.read_csv(Path(__file__).parent / "anchors.csv", keep_default_na=False)
    frame["f1"] /= 100
    frame["comparable"] = frame["comparable"] == "yes"
    forms = {name: entry["documents"] for name, entry in CORPORA.items() if "documents" in entry}
    others = frame[frame["corpus"].isin(forms)].replace({"corpus": forms})
    return pd.concat([frame, others], ignore_index=True)
