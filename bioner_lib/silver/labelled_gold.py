"""Gold text with a lexicon's labels for the types that gold lacks, as BioNER-DS trains on it.

A person's labels stay as they are. Of the lexicon's matches only those of other types count, and
only where they overlap no gold mention: an audit counts what was added and what was left out. The
result is a silver corpus, since nobody checked the added labels: it trains, and chooses nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..corpora.corpus import Corpus
from ..corpora.corpus_toml import read_corpus_toml
from ..corpora.schemes import Span, to_tags
from ..corpora.splits import refuse_test
from ..errors import DataError
from .corpus_folders import derived_name, record, silver_folder, write_corpus
from .lexicons import Lexicon, Match

TRAINING_TEXT = "training sentences of "  # what its record says of its text


def labelled_name(corpus: str) -> str:
    """The name of a gold corpus's labelled text, such as bc5cdr-labelled for bc5cdr."""
    return derived_name(corpus, "labelled")


def new_types(source: str | Path, types: Sequence[str], gold: Corpus) -> list[str]:
    """The types of a lexicon or silver corpus that gold lacks; raises DataError for none."""
    new = [type for type in types if type not in gold.types]
    if not new:
        raise DataError(
            f"{source} knows {list(types)}, and {gold.name!r} annotates all of it; there is "
            "nothing to add"
        )
    return new


def label_gold(corpus: Corpus, name: str, lexicon: str | Path, replace: bool = False) -> dict:
    """Write the training sentences of a gold corpus with a lexicon's labels added.

    `name` is how a run calls the gold corpus; the folder is outputs/silver/<labelled_name(name)>.
    Returns the audit: sentences, words, `kept` gold mentions, and by type the labels that were
    `added` and those that were left out because they `overlap` gold.

    Raises DataError for a lexicon that knows no other type, for a silver corpus, for a folder that
    holds a corpus already, unless `replace` is given, and for one that holds another corpus's text.
    """
    if corpus.silver:
        raise DataError(f"{corpus.name!r} is silver already; label_gold takes a gold corpus")
    known = Lexicon.load(lexicon)
    new = new_types(lexicon, known.types, corpus)
    audit: Counter = Counter(sentences=0, words=0, kept=0)

    def lines() -> Iterator[str]:
        for sentence in refuse_test(corpus.train, "labelling"):
            gold = sentence.spans
            added = _added(known.find_whole(sentence.tokens), gold, new, audit)
            spans = [*gold, *(Span(*match[:3]) for match in added)]
            tags = to_tags(spans, len(sentence.tokens))
            audit.update(sentences=1, words=len(sentence.tokens), kept=len(gold))
            doc = sentence.doc if corpus.documented else None
            yield record(sentence.tokens, tags, doc, added, sentence.tags)

    def about() -> dict:
        source = {"source": f"{TRAINING_TEXT}{name}", "fingerprint": corpus.fingerprint}
        return {"lexicon": known.about, "text": source, "labelled": dict(audit)}

    folder = silver_folder(labelled_name(name))
    _refuse_other_text(folder, name, corpus)
    write_corpus(lines(), [*corpus.types, *new], folder, replace, about)
    return dict(audit)


def _refuse_other_text(folder: Path, name: str, corpus: Corpus) -> None:
    """Two folders with one last part would share the name of their labelled text."""
    made_from = read_corpus_toml(folder).get("text", {})
    source = made_from.get("source", "").removeprefix(TRAINING_TEXT)
    if source not in ("", name) and made_from.get("fingerprint") != corpus.fingerprint:
        raise DataError(
            f"{folder} holds the labelled text of {source}, and {name} would get the same name; "
            "rename one of the two gold corpora, or delete that folder"
        )


def _added(matches: list[Match], gold: list[Span], types: list[str], audit: Counter) -> list[Match]:
    """The matches of these types that overlap no gold mention; `audit` counts both kinds."""
    found = []
    for match in matches:
        if match.type not in types:
            continue
        if any(match.start < span.end and span.start < match.end for span in gold):
            audit[f"overlap {match.type}"] += 1
        else:
            audit[f"added {match.type}"] += 1
            found.append(match)
    return found
