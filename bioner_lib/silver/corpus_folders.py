"""The folder of a silver corpus: its text, and the corpus.toml that makes it one.

The corpus is what corpus.toml names. A new text is written aside under a name of its own, and
becomes the corpus when corpus.toml is replaced, in one step. So two makers never mix, and a killed
maker leaves the old corpus or the new one.

Each line of the text holds `tokens`, `decoded_tags` (a person's labels: none in silver text),
`decoded_tags_pseudo_final` (the lexicon's labels too, IOB2), `doc`, and `spans` with the lexicon's
identifiers. This is the form of BioNER-DS's files, which can be read in the same way.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from ..corpora.registry import CORPORA, split_name
from ..corpora.text import Sentence
from ..errors import DataError, WorkbookError
from ..home import outputs, replace_text

TAG_FIELD = "decoded_tags_pseudo_final"
_TEXT = re.compile(r"train(-[0-9a-f]{8})?\.jsonl")  # names that this module gives, or once gave


def silver_folder(name: str) -> Path:
    """The folder of the silver corpus with this name, where runs look for it.

    Raises WorkbookError for what can't be its name.
    """
    if name in CORPORA:
        raise WorkbookError(f"{name!r} can't be a silver corpus's name: a registered corpus has it")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise WorkbookError(
            f"{name!r} can't be a silver corpus's name: expected letters, digits, dots, hyphens, "
            "plus signs"
        )
    return outputs() / "silver" / name


def derived_name(corpus: str, what: str) -> str:
    """The name of what is made from a corpus, such as bc5cdr-labelled; views and parts keep theirs.

    >>> derived_name("bc5cdr@25%", "labelled")
    'bc5cdr-25--labelled'
    """
    base = split_name(corpus)[0]
    short = Path(base).name + corpus[len(base) :]  # of a folder its last part
    plain = re.sub(r"[^\w.+-]+", "-", short)
    return f"{plain}-{what}"


def save_sentences(
    sentences: Iterable[Sentence],
    types: Iterable[str],
    folder: str | Path,
    replace: bool = False,
    documented: bool = True,
    **about: Mapping[str, str],
) -> None:
    """Write sentences whose labels nobody checked as a silver corpus.

    `documented` says whether they come from a corpus that names documents (`Corpus.documented`);
    if not, the names that sentences have are left out. `about` are tables of corpus.toml that say
    where the labels come from. Raises DataError for no sentence, and for a folder that already
    holds a corpus, unless `replace` is given.
    """
    counts, labels = Counter(), Counter()

    def lines() -> Iterator[str]:
        for sentence in sentences:
            counts.update(sentences=1, words=len(sentence.tokens))
            labels.update(span.type for span in sentence.spans)
            doc = sentence.doc if documented else None
            yield record(sentence.tokens, sentence.tags, doc, sentence.spans)

    write_corpus(
        lines(), types, folder, replace, lambda: {**about, "labelled": {**counts, **labels}}
    )


def write_corpus(
    lines: Iterable[str],
    types: Iterable[str],
    folder: str | Path,
    replace: bool,
    about: Callable[[], Mapping[str, Mapping]],
) -> None:
    """Write the text aside, then make it the corpus; `about` is asked after the last line."""
    from filelock import FileLock

    folder = Path(folder)
    _refuse_another(folder, replace)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{uuid4().hex}.tmp"
    try:
        digest = _write_text(aside, lines)
        if not aside.stat().st_size:
            raise DataError(f"no sentence for {folder.name}: nothing is left of the text")
        text = folder / f"train-{digest[:8]}.jsonl"
        settings = {
            "types": json.dumps(list(types), ensure_ascii=False),
            "reader": '"jsonl"',
            "tag_field": f'"{TAG_FIELD}"',
            "silver": "true",
            "files": f'{{ train = "{text.name}" }}',
            "sha256": f'"{digest}"',
        }
        settings |= {name: _toml_table(table) for name, table in about().items()}
        content = "".join(f"{key} = {value}\n" for key, value in settings.items())
        with FileLock(folder / ".lock"):
            _refuse_another(folder, replace)
            aside.replace(text)
            replace_text(folder / "corpus.toml", content)
            for old in folder.iterdir():
                if _TEXT.fullmatch(old.name) and old != text:
                    old.unlink()
    except OSError as error:
        raise WorkbookError(
            f"can't write to {folder} ({error.strerror or error}); make room and label again: an "
            "earlier corpus is kept"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _write_text(path: Path, lines: Iterable[str]) -> str:
    """Write lines to a file; returns its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for line in lines:
            content = line.encode()
            digest.update(content)
            file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _refuse_another(folder: Path, replace: bool) -> None:
    holds_one = any((folder / name).exists() for name in ("corpus.toml", "train.jsonl"))
    if holds_one and not replace:
        raise DataError(f"{folder} holds a corpus already; delete it or name another folder")


def _toml_table(table: Mapping) -> str:
    """A table as one line of TOML."""
    return "{" + ", ".join(f"{_toml(key)} = {_toml(value)}" for key, value in table.items()) + "}"


def _toml(value: object) -> str:
    """JSON's texts are TOML's, except for DEL and for characters that JSON writes as two halves."""
    if isinstance(value, Mapping):
        return _toml_table(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def record(
    tokens: Sequence[str],
    tags: Sequence[str],
    doc: str | None,
    spans: Sequence[tuple],
    gold: Sequence[str] = (),
) -> str:
    """One line of the text; `gold` are a person's tags, if there are any.

    `doc` is None where the source names no document.
    """
    line = {
        "tokens": tokens,
        "decoded_tags": gold or ["O"] * len(tokens),
        TAG_FIELD: tags,
        "doc": doc,
        "spans": spans,
    }
    return json.dumps(line, ensure_ascii=False) + "\n"
