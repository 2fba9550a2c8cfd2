"""Files with mentions by character: PubTator and BioC."""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from .reading import (
    NO_TYPE,
    Reading,
    Surfaces,
    document_name,
    ending,
    is_repeated,
    numbered_lines,
    open_text,
    read_bytes,
    refuse_half_a_character,
    type_of,
)
from .text import Mention, annotate

PASSAGE = re.compile(r"(\S+?)\|([ta])\|(.*)")
# the start of an XML file, up to the encoding that it declares
_DECLARED = re.compile(rb"""\A((?:\xef\xbb\xbf)?<\?xml\b[^>]*?)\sencoding\s*=\s*["'][^"'>]*["']""")
# a key that BioC JSON has at its start
BIOC_KEY = re.compile(r'"(documents|passages|PubTator3)"\s*:')
_EMPTY = {"id": "", "text": "", "infons": {}, "locations": [], "sentences": [], "annotations": []}

Labels = Mapping[str, str] | None
Line = tuple[int, str]  # its number in the file, its text


def read_pubtator(
    path: Path, labels: Labels = None, concepts: Sequence[str] | None = None
) -> Reading:
    """PubTator: `id|t|title`, `id|a|abstract`, then one annotation per line.

    An annotation is id, start, end, text, type and perhaps concept, separated by tabs; its offsets
    count the characters of title, one blank, abstract. Relation lines are skipped. A document that
    occurs twice is read once. With `concepts` only mentions of these concepts are read.
    """
    path, reading, surfaces = Path(path), Reading(), Surfaces()
    seen: dict[str, str] = {}
    for block in blocks(path):
        document = _PubtatorDocument(path, block, labels, set(concepts or ()))
        document.read(reading, surfaces)
        reading.mentions.update(type for _, _, type in document.mentions)
        where = f"{path}:{block[0][0]}"
        count = len(document.mentions)
        if not is_repeated(document.name, document.text, count, seen, where, reading):
            reading.sentences += annotate(
                document.text, document.mentions, document.name, reading.repairs
            )
    surfaces.check(path)
    return reading


def blocks(path: Path) -> Iterator[list[Line]]:
    """The lines of each PubTator document; empty lines separate documents."""
    block: list[Line] = []
    for line, text in numbered_lines(path):
        if text.strip():
            block.append((line, text))
        elif block:
            yield block
            block = []
    if block:
        yield block


class _PubtatorDocument:
    """One block of lines: its name, text and mentions."""

    def __init__(self, path: Path, block: list[Line], labels: Labels, concepts: set[str]):
        self.path, self.block, self.labels, self.concepts = path, block, labels, concepts
        self.name, self.mentions = "", []
        self.passages: dict[str, str] = {}

    @property
    def text(self) -> str:
        return f"{self.passages.get('t', '')} {self.passages.get('a', '')}"

    def read(self, reading: Reading, surfaces: Surfaces) -> None:
        for line, text in self.block:
            where = f"{self.path}:{line}"
            if match := PASSAGE.fullmatch(text):
                self._add_passage(match, where, text)
            else:
                self._add_annotation(text, where, reading, surfaces)
        if "t" not in self.passages:
            line, text = self.block[0]
            raise DataError(
                f"{self.path}:{line}: a PubTator document starts with 'id|t|title', "
                f"not {text[:60]!r}"
            )
        self.name = document_name(self.name)

    def _add_passage(self, match: re.Match, where: str, text: str) -> None:
        name, kind, passage = match.groups()
        if self.name not in ("", name) or kind in self.passages:
            raise DataError(
                f"{where}: {text[:60]!r} starts another document; "
                "empty lines separate PubTator documents"
            )
        self.name = name
        self.passages[kind] = passage

    def _add_annotation(self, line: str, where: str, reading: Reading, surfaces: Surfaces) -> None:
        cells = line.split("\t")
        if len(cells) < 4 or cells[0] != (self.name or None):
            raise DataError(
                f"{where}: {line[:80]!r} is neither a passage nor an annotation of document "
                f"{self.name or None!r}"
            )
        # a relation line has its name and two concepts instead of offsets
        if not any(sign.isdigit() for sign in cells[1]):
            reading.repairs["relation line passed over"] += 1
            return
        try:
            start, end, surface, label = int(cells[1]), int(cells[2]), cells[3], cells[4]
        except (ValueError, IndexError):
            raise DataError(
                f"{where}: {line[:80]!r}; an annotation is id, start, end, text, type, "
                "separated by tabs"
            ) from None
        text = self.text
        if not 0 <= start < end <= len(text):
            raise DataError(
                f"{where}: offsets {start}-{end} are empty or outside a text of "
                f"{len(text)} characters"
            )
        if not label.strip():
            reading.repairs[NO_TYPE] += 1
            return
        type = type_of(label, self.labels, where)
        own = re.split("[;,]", cells[5] if len(cells) > 5 else "")
        if type and (not self.concepts or self.concepts & set(own)):
            surfaces.compare(surface, text, start, end, where, reading.repairs)
            self.mentions.append((start, end, type))


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
    for number, document in enumerate(bioc_documents(path), 1):
        name = document_name(document.id) if document.id else f"{path.stem}-{number}"
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


def bioc_documents(path: Path) -> list:
    """The documents of a BioC file; raises DataError for any other file."""
    from bioc import biocjson, biocxml

    is_json = ending(path) == ".json"
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
