"""Mentions of sentences -> entities of a text, by character."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..corpora.documents import Document, Entity, document_of
from ..corpora.text import Sentence
from ..errors import WorkbookError, unknown
from .heads import Prediction
from .span_scores import Calibration

FLAT = ("score", "longest")


class EntityFilter:
    """Which mentions become entities.

    threshold     the lowest score, a number or one for each type; "dev" takes the thresholds of
                  `calibration`; None keeps all
    flat          of overlapping entities keeps the one with the highest "score", or the "longest"
                  one; None keeps all
    calibration   turns scores into probabilities first; None leaves them

    Raises WorkbookError for thresholds outside 0 to 1 or of a type that isn't among `types`, for
    "dev" without calibration, and for another value of `flat`.
    """

    def __init__(
        self,
        types: Sequence[str],
        threshold: float | str | Mapping[str, float] | None = None,
        flat: str | None = None,
        calibration: Calibration | None = None,
    ):
        if flat is not None and flat not in FLAT:
            raise unknown("flat", flat, FLAT)
        self.calibration = calibration
        if threshold == "dev":
            threshold = _dev_thresholds(calibration, types)
        given = threshold if isinstance(threshold, Mapping) else dict.fromkeys(types, threshold)
        self.lowest = {type: lowest for type, lowest in given.items() if lowest is not None}
        for type, lowest in self.lowest.items():
            if type not in types:
                raise unknown("type in threshold", type, types)
            if not isinstance(lowest, int | float) or not 0 <= lowest <= 1:
                raise WorkbookError(f"threshold={lowest!r} for {type}; expected 0 to 1, or 'dev'")
        self.flat = flat

    def entities(
        self, document: Document, mentions: Iterable[Sequence[Prediction]]
    ) -> Iterator[Entity]:
        """The entities of a document, from the mentions of each of its sentences."""
        for sentence, found in enumerate(mentions):
            offsets = document.tokens[sentence]
            for start, end, type, score in self._kept(self._calibrated(found)):
                first, last = offsets[start][0], offsets[end - 1][1]
                yield {
                    "entity_group": type,
                    "score": score,
                    "word": document.text[first:last],
                    "start": first,
                    "end": last,
                    "sentence": sentence,
                }

    def _calibrated(self, mentions: Sequence[Prediction]) -> Sequence[Prediction]:
        if self.calibration is None:
            return mentions
        known = self.calibration
        return [m._replace(score=known.probability(m.type, m.score)) for m in mentions]

    def _kept(self, mentions: Iterable[Prediction]) -> list[Prediction]:
        sure = [m for m in mentions if m.score >= self.lowest.get(m.type, 0.0)]
        if self.flat is None:
            return sure
        best_first = sorted(sure, key=self._worth, reverse=True)
        kept: list[Prediction] = []
        for mention in best_first:
            if all(mention.end <= other.start or other.end <= mention.start for other in kept):
                kept.append(mention)
        return sorted(kept)

    def _worth(self, mention: Prediction) -> tuple[float, float]:
        length = mention.end - mention.start
        return (mention.score, length) if self.flat == "score" else (length, mention.score)


def _dev_thresholds(calibration: Calibration | None, types: Sequence[str]) -> dict[str, float]:
    if calibration is None:
        raise WorkbookError(
            "threshold='dev' needs a calibrated tagger, and this one has no calibration.json; make "
            "it from the run's dev predictions and load the tagger again: from bioner_lib import "
            "calibrate; calibrate('<run id>')"
        )
    return {type: t for type, t in calibration.thresholds.items() if type in types}


def in_batches(
    texts: Iterable[str | Document], sentences: int
) -> Iterator[tuple[list[Document], list[Sentence]]]:
    """Documents until they hold so many sentences, and all their sentences, without tags.

    A string's id is its number, from 1, so that writers can tell several apart.
    Raises WorkbookError for what isn't a text.
    """
    documents: list[Document] = []
    cut: list[Sentence] = []
    for number, text in enumerate(texts):
        if not isinstance(text, Document):
            text = document_of(_text(text), str(number + 1))
        documents.append(text)
        cut += [Sentence(words, [], str(number)) for words in documents[-1].words]
        if len(cut) >= sentences:
            yield documents, cut
            documents, cut = [], []
    if documents:
        yield documents, cut


def with_entities(document: Document, entities: Iterable[Entity]) -> Document:
    """The document with these entities, sorted."""
    ordered = sorted(entities, key=lambda entity: (entity["start"], entity["end"]))
    return replace(document, entities=ordered)


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise WorkbookError(
            f"{str(text)[:60]!r} is {type(text).__name__}; tagger.tag takes texts. Sentences that "
            "are cut into words go to tagger.predict"
        )
    return text
