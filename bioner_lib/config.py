"""RunConfig: everything that may change a number, nothing else; flat, frozen, hashed into the run's name."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType

from .choices import (
    DECODERS,
    ENCODERS,
    LABEL_PIECES,
    LAYOUTS,
    PRECISIONS,
    SAMPLING,
    SCHEMES,
    SHARING,
    SYSTEMS,
    UNANNOTATED,
)
from .corpora.registry import CORPORA, split_name
from .errors import WorkbookError, unknown
from .home import expanded, is_there

# what suits an encoder where learning_rate is left at 0; base-size encoders take the published 3e-5
_LEARNING_RATES = {"minilm": 2e-4}
_CHOICES = {
    "system": SYSTEMS, "heads": LAYOUTS, "scheme": SCHEMES, "unannotated": UNANNOTATED, "label_pieces": LABEL_PIECES,
    "sampling": SAMPLING, "precision": PRECISIONS, "decoder": DECODERS, "sharing": SHARING,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training with one seed. Raises WorkbookError for unknown keys, wrong types and impossible combinations.

    >>> RunConfig(corpora="ncbi-disease", seed=42).run_id
    'ncbi-disease-minilm-per-type-s42-...'
    """

    corpora: tuple[str, ...]  # trained on, chosen on their dev, scored on their test
    also_test: tuple[str, ...] = ()  # scored after training, never chosen on
    system: str = "tagger"  # "dictionary" is the baseline without a neural network
    encoder: str = "minilm"  # alias, hub name or folder
    heads: str = "per-type"  # or per-corpus, joint
    sharing: str = (
        "hard"  # what stands between encoder and heads: or private, adversarial, cross, moe
    )
    reversal: float = 0.01  # weight of the discriminator's loss, sharing="adversarial"
    orthogonality: float = 0.001  # weight of |S' P|^2, sharing="adversarial"
    experts: int = 4  # sharing="moe"
    balance: float = 0.01  # weight of the router's uneven load, sharing="moe"
    decoder: str = "softmax"  # or crf
    scheme: str = "IOBES"  # chosen over IOB2 on the dev split of ncbi-disease
    unannotated: str = "mask"  # what a corpus's silence means: not asked; or marginal (summed over), negative (absent)
    label_pieces: str = "first"  # of a word's pieces; or all
    loss_weights: Mapping[str, float] | str = field(
        default_factory=dict
    )  # head -> lambda, 1 where missing; or "uncertainty"
    corpus_weights: Mapping[str, float] = field(
        default_factory=dict
    )  # corpus -> factor of what it teaches, 1 where missing
    start_from: str = ""  # run whose weights this one begins with: a second phase
    teacher: str = ""  # run that labels the types which training sentences hide
    confidence: float = (
        0.9  # least probability of a sentence's tags for the teacher's labels to count
    )
    sampling: str = (
        "proportional"  # or sqrt, uniform, temperature, main (half from the first corpus)
    )
    temperature: float = 2.0  # of sampling="temperature"
    epochs: int = 0  # 0 takes 5, or what the registry says of a corpus (the small sample: 8)
    learning_rate: float = 0.0  # 0 takes 2e-4 for the alias minilm, 3e-5 for any other
    batch_size: int = 16  # windows a step
    max_pieces: int = 4096  # padded pieces a step, a bound on memory
    accumulate: int = 1  # batches a step
    warmup: float = 0.1  # share of all steps
    weight_decay: float = 0.01
    dropout: float = 0.1
    clip: float = 1.0  # largest norm of the gradient
    max_length: int = 256  # pieces a window, special tokens included
    overlap: int = 64  # pieces that neighbouring windows share at most
    precision: str = "auto"  # bf16 where the hardware multiplies it, else fp32; or say which
    allow_shared_documents: bool = (
        False  # silver text may hold documents of a test split; the row says how many
    )
    limit: int = 0  # sentences per split, 0 keeps all
    seed: int = 13

    def __new__(cls, **given):
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown("RunConfig field", name, known)
        if "corpora" not in given:
            raise WorkbookError("RunConfig needs corpora=, e.g. corpora='ncbi-disease'")
        return super().__new__(cls)

    def __post_init__(self):
        for name in ("corpora", "also_test"):
            value = getattr(self, name)
            if not isinstance(value, str | list | tuple):
                raise WorkbookError(
                    f"{name}={value!r}; expected a name such as 'bc5cdr', or a list of them"
                )
            value = (value,) if isinstance(value, str) else tuple(value)
            object.__setattr__(
                self,
                name,
                tuple(
                    _whole_path(corpus) if isinstance(corpus, str) else corpus for corpus in value
                ),
            )
        self._check_types()
        object.__setattr__(self, "encoder", _whole_encoder(self.encoder))
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        corpora = {
            _whole_path(name): float(weight) for name, weight in sorted(self.corpus_weights.items())
        }
        object.__setattr__(self, "corpus_weights", MappingProxyType(corpora))
        if not isinstance(
            self.loss_weights, str
        ):  # a weight of 1 is what stands where none is given
            heads = {
                name: float(weight)
                for name, weight in sorted(self.loss_weights.items())
                if weight != 1
            }
            object.__setattr__(self, "loss_weights", MappingProxyType(heads))
        self._check_values()
        if self.epochs == 0:
            own = (CORPORA.get(split_name(name)[0], {}).get("epochs", 5) for name in self.corpora)
            object.__setattr__(self, "epochs", max(own))
        if self.learning_rate == 0:
            object.__setattr__(self, "learning_rate", _LEARNING_RATES.get(self.encoder, 3e-5))

    def _check_types(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            kind = {"int": int, "float": (int, float), "str": str, "bool": bool}.get(
                getattr(f.type, "__name__", str(f.type))
            )
            if kind and (
                not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
            ):
                raise WorkbookError(
                    f"{f.name}={value!r} is {type(value).__name__}; expected {f.type.__name__}{number_hint(value)}"
                )
            if kind == (int, float):
                object.__setattr__(self, f.name, float(value))
        if not all(isinstance(name, str) for name in self.corpora + self.also_test):
            raise WorkbookError(
                f"corpora={self.corpora!r}; expected names such as 'bc5cdr' or 'bc5cdr:Disease'"
            )
        for name, kind in (("loss_weights", "head"), ("corpus_weights", "corpus")):
            value = getattr(self, name)
            numbers = isinstance(value, Mapping) and all(
                isinstance(v, int | float) for v in value.values()
            )
            if not numbers and not (name == "loss_weights" and value == "uncertainty"):
                other = ", or 'uncertainty'" if name == "loss_weights" else ""
                raise WorkbookError(
                    f"{name}={value!r}; expected numbers by {kind}, e.g. {{'Disease': 0.5}}{other}"
                )

    def _check_values(self) -> None:
        named = self.corpora + self.also_test
        if not self.corpora or len(set(named)) != len(named):
            raise WorkbookError(
                f"corpora={list(self.corpora)}, also_test={list(self.also_test)}; expected at least one to train on, each once"
            )
        for name, low, high in (
            ("epochs", 0, 1000), ("batch_size", 1, 4096), ("accumulate", 1, 4096), ("max_pieces", 16, 10**7), ("max_length", 8, 8192),
            ("overlap", 0, self.max_length - 3), ("limit", 0, 10**9), ("seed", 0, 2**31), ("warmup", 0, 1), ("dropout", 0, 0.9),
            ("learning_rate", 0, 1), ("weight_decay", 0, 10), ("clip", 1e-9, 1e9), ("temperature", 0.1, 1e9), ("confidence", 0, 1),
            ("reversal", 0, 100), ("orthogonality", 0, 100), ("balance", 0, 100), ("experts", 2, 256),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise WorkbookError(f"{name}={getattr(self, name)}; expected {low} to {high}")
        if self.max_pieces < self.max_length:
            raise WorkbookError(
                f"max_pieces={self.max_pieces} can't hold one window of max_length={self.max_length}"
            )
        for name in ("loss_weights", "corpus_weights"):
            value = getattr(self, name)
            if (
                negative := {key: weight for key, weight in value.items() if weight < 0}
                if isinstance(value, Mapping)
                else {}
            ):
                raise WorkbookError(f"{name}={negative}; weights are 0 or more")
        if self.teacher and self.heads == "per-corpus":
            raise WorkbookError(
                "teacher= needs heads='per-type' or 'joint': with 'per-corpus' what it labels would teach nobody's head"
            )
        if strange := [name for name in self.corpus_weights if name not in self.corpora]:
            raise unknown("corpus in corpus_weights", strange[0], self.corpora)

    def as_dict(self) -> dict:
        """Plain JSON types."""
        return {
            f.name: dict(v)
            if isinstance(v := getattr(self, f.name), Mapping)
            else list(v)
            if isinstance(v, tuple)
            else v
            for f in fields(self)
        }

    def __hash__(self) -> int:
        return hash(self.digest())

    def __reduce__(self):
        return _revive, (self.as_dict(),)

    def digest(self, leave_out: tuple[str, ...] = ()) -> str:
        """8 hex digits over the fields that aren't at their default; runs that differ only in their seed share digest(("seed",)).

        A field that a later version adds with a neutral default leaves the names of earlier runs as they are.
        """
        neutral = {
            f.name: {}
            if f.name.endswith("_weights")
            else list(f.default)
            if isinstance(f.default, tuple)
            else f.default
            for f in fields(self)
        }
        content = {
            key: value
            for key, value in self.as_dict().items()
            if key not in leave_out and value != neutral[key]
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def run_id(self) -> str:
        """The name of the run's folder: what a person looks for, then 8 hex digits of the whole config."""
        return f"{f'{self.slug}-s{self.seed}'[:80].strip('-')}-{self.digest()}"

    @property
    def slug(self) -> str:
        """What a person looks for, without seed and hash."""
        what = (
            [self.encoder.rstrip("/").rsplit("/", 1)[-1], self.heads]
            if self.system == "tagger"
            else [self.system]
        )
        return re.sub(r"[^A-Za-z0-9+.-]+", "-", "-".join(["+".join(self.corpora), *what]))


def _whole_path(name: str) -> str:
    """A folder's name from the root, however it was spelt; any other name as it is."""
    base = split_name(name)[0]
    known = base in CORPORA or not is_there(base)
    return name if known else f"{expanded(base).resolve()}{name[len(base) :]}"


def _whole_encoder(name: str) -> str:
    """An encoder's folder from the root, so that one name is one encoder wherever a run is started; an alias or hub name as it is."""
    if name in ENCODERS or not is_there(name) or not expanded(name).is_dir():
        return name
    return str(expanded(name).resolve())


def _revive(given: dict) -> RunConfig:
    return RunConfig(**given)


def number_hint(value: object) -> str:
    """What to write for a number that YAML took for text."""
    return (
        "; in YAML write it with a point, e.g. 3.0e-5"
        if isinstance(value, str) and re.fullmatch(r"\d+e-?\d+", value)
        else ""
    )


def read_config(said: Sequence[str]) -> RunConfig:
    """A configuration of `field=value` (values as in YAML), or of YAML or JSON files; what comes later counts.

    Raises WorkbookError for what is neither, and for fields or values that RunConfig refuses.
    """
    import yaml

    fields = {}
    for part in said:
        name, equals, value = part.partition("=")
        given = equals and not is_there(part)
        if not given and not (is_there(part) and Path(part).is_file()):
            raise WorkbookError(f"{part!r} is neither field=value nor a file")
        try:
            content = yaml.safe_load(value if given else Path(part).read_text(encoding="utf-8"))
        except (
            yaml.YAMLError,
            ValueError,
            RecursionError,
        ) as error:  # a ValueError for 2026-13-45 and for other bytes than UTF-8
            raise WorkbookError(f"{part[:200]}: not YAML: {error}") from None
        if given:
            fields[name] = content
            continue
        if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
            raise WorkbookError(f"{part}: expected fields of RunConfig with their values")
        fields |= content
    return RunConfig(**fields)
