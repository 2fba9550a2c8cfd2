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
from .schemes import BARE, detect_scheme, to_spans, to_tags
from .text import Sentence, annotate, trimmed, word_spans, words

_INLINE = re.compile(r"\[((?:\\[\\\[\]()]|[^\[\]])+?)\]\((\w+)\)")
_ESCAPED = re.compile(r"\\([\\\[\]()])")
_MARKUP = re.compile(f"{_ESCAPED.pattern}|{_INLINE.pattern}")
_PMID = re.compile(r"(?:pmid|pubmed)[\W_]*(\d+)", re.IGNORECASE)
_PASSAGE = re.compile(r"(\S+?)\|([ta])\|(.*)")


@dataclass
class Reading:
    """What one file held: sentences, mentions by type as the source counts them, and repairs by name.

    `documented` says whether some sentence's `doc` is a real document; a sentence without one goes by a name of its own.
    `compared` counts the mentions whose text the file gives beside their offsets, and `differs` shows the first that differs.
    """

    sentences: list[Sentence] = field(default_factory=list)
    mentions: Counter = field(default_factory=Counter)
    repairs: Counter = field(default_factory=Counter)
    documented: bool = True
    compared: int = 0
    differs: str = ""

    def compare(self, given: str, text: str, start: int, end: int, where: str) -> None:
        """Count a mention whose text, as the file gives it, differs from the text at its offsets by more than case and blanks."""
        self.compared += 1
        if "".join(given.split()).casefold() != "".join(text[start:end].split()).casefold():
            self.repairs[_DIFFERS] += 1
            self.differs = self.differs or f"{where}: {given!r} is said to stand where the text is {text[start:end]!r}"

    def checked(self, path: Path) -> "Reading":
        """This reading; raises DataError where most mentions don't stand at their offsets."""
        if 2 * self.repairs[_DIFFERS] > self.compared:
            raise DataError(
                f"{path}: {self.repairs[_DIFFERS]} of {self.compared} mentions don't stand at their offsets, e.g. {self.differs}; "
                "offsets count characters, from 0, and the end is exclusive: correct them in the file"
            )
        return self


_DIFFERS = "mention text differs from its offsets"
REPEATED = "mentions of repeated documents dropped"
# the repairs that lose a mention: what the source counts, less these, is what is trained and scored
DROPS = ("overlapping mention dropped", "mention without a word dropped", "discontinuous mention dropped", REPEATED)


def document_name(given: object) -> str:
    """A document's name as every reader writes it: PMID:123, PMID 123 and 123.0 are 123."""
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    name = str(given).strip()
    pmid = _PMID.fullmatch(name)
    return pmid[1] if pmid else name


def _type_of(label: str, labels: Mapping[str, str] | None, where: str, repairs: Counter) -> str:
    """The workbook's type of a label, "" where it is left out."""
    label = (label or "").strip()
    if not label:
        repairs["annotation without a type dropped"] += 1
        return ""
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
        spans = [(start, end, _type_of(name, labels, f"{path}:{line + step * start}", reading.repairs)) for start, end, name in found]
        spans = [span for span in spans if span[2]]
        reading.mentions.update(name for _, _, name in spans)
        reading.sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc))
    return reading


def read_conll(path: Path, labels: Mapping[str, str] | None = None, bare_type: str | None = None) -> Reading:
    """One word a line, the word first and its tag last (2-4 columns, tab or space); a blank line ends a sentence.

    IOB1, IOB2, IOBES, BILOU, BMES or BMEWO is found out from the file. Bare B/I/O ("BioBERT form") takes its type from `bare_type`.
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
        tag = cells[-1].strip()
        if bare_type and tag in BARE:
            tag = f"{tag}-{bare_type}"
        elif tag in BARE:
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
        rows.append((tokens, tags, doc if doc is not None else f"{path.stem}-s{len(rows)}", line))
    return _from_tags(rows, path, labels, reading)


def jsonl_record(
    text: str | bytes, where: str, tag_field: str = "tags", tag_names: list[str] | None = None
) -> tuple[list[str], list[str], str | None]:
    """One line of JSON -> tokens, tags, document (None where it isn't named); raises DataError, which opens with `where`."""
    try:
        record = json.loads(text)
        tokens = record["tokens"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{where}: no JSON object with 'tokens' here ({error!r})") from None
    if (b"\\u" if isinstance(text, bytes) else "\\u") in text:
        _refuse_half_characters(record, where)
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
    doc = next((doc for key in ("doc", "pmid") if (doc := record.get(key)) not in (None, "")), None)
    return tokens, [tag.strip() for tag in tags], None if doc is None else document_name(doc)


def _refuse_half_characters(record: object, where: str) -> None:
    """JSON can hold half of a surrogate pair, which no UTF-8 file can: predictions on it could not be written."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise DataError(f"{where}: {half!r} is half of a character (a lone surrogate); replace it in the file") from None


def read_pubtator(path: Path, labels: Mapping[str, str] | None = None, concepts: Sequence[str] | None = None) -> Reading:
    """`id|t|title`, `id|a|abstract`, then tab-separated `id start end text type [concept]` over title + " " + abstract.

    Relation lines are passed over. A document that stands twice is read once. With `concepts` only mentions of these are read.
    Raises DataError where most mentions don't stand at their offsets.
    """
    path, reading, seen = Path(path), Reading(), {}
    for block in _blocks(path):
        doc, text, mentions = _pubtator_document(path, block, labels, reading, concepts and set(concepts))
        reading.mentions.update(name for _, _, name in mentions)
        if doc in seen:
            if seen[doc] != text:
                raise DataError(f"{path}:{block[0][0]}: document {doc!r} stands twice with different texts")
            reading.repairs["repeated document dropped"] += 1
            reading.repairs[REPEATED] += len(mentions)
            continue
        seen[doc] = text
        reading.sentences += annotate(text, mentions, doc, reading.repairs)
    return reading.checked(path)


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
        name = _type_of(label, labels, where, reading.repairs)
        if not name or (concepts and not concepts & set(re.split("[;,]", cells[5] if len(cells) > 5 else ""))):
            continue
        reading.compare(surface, whole, start, end, where)
        mentions.append((start, end, name))
    if doc is None or "t" not in passages:
        raise DataError(f"{path}:{block[0][0]}: a PubTator document opens with 'id|t|title', not {block[0][1][:60]!r}")
    return document_name(doc), f"{passages['t']} {passages.get('a', '')}", mentions


def read_bioc(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """BioC XML or JSON (library: bioc), the format by the file's ending; passage by passage.

    Annotations may stand in the document, in its passages or in their sentences, and so may the text of a passage. A document
    that stands twice is read once. A mention in several pieces is dropped and counted: a tag sequence holds none.
    Raises DataError where most mentions don't stand at their offsets.
    """
    from bioc import biocjson, biocxml

    path, reading, seen = Path(path), Reading(), {}
    load = biocjson.load if path.suffix.lower() == ".json" else biocxml.load
    try:
        with path.open(encoding="utf-8") as file:
            collection = load(file)
    except Exception as error:  # lxml, json and bioc each raise their own
        raise DataError(f"{path}: not BioC ({type(error).__name__}: {error})") from None
    for number, document in enumerate(collection.documents, 1):
        doc = document_name(document.id) if document.id else f"{path.stem}-{number}"
        where = f"{path}: document {doc}"
        parts = [(passage.offset or 0, _bioc_text(passage, where)) for passage in document.passages]
        mentions: list[list[tuple[int, int, str]]] = [[] for _ in parts]
        for annotation, own in _bioc_annotations(document):
            if found := _bioc_mention(annotation, own, parts, labels, where, reading):
                mentions[found[0]].append(found[1:])
        if doc in seen:
            if seen[doc] != parts:
                raise DataError(f"{where} stands twice with different texts")
            reading.repairs["repeated document dropped"] += 1
            reading.repairs[REPEATED] += sum(map(len, mentions))
            continue
        seen[doc] = parts
        for (base, text), inside in zip(parts, mentions, strict=True):
            reading.sentences += annotate(text, inside, doc, reading.repairs, base)
    return reading.checked(path)


def _bioc_text(passage, where: str) -> str:
    """A passage's text, or that of its sentences, each at its place."""
    text, base = passage.text or "", passage.offset or 0
    for sentence in () if passage.text else passage.sentences:
        if sentence.offset - base < len(text):
            raise DataError(f"{where}: the sentence at offset {sentence.offset} overlaps the one before it")
        text = text.ljust(sentence.offset - base) + (sentence.text or "")
    _refuse_half_characters(text, where)
    return text


def _bioc_annotations(document) -> Iterator[tuple[object, int | None]]:
    """(annotation, number of its passage or None) of a document."""
    yield from ((annotation, None) for annotation in document.annotations)
    for i, passage in enumerate(document.passages):
        yield from ((annotation, i) for annotation in passage.annotations)
        yield from ((annotation, i) for sentence in passage.sentences for annotation in sentence.annotations)


def _bioc_mention(
    annotation, own: int | None, parts: list[tuple[int, str]], labels: Mapping[str, str] | None, where: str, reading: Reading
) -> tuple[int, int, int, str] | None:
    """(number of the passage, start, end, type), or None for what is left out; `own` is the passage that it stands in."""
    where = f"{where}, annotation {annotation.id}"
    name = _type_of(annotation.infons.get("type", ""), labels, where, reading.repairs)
    if not name:
        return None
    if not annotation.locations:
        raise DataError(f"{where}: no location")
    reading.mentions[name] += 1
    if len(annotation.locations) > 1:
        reading.repairs["discontinuous mention dropped"] += 1
        return None
    begin, length = annotation.locations[0].offset, annotation.locations[0].length
    for i, (base, text) in enumerate(parts):
        start, end = begin - base, begin - base + length
        if own in (None, i) and 0 <= start < end <= len(text):
            if annotation.text:
                reading.compare(annotation.text, text, start, end, where)
            return i, start, end, name
    raise DataError(f"{where}: offsets {begin}+{length} lie outside {'the document' if own is None else 'their passage'}")


def read_inline(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """One sentence a line with `[surface](Type)` mentions; `# name` lines open documents.

    A backslash makes a bracket, parenthesis or backslash plain text: `\\[3H\\](+)`.
    """
    path, reading, doc, base = Path(path), Reading(documented=False), None, 0
    for line, text in _lines(path):
        if not text.strip():
            continue
        if text.startswith("# "):
            doc, base = document_name(text[2:]), 0
            continue
        plain, mentions = _without_markup(text, labels, f"{path}:{line}", reading.repairs)
        spans = trimmed(plain, mentions, reading.repairs)
        offsets = words(plain, {at for span in spans for at in span[:2]})
        reading.mentions.update(name for _, _, name in spans)
        reading.documented |= doc is not None
        name = doc if doc is not None else f"{path.stem}-s{line}"
        shifted = [(base + a, base + b) for a, b in offsets]
        tags = to_tags(word_spans(offsets, spans), len(offsets))
        reading.sentences.append(Sentence([plain[a:b] for a, b in offsets], tags, name, shifted))
        base += len(plain) + 1
    return reading


def _without_markup(text: str, labels: Mapping[str, str] | None, where: str, repairs: Counter) -> tuple[str, list[tuple[int, int, str]]]:
    """A line of inline markup -> its plain text and its mentions by character; raises DataError for broken markup."""
    plain, mentions, reached = "", [], 0
    left = ""  # the plain text, with a placeholder for each character that is no markup for sure
    for match in _MARKUP.finditer(text):
        between = text[reached : match.start()]
        escaped, surface, label = match.groups()
        inside = escaped or _ESCAPED.sub(r"\1", surface)
        if label and (name := _type_of(label, labels, where, repairs)):
            start = len(plain) + len(between)
            mentions.append((start, start + len(inside), name))
        plain += between + inside
        left += between + "\0" * len(inside)
        reached = match.end()
    plain, left = plain + text[reached:], left + text[reached:]
    broken = next((mark for mark in ["](", *(f"({label})" for label in labels or ())] if mark in left), None)
    if broken:
        near = plain[max(0, left.index(broken) - 10) :][:40]
        raise DataError(
            f"{where}: broken markup near {near!r}; a mention is [surface](Type), and brackets that are plain text have "
            r"a backslash before them, as in \[3H\](+)"
        )
    return plain, mentions


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
