"""Rows and predictions of runs that nobody trained, with the measures that a test needs."""

import json


def row(seed, f1, corpus="sample", support=20, official=True, **config):
    """A row as a run leaves it, with the measures that a test needs."""
    from bioner_lib import RunConfig

    settings = RunConfig(corpora=corpus, seed=seed, **config)
    measures = {
        "precision": f1,
        "recall": f1,
        "f1": f1,
        "support": support,
        "tp": 1,
        "fp": 1,
        "fn": 1,
    }
    types = {"Gene": measures, "micro": measures, "macro": measures}
    return {
        "run_id": settings.run_id,
        "config": settings.as_dict(),
        "history": [{"dev": {"mean": f1 - 0.1}}, {"dev": {"mean": f1}}],
        "scores": {corpus: {"test": {"types": types, "errors": {"boundary": 2}}}},
        "data": {corpus: {"official": official, "types": ["Gene"]}},
    }


def in_precision(made, precision):
    """The same row, computed in this precision."""
    return made | {"run_id": f"{made['run_id']}-{precision}", "device": {"precision": precision}}


def predicted(outputs, made, predictions, role="test") -> dict:
    """Leave a row and its predictions where a run would."""
    folder = outputs / "runs" / made["run_id"]
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(made))
    (folder / "predictions" / f"sample.{role}.jsonl").write_text(
        "\n".join(map(json.dumps, predictions))
    )
    return made


def execute_job(job, *runs):
    """Leave a job's executed notebook, as a sweep would."""
    from bioner_lib.sweeps.execution import executed

    executed(job.name).parent.mkdir(parents=True, exist_ok=True)
    names = [made["run_id"] for made in runs]
    text = json.dumps({"metadata": {"bioner": {"runs": names, "made": []}}, "cells": []})
    executed(job.name).write_text(text)


def answers(right, of=40) -> list[dict]:
    """`of` documents with one gene each; the first `right` of them are found."""
    return [
        {"doc": f"d{i}", "gold": [[0, 1, "Gene"]], "predicted": [[0, 1, "Gene", 0.9]] * (i < right)}
        for i in range(of)
    ]


def f1_of(right, of=40) -> float:
    """The F1 of `answers(right, of)`, which hold no wrong mention."""
    return 2 * right / (right + of)


def runs_that_find(outputs, *rights, **config) -> list[dict]:
    """Finished runs of one arm, with the seeds 1, 2 and so on; each finds so many of 40 genes."""
    return [
        predicted(outputs, row(seed, 0.5, **config), answers(right))
        for seed, right in enumerate(rights, 1)
    ]
