"""What a training leaves on disk after each epoch, and continues from."""

import json
import pickle
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from ..errors import damaged
from ..home import replacing
from . import processes
from .averaging import copied_weights


class Checkpoint:
    """`last.pt` and `best-<epoch>.pt` in the run's folder; in memory where there is no folder.

    parts   what a training continues with; "model" is the tagger
    last    all parts and the history after the last epoch
    best    weights of the epoch that is best by the history
    """

    def __init__(self, folder: Path | None, parts: Mapping[str, object]):
        self.folder, self.parts, self.tagger = folder, parts, parts["model"]
        self.best: dict | None = None

    def save(
        self, history: list[dict], judged: Callable[[], AbstractContextManager] = nullcontext
    ) -> None:
        """Called by all processes: the first one writes, the others wait for it.

        Within `judged()` the tagger has the weights that the last record's dev F1 belongs to.
        """
        if self.folder is None or processes.rank() == 0:
            self._save(history, judged)
        processes.tell()

    def _save(self, history: list[dict], judged: Callable[[], AbstractContextManager]) -> None:
        if _best_epoch(history) == len(history) - 1:
            with judged():
                self._save_best(history)
        if self.folder is None:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        _write(self.folder / "last.pt", {**state, "history": json.dumps(history)})
        for old in set(self.folder.glob("best-*.pt")) - {self._best_file(history)}:
            old.unlink()

    def _save_best(self, history: list[dict]) -> None:
        if self.folder:
            _write(self._best_file(history), self.tagger.state_dict())
        else:
            self.best = copied_weights(self.tagger)

    def _best_file(self, history: list[dict]) -> Path:
        return self.folder / f"best-{_best_epoch(history)}.pt"

    def restore(self) -> list[dict]:
        """Load the last epoch's state, if there is one; returns the history so far."""
        if self.folder is None or not (self.folder / "last.pt").exists():
            return []
        state = _read(self.folder / "last.pt")
        if state.keys() != {*self.parts, "history"}:
            return []  # an earlier version of the library trained otherwise: begin again
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        return json.loads(state["history"])

    def restore_best(self, history: list[dict]) -> None:
        """Give the tagger the weights of its best epoch."""
        best = self.best if self.folder is None else _read(self._best_file(history))
        self.tagger.load_state_dict(best)


def _best_epoch(history: list[dict]) -> int:
    """The first of the epochs with the highest mean dev F1."""
    scores = [record["dev"]["mean"] for record in history]
    return scores.index(max(scores))


def _read(path: Path) -> dict:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise damaged(path, error) from None


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(path, "wb") as file:
            torch.save(content, file)
    except RuntimeError as error:  # torch raises it where a write failed
        raise OSError(None, str(error).splitlines()[0], str(path)) from error
