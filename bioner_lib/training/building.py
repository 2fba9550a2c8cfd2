"""The tagger that a run starts with: fresh, or with the weights of an earlier run."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..config import RunConfig, is_checkpoint, is_tagger
from ..corpora.corpus import Corpus
from ..corpora.registry import split_name
from ..corpora.splits import refuse_test
from ..errors import WorkbookError, delete_run
from ..home import runs_folder
from ..models.encoders import load_encoder, load_tokenizer
from ..models.ensemble import Ensemble, difference, load_tagger
from ..models.heads import HeadPlan, layout_of
from ..models.importing import take_classifier
from ..models.sharing import OPTIONS
from ..models.tagger import MultiTaskTagger
from ..models.vocabulary import add_words, vocabulary

_LENGTHS = ("max_length", "overlap", "context")


def seed_everything(seed: int, epoch: int = 0) -> None:
    """Seed Python, numpy and torch for one epoch."""
    mixed = (seed * 1_000_003 + epoch) % 2**32
    random.seed(mixed)
    np.random.seed(mixed)
    torch.manual_seed(mixed)


def build(
    config: RunConfig, plans: Sequence[HeadPlan], corpora: Sequence[Corpus] = ()
) -> MultiTaskTagger:
    """A tagger with these heads: fresh, or with the weights that `start_from` names.

    With `extra_words` it reads the training sentences of `corpora`.
    """
    seed_everything(config.seed)
    settings = _settings(config)
    is_classifier = is_checkpoint(config.start_from)
    if not config.start_from or is_classifier:
        encoder, tokenizer = load_encoder(config.encoder, config.dropout)
        if config.extra_words:
            splits = [refuse_test(corpus.train, "extra_words") for corpus in corpora]
            words = (sentence.tokens for split in splits for sentence in split)
            add_words(encoder, tokenizer, words, config.extra_words)
        names = {"encoder_name": config.encoder}
        tagger = MultiTaskTagger(encoder, tokenizer, plans, **names, **settings)
        taken = take_classifier(tagger, config.start_from) if is_classifier else None
        _check_taught(config, [taken])
        return tagger
    first = first_phase(config)
    _check_continues(config, first)
    _check_taught(config, [plan.name for plan in first.plans])
    first.settings |= {name: getattr(config, name) for name in _LENGTHS}
    return first.extended(plans)


def _check_taught(config: RunConfig, known: Sequence[str | None]) -> None:
    """Raises WorkbookError for a head with weight 0 that no earlier run taught."""
    weights = {} if isinstance(config.loss_weights, str) else config.loss_weights
    untaught = [head for head, weight in weights.items() if weight == 0 and head not in known]
    if untaught:
        raise WorkbookError(
            f"loss_weights gives {untaught} the weight 0, and start_from={config.start_from!r} has "
            "taught them nothing: give a weight above 0, or leave their corpora out"
        )


def _settings(config: RunConfig) -> dict:
    """The fields of a configuration that a tagger takes."""
    names = ("scheme", "dropout", "label_pieces", "decoder", "sharing", *_LENGTHS)
    names += ("characters", "sentence_head")
    coefficients = ("reversal", "orthogonality", "experts", "balance")
    settings = {name: getattr(config, name) for name in names}
    settings["sharing_options"] = {name: getattr(config, name) for name in coefficients}
    return settings


def _check_continues(config: RunConfig, first: MultiTaskTagger) -> None:
    """Raises WorkbookError unless a second phase fits the tagger of the first one."""
    start = f"start_from={config.start_from!r}"
    if first.encoder_name != config.encoder:
        raise WorkbookError(
            f"{start} trained encoder {first.encoder_name!r}, this run says {config.encoder!r}; "
            "a second phase goes on with the same encoder"
        )
    if vocabulary(first.tokenizer) != vocabulary(load_tokenizer(config.encoder)):
        raise WorkbookError(
            f"{start} has another tokenizer than encoder {config.encoder!r} has now"
        )
    kept = ("scheme", "label_pieces", "decoder", "sharing", "characters", "sentence_head")
    kept += OPTIONS[config.sharing]
    then = first.settings | first.settings["sharing_options"]
    now = {name: getattr(config, name) for name in kept} | {"heads": config.heads}
    then["heads"] = layout_of(first.plans)
    for name, value in now.items():
        if then[name] != value:
            raise WorkbookError(
                f"{start} was trained with {name}={then[name]!r}, this run says {value!r}; "
                "a second phase keeps it"
            )


def check_context(config: RunConfig, corpora: Sequence[Corpus]) -> None:
    """Raises WorkbookError where sentences would show their neighbours, and none has any."""
    if config.context and not any(corpus.documented for corpus in corpora):
        raise WorkbookError(
            f"context={config.context} shows a document's sentences beside each other, and "
            f"{[corpus.name for corpus in corpora]} don't say which sentences make a document; "
            "take a corpus that does (as bc5cdr-pubtator, ncbi-disease-pubtator), or context=0"
        )
    for name, corpus in zip(config.corpora, corpora, strict=True):
        if config.context and corpus.silver and (config.limit or split_name(name)[1]):
            raise WorkbookError(
                f"context={config.context} shows neighbouring sentences, and a part of the silver "
                f"text {name!r} holds single sentences; take all of it, or context=0"
            )


def first_phase(config: RunConfig) -> MultiTaskTagger:
    """The tagger that `start_from` names, to be trained on; errors as for `teacher_of`, and for an
    ensemble.
    """
    return MultiTaskTagger.from_pretrained(_saved(config, "start_from"), config.dropout)


def teacher_of(config: RunConfig) -> MultiTaskTagger | Ensemble:
    """The tagger that `teacher` names.

    Raises WorkbookError where that run isn't finished, or kept no tagger.
    """
    return load_tagger(_saved(config, "teacher"))


def soft_teacher(config: RunConfig, pupil: MultiTaskTagger) -> MultiTaskTagger | Ensemble | None:
    """The tagger whose probabilities a pupil learns (`distillation`), or None.

    Raises WorkbookError as `teacher_of`, and for one that reads other pieces or gives other tags.
    """
    if not config.distillation:
        return None
    teacher = teacher_of(config).eval()
    if differs := difference(pupil, teacher):
        name, own, others = differs
        raise WorkbookError(
            f"teacher={config.teacher!r} has {name} {others!r}, this run {own!r}: a pupil that "
            "learns its probabilities (distillation) needs the same"
        )
    return teacher


def _saved(config: RunConfig, field: str) -> Path:
    """The folder of the tagger that a field names: a saved one, or that of an earlier run."""
    if is_tagger(getattr(config, field)):
        return Path(getattr(config, field))
    folder = runs_folder() / getattr(config, field)
    if (folder / "model").is_dir():
        return folder / "model"
    if (folder / "run.json").exists():
        config = json.loads((folder / "run.json").read_text(encoding="utf-8"))["config"]
        if config["system"] == "dictionary":
            raise WorkbookError(
                f"{field}={folder.name!r} is a dictionary, which has no tagger; name a tagger's run"
            )
        raise WorkbookError(
            f"{field}={folder.name!r}: that run is finished but left no tagger (keep_model=False); "
            f"delete it, {delete_run(folder.name)}, and make it again with its model"
        )
    raise WorkbookError(
        f"{field}={folder.name!r}: no finished run of that name in {folder.parent}; make that run "
        "first"
    )
