"""Files with one tag per word: CoNLL columns and JSON lines."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import DataError, unknown
from .reading import Reading, document_name, numbered_lines, refuse_half_a_character, type_of
from .schemes import PREFIXES, detect_scheme, to_spans, to_tags
from .text import Sentence


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
            (start, end, type_of(name, labels, f"{path}:{line + step * start}"))
            for start, end, name in found
        ]
        spans = [span for span in spans if span[2]]
        reading.mentions.update(name for _, _, name in spans)
        reading.sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc))
    return reading


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
    for line, text in numbered_lines(path):
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
    for line, text in numbered_lines(path):
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
        refuse_half_a_character([*tokens, str(named)], where)
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
