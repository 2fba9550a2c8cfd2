"""Leaks: training documents that are in a test split too.

The training text of earlier phases and of teachers counts as well.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from ..config import RunConfig, is_released
from ..corpora.corpus import Corpus
from ..corpora.loading import load_corpus
from ..corpora.overlap import is_pmid, is_told_name
from ..corpora.registry import CORPORA, split_name
from ..corpora.text import Sentence
from ..errors import WorkbookError
from ..home import runs_folder
from .rows import config_of, earlier_runs, read_row


def trained_before(
    config: RunConfig, parents: Mapping[str, Mapping]
) -> tuple[list[Corpus], list[str]]:
    """The corpora that taught the runs which this one builds on, and the names of missing ones.

    Another part of a corpus that this run trains on counts too: it has other documents.
    """
    configs = [phase for parent in parents.values() for phase in parent["phases"]]
    configs += _ancestors(config)
    names = {(name, c.get("limit", 0)) for c in configs for name in c["corpora"]}
    names -= {(name, config.limit) for name in config.corpora}
    found, missing = [], []
    for name, limit in names:
        try:
            found.append(load_corpus(name, limit=limit))
        except WorkbookError:
            missing.append(name)
    released = [name for name in earlier_runs(config).values() if is_released(name)]
    missing += [f"what taught {name}" for name in released]
    return sorted(found, key=lambda corpus: corpus.name), sorted(missing)


def _ancestors(config: RunConfig) -> list[dict]:
    """The configurations of a run's parents, and of theirs."""
    found = []
    for run_id in earlier_runs(config).values():
        row = None if is_released(run_id) else read_row(runs_folder() / run_id)
        if row:
            found += [row["config"], *_ancestors(config_of(row))]
    return found


def shared_documents(
    corpora: Sequence[Corpus], also: Sequence[Corpus] = (), before: Sequence[Corpus] = ()
) -> dict[str, dict[str, int]]:
    """Training corpus -> test corpus -> number of documents that train (or dev) and test share.

    `also` is only tested on. `before` taught what the run builds on. Only corpora that name their
    documents are compared; a registered corpus without PMIDs is compared with others by its
    `documents` form, which has them: of a part of it so many documents at most. Where that form
    can't be loaded, raises WorkbookError for silver text with PMIDs, and prints a note otherwise.
    """
    taught = [*corpora, *before]
    tests = [corpus for corpus in (*corpora, *also) if "test" in corpus.splits]
    forms = _forms([*taught, *tests]) if tests else {}
    shared: dict[str, dict[str, set[str]]] = {}
    for one in taught:  # two parts of one corpus have one name
        for other in tests:
            if common := _common(one, other, forms):
                shared.setdefault(one.name, {}).setdefault(other.name, set()).update(common)
    return {
        name: {other: len(common) for other, common in others.items()}
        for name, others in shared.items()
    }


def _common(one: Corpus, other: Corpus, forms: Mapping[str, Corpus]) -> set[str]:
    """Documents that `one` teaches, and that the test split of `other` holds."""
    bases = [split_name(corpus.name)[0] for corpus in (one, other)]
    is_same = bases[0] == bases[1]
    if not is_same:
        one, other = forms.get(bases[0], one), forms.get(bases[1], other)
    if not (one.documented and other.documented):
        return set()
    taught = {s.doc for role, split in one.splits.items() if role != "test" for s in split}
    common = taught & {sentence.doc for sentence in other.test}
    return common if is_same else set(filter(is_told_name, common))


def _forms(corpora: Sequence[Corpus]) -> dict[str, Corpus]:
    """The `documents` forms by the corpora's names in the registry.

    None is loaded unless another corpus has PMIDs, too.
    """
    by_pmid, has_silver = {}, False
    for corpus in corpora:
        base = split_name(corpus.name)[0]
        form = CORPORA.get(base, {}).get("documents")
        if form or (corpus.documented and any(is_pmid(s.doc) for s in _sentences(corpus))):
            by_pmid[base] = form
            has_silver |= corpus.silver
    forms = {}
    for base, form in by_pmid.items() if len(by_pmid) > 1 else ():
        try:
            forms |= {base: load_corpus(form)} if form else {}
        except WorkbookError as error:
            if has_silver:
                raise
            print(
                f"whether {base} shares documents with the other corpora can't be checked: {error}",
                file=sys.stderr,
            )
    return forms


def _sentences(corpus: Corpus) -> Iterator[Sentence]:
    return chain.from_iterable(corpus.splits.values())


def refuse_leaks(
    config: RunConfig, trained: Sequence[Corpus], shared: Mapping[str, Mapping[str, int]]
) -> None:
    """Raises WorkbookError for silver text that shares documents with a test split."""
    leaks = {c.name: shared[c.name] for c in trained if c.silver and c.name in shared}
    if leaks and not config.allow_shared_documents:
        raise WorkbookError(
            f"silver text shares documents with test splits: {leaks}; leave them out when the text "
            "is fetched, or set allow_shared_documents=True: the row then records them"
        )
