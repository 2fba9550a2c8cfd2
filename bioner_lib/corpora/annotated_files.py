"""Files with mentions by character: PubTator and BioC."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from .reading import (
    NO_TYPE,
    Reading,
    Surfaces,
    document_name,
    is_repeated,
    numbered_lines,
    refuse_half_a_character,
    type_of,
)
from .text import annotate

PASSAGE = re.compile(r"(\S+?)\|([ta])\|(.*)")


def read_pubtator(
    path: Path, labels: Mapping[str, str] | None = None, concepts: Sequence[str] | None = None
) -> Reading:
    """`id|t|title`, `id|a|abstract`, then tab-separated `id start end text type [concept]` over title + " " + abstract.

    Relation lines are passed over. A document that stands twice is read once. With `concepts` only mentions of these are read.
    """
    path, reading, seen, surfaces = Path(path), Reading(), {}, Surfaces()
    for block in _blocks(path):
        doc, text, mentions = _pubtator_document(
            path, block, labels, reading, surfaces, concepts and set(concepts)
        )
        reading.mentions.update(name for _, _, name in mentions)
        if is_repeated(doc, text, len(mentions), seen, f"{path}:{block[0][0]}", reading):
            continue
        reading.sentences += annotate(text, mentions, doc, reading.repairs)
    surfaces.check(path)
    return reading


def _blocks(path: Path) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for line, text in numbered_lines(path):
        if text.strip():
            block.append((line, text))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _pubtator_document(
    path: Path,
    block,
    labels,
    reading: Reading,
    surfaces: Surfaces,
    concepts: set[str] | None = None,
) -> tuple[str, str, list[tuple[int, int, str]]]:
    passages, mentions, doc = {}, [], None
    for line, text in block:
        where = f"{path}:{line}"
        if match := PASSAGE.fullmatch(text):
            if doc not in (None, match[1]) or match[2] in passages:
                raise DataError(
                    f"{where}: {text[:60]!r} opens another document; PubTator documents are separated by blank lines"
                )
            doc, passages[match[2]] = match[1], match[3]
            continue
        cells = text.split("\t")
        if len(cells) < 4 or cells[0] != doc:
            raise DataError(
                f"{where}: {text[:80]!r} is neither a passage nor an annotation of document {doc!r}"
            )
        if not any(
            sign.isdigit() for sign in cells[1]
        ):  # the name of a relation, then two concepts
            reading.repairs["relation line passed over"] += 1
            continue
        try:
            start, end, surface, label = int(cells[1]), int(cells[2]), cells[3], cells[4]
        except (ValueError, IndexError):
            raise DataError(
                f"{where}: {text[:80]!r}; an annotation is id, start, end, text, type, separated by tabs"
            ) from None
        whole = f"{passages.get('t', '')} {passages.get('a', '')}"
        if not 0 <= start < end <= len(whole):
            raise DataError(
                f"{where}: offsets {start}-{end} are empty or outside a text of {len(whole)} characters"
            )
        if not label.strip():
            reading.repairs[NO_TYPE] += 1
            continue
        name = type_of(label, labels, where)
        if not name or (
            concepts and not concepts & set(re.split("[;,]", cells[5] if len(cells) > 5 else ""))
        ):
            continue
        surfaces.compare(surface, whole, start, end, where, reading.repairs)
        mentions.append((start, end, name))
    if doc is None or "t" not in passages:
        raise DataError(
            f"{path}:{block[0][0]}: a PubTator document opens with 'id|t|title', not {block[0][1][:60]!r}"
        )
    return document_name(doc), f"{passages['t']} {passages.get('a', '')}", mentions


def read_bioc(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """BioC XML or JSON (library: bioc), the format by the file's ending; passage by passage.

    Annotations may stand in the document, its passages or their sentences. A document that stands twice is read once. A discontinuous
    mention, which a tag sequence can't hold, and an annotation without a type are counted and left out.
    """
    from bioc import biocjson, biocxml

    path, reading, seen, surfaces = Path(path), Reading(), {}, Surfaces()
    load = biocjson.load if path.suffix.lower() == ".json" else biocxml.load
    try:
        with path.open(encoding="utf-8") as file:
            collection = load(file)
    except Exception as error:  # lxml, json and bioc each raise their own
        raise DataError(f"{path}: not BioC ({type(error).__name__}: {error})") from None
    for number, document in enumerate(collection.documents, 1):
        name = document_name(document.id) if document.id else f"{path.stem}-{number}"
        where = f"{path}: document {name}"
        passages = [_BiocPassage(passage, where) for passage in document.passages]
        for annotation, own in _bioc_annotations(document):
            mine = [] if own is None else [passages[own]]
            _place(annotation, [*mine, *passages], labels, where, reading, surfaces)
        whole = "\n".join(passage.text for passage in passages)
        refuse_half_a_character([whole], where)
        if is_repeated(
            name, whole, sum(len(passage.mentions) for passage in passages), seen, where, reading
        ):
            continue
        for passage in passages:
            reading.sentences += annotate(
                passage.text,
                passage.mentions,
                name,
                reading.repairs,
                passage.offset,
                passage.bounds,
            )
    surfaces.check(path)
    return reading


class _BiocPassage:
    """A passage's text, where it begins in its document, its sentences where only they hold the text, and its mentions."""

    def __init__(self, passage, where: str):
        self.offset, self.mentions = passage.offset, []
        self.text, self.bounds = passage.text or "", None
        if not passage.text and passage.sentences:
            self.bounds = []
            for sentence in passage.sentences:
                start = sentence.offset - passage.offset
                if start < len(self.text):
                    raise DataError(
                        f"{where}: the sentence at offset {sentence.offset} begins before the one in front of it ends; "
                        "offsets count characters of the document: correct them"
                    )
                self.text = self.text.ljust(start) + (sentence.text or "")
                self.bounds.append((start, len(self.text)))


def _bioc_annotations(document) -> Iterator[tuple[object, int | None]]:
    """(annotation, number of the passage that it stands in or None)."""
    yield from ((annotation, None) for annotation in document.annotations)
    for i, passage in enumerate(document.passages):
        for part in (passage, *passage.sentences):
            yield from ((annotation, i) for annotation in part.annotations)


def _place(
    annotation,
    passages: Sequence[_BiocPassage],
    labels,
    where: str,
    reading: Reading,
    surfaces: Surfaces,
) -> None:
    """Put a BioC annotation into the first of the passages that holds it; raises DataError where none does."""
    where = f"{where}, annotation {annotation.id}"
    label = annotation.infons.get("type") or ""
    if not label.strip():
        reading.repairs[NO_TYPE] += 1
        return
    name = type_of(label, labels, where)
    if not annotation.locations:
        raise DataError(f"{where}: no location")
    if not name:
        return
    reading.mentions[name] += 1
    if len(annotation.locations) > 1:
        reading.repairs["discontinuous mention dropped"] += 1
        return
    span = annotation.locations[0]
    for passage in passages:
        start, end = span.offset - passage.offset, span.offset + span.length - passage.offset
        if 0 <= start < end <= len(passage.text):
            break
    else:
        raise DataError(
            f"{where}: offsets {span.offset}+{span.length} are empty or lie outside of every passage"
        )
    if annotation.text:
        surfaces.compare(annotation.text, passage.text, start, end, where, reading.repairs)
    passage.mentions.append((start, end, name))
