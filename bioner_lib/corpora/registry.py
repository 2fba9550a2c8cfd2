"""Corpora: the registry, verified download, and a user's own files.

The registry is `corpora.toml`. Files come from their public address (library: pooch) or, the same bytes, from a mirror folder;
either way each is verified, and what was read is compared with the published counts.
"""

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from inspect import signature
from pathlib import Path

from ..errors import DataError, unknown
from ..home import expanded, home, is_there, outputs
from .corpus import AVERAGES, SPLITS, Corpus, Split, check_part
from .fetching import GITHUB, fetch
from .lines import Lines
from .readers import DROPS, READERS, Reading, guess_reader

CORPORA: dict[str, dict] = tomllib.loads(
    (Path(__file__).parent / "corpora.toml").read_text(encoding="utf-8")
)
_NAME = re.compile(r"(?P<base>.+?)(?:@(?P<part>[\d.]+%|\d+/\d+|\d+))?(?::(?P<types>[^:]*))?")
_NAMES = {
    "train": "train",
    "devel": "dev",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}


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
        corpus = _load_registered(base, mirror)
    elif is_there(base):
        corpus = _load_own(expanded(base), types, reader, options)
    elif base in (made := made_here()):
        corpus = _load_own(made[base], types, reader, options)
    else:
        raise DataError(f"{unknown('corpus', base, [*CORPORA, *made])}{_hint(base)}")
    corpus = corpus if corpus.silver and part else corpus.limit(limit)
    corpus = corpus.part(part) if part else corpus
    return corpus.only(*shown.split("+")) if shown else corpus


def _hint(name: str) -> str:
    if " " in name:
        return "; several corpora are a list"
    return "; 70_silver_labels makes silver corpora" if "silver" in name else ""


def made_here(folder: str | Path | None = None) -> dict[str, Path]:
    """The corpora that 70_silver_labels has left in outputs/silver, by name: they go by it like the registered ones."""
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


def split_name(name: str) -> tuple[str, str, str]:
    """`base@part:types` -> base, part, types; "" for what isn't there. A path that exists is a base, whatever its letters."""
    if is_there(name):
        return name, "", ""
    if name.endswith(":"):
        raise DataError(f"{name!r} names no type after its colon")
    found = _NAME.fullmatch(name)
    return (found["base"], found["part"] or "", found["types"] or "") if found else (name, "", "")


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
        declared = _declared(own if is_there(own) else made_here().get(name, own)).get("types", [])
        return [declared] if isinstance(declared, str) else declared
    entry = CORPORA[name]
    if "view" in entry:
        base, _, shown = split_name(entry["view"])
        return shown.split("+") if shown else _types_of(base, own)
    return [label for label in dict.fromkeys(entry["labels"].values()) if label]


def _load_registered(name: str, mirror: str | Path | None) -> Corpus:
    entry = CORPORA[name]
    if "view" in entry:
        return replace(load_corpus(entry["view"], mirror=mirror), name=name)
    options = {key: entry[key] for key in ("bare_type", "tag_names", "concepts") if key in entry}
    readings = {}
    for role, file in entry["files"].items():
        path = fetch_file(name, role, mirror)
        readings[role] = READERS[entry["reader"]](path, labels=entry["labels"], **options)
        if "counts" in entry:
            _compare_counts(name, role, readings[role], entry["counts"][role], file["path"])
    types = dict.fromkeys(name for name in entry["labels"].values() if name)
    incomplete = {
        role: numbers
        for role, reading in readings.items()
        if (numbers := _held_of_official(reading))
    }
    about = {
        "licence": entry["licence"],
        "cite": entry["cite"],
        "official": "test" not in incomplete,
        "incomplete": incomplete,
    }
    return _corpus(name, tuple(types), readings, **about).carve_dev()


def _held_of_official(reading: Reading) -> tuple[int, int] | None:
    """(mentions that the tags hold, official mentions) of a file, where these differ: one tag sequence holds no overlapping mentions."""
    held = sum(len(sentence.spans) for sentence in reading.sentences)
    official = (
        sum(reading.mentions.values()) - reading.repairs["mentions of repeated documents dropped"]
    )
    return None if held == official else (held, official)


def _dropped(reading: Reading) -> int:
    """How many mentions a file holds that are neither trained nor scored."""
    return sum(reading.repairs[key] for key in DROPS)


def _corpus(name: str, types: tuple[str, ...], readings: dict[str, Reading], **fields) -> Corpus:
    repairs = sum((reading.repairs for reading in readings.values()), Counter())
    splits = {
        role: Split(readings[role].sentences, role, name) for role in SPLITS if role in readings
    }
    documented = any(reading.documented for reading in readings.values())
    return Corpus(
        name,
        types,
        splits,
        documented,
        repairs={k: v for k, v in sorted(repairs.items()) if v},
        **fields,
    )


def _compare_counts(
    name: str, role: str, reading: Reading, published: Mapping[str, int], path: str
) -> None:
    found = dict(reading.mentions)
    if "sentences" in published:
        found["sentences"] = len(reading.sentences)
    if "documents" in published:
        repeated = reading.repairs["repeated document dropped"]
        found["documents"] = len({sentence.doc for sentence in reading.sentences}) + repeated
    if sum(reading.mentions.values()) - _dropped(reading) != sum(
        len(sentence.spans) for sentence in reading.sentences
    ):
        raise DataError(
            f"{name} {role} ({path}): a mention was lost that no repair counts; please report this"
        )
    wrong = {
        key: (found.get(key, 0), published[key])
        for key in published
        if found.get(key, 0) != published[key]
    }
    if wrong:
        said = ", ".join(
            f"{key} {mine} instead of {theirs}" for key, (mine, theirs) in wrong.items()
        )
        raise DataError(f"{name} {role} ({path}) differs from its published counts: {said}")


def fetch_file(name: str, role: str, mirror: str | Path | None = None) -> Path:
    """The verified local path of one file of a registered corpus; raises DataError for wrong bytes or no way to them."""
    entry, file = CORPORA[name], CORPORA[name]["files"][role]
    if "folder" in entry:
        return home() / entry["folder"] / file["path"]
    local = f"{entry.get('held_as', name)}/{Path(file['path']).name}"
    return fetch(GITHUB.format(**entry, path=file["path"]), local, file, mirror)


def _load_own(path: Path, types: Iterable[str] | None, reader: str | None, options: dict) -> Corpus:
    """A folder with one file per split, or one file, which is then the train split."""
    given = {
        key: value
        for key, value in {"types": types, "reader": reader, **options}.items()
        if value is not None
    }
    while True:
        declared = _declared(path)
        try:
            return _read_own(path, declared | given)
        except (DataError, FileNotFoundError):
            if _declared(path) == declared:
                raise
            # it was made again in between: read the new one


def _read_own(path: Path, declared_there: dict) -> Corpus:
    files = (
        _named_files(path, declared_there.pop("files"))
        if "files" in declared_there
        else _own_files(path)
    )
    if sha256 := declared_there.pop("sha256", ""):
        if "train" not in files:
            raise DataError(
                f"{path / 'corpus.toml'}: sha256 is that of the train split, which isn't there"
            )
        _check_text(files["train"], sha256)
    types, reader, silver = (
        declared_there.pop(key, default)
        for key, default in (("types", None), ("reader", None), ("silver", False))
    )
    types = (types,) if isinstance(types, str) else types
    for about in ABOUT:
        declared_there.pop(about, None)
    if reader is not None and reader not in READERS:
        raise unknown("reader", reader, READERS)
    name = path.stem if path.is_file() else path.resolve().name
    if name in CORPORA:
        raise DataError(
            f"{path} has the name of a registered corpus; rename it, so that their results can be told apart"
        )
    plain = (
        silver
        and types
        and set(files) == {"train"}
        and set(declared_there) <= {"tag_field", "tag_names"}
    )
    if plain and (reader or guess_reader(files["train"])) == "jsonl":
        lines = Lines(files["train"], types, **declared_there)
        if not lines:
            raise DataError(f"the train split of {path} is empty")
        return Corpus(
            name,
            _usable(types, path),
            {"train": Split(lines, "train", name)},
            lines.documented,
            official=False,
            silver=True,
        )
    readings = {}
    for role, file in files.items():
        read = READERS[reader or guess_reader(file)]
        if strange := [key for key in declared_there if key not in signature(read).parameters]:
            raise unknown(
                f"option of {read.__name__}:", strange[0], list(signature(read).parameters)[1:]
            )
        readings[role] = read(file, **declared_there)
        if not readings[role].sentences:
            raise DataError(f"the {role} split of {path} is empty")
    held = sorted(set().union(*(reading.mentions for reading in readings.values())))
    declared = _usable(types if types is not None else held, path)
    if extra := [name for name in held if name not in declared]:
        raise DataError(
            f"{path} holds mentions of {extra}, which types={list(declared)} doesn't declare"
        )
    if not declared:
        raise DataError(f"{path} holds no mention; say what it annotates with types=")
    corpus = _corpus(name, declared, readings, official=False, silver=silver)
    return corpus if silver else corpus.carve_dev()


def _usable(types: Iterable[str], path: Path) -> tuple[str, ...]:
    """Types by the names that they may have in a row; raises DataError for names of averages."""
    if taken := [name for name in types if name in AVERAGES]:
        raise DataError(
            f"{path}: a type can't be called {taken[0]!r}, which is an average in every table; map it with labels="
        )
    return tuple(dict.fromkeys(types))


def _named_files(path: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """The files that a folder's corpus.toml names by split; raises DataError for another split and a file that isn't there."""
    for role, name in names.items():
        if role not in SPLITS:
            raise DataError(f"{path / 'corpus.toml'}: {unknown('split in files:', role, SPLITS)}")
        if not (path / name).is_file():
            raise DataError(f"{path / 'corpus.toml'}: files names {name!r}, which isn't there")
    return {role: path / names[role] for role in SPLITS if role in names}


def _check_text(path: Path, sha256: str) -> None:
    """Raises DataError where a silver text isn't the one that was labelled."""
    stat = path.stat()
    if _sha256_of(path, stat.st_mtime_ns, stat.st_size) != sha256:
        raise DataError(
            f"{path} isn't the text that was labelled (its hash differs from corpus.toml's): label it again, or delete it"
        )


@lru_cache(maxsize=16)
def _sha256_of(path: Path, mtime: int, size: int) -> str:
    """Time and size are arguments so that a file that changes is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_BESIDE = re.compile(
    r"corpus\.toml|\..*|(readme|licen[cs]e|notice|citation|changes|changelog|guidelines)\b.*|.*\.(tmp|md|lock)",
    re.IGNORECASE,
)


def _own_files(path: Path) -> dict[str, Path]:
    """Split -> file. Raises DataError for two files of one split, and for a file that belongs to none: no data is left out unseen."""
    if path.is_file():
        return {"train": path}
    files, strange = {}, []
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from None
    for file in inside:
        if not file.is_file() or _BESIDE.fullmatch(file.name):
            continue
        roles = {_NAMES[part] for part in re.split(r"[._-]", file.name.lower()) if part in _NAMES}
        if len(roles) != 1:  # train_dev.tsv is neither
            strange.append(file.name)
            continue
        role = roles.pop()
        if role in files:
            raise DataError(
                f"{path}: both {files[role].name} and {file.name} look like the {role} split"
            )
        files[role] = file
    if not files:
        raise DataError(
            f"{path}: no file named after a split (train, dev/devel/valid, test) in {[file.name for file in inside]}"
        )
    if strange:
        raise DataError(
            f"{path}: {strange} belong to no split; name each file after one (train, dev/devel/valid, test), or move it elsewhere"
        )
    return files


ABOUT = (
    "lexicon",
    "teacher",
    "labelled",
)  # what corpus.toml tells of silver labels: where they come from
_KINDS = {  # key of corpus.toml -> what its value has to be
    "types": "a list of texts, or one", "labels": "a table of texts", "silver": "true or false", "reader": "a text",
    "tag_field": "a text", "tag_names": "a list of texts", "bare_type": "a text", "concepts": "a list of texts",
    "sha256": "a text", "files": "a table of texts", "lexicon": "a table", "teacher": "a table", "labelled": "a table",
}  # fmt: skip


def _declared(path: Path) -> dict:
    """What the folder's corpus.toml says; raises DataError for values of another kind."""
    place = path / "corpus.toml"
    if not path.is_dir() or not place.exists():
        return {}
    try:
        declared = tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{place}: {error}") from None
    for key, kind in _KINDS.items():
        if key in declared and not _is_kind(declared[key], kind):
            raise DataError(f"{place}: {key} = {declared[key]!r}; expected {kind}")
    return declared


def _is_kind(value: object, kind: str) -> bool:
    if kind == "true or false":
        return isinstance(value, bool)
    if kind.startswith("a table"):
        return isinstance(value, dict) and (
            kind == "a table" or all(isinstance(part, str) for part in value.values())
        )
    texts = isinstance(value, list) and all(isinstance(part, str) for part in value)
    return (
        texts
        if kind == "a list of texts"
        else isinstance(value, str) or (texts and kind == "a list of texts, or one")
    )
