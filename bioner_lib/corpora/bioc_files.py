"""BioC files, in XML and in JSON (library: bioc)."""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from .reading import (
    NO_TYPE,
    Labels,
    Reading,
    Surfaces,
    document_name,
    ending,
    is_repeated,
    open_text,
    read_bytes,
    refuse_half_a_character,
    type_of,
)
from .text import Mention, annotate

# the start of an XML file, up to the encoding that it declares
_DECLARED = re.compile(rb"""\A((?:\xef\xbb\xbf)?<\?xml\b[^>]*?)\sencoding\s*=\s*["'][^"'>]*["']""")
# a key that BioC JSON has at its start
BIOC_KEY = re.compile(r'"(documents|passages|PubTator3)"\s*:')
_EMPTY = {"id": "", "text": "", "infons": {}, "locations": [], "sentences": [], "annotations": []}


def read_bioc(path: Path, labels: Labels = None) -> Reading:
    """BioC XML or JSON (library: bioc); the ending of the file decides.

    XML may declare another encoding than UTF-8. A file with letters beyond ASCII that is UTF-8 is
    read so, whatever it declares: iconv leaves the old declaration in its place. JSON may lack keys
    that hold nothing, and may be `{"PubTator3": [documents]}` or one document per line.

    Annotations may belong to the document, to its passages or to their sentences. A document that
    occurs twice is read once. Discontinuous mentions, which a tag sequence can't hold, and
    annotations without a type are left out and counted.
    """
    path, reading, surfaces = Path(path), Reading(), Surfaces()
    seen: dict[str, str] = {}
    for name, document in bioc_documents(path):
        where = f"{path}: document {name}"
        passages = [_BiocPassage(passage, where) for passage in document.passages]
        for annotation, own in bioc_annotations(document):
            first = [] if own is None else [passages[own]]
            _place(annotation, [*first, *passages], labels, where, reading, surfaces)
        whole = "\n".join(passage.text for passage in passages)
        refuse_half_a_character([whole], where)
        count = sum(len(passage.mentions) for passage in passages)
        if is_repeated(name, whole, count, seen, where, reading):
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


def bioc_documents(path: Path) -> list[tuple[str, object]]:
    """(name, document) of each document of a BioC file; one without an id is named by its number.

    Raises DataError for any other file.
    """
    documents = enumerate(_bioc_documents(path), 1)
    return [(document_name(one.id or f"{path.stem}-{number}"), one) for number, one in documents]


def bioc_texts(path: Path) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """(name, passages) of each document; a passage is (start, text), by its offset.

    Raises DataError for a file that isn't BioC.
    """
    for name, document in bioc_documents(path):
        where = f"{path}: document {name}"
        passages = [_BiocPassage(passage, where) for passage in document.passages]
        yield name, [(passage.offset, passage.text) for passage in passages]


def _bioc_documents(path: Path) -> list:
    from bioc import biocjson, biocxml

    is_json = ending(path) in (".json", ".jsonl")
    try:
        if not is_json:
            return biocxml.load(io.BytesIO(_xml(path))).documents
        with open_text(path) as file:
            documents = _json_documents(file.read())
        return [biocjson.fromJSON(_filled(one), "BioCDocument") for one in documents]
    except Exception as error:  # lxml, json and bioc raise errors of their own
        hint = ""
        if is_json:
            hint = "; expected one object with `documents`, or one object per line (.jsonl)"
        elif re.search("encoding|UTF-8", str(error)):
            hint = '; declare its encoding, such as <?xml version="1.0" encoding="ISO-8859-1"?>'
        raise DataError(f"{path}: not BioC ({type(error).__name__}: {error}){hint}") from None


def _xml(path: Path) -> bytes:
    """An XML file, without a declared encoding that its bytes contradict."""
    content = read_bytes(path)
    if content.isascii():  # other encodings, such as ISO-2022-JP, write ASCII bytes, too
        return content
    try:
        content.decode()
    except UnicodeDecodeError:
        return content
    return _DECLARED.sub(rb"\1", content)


def _json_documents(text: str) -> list[dict]:
    """The documents of a BioC JSON file, or of one with one object per line."""
    try:
        objects = [json.loads(text)]
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
        objects = [json.loads(line) for line in text.split("\n") if line.strip()]
    documents = []
    for one in objects:
        if "passages" in one:
            documents.append(one)
        else:
            documents += one["PubTator3" if "PubTator3" in one else "documents"]
    return documents


def _filled(part: Mapping) -> dict:
    """A document, passage, sentence or annotation with the keys that other tools leave out."""
    filled = _EMPTY | {key: value for key, value in part.items() if value is not None}
    for key in ("passages", "sentences", "annotations"):
        if key in filled:
            filled[key] = [_filled(inner) for inner in filled[key]]
    return filled | {"relations": []}  # nobody reads them


class _BiocPassage:
    """A passage: its text, where it starts in its document, its sentences, its mentions.

    `bounds` are the sentences where only they hold the text, else None.
    """

    def __init__(self, passage, where: str):
        if not isinstance(passage.offset, int):
            raise DataError(f"{where}: a passage's offset is {passage.offset!r}; expected a number")
        self.offset = passage.offset
        self.mentions: list[Mention] = []
        self.text, self.bounds = passage.text or "", None
        if passage.text or not passage.sentences:
            return
        self.bounds = []
        for sentence in passage.sentences:
            start = sentence.offset - passage.offset
            if start < len(self.text):
                raise DataError(
                    f"{where}: the sentence at offset {sentence.offset} starts before the previous "
                    "one ends; offsets count characters of the document: correct them"
                )
            self.text = self.text.ljust(start) + (sentence.text or "")
            self.bounds.append((start, len(self.text)))


def bioc_annotations(document) -> Iterator[tuple[object, int | None]]:
    """(annotation, index of the passage that it belongs to, or None)."""
    for annotation in document.annotations:
        yield annotation, None
    for i, passage in enumerate(document.passages):
        for part in (passage, *passage.sentences):
            for annotation in part.annotations:
                yield annotation, i


def _place(
    annotation,
    passages: Sequence[_BiocPassage],
    labels: Labels,
    where: str,
    reading: Reading,
    surfaces: Surfaces,
) -> None:
    """Add a BioC annotation to the first passage that holds it.

    Raises DataError where no passage does.
    """
    where = f"{where}, annotation {annotation.id}"
    label = annotation.infons.get("type") or ""
    if not isinstance(label, str):
        raise DataError(f"{where}: the type is {label!r}; expected a text")
    if not label.strip():
        reading.repairs[NO_TYPE] += 1
        return
    type = type_of(label, labels, where)
    if not annotation.locations:
        raise DataError(f"{where}: no location")
    if not type:
        return
    reading.mentions[type] += 1
    if len(annotation.locations) > 1:
        reading.repairs["discontinuous mention dropped"] += 1
        return
    location = annotation.locations[0]
    if not (isinstance(location.offset, int) and isinstance(location.length, int)):
        raise DataError(
            f"{where}: offset {location.offset!r}, length {location.length!r}; expected numbers"
        )
    for passage in passages:
        start = location.offset - passage.offset
        end = start + location.length
        if 0 <= start < end <= len(passage.text):
            break
    else:
        raise DataError(
            f"{where}: offsets {location.offset}+{location.length} are empty or outside of every "
            "passage"
        )
    if annotation.text:
        surfaces.compare(annotation.text, passage.text, start, end, where, reading.repairs)
    passage.mentions.append((start, end, type))
