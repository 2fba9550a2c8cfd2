"""Calibrate a finished run: its dev predictions teach what its scores mean.

The tagger isn't needed, and nothing is predicted again. What dev chose is written beside the
tagger, as model/calibration.json, where `MultiTaskTagger.from_pretrained` finds it.
"""

from collections.abc import Mapping
from math import isnan

from ..errors import SelectionError, WorkbookError
from ..evaluation.calibration import (
    Fitted,
    SpanScores,
    at_threshold,
    brier,
    expected_calibration_error,
    fit,
    joined,
    selective,
    span_scores,
)
from ..home import runs_folder
from ..models.span_scores import write_calibration
from .rows import predicted_splits, read_predictions, read_row


def calibrate(run_id: str, role: str = "dev") -> dict:
    """Fit exponents and thresholds on a run's dev predictions, and store them with its tagger.

    From then on `tagger.tag` gives calibrated scores, and `threshold="dev"` the stored thresholds.
    A tagger that is already loaded has to be loaded again. The run's row and its predictions, with
    their raw scores, don't change.

    Returns what calibration.json holds: `run_id`, `fitted_on` (corpora), and `types`: type ->
    exponent, threshold, spans, note (see `evaluation.calibration.Fitted`), and for each of `dev`
    and `test` (where the run has predictions of it) the numbers of `_report`. Those of test only
    report; nothing is chosen by them.

    Raises WorkbookError for an unknown run, one without dev predictions or without its tagger, and
    for damaged predictions; SelectionError for role="test".
    """
    if role == "test":
        raise SelectionError(
            f"calibration of {run_id!r} must not see its test split; calibrate on dev"
        )
    splits = predicted_splits(run_id)
    made_from = (read_row(runs_folder() / run_id) or {}).get("made_from") or {}
    silver = {name for name, about in made_from.get("data", {}).items() if about["silver"]}
    corpora = [corpus for corpus, own in splits if own == role and corpus not in silver]
    if not corpora:
        raise WorkbookError(
            f"run {run_id!r} has no {role} predictions; it has {splits}. Calibration needs a "
            "corpus with a dev split: train on one"
        )
    folder = runs_folder() / run_id / "model"
    if not (folder / "tagger.json").exists():
        raise WorkbookError(
            f"run {run_id!r} left no tagger in {folder}, so there is nothing to calibrate; make "
            "the run again with keep_model=True"
        )
    dev = _by_type(run_id, corpora, role)
    test = _by_type(run_id, [corpus for corpus in corpora if (corpus, "test") in splits], "test")
    types = {}
    for type, fitted in fit(dev, role).items():
        types[type] = fitted._asdict() | {role: _report(dev[type], fitted)}
        if type in test:
            types[type]["test"] = _report(test[type], fitted)
    about = {"run_id": run_id, "fitted_on": corpora, "types": types}
    write_calibration(about, folder)
    return about


def _by_type(run_id: str, corpora: list[str], role: str) -> dict[str, SpanScores]:
    """type -> its predicted spans in all of these corpora."""
    scored = (read_row(runs_folder() / run_id) or {})["scores"]
    parts: dict[str, list[SpanScores]] = {}
    for corpus in corpora:
        types = [t for t in scored[corpus][role]["types"] if t not in ("micro", "macro")]
        for type, spans in span_scores(read_predictions(run_id, corpus, role), types).items():
            parts.setdefault(type, []).append(spans)
    return {type: joined(own) for type, own in parts.items()}


def _report(raw: SpanScores, fitted: Fitted) -> dict[str, Mapping]:
    """Numbers of one type on one split.

    brier, ece        each `before` and `after` calibration; None without a predicted span
    all               precision, recall, f1 of all predicted spans
    dev_threshold     the same, of those with at least the dev threshold
    selective         share of predicted spans that is kept -> precision
    """
    after = raw.calibrated(fitted.exponent)
    kept = selective(raw)
    return {
        "brier": {"before": _number(brier(raw)), "after": _number(brier(after))},
        "ece": {
            "before": _number(expected_calibration_error(raw)),
            "after": _number(expected_calibration_error(after)),
        },
        "all": at_threshold(raw, None),
        "dev_threshold": at_threshold(after, fitted.threshold),
        "selective": {f"{share:g}": _number(precision) for share, precision in kept.items()},
    }


def _number(value: float) -> float | None:
    """None for nan, which JSON lacks."""
    return None if isnan(value) else value
