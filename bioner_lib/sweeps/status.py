"""What a sweep has done and what is left: before it starts, while it goes on, and from another terminal.

outputs/sweeps/<sweep>-<host>-<pid>.json    written every two seconds by the sweep itself, read by `python -m bioner_lib status`
"""

import json
import os
import platform
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from ..home import outputs as outputs_folder
from ..training.progress import duration, line, read_json, write_json
from .execution import Outcome, progress_file, state_of, worked_on
from .jobs import Job

_EVERY = 2.0  # seconds
_LONG = (
    "corpus",
    "corpora",
    "gold",
    "silver",
    "ratios",
    "encoder",
    "epochs",
    "limit",
    "trials",
    "fractions",
    "processes",
    "system",
)
_SILENT = 30.0  # a sweep that wrote nothing for so long is gone


def table(steps: Iterable[list[Job]], outputs: str | Path | None = None, workers: int = 1) -> str:
    """The jobs with their state and the time that like ones took, and the sum of what is left."""
    folder, lines, left, unknown = outputs_folder(outputs), [], 0.0, 0
    took = _durations(folder)
    counts: Counter = Counter()
    for job in (job for jobs in steps for job in jobs):
        state, seconds = state_of(job, folder), _expected(job, took)
        state = "running" if state != "done" and worked_on(job, folder) else state
        if state in ("todo", "running"):
            left, unknown = left + (seconds or 0.0), unknown + (seconds is None)
        counts[state] += 1
        about = "?" if seconds is None else duration(seconds)
        # what the name doesn't tell
        more = {
            name: value
            for name, value in job.parameters.items()
            if isinstance(value, bool | list | dict) and value
        }
        lines.append(
            f"{state:<7} {about:>7}  {job.name}" + (f"  {json.dumps(more)}" if more else "")
        )
    said = ", ".join(f"{n} {state}" for state, n in counts.items())
    rest = f"; about {duration(left / workers)} left" if left else ""
    return "\n".join(
        [*lines, f"{said}{rest}" + (f" and {unknown} of unknown length" if unknown else "")]
    )


def _durations(outputs: Path) -> dict[str, list[tuple[dict, float]]]:
    """Notebook -> (parameters, seconds) of what was executed."""
    found = defaultdict(list)
    for path in (outputs / "notebooks").glob("*.ipynb"):
        said = read_json(path).get("metadata", {}).get("papermill", {})
        if said.get("duration") and not said.get("exception") and said.get("input_path"):
            found[Path(said["input_path"]).stem].append(
                (said.get("parameters", {}), float(said["duration"]))
            )
    return found


def _expected(job: Job, took: dict[str, list[tuple[dict, float]]]) -> float | None:
    """Mean seconds of jobs that differ in their seed only, else of those that agree in what makes a run long, else None."""
    mine, known = (
        _bare(job.parameters),
        [(_bare(parameters), seconds) for parameters, seconds in took.get(job.notebook.stem, [])],
    )
    same = [seconds for parameters, seconds in known if parameters == mine]
    like = [
        seconds
        for parameters, seconds in known
        if all(parameters.get(name) == mine.get(name) for name in _LONG)
    ]
    return mean(same or like) if same or like else None


def _bare(parameters: Mapping[str, object]) -> dict:
    """Without the seed, and without the run that a sweep makes it start from."""
    options = {
        name: value
        for name, value in (parameters.get("options") or {}).items()
        if name != "start_from"
    }
    return {**parameters, "seed": None, "options": options}


class Watch:
    """Shows a sweep while it goes on, on the terminal and in its status file: inside `with ... as watch`, run_sweep(tell=watch.tell)."""

    def __init__(self, name: str, steps: Sequence[list[Job]], outputs: str | Path | None = None):
        self.folder = outputs_folder(outputs, write=True).resolve()
        self.jobs = {job.name: job for jobs in steps for job in jobs}
        self.outcomes: dict[str, Outcome] = {}
        self._about = {
            "sweep": name,
            "host": platform.node(),
            "pid": os.getpid(),
            "started": time.time(),
        }
        self._over, self._shown = threading.Event(), []

    def __enter__(self) -> "Watch":
        from tqdm.auto import tqdm

        place = self.folder / "sweeps"
        place.mkdir(exist_ok=True)
        for old in place.glob("*.json"):  # of sweeps of this name that are gone
            said = read_json(old)
            if (
                said.get("sweep") == self._about["sweep"]
                and time.time() - said.get("seen", 0) > _SILENT
            ):
                old.unlink(missing_ok=True)
        self.path = (
            place / f"{self._about['sweep']}-{self._about['host']}-{self._about['pid']}.json"
        )
        self._before = {
            name for name, job in self.jobs.items() if state_of(job, self.folder) == "done"
        }
        self._bar = tqdm(
            total=len(self.jobs),
            initial=len(self._before),
            desc="notebooks",
            file=sys.stderr,
            mininterval=1,
        )
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()
        for shown in self._shown:
            shown.close()
        self._bar.close()

    def tell(self, job: Job, outcome: Outcome) -> None:
        """What became of a job."""
        if outcome.state in ("done", "failed"):
            self.outcomes[job.name] = outcome
            self._bar.update(job.name not in self._before)
        if outcome.state == "failed":
            self._bar.write(
                f"failed: {job.name}; see {self.folder / 'notebooks' / job.name}.failed.json",
                file=sys.stderr,
            )

    def _keep(self) -> None:
        while True:
            over = self._over.wait(_EVERY)
            running = self._running()
            states = Counter(outcome.state for outcome in list(self.outcomes.values()))
            states["running"], states["todo"] = (
                len(running),
                len(self.jobs) - len(self.outcomes) - len(running),
            )
            failed = [
                name for name, outcome in list(self.outcomes.items()) if outcome.state == "failed"
            ]
            made = len(self.outcomes.keys() - self._before)
            left = (
                (time.time() - self._about["started"]) * (states["running"] + states["todo"]) / made
                if made
                else None
            )
            told = {
                "over": over,
                "states": dict(states),
                "running": running,
                "failed": failed,
                "left": left,
            }
            write_json(self.path, self._about | told)
            if sys.stderr.isatty():
                self._show(running)
            if over:
                return

    def _running(self) -> dict[str, dict]:
        said = {
            name: read_json(progress_file(job, self.folder))
            for name, job in self.jobs.items()
            if name not in self.outcomes
        }
        return {name: what for name, what in said.items() if what}

    def _show(self, running: dict[str, dict]) -> None:
        from tqdm.auto import tqdm

        while len(self._shown) < len(running):
            self._shown.append(
                tqdm(
                    bar_format="  {desc}",
                    position=len(self._shown) + 1,
                    leave=False,
                    file=sys.stderr,
                )
            )
        lines = [f"{name}: {line(said) or 'started'}" for name, said in running.items()]
        for shown, text in zip(self._shown, lines + [""] * len(self._shown), strict=False):
            shown.set_description_str(text)


def report(outputs: str | Path | None = None) -> str:
    """The sweeps that go on or went on here, as their status files have it."""
    blocks = []
    for path in sorted(
        (outputs_folder(outputs) / "sweeps").glob("*.json"), key=lambda path: path.stat().st_mtime
    ):
        if "over" in (said := read_json(path)):
            ago = time.time() - said["seen"]
            alive = ago < _SILENT and not (
                said["host"] == platform.node() and _is_gone(said["pid"])
            )
            how = (
                "over"
                if said["over"]
                else "going on"
                if alive
                else f"gone: last heard of {duration(ago)} ago"
            )
            rest = (
                f", about {duration(said['left'])} left"
                if said.get("left") and alive and not said["over"]
                else ""
            )
            lines = [f"{said['sweep']} on {said['host']}, process {said['pid']}: {how}{rest}"]
            lines.append(
                "  " + ", ".join(f"{n} {state}" for state, n in said["states"].items() if n)
            )
            lines += [
                f"  {name}: {line(what) or 'started'}"
                for name, what in said["running"].items()
                if not said["over"]
            ]
            lines += [f"  failed: {name}" for name in said["failed"]]
            blocks.append("\n".join(lines))
    return "\n".join(blocks) or "no sweep was started here"


def _is_gone(pid: int) -> bool:
    """Whether no process of this machine has that number."""
    if os.name == "nt":  # where asking would end it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
