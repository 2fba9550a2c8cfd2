"""What runs find of known and of new names, and what their scores are worth.

outputs/published/<table>/measures/<run id>.json holds counts of committed runs, so that neither
predictions nor corpora are needed:

    corpus -> recall        type -> grouping -> group -> [found, mentions]
              reliability   type -> bins of scores, as `calibration.reliability` gives them
              leak_free     F1 over the types asked for, without test sentences that train holds too
              leaked        how many test sentences those are
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from ..corpora.corpus import Corpus
from ..corpora.loading import load_corpus
from ..errors import WorkbookError, unknown
from ..evaluation.calibration import reliability, span_scores
from ..evaluation.generalization import GROUPINGS, gold_mentions, leak_free, recall_by
from ..runs.leaks import trained_before
from ..runs.provenance import way_out
from ..runs.rows import config_of, read_predictions
from .published_files import asked_of, table_folder
from .tables import by_run, results

FOLDER = "measures"  # of a table's folder
Measures = Mapping[str, Mapping | float | int]


def measures_of(row: Mapping, corpus: str) -> Measures:
    """The measures of a run on the test split of one corpus, as this module's text lists them.

    A row of `published_rows` takes them from its table's folder. Those of any other row are counted
    from its predictions and its corpora; what taught earlier phases and teachers counts as train
    text too, where it is still on this machine.

    Raises WorkbookError where a file is missing or damaged, and where a corpus has changed since
    the run.
    """
    if "table" in row:
        return _committed(row, corpus)
    return _counted(row, corpus, *_texts(row))


def _counted(
    row: Mapping, corpus: str, own: Mapping[str, Corpus], trained_on: Sequence[Corpus]
) -> Measures:
    """The measures on one of a run's own corpora, from its predictions; see `_texts`."""
    predictions = read_predictions(row["run_id"], corpus, "test")
    tested = own[corpus]
    types = asked_of(row, corpus)
    mentions = gold_mentions(tested, predictions, "test", trained_on)
    recall = {}
    for type in types:
        own = [mention for mention in mentions if mention.type == type]
        recall[type] = {by: _found(recall_by(own, by)) for by in GROUPINGS}
    scores = span_scores(predictions, types)
    fresh = leak_free(tested, predictions, types, "test", trained_on=trained_on)
    return {
        "recall": recall,
        "reliability": {type: reliability(spans) for type, spans in scores.items()},
        "leak_free": fresh["leak_free"]["micro"]["f1"],
        "leaked": fresh["leaked"],
    }


def _texts(row: Mapping) -> tuple[dict[str, Corpus], list[Corpus]]:
    """A run's own corpora by name, and those that taught it and what it builds on."""
    config = config_of(row)
    loaded = [load_corpus(c, limit=config.limit) for c in (*config.corpora, *config.also_test)]
    for one in loaded:
        if one.fingerprint != row["data"][one.name]["fingerprint"]:
            raise WorkbookError(
                f"{one.name!r} has changed since {row['run_id']} was made; {way_out(row['run_id'])}"
            )
    before, _ = trained_before(config, row.get("parents", {}))
    own = {one.name: one for one in loaded}
    return own, [*loaded[: len(config.corpora)], *before]


def _found(groups: Mapping[str, Mapping]) -> dict[str, list[int]]:
    return {group: [one["found"], one["support"]] for group, one in groups.items()}


def measures_text(row: Mapping) -> str:
    """The JSON of a row's file of measures: a line per corpus."""
    tested = [corpus for corpus, splits in row["scores"].items() if "test" in splits]
    texts = _texts(row)
    lines = [f"{json.dumps(name)}: {json.dumps(_counted(row, name, *texts))}" for name in tested]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _committed(row: Mapping, corpus: str) -> Measures:
    path = table_folder(row["table"]) / FOLDER / f"{row['run_id']}.json"
    try:
        measures = json.loads(path.read_text(encoding="utf-8"))[corpus]
        return {key: measures[key] for key in ("recall", "reliability", "leak_free", "leaked")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkbookError(
            f"{path} holds no measures of {corpus!r} ({error!r}); get it again with git checkout, "
            "or publish its table again"
        ) from None


class Measured(NamedTuple):
    """The measures of one run on one test corpus, under the name of its arm."""

    name: str
    corpus: str
    f1: float  # official: strict, over the types asked for
    measures: Measures


def measured(rows: Iterable[Mapping]) -> list[Measured]:
    """`measures_of` all runs and their test corpora.

    Raises WorkbookError where it does, and for two rows of one run.
    """
    by_id = by_run(rows)
    frame = results(by_id.values())
    found = []
    tests = frame[frame["split"] == "test"].drop_duplicates(["run_id", "corpus"])
    for line in tests.itertuples():
        row = by_id[line.run_id]
        f1 = row["scores"][line.corpus]["test"]["types"]["micro"]["f1"]
        found.append(Measured(line.name, line.corpus, f1, measures_of(row, line.corpus)))
    return found


def recall_of_groups(found: Iterable[Measured], by: str = "familiarity") -> pd.DataFrame:
    """Strict test recall by arm, corpus, type and group: what `plots.recall_by_corpus` draws.

    by   a grouping of `evaluation.recall_by`: familiarity (memorized, new concept …), frequency …

    Columns: name, corpus, type, group, seeds, mentions (of the group, in one run), recall (0 to 1,
    mean over seeds), sd. Lines of one corpus and type are in the order of the groups.

    Raises WorkbookError for another grouping.
    """
    if by not in GROUPINGS:
        raise unknown("grouping", by, GROUPINGS)
    lines = []
    for name, corpus, _, measures in found:
        for type, groupings in measures["recall"].items():
            for group in GROUPINGS[by]:
                if group in groupings[by]:
                    hits, mentions = groupings[by][group]
                    lines.append((name, corpus, type, group, mentions, hits / mentions))
    keys = ["name", "corpus", "type", "group"]
    frame = pd.DataFrame(lines, columns=[*keys, "mentions", "recall"])
    seeds = {"seeds": ("recall", "size"), "mentions": ("mentions", "first")}
    spread = {"recall": ("recall", "mean"), "sd": ("recall", "std")}
    return frame.groupby(keys, sort=False).agg(**seeds, **spread).reset_index()


def score_bins(found: Iterable[Measured]) -> dict[tuple[str, str], list[dict]]:
    """(arm, corpus) -> bins of scores over all types and seeds, for `plots.reliability_diagram`."""
    parts: dict[tuple[str, str], dict[float, list[dict]]] = {}
    for name, corpus, _, measures in found:
        own = parts.setdefault((name, corpus), {})
        for bins in measures["reliability"].values():
            for one in bins:
                own.setdefault(one["low"], []).append(one)
    return {key: [_joined(bins[low]) for low in sorted(bins)] for key, bins in parts.items()}


def _joined(bins: Sequence[Mapping]) -> dict[str, float | int]:
    """One bin of several systems."""
    spans = sum(one["spans"] for one in bins)
    means = {k: sum(one[k] * one["spans"] for one in bins) / spans for k in ("score", "precision")}
    return {**bins[0], "spans": spans, **means}


def leak_free_f1(found: Iterable[Measured]) -> pd.DataFrame:
    """Test F1 over the types asked for (0 to 1, mean over seeds), with and without leaks.

    Columns: name, corpus, seeds, leaked (test sentences that train holds too, of eight words or
    more), official, leak_free.
    """
    lines = [(o.name, o.corpus, o.measures["leaked"], o.f1, o.measures["leak_free"]) for o in found]
    keys = ["name", "corpus"]
    frame = pd.DataFrame(lines, columns=[*keys, "leaked", "official", "leak_free"])
    first = {"seeds": ("official", "size"), "leaked": ("leaked", "first")}
    means = {key: (key, "mean") for key in ("official", "leak_free")}
    return frame.groupby(keys, sort=False).agg(**first, **means).reset_index()
