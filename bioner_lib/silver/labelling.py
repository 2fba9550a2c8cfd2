"""Silver: running text with the labels of a lexicon, as a corpus that declares its types.

    text -> sentences -> words -> matches -> train-<hash>.jsonl and corpus.toml in one folder

The corpus is what corpus.toml names. A new text is written aside under a name of its own, and
becomes the corpus when corpus.toml is replaced, in one step. So two makers never mix, and a killed
maker leaves the old corpus or the new one.

Each line of the text holds `tokens`, `decoded_tags` (a person's labels: none),
`decoded_tags_pseudo_final` (the lexicon's labels, IOB2), `doc`, and `spans` with the lexicon's
identifiers. This is the form of BioNER-DS's files, which can be read in the same way.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from ..corpora.loading import evaluation_documents
from ..corpora.reading import open_text
from ..corpora.registry import CORPORA
from ..corpora.schemes import Span, to_tags
from ..corpora.text import Sentence, sentence_bounds, tokenize
from ..errors import DataError, WorkbookError
from ..home import outputs, replace_text
from .lexicons import Lexicon
from .pubmed import PubMed

TAG_FIELD = "decoded_tags_pseudo_final"
LONGEST = 5_000  # characters; anything longer is no sentence
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_TEXT = re.compile(r"train(-[0-9a-f]{8})?\.jsonl")  # names that this module gives, or once gave
_CHUNK = 5_000  # sentences that a worker takes at once
_WAITING = 64  # chunks that are labelled or wait at once: a bound on memory

Document = tuple[str, str]  # (name of the document, text)


def read_lines(path: str | Path, dropped: Counter) -> Iterator[Document]:
    """(document, sentence) of a text file with one sentence per line.

    Each line is a document of its own. The sentences are cleaned as by `clean`. Raises DataError
    for a file that is missing or isn't UTF-8; .gz and .xz are read too.
    """
    with open_text(path) as file:
        lines = (line.rstrip("\r\n") for line in file)
        named = ((f"{Path(path).stem}-{number}", line) for number, line in enumerate(lines, 1))
        yield from clean(named, dropped)


def split_documents(documents: Iterable[Document], dropped: Counter) -> Iterator[Document]:
    """(document, text) -> (document, sentence), cleaned as by `clean`."""

    def sentences() -> Iterator[Document]:
        for doc, text in documents:
            for start, end in sentence_bounds(text):
                yield doc, text[start:end]

    yield from clean(sentences(), dropped)


def clean(sentences: Iterable[Document], dropped: Counter) -> Iterator[Document]:
    """The sentences that can be labelled, each once; `dropped` counts the others.

    Control characters become blanks. Empty sentences, sentences of more than LONGEST characters and
    repeated ones are dropped.
    """
    seen: set[int] = set()
    for doc, text in sentences:
        if _CONTROL.search(text):
            dropped["control characters made blanks"] += 1
            text = _CONTROL.sub(" ", text)
        text = text.strip()
        if not text:
            dropped["empty"] += 1
        elif len(text) > LONGEST:
            dropped[f"longer than {LONGEST} characters"] += 1
        elif hash(text) in seen:
            dropped["repeated"] += 1
        else:
            seen.add(hash(text))
            yield doc, text


def running_text(
    plain: Iterable[Document],
    dropped: Counter,
    text: str = "",
    query: str = "",
    email: str = "",
    dates: str = "",
    limit: int = 0,
) -> Iterator[Document]:
    """(document, sentence) of a PubMed search `query`, else of the file `text`, else of `plain`.

    All are cleaned as by `clean`. `dates` are the first and last publication date of the search,
    with a blank between; `limit` bounds its abstracts (0: all). The search leaves out the documents
    of the registered corpora. It is asked at once, so a wrong date or address fails here.
    """
    if not query:
        return read_lines(text, dropped) if text else clean(plain, dropped)
    since, until = [*dates.split(), "", ""][:2]
    pubmed = PubMed(email, outputs() / "pubmed")
    pubmed.dropped = dropped
    print(f"{pubmed.count(query, since, until):,} records")
    abstracts = pubmed.abstracts(query, since, until, limit, exclude=evaluation_documents())
    return split_documents((abstract.document for abstract in abstracts), dropped)


def silver_folder(name: str) -> Path:
    """The folder of the silver corpus with this name, where runs look for it.

    Raises WorkbookError for what can't be its name.
    """
    if name in CORPORA:
        raise WorkbookError(f"{name!r} can't be a silver corpus's name: a registered corpus has it")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise WorkbookError(
            f"{name!r} can't be a silver corpus's name: expected letters, digits, dots, hyphens, "
            "plus signs"
        )
    return outputs() / "silver" / name


def label(
    sentences: Iterable[Document],
    lexicon: str | Path,
    folder: str | Path,
    executor: Executor | None = None,
    replace: bool = False,
) -> dict:
    """Label (document, sentence) pairs with a lexicon's file, and write them as a corpus.

    Returns the numbers of sentences, words, and labels by type. An `executor` (processes, or a
    cluster that shares the file system) labels chunks side by side and writes the same bytes.
    `replace` replaces an existing corpus, once the new one is complete.

    Raises DataError for a lexicon without an entry, for no sentence, and for a folder that already
    holds a corpus.
    """
    path = Path(lexicon).resolve()
    if not path.is_file():
        raise DataError(f"{path}: no such lexicon; make it with save_entries")
    stamp = path.stat().st_mtime_ns
    known = _load(str(path), stamp)
    if not len(known):
        raise DataError(f"{path} has no entry; there is nothing to label with")
    counts, labels = Counter(sentences=0, words=0), Counter()

    def lines() -> Iterator[str]:
        work = partial(label_chunk, lexicon=str(path), stamp=stamp)
        for chunk in _chunks(sentences, work, executor):
            counts.update(sentences=chunk.sentences, words=chunk.words)
            labels.update(chunk.labels)
            yield chunk.text

    def about() -> dict:
        return {"lexicon": known.about.get("sources", {}), "labelled": {**counts, **labels}}

    _write(lines(), known.types, folder, replace, about)
    return {**counts, "labels": dict(labels)}


def save_sentences(
    sentences: Iterable[Sentence],
    types: Iterable[str],
    folder: str | Path,
    replace: bool = False,
    **about: Mapping[str, str],
) -> None:
    """Write sentences whose labels nobody checked as a silver corpus.

    `about` are tables of corpus.toml that say where the labels come from. Raises DataError for no
    sentence, and for a folder that already holds a corpus, unless `replace` is given.
    """
    counts, labels = Counter(), Counter()

    def lines() -> Iterator[str]:
        for sentence in sentences:
            counts.update(sentences=1, words=len(sentence.tokens))
            labels.update(span.type for span in sentence.spans)
            yield _record(sentence.tokens, sentence.tags, sentence.doc, sentence.spans)

    _write(lines(), types, folder, replace, lambda: {**about, "labelled": {**counts, **labels}})


def _write(
    lines: Iterable[str],
    types: Iterable[str],
    folder: str | Path,
    replace: bool,
    about: Callable[[], Mapping[str, Mapping]],
) -> None:
    """Write the text aside, then make it the corpus; `about` is asked after the last line."""
    from filelock import FileLock

    folder = Path(folder)
    _refuse_another(folder, replace)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{uuid4().hex}.tmp"
    try:
        digest = _write_text(aside, lines)
        if not aside.stat().st_size:
            raise DataError(f"no sentence for {folder.name}: nothing is left of the text")
        text = folder / f"train-{digest[:8]}.jsonl"
        settings = {
            "types": json.dumps(list(types), ensure_ascii=False),
            "reader": '"jsonl"',
            "tag_field": f'"{TAG_FIELD}"',
            "silver": "true",
            "files": f'{{ train = "{text.name}" }}',
            "sha256": f'"{digest}"',
        }
        settings |= {name: _toml_table(table) for name, table in about().items()}
        content = "".join(f"{key} = {value}\n" for key, value in settings.items())
        with FileLock(folder / ".lock"):
            _refuse_another(folder, replace)
            aside.replace(text)
            replace_text(folder / "corpus.toml", content)
            for old in folder.iterdir():
                if _TEXT.fullmatch(old.name) and old != text:
                    old.unlink()
    except OSError as error:
        raise WorkbookError(
            f"can't write to {folder} ({error.strerror or error}); make room and label again: an "
            "earlier corpus is kept"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _write_text(path: Path, lines: Iterable[str]) -> str:
    """Write lines to a file; returns its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for line in lines:
            content = line.encode()
            digest.update(content)
            file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _refuse_another(folder: Path, replace: bool) -> None:
    holds_one = any((folder / name).exists() for name in ("corpus.toml", "train.jsonl"))
    if holds_one and not replace:
        raise DataError(f"{folder} holds a corpus already; delete it or name another folder")


def _toml_table(table: Mapping) -> str:
    """A table as one line of TOML."""
    return "{" + ", ".join(f"{_toml(key)} = {_toml(value)}" for key, value in table.items()) + "}"


def _toml(value: str | int) -> str:
    """JSON's texts are TOML's, except for DEL and for characters that JSON writes as two halves."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _record(tokens: list[str], tags: list[str], doc: str, spans: list[tuple]) -> str:
    """One line of the text."""
    record = {
        "tokens": tokens,
        "decoded_tags": ["O"] * len(tokens),
        TAG_FIELD: tags,
        "doc": doc,
        "spans": spans,
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


class Chunk(NamedTuple):
    """Labelled sentences: lines of JSON, their number, their words, labels by type."""

    text: str
    sentences: int
    words: int
    labels: Counter


def _chunks(
    sentences: Iterable[Document], work: Callable, executor: Executor | None
) -> Iterator[Chunk]:
    """Labelled chunks, in order."""
    sentences = iter(sentences)
    chunks = iter(lambda: list(islice(sentences, _CHUNK)), [])
    if executor is None:
        yield from map(work, chunks)
        return
    waiting = [executor.submit(work, chunk) for chunk in islice(chunks, _WAITING)]
    while waiting:
        yield waiting.pop(0).result()
        waiting += [executor.submit(work, chunk) for chunk in islice(chunks, 1)]


@lru_cache(maxsize=2)
def _load(lexicon: str, stamp: int) -> Lexicon:
    """A lexicon, read once per process and version of its file.

    Raises DataError if it is replaced while it labels a text.
    """
    loaded = Lexicon.load(lexicon)
    if Path(lexicon).stat().st_mtime_ns != stamp:
        raise DataError(
            f"{lexicon} was made again while it labelled a text; label that text again, so that "
            "one lexicon labels all of it"
        )
    return loaded


def label_chunk(chunk: list[Document], lexicon: str, stamp: int) -> Chunk:
    """Label (document, sentence) pairs; other processes run this function too."""
    known = _load(lexicon, stamp)
    lines, words, labels = [], 0, Counter()
    for doc, text in chunk:
        tokens = tokenize(text)
        if not tokens:
            continue
        matches = known.find(tokens)
        labels.update(match.type for match in matches)
        words += len(tokens)
        tags = to_tags([Span(*match[:3]) for match in matches], len(tokens))
        lines.append(_record(tokens, tags, doc, matches))
    return Chunk("".join(lines), len(lines), words, labels)
