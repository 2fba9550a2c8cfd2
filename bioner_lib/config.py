"""RunConfig: everything that may change a number, and nothing else.

One flat, frozen record per run; its hash is part of the run's name.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType

from .choices import (
    CHARACTERS,
    DECODERS,
    ENCODERS,
    LABEL_PIECES,
    LAYOUTS,
    PRECISIONS,
    SAMPLING,
    SCHEMES,
    SENTENCE_HEADS,
    SHARING,
    SYSTEMS,
    UNANNOTATED,
)
from .config_checks import (
    as_tuple,
    check_combinations,
    check_range,
    check_type,
    check_weights,
    without_effect,
)
from .corpora.registry import CORPORA, split_name
from .errors import WorkbookError, unknown
from .home import exists, expanded

# the learning rate where none is given; base-size encoders take the published 3e-5
_LEARNING_RATES = {"minilm": 2e-4}
_DEFAULT_LEARNING_RATE = 3e-5
_DEFAULT_EPOCHS = 5


def _one_of(choices: Sequence[str], budget: bool = False):
    """A field whose default is the first choice."""
    return field(default=choices[0], metadata={"choices": choices, "budget": budget})


def _number(default: float, low: float, high: float, budget: bool = False):
    return field(default=default, metadata={"range": (low, high), "budget": budget})


def _budget(default: float, low: float, high: float):
    """A number that runs must share to be compared."""
    return _number(default, low, high, budget=True)


def _bound(**how):
    """A field that can be judged only beside the run's corpora or earlier runs."""
    return field(metadata={"bound": True}, **how)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training with one seed.

    A field without effect beside the others (`experts` without moe, for example) gets its default,
    so that one training has one name. Raises WorkbookError for unknown fields, wrong types and
    impossible combinations.

    >>> RunConfig(corpora="ncbi-disease", seed=42).run_id
    'ncbi-disease-minilm-per-type-s42-...'
    """

    corpora: tuple[str, ...] = _bound()  # trained on and scored (their test splits)
    also_test: tuple[str, ...] = _bound(default=())  # further corpora that are scored
    # corpora of both whose dev splits choose the epoch; () takes the gold ones that are trained on,
    # or, where all of those are silver, the gold ones of also_test
    chosen_on: tuple[str, ...] = _bound(default=())
    # "dictionary" is the baseline without a neural network; "ensemble" lets the taggers of `seeds`,
    # which are as this run is otherwise, tag together
    system: str = _one_of(SYSTEMS)
    seeds: tuple[int, ...] = _bound(default=())
    encoder: str = "minilm"  # alias, hub name or folder
    # frequent training words that the tokenizer cuts, each of which gets a piece of its own
    extra_words: int = _number(0, 0, 100_000)
    heads: str = _one_of(LAYOUTS)
    # types of the joint head, if it is to have more than the training corpora annotate
    types: tuple[str, ...] = _bound(default=())
    characters: str = _one_of(CHARACTERS)  # what heads read of a word beside the encoder
    sentence_head: str = _one_of(SENTENCE_HEADS)  # a head for whole sentences
    sentence_weight: float = _number(0.1, 0, 100)  # of its loss
    # between encoder and heads
    sharing: str = _one_of(SHARING)
    reversal: float = _number(0.01, 0, 100)  # adversarial: weight of the discriminator's loss
    orthogonality: float = _number(0.001, 0, 100)  # adversarial: weight of |S' P|^2
    experts: int = _number(4, 2, 256)  # moe
    balance: float = _number(0.01, 0, 100)  # moe: weight of the uneven load of the experts
    # heads and labels
    decoder: str = _one_of(DECODERS)
    scheme: str = _one_of(SCHEMES)  # IOBES was better on the dev split of ncbi-disease
    unannotated: str = _one_of(
        UNANNOTATED
    )  # what the loss makes of types a corpus doesn't annotate
    label_pieces: str = _one_of(LABEL_PIECES)
    loss_weights: Mapping[str, float] | str = _bound(default_factory=dict)  # or "uncertainty"
    corpus_weights: Mapping[str, float] = _bound(default_factory=dict)
    # earlier runs
    # run whose weights this one starts with (a second phase), or the folder or hub name of a
    # released token classifier
    start_from: str = _bound(default="")
    # run (or folder of a saved tagger) that labels the types which training sentences hide, or,
    # with `distillation`, whose probabilities are learned
    teacher: str = _bound(default="")
    confidence: float = _number(0.9, 0, 1)  # lowest tag probability of a sentence labelled by it
    distillation: float = _number(0.0, 0, 1)  # share of the teacher's probabilities in the loss
    # batches
    sampling: str = _one_of(SAMPLING)
    temperature: float = _number(2.0, 0.1, 1e9)  # of sampling="temperature"
    batch_size: int = _budget(16, 1, 4096)  # windows per batch
    max_pieces: int = _budget(4096, 16, 10**7)  # padded pieces per batch: a bound on memory
    max_length: int = _budget(256, 8, 8192)  # pieces per window, special tokens included
    overlap: int = _budget(64, 0, 8192)  # pieces that neighbouring windows share at most
    # pieces of the sentences beside it in its document that a sentence shows on each side
    context: int = _number(0, 0, 8192)
    limit: int = _budget(0, 0, 10**9)  # sentences per split; 0 keeps all
    epoch_size: int = _number(0, 0, 10**9)  # windows per epoch; 0 takes as many as there are
    # optimization
    epochs: int = field(default=0, metadata={"range": (0, 1000), "budget": True, "bound": True})
    learning_rate: float = _budget(0.0, 0, 1)  # 0 takes 2e-4 for minilm, 3e-5 for all others
    accumulate: int = _budget(1, 1, 4096)  # batches per step
    warmup: float = _budget(0.1, 0, 1)  # share of all steps
    weight_decay: float = _budget(0.01, 0, 10)
    dropout: float = _budget(0.1, 0, 0.9)
    clip: float = _budget(1.0, 1e-9, 1e9)  # largest norm of the gradient
    label_smoothing: float = _number(0.0, 0, 0.9)  # share of the target spread over all tags
    r_drop: float = _number(0.0, 0, 100)  # weight of the divergence between two dropout masks
    embedding_noise: float = _number(0.0, 0, 100)  # norm of the worst noise on word embeddings
    layer_decay: float = _number(1.0, 0.1, 1)  # learning rate of a layer over that of the next one
    average: int = _number(1, 1, 100)  # last epochs whose mean weights dev judges
    precision: str = _one_of(PRECISIONS, budget=True)  # auto: bf16 where the hardware has it
    # silver text may hold documents of a test split; the row says how many
    allow_shared_documents: bool = field(default=False, metadata={"budget": True})
    seed: int = _number(13, 0, 2**31)

    def __new__(cls, **given):
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown("RunConfig field", name, known)
        if "corpora" not in given:
            raise WorkbookError("RunConfig needs corpora=, e.g. corpora='ncbi-disease'")
        return super().__new__(cls)

    def __post_init__(self):
        for name in ("corpora", "also_test", "chosen_on"):
            self._set(name, _names(name, getattr(self, name)))
        self._set("types", tuple(dict.fromkeys(as_tuple("types", self.types, "'Gene'"))))
        self._check_types()
        self._set("encoder", _whole_encoder(self.encoder))
        self._set("start_from", _whole_start(self.start_from))
        self._set("teacher", _whole_start(self.teacher))
        if is_checkpoint(self.start_from):
            if self.encoder not in (FIELDS["encoder"].default, self.start_from):
                raise WorkbookError(
                    f"start_from={self.start_from!r} brings its own encoder; leave out "
                    f"encoder={self.encoder!r}"
                )
            self._set("encoder", self.start_from)
        self._set("corpus_weights", MappingProxyType(_weights(self.corpus_weights)))
        if not isinstance(self.loss_weights, str):
            weights = sorted(self.loss_weights.items())
            # a weight of 1 is the default of a head: two ways to write one configuration
            other = {head: float(weight) for head, weight in weights if weight != 1}
            self._set("loss_weights", MappingProxyType(other))
        self._check_values()
        check_combinations(self)
        for name in without_effect(self):
            self._set(name, FIELDS[name].default)
        other = {name: weight for name, weight in self.corpus_weights.items() if weight != 1}
        self._set("corpus_weights", MappingProxyType(other))
        if self.epochs == 0:
            entries = [CORPORA.get(split_name(name)[0], {}) for name in self.corpora]
            self._set("epochs", max(entry.get("epochs", _DEFAULT_EPOCHS) for entry in entries))
        if self.learning_rate == 0:
            self._set("learning_rate", default_learning_rate(self.encoder))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_types(self) -> None:
        for f in fields(self):
            if f.type in (int, float, str, bool):
                value = getattr(self, f.name)
                check_type(f.name, value, f.type.__name__)
                if f.type is float:
                    self._set(f.name, float(value))
        if not all(isinstance(type, str) for type in self.types):
            raise WorkbookError(f"types={self.types!r}; expected names such as 'Gene'")
        is_listed = isinstance(self.seeds, list | tuple)
        if not is_listed or not all(type(seed) is int for seed in self.seeds):
            raise WorkbookError(f"seeds={self.seeds!r}; expected numbers such as [13, 42, 1337]")
        self._set("seeds", tuple(sorted(set(self.seeds))))
        if self.seeds:
            self._set("seed", self.seeds[0])
        for listed in ("corpora", "also_test", "chosen_on"):
            names = getattr(self, listed)
            if not all(isinstance(name, str) for name in names):
                raise WorkbookError(
                    f"{listed}={names!r}; expected names such as 'bc5cdr' or 'bc5cdr:Disease'"
                )
        if self.loss_weights != "uncertainty":
            check_weights("loss_weights", self.loss_weights, "head", ", or 'uncertainty'")
        check_weights("corpus_weights", self.corpus_weights, "corpus")

    def _check_values(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            choices = f.metadata.get("choices")
            if choices and value not in choices:
                raise unknown(f.name, value, choices)
            check_range(f.name, value, f.metadata.get("range"))

    def as_dict(self) -> dict:
        """Plain JSON types."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @property
    def members(self) -> "dict[int, RunConfig]":
        """Seed -> the run of an ensemble's member; {} for every other system."""
        return {seed: replace(self, system="tagger", seeds=(), seed=seed) for seed in self.seeds}

    def __hash__(self) -> int:
        return hash(self.digest())

    def __reduce__(self):
        return _revive, (self.as_dict(),)

    def digest(self, leave_out: tuple[str, ...] = ()) -> str:
        """Hash of the fields that differ from their default, 8 hex digits.

        Runs that differ in their seed only share digest(("seed",)). A field that a later version
        adds doesn't change the names of earlier runs.
        """
        content = {}
        for f in fields(self):
            value = _plain(getattr(self, f.name))
            default = {} if f.name.endswith("_weights") else _plain(f.default)
            if f.name not in leave_out and value != default:
                content[f.name] = value
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def run_id(self) -> str:
        """The name of the run's folder: corpora, encoder, heads, seed, and a hash of all fields."""
        shown = f"{self.slug}-s{self.seed}"[:80].strip("-")
        return f"{shown}-{self.digest()}"

    @property
    def slug(self) -> str:
        """The readable part of the run id, without seed and hash."""
        parts = ["+".join(self.corpora), self.system]
        if self.system != "dictionary":
            parts[1:] = [self.encoder.rstrip("/").rsplit("/", 1)[-1], self.heads]
        if self.system == "ensemble":
            parts.append(self.system)
        return re.sub(r"[^A-Za-z0-9+.-]+", "-", "-".join(parts))


FIELDS = {f.name: f for f in fields(RunConfig)}
BUDGET = tuple(name for name, f in FIELDS.items() if f.metadata.get("budget"))
BOUND = tuple(name for name, f in FIELDS.items() if f.metadata.get("bound"))


def check_alone(name: str, value: object) -> None:
    """Raises WorkbookError for a value that is wrong whatever the other fields say."""
    kind = FIELDS[name].type
    if kind in (int, float, str, bool):
        check_type(name, value, kind.__name__)
    elif kind == tuple[str, ...]:
        if not all(isinstance(item, str) for item in as_tuple(name, value, "'Gene'")):
            raise WorkbookError(f"{name}={value!r}; expected names")
    elif not isinstance(value, str | list | tuple | Mapping):
        raise WorkbookError(f"{name}={value!r}; expected a list, or fields with their values")
    check_range(name, value, FIELDS[name].metadata.get("range"))


def _names(name: str, value: object) -> tuple:
    listed = as_tuple(name, value, "'bc5cdr'")
    if "" in listed:
        raise WorkbookError(f"{name}={value!r}: '' names no corpus")
    return tuple(_whole_path(item) if isinstance(item, str) else item for item in listed)


def _weights(given: Mapping[str, float]) -> dict[str, float]:
    return {_whole_path(name): float(weight) for name, weight in sorted(given.items())}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _whole_path(name: str) -> str:
    """A corpus's name; a folder is written from the root, so that one folder has one name."""
    base = split_name(name)[0]
    if base in CORPORA or not exists(base):
        return name
    return f"{expanded(base).resolve()}{name[len(base) :]}"


def default_learning_rate(encoder: str) -> float:
    """The learning rate of a run that gives none."""
    return _LEARNING_RATES.get(encoder, _DEFAULT_LEARNING_RATE)


def is_released(start: str) -> bool:
    """Whether `start_from` names a released checkpoint, a folder or owner/name, and not a run."""
    return "/" in start


def is_tagger(start: str) -> bool:
    """Whether `start_from` is the folder of a tagger that this workbook saved."""
    return exists(start) and (Path(start) / "tagger.json").exists()


def is_checkpoint(start: str) -> bool:
    """Whether `start_from` names a released token classifier, which brings its own encoder."""
    return is_released(start) and not is_tagger(start)


def _whole_encoder(name: str) -> str:
    """An encoder's name; a folder is written from the root."""
    is_folder = name not in ENCODERS and name and exists(name) and expanded(name).is_dir()
    return str(expanded(name).resolve()) if is_folder else name


def _whole_start(name: str) -> str:
    """A run id, or the folder of a saved tagger or checkpoint, written from the root."""
    folder = expanded(name)
    is_saved = exists(name) and any((folder / f).exists() for f in ("tagger.json", "config.json"))
    return _whole_encoder(name) if is_released(name) or is_saved else name


def _revive(given: dict) -> RunConfig:
    return RunConfig(**given)
