"""The registered corpora: `corpora.toml`, verified files, published counts."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import DataError
from ..home import exists, home
from .corpus import HUB, Corpus
from .fetching import GITHUB, fetch
from .readers import READERS
from .reading import DROPS, Reading
from .splits import SPLITS, Split

CORPORA: dict[str, dict] = tomllib.loads(
    (Path(__file__).parent / "corpora.toml").read_text(encoding="utf-8")
)
_NAME = re.compile(r"(?P<base>.+?)(?:@(?P<part>[\d.]+%|\d+/\d+|\d+))?(?::(?P<types>[^:@]*))?")


def split_name(name: str) -> tuple[str, str, str]:
    """`base@part:types` -> base, part, types; "" for what is missing.

    A path that exists is a base, whatever letters it has.
    """
    if name.startswith(HUB):
        base, part, types = split_name(name.removeprefix(HUB))
        return HUB + base, part, types
    if exists(name):
        return name, "", ""
    if name.endswith(":"):
        raise DataError(f"{name!r} names no type after its colon")
    match = _NAME.fullmatch(name)
    if not match:
        return name, "", ""
    return match["base"], match["part"] or "", match["types"] or ""


def part_of(name: str, part: str, *types: str) -> str:
    """The name of a part of a corpus, with the types of its view, unless others are given.

    Raises DataError for a corpus that is a part already.

    >>> part_of("bc5cdr:Disease", "25%"), part_of("bc5cdr", "1/2", "Chemical")
    ('bc5cdr@25%:Disease', 'bc5cdr@1/2:Chemical')
    """
    base, already, view = split_name(name)
    if already:
        raise DataError(
            f"{name!r} is a part of {base!r} already, so @{part} can't be taken of it; give all of "
            f"{base!r}"
        )
    shown = "+".join(types) or view
    return f"{base}@{part}{':' if shown else ''}{shown}"


def types_in(entry: Mapping) -> tuple[str, ...]:
    """The types that a registry entry maps its labels to."""
    return tuple(dict.fromkeys(type for type in entry["labels"].values() if type))


def load_registered(name: str) -> Corpus:
    """A registered corpus that is no view.

    Raises DataError for wrong bytes and for counts that differ from the published ones.
    """
    entry = CORPORA[name]
    options = {key: entry[key] for key in ("bare_type", "tag_names", "concepts") if key in entry}
    readings = {}
    for role, file in entry["files"].items():
        path = fetch_file(name, role)
        reading = READERS[entry["reader"]](path, labels=entry["labels"], **options)
        if "counts" in entry:
            _compare_counts(f"{name} {role} ({file['path']})", reading, entry["counts"][role])
        readings[role] = reading
    corpus = make_corpus(
        name, types_in(entry), readings, licence=entry["licence"], cite=entry["cite"]
    )
    return replace(corpus, official="test" not in corpus.incomplete).carve_dev()


def fetch_file(name: str, role: str) -> Path:
    """The verified file of one split of a registered corpus, on this machine."""
    entry = CORPORA[name]
    file = entry["files"][role]
    if "folder" in entry:
        return home() / entry["folder"] / file["path"]
    local = f"{entry.get('held_as', name)}/{Path(file['path']).name}"
    return fetch(GITHUB.format(**entry, path=file["path"]), local, file)


def make_corpus(
    name: str, types: tuple[str, ...], readings: Mapping[str, Reading], **about
) -> Corpus:
    """A corpus of what its readers read, split by split; `about` are further fields of Corpus."""
    splits, incomplete = {}, {}
    for role in SPLITS:
        if role in readings:
            splits[role] = Split(readings[role].sentences, role, name)
            kept, annotated = _kept_of_annotated(readings[role])
            if kept != annotated:
                incomplete[role] = (kept, annotated)
    repairs = sum((reading.repairs for reading in readings.values()), Counter())
    return Corpus(
        name,
        types,
        splits,
        documented=any(reading.documented for reading in readings.values()),
        repairs={key: count for key, count in sorted(repairs.items()) if count},
        incomplete=incomplete,
        **about,
    )


def _kept_of_annotated(reading: Reading) -> tuple[int, int]:
    """(mentions that the tags hold, annotated mentions): tags can't hold overlapping mentions."""
    kept = sum(len(sentence.spans) for sentence in reading.sentences)
    repeated = reading.repairs["mentions of repeated documents dropped"]
    return kept, sum(reading.mentions.values()) - repeated


def _compare_counts(where: str, reading: Reading, published: Mapping[str, int]) -> None:
    """Raises DataError where a file's counts differ from the published ones."""
    counts = dict(reading.mentions)
    if "sentences" in published:
        counts["sentences"] = len(reading.sentences)
    if "documents" in published:
        documents = {sentence.doc for sentence in reading.sentences}
        counts["documents"] = len(documents) + reading.repairs["repeated document dropped"]
    kept = sum(len(sentence.spans) for sentence in reading.sentences)
    dropped = sum(reading.repairs[name] for name in DROPS)
    if sum(reading.mentions.values()) - dropped != kept:
        raise DataError(f"{where}: a mention was lost that no repair counts; please report this")
    wrong = [
        f"{key} {counts.get(key, 0)} instead of {expected}"
        for key, expected in published.items()
        if counts.get(key, 0) != expected
    ]
    if wrong:
        raise DataError(f"{where} differs from its published counts: {', '.join(wrong)}")
