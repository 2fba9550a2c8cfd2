"""Leaks: training documents that stand in a test split, also those of earlier phases and teachers."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config import RunConfig
from ..corpora.corpus import Corpus
from ..corpora.loading import load_corpus
from ..corpora.registry import CORPORA, split_name
from ..errors import WorkbookError
from .rows import PARENTS, read_row


def trained_before(
    config: RunConfig, parents: Mapping[str, Mapping], runs: Path, mirror
) -> tuple[list[Corpus], list[str]]:
    """The corpora that taught the runs which this one builds on (earlier phases, teachers, theirs), and the names of those that are gone.

    Another part of a corpus that this run trains on is another corpus: other documents.
    """
    behind = [phase for parent in parents.values() for phase in parent["phases"]]
    behind += _behind(config.as_dict(), runs)
    asked = dict.fromkeys(
        (name, phase.get("limit", 0)) for phase in behind for name in phase["corpora"]
    )
    found, gone = [], []
    for name, limit in asked.keys() - {(name, config.limit) for name in config.corpora}:
        try:
            found.append(load_corpus(name, mirror=mirror, limit=limit))
        except WorkbookError:
            gone.append(name)
    return sorted(found, key=lambda corpus: corpus.name), sorted(gone)


def _behind(config: Mapping, runs: Path) -> list[dict]:
    """The configurations of a run's parents, and of theirs."""
    rows = [read_row(runs / config[name]) for name in PARENTS if config.get(name)]
    configs = [row["config"] for row in rows if row]
    return [*configs, *(earlier for parent in configs for earlier in _behind(parent, runs))]


def shared_documents(
    corpora: Sequence[Corpus],
    also: Sequence[Corpus] = (),
    mirror=None,
    before: Sequence[Corpus] = (),
) -> dict[str, dict[str, int]]:
    """Training corpus -> test corpus -> how many documents of its train or dev split stand in that test split, where both name theirs.

    `before` taught what the run builds on; their test splits are not scored. Where training text names PMIDs, registered corpora
    without them are compared by the `documents` of their other form. Raises WorkbookError where that form can't be had and the text
    is silver; for gold the comparison is left out, which is said.
    """
    tests = [corpus for corpus in (*corpora, *also) if "test" in corpus.splits]
    docs = {corpus.name: {s.doc for s in corpus.test} for corpus in tests if corpus.documented}
    train: dict[str, set[str]] = {}
    for corpus in (*corpora, *before):  # two parts of one corpus have its name
        seen = [
            split for role, split in corpus.splits.items() if role != "test" and corpus.documented
        ]
        train.setdefault(corpus.name, set()).update(s.doc for split in seen for s in split)
    naming = {name for name, mine in train.items() if any(doc.isdecimal() for doc in mine)}
    by_pmid = [corpus for corpus in (*corpora, *before) if corpus.name in naming]
    for corpus in tests if by_pmid else ():
        if form := CORPORA.get(split_name(corpus.name)[0], {}).get("documents"):
            try:
                docs[corpus.name] = {s.doc for s in load_corpus(form, mirror=mirror).test}
            except WorkbookError as error:
                if any(corpus.silver for corpus in by_pmid):
                    raise
                print(
                    f"whether training documents stand in the test split of {corpus.name} can't be told: {error}",
                    file=sys.stderr,
                )
    found = {
        name: {test: len(mine & held) for test, held in docs.items() if mine & held}
        for name, mine in train.items()
    }
    return {name: shared for name, shared in found.items() if shared}
