"""Files with one tag per word: CoNLL columns and JSON lines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError, unknown
from .reading import (
    Reading,
    document_name,
    is_missing,
    numbered_lines,
    refuse_half_a_character,
    type_of,
)
from .schemes import PREFIXES, Span, detect_scheme, to_spans, to_tags
from .text import Sentence


class TaggedSentence(NamedTuple):
    """A sentence as its file has it; `line` is the number of its first line."""

    tokens: list[str]
    tags: list[str]
    doc: str
    line: int


def read_conll(
    path: Path, labels: Mapping[str, str] | None = None, bare_type: str | None = None
) -> Reading:
    """One word per line: the word in the first of 2 to 4 columns, its tag in the last.

    Tabs or blanks separate columns; an empty line ends a sentence; a `-DOCSTART-` line starts a
    document, which is numbered unless a name follows, as `tag` writes it. The tag scheme is
    detected (IOB1, IOB2, IOBES and its dialects). `bare_type` is the type of tags that are only B,
    I or O.
    """
    path, reading = Path(path), Reading()
    sentences: list[TaggedSentence] = []
    tokens: list[str] = []
    tags: list[str] = []
    columns, document, doc, line = None, 0, "", 0

    def end_sentence(line: int) -> None:
        if tokens:
            own = doc or f"{path.stem}-s{len(sentences)}"
            sentence = TaggedSentence(tokens.copy(), tags.copy(), own, line - len(tokens))
            sentences.append(sentence)
            tokens.clear()
            tags.clear()

    for line, text in numbered_lines(path):
        if not text.strip():
            end_sentence(line)
            continue
        cells = text.split("\t") if "\t" in text else text.split(" ")
        if cells[0] == "-DOCSTART-":
            end_sentence(line)
            document += 1
            doc = _told_name(cells) or f"{path.stem}-{document}"
            continue
        _check_columns(cells, columns, f"{path}:{line}", text)
        columns = len(cells)
        tokens.append(cells[0])
        tags.append(_typed(cells[-1].strip(), bare_type, f"{path}:{line}"))
    end_sentence(line + 1)
    reading.documented = document > 0
    return from_tags(sentences, path, labels, reading, one_word_per_line=True)


def _told_name(cells: Sequence[str]) -> str:
    """The name on a `-DOCSTART-` line, "" where its other cells are a word's."""
    name = cells[1].strip() if len(cells) == 2 else ""
    return "" if name in ("O", "-X-", "-", "_") else document_name(name)


def _check_columns(cells: list[str], columns: int | None, where: str, text: str) -> None:
    if 2 <= len(cells) <= 4 and columns in (None, len(cells)) and cells[0]:
        return
    expected = "2 to 4 columns, word first and tag last"
    if columns:
        expected = f"{columns} columns as above"
    raise DataError(f"{where}: {len(cells)} columns in {text!r}; expected {expected}")


def _typed(tag: str, bare_type: str | None, where: str) -> str:
    """A tag with its type: a file may say only B, I, O."""
    if tag not in PREFIXES:
        return tag
    if not bare_type:
        raise DataError(
            f"{where}: bare tag {tag!r}; name the type that the file annotates (bare_type=)"
        )
    return f"{tag}-{bare_type}"


def read_jsonl(
    path: Path,
    labels: Mapping[str, str] | None = None,
    tag_field: str = "tags",
    tag_names: list[str] | None = None,
) -> Reading:
    """One JSON object per line with `tokens` and, in `tag_field`, their tags.

    Integer tags are indices into `tag_names`. `doc` or `pmid` names the document.
    """
    path, reading = Path(path), Reading(documented=False)
    sentences = []
    for line, text in numbered_lines(path):
        if not text.strip():
            continue
        tokens, tags, doc = jsonl_record(text, f"{path}:{line}", tag_field, tag_names)
        if not tokens:
            reading.repairs["empty sentence dropped"] += 1
            continue
        reading.documented |= doc is not None
        name = f"{path.stem}-s{len(sentences)}" if doc is None else str(doc)
        sentences.append(TaggedSentence(tokens, tags, name, line))
    return from_tags(sentences, path, labels, reading)


def jsonl_record(
    text: str | bytes, where: str, tag_field: str = "tags", tag_names: list[str] | None = None
) -> tuple[list[str], list[str], str | None]:
    """One line of JSON -> tokens, tags, document (None where it isn't named).

    Raises DataError, whose message starts with `where`.
    """
    try:
        record = json.loads(text)
        record["tokens"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{where}: no JSON object with 'tokens' here ({error!r})") from None
    tokens, tags, doc = checked_record(record, where, tag_field, tag_names)
    if (b"\\u" if isinstance(text, bytes) else "\\u") in text:
        refuse_half_a_character([*tokens, str(doc)], where)
    return tokens, tags, doc


def checked_record(
    record: Mapping, where: str, tag_field: str, tag_names: list[str] | None
) -> tuple[list[str], list[str], str | None]:
    """A record with `tokens` and tags -> tokens, tags as text, document (None where not named).

    Raises DataError, whose message starts with `where`.
    """
    tokens = record["tokens"]
    if tag_field not in record:
        raise DataError(f"{where}: {unknown('tag field', tag_field, record)}")
    if not isinstance(tokens, list) or not all(isinstance(t, str) and t for t in tokens):
        raise DataError(f"{where}: 'tokens' is {str(tokens)[:60]!r}; expected a list of words")
    named = [record[key] for key in ("doc", "pmid") if not is_missing(record.get(key))]
    doc = document_name(named[0]) if named else None
    tags = _named_tags(record[tag_field], tag_field, tag_names, where)
    if len(tags) != len(tokens):
        raise DataError(f"{where}: {len(tokens)} tokens but {len(tags)} tags")
    return tokens, tags, doc


def _named_tags(tags: object, tag_field: str, tag_names: list[str] | None, where: str) -> list[str]:
    """Tags as text."""
    if not isinstance(tags, list) or {type(tag) for tag in tags} not in (set(), {int}, {str}):
        raise DataError(
            f"{where}: {tag_field!r} is {str(tags)[:60]!r}; "
            "expected a list of tags, or of numbers that name them"
        )
    if any(isinstance(tag, int) for tag in tags):
        if tag_names is None or not all(0 <= tag < len(tag_names) for tag in tags):
            numbers = sorted(set(tags))
            raise DataError(
                f"{where}: integer tags {numbers} need names for all of them "
                f"(tag_names={tag_names})"
            )
        tags = [tag_names[tag] for tag in tags]
    return [tag.strip() for tag in tags]


def from_tags(
    sentences: Iterable[TaggedSentence],
    path: Path,
    labels: Mapping[str, str] | None,
    reading: Reading,
    one_word_per_line: bool = False,
) -> Reading:
    """Sentences in any scheme -> sentences in IOB2 with the workbook's types."""
    sentences = list(sentences)
    scheme = detect_scheme(sentence.tags for sentence in sentences)
    for tokens, tags, doc, line in sentences:
        try:
            found = to_spans(tags, scheme, reading.repairs)
        except ValueError as error:
            message = f"{path}:{line}: {error}, in the sentence that starts here"
            raise DataError(message) from None
        spans = []
        for span in found:
            place = line + span.start if one_word_per_line else line
            if type := type_of(span.type, labels, f"{path}:{place}"):
                spans.append(Span(span.start, span.end, type))
        reading.mentions.update(span.type for span in spans)
        reading.sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc))
    return reading
