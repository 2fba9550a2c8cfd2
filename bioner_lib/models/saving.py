"""The folder of a saved tagger.

    tagger.json          format, name of the encoder, heads, settings
    tagger.safetensors   all weights
    encoder/             the encoder's config.json, and the tokenizer
    config.json          a model type that stock loaders refuse, as they would invent weights for
                         the heads
    calibration.json     what dev taught about its scores, if `calibrate` was called
    README.md            the model card, if one was given; without one, that of an earlier tagger
                         in this folder is deleted

An ensemble's folder (format 4) has a tagger.json with the names of its members: folders beside it,
or runs.

Format 1 (version 0.4.0 and earlier): tagger.json has no format number, the weights are in
model.safetensors, and the encoder's files lie beside them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from ..errors import WorkbookError
from .encoders import SAFE, for_words, with_dropout, without_pooler
from .heads import HeadPlan
from .span_scores import FILE as CALIBRATION
from .span_scores import Calibration, write_calibration

FORMAT = 3  # 3: characters and a sentence head
# what loading reads
FILES = ("*tagger.json", "*tagger.safetensors", "*encoder/*", CALIBRATION)
MEMBERS = "members"  # the field of tagger.json that only an ensemble has
_MODEL_TYPE = "bioner-multitask"


def write_tagger(tagger, folder: Path, card: object = "") -> None:
    """Write a MultiTaskTagger's folder; raises OSError where it can't be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_model

    is_ours = (folder / "tagger.json").exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        save_model(tagger, str(folder / "tagger.safetensors"))
    except SafetensorError as error:
        raise OSError(None, str(error), str(folder)) from error
    tagger.encoder.config.save_pretrained(folder / "encoder")
    tagger.tokenizer.save_pretrained(folder / "encoder")
    description = {
        "format": FORMAT,
        "encoder": tagger.encoder_name,
        "heads": [asdict(plan) for plan in tagger.plans],
        **tagger.settings,
    }
    write_stock_config(folder)
    (folder / "tagger.json").write_text(json.dumps(description, indent=1))
    keep_calibration(tagger.calibration, folder)
    write_card(card, folder, is_ours)


def keep_calibration(calibration: Calibration | None, folder: Path) -> None:
    """Write a tagger's calibration into its folder; without one, delete that of other weights."""
    if calibration is None:
        (folder / CALIBRATION).unlink(missing_ok=True)
    else:
        write_calibration(calibration.about, folder)


def write_stock_config(folder: Path) -> None:
    """Write the config.json that stock loaders refuse."""
    (folder / "config.json").write_text(json.dumps({"model_type": _MODEL_TYPE}))


def write_card(card: object, folder: Path, is_ours: bool) -> None:
    """Write a model card, a ModelCard or its text, as the folder's README.md.

    For "", delete the card of an earlier model where the folder `is_ours`.
    """
    path = folder / "README.md"
    if text := str(card):
        path.write_text(text, encoding="utf-8")
    elif is_ours:
        path.unlink(missing_ok=True)


def read_description(folder: Path) -> tuple[dict, list[HeadPlan]]:
    """A saved tagger's settings and its heads.

    Raises WorkbookError for a folder without tagger.json, for a newer format, and for an ensemble.
    """
    path, description = folder / "tagger.json", _read_json(folder)
    if members := description.get(MEMBERS):
        raise WorkbookError(
            f"{path} is an ensemble, which can only tag (read_tagger loads it); for more training, "
            f"or for one head, take one of its members: {members}"
        )
    format = description.pop("format", 1)
    if format > FORMAT:
        raise WorkbookError(
            f"{path} has format {format}, which a newer version of the workbook writes; this "
            f"version reads formats up to {FORMAT}: update bioner-workbook"
        )
    plans = []
    for plan in description.pop("heads"):
        types, corpora = tuple(plan["types"]), tuple(plan["corpora"])
        plans.append(HeadPlan(plan["name"], types, corpora, plan["exclusive"]))
    return description, plans


def read_members(folder: Path) -> list[str]:
    """The names of an ensemble's members; none for a tagger. Errors as for `read_description`."""
    return _read_json(folder).get(MEMBERS, [])


def _read_json(folder: Path) -> dict:
    path = folder / "tagger.json"
    if not path.exists():
        raise WorkbookError(
            f"{folder} holds no tagger.json; a tagger's folder is a run's model/ folder, or what "
            "save_pretrained wrote"
        )
    with _reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no settings")
    return content


def read_encoder(folder: Path, dropout: float):
    """(encoder, tokenizer) of a saved tagger; the encoder's weights are random until
    `read_weights`. Raises WorkbookError for damaged files.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    own = folder / "encoder"
    source = own if own.is_dir() else folder  # format 1
    with _reading(source):
        config = with_dropout(AutoConfig.from_pretrained(source, **SAFE), dropout)
        options = {"dtype": torch.float32, **SAFE, **without_pooler(config)}
        encoder = AutoModel.from_config(config, **options)
        tokenizer = AutoTokenizer.from_pretrained(source, **SAFE)
    return encoder, for_words(tokenizer, str(folder))


def read_weights(tagger, folder: Path) -> None:
    """Read a saved tagger's weights; raises WorkbookError for a missing or damaged file."""
    from safetensors.torch import load_model

    path = folder / "tagger.safetensors"
    if not path.exists() and (folder / "model.safetensors").exists():
        path = folder / "model.safetensors"  # format 1
    with _reading(path):
        load_model(tagger, str(path))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """One error, which names the file, for all the ways in which reading fails."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WorkbookError(
            f"{path} can't be read ({reason}); save, copy or download the tagger again"
        ) from None
