"""What a test split shares with train: names, concepts, sentences, documents."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import WorkbookError
from .concepts import concepts, identified
from .corpus import Corpus
from .loading import load_corpus
from .names import mentions, surface
from .registry import CORPORA, split_name

LONG = 8  # words; a shorter sentence, such as a heading, may recur by chance


def duplicates(corpora: Sequence[Corpus], shortest: int = 0) -> pd.DataFrame:
    """How many test sentences (rows) occur word for word in a train split (columns).

    Only sentences of at least `shortest` words are counted. Between two corpora blanks don't count,
    because files cut words differently.
    """
    texts = {}
    for corpus in corpora:
        train = [sentence.tokens for sentence in corpus.splits.get("train", ())]
        texts[corpus.name] = ({" ".join(own) for own in train}, {"".join(own) for own in train})
    table = {}
    for corpus in corpora:
        if "test" in corpus.splits:
            test = [s.tokens for s in corpus.test if len(s.tokens) >= shortest]
            table[corpus.name] = {}
            for name, (spaced, joined) in texts.items():
                known = [
                    " ".join(own) in spaced if name == corpus.name else "".join(own) in joined
                    for own in test
                ]
                table[corpus.name][name] = sum(known)
    frame = pd.DataFrame(table).T
    return frame.rename_axis("test of", axis=0).rename_axis("occurs in train of", axis=1)


def leaked_sentences(corpora: Sequence[Corpus], shortest: int = LONG) -> pd.DataFrame:
    """One line per corpus: test sentences that are in its own train split word for word.

    Columns: test sentences, in train, those of at least `shortest` words, in train (of these),
    leaked (%): the share of the long test sentences. A corpus without train or test has no line.
    """
    of_long, long_in_train = f"of ≥ {shortest} words", f"≥ {shortest} words, in train"
    lines = []
    for corpus in corpora:
        if {"train", "test"} <= set(corpus.splits):
            [[every]] = duplicates([corpus]).to_numpy()
            [[long]] = duplicates([corpus], shortest).to_numpy()
            of = sum(len(sentence.tokens) >= shortest for sentence in corpus.test)
            share = 100 * long / of if of else np.nan
            lines.append((corpus.name, len(corpus.test), every, of, long, share))
    columns = ["corpus", "test sentences", "in train", of_long, long_in_train, "leaked (%)"]
    return pd.DataFrame(lines, columns=columns)


def seen_in_train(corpus: Corpus) -> float:
    """Share of test mentions whose `surface` is a mention of the same type in train."""
    seen = {(surface(name), type) for name, type in mentions(corpus, "train")}
    test = [(surface(name), type) for name, type in mentions(corpus, "test")]
    return sum(mention in seen for mention in test) / max(1, len(test))


def seen_by_type(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """One line per corpus and type: how many test mentions train has shown already.

    name seen (%)             its `surface` is a mention of the same type in train
    concept seen (%)          one of its identifiers is in train too; blank without identifiers
    new name of it (%)        the concept was seen, the name wasn't: a synonym, as in
                              `evaluation.generalization`

    Mentions without an identifier count in the first share only. A corpus without train or test
    has no line.
    """
    lines = []
    for corpus in corpora:
        if {"train", "test"} <= set(corpus.splits):
            names = {(surface(name), type) for name, type in mentions(corpus, "train")}
            known, test = _with_concepts(corpus)
            for type in corpus.types:
                own = [(name, ids) for name, of, ids in test if of == type]
                lines.append(
                    {"corpus": corpus.name, "type": type, **_seen_line(own, type, names, known)}
                )
    columns = ["corpus", "type", "test mentions", "name seen (%)", "concept seen (%)"]
    return pd.DataFrame(lines, columns=[*columns, "new name of it (%)"])


def _with_concepts(corpus: Corpus) -> tuple[set, list[tuple[str, str, tuple[str, ...]]]]:
    """((type, identifier) of train, surface, type and identifiers of each mention of test)."""
    try:
        found = concepts(corpus.base or corpus.name)
    except WorkbookError:
        return set(), [(surface(name), type, ()) for name, type in mentions(corpus, "test")]
    train = {(type, own) for _, type, ids in identified(corpus, "train", found) for own in ids}
    test = identified(corpus, "test", found)
    return train, [(surface(name), type, ids) for name, type, ids in test]


def _seen_line(own: list, type: str, names: set, known: set) -> dict[str, float]:
    """Shares of test mentions `own`, (surface, identifiers), of one type.

    `names` are (surface, type) of train, `known` (type, identifier) of train.
    """
    with_ids = [(name, ids) for name, ids in own if ids]
    concept_seen = [any((type, one) in known for one in ids) for _, ids in with_ids]
    is_new_name = [(name, type) not in names for name, _ in with_ids]
    return {
        "test mentions": len(own),
        "name seen (%)": _percent([(name, type) in names for name, _ in own]),
        "concept seen (%)": _percent(concept_seen),
        "new name of it (%)": _percent(np.logical_and(concept_seen, is_new_name)),
    }


def _percent(flags: Sequence[bool]) -> float:
    return 100 * np.mean(flags) if len(flags) else np.nan


def shared_documents(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """PMIDs that a train split (rows) shares with a test split (columns); NaN where unknown.

    A registered corpus that doesn't name its documents is compared by its `documents` form, which
    has the same splits. Without such a form, or where it can't be loaded, nothing is known.
    """
    pmids = {corpus.name: _pmids(corpus) for corpus in corpora}
    table = pd.DataFrame(index=list(pmids), columns=list(pmids), dtype=float)
    for row, trained in pmids.items():
        for column, tested in pmids.items():
            if trained.get("train") and tested.get("test"):
                table.loc[row, column] = len(trained["train"] & tested["test"])
    return table.rename_axis("train of", axis=0).rename_axis("test of", axis=1)


def is_pmid(document: str) -> bool:
    """Whether a document's name may be a PMID: 4 to 8 digits. Smaller numbers just count files."""
    return re.fullmatch(r"[1-9]\d{3,7}", document) is not None


def is_told_name(document: str) -> bool:
    """Whether a document's name came with its text, so that it means one document in any corpus.

    Numbers below 1,000 and those that readers give (train-7, lines-7) just count a file's
    documents.
    """
    counted = r"\d{1,3}|(train|dev|devel|valid|validation|test|lines)-\d+"
    return re.fullmatch(counted, document) is None


def _pmids(corpus: Corpus) -> dict[str, set[str]]:
    """Split -> its PMIDs; {} where the corpus has none."""
    form = CORPORA.get(split_name(corpus.name)[0], {}).get("documents")
    if form and not corpus.documented:
        try:
            corpus = load_corpus(form)
        except WorkbookError:
            return {}
    if not corpus.documented:
        return {}
    named = {
        role: {s.doc for s in split if is_pmid(s.doc)} for role, split in corpus.splits.items()
    }
    return named if any(named.values()) else {}
