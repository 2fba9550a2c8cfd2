"""Files -> sentences: CoNLL, JSONL, PubTator, BioC, inline markup.

Every reader returns a `Reading`; every error names file and line; whatever a reader mends it counts in `repairs`.
`labels` maps a source's label to the workbook's type; a label mapped to "" is known and left out, one that is not in the map
is an error. Without a map labels are taken as they are.
"""

import gzip
import json
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from ..errors import DataError, unknown
from .schemes import PREFIXES, detect_scheme, to_spans, to_tags
from .text import Sentence, annotate, cut_words, snap, words

_INLINE = re.compile(
    r"(?<!\\)\[((?:[^\[\]\\]|\\.)+)\]\((\w+)\)"
)  # [surface](Type), no backslash before it
_PASSAGE = re.compile(r"(\S+?)\|([ta])\|(.*)")


@dataclass
class Reading:
    """What one file held: sentences, mentions by type as the source counts them, and repairs by name.

    `documented` says whether some sentence's `doc` is a real document; where none is named `doc` is a sentence's own name.
    """

    sentences: list[Sentence] = field(default_factory=list)
    mentions: Counter = field(default_factory=Counter)
    repairs: Counter = field(default_factory=Counter)
    documented: bool = True


# the repairs that lose a mention: what the source counts, less these, is what is trained and scored
DROPS = (
    "overlapping mention dropped", "mention without a word dropped", "mentions of repeated documents dropped",
    "discontinuous mention dropped",
)  # fmt: skip
_NO_TYPE = "annotation without a type passed over"
_OTHER_TEXT = "mention text differs from its offsets"


def _type_of(label: str, labels: Mapping[str, str] | None, where: str) -> str:
    """The workbook's type of a source's label, "" for one that is left out; blanks around a label don't count."""
    label = label.strip()
    if labels is None:
        return label
    if label not in labels:
        raise DataError(
            f"{where}: {unknown('label', label, labels)}; add it to the label map, as '' to leave it out"
        )
    return labels[label]


def _from_tags(
    rows: Iterable[tuple], path: Path, labels, reading: Reading, one_word_a_line: bool = False
) -> Reading:
    """(tokens, source tags, doc, line) -> sentences in IOB2 with mapped types."""
    rows = list(rows)
    scheme = detect_scheme(tags for _, tags, _, _ in rows)
    for tokens, tags, doc, line in rows:
        try:
            found = to_spans(tags, scheme, reading.repairs)
        except ValueError as error:
            raise DataError(f"{path}:{line}: {error}, in the sentence that starts here") from None
        step = int(one_word_a_line)
        spans = [
            (start, end, _type_of(name, labels, f"{path}:{line + step * start}"))
            for start, end, name in found
        ]
        spans = [span for span in spans if span[2]]
        reading.mentions.update(name for _, _, name in spans)
        reading.sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc))
    return reading


@dataclass
class _Surfaces:
    """Mention texts that a source states beside their offsets, compared with the text that stands there."""

    compared: int = 0
    different: int = 0
    example: str = ""

    def compare(
        self, stated: str, text: str, start: int, end: int, where: str, repairs: Counter
    ) -> None:
        self.compared += 1
        if " ".join(stated.split()) != " ".join(text[start:end].split()):
            self.different += 1
            repairs[_OTHER_TEXT] += 1
            self.example = (
                self.example
                or f"{where}: {stated!r}, but at {start}-{end} stands {text[start:end]!r}"
            )

    def check(self, path: Path) -> None:
        """Raises DataError where most differ: then the offsets count something else than the characters of this text."""
        if 2 * self.different > self.compared:
            raise DataError(
                f"{path}: {self.different} of {self.compared} mentions have another text than stands at their offsets ({self.example}); "
                "offsets count characters from 0 (PubTator's of title, one blank, abstract): mend the offsets or the text"
            )


def read_conll(
    path: Path, labels: Mapping[str, str] | None = None, bare_type: str | None = None
) -> Reading:
    """One word a line, the word first and its tag last (2-4 columns, tab or space); a blank line ends a sentence.

    IOB1, IOB2 or IOBES (BILOU, BMES, BMEWO) is found out from the file. Bare B/I/O ("BioBERT form") takes its type from `bare_type`.
    `-DOCSTART-` lines open documents; without them each sentence is a document of its own.
    """
    path, reading = Path(path), Reading()
    rows, tokens, tags, columns, document = [], [], [], None, 0

    def close(line: int) -> None:
        if tokens:
            doc = f"{path.stem}-{document}" if document else f"{path.stem}-s{len(rows)}"
            rows.append((tokens.copy(), tags.copy(), doc, line - len(tokens)))
            tokens.clear(), tags.clear()

    line = 0
    for line, text in _lines(path):
        if not text.strip():
            close(line)
            continue
        cells = text.split("\t") if "\t" in text else text.split(" ")
        if cells[0] == "-DOCSTART-":
            close(line)
            document += 1
            continue
        if not 2 <= len(cells) <= 4 or (columns or len(cells)) != len(cells) or not cells[0]:
            wanted = (
                f"{columns} columns as above"
                if columns
                else "2 to 4 columns, word first and tag last"
            )
            raise DataError(f"{path}:{line}: {len(cells)} columns in {text!r}; expected {wanted}")
        columns = len(cells)
        tag = cells[-1].strip()
        if bare_type and tag in PREFIXES:
            tag = f"{tag}-{bare_type}"
        elif tag in PREFIXES:
            raise DataError(
                f"{path}:{line}: bare tag {tag!r}; name the type that the file annotates (bare_type=)"
            )
        tokens.append(cells[0])
        tags.append(tag)
    close(line + 1)
    reading.documented = document > 0
    return _from_tags(rows, path, labels, reading, one_word_a_line=True)


def read_jsonl(
    path: Path,
    labels: Mapping[str, str] | None = None,
    tag_field: str = "tags",
    tag_names: list[str] | None = None,
) -> Reading:
    """One JSON object a line with `tokens` and tags under `tag_field`; integer tags are looked up by name in `tag_names`.

    `doc` (or `pmid`) names the document where the file has it.
    """
    path, reading = Path(path), Reading(documented=False)
    rows = []
    for line, text in _lines(path):
        if not text.strip():
            continue
        tokens, tags, doc = jsonl_record(text, f"{path}:{line}", tag_field, tag_names)
        if not tokens:
            reading.repairs["empty sentence dropped"] += 1
            continue
        reading.documented |= doc is not None
        rows.append(
            (tokens, tags, str(doc if doc is not None else f"{path.stem}-s{len(rows)}"), line)
        )
    return _from_tags(rows, path, labels, reading)


def jsonl_record(
    text: str | bytes, where: str, tag_field: str = "tags", tag_names: list[str] | None = None
) -> tuple[list, list, object]:
    """One line of JSON -> tokens, tags, document (None where it isn't named); raises DataError, which opens with `where`."""
    try:
        record = json.loads(text)
        tokens = record["tokens"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{where}: no JSON object with 'tokens' here ({error!r})") from None
    if tag_field not in record:
        raise DataError(f"{where}: {unknown('tag field', tag_field, record)}")
    tags = record[tag_field]
    if not isinstance(tokens, list) or not all(
        isinstance(token, str) and token for token in tokens
    ):
        raise DataError(f"{where}: 'tokens' is {str(tokens)[:60]!r}; expected a list of words")
    named = next(
        (doc for key in ("doc", "pmid") if (doc := record.get(key)) not in (None, "")), None
    )
    if (b"\\u" if isinstance(text, bytes) else "\\u") in text:
        _refuse_half_a_character([*tokens, str(named)], where)
    if not isinstance(tags, list) or {type(tag) for tag in tags} not in (set(), {int}, {str}):
        raise DataError(
            f"{where}: {tag_field!r} is {str(tags)[:60]!r}; expected a list of tags, or of numbers that name them"
        )
    if any(isinstance(tag, int) for tag in tags):
        if tag_names is None or not all(0 <= tag < len(tag_names) for tag in tags):
            raise DataError(
                f"{where}: integer tags {sorted(set(tags))} need names for all of them (tag_names={tag_names})"
            )
        tags = [tag_names[tag] for tag in tags]
    if len(tags) != len(tokens):
        raise DataError(f"{where}: {len(tokens)} tokens but {len(tags)} tags")
    return tokens, [tag.strip() for tag in tags], None if named is None else document_name(named)


def _refuse_half_a_character(texts: Iterable[str], where: str) -> None:
    """JSON can hold half of a surrogate pair, which no UTF-8 file can: predictions on it could not be written."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            near = text[max(0, error.start - 20) : error.end]
            raise DataError(
                f"{where}: {near!r} holds half of a surrogate pair, which is no character; mend the escape"
            ) from None


def document_name(doc: object) -> str:
    """One name for one document: PMID:123, "PMID 123", 123 and 123.0 (as pandas writes numbers in a column with gaps) are the same."""
    doc = int(doc) if isinstance(doc, float) and doc.is_integer() else doc
    return re.sub(r"^PMID[\W_]*(?=\d+$)", "", str(doc).strip(), flags=re.IGNORECASE)


def read_pubtator(
    path: Path, labels: Mapping[str, str] | None = None, concepts: Sequence[str] | None = None
) -> Reading:
    """`id|t|title`, `id|a|abstract`, then tab-separated `id start end text type [concept]` over title + " " + abstract.

    Relation lines are passed over. A document that stands twice is read once. With `concepts` only mentions of these are read.
    """
    path, reading, seen, surfaces = Path(path), Reading(), {}, _Surfaces()
    for block in _blocks(path):
        doc, text, mentions = _pubtator_document(
            path, block, labels, reading, surfaces, concepts and set(concepts)
        )
        reading.mentions.update(name for _, _, name in mentions)
        if _is_repeated(doc, text, len(mentions), seen, f"{path}:{block[0][0]}", reading):
            continue
        reading.sentences += annotate(text, mentions, doc, reading.repairs)
    surfaces.check(path)
    return reading


def _is_repeated(
    doc: str, text: str, mentions: int, seen: dict[str, str], where: str, reading: Reading
) -> bool:
    """Whether a document was read before, which is counted; raises DataError where it had another text."""
    if doc not in seen:
        seen[doc] = text
        return False
    if seen[doc] != text:
        raise DataError(f"{where}: document {doc!r} stands twice with different texts")
    reading.repairs["repeated document dropped"] += 1
    reading.repairs["mentions of repeated documents dropped"] += mentions
    return True


def _blocks(path: Path) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for line, text in _lines(path):
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
    surfaces: _Surfaces,
    concepts: set[str] | None = None,
) -> tuple[str, str, list[tuple[int, int, str]]]:
    passages, mentions, doc = {}, [], None
    for line, text in block:
        where = f"{path}:{line}"
        if match := _PASSAGE.fullmatch(text):
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
            reading.repairs[_NO_TYPE] += 1
            continue
        name = _type_of(label, labels, where)
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

    path, reading, seen, surfaces = Path(path), Reading(), {}, _Surfaces()
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
        _refuse_half_a_character([whole], where)
        if _is_repeated(
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
    surfaces: _Surfaces,
) -> None:
    """Put a BioC annotation into the first of the passages that holds it; raises DataError where none does."""
    where = f"{where}, annotation {annotation.id}"
    label = annotation.infons.get("type") or ""
    if not label.strip():
        reading.repairs[_NO_TYPE] += 1
        return
    name = _type_of(label, labels, where)
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


def read_inline(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """One sentence a line with `[surface](Type)` mentions; `# name` lines open documents.

    A backslash before a bracket makes it plain text: `[3H\\](+)-thymidine`.
    """
    path, reading, doc, base = Path(path), Reading(documented=False), None, 0
    for line, text in _lines(path):
        if not text.strip():
            continue
        if text.startswith("# "):
            doc, base = document_name(text[2:]), 0
            continue
        plain, mentions, reached, outside = "", [], 0, []
        for match in _INLINE.finditer(text):
            outside.append(text[reached : match.start()])
            plain += _unescaped(outside[-1])
            start = len(plain)
            plain += _unescaped(match[1])
            mentions.append((start, len(plain), _type_of(match[2], labels, f"{path}:{line}")))
            reached = match.end()
        outside.append(text[reached:])
        plain += _unescaped(outside[-1])
        _refuse_broken(outside, labels, f"{path}:{line}")
        mentions = [mention for mention in mentions if mention[2]]
        offsets = cut_words(words(plain), mentions, reading.repairs)
        spans = snap(offsets, mentions, reading.repairs)
        reading.mentions.update(name for _, _, name in spans)
        reading.documented |= doc is not None
        name = doc if doc is not None else f"{path.stem}-s{line}"
        shifted = [(base + a, base + b) for a, b in offsets]
        reading.sentences.append(
            Sentence([plain[a:b] for a, b in offsets], to_tags(spans, len(offsets)), name, shifted)
        )
        base += len(plain) + 1
    return reading


def _unescaped(text: str) -> str:
    return re.sub(r"\\([][()\\])", r"\1", text)


def _refuse_broken(outside: Sequence[str], labels: Iterable[str] | None, where: str) -> None:
    """Raises DataError for text outside of mentions that looks like markup."""
    looks = "|".join([r"\]\(", *(rf"\({re.escape(label)}\)" for label in labels or ())])
    for text in outside:
        if broken := re.search(rf"(?<!\\)(?:{looks})", text):
            near = text[max(0, broken.start() - 10) :][:40]
            raise DataError(
                f"{where}: broken markup near {near!r}; a mention is [surface](Type), and a backslash before a bracket makes it plain text"
            )


@contextmanager
def open_text(path: str | Path) -> Iterator[TextIO]:
    """A UTF-8 text file, or a .gz or .xz of one, with only line feeds as ends: real text holds other Unicode separators inside words.

    Raises DataError where it isn't one, or isn't there.
    """
    opening = {".xz": lzma.open, ".gz": gzip.open}.get(Path(path).suffix, open)
    try:
        with opening(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); convert it first, e.g. with iconv") from None
    except (lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise DataError(
            f"{path} can't be read: {getattr(error, 'strerror', None) or error or 'it breaks off'}"
        ) from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text)."""
    with open_text(path) as file:
        for number, text in enumerate(file, 1):
            yield number, text.rstrip("\r\n")


READERS: dict[str, Callable[..., Reading]] = {
    "conll": read_conll,
    "jsonl": read_jsonl,
    "pubtator": read_pubtator,
    "bioc": read_bioc,
    "inline": read_inline,
}
ENDINGS = {
    ".tsv": "conll", ".conll": "conll", ".iob": "conll", ".bio": "conll", ".jsonl": "jsonl", ".pubtator": "pubtator",
    ".xml": "bioc", ".json": "bioc",
}  # fmt: skip


def guess_reader(path: Path) -> str:
    """The reader for a user's file: by its ending, or for .txt and .json by its first lines."""
    path = Path(path)
    head = "".join(text + "\n" for _, (_, text) in zip(range(20), _lines(path), strict=False))
    if path.suffix.lower() == ".txt" or path.suffix.lower() not in ENDINGS:
        if _PASSAGE.match(head.lstrip()):
            return "pubtator"
        if _INLINE.search(head) or head.startswith("# "):
            return "inline"
        return "jsonl" if head.lstrip().startswith("{") else "conll"
    if path.suffix.lower() == ".json":
        first = head.lstrip().split("\n", 1)[0]
        return (
            "jsonl"
            if first.startswith("{") and first.endswith("}") and '"documents"' not in first
            else "bioc"
        )
    return ENDINGS[path.suffix.lower()]
