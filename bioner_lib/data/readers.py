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
from .schemes import detect_scheme, to_spans, to_tags
from .text import Sentence, annotate, snap, words

_INLINE = re.compile(r"\[([^\[\]]+)\]\((\w+)\)")
_PASSAGE = re.compile(r"(\S+?)\|([ta])\|(.*)")


@dataclass
class Reading:
    """What one file held: sentences, mentions by type as the source counts them, and repairs by name.

    `documented` says whether `doc` is a real document or only a sentence's own name.
    """

    sentences: list[Sentence] = field(default_factory=list)
    mentions: Counter = field(default_factory=Counter)
    repairs: Counter = field(default_factory=Counter)
    documented: bool = True


# the repairs that lose a mention: what the source counts, less these, is what is trained and scored
DROPS = ("overlapping mention dropped", "mention without a word dropped", "mentions of repeated documents dropped")


def _type_of(label: str, labels: Mapping[str, str] | None, where: str) -> str:
    if labels is None:
        return label
    if label not in labels:
        raise DataError(f"{where}: {unknown('label', label, labels)}; add it to the label map, as '' to leave it out")
    return labels[label]


def _from_tags(rows: Iterable[tuple], path: Path, labels, reading: Reading, one_word_a_line: bool = False) -> Reading:
    """(tokens, source tags, doc, line) -> sentences in IOB2 with mapped types."""
    rows = list(rows)
    scheme = detect_scheme(tags for _, tags, _, _ in rows)
    for tokens, tags, doc, line in rows:
        try:
            found = to_spans(tags, scheme, reading.repairs)
        except ValueError as error:
            raise DataError(f"{path}:{line}: {error}, in the sentence that starts here") from None
        step = int(one_word_a_line)
        spans = [(start, end, _type_of(name, labels, f"{path}:{line + step * start}")) for start, end, name in found]
        spans = [span for span in spans if span[2]]
        reading.mentions.update(name for _, _, name in spans)
        reading.sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc))
    return reading


def read_conll(path: Path, labels: Mapping[str, str] | None = None, bare_type: str | None = None) -> Reading:
    """One word a line, the word first and its tag last (2-4 columns, tab or space); a blank line ends a sentence.

    IOB1, IOB2 or IOBES is found out from the file. Bare B/I/O ("BioBERT form") takes its type from `bare_type`.
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
            wanted = f"{columns} columns as above" if columns else "2 to 4 columns, word first and tag last"
            raise DataError(f"{path}:{line}: {len(cells)} columns in {text!r}; expected {wanted}")
        columns = len(cells)
        tag = cells[-1]
        if bare_type and tag in ("B", "I", "E", "S"):
            tag = f"{tag}-{bare_type}"
        elif tag in ("B", "I", "E", "S"):
            raise DataError(f"{path}:{line}: bare tag {tag!r}; name the type that the file annotates (bare_type=)")
        tokens.append(cells[0])
        tags.append(tag)
    close(line + 1)
    reading.documented = document > 0
    return _from_tags(rows, path, labels, reading, one_word_a_line=True)


def read_jsonl(path: Path, labels: Mapping[str, str] | None = None, tag_field: str = "tags", tag_names: list[str] | None = None) -> Reading:
    """One JSON object a line with `tokens` and tags under `tag_field`; integer tags are looked up by name in `tag_names`.

    `doc` (or `pmid`) names the document where the file has it.
    """
    path, reading = Path(path), Reading(documented=True)
    rows = []
    for line, text in _lines(path):
        if not text.strip():
            continue
        tokens, tags, doc = jsonl_record(text, f"{path}:{line}", tag_field, tag_names)
        if not tokens:
            reading.repairs["empty sentence dropped"] += 1
            continue
        reading.documented &= doc is not None
        rows.append((tokens, tags, str(doc if doc is not None else f"{path.stem}-s{len(rows)}"), line))
    return _from_tags(rows, path, labels, reading)


def jsonl_record(text: str | bytes, where: str, tag_field: str = "tags", tag_names: list[str] | None = None) -> tuple[list, list, object]:
    """One line of JSON -> tokens, tags, document (None where it isn't named); raises DataError, which opens with `where`."""
    try:
        record = json.loads(text)
        tokens = record["tokens"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{where}: no JSON object with 'tokens' here ({error!r})") from None
    if tag_field not in record:
        raise DataError(f"{where}: {unknown('tag field', tag_field, record)}")
    tags = record[tag_field]
    if not isinstance(tokens, list) or not all(isinstance(token, str) and token for token in tokens):
        raise DataError(f"{where}: 'tokens' is {str(tokens)[:60]!r}; expected a list of words")
    if not isinstance(tags, list) or {type(tag) for tag in tags} not in (set(), {int}, {str}):
        raise DataError(f"{where}: {tag_field!r} is {str(tags)[:60]!r}; expected a list of tags, or of numbers that name them")
    if any(isinstance(tag, int) for tag in tags):
        if tag_names is None or not all(0 <= tag < len(tag_names) for tag in tags):
            raise DataError(f"{where}: integer tags {sorted(set(tags))} need names for all of them (tag_names={tag_names})")
        tags = [tag_names[tag] for tag in tags]
    if len(tags) != len(tokens):
        raise DataError(f"{where}: {len(tokens)} tokens but {len(tags)} tags")
    return tokens, tags, next((doc for key in ("doc", "pmid") if (doc := record.get(key)) not in (None, "")), None)


def read_pubtator(path: Path, labels: Mapping[str, str] | None = None, concepts: Sequence[str] | None = None) -> Reading:
    """`id|t|title`, `id|a|abstract`, then tab-separated `id start end text type [concept]` over title + " " + abstract.

    Relation lines are passed over. A document that stands twice is read once. With `concepts` only mentions of these are read.
    """
    path, reading, seen = Path(path), Reading(), {}
    for block in _blocks(path):
        doc, text, mentions = _pubtator_document(path, block, labels, reading, concepts and set(concepts))
        reading.mentions.update(name for _, _, name in mentions)
        if doc in seen:
            if seen[doc] != text:
                raise DataError(f"{path}:{block[0][0]}: document {doc!r} stands twice with different texts")
            reading.repairs["repeated document dropped"] += 1
            reading.repairs["mentions of repeated documents dropped"] += len(mentions)
            continue
        seen[doc] = text
        reading.sentences += annotate(text, mentions, doc, reading.repairs)
    return reading


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
    path: Path, block, labels, reading: Reading, concepts: set[str] | None = None
) -> tuple[str, str, list[tuple[int, int, str]]]:
    passages, mentions, doc = {}, [], None
    for line, text in block:
        where = f"{path}:{line}"
        if match := _PASSAGE.fullmatch(text):
            if doc not in (None, match[1]) or match[2] in passages:
                raise DataError(f"{where}: {text[:60]!r} opens another document; PubTator documents are separated by blank lines")
            doc, passages[match[2]] = match[1], match[3]
            continue
        cells = text.split("\t")
        if len(cells) < 4 or cells[0] != doc:
            raise DataError(f"{where}: {text[:80]!r} is neither a passage nor an annotation of document {doc!r}")
        if not any(sign.isdigit() for sign in cells[1]):  # the name of a relation, then two concepts
            reading.repairs["relation line passed over"] += 1
            continue
        try:
            start, end, surface, label = int(cells[1]), int(cells[2]), cells[3], cells[4]
        except (ValueError, IndexError):
            raise DataError(f"{where}: {text[:80]!r}; an annotation is id, start, end, text, type, separated by tabs") from None
        whole = f"{passages.get('t', '')} {passages.get('a', '')}"
        if not 0 <= start < end <= len(whole):
            raise DataError(f"{where}: offsets {start}-{end} are empty or outside a text of {len(whole)} characters")
        name = _type_of(label, labels, where)
        if not name or (concepts and not concepts & set(re.split("[;,]", cells[5] if len(cells) > 5 else ""))):
            continue
        if whole[start:end] != surface:
            reading.repairs["mention text differs from its offsets"] += 1
        mentions.append((start, end, name))
    if doc is None or "t" not in passages:
        raise DataError(f"{path}:{block[0][0]}: a PubTator document opens with 'id|t|title', not {block[0][1][:60]!r}")
    return doc, f"{passages['t']} {passages.get('a', '')}", mentions


def read_bioc(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """BioC XML or JSON (library: bioc), the format by the file's ending; passage by passage."""
    from bioc import biocjson, biocxml

    path, reading = Path(path), Reading()
    load = biocjson.load if path.suffix.lower() == ".json" else biocxml.load
    try:
        with path.open(encoding="utf-8") as file:
            collection = load(file)
    except Exception as error:  # lxml, json and bioc each raise their own
        raise DataError(f"{path}: not BioC ({type(error).__name__}: {error})") from None
    for document in collection.documents:
        for passage in document.passages:
            # text and annotations stand in the passage, or in the sentences below it
            parts = [passage] if passage.text else passage.sentences
            inner = [annotation for sentence in passage.sentences for annotation in sentence.annotations] if passage.text else []
            for part in parts:
                where = f"{path}: document {document.id}"
                mentions = [m for annotation in [*part.annotations, *inner] if (m := _bioc_mention(annotation, part, labels, where))]
                reading.mentions.update(name for _, _, name in mentions)
                reading.sentences += annotate(part.text or "", mentions, document.id, reading.repairs, part.offset)
    return reading


def _bioc_mention(annotation, part, labels: Mapping[str, str] | None, where: str) -> tuple[int, int, str] | None:
    where = f"{where}, annotation {annotation.id}"
    name = _type_of(annotation.infons.get("type", ""), labels, where)
    if not annotation.locations:
        raise DataError(f"{where}: no location")
    span = annotation.total_span
    start, end = span.offset - part.offset, span.offset + span.length - part.offset
    if not 0 <= start < end <= len(part.text or ""):
        raise DataError(f"{where}: offsets {span.offset}+{span.length} lie outside their passage")
    return (start, end, name) if name else None


def read_inline(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """One sentence a line with `[surface](Type)` mentions; `# name` lines open documents."""
    path, reading, doc, base = Path(path), Reading(), None, 0
    for line, text in _lines(path):
        if not text.strip():
            continue
        if text.startswith("# "):
            doc, base = text[2:].strip(), 0
            continue
        plain, mentions, reached = "", [], 0
        for match in _INLINE.finditer(text):
            plain += text[reached : match.start()]
            name = _type_of(match[2], labels, f"{path}:{line}")
            mentions.append((len(plain), len(plain) + len(match[1]), name))
            plain += match[1]
            reached = match.end()
        plain += text[reached:]
        broken = next((mark for mark in ["](", *(f"({label})" for label in labels or ())] if mark in plain), None)
        if broken:
            near = plain[max(0, plain.index(broken) - 10) :][:40]
            raise DataError(f"{path}:{line}: broken markup near {near!r}; a mention is [surface](Type)")
        offsets = words(plain)
        spans = snap(offsets, [m for m in mentions if m[2]], reading.repairs)
        reading.mentions.update(name for _, _, name in spans)
        reading.documented &= doc is not None
        name = doc if doc is not None else f"{path.stem}-s{line}"
        shifted = [(base + a, base + b) for a, b in offsets]
        reading.sentences.append(Sentence([plain[a:b] for a, b in offsets], to_tags(spans, len(offsets)), name, shifted))
        base += len(plain) + 1
    return reading


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
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError, FileNotFoundError, IsADirectoryError) as error:
        raise DataError(f"{path} can't be read: {getattr(error, 'strerror', None) or error or 'it breaks off'}") from None


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
        return "jsonl" if first.startswith("{") and first.endswith("}") and '"documents"' not in first else "bioc"
    return ENDINGS[path.suffix.lower()]
