"""Formats that are lines: JSON lines, PubTator, CoNLL."""

import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from ..corpora.documents import Document, Entity, without_halves
from ..corpora.schemes import Span, to_tags
from .writing import Writer, numbered_bytes

_NO_CONCEPT = "-"
_TITLE = re.compile(rb"([^\s|]+)\|t\|")  # how a document of PubTator starts
_CUT_TITLE = re.compile(rb"[^\s|]+(?:\|t?)?")
_START = b'{"sentence_id": "'  # of a line of JsonlWriter
# what ends a line somewhere, and tabs
_BREAKS = re.compile("[\t\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def by_sentence(document: Document) -> list[list[Entity]]:
    """The entities of each sentence, in their order."""
    found: list[list[Entity]] = [[] for _ in document.sentences]
    for entity in document.entities:
        found[entity["sentence"]].append(entity)
    return found


def flat_spans(document: Document, own: list[Entity]) -> tuple[list[Span], int]:
    """The entities of one sentence as spans of words, and how many were left out.

    Of overlapping ones the most probable stays.
    """
    kept: list[Span] = []
    for entity in sorted(own, key=lambda entity: -entity["score"]):
        start, end = words_of(document, entity)
        if all(end <= span.start or span.end <= start for span in kept):
            kept.append(Span(start, end, entity["entity_group"]))
    return sorted(kept), len(own) - len(kept)


def words_of(document: Document, entity: Entity) -> tuple[int, int]:
    """The words (start, end exclusive) of an entity in its sentence."""
    offsets = document.tokens[entity["sentence"]]
    inside = [i for i, (a, b) in enumerate(offsets) if a < entity["end"] and b > entity["start"]]
    return inside[0], inside[-1] + 1


class JsonlWriter(Writer):
    """One JSON object per sentence.

    doc, sentence, sentence_id   the document, the sentence's number in it, and both together
    text, start                  the sentence, and the character of the document where it starts
    tokens, offsets              its words, and their (start, end) in the document
    tags                         IOB2, without overlaps: our reader takes the file as a corpus
    predictions                  entity, type, start_token, end_token (exclusive), score, and the
                                 characters `start`, `end` (exclusive) of the document
    """

    holds_empty = own_ids = False

    def record(self, document: Document) -> str:
        return "".join(f"{json.dumps(line)}\n" for line in self._lines(document))

    def _lines(self, document: Document) -> Iterator[dict]:
        text, doc = without_halves(document.text), without_halves(document.id)
        words, entities = document.words, by_sentence(document)
        for i, (start, end) in enumerate(document.sentences):
            spans, _ = flat_spans(document, entities[i])
            yield {
                "sentence_id": f"{doc}-{i}",
                "doc": doc,
                "sentence": i,
                "start": start,
                "text": text[start:end],
                "tokens": words[i],
                "offsets": document.tokens[i],
                "tags": to_tags(spans, len(document.tokens[i])),
                "predictions": [_prediction(document, entity, text) for entity in entities[i]],
            }

    def documents(self, file: BinaryIO) -> Iterator[tuple[int, str]]:
        doc, last = None, -1
        for at, line in numbered_bytes(file):
            try:
                record = json.loads(line)
                own, sentence = record["doc"], record["sentence"]
            except (ValueError, TypeError, KeyError):
                is_ours = line[: len(_START)] == _START[: len(line)] and not line.endswith(b"\n")
                if at == 0 and not is_ours:
                    raise self.refuse(line) from None
                return  # a line that was cut
            if own != doc or sentence <= last:
                yield at, own
            doc, last = own, sentence


def _prediction(document: Document, entity: Entity, text: str) -> dict:
    start, end = words_of(document, entity)
    return {
        "entity": text[entity["start"] : entity["end"]],
        "type": entity["entity_group"],
        "start_token": start,
        "end_token": end,
        "score": round(float(entity["score"]), 4),
        "start": entity["start"],
        "end": entity["end"],
    }


class PubtatorWriter(Writer):
    """`id|t|title`, `id|a|abstract`, and a line per entity: id, start, end, words, type, concept.

    The first sentence is the title, if one blank stands behind it; else the title holds all.
    Offsets are those of the text. Line ends and tabs become blanks.
    """

    def key(self, id: str) -> str:
        return re.sub(r"[\s|]", "_", without_halves(id)) or "_"

    def record(self, document: Document) -> str:
        text, id = _BREAKS.sub(" ", without_halves(document.text)), self.key(document.id)
        cut = _end_of_title(text, document)
        lines = [f"{id}|t|{text[:cut]}", f"{id}|a|{text[cut + 1 :]}"]
        for entity in document.entities:
            start, end = entity["start"], entity["end"]
            about = [id, start, end, text[start:end], entity["entity_group"], _NO_CONCEPT]
            lines.append("\t".join(map(str, about)))
        return "\n".join(lines) + "\n\n"

    def documents(self, file: BinaryIO) -> Iterator[tuple[int, str]]:
        for at, line in numbered_bytes(file):
            if title := _TITLE.match(line):
                yield at, title[1].decode(errors="replace")
            elif at == 0 and not _CUT_TITLE.fullmatch(line):
                raise self.refuse(line)


def _end_of_title(text: str, document: Document) -> int:
    """Where the blank between title and abstract stands; the end of the text for no abstract."""
    if len(document.sentences) > 1:
        end = len(text[: document.sentences[0][1]].rstrip())
        if end + 1 == document.sentences[1][0] and text[end] == " ":
            return end
    return len(text)


class ConllWriter(Writer):
    """A word and its IOB2 tag per line; `-DOCSTART-` and the id before each document."""

    own_ids = False

    def key(self, id: str) -> str:
        return _BREAKS.sub(" ", without_halves(id))

    def record(self, document: Document) -> str:
        blocks = [f"-DOCSTART-\t{self.key(document.id)}\n"]
        for words, own in zip(document.words, by_sentence(document), strict=True):
            spans, lost = flat_spans(document, own)
            self.lost += lost
            tags = to_tags(spans, len(words))
            blocks.append("".join(f"{w}\t{tag}\n" for w, tag in zip(words, tags, strict=True)))
        return "\n".join(blocks) + "\n"

    def documents(self, file: BinaryIO) -> Iterator[tuple[int, str]]:
        for at, line in numbered_bytes(file):
            if line.startswith(b"-DOCSTART-\t"):
                yield at, line[11:].decode(errors="replace").rstrip("\n")
            elif at == 0 and not b"-DOCSTART-\t".startswith(line):
                raise self.refuse(line)
