"""Runs that take a second: configurations, outputs folders, a tagger before training."""

from contextlib import contextmanager

import pytest


@contextmanager
def environment(**variables):
    """Environment variables that last as long as the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, str(value))
        yield


def run_in(folder, config, **options) -> dict:
    """A run in an outputs folder of its own, without progress bars."""
    from bioner_lib import run

    with environment(BIONER_OUTPUTS=folder):
        return run(config, **{"progress": False} | options)


def rows_in(folder) -> list[dict]:
    """The rows of an outputs folder."""
    from bioner_lib import read_rows

    with environment(BIONER_OUTPUTS=folder):
        return read_rows()


def small(tiny, corpora="sample", **changes):
    """The configuration of a run that takes a second."""
    from bioner_lib import RunConfig

    options = {
        "epochs": 1,
        "learning_rate": 3e-3,
        "limit": 40,
        "max_length": 128,
        "overlap": 16,
        "batch_size": 8,
        "precision": "fp32",
    }
    return RunConfig(**{"corpora": corpora, "encoder": str(tiny)} | options | changes)


def quiet(config) -> dict:
    """A run without progress bars."""
    from bioner_lib import run

    return run(config, progress=False)


def tagger_for(folder, corpora, **options):
    """A tagger with a tiny encoder, before training."""
    import torch

    from bioner_lib import MultiTaskTagger
    from bioner_lib.models.encoders import load_encoder
    from bioner_lib.models.heads import plan_heads

    torch.manual_seed(0)
    encoder, tokenizer = load_encoder(folder)
    return MultiTaskTagger(
        encoder, tokenizer, plan_heads("per-type", corpora), max_length=64, overlap=8, **options
    )


def without_times(row):
    """A row without what differs between two executions of one run: times, memory, energy."""
    history = [
        {key: value for key, value in record.items() if "seconds" not in key and key != "joules"}
        for record in row["history"]
    ]
    return {
        "scores": row["scores"],
        "history": history,
        "config": row["config"],
        "data": row["data"],
    }
