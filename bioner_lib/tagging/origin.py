"""What an output of `tag` was made from: <output>.made_from.json, beside the output."""

import json
from collections.abc import Mapping
from pathlib import Path

from ..errors import WorkbookError
from ..home import replace_text


class Origin:
    """What an output is made from, and its size when all of it was written.

    Raises WorkbookError for an output that was made from something else, or from nobody knows what.
    """

    def __init__(self, out: Path, made_from: Mapping):
        if not out.name:
            raise WorkbookError(f"-o {out}: name a file (for brat a new folder) for the output")
        self.out, self.path = out, out.with_name(f"{out.name}.made_from.json")
        self.made_from = json.loads(json.dumps(made_from, default=list))
        self.whole = False
        if not out.exists() or (out.is_file() and not out.stat().st_size):
            return
        if out.is_dir() and not any(out.iterdir()):
            return
        try:
            before = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(before, dict):
                raise ValueError
        except (OSError, ValueError):
            raise WorkbookError(
                f"{out} exists, and {self.path.name}, which says what made it, can't be read; name "
                "another output, or delete it"
            ) from None
        self.whole = out.is_file() and before.pop("bytes", None) == out.stat().st_size
        for name, value in self.made_from.items():
            if value != before.get(name) and (value or name != "first text"):
                raise WorkbookError(
                    f"{out} was made with {name} {before.get(name)!r}, not {value!r}; name another "
                    "output, or delete it"
                )
        self.made_from = before

    def begin(self) -> None:
        """Before the first document."""
        replace_text(self.path, json.dumps(self.made_from, indent=1))

    def end(self) -> None:
        """After the last document."""
        size = {"bytes": self.out.stat().st_size} if self.out.is_file() else {}
        replace_text(self.path, json.dumps(self.made_from | size, indent=1))
