"""What was published about a corpus, beside what its files hold here.

The counts per split are those of the registry; facts.csv holds further ones. All are about whole,
official corpora: of a corpus with a limit nothing is compared.
"""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from .concepts import concepts
from .corpus import Corpus
from .names import mentions
from .overlap import seen_in_train
from .registry import CORPORA

COLUMNS = ["corpus", "type", "what", "published", "ours", "source"]


def _names_as_written(corpus: Corpus) -> int:
    return len({surface for role in corpus.splits for surface, _ in mentions(corpus, role)})


def _identifier_fields(corpus: Corpus) -> int:
    return len(set(concepts(corpus.base).values()))


def _concepts_by_document(corpus: Corpus) -> int:
    found = concepts(corpus.base).items()
    places = {(place.doc, own) for place, ids in found if place.type in corpus.types for own in ids}
    return len(places)


def _distinct_concepts(corpus: Corpus) -> int:
    found = concepts(corpus.base).items()
    return len({(place.type, own) for place, ids in found for own in ids})


# what facts.csv calls a measure -> how it is counted here
MEASURES: dict[str, Callable[[Corpus], float]] = {
    "names as written": _names_as_written,
    "identifier fields": _identifier_fields,
    "mentions in the files": lambda corpus: len(concepts(corpus.base)),
    "concepts": _distinct_concepts,
    "concepts, counted in each document": _concepts_by_document,
    "test mentions with a name seen in train (%)": lambda corpus: 100 * seen_in_train(corpus),
}


def beside_published(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """One line per fact that was published about one of these corpora: published, ours, source.

    A corpus that was loaded with a limit, as a view or as a part isn't the one that the fact is
    about and has no line. Of the registry's counts, `published` says how many there are and `ours`
    how many are the same here: a few official mentions overlap, and a document that a file holds
    twice is read once.
    """
    with (Path(__file__).parent / "facts.csv").open(encoding="utf-8", newline="") as file:
        facts = list(csv.DictReader(file))
    lines = []
    for corpus in corpora:
        is_whole = corpus.official and corpus.base == corpus.name and not corpus.taken
        if is_whole and "counts" in CORPORA[corpus.base]:
            lines.append(_registered(corpus))
            for fact in facts:
                if fact["corpus"] == corpus.name:
                    of = corpus.only(fact["type"]) if fact["type"] else corpus
                    ours = MEASURES[fact["what"]](of)
                    lines.append({**fact, "ours": ours, "published": int(fact["published"])})
    return pd.DataFrame(lines, columns=COLUMNS).round({"ours": 1})


def _registered(corpus: Corpus) -> dict:
    """How many of the registry's counts (sentences, documents, mentions per split) hold here.

    Where it publishes no dev split, ours was carved out of train.
    """
    entry = CORPORA[corpus.base]
    equal, total = 0, 0
    for role, counts in entry["counts"].items():
        roles = ["train", "dev"] if role == "train" and "dev" not in entry["counts"] else [role]
        sentences = [sentence for one in roles for sentence in corpus.split(one)]
        ours = sum((corpus.counts(one) for one in roles), Counter())
        ours["sentences"] = len(sentences)
        ours["documents"] = len({sentence.doc for sentence in sentences})
        equal += sum(ours[what] == published for what, published in counts.items())
        total += len(counts)
    return {
        "corpus": corpus.name,
        "type": "",
        "what": "registered counts that agree (of all)",
        "published": total,
        "ours": equal,
        "source": entry["cite"].split(", doi")[0],
    }
