"""The values of a run's named choices; of each field the first one is the default.

They stand apart from the code that uses them, so that rows are read without torch.
"""

from pathlib import Path

from .errors import unknown
from .home import exists, expanded

SYSTEMS = ("tagger", "dictionary", "ensemble")
PRECISIONS = ("auto", "bf16", "fp32")
SCHEMES = ("IOBES", "IOB2")
LABEL_PIECES = ("first", "all")
SAMPLING = ("proportional", "sqrt", "uniform", "temperature", "main")
LAYOUTS = ("per-type", "per-corpus", "joint")
DECODERS = ("softmax", "crf")
SHARING = ("hard", "private", "adversarial", "cross", "moe")
UNANNOTATED = ("mask", "marginal", "negative")
CHARACTERS = ("none", "case", "cnn", "case+cnn")
SENTENCE_HEADS = ("none", "types", "types-router")  # a kind; as a router it weighs the mentions
DENOISING = ("drop", "relabel")
ENCODERS = {  # alias -> name on the Hugging Face hub; minilm lies in an installed package too
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "bert": "google-bert/bert-base-cased",
    "bert-uncased": "google-bert/bert-base-uncased",
    "biobert": "dmis-lab/biobert-base-cased-v1.2",
    "biobert-1.1": "dmis-lab/biobert-base-cased-v1.1",
    "scibert": "allenai/scibert_scivocab_uncased",
    "pubmedbert": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext",
    "biolinkbert": "michiyasunaga/BioLinkBERT-base",
    "roberta": "FacebookAI/roberta-base",
}


def check_encoder(name: str, folder: Path | None = None) -> None:
    """Raises WorkbookError unless a name is an alias, a folder (below `folder`) or owner/name."""
    if name not in ENCODERS and "/" not in name and not exists((folder or Path()) / expanded(name)):
        raise unknown("encoder", name, ENCODERS)
