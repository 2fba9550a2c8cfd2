"""A job: one execution of one notebook."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PRIVATE = ("email",)  # parameters that no file's name may tell


@dataclass(frozen=True)
class Job:
    """One execution of one notebook; `parent` is the name of the job whose run it starts from."""

    notebook: Path
    parameters: Mapping[str, object]
    always: bool = False
    parent: str = ""
    digest: str = ""
    source: str = ""  # the notebook's, as it was when the sweep was read

    @property
    def name(self) -> str:
        """The executed notebook's name: notebook, what tells it from its neighbours, 8 hex digits of source, parameters and parent."""
        shown = [
            value
            for name, value in self.parameters.items()
            if name not in _PRIVATE and not isinstance(value, bool)
        ]
        told = "-".join(str(value) for value in shown if isinstance(value, str | int | float))
        slug = re.sub(r"[^A-Za-z0-9_+.]+", "-", f"{self.notebook.stem}-{told}").strip("-")[:80]
        return f"{slug}-{self.digest}"
