"""Identifiers of mentions: the concept that each mention of a PubTator or BioC corpus names.

Sentences hold types only. So the identifiers are read from the same verified files a second time,
and are found by document and characters: `Sentence.offsets` counts the same characters.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError, unknown
from ..home import exists, expanded
from .bioc_files import bioc_annotations, bioc_documents
from .corpus import HUB, Corpus
from .loading import silver_corpora
from .own import source_files
from .pubtator_files import PASSAGE, blocks
from .reading import Labels, document_name, type_of
from .registry import CORPORA, fetch_file, split_name
from .schemes import Span
from .text import Sentence

NONE = frozenset({"", "-", "-1"})  # what files write where no concept fits
_VARIANT = re.compile(r"[a-z]?\|")  # tmVar's form, such as p|SUB|V|600|E


class NoIdentifiers(DataError):
    """A corpus whose files hold no identifiers."""


class Place(NamedTuple):
    """Where a mention is: characters `start` to `end` (exclusive) of its document, and its type."""

    doc: str
    start: int
    end: int
    type: str


Concepts = dict[Place, tuple[str, ...]]


def concepts(corpus_name: str) -> Concepts:
    """Every mention of a corpus -> its identifiers; () where the source gives none.

    All splits are in one mapping, also mentions that a tag sequence can't hold (overlapping ones).
    "MESH:D001" is written "D001"; a mention that names several concepts has several identifiers.
    Of a view or a part, the whole corpus is read.

    Raises NoIdentifiers for a corpus whose files hold none, and names the form that does;
    WorkbookError for an unknown name.
    """
    base = _base_of(corpus_name)
    wanted = set(CORPORA.get(base, {}).get("concepts", ()))
    found: Concepts = {}
    for path, reader, labels in sources(base):
        read = {"pubtator": _pubtator_mentions, "bioc": _bioc_mentions}.get(reader)
        if read is None:
            raise _without_identifiers(base, reader)
        for place, field in read(path, labels):
            own = identifiers(field)
            if not wanted or wanted & set(own):
                found[place] = tuple(dict.fromkeys([*found.get(place, ()), *own]))
    if not any(found.values()):
        raise _without_identifiers(base, "a concept for none of their mentions")
    return found


def identifiers(field: str) -> list[str]:
    """The identifiers in a source's field: `,`, `;`, `|` and `+` stand between several.

    A variant in tmVar's form is one identifier, although it holds such signs.
    """
    signs = "[,;]" if _VARIANT.match(field.strip()) else "[,;|+]"
    parts = [part.strip().removeprefix("MESH:") for part in re.split(signs, field)]
    return [part for part in parts if part not in NONE]


def concepts_of(sentence: Sentence, span: Span, found: Mapping[Place, tuple]) -> tuple[str, ...]:
    """The identifiers of a sentence's mention, from what `concepts` returned; () for none.

    Raises DataError for a sentence without character offsets.
    """
    if sentence.offsets is None:
        raise DataError(
            f"a sentence of document {sentence.doc!r} has no character offsets, so its mentions "
            "can't be looked up; load the PubTator or BioC form of the corpus"
        )
    start, end = sentence.offsets[span.start][0], sentence.offsets[span.end - 1][1]
    return found.get(Place(sentence.doc, start, end, span.type), ())


def identified(
    corpus: Corpus, role: str, found: Mapping[Place, tuple]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(case-folded name, type, identifiers) of each mention in a split."""
    for sentence in corpus.split(role):
        for span in sentence.spans:
            name = " ".join(sentence.tokens[span.start : span.end]).casefold()
            yield name, span.type, concepts_of(sentence, span, found)


def sources(corpus_name: str) -> Iterator[tuple[Path, str, Labels]]:
    """(file, reader, label map) of each split; only PubTator and BioC files are fetched.

    Raises NoIdentifiers for a corpus without files of its own (silver text, a data set of the hub),
    and WorkbookError for an unknown name.
    """
    base = _base_of(corpus_name)
    if base in CORPORA:
        entry = CORPORA[base]
        for role in entry["files"]:
            is_readable = entry["reader"] in ("pubtator", "bioc")
            path = fetch_file(base, role) if is_readable else Path()
            yield path, entry["reader"], entry["labels"]
    elif exists(base):
        yield from source_files(expanded(base))
    elif base.startswith(HUB) or base in silver_corpora():
        raise _without_identifiers(base, "tags only")
    else:
        raise unknown("corpus", base, CORPORA)


def _base_of(corpus_name: str) -> str:
    """The corpus that a name of a view or a part stands for."""
    base = split_name(str(corpus_name))[0]
    while "view" in CORPORA.get(base, {}):
        base = split_name(CORPORA[base]["view"])[0]
    return base


def _without_identifiers(base: str, what: str) -> NoIdentifiers:
    form = CORPORA.get(base, {}).get("documents")
    way_out = f"{form!r} has them" if form else "PubTator and BioC files may hold them"
    return NoIdentifiers(f"corpus {base!r} has no identifiers (its files hold: {what}); {way_out}")


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The characters of a mention without blanks at its ends, as the readers keep them."""
    surface = text[start:end]
    if not surface.strip():
        return start, end
    return end - len(surface.lstrip()), start + len(surface.rstrip())


def _pubtator_mentions(path: Path, labels: Labels) -> Iterator[tuple[Place, str]]:
    """(place, field of identifiers) of each mention; the reader has checked the lines."""
    for block in blocks(path):
        passages, name = {}, ""
        for number, line in block:
            if match := PASSAGE.fullmatch(line):
                name, kind, passage = match.groups()
                passages[kind] = passage
                continue
            cells = line.split("\t")
            is_mention = len(cells) > 4 and cells[1].isdecimal() and cells[4].strip()
            type = type_of(cells[4], labels, f"{path}:{number}") if is_mention else ""
            if type:
                text = f"{passages.get('t', '')} {passages.get('a', '')}"
                start, end = _trimmed(text, int(cells[1]), int(cells[2]))
                place = Place(document_name(name), start, end, type)
                yield place, cells[5] if len(cells) > 5 else ""


def _bioc_mentions(path: Path, labels: Labels) -> Iterator[tuple[Place, str]]:
    """(place, field `identifier`) of each mention with one location."""
    for name, document in bioc_documents(path):
        for annotation, _ in bioc_annotations(document):
            label = annotation.infons.get("type") or ""
            type = type_of(label, labels, f"{path}: document {name}") if label.strip() else ""
            if type and len(annotation.locations) == 1:
                location = annotation.locations[0]
                text = annotation.text or ""
                first, last = _trimmed(text, 0, len(text)) if text else (0, location.length)
                start = location.offset
                place = Place(name, start + first, start + last, type)
                yield place, str(annotation.infons.get("identifier") or "")
