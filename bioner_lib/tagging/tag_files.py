"""`python -m bioner_lib tag`: the texts of a file through a tagger, into a file of entities.

A killed call is continued: documents that the output holds whole are not tagged again. What made
an output stands beside it, in <output>.made_from.jsonl; another tagger, option or text is refused.
"""

import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from ..corpora.documents import Document, document_of
from ..corpora.reading import PACKED, ending
from ..errors import WorkbookError, unknown
from ..models.ensemble import Ensemble, load_tagger
from ..models.quantization import quantized
from ..models.tagger import MultiTaskTagger
from .formats import FORMATS, open_writer
from .origin import Origin, locked
from .texts import Problem, Text, read_texts

CHUNK = 128  # texts that a worker tags at a time
_AHEAD = 4  # chunks that wait for each worker
_PMID = re.compile(r"0*[1-9][0-9]{0,8}")
_NAMED = 20  # problems that are named; all are counted


@dataclass
class Tagged:
    """What a call did.

    lost       entities that the format can't hold
    problems   lines that couldn't be read, the first ones
    """

    documents: int = 0
    lost: int = 0
    entities: Counter = field(default_factory=Counter)
    kept: int = 0  # documents that an earlier call has written
    left_over: int = 0  # such documents whose texts the input lacks now
    unreadable: int = 0
    problems: list[Problem] = field(default_factory=list)

    def summary(self, out: str | Path) -> str:
        """One line for the person who waited."""
        by_type = ", ".join(f"{type} {count:,}" for type, count in self.entities.most_common())
        parts = [f"{self.documents:,} texts tagged ({by_type or 'no entities'})"]
        if self.kept:
            parts.append(f"{self.kept:,} were in {out} before")
        if self.left_over:
            parts.append(f"{self.left_over:,} that {out} holds are no longer in the input")
        if self.unreadable:
            parts.append(f"{self.unreadable:,} lines can't be read")
        if self.lost:
            parts.append(f"{self.lost:,} overlapping entities left out")
        return f"{'; '.join(parts)}: {out}"


def tag_texts(
    model: str,
    texts: Iterable[Text | Problem],
    out: str | Path,
    format: str = "jsonl",
    executor: Executor | None = None,
    workers: int = 1,
    int8: bool = False,
    options: Mapping | None = None,
    each=lambda document: None,
) -> Tagged:
    """Tag texts and write their entities in order; returns what was done.

    model      a run id, a folder, or a name on the hub
    executor   whose workers tag, each with a tagger of its own; None: this process
    options    arguments of `MultiTaskTagger.tag`: types, flat, threshold, precision
    each       is called with every document that is written, and with the kept ones

    In a format whose documents have ids of their own, a repeated id gets a number: x, x-2.

    Raises WorkbookError for a wrong option or model, and for an output that isn't of this format,
    was made by another tagger, with other options, or of other texts, or is being written by
    another call.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    done, work = Tagged(), partial(_tag, model, int8, dict(options or {}))
    _loaded.cache_clear()  # the tagger may have changed since an earlier call
    work([])  # wrong options and models are named before anything is written
    first, texts = _first_text(texts)
    made_from = {"tagger": model, "weights": _loaded(model, int8).digest, "format": format}
    made_from |= {"int8": int8, "options": dict(options or {}), "first text": first}
    with locked(Path(out)), closing(Origin(Path(out), made_from)) as origin:
        with open_writer(format, Path(out), origin.whole) as writer:
            origin.begin(writer.held)
            if writer.own_ids:
                texts = _with_own_ids(texts, writer.key)
            new = _without_taken(texts, writer, origin, done, each)
            for document in _in_order(work, new, executor, workers):
                if writer.holds_empty or document.text.strip():
                    origin.add(writer.key(document.id), document.text)
                writer.write(document)
                done.documents += 1
                done.entities.update(entity["entity_group"] for entity in document.entities)
                each(document)
            done.lost, done.left_over = writer.lost, origin.unseen()
        origin.end()
    return done


def _first_text(texts: Iterable[Text | Problem]) -> tuple[str, Iterator[Text | Problem]]:
    """A hash of the first text ("" for none), and all items."""
    texts, before = iter(texts), []
    for item in texts:
        before.append(item)
        if not isinstance(item, Problem):
            digest = hashlib.sha256(json.dumps([item.id, item.text]).encode()).hexdigest()[:16]
            return digest, chain(before, texts)
    return "", iter(before)


def _with_own_ids(
    texts: Iterable[Text | Problem], key: Callable[[str], str]
) -> Iterator[Text | Problem]:
    """The texts, of which no two have ids with the same key: x, x-2, x-3."""
    taken, last = set(), Counter()
    for text in texts:
        if isinstance(text, Text):
            id = text.id
            while key(id) in taken:
                last[text.id] = max(2, last[text.id] + 1)
                id = f"{text.id}-{last[text.id]}"
            taken.add(key(id))
            text = text._replace(id=id)
        yield text


def _without_taken(
    texts: Iterable[Text | Problem], writer, origin: Origin, done: Tagged, each
) -> Iterator[Text]:
    """The texts that no earlier call has written."""
    for text in texts:
        if isinstance(text, Problem):
            done.unreadable += 1
            if len(done.problems) < _NAMED:
                done.problems.append(text)
        elif (writer.holds_empty or text.text.strip()) and writer.taken(text.id):
            origin.check(writer.key(text.id), text.text)
            done.kept += 1
            each(text)
        else:
            yield text


def _in_order(
    work, texts: Iterator[Text], executor: Executor | None, workers: int
) -> Iterator[Document]:
    """The tagged documents; some chunks are given out ahead, so that no worker waits."""
    waiting: deque = deque()
    while chunk := list(islice(texts, CHUNK)):
        if executor is None:
            yield from work(chunk)
            continue
        waiting.append(executor.submit(work, chunk))
        if len(waiting) >= _AHEAD * workers:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _tag(model: str, int8: bool, options: dict, texts: Iterable[Text]) -> list[Document]:
    documents = [document_of(text.text, text.id, text.passages) for text in texts]
    return list(_loaded(model, int8).tagger.tag_documents(documents, **options))


class _Loaded(NamedTuple):
    """A tagger, and a digest of its weights and its calibration."""

    tagger: MultiTaskTagger | Ensemble
    digest: str


@lru_cache(maxsize=1)
def _loaded(model: str, int8: bool) -> _Loaded:
    """The tagger of this process, loaded once."""
    import torch

    tagger = load_tagger(model)
    digest = _digest_of(tagger)
    if int8:
        return _Loaded(quantized(tagger), digest)
    return _Loaded(tagger.to("cuda") if torch.cuda.is_available() else tagger, digest)


def _digest_of(tagger: MultiTaskTagger | Ensemble) -> str:
    """Hash of the weights and the calibration, 16 hex digits."""
    import torch

    content = hashlib.sha256()
    for name, tensor in tagger.state_dict().items():
        content.update(name.encode())
        content.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    if tagger.calibration is not None:
        content.update(json.dumps(tagger.calibration.about, sort_keys=True).encode())
    return content.hexdigest()[:16]


def count_lines(path: str | Path) -> int | None:
    """How many texts a file has, one per line, for a progress bar; None where nobody knows."""
    path = Path(path)
    is_packed = path.suffix.lower() in PACKED
    if str(path) == "-" or is_packed or ending(path) in (".pubtator", ".xml", ".json"):
        return None
    with suppress(OSError), path.open("rb") as file:
        return sum(1 for _ in file)
    return None


def fetched_texts(pmids: Path, email: str, cache: Path) -> Iterator[Text | Problem]:
    """The abstracts of a file with one PMID per line; those that PubMed lacks are Problems."""
    from ..silver.pubmed import PubMed

    if ending(pmids) in (".jsonl", ".pubtator", ".xml", ".json"):
        raise WorkbookError(f"{pmids}: --pmids takes a text file with one PMID per line")
    wanted: dict[int, int] = {}
    for item in read_texts(pmids):
        if isinstance(item, Problem):
            yield item
        elif _PMID.fullmatch(item.text.strip()):
            wanted[int(item.text)] = int(item.id)
        else:
            yield Problem(int(item.id), f"{item.text.strip()[:40]!r} is no PMID")
    pubmed = PubMed(email, cache)
    for abstract in pubmed.fetch(list(wanted)):
        yield Text(*abstract.document)
        del wanted[int(abstract.pmid)]
    for pmid, line in wanted.items():
        yield Problem(line, f"PubMed has no abstract for PMID {pmid}")


def refuse_same(source: str, out: str | Path) -> None:
    """Raises WorkbookError where input and output are one file."""
    if source != "-" and Path(source).exists() and Path(source).resolve() == Path(out).resolve():
        raise WorkbookError(f"{out} is the input, too; name another output with -o")
