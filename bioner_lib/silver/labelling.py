"""Silver: running text with the labels of a lexicon, as a corpus that declares its types.

    text -> sentences -> words -> matches -> train-<hash>.jsonl and corpus.toml in one folder

corpus.toml says where the text and the lexicon come from, and each run's row repeats it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ..corpora.corpus import Corpus
from ..corpora.loading import evaluation_documents
from ..corpora.reading import open_text, reason_of
from ..corpora.schemes import Span, to_tags
from ..corpora.text import sentence_bounds, tokenize
from ..errors import DataError
from ..home import expanded, file_sha256, outputs
from .corpus_folders import record, write_corpus
from .lexicons import Lexicon
from .pubmed import PubMed

# Searches of published systems. BioNER-DS took the 2,000 most relevant abstracts per range of
# years, such as 2022 to 2026: dates "2022-01-01 2026-12-31".
QUERIES = {
    "bioner-ds": '("viral infection"[Title/Abstract] OR "virus"[Title/Abstract] '
    'OR "SARS-CoV-2"[Title/Abstract] OR "COVID-19"[Title/Abstract] '
    'OR "influenza"[Title/Abstract] OR "HIV"[Title/Abstract] OR "hepatitis"[Title/Abstract] '
    'OR "dengue"[Title/Abstract]) AND ("gene"[Title/Abstract] OR "protein"[Title/Abstract] '
    'OR "host response"[Title/Abstract] OR "immune response"[Title/Abstract] '
    'OR "disease"[Title/Abstract] OR "drug"[Title/Abstract] OR "therapy"[Title/Abstract] '
    'OR "treatment"[Title/Abstract])'
}
LONGEST = 5_000  # characters; anything longer is no sentence
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_CHUNK = 5_000  # sentences that a worker takes at once
_WAITING = 64  # chunks that are labelled or wait at once: a bound on memory

Document = tuple[str | None, str]  # (name of the document, None for none; text)


def read_lines(path: str | Path, dropped: Counter) -> Iterator[Document]:
    """(document, sentence) of a text file with one sentence per line.

    The file names no documents. The sentences are cleaned as by `clean`. Raises DataError for a
    file that is missing or isn't UTF-8; .gz and .xz are read too.
    """
    with open_text(expanded(path)) as file:
        lines = (line.rstrip("\r\n") for line in file)
        yield from clean(((None, line) for line in lines), dropped)


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


def training_text(corpus: Corpus) -> Iterator[Document]:
    """(document, sentence) of a corpus's training sentences, without its labels.

    The document is None where the corpus names none.
    """
    for sentence in corpus.train:
        yield sentence.doc if corpus.documented else None, " ".join(sentence.tokens)


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

    All are cleaned as by `clean`. `query` may be a name in QUERIES. `dates` are the first and last
    publication date of the search (YYYY-MM-DD), with a blank between; "" takes all. `limit` bounds
    its abstracts (0: all). The search leaves out the documents of registered corpora whose files
    name them (JNLPBA's, BC2GM's and LINNAEUS' don't). It is asked at once, so a wrong date or
    address fails here.
    """
    if not query:
        return read_lines(text, dropped) if text else clean(plain, dropped)
    query = QUERIES.get(query, query)
    if len(dates.split()) > 2:
        raise DataError(f"dates={dates!r}; expected a first and a last date, YYYY-MM-DD")
    since, until = [*dates.split(), "", ""][:2]
    pubmed = PubMed(email, outputs() / "pubmed")
    pubmed.dropped = dropped
    print(f"{pubmed.count(query, since, until):,} records")
    abstracts = pubmed.abstracts(query, since, until, limit, exclude=evaluation_documents())
    return split_documents((abstract.document for abstract in abstracts), dropped)


def text_source(
    plain: str, text: str = "", query: str = "", dates: str = "", limit: int = 0
) -> dict[str, str | int]:
    """Where `running_text` takes its sentences from, for corpus.toml; `plain` is a corpus's name.

    A search has its query, dates, the largest number of abstracts and the day; a file has its
    SHA-256. Raises DataError for a file that can't be read.
    """
    if query:
        asked = {"query": QUERIES.get(query, query), "dates": dates, "most_abstracts": limit}
        return {"source": "PubMed", **asked, "day": datetime.now(UTC).date().isoformat()}
    if text:
        try:
            return {"source": Path(text).name, "sha256": file_sha256(expanded(text))}
        except OSError as error:
            raise DataError(
                f"{text} can't be read ({reason_of(error)}); text names a file with one sentence "
                "per line"
            ) from None
    return {"source": f"training sentences of {plain}"}


def label(
    sentences: Iterable[Document],
    lexicon: str | Path,
    folder: str | Path,
    executor: Executor | None = None,
    replace: bool = False,
    text: Mapping[str, str | int] | None = None,
) -> dict:
    """Label (document, sentence) pairs with a lexicon's file, and write them as a corpus.

    `text` says where the sentences come from (`text_source`). Returns the numbers of sentences,
    words, and labels by type. An `executor` (processes, or a cluster that shares the file system)
    labels chunks side by side and writes the same bytes. `replace` replaces an existing corpus,
    once the new one is complete.

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
        sources = {"lexicon": known.about, "text": dict(text or {})}
        return sources | {"labelled": {**counts, **labels}}

    write_corpus(lines(), known.types, folder, replace, about)
    return {**counts, "labels": dict(labels)}


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
        lines.append(record(tokens, tags, doc, matches))
    return Chunk("".join(lines), len(lines), words, labels)
