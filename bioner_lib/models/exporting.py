"""One head as a stock model folder, which `transformers.pipeline` reads without this library.

    pipeline("token-classification", model=folder, aggregation_strategy="first")

finds the spans that the tagger finds, with three differences:

    words       a pipeline cuts text into words as the encoder's tokenizer does: BERT at blanks and
                punctuation; RoBERTa at blanks only, and after a first piece that is a blank or
                part of a letter
    sequences   it takes each word's most probable tag, the tagger the best sequence that the scheme
                allows; the two differ where the most probable tags don't follow each other legally
    long text   it drops what is longer than the encoder's positions, unless it is given a `stride`;
                the tagger reads all text, in windows of its `max_length`

The second one costs most. Measured with MiniLM after 3 epochs on 1,500 sentences of ncbi-disease:
842 of 940 test sentences get the same spans with IOBES and 888 with IOB2, and the pipeline's strict
F1 is 3.9 and 1.6 points lower. So train a head that is to be exported with scheme="IOB2", and score
the pipeline itself.
"""

from copy import deepcopy
from pathlib import Path

from torch import nn

from ..errors import WorkbookError, unknown
from .encoders import longest_window
from .heads import Head
from .saving import write_card

_MARK = "bioner_head"  # a key of the exported config.json, whose value is the head's name
_IN_IOB2 = {"S": "B", "E": "I"}
# setting -> the value that a stock model can compute, and why no other
_NEEDED = {
    "sharing": ("hard", "puts a layer between encoder and head"),
    "decoder": ("softmax", "scores transitions, and a pipeline takes the most probable tags"),
    "characters": ("none", "lets heads read the characters of words"),
    "context": (0, "shows a sentence beside its neighbours"),
    "sentence_head": ("none", "is a head that a token classifier has no place for"),
}


def export_head(tagger, name: str, folder: str | Path, card: object = "") -> Path:
    """Write the head `name` and the encoder as a stock token classifier; returns the folder.

    Pipelines know IOB2 only. An IOBES head keeps its tags, but S-Gene is labelled B-Gene and E-Gene
    is labelled I-Gene; in `label2id` such a label names the first of its two tags. A model card
    becomes README.md. An earlier export is overwritten, and its card deleted.

    Raises WorkbookError for an unknown head, for a folder that holds other files, and for what a
    stock model can't compute: a CRF, a sharing design other than "hard", neighbouring sentences,
    and an encoder whose stock classifier is more than one linear layer.
    """
    heads = dict(tagger.named_heads)
    if name not in heads:
        raise unknown("head", name, heads)
    folder = Path(folder)
    _refuse_other_files(folder)
    _refuse_own_layers(tagger)
    _refuse_wide_pieces(tagger.tokenizer)
    model = _stock_model(tagger.encoder, heads[name])
    setattr(model.config, _MARK, name)
    tokenizer = deepcopy(tagger.tokenizer)
    tokenizer.model_max_length = longest_window(tagger.encoder) or tokenizer.model_max_length
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_card(card, folder, is_ours=True)  # other folders were refused
    return folder


def _refuse_other_files(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not is_exported_head(folder):
        raise WorkbookError(
            f"{folder} holds files that are no exported head; export into a new folder"
        )


def is_exported_head(folder: Path) -> bool:
    """Whether `export_head` wrote this folder."""
    config = folder / "config.json"
    return config.exists() and f'"{_MARK}"'.encode() in config.read_bytes()


def _refuse_own_layers(tagger) -> None:
    """Raises WorkbookError for layers that no stock model has."""
    for setting, (needed, reason) in _NEEDED.items():
        value = tagger.settings[setting]
        if value != needed:
            raise WorkbookError(
                f"{setting}={value!r} {reason}, so a stock model would find other spans; train "
                f"with {setting}={needed!r}, or share the whole tagger with push_to_hub"
            )


def _refuse_wide_pieces(tokenizer) -> None:
    """Raises WorkbookError for added words that take in the blank before them (`extra_words`)."""
    added = tokenizer.added_tokens_decoder.values()
    if any(token.lstrip and not token.special for token in added):
        raise WorkbookError(
            "extra_words gave words of this tokenizer a piece that holds the blank before it, "
            "which a pipeline takes for a part of a word; share the whole tagger with push_to_hub"
        )


def _stock_model(encoder: nn.Module, head: Head) -> nn.Module:
    """A stock token classifier with the weights of encoder and head."""
    from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING as CLASSIFIERS

    config = deepcopy(encoder.config)
    config.id2label = {i: label_of(tag) for i, tag in enumerate(head.tags)}
    config.label2id = {label: i for i, label in reversed(config.id2label.items())}
    model = CLASSIFIERS[type(config)](config) if type(config) in CLASSIFIERS else None
    linear = linear_classifier(model, encoder)
    if linear is None:
        raise WorkbookError(
            f"the stock token classifier of {config.model_type!r} is not one linear layer over the "
            "encoder's output, so it can't hold this head; take an encoder of the BERT or RoBERTa "
            "family, or share the whole tagger with push_to_hub"
        )
    model.base_model.load_state_dict(encoder.state_dict())
    linear.load_state_dict(head.linear.state_dict())
    return model


def linear_classifier(model: nn.Module | None, encoder: nn.Module) -> nn.Linear | None:
    """The linear layer that a stock classifier adds to this encoder.

    None where it is built on another encoder, or adds anything but dropout beside it.
    """
    if model is None or type(model.base_model) is not type(encoder):
        return None
    layers = [child for child in model.children() if child is not model.base_model]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    is_plain = all(isinstance(layer, nn.Linear | nn.Dropout) for layer in layers)
    return linear[0] if len(linear) == 1 and is_plain else None


def label_of(tag: str) -> str:
    """An IOBES tag in IOB2."""
    return _IN_IOB2.get(tag[0], tag[0]) + tag[1:]
