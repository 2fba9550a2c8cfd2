"""Checks of RunConfig's values: of one alone, and of several together."""

import re
from collections.abc import Mapping
from math import isfinite

from .errors import WorkbookError, unknown

_KINDS = {
    "int": int,
    "float": (int, float),
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
}


def check_type(name: str, value: object, kind: str, of: str = "") -> None:
    """Raises WorkbookError unless a value is of the kind (int, float, str …) that was declared."""
    expected = _KINDS.get(kind)
    if expected is None:
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and kind != "bool"):
        got = type(value).__name__
        raise WorkbookError(f"{name}={value!r}{of} is {got}; expected {kind}{number_hint(value)}")


def check_range(name: str, value: float, bounds: tuple[float, float] | None) -> None:
    """Raises WorkbookError for a number outside its bounds (None: any number is right)."""
    low, high = bounds or (None, None)
    if low is not None and not low <= value <= high:
        raise WorkbookError(f"{name}={value}; expected {low} to {high}")


def as_tuple(name: str, value: object, example: str) -> tuple:
    """One name or several, as a tuple."""
    if not isinstance(value, str | list | tuple):
        raise WorkbookError(f"{name}={value!r}; expected a name such as {example}, or a list")
    return (value,) if isinstance(value, str) else tuple(value)


def check_weights(name: str, value: object, by: str, other: str = "") -> None:
    """Raises WorkbookError unless a value maps names to numbers of 0 or more."""
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(v, int | float) and isfinite(v)
        for key, v in value.items()
    ):
        raise WorkbookError(
            f"{name}={value!r}; expected numbers by {by}, e.g. {{'Disease': 0.5}}{other}"
        )
    if negative := {key: weight for key, weight in value.items() if weight < 0}:
        raise WorkbookError(f"{name}={negative}; weights are 0 or more")


def number_hint(value: object) -> str:
    """What to write instead of a number that YAML reads as text."""
    is_number = isinstance(value, str) and re.fullmatch(r"\d+e-?\d+", value)
    return "; in YAML write it with a point, e.g. 3.0e-5" if is_number else ""


def check_combinations(config) -> None:
    """Raises WorkbookError for fields of a RunConfig that contradict each other."""
    _check_corpora(config)
    _check_system(config)
    _check_sizes(config)
    _check_losses(config)
    _check_earlier_runs(config)


def without_effect(config) -> list[str]:
    """The fields of a RunConfig that change nothing beside its other fields."""
    has_labeller = bool(config.teacher) and not config.distillation
    # a teacher that labels moves sentences into corpora of their own
    draws = len(config.corpora) > 1 or has_labeller
    acts = {
        "reversal": config.sharing == "adversarial",
        "orthogonality": config.sharing == "adversarial",
        "experts": config.sharing == "moe",
        "balance": config.sharing == "moe",
        "sentence_weight": config.sentence_head != "none",
        "temperature": draws and config.sampling == "temperature",
        "sampling": draws,
        "confidence": has_labeller,
        # a head of one type learns from the corpora that annotate it, as with "mask"
        "unannotated": (config.heads, config.unannotated) != ("per-type", "marginal"),
    }
    return [name for name, does in acts.items() if not does]


def _check_corpora(config) -> None:
    trained, tested = list(config.corpora), list(config.also_test)
    if not trained or len({*trained, *tested}) != len(trained + tested):
        raise WorkbookError(
            f"corpora={trained}, also_test={tested}; expected at least one to train on, each once"
        )
    for name in config.chosen_on:
        if name not in trained + tested:
            raise unknown("corpus in chosen_on", name, trained + tested)
    for name in config.corpus_weights:
        if name not in config.corpora:
            raise unknown("corpus in corpus_weights", name, config.corpora)


def _check_system(config) -> None:
    if (config.system == "ensemble") != (len(config.seeds) > 1):
        raise WorkbookError(
            f"system={config.system!r}, seeds={list(config.seeds)}; an ensemble takes two seeds or "
            "more, as in system='ensemble', seeds=[13, 42, 1337], and no other system any"
        )
    if config.system == "dictionary" and (config.start_from or config.teacher):
        raise WorkbookError(
            f"system='dictionary' looks up the mentions of its training text; leave out "
            f"start_from={config.start_from!r} and teacher={config.teacher!r}"
        )
    if config.types and config.heads != "joint":
        raise WorkbookError(
            f"types={list(config.types)} declares the types of a joint head, but "
            f"heads={config.heads!r}; take heads='joint', or leave types out"
        )


def _check_sizes(config) -> None:
    if config.overlap > config.max_length - 3:
        raise WorkbookError(f"overlap={config.overlap}; expected 0 to {config.max_length - 3}")
    if config.max_pieces < config.max_length:
        raise WorkbookError(
            f"max_pieces={config.max_pieces} can't hold one window of "
            f"max_length={config.max_length}"
        )


def _check_losses(config) -> None:
    if config.r_drop and not config.dropout:
        raise WorkbookError(
            f"r_drop={config.r_drop} compares two dropout masks, and dropout=0 makes none; give a "
            "dropout above 0"
        )
    for name in ("label_smoothing", "r_drop", "distillation"):
        if getattr(config, name) and config.decoder == "crf":
            raise WorkbookError(
                f"{name}={getattr(config, name)} compares tag probabilities of single words; it "
                "needs decoder='softmax'"
            )
    shows_absence = config.unannotated == "negative" and config.sentence_head != "none"
    if config.heads == "per-corpus" and config.unannotated != "mask" and not shows_absence:
        raise WorkbookError(
            f"unannotated={config.unannotated!r} does nothing with heads='per-corpus': each head "
            "learns from its own corpus, which annotates all of its types; leave unannotated out, "
            "or take heads='per-type' or 'joint'"
        )
    passes = {name: getattr(config, name) for name in ("r_drop", "embedding_noise", "distillation")}
    given = [f"{name}={value}" for name, value in passes.items() if value]
    if len(given) > 1:
        raise WorkbookError(f"{' and '.join(given)} each take a second pass; use one of them")
    if config.sentence_head != "none" and not config.sentence_weight:
        raise WorkbookError(
            f"sentence_weight=0 would teach sentence_head={config.sentence_head!r} nothing; give a "
            "weight above 0"
        )
    weights = {} if isinstance(config.loss_weights, str) else config.loss_weights
    untaught = [head for head, weight in weights.items() if weight == 0]
    if untaught and not config.start_from:
        raise WorkbookError(
            f"loss_weights gives {untaught} the weight 0: such a head would tag what nothing "
            "taught it. Leave its corpora out, or give a weight above 0; with start_from a 0 "
            "keeps what an earlier run taught"
        )


def _check_earlier_runs(config) -> None:
    if config.extra_words and config.start_from:
        raise WorkbookError(
            f"extra_words={config.extra_words}, start_from={config.start_from!r}: a second phase "
            "keeps the pieces of the first; leave extra_words out"
        )
    if config.distillation and not config.teacher:
        raise WorkbookError(
            f"distillation={config.distillation} is the share of a teacher's probabilities in the "
            "loss; name a finished run with teacher="
        )
    labels = config.teacher and not config.distillation
    if labels and config.context:
        raise WorkbookError(
            f"context={config.context} shows neighbouring sentences, and teacher= moves some "
            "sentences of a document away from the others; use one of them"
        )
    if labels and config.heads == "per-corpus":
        raise WorkbookError(
            "teacher= needs heads='per-type' or 'joint': with 'per-corpus' no head would "
            "learn from the teacher's labels"
        )
