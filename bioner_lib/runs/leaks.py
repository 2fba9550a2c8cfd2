"""Leaks: training documents that are in a test split too.

The training text of earlier phases and of teachers counts as well.
"""

import sys
from collections.abc import Mapping, Sequence

from ..config import RunConfig, is_released
from ..corpora.corpus import Corpus
from ..corpora.loading import load_corpus
from ..corpora.overlap import is_pmid
from ..corpora.registry import CORPORA, split_name
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
    documents are compared; a registered corpus without PMIDs is compared by its `documents` form,
    which has them. Where that form can't be loaded, raises WorkbookError for silver text, and
    prints a note for gold.
    """
    tests = [corpus for corpus in (*corpora, *also) if "test" in corpus.splits]
    trained = [corpus for corpus in (*corpora, *before) if corpus.documented]
    train: dict[str, set[str]] = {}
    for corpus in trained:  # two parts of one corpus have one name
        for role, split in corpus.splits.items():
            if role != "test":
                documents = {sentence.doc for sentence in split}
                train.setdefault(corpus.name, set()).update(documents)
    named_by_pmid = {name for name, documents in train.items() if any(map(is_pmid, documents))}
    by_pmid = [corpus for corpus in trained if corpus.name in named_by_pmid]
    test = {c.name: {sentence.doc for sentence in c.test} for c in tests if c.documented}
    for corpus in tests if by_pmid else ():
        try:
            test |= _documents_form(corpus)
        except WorkbookError as error:
            if any(corpus.silver for corpus in by_pmid):
                raise
            print(
                f"whether the test split of {corpus.name} holds training documents can't be "
                f"checked: {error}",
                file=sys.stderr,
            )
    shared = {}
    for name, documents in train.items():
        counts = {other: len(documents & found) for other, found in test.items()}
        if any(counts.values()):
            shared[name] = {other: count for other, count in counts.items() if count}
    return shared


def _documents_form(corpus: Corpus) -> dict[str, set[str]]:
    """Corpus -> PMIDs of its test split, for a corpus whose registry entry names such a form."""
    form = CORPORA.get(split_name(corpus.name)[0], {}).get("documents")
    return {corpus.name: {sentence.doc for sentence in load_corpus(form).test}} if form else {}


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
