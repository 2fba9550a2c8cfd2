"""A corpus by its name, whatever the name means: registered, silver, or a user's own."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import DataError, unknown
from ..home import exists, expanded, outputs
from .corpus import HUB, Corpus, check_part
from .corpus_toml import read_corpus_toml
from .dataset_files import read_hub
from .own import corpus_of, load_own
from .registry import CORPORA, load_registered, split_name, types_in

_OF_HUB = ("labels", "tag_field")


def load_corpus(
    name: str | Path,
    *,
    types: Iterable[str] | None = None,
    reader: str | None = None,
    limit: int = 0,
    **options,
) -> Corpus:
    """A corpus by its name in the registry, by the name of a silver corpus, or by its path.

        load_corpus("bc5cdr")               all of it
        load_corpus("bc5cdr:Disease")       a view that hides every other type
        load_corpus("bc5cdr@25%")           a quarter of the train split
        load_corpus("bc5cdr@500")           500 sentences of the train split
        load_corpus("bc5cdr@1/2:Disease")   the first half of the training documents, diseases only
        load_corpus("my/folder")            files named after train, dev and test
        load_corpus("hf:owner/name")        a data set of the Hugging Face hub

    A part keeps the corpus's name, since it is scored on the whole test split. `limit` keeps at
    most so many sentences of each split (0: all), before a part is taken.

    A data set of the hub, a folder that `save_to_disk` wrote, and Parquet files need a column
    `tokens` and one with class labels.

    For a corpus of your own, `types` declares what it annotates (default: what it holds), `reader`
    its format (default: by the file's ending), and `options` go to the reader (labels=,
    tag_field=, bare_type= …). A `corpus.toml` in the folder may hold them too.

    Registered files are downloaded once to data/raw; BIONER_MIRROR names a folder with copies.

    Raises WorkbookError for an unknown name or type and for a path where nothing lies; DataError
    for wrong bytes, counts or lines, and for an empty split.
    """
    base, part, shown = split_name(str(name))
    given = {"types": types, "reader": reader, **options}
    given = {key: value for key, value in given.items() if value is not None}
    corpus = replace(_load(base, given), base=base)
    # a part of a silver corpus is as large as it says
    if not (corpus.silver and part):
        corpus = corpus.limit(limit)
    if part:
        corpus = corpus.part(part)
    return corpus.only(*shown.split("+")) if shown else corpus


def _load(base: str, options: dict) -> Corpus:
    if base in CORPORA:
        if options:
            raise DataError(
                f"{list(options)} can't be given for the registered corpus {base!r}; a view is "
                f"load_corpus('{base}:Type')"
            )
        if "view" in CORPORA[base]:
            return replace(load_corpus(CORPORA[base]["view"]), name=base)
        return load_registered(base)
    if base.startswith(HUB):
        return _load_hub(base, **options)
    if exists(base):
        return load_own(expanded(base), options)
    silver = silver_corpora()
    if base in silver:
        return load_own(silver[base], options)
    raise _no_corpus(base, expanded(base), [*CORPORA, *silver])


def is_path(base: str) -> bool:
    """Whether a corpus's name can only be a path; one without a separator may be another name."""
    return not base.startswith(HUB) and bool(re.search(r"[/\\]", base.partition("@")[0]))


def _no_corpus(base: str, path: Path, known: Iterable[str]) -> DataError:
    """The error for a name of no corpus; `path` is where it would lie."""
    if is_path(base):
        return DataError(
            f"no such file or folder: {path}; correct the path, move the corpus back, or name "
            f"another one; known: {sorted(known)}"
        )
    return DataError(f"{unknown('corpus', base, known)}{_hint(base)}")


def _load_hub(base: str, types: Sequence[str] | str | None = None, **options) -> Corpus:
    for key in options:
        if key not in _OF_HUB:
            raise DataError(f"{base}: {unknown('option', key, ['types', *_OF_HUB])}")
    readings = read_hub(base.removeprefix(HUB), **options)
    for role, reading in readings.items():
        if not reading.sentences:
            raise DataError(f"{base}: the {role} split is empty")
    return corpus_of(base, base, readings, (types,) if isinstance(types, str) else types)


def _hint(name: str) -> str:
    if " " in name:
        return "; several corpora are a list"
    if name.endswith("-labelled"):
        return "; 71_silver_text makes it, with that gold corpus in `gold` (silver.label_gold)"
    return "; 71_silver_text makes silver corpora" if "silver" in name else ""


def silver_corpora() -> dict[str, Path]:
    """The silver corpora in outputs/silver, by name."""
    found = sorted((outputs() / "silver").glob("*/corpus.toml"))
    return {path.parent.name: path.parent for path in found}


def evaluation_documents() -> dict[str, str]:
    """PMID -> the registered corpus that holds it: what silver text must leave out."""
    corpus_of = {}
    for name, entry in CORPORA.items():
        if entry.get("reader") == "pubtator":
            for split in load_corpus(name).splits.values():
                corpus_of |= {sentence.doc: name for sentence in split}
    return corpus_of


def check_name(name: str, known: Iterable[str] = (), folder: Path | None = None) -> None:
    """Raises WorkbookError for a name that `load_corpus` would refuse, without reading any text.

    `known` are names of corpora that will exist by then. A relative path starts at `folder`.
    Types are checked where the registry or a corpus.toml declares them.
    """
    folder = folder or Path()
    if exists(folder / expanded(name)):
        return
    base, part, shown = split_name(name)
    own = folder / expanded(base)
    if base.startswith(HUB):
        return
    if base not in CORPORA and base not in known and not exists(own):
        raise _no_corpus(base, own, [*CORPORA, *known])
    if part:
        check_part(part, base)
    types = _declared_types(base, own)
    for type in shown.split("+") if shown and types else ():
        if type not in types:
            raise unknown(f"type for corpus {base!r}:", type, types)


def _declared_types(name: str, own: Path) -> list[str]:
    """The types that are declared somewhere; [] where only the text would tell."""
    if name not in CORPORA:
        folder = own if exists(own) else silver_corpora().get(name, own)
        types = read_corpus_toml(folder).get("types", [])
        return [types] if isinstance(types, str) else types
    entry = CORPORA[name]
    if "view" not in entry:
        return list(types_in(entry))
    base, _, shown = split_name(entry["view"])
    return shown.split("+") if shown else _declared_types(base, own)
