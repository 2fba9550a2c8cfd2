"""What a training leaves on disk after each epoch, and goes on from."""

import json
import os
import pickle
from pathlib import Path

import torch

from ..errors import damaged
from . import processes


class Checkpoint:
    """`last.pt` (weights, optimizer, schedule, history) and `best-<epoch>.pt` (weights of the epoch that its history says is best)."""

    def __init__(self, folder: Path | None, tagger, loss_of, optimizer, scheduler):
        self.folder, self.tagger, self.loss_of, self.optimizer, self.scheduler = (
            folder,
            tagger,
            loss_of,
            optimizer,
            scheduler,
        )
        self.best: dict | None = None

    def save(self, history: list[dict]) -> None:
        """By the first process; the others wait for it."""
        if self.folder is None or processes.rank() == 0:
            self._save(history)
        processes.tell()

    def _save(self, history: list[dict]) -> None:
        scores = [record["dev"]["mean"] for record in history]
        improved = len(scores) == 1 or scores[-1] > max(scores[:-1])
        weights = self.tagger.state_dict()
        if self.folder is None:
            self.best = (
                {name: value.detach().clone() for name, value in weights.items()}
                if improved
                else self.best
            )
            return
        if improved:
            _replace(self._best(history), weights)
        state = {
            "model": weights,
            "loss": self.loss_of.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }
        _replace(self.folder / "last.pt", {**state, "history": json.dumps(history)})
        for old in set(self.folder.glob("best-*.pt")) - {self._best(history)}:
            old.unlink()

    def _best(self, history: list[dict]) -> Path:
        scores = [record["dev"]["mean"] for record in history]
        return self.folder / f"best-{scores.index(max(scores))}.pt"

    def restore(self) -> list[dict]:
        """Load what is there; returns the history so far."""
        if self.folder is None or not (self.folder / "last.pt").exists():
            return []
        state = _read(self.folder / "last.pt")
        self.tagger.load_state_dict(state["model"])
        self.loss_of.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        return json.loads(state["history"])

    def restore_best(self, history: list[dict]) -> None:
        best = self.best if self.folder is None else _read(self._best(history))
        self.tagger.load_state_dict(best)


def _read(path: Path) -> dict:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise damaged(path, error) from None


def _replace(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    try:
        with aside.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
    except RuntimeError as error:  # torch's word for a write that failed
        raise OSError(None, str(error).splitlines()[0], str(aside)) from error
    aside.replace(path)
