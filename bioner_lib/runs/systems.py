"""What a run tags with: a tagger that it trains, an ensemble of finished ones, or a dictionary."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..config import RunConfig
from ..corpora.corpus import Corpus
from ..corpora.schemes import flat
from ..corpora.splits import Split
from ..models.blocks import Cut
from ..models.ensemble import write_members
from ..models.hardware import autocast_dtype, device_name, processor_name
from ..models.heads import Prediction
from ..models.tagger import MultiTaskTagger
from ..silver.lexicons import Lexicon
from ..training import processes
from .scored import read_tagger

TRAIN = "train"  # what the first of several processes tells the others


@dataclass
class Making:
    """What a run is made with, and where.

    corpora, also   what is trained on, and what else is scored
    repairs         counts tag sequences that had to be mended
    """

    config: RunConfig
    working: Path
    progress: bool
    keep_model: bool
    track: str
    corpora: list[Corpus] = field(default_factory=list)
    also: list[Corpus] = field(default_factory=list)
    repairs: Counter = field(default_factory=Counter)


class _NeuralSystem:
    """What tags with a neural network; `cuts`: corpus -> its dev split, cut before."""

    def __init__(self, tagger, making: Making, cuts: Mapping[str, Cut]):
        self.tagger, self.repairs, self.cuts = tagger, making.repairs, cuts
        self.autocast = autocast_dtype(making.config.precision)

    def predict(self, split: Split, corpus: Corpus) -> list[list[Prediction]]:
        cut = self.cuts.get(corpus.name) if split.role == "dev" else None
        return self.tagger.predict(
            cut or split,
            corpus.name,
            corpus.types,
            autocast=self.autocast,
            repairs=self.repairs,
        )

    def sentence_types(self, split: Split) -> list[dict[str, float]] | None:
        """What the sentence head says of each sentence; None without one."""
        if self.tagger.sentence_head is None:
            return None
        return self.tagger.sentence_types(split, autocast=self.autocast)

    @property
    def device(self) -> dict:
        import torch

        return {
            "name": device_name(),
            "threads": torch.get_num_threads(),
            "processes": processes.count(),
            "precision": "bf16" if self.autocast else "fp32",
        }


class _TaggerSystem(_NeuralSystem):
    """A tagger: trained on creation."""

    def __init__(self, making: Making):
        from ..training.fitting import fit

        config = making.config
        processes.tell(TRAIN)
        fitted = fit(
            config, making.corpora, making.working, making.progress, making.track, making.also
        )
        if making.keep_model:
            fitted.tagger.save_pretrained(making.working / "model")
        super().__init__(fitted.tagger, making, fitted.cuts)
        self.history, self.cost, self.restored = fitted.history, fitted.cost, fitted.restored
        self.more = {"parameters": _parameters([self.tagger]), "self_labelled": fitted.labelled}


class _EnsembleSystem(_NeuralSystem):
    """The taggers of several seeds, which tag together."""

    restored = 0.0

    def __init__(self, making: Making):
        with _timed() as self.cost:
            names = [member.run_id for member in making.config.members.values()]
            write_members(names, making.working / "model")
            ensemble = read_tagger(making.working / "model")
        super().__init__(ensemble, making, {})
        self.history, self.more = [], {"parameters": _parameters(ensemble.members)}


class _DictionarySystem:
    """The baseline: the mentions of the training text, looked up."""

    restored = 0.0

    def __init__(self, making: Making):
        with _timed() as self.cost:
            self.lexicons = {c.name: Lexicon.from_mentions(c.train) for c in making.corpora}
        self.history, self.more = [], {}
        self.device = {
            "name": processor_name(),
            "threads": 1,
            "precision": "none",
        }

    def predict(self, split: Split, corpus: Corpus) -> list[list[Prediction]]:
        own = self.lexicons.get(corpus.name)
        lexicons = [own] if own else list(self.lexicons.values())
        found = []
        for sentence in split:
            spans = {span for lexicon in lexicons for span in lexicon.tag(sentence.tokens)}
            kept = flat(sorted(span for span in spans if span.type in corpus.types))
            found.append([Prediction(*span, 1.0) for span in kept])
        return found

    def sentence_types(self, split: Split) -> None:
        """A dictionary has no sentence head."""


SYSTEMS = {
    "tagger": _TaggerSystem,
    "ensemble": _EnsembleSystem,
    "dictionary": _DictionarySystem,
}


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """A dict that holds, at the end, how long it took: seconds, and process_seconds."""
    cost: dict[str, float] = {}
    started, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost["seconds"] = time.perf_counter() - started
    cost["process_seconds"] = time.process_time() - cpu


def _parameters(taggers: Iterable[MultiTaskTagger]) -> dict[str, int]:
    """Weights of each part, of all taggers together."""
    counts: dict[str, int] = {}
    for tagger in taggers:
        for name in ("encoder", "sharing", "heads", "characters", "sentence_head"):
            part = getattr(tagger, name)
            if part is not None:
                counts[name] = counts.get(name, 0) + sum(p.numel() for p in part.parameters())
    return counts
