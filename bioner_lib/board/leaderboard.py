"""Rows -> tables: who leads, by how much, over how many seeds.

An *arm* is a configuration without its seed; runs of one arm are repetitions.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import RunConfig
from ..corpora.corpus import AVERAGES
from ..errors import WorkbookError, unknown
from ..evaluation.statistics import document_counts, holm, paired_difference
from ..home import home, replace_text
from ..home import outputs as outputs_folder
from ..runs.rows import (
    PARENTS,
    arm,
    arm_of,
    config_of,
    parents_of,
    phases,
    precision_of,
    read_predictions,
    read_row,
    read_rows,
)

FEW = 10  # with fewer gold spans a type's F1 is noise
_MEASURES = ("precision", "recall", "f1")
# what arms may differ in and still have equal budgets
_VARIED = (
    "encoder", "corpora", "also_test", "system", "heads", "sharing", "reversal", "orthogonality", "experts", "balance", "decoder",
    "scheme", "unannotated", "label_pieces", "loss_weights", "corpus_weights", "sampling", "temperature", "start_from", "teacher",
    "confidence", "seed",
)  # fmt: skip
_COMPARED = ("corpus", "seeds", "difference", "low", "high", "p", "p_holm")
ENOUGH = 3  # seeds for a claim
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


def anchors() -> pd.DataFrame:
    """Published figures to stand beside ours: corpus, type, system, f1 (between 0 and 1), source."""
    frame = pd.read_csv(Path(__file__).parent / "anchors.csv")
    frame["f1"] /= 100
    return frame


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
    equal = _equal_budgets([row for corpus in shared for row in (*arm_rows[corpus], *base[corpus])])
    return equal and bool(shared) and all(a & b for a, b in seeds)


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
                if _equal_budgets([*mine, *(by_id[run_id] for run_id in arms[name]["run_id"])])
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


def _equal_budgets(rows: Sequence[Mapping]) -> bool:
    try:
        check_budgets(rows)
    except WorkbookError:
        return False
    return True


def apart_by_corpus(frame: pd.DataFrame) -> pd.DataFrame:
    """Where one type is scored on several corpora, its name gets the corpus's, so that corpora are never averaged as if they were seeds.

    Views of one corpus share its test text and are one corpus here: a run that is scored on several keeps the first one's line.
    """
    base = frame["corpus"].str.split(":").str[0]
    frame = frame.assign(base=base).drop_duplicates(["name", "run_id", "split", "base", "type"])
    several = frame.groupby("type")["base"].transform("nunique") > 1
    frame["type"] = frame["type"].where(~several, frame["type"] + " on " + frame["base"])
    return frame.drop(columns="base")


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


def publish(
    run_ids: Iterable[str],
    outputs: str | Path | None = None,
    to: Path | None = None,
    table: str = "",
    name: str = "",
) -> list[Path]:
    """Copy rows into outputs/published, from which the README's tables and figures are drawn.

    `table` is a folder there for a table of its own, `name` what the rows' arm is called in it.
    """
    to = (to or home() / "outputs" / "published") / table
    to.mkdir(parents=True, exist_ok=True)
    paths = []
    for run_id in run_ids:
        source = outputs_folder(outputs) / "runs" / run_id / "run.json"
        if not source.exists():
            raise WorkbookError(f"no finished run {run_id!r} in {source.parents[1]}")
        paths.append(to / f"{run_id}.json")
        row = json.loads(source.read_text()) | ({"name": name} if name else {})
        paths[-1].write_text(json.dumps(row, indent=1))
    return paths


def published_rows(table: str = "") -> list[dict]:
    """The committed rows of one table."""
    return [
        json.loads(path.read_text())
        for path in sorted((home() / "outputs" / "published" / table).glob("*.json"))
    ]
