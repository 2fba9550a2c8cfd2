"""A job: one execution of one notebook."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PRIVATE = ("email",)  # parameters that no file name may show


@dataclass(frozen=True)
class Job:
    """One execution of one notebook.

    always   executed every time
    parent   name of the job whose run this one starts from
    digest   8 hex digits of source, parameters and parent
    source   the notebook's source when the sweep was read
    """

    notebook: Path
    parameters: Mapping[str, object]
    always: bool = False
    parent: str = ""
    digest: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        """The executed notebook's name: notebook, values of parameters, digest."""
        shown = []
        for name, value in self.parameters.items():
            is_short = isinstance(value, str | int | float) and not isinstance(value, bool)
            if is_short and name not in _PRIVATE:
                shown.append(str(value))
        text = f"{self.notebook.stem}-{'-'.join(shown)}"
        slug = re.sub(r"[^A-Za-z0-9_+.]+", "-", text).strip("-")[:80]
        return f"{slug}-{self.digest}"
