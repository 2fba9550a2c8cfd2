"""Windows -> batches: buckets of like length, a bound on pieces, a policy for how often each corpus is drawn.

B windows   P pieces   N labelled pieces (words, with label_pieces="first")
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import torch

from ..choices import SAMPLING
from ..corpora.schemes import Span, tag_names, to_tags
from ..corpora.text import Sentence
from ..errors import unknown
from .alignment import Aligner, Window

IGNORED = -100
PAD_TO = 8  # batches are as wide as a multiple of this: few distinct shapes, so kernels are compiled once for each
POOL = 32  # batches that are sorted by length together: larger pads less, smaller mixes more


@dataclass(frozen=True, slots=True)
class Example:
    """A window with one tag index a labelled piece for every head; `corpus` says who annotated it."""

    window: Window
    corpus: int
    tags: dict[str, list[int]]


@dataclass
class Batch:
    """input_ids, attention_mask (B P); positions, valid (B N); corpus, opens, closes (B); tags: head -> (B N), IGNORED where not valid."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    positions: torch.Tensor
    valid: torch.Tensor
    corpus: torch.Tensor
    opens: torch.Tensor
    closes: torch.Tensor
    tags: dict[str, torch.Tensor]

    def to(self, device) -> "Batch":
        tags = {head: tags.to(device, non_blocking=True) for head, tags in self.tags.items()}
        names = ("input_ids", "attention_mask", "positions", "valid", "corpus", "opens", "closes")
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in names), tags)

    @property
    def inputs(self) -> dict[str, torch.Tensor]:
        """What the tagger's forward takes."""
        return {
            name: getattr(self, name)
            for name in ("input_ids", "attention_mask", "positions", "valid", "corpus")
        }


def make_examples(
    aligner: Aligner,
    sentences: Sequence[Sentence],
    corpus: int,
    heads: Mapping[str, Sequence[str]],
    scheme: str,
) -> list[Example]:
    """Sentences of one corpus -> examples with tags for every head (`heads`: name -> types)."""
    index = {
        head: {tag: i for i, tag in enumerate(tag_names(types, scheme))}
        for head, types in heads.items()
    }
    examples = []
    for number, windows in groupby(
        aligner.windows([sentence.tokens for sentence in sentences]),
        key=lambda window: window.sentence,
    ):
        windows = list(windows)
        words = [word for window in windows for word in window.words]
        spans = _piece_spans(sentences[number].spans, words)
        # the sentence is tagged as a whole, then cut: a mention across a border is still one mention
        tags = {}
        for head, types in heads.items():
            names = to_tags([span for span in spans if span[2] in types], len(words), scheme)
            tags[head] = iter([index[head][name] for name in names])
        for window in windows:
            examples.append(
                Example(
                    window,
                    corpus,
                    {head: list(islice(tags[head], len(window.words))) for head in heads},
                )
            )
    return examples


def _piece_spans(spans: list[Span], words: list[int]) -> list[Span]:
    """Word spans -> spans over labelled pieces, of which `words` names the words."""
    result = []
    for start, end, name in spans:
        inside = [i for i, word in enumerate(words) if start <= word < end]
        if inside:
            result.append((inside[0], inside[-1] + 1, name))
    return result


def collate(examples: Sequence[Example], pad: int) -> Batch:
    """Pad to the longest, rounded up to a multiple of PAD_TO; positions of padding point at 0 and are not valid."""

    def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
        width = -(-max(map(len, rows)) // PAD_TO) * PAD_TO
        return torch.tensor([row + [fill] * (width - len(row)) for row in rows])

    ids = [example.window.input_ids for example in examples]
    positions = [example.window.positions for example in examples]
    return Batch(
        input_ids=padded(ids, pad),
        attention_mask=padded([[1] * len(row) for row in ids], 0),
        positions=padded(positions, 0),
        valid=padded([[1] * len(row) for row in positions], 0).bool(),
        corpus=torch.tensor([example.corpus for example in examples]),
        opens=torch.tensor([example.window.opens for example in examples]),
        closes=torch.tensor([example.window.closes for example in examples]),
        tags={
            head: padded([example.tags[head] for example in examples], IGNORED)
            for head in examples[0].tags
        },
    )


def draw(
    sizes: Sequence[int], policy: str, rng: np.random.Generator, temperature: float = 2.0
) -> list[np.ndarray]:
    """How often, and which, examples of each corpus one epoch holds; its length is the number of all examples.

    The share of a corpus with n examples goes with n (proportional: each example once), sqrt(n), 1 (uniform) or n^(1/temperature);
    with "main" half of all are the first corpus's and the others share the rest by n. A corpus that is drawn more than once over is
    gone through in full before anything repeats.
    """
    powers = {
        "proportional": 1.0,
        "sqrt": 0.5,
        "uniform": 0.0,
        "temperature": 1.0 / temperature,
        "main": 1.0,
    }
    if policy not in powers:
        raise unknown("sampling", policy, SAMPLING)
    shares = np.array([size ** powers[policy] if size else 0.0 for size in sizes])
    if policy == "main" and sizes[0] and sum(sizes[1:]):
        shares[0] = shares[1:].sum()
    wanted = np.round(shares / shares.sum() * sum(sizes)).astype(int)
    drawn = []
    for size, count in zip(sizes, wanted, strict=True):
        rounds = [rng.permutation(size) for _ in range(-(-count // size))] if size else []
        drawn.append(np.concatenate(rounds)[:count] if rounds else np.zeros(0, dtype=int))
    return drawn


def bucket(
    lengths: Sequence[int], batch_size: int, max_pieces: int, rng: np.random.Generator | None = None
) -> list[list[int]]:
    """Indices grouped into batches of like length: at most `batch_size` windows and `max_pieces` padded pieces each.

    With a generator: shuffled, sorted only inside pools of POOL batches, batches shuffled. Without: by length, for inference.
    """
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    pool = len(order) if rng is None else POOL * batch_size
    batches: list[list[int]] = []
    for start in range(0, len(order), pool or 1):
        batch: list[int] = []
        for i in sorted(order[start : start + pool].tolist(), key=lengths.__getitem__):
            if batch and (len(batch) == batch_size or lengths[i] * (len(batch) + 1) > max_pieces):
                batches.append(batch)
                batch = []
            batch.append(i)
        batches.append(batch)
    return batches if rng is None else [batches[i] for i in rng.permutation(len(batches))]


def epoch_batches(
    corpora: Sequence[Sequence[Example]],
    epoch: int,
    seed: int,
    batch_size: int,
    max_pieces: int,
    sampling: str,
    temperature: float,
) -> list[list[Example]]:
    """One epoch's batches, mixed across corpora; the same (seed, epoch) gives the same batches."""
    rng = np.random.default_rng([seed, epoch])
    drawn = draw([len(examples) for examples in corpora], sampling, rng, temperature)
    pooled = [
        examples[i] for examples, indices in zip(corpora, drawn, strict=True) for i in indices
    ]
    groups = bucket(
        [len(example.window.input_ids) for example in pooled], batch_size, max_pieces, rng
    )
    return [[pooled[i] for i in group] for group in groups]


def inference_batches(windows: Sequence[Window], max_pieces: int) -> Iterator[list[int]]:
    """Indices of windows, longest last, as many a batch as `max_pieces` padded pieces allow."""
    yield from bucket([len(window.input_ids) for window in windows], len(windows) or 1, max_pieces)
