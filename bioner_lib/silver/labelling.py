"""Silver: running text with the labels of a lexicon, as a corpus that says what its lexicon knows.

    lines of text, or documents -> sentences -> words -> spans -> train-<hash>.jsonl and corpus.toml in one folder

A corpus is what its corpus.toml names: a new text is written aside under a name of its own, and becomes the corpus in one step, when
corpus.toml is replaced. So two makers never mix, and whatever is killed leaves the old corpus or the new one.

Each line of the text holds `tokens`, `decoded_tags` (what people annotated: nothing), `decoded_tags_pseudo_final` (the lexicon's
tags, IOB2), `doc`, and `spans` with the lexicon's identifiers: the form of BioNER-DS's files, which are read alike.
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
from uuid import uuid4

from ..corpora.loading import evaluation_documents
from ..corpora.reading import open_text
from ..corpora.registry import CORPORA
from ..corpora.schemes import to_tags
from ..corpora.text import Sentence, sentence_bounds, tokenize
from ..errors import DataError, WorkbookError
from ..home import outputs, replace_text
from .lexicons import Lexicon
from .pubmed import PubMed

TAG_FIELD = "decoded_tags_pseudo_final"
LONGEST = 5_000  # characters; what is longer is no sentence
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_TEXT = re.compile(
    r"train(-[0-9a-f]{8})?\.jsonl"
)  # the texts that this module writes, or once wrote
_CHUNK = 5_000  # sentences that a worker takes at once


def read_lines(path: str | Path, dropped: Counter) -> Iterator[tuple[str, str]]:
    """(document, sentence) of a text file with one sentence a line; each line is a document of its own.

    Control characters become blanks. Dropped and counted: empty lines, lines of more than LONGEST characters, repeated sentences. Raises
    DataError for a file that isn't there or isn't UTF-8; .gz and .xz are read too.
    """
    with open_text(path) as file:
        numbered = (
            (f"{Path(path).stem}-{number}", line.rstrip("\r\n"))
            for number, line in enumerate(file, 1)
        )
        yield from clean(numbered, dropped)


def split_documents(
    documents: Iterable[tuple[str, str]], dropped: Counter
) -> Iterator[tuple[str, str]]:
    """(document, text) -> (document, sentence), cleaned as by `read_lines`."""
    yield from clean(
        ((doc, text[start:end]) for doc, text in documents for start, end in sentence_bounds(text)),
        dropped,
    )


def clean(sentences: Iterable[tuple[str, str]], dropped: Counter) -> Iterator[tuple[str, str]]:
    """What is fit to be labelled, each sentence once; what isn't is counted in `dropped`."""
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
    plain: Iterable[tuple[str, str]],
    dropped: Counter,
    text: str = "",
    query: str = "",
    email: str = "",
    dates: str = "",
    limit: int = 0,
) -> Iterator[tuple[str, str]]:
    """(document, sentence) of a PubMed search `query`, else of the file `text`, else of `plain`; cleaned, see `clean`.

    `dates` are the first and last publication date of the search, separated by a blank, and `limit` bounds its abstracts (0: all).
    The search leaves out the documents of the registered corpora. It is asked at once, so a wrong date or address fails here.
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
    """Where the silver corpus of this name lies, and runs look for it; raises WorkbookError for what can't be its name."""
    if name in CORPORA or not re.fullmatch(r"\w[\w.+-]*", name):
        taken = (
            "a registered corpus has it"
            if name in CORPORA
            else "expected letters, digits, dots, hyphens, plus signs"
        )
        raise WorkbookError(f"{name!r} can't be a silver corpus's name: {taken}")
    return outputs() / "silver" / name


def label(
    sentences: Iterable[tuple[str, str]],
    lexicon: str | Path,
    folder: str | Path,
    executor: Executor | None = None,
    replace: bool = False,
) -> dict:
    """Label (document, sentence) pairs with a lexicon's file; write the text and corpus.toml; return how many
    sentences, words, and labels by type.

    With an `executor` (processes, or a cluster that shares the file system) chunks of sentences are labelled side by side; the files are
    the same, byte for byte. Raises DataError for a lexicon without an entry, no sentence, and a folder that holds a corpus already, which
    `replace` replaces once the new one is whole.
    """
    counts, kinds, lexicon = Counter(), Counter(), str(Path(lexicon).resolve())
    if not Path(lexicon).is_file():
        raise DataError(f"{lexicon}: no such lexicon; make it with save_entries")
    stamp = Path(lexicon).stat().st_mtime_ns

    def lines() -> Iterator[str]:
        for made, n_made, found, n_words in _chunks(
            sentences, partial(label_chunk, lexicon=lexicon, stamp=stamp), executor
        ):
            kinds.update(found)
            counts.update(sentences=n_made, words=n_words)
            yield made

    held = _load(lexicon, stamp)
    if not len(held):
        raise DataError(f"{lexicon} has no entry; there is nothing to label with")
    _write(
        lines(),
        held.types,
        folder,
        replace,
        lambda: {"lexicon": held.about.get("sources", {}), "labelled": {**counts, **kinds}},
    )
    return {**counts, "labels": dict(kinds)}


def save_sentences(
    sentences: Iterable[Sentence],
    types: Iterable[str],
    folder: str | Path,
    replace: bool = False,
    **about: Mapping[str, str],
) -> None:
    """A silver corpus of sentences whose labels nobody checked; `about` says in corpus.toml where they come from.

    Raises DataError for no sentence, and for a folder that holds a corpus already, which `replace` replaces.
    """
    counts, kinds = Counter(), Counter()

    def lines() -> Iterator[str]:
        for sentence in sentences:
            counts.update(sentences=1, words=len(sentence.tokens))
            kinds.update(name for _, _, name in sentence.spans)
            yield _record(sentence.tokens, sentence.tags, sentence.doc, sentence.spans)

    _write(lines(), types, folder, replace, lambda: {**about, "labelled": {**counts, **kinds}})


def _write(
    lines: Iterable[str],
    types: Iterable[str],
    folder: str | Path,
    replace: bool,
    about: Callable[[], Mapping[str, Mapping]],
) -> None:
    """Write the text aside, then make it the corpus under a lock; `about` is asked once the lines are written."""
    from filelock import FileLock

    folder = Path(folder)
    _refuse_another(folder, replace)
    folder.mkdir(parents=True, exist_ok=True)
    aside, digest = folder / f"{uuid4().hex}.tmp", hashlib.sha256()
    try:
        with aside.open("wb") as file:
            for line in lines:
                content = line.encode()
                digest.update(content)
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not aside.stat().st_size:
            raise DataError(f"no sentence for {folder.name}: nothing is left of the text")
        text = folder / f"train-{digest.hexdigest()[:8]}.jsonl"
        declared = [
            f"types = {json.dumps(list(types), ensure_ascii=False)}", 'reader = "jsonl"', f'tag_field = "{TAG_FIELD}"', "silver = true",
            f'files = {{ train = "{text.name}" }}', f'sha256 = "{digest.hexdigest()}"',
        ]  # fmt: skip
        declared += [f"{name} = {_toml_table(table)}" for name, table in about().items()]
        with FileLock(folder / ".lock"):
            _refuse_another(folder, replace)
            aside.replace(text)
            replace_text(folder / "corpus.toml", "\n".join(declared) + "\n")
            for old in folder.iterdir():
                if _TEXT.fullmatch(old.name) and old != text:
                    old.unlink()
    except OSError as error:
        raise WorkbookError(
            f"can't write to {folder} ({error.strerror or error}); make room and label again: an earlier corpus is kept"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _refuse_another(folder: Path, replace: bool) -> None:
    if not replace and any((folder / name).exists() for name in ("corpus.toml", "train.jsonl")):
        raise DataError(f"{folder} holds a corpus already; delete it or name another folder")


def _toml_table(table: Mapping) -> str:
    """One line of TOML; JSON's texts are TOML's, but for DEL and for characters that JSON writes as two halves."""
    return "{" + ", ".join(f"{_toml(key)} = {_toml(value)}" for key, value in table.items()) + "}"


def _toml(value: str | int) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _record(tokens: list[str], tags: list[str], doc: str, spans: list[tuple]) -> str:
    return (
        json.dumps(
            {
                "tokens": tokens,
                "decoded_tags": ["O"] * len(tokens),
                TAG_FIELD: tags,
                "doc": doc,
                "spans": spans,
            },
            ensure_ascii=False,
        )
        + "\n"
    )


def _chunks(
    sentences: Iterable[tuple[str, str]], work: Callable, executor: Executor | None
) -> Iterator[tuple[str, int, Counter, int]]:
    sentences = iter(sentences)
    chunks = iter(lambda: list(islice(sentences, _CHUNK)), [])
    if executor is None:
        yield from map(work, chunks)
        return
    waiting = [executor.submit(work, chunk) for chunk in islice(chunks, 64)]
    while waiting:  # in order, and never more than a few chunks in memory
        yield waiting.pop(0).result()
        waiting += [executor.submit(work, chunk) for chunk in islice(chunks, 1)]


@lru_cache(maxsize=2)
def _load(lexicon: str, stamp: int) -> Lexicon:
    """Read once by each process, and again where the file was made again; raises DataError where that happens while it labels."""
    held = Lexicon.load(lexicon)
    if Path(lexicon).stat().st_mtime_ns != stamp:
        raise DataError(
            f"{lexicon} was made again while it labelled a text; label that text again, so that one lexicon labels all of it"
        )
    return held


def label_chunk(
    chunk: list[tuple[str, str]], lexicon: str, stamp: int
) -> tuple[str, int, Counter, int]:
    """(document, sentence) pairs -> lines of JSON in one text, their number, labels by type, number of words."""
    held, lines, kinds, n_words = _load(lexicon, stamp), [], Counter(), 0
    for doc, text in chunk:
        tokens = tokenize(text)
        if not tokens:
            continue
        spans = held.find(tokens)
        kinds.update(span[2] for span in spans)
        n_words += len(tokens)
        lines.append(
            _record(tokens, to_tags([span[:3] for span in spans], len(tokens)), doc, spans)
        )
    return "".join(lines), len(lines), kinds, n_words
