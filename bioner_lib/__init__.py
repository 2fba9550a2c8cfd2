"""A thin library under the workbook's notebooks.

    files -> readers -> Corpus -> alignment -> batching -> tagger -> spans -> scoring -> row -> leaderboard -> figure

Names are loaded when they are first used, so that a notebook which trains nothing doesn't import torch.
"""

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

_HOMES = {
    "CORPORA": "corpora.registry", "Corpus": "corpora.corpus", "load_corpus": "corpora.registry", "Lexicon": "silver.lexicons",
    "Sentence": "corpora.text", "Aligner": "models.alignment", "MultiTaskTagger": "models.tagger", "score": "evaluation.scoring",
    "RunConfig": "config", "recipe": "runs.recipes", "run": "runs.run", "read_rows": "runs.rows", "read_predictions": "runs.rows",
    "read_tagger": "runs.run", "evaluate": "runs.run", "check_parameters": "sweeps.reading", "WorkbookError": "errors",
}  # fmt: skip
__all__ = sorted(_HOMES)
os.environ.setdefault(
    "PYTORCH_NVML_BASED_CUDA_CHECK", "1"
)  # asking for a GPU doesn't occupy it, so several processes may still be forked

try:
    __version__ = version("bioner-workbook")
except PackageNotFoundError:  # a copy that was never installed
    __version__ = "0"


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
