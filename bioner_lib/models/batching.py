"""Windows -> batches: similar lengths together, a bound on pieces, a policy per corpus.

B windows   P pieces   N labelled pieces (one per word, with label_pieces="first")
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
# batches are as wide as a multiple of this: kernels are compiled once for each of a few shapes
PAD_TO = 8
# batches that are sorted by length together: more pads less, fewer mix better
POOL = 32


@dataclass(frozen=True, slots=True)
class Example:
    """A window with, for every head, one tag index per labelled piece.

    `corpus` is the index of the corpus that annotated it.
    """

    window: Window
    corpus: int
    tags: dict[str, list[int]]


@dataclass
class Batch:
    """input_ids, attention_mask (B P); positions, valid (B N); corpus, opens, closes (B).

    tags: head -> (B N), IGNORED where not valid
    characters: (B N 1+L), None where no head reads them
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    positions: torch.Tensor
    valid: torch.Tensor
    corpus: torch.Tensor
    opens: torch.Tensor
    closes: torch.Tensor
    tags: dict[str, torch.Tensor]
    characters: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> "Batch":
        def move(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        tensors = {name: move(value) for name, value in vars(self).items() if name != "tags"}
        return Batch(**tensors, tags={head: move(tags) for head, tags in self.tags.items()})

    @property
    def inputs(self) -> dict[str, torch.Tensor]:
        """The arguments of the tagger's forward."""
        names = ("input_ids", "attention_mask", "positions", "valid", "corpus", "characters")
        return {name: getattr(self, name) for name in names}


def make_examples(
    aligner: Aligner,
    sentences: Sequence[Sentence],
    corpus: int,
    heads: Mapping[str, Sequence[str]],
    scheme: str,
) -> list[Example]:
    """The sentences of one corpus -> examples with tags for every head; `heads`: name -> types."""
    index = {}
    for head, types in heads.items():
        index[head] = {tag: i for i, tag in enumerate(tag_names(types, scheme))}
    examples = []
    tokens = [sentence.tokens for sentence in sentences]
    windows = aligner.windows(tokens, [sentence.doc for sentence in sentences])
    for number, group in groupby(windows, key=lambda window: window.sentence):
        group = list(group)
        words = [word for window in group for word in window.words]
        spans = _piece_spans(sentences[number].spans, words)
        # a sentence is tagged as a whole, then cut: a mention across a border is still one mention
        rest = {}
        for head, types in heads.items():
            own = [span for span in spans if span.type in types]
            rest[head] = iter([index[head][tag] for tag in to_tags(own, len(words), scheme)])
        for window in group:
            tags = {head: list(islice(rest[head], len(window.words))) for head in heads}
            examples.append(Example(window, corpus, tags))
    return examples


def _piece_spans(spans: list[Span], words: list[int]) -> list[Span]:
    """Spans of words -> spans of labelled pieces; `words` names the word of each piece."""
    result = []
    for start, end, type in spans:
        inside = [i for i, word in enumerate(words) if start <= word < end]
        if inside:
            result.append(Span(inside[0], inside[-1] + 1, type))
    return result


def collate(examples: Sequence[Example], pad: int) -> Batch:
    """Examples -> a batch, padded to the longest one and on to a multiple of PAD_TO.

    Positions of padding point at 0 and are not valid.
    """
    windows = [example.window for example in examples]
    ids = [window.input_ids for window in windows]
    positions = [window.positions for window in windows]
    tags = {}
    for head in examples[0].tags:
        tags[head] = _padded([example.tags[head] for example in examples], IGNORED)
    return Batch(
        input_ids=_padded(ids, pad),
        attention_mask=_padded([[1] * len(row) for row in ids], 0),
        positions=_padded(positions, 0),
        valid=_padded([[1] * len(row) for row in positions], 0).bool(),
        corpus=torch.tensor([example.corpus for example in examples]),
        opens=torch.tensor([window.opens for window in windows]),
        closes=torch.tensor([window.closes for window in windows]),
        tags=tags,
        characters=_padded_characters(windows),
    )


def _padded_characters(windows: Sequence[Window]) -> torch.Tensor | None:
    """(B N 1+L); None where no window has characters.  Padding is 0."""
    rows = [torch.tensor(window.characters) for window in windows if window.characters]
    if not rows:
        return None
    longest = max(len(window.positions) for window in windows)
    width = -(-longest // PAD_TO) * PAD_TO
    padded = torch.zeros(len(windows), width, rows[0].shape[1], dtype=torch.long)
    with_words = (i for i, window in enumerate(windows) if window.characters)
    for i, row in zip(with_words, rows, strict=True):
        padded[i, : len(row)] = row
    return padded


def _padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    longest = max(map(len, rows))
    width = -(-longest // PAD_TO) * PAD_TO
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def draw(
    sizes: Sequence[int],
    policy: str,
    rng: np.random.Generator,
    temperature: float = 2.0,
    total: int = 0,
) -> list[np.ndarray]:
    """The examples of each corpus that one epoch holds, as indices.

    An epoch has `total` examples; 0: as many as all corpora together. A corpus with n examples gets
    a share that grows with n (proportional: each example once), sqrt(n), n^(1/temperature) or 1
    (uniform). "main" gives half to the first corpus, and the rest to the others in proportion to n.
    What isn't whole is rounded at random, so that every corpus gets its share over the epochs. A
    corpus that is drawn more than once over is used up before anything repeats.
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
    counts = _whole(shares / shares.sum() * (total or sum(sizes)), rng)
    drawn = []
    for size, count in zip(sizes, counts, strict=True):
        rounds = -(-count // size) if size else 0
        order = [rng.permutation(size) for _ in range(rounds)]
        drawn.append(np.concatenate(order)[:count] if order else np.zeros(0, dtype=int))
    return drawn


def _whole(parts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parts -> integers with the same sum; a part of 2.3 is 3 in three of ten draws, else 2.

    So a small corpus gets its share over the epochs, even if that is less than one example each.
    """
    whole = np.round(parts)
    if np.allclose(parts, whole, atol=1e-6):  # nothing is left to chance
        return whole.astype(int)
    borders = np.floor(np.cumsum(parts) + rng.random())
    borders[-1] = round(parts.sum())
    return np.diff(borders, prepend=0).astype(int)


def bucket(
    lengths: Sequence[int],
    batch_size: int,
    max_pieces: int,
    rng: np.random.Generator | None = None,
) -> list[list[int]]:
    """Indices grouped by similar length: at most `batch_size` windows and `max_pieces` each.

    Pieces count with their padding. With a generator, windows are shuffled, sorted inside pools of
    POOL batches, and the batches are shuffled. Without one, all are sorted (inference).
    """
    n = len(lengths)
    order = np.arange(n) if rng is None else rng.permutation(n)
    pool = max(1, n if rng is None else POOL * batch_size)
    batches: list[list[int]] = []
    for start in range(0, n, pool):
        batch: list[int] = []
        for i in sorted(order[start : start + pool].tolist(), key=lengths.__getitem__):
            wide = -(-lengths[i] // PAD_TO) * PAD_TO
            is_full = len(batch) == batch_size or wide * (len(batch) + 1) > max_pieces
            if batch and is_full:
                batches.append(batch)
                batch = []
            batch.append(i)
        batches.append(batch)
    if rng is None:
        return batches
    return [batches[i] for i in rng.permutation(len(batches))]


def epoch_batches(
    corpora: Sequence[Sequence[Example]],
    epoch: int,
    seed: int,
    batch_size: int,
    max_pieces: int,
    sampling: str,
    temperature: float,
    total: int = 0,
) -> list[list[Example]]:
    """One epoch's batches, mixed across corpora; they depend on (seed, epoch) only."""
    rng = np.random.default_rng([seed, epoch])
    drawn = draw([len(examples) for examples in corpora], sampling, rng, temperature, total)
    pooled = []
    for examples, indices in zip(corpora, drawn, strict=True):
        pooled += [examples[i] for i in indices]
    lengths = [len(example.window.input_ids) for example in pooled]
    groups = bucket(lengths, batch_size, max_pieces, rng)
    return [[pooled[i] for i in group] for group in groups]


def inference_batches(windows: Sequence[Window], max_pieces: int) -> Iterator[list[int]]:
    """Indices of windows, longest last; each batch has at most `max_pieces` padded pieces."""
    lengths = [len(window.input_ids) for window in windows]
    yield from bucket(lengths, len(windows) or 1, max_pieces)
