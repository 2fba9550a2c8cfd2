"""Finished runs scored on corpora that they weren't trained on, strict and relaxed."""

from collections.abc import Sequence

from ..corpora.corpus import Corpus
from ..corpora.loading import load_corpus
from ..errors import WorkbookError, unknown
from ..evaluation.scoring import relaxed_score, score
from ..home import runs_folder
from ..models.ensemble import read_plans
from ..models.heads import asked_types
from .rows import file_name, read_prediction_file, read_row, read_rows
from .scored import evaluate, evaluation_file


def cross_corpus(
    run_ids: Sequence[str], corpora: Sequence[str], role: str = "test", limit: int = 0
) -> list[dict]:
    """One dict per run and corpus: run_id, trained_on, tested_on, types, f1, relaxed_f1, support.

    F1 (0 to 1) is over all types of the corpus that the run's heads know; where they know none,
    there is no dict. `relaxed_f1` is `scoring.relaxed_score`'s and no headline.

    Predictions are read where the run or an earlier `evaluate` left them. Where they are missing,
    or hold other sentences or mentions than the corpus does now, `evaluate` makes them.

    Raises WorkbookError for an unknown run or corpus, and for a run without its tagger.
    """
    loaded = [load_corpus(name, limit=limit) for name in corpora]
    lines = []
    for run_id in run_ids:
        row = read_row(runs_folder() / run_id)
        if row is None:
            raise unknown("run", run_id, [row["run_id"] for row in read_rows()])
        trained_on = " + ".join(row["config"]["corpora"])
        plans = read_plans(runs_folder() / run_id / "model")
        for name, corpus in zip(corpora, loaded, strict=True):
            try:
                asked = asked_types(plans, corpus)
            except WorkbookError:  # no head knows a type of this corpus
                continue
            about = {"run_id": run_id, "trained_on": trained_on, "tested_on": name, "types": asked}
            predictions = _predictions(run_id, name, corpus, role, limit, asked)
            gold, found = ([p[side] for p in predictions] for side in ("gold", "predicted"))
            strict = score(gold, found, asked)["micro"]
            relaxed = relaxed_score(gold, found, asked)["micro"]
            measures = {"f1": strict["f1"], "relaxed_f1": relaxed["relaxed_f1"]}
            lines.append(about | measures | {"support": strict["support"]})
    return lines


def _predictions(
    run_id: str, name: str, corpus: Corpus, role: str, limit: int, asked: Sequence[str]
) -> list[dict]:
    """Stored predictions of exactly these sentences and mentions, or new ones."""
    folder = runs_folder() / run_id
    evaluated = evaluation_file(run_id, corpus, role, limit)
    own = folder / "predictions" / f"{file_name(corpus.name)}.{role}.jsonl"
    for path in (own, evaluated):
        if path.exists():
            try:
                predictions = read_prediction_file(path, run_id)
            except WorkbookError:
                if path == own:
                    raise
                continue  # an evaluation that was cut off is made again
            if _fits(predictions, corpus, role, asked):
                return predictions
    evaluate(run_id, name, role, limit=limit)
    return read_prediction_file(evaluated, run_id)


def _fits(predictions: Sequence[dict], corpus: Corpus, role: str, asked: Sequence[str]) -> bool:
    split = corpus.split(role)
    if len(predictions) != len(split):
        return False
    for one, sentence in zip(predictions, split, strict=True):
        gold = [list(span) for span in sentence.spans if span.type in asked]
        own = [list(span) for span in one["gold"] if span[2] in asked]
        if one["tokens"] != sentence.tokens or own != gold:
            return False
    return True
