"""Corpora at a glance: one row of numbers per corpus, each comparable between corpora."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .corpus import Corpus
from .inspection import density
from .names import ambiguity, name_structure
from .overlap import leaked_sentences, seen_in_train

MEASURES = (
    "mentions per 100 words",
    "words per mention",
    "distinct names (%)",
    "ambiguous (%)",
    "test seen in train (%)",
    "leaked sentences (%)",
)


def portraits(corpora: Sequence[Corpus], role: str = "train") -> pd.DataFrame:
    """One line per corpus and one column per measure; NaN where a split or a mention is missing.

    mentions per 100 words      in `role`
    words per mention           mean, in `role`
    distinct names (%)          names per 100 mentions, in `role`
    ambiguous (%)               occurrences of one-word names with a rarer reading, in `role`
    test seen in train (%)      test mentions whose name is a mention of the same type in train
    leaked sentences (%)        test sentences of eight or more words that are in train
    """
    table = pd.DataFrame(index=[c.name for c in corpora], columns=list(MEASURES), dtype=float)
    sizes = density(corpora).set_index(["split", "corpus"])
    names = name_structure(corpora, role).set_index("corpus")
    leaked = leaked_sentences(corpora).set_index("corpus")
    for corpus in corpora:
        values = dict.fromkeys(MEASURES, np.nan)
        if corpus.name in names.index:
            size = sizes.loc[role, corpus.name]
            values["mentions per 100 words"] = size["per 100 words"]
            values["words per mention"] = size["words per mention"]
            values["distinct names (%)"] = names.loc[corpus.name, "distinct (%)"]
            values["ambiguous (%)"] = 100 * ambiguity(corpus, role)
        if corpus.name in leaked.index:
            values["test seen in train (%)"] = 100 * seen_in_train(corpus)
            values["leaked sentences (%)"] = leaked.loc[corpus.name, "leaked (%)"]
        table.loc[corpus.name] = pd.Series(values)
    return table.rename_axis("corpus")
