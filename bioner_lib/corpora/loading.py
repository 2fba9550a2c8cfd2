"""A corpus by its name, whatever the name means: registered, silver, or a user's own."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..errors import DataError, unknown
from ..home import expanded, is_there, outputs
from .corpus import Corpus, check_part
from .own import load_own, read_corpus_toml
from .registry import CORPORA, load_registered, split_name


def load_corpus(
    name: str | Path, *, mirror: str | Path | None = None, types: Iterable[str] | None = None, reader: str | None = None, limit: int = 0,
    **options,
) -> Corpus:  # fmt: skip
    """A corpus by its registry name, a view of one (`"bc5cdr:Disease"`), a silver one that was made here, or a user's own by its path.

    `"bc5cdr@25%"` has a quarter of the train split, `"bc5cdr@500"` so many sentences of it, `"bc5cdr@1/2:Disease"` the first half of
    its documents with diseases shown; such a corpus goes by its name without the part, because what it is scored on is the whole.
    `limit` keeps at most so many sentences of each split, before a part is taken; a part of a silver corpus is as large as it says.

    `mirror`, or `BIONER_MIRROR`, names a folder with the registry's files as `<corpus>/<file name>`; without it files are
    downloaded once to data/raw. Own files: split by name (train, dev/devel/valid, test), format by ending or `reader`, and
    `options` for the reader (labels=, tag_field=, bare_type= …); `types` declares what they annotate, by default what they hold.
    All of these may stand in a `corpus.toml` in the folder instead, where runs and notebooks find them.

    Raises WorkbookError for an unknown name or type, DataError for wrong bytes, counts, lines, or an empty split.
    """
    base, part, shown = split_name(str(name))
    if base in CORPORA:
        if given := [
            key
            for key, value in {"types": types, "reader": reader, **options}.items()
            if value is not None
        ]:
            raise DataError(
                f"{given} can't be given for the registered corpus {base!r}; a view is load_corpus('{base}:Type')"
            )
        if "view" in CORPORA[base]:
            corpus = replace(load_corpus(CORPORA[base]["view"], mirror=mirror), name=base)
        else:
            corpus = load_registered(base, mirror)
    elif is_there(base):
        corpus = load_own(expanded(base), types, reader, options)
    elif base in (made := made_here()):
        corpus = load_own(made[base], types, reader, options)
    else:
        raise DataError(f"{unknown('corpus', base, [*CORPORA, *made])}{_hint(base)}")
    corpus = corpus if corpus.silver and part else corpus.limit(limit)
    corpus = corpus.part(part) if part else corpus
    return corpus.only(*shown.split("+")) if shown else corpus


def _hint(name: str) -> str:
    if " " in name:
        return "; several corpora are a list"
    return "; 71_silver_text makes silver corpora" if "silver" in name else ""


def made_here(folder: str | Path | None = None) -> dict[str, Path]:
    """The corpora that 71_silver_text and 72_second_opinion have left in outputs/silver, by name: they go by it like the registered ones."""
    return {
        path.parent.name: path.parent
        for path in sorted((outputs(folder) / "silver").glob("*/corpus.toml"))
    }


def evaluation_documents(mirror: str | Path | None = None) -> dict[str, str]:
    """PMID -> the registered corpus that holds it, for those that name their documents: what silver text leaves out."""
    named = [name for name, entry in CORPORA.items() if entry.get("reader") == "pubtator"]
    corpora = [load_corpus(name, mirror=mirror) for name in named]
    return {
        sentence.doc: corpus.name
        for corpus in corpora
        for split in corpus.splits.values()
        for sentence in split
    }


def check_name(name: str, known: Iterable[str] = (), folder: Path | None = None) -> None:
    """Raises WorkbookError for a corpus's name that `load_corpus` would refuse, without reading its text.

    `known` are names that will be there by then; own folders may begin at `folder`. Types are checked for registered corpora and for
    folders whose corpus.toml declares them.
    """
    if is_there((folder or Path()) / expanded(name)):
        return
    base, part, shown = split_name(name)
    own = (folder or Path()) / expanded(base)
    if base not in CORPORA and base not in known and not is_there(own):
        raise unknown("corpus", base, [*CORPORA, *known])
    if part:
        check_part(part, base)
    types = _types_of(base, own)
    for wanted in shown.split("+") if shown and types else ():
        if wanted not in types:
            raise unknown(f"type for corpus {base!r}:", wanted, types)


def _types_of(name: str, own: Path) -> list[str]:
    """The types that are declared somewhere; [] where only the text would tell."""
    if name not in CORPORA:
        declared = read_corpus_toml(own if is_there(own) else made_here().get(name, own)).get(
            "types", []
        )
        return [declared] if isinstance(declared, str) else declared
    entry = CORPORA[name]
    if "view" in entry:
        base, _, shown = split_name(entry["view"])
        return shown.split("+") if shown else _types_of(base, own)
    return [label for label in dict.fromkeys(entry["labels"].values()) if label]
