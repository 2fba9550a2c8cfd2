"""A thin library under the workbook's notebooks.

file -> reader -> Corpus -> alignment -> batching -> tagger -> spans -> scoring -> row -> figure
"""

import os
from importlib.metadata import PackageNotFoundError, version

from .lazy import lazy

# asking whether there is a GPU must not occupy it, so that several processes may still be forked
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

try:
    __version__ = version("bioner-workbook")
except PackageNotFoundError:  # a copy that was never installed
    __version__ = "0"

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "errors": "WorkbookError",
        "home": "outputs",
        "corpora.text": "Sentence",
        "corpora.corpus": "Corpus",
        "corpora.registry": "CORPORA",
        "corpora.loading": "load_corpus",
        "config": "RunConfig",
        "models.alignment": "Aligner",
        "models.encoders": "load_tokenizer",
        "models.tagger": "MultiTaskTagger",
        "evaluation.scoring": "score",
        "silver.lexicons": "Lexicon",
        "runs.rows": "read_rows read_predictions forget",
        "runs.cards": "model_card",
        "runs.recipes": "recipe",
        "runs.run": "run",
        "runs.scored": "read_tagger evaluate",
        "runs.calibrated": "calibrate",
        "runs.evaluations": "cross_corpus",
        "runs.search": "search",
        "sweeps.parameters": "check_choices check_parameters nonzero",
        "sweeps.executors": "opened",
        "training.processes": "launch",
        "training.progress": "add_made",
    },
)
