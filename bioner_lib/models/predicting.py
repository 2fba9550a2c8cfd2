"""Words and texts -> mentions: how a network with heads is used.

B sentences   P pieces   N labelled pieces   W words   D hidden   T tags   H heads
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from ..choices import PRECISIONS
from ..corpora.documents import Document
from ..corpora.schemes import flat as without_overlaps
from ..errors import WorkbookError, unknown
from .alignment import Aligner, Window
from .batching import Batch, Example, collate, inference_batches
from .blocks import Block, Sentences, cut_into_blocks
from .entities import EntityFilter, in_batches, with_entities
from .hardware import autocast_dtype
from .heads import Prediction, WithHeads, heads_for
from .hub import upload
from .sentence_heads import SentenceTypes
from .span_scores import Calibration

BATCH = 1_024  # sentences of texts that are tagged together
# padded pieces per batch; on a CPU larger batches leave its caches
_SUITABLE = {"cuda": 16_384, "cpu": 1_024}


class _Tagged(NamedTuple):
    """For each word of a sentence: the tag index and the probability of its first labelled piece,
    and the tag index of its last one.
    """

    first: list[int]
    probabilities: list[float]
    last: list[int]


class Predicting(WithHeads):
    """The methods of what tags: a MultiTaskTagger, or an Ensemble of them.

    Whoever inherits is called as `Network` is, and has `aligner` and `tokenizer`. `calibration` is
    what dev taught about its scores, or None; `tag` uses it, `predict` doesn't.
    """

    aligner: Aligner
    calibration: Calibration | None = None
    sentence_head: SentenceTypes | None
    is_quantized = False  # `quantization.quantized` makes such a twin, whose products are in int8

    def tag(
        self,
        texts: str | Iterable[str],
        types: Sequence[str] | None = None,
        flat: str | None = None,
        threshold: float | str | Mapping[str, float] | None = None,
        batch: int = BATCH,
        precision: str = "auto",
    ) -> list[dict] | list[list[dict]] | Iterator[list[dict]]:
        """The entities of one text (a list), of a list of texts, or of an iterator of texts.

        An entity is a dict, as pipelines of this field return: `entity_group` (its type), `score`
        (0 to 1), `word`, `start`, `end` (characters of the text, end exclusive), and `sentence`,
        the index of its sentence. Texts of an iterator are read as entities are asked for.

        The score of a calibrated tagger (`calibrate`) is the probability that the entity is right;
        of any other it is the mean probability of its tags.

        types       keeps only entities of these types
        flat        entities of different types may overlap: "score" keeps the most probable of
                    them, "longest" the longest
        threshold   the lowest score, one number or one for each type; "dev" takes the ones with the
                    highest F1 on dev, of a calibrated tagger
        batch       sentences that are tagged together: more is faster and takes more memory
        precision   "auto" takes bf16 where the hardware has it; or "fp32", "bf16"

        Raises WorkbookError for what isn't a text, for unknown types and for thresholds outside 0
        to 1.
        """
        given = [texts] if isinstance(texts, str) else texts
        documents = self.tag_documents(given, types, flat, threshold, batch, precision)
        entities = (document.entities for document in documents)
        if isinstance(texts, str):
            return next(entities)
        return list(entities) if isinstance(texts, Sequence) else entities

    def tag_documents(
        self,
        texts: Iterable[str | Document],
        types: Sequence[str] | None = None,
        flat: str | None = None,
        threshold: float | str | Mapping[str, float] | None = None,
        batch: int = BATCH,
        precision: str = "auto",
    ) -> Iterator[Document]:
        """The texts as documents with their entities, in order; arguments as for `tag`.

        A text that is a string gets its number, from 1, as its document's id.
        """
        types = self.types if types is None else list(types)
        for type in types:
            if type not in self.types:
                raise unknown("type", type, self.types)
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        if batch < 1:
            raise WorkbookError(f"batch={batch}; expected 1 or more sentences")
        wanted = EntityFilter(types, threshold, flat, self.calibration)
        autocast = autocast_dtype(precision)
        return self._tag_documents(texts, types, wanted, batch, autocast)

    def _tag_documents(
        self,
        texts: Iterable[str | Document],
        types: Sequence[str],
        wanted: EntityFilter,
        batch: int,
        autocast: torch.dtype | None,
    ) -> Iterator[Document]:
        for documents, sentences in in_batches(texts, batch):
            mentions = iter(self.predict(sentences, types=types, autocast=autocast))
            for document in documents:
                own = islice(mentions, len(document.sentences))
                yield with_entities(document, wanted.entities(document, own))

    def cut(self, sentences: Sentences) -> Iterator[Block]:
        """Sentences, block by block, with the windows that the encoder reads.

        Raises WorkbookError for text that isn't cut into words.
        """
        return cut_into_blocks(self.aligner, sentences)

    def predict(
        self,
        sentences: Sentences,
        corpus: str = "",
        types: Sequence[str] | None = None,
        max_pieces: int = 0,
        autocast: torch.dtype | None = None,
        repairs: Counter | None = None,
    ) -> list[list[Prediction]]:
        """The mentions of each sentence; arguments and errors as for `predictions`."""
        found = self.predictions(sentences, corpus, types, max_pieces, autocast, repairs)
        return [mentions for mentions, _ in found]

    def predictions(
        self,
        sentences: Sentences,
        corpus: str = "",
        types: Sequence[str] | None = None,
        max_pieces: int = 0,
        autocast: torch.dtype | None = None,
        repairs: Counter | None = None,
    ) -> Iterator[tuple[list[Prediction], float]]:
        """For each sentence, its mentions and the confidence in its tags.

        sentences    lists of words or a corpus's sentences, read block by block (a long text may be
                     a generator), or Cut. Only those of a corpus have neighbours in a document.
        corpus       picks that corpus's own head, where heads are per corpus
        types        keeps only mentions of these types
        max_pieces   padded pieces per batch; 0 takes what suits the device
        repairs      counts tag sequences that had to be mended, by name

        Scores and confidence are probabilities. The confidence of a sentence is the probability of
        its least probable tag; 1 for no words. Where several heads know one type, the leftmost
        longest of overlapping mentions stays.

        Raises WorkbookError for text that isn't cut into words, and where no head knows a type.
        """
        types = self.types if types is None else list(types)
        readers = set(heads_for(self.plans, corpus, types))
        repairs = Counter() if repairs is None else repairs
        autocast = None if self.is_quantized else autocast
        for block in self.cut(sentences):
            tagged = self._tag_words(block, readers, max_pieces, autocast)
            for k, tokens in enumerate(block.sentences):
                by_head = {name: by_sentence[k] for name, by_sentence in tagged.items()}
                lowest = [min(words.probabilities) for words in by_head.values() if tokens]
                confidence = min(lowest, default=1.0)
                yield self._mentions(by_head, set(types), repairs), confidence

    @torch.inference_mode()
    def _tag_words(
        self,
        block: Block,
        readers: set[str],
        max_pieces: int,
        autocast: torch.dtype | None,
    ) -> dict[str, list[_Tagged]]:
        """head -> the tags of each sentence."""
        tagged = {}
        for name in readers:
            tagged[name] = [
                _Tagged([-1] * len(words), [1.0] * len(words), [-1] * len(words))
                for words in block.sentences
            ]
        # one context for all batches: it keeps the weights that it has cast
        with torch.autocast(self.device_type, dtype=autocast, enabled=autocast is not None):
            for windows, batch in self._batches(block.windows, max_pieces):
                output = self(**batch.inputs)
                for name, head in self.named_heads:
                    if name not in readers:
                        continue
                    logits = output.logits[name]
                    decoded = head.decode(logits, batch.valid, batch.opens, batch.closes)
                    tags, probabilities = (values.tolist() for values in decoded)
                    for row, window in enumerate(windows):
                        words = tagged[name][window.sentence]
                        _collect(window, tags[row], probabilities[row], words)
        return tagged

    def _mentions(
        self, by_head: Mapping[str, _Tagged], types: set[str], repairs: Counter
    ) -> list[Prediction]:
        """One sentence's mentions from the word tags of each head."""
        by_type: dict[str, list[Prediction]] = {}
        for name, head in self.named_heads:
            # tag 0 is O: most sentences have nothing to look at
            if name not in by_head or not any(by_head[name].first):
                continue
            words = by_head[name]
            tags = list(map(head.word_tag, words.first, words.last))
            for mention in head.spans(tags, words.probabilities, repairs):
                if mention.type in types:
                    by_type.setdefault(mention.type, []).append(mention)
        return sorted(
            mention for mentions in by_type.values() for mention in without_overlaps(mentions)
        )

    @property
    def device_type(self) -> str:
        """cpu, cuda …: where its weights are."""
        return next(self.parameters()).device.type

    def _batches(
        self, windows: Sequence[Window], max_pieces: int
    ) -> Iterator[tuple[list[Window], Batch]]:
        """Windows of similar length, and the batch that they make, on the tagger's device."""
        self.eval()
        device = next(self.parameters()).device
        pad = self.tokenizer.pad_token_id or 0
        suitable = _SUITABLE.get(device.type, _SUITABLE["cpu"])
        for group in inference_batches(windows, max_pieces or suitable):
            chosen = [windows[i] for i in group]
            examples = [Example(window, 0, {}) for window in chosen]
            yield chosen, collate(examples, pad).to(device)

    @torch.inference_mode()
    def sentence_types(
        self,
        sentences: Sentences,
        max_pieces: int = 0,
        autocast: torch.dtype | None = None,
    ) -> list[dict[str, float]]:
        """For each sentence, type -> the probability that it mentions one (0 to 1).

        Of a sentence in several windows the highest counts. Raises WorkbookError for a tagger
        without a sentence head.
        """
        if self.sentence_head is None:
            raise WorkbookError(
                "this tagger has no sentence head; train it with sentence_head='types'"
            )
        types, found = self.sentence_head.types, []
        autocast = None if self.is_quantized else autocast
        with torch.autocast(self.device_type, dtype=autocast, enabled=autocast is not None):
            for block in self.cut(sentences):
                own = [dict.fromkeys(types, 0.0) for _ in block.sentences]
                for group, batch in self._batches(block.windows, max_pieces):
                    probabilities = self(**batch.inputs).sentence.float().sigmoid().tolist()
                    for window, row in zip(group, probabilities, strict=True):
                        best = own[window.sentence]
                        best.update({t: max(best[t], p) for t, p in zip(types, row, strict=True)})
                found += own
        return found

    @torch.inference_mode()
    def word_logits(self, words: Sequence[str]) -> dict[str, torch.Tensor]:
        """For each head, the score of each of its tags at each word of a sentence.  head -> (W T)

        This is for looking at a head; `predict` reads tags. Raises WorkbookError for text that
        isn't cut into words, and for a sentence that is longer than a window.
        """
        windows = [window for block in self.cut([words]) for window in block.windows]
        if len(windows) != 1:
            raise WorkbookError(
                f"{len(words)} words are {len(windows)} windows of the encoder; give a sentence "
                "that fits into one"
            )
        ((_, batch),) = self._batches(windows, 0)
        first = [windows[0].words.index(word) for word in range(len(words))]
        logits = self(**batch.inputs).logits
        return {name: scores[0, first].float().cpu() for name, scores in logits.items()}

    def refuse_quantized(self) -> None:
        """Raises WorkbookError for an int8 copy, which can't be saved."""
        if self.is_quantized:
            raise WorkbookError(
                "an int8 copy can't be saved; save the tagger that it was made from, and call "
                "quantized() after loading"
            )

    def push_to_hub(self, repo_id: str, private: bool = False, card: object = "") -> str:
        """Save to the Hugging Face hub as `repo_id`, owner/name; returns the address.

        Raises WorkbookError where the hub can't be reached or refuses.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, card)
            return upload(Path(folder), repo_id, private)


def _collect(window: Window, tags: list[int], probabilities: list[float], words: _Tagged) -> None:
    """Add a window's tags to those of its sentence's words."""
    for i, word in enumerate(window.words):
        if words.first[word] < 0:
            words.first[word], words.probabilities[word] = tags[i], probabilities[i]
        words.last[word] = tags[i]
