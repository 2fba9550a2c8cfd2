"""Corpora: the registry, verified download, and a user's own files.

The registry is `corpora.toml`. Files come from their public address (library: pooch) or, the same bytes, from a mirror folder;
either way each is verified, and what was read is compared with the published counts.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..errors import DataError
from ..home import home, is_there
from .corpus import SPLITS, Corpus, Split
from .fetching import GITHUB, fetch
from .readers import READERS
from .reading import DROPS, Reading

CORPORA: dict[str, dict] = tomllib.loads(
    (Path(__file__).parent / "corpora.toml").read_text(encoding="utf-8")
)
_NAME = re.compile(r"(?P<base>.+?)(?:@(?P<part>[\d.]+%|\d+/\d+|\d+))?(?::(?P<types>[^:]*))?")


def split_name(name: str) -> tuple[str, str, str]:
    """`base@part:types` -> base, part, types; "" for what isn't there. A path that exists is a base, whatever its letters."""
    if is_there(name):
        return name, "", ""
    if name.endswith(":"):
        raise DataError(f"{name!r} names no type after its colon")
    found = _NAME.fullmatch(name)
    return (found["base"], found["part"] or "", found["types"] or "") if found else (name, "", "")


def load_registered(name: str, mirror: str | Path | None) -> Corpus:
    entry = CORPORA[name]
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
    return make_corpus(name, tuple(types), readings, **about).carve_dev()


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


def make_corpus(
    name: str, types: tuple[str, ...], readings: dict[str, Reading], **fields
) -> Corpus:
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
