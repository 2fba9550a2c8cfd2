"""What an output of `tag` was made from: <output>.made_from.jsonl, beside the output.

Its first line says which tagger and options made the output, each further line holds the key and
the digest of a text, and the last one the size of an output that is finished.

.<output>.lock stands beside the output, too, while a call writes.
"""

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from ..errors import WorkbookError
from ..home import replace_text


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """One call at a time writes an output, a file or a folder.

    A hidden file beside the output, .<output>.lock, holds the lock; it is deleted at the end. One
    that a killed call leaves locks nothing.

    Raises WorkbookError where another call is writing this output, and for an output without a
    name.
    """
    from filelock import FileLock, Timeout

    if not out.name:
        raise WorkbookError(f"-o {out}: name a file (for brat a new folder) for the output")
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.with_name(f".{out.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise WorkbookError(
            f"another call is writing {out}; wait until it ends, or name another output"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes it after the release
            path.unlink()  # before the release: later it may be the lock of the next call
        lock.release()


class Origin:
    """What an output is made from.

    `whole` says whether all of it was written. Raises WorkbookError for an output that was made
    from something else, or from nobody knows what.
    """

    def __init__(self, out: Path, made_from: Mapping):
        self.out, self.path = out, out.with_name(f"{out.name}.made_from.jsonl")
        self.made_from = json.loads(json.dumps(made_from, default=list))
        self.whole = False
        self._file: TextIO | None = None
        self._digests: dict[str, deque[str]] = defaultdict(deque)  # of the texts in the output
        if not out.exists() or (out.is_file() and not out.stat().st_size):
            return
        if out.is_dir() and not any(out.iterdir()):
            return
        before = self._read()
        for name, value in self.made_from.items():
            if value != before.get(name) and (value or name != "first text"):
                raise WorkbookError(
                    f"{out} was made with {name} {before.get(name)!r}, not {value!r}; name another "
                    "output, or delete it"
                )
        self.made_from = before

    def _read(self) -> dict:
        """What made the output so far; takes its texts' digests, and whether it is finished."""
        try:
            first, *others = self.path.read_text(encoding="utf-8").splitlines()
            before = json.loads(first)
            if not isinstance(before, dict):
                raise ValueError
        except (OSError, ValueError):
            raise WorkbookError(
                f"{self.out} exists, and {self.path.name}, which says what made it, can't be read; "
                "name another output, or delete it"
            ) from None
        size = self.out.stat().st_size if self.out.is_file() else None
        for line in others:
            try:
                record = json.loads(line)
            except ValueError:
                break  # a line that was cut
            if isinstance(record, dict):
                self.whole = record.get("bytes") == size
            else:
                key, digest = record
                self._digests[key].append(digest)
        return before

    def begin(self, held: Callable[[str], int]) -> None:
        """Before the first document; `held` says how many documents of a key the output has."""
        lines = [json.dumps(self.made_from)]
        for key, digests in self._digests.items():
            while len(digests) > held(key):
                digests.pop()
            lines += [json.dumps([key, digest]) for digest in digests]
        replace_text(self.path, "".join(f"{line}\n" for line in lines))
        self._file = self.path.open("a", encoding="utf-8")

    def check(self, key: str, text: str) -> None:
        """Raises WorkbookError where the next document of a key was made of another text."""
        digests = self._digests[key]
        if digests and digests.popleft() != _digest(text):
            raise WorkbookError(
                f"the text of {key!r} has changed since it was tagged into {self.out}; name "
                "another output, or delete it"
            )

    def unseen(self) -> int:
        """How many texts of earlier calls were never asked about, so that the input lacks them."""
        return sum(map(len, self._digests.values()))

    def add(self, key: str, text: str) -> None:
        """Before a document is written."""
        self._append([key, _digest(text)])

    def end(self) -> None:
        """After the last document."""
        self._append({"bytes": self.out.stat().st_size if self.out.is_file() else None})

    def _append(self, record: object) -> None:
        self._file.write(f"{json.dumps(record)}\n")
        self._file.flush()

    def close(self) -> None:
        """However the call ends."""
        if self._file:
            self._file.close()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
