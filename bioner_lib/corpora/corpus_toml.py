"""corpus.toml: what a user's own corpus says of itself."""

import tomllib
from pathlib import Path

from ..errors import DataError

# keys of corpus.toml that say where silver labels come from
ABOUT = ("lexicon", "teacher", "text", "labelled")
CARVE_TEST = "true, false, or a share between 0 and 1 such as 0.15"
_EXPECTED = {  # key of corpus.toml -> what its value must be
    "types": "a list of texts, or one",
    "labels": "a table of texts",
    "silver": "true or false",
    "reader": "a text",
    "tag_field": "a text",
    "tag_names": "a list of texts",
    "bare_type": "a text",
    "concepts": "a list of texts",
    "sha256": "a text",
    "files": "a table of texts",
    "name": "a text",
    "carve_test": CARVE_TEST,
    **dict.fromkeys(ABOUT, "a table"),
}


def read_corpus_toml(path: Path) -> dict:
    """The settings in a folder's corpus.toml; raises DataError for values of the wrong kind."""
    place = path / "corpus.toml"
    if not path.is_dir() or not place.exists():
        return {}
    try:
        settings = tomllib.loads(place.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{place}: {error}") from None
    for key, expected in _EXPECTED.items():
        if key in settings and not fits(settings[key], expected):
            raise DataError(f"{place}: {key} = {settings[key]!r}; expected {expected}")
    return settings


def fits(value: object, expected: str) -> bool:
    """Whether a value is what `expected` says in words."""
    is_flag, is_text = isinstance(value, bool), isinstance(value, str)
    is_list, is_table = isinstance(value, list), isinstance(value, dict)
    parts = value.values() if is_table else value if is_list else ()
    of_texts = all(isinstance(part, str) for part in parts)
    kinds = {
        "true or false": is_flag,
        CARVE_TEST: is_flag or (isinstance(value, float) and 0 < value < 1),
        "a text": is_text,
        "a list of texts": is_list and of_texts,
        "a list of texts, or one": is_text or (is_list and of_texts),
        "a table": is_table,
        "a table of texts": is_table and of_texts,
    }
    return kinds[expected]
