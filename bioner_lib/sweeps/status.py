"""What a sweep has done and what is left: before it starts, while it runs, from another terminal.

outputs/sweeps/<sweep>-<host>-<pid>.json   written every two seconds by the sweep, and read by
                                           `python -m bioner_lib status`
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

from ..home import outputs
from ..training.progress import duration, line, read_json, write_json
from .execution import Outcome, executed, is_running, progress_file, state_of
from .jobs import Job

_EVERY = 2.0  # seconds between two updates
_START = 10_000  # training pieces that would take as long as a kernel takes to start
_SILENT = 30.0  # a sweep that wrote nothing for so many seconds is gone
# parameters that decide how long a job takes
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


def table(steps: Iterable[list[Job]], workers: int = 1) -> str:
    """The jobs with their states and expected times, and the time that is left."""
    lines, left, unknown = [], 0.0, 0
    times, counts = _times(), Counter()
    for job in (job for step in steps for job in step):
        state, seconds = state_of(job), _expected(job, times)
        if state != "done" and is_running(job):
            state = "running"
        counts[state] += 1
        if state in ("todo", "running"):
            left += seconds or 0.0
            unknown += seconds is None
        shown = "?" if seconds is None else duration(seconds)
        lines.append(f"{state:<7} {shown:>7}  {job.name}{_not_in_name(job)}")
    summary = ", ".join(f"{n} {state}" for state, n in counts.items())
    if left:
        summary += f"; about {duration(left / workers)} left"
    if unknown:
        summary += f" and {unknown} of unknown length"
    return "\n".join([*lines, summary])


def _not_in_name(job: Job) -> str:
    """The parameters that the job's name doesn't show."""
    more = {}
    for name, value in job.parameters.items():
        if isinstance(value, bool | list | dict) and value:
            more[name] = value
    return f"  {json.dumps(more)}" if more else ""


def _times() -> dict[str, list[tuple[dict, float]]]:
    """Notebook -> (parameters, seconds) of each execution."""
    times = defaultdict(list)
    for path in executed("").parent.glob("*.ipynb"):
        record = read_json(path).get("metadata", {}).get("papermill", {})
        if record.get("duration") and not record.get("exception") and record.get("input_path"):
            name = Path(record["input_path"]).stem
            times[name].append((record.get("parameters", {}), float(record["duration"])))
    return times


def _expected(job: Job, times: Mapping[str, list[tuple[dict, float]]]) -> float | None:
    """The most seconds of similar jobs: those that differ in their seed only, else those that agree
    in the parameters that decide how long a job takes, else None.

    A mean would count executions that only read what was finished before.
    """
    mine, same, similar = _without_seed(job.parameters), [], []
    for parameters, seconds in times.get(job.notebook.stem, []):
        other = _without_seed(parameters)
        if other == mine:
            same.append(seconds)
        if all(other.get(name) == mine.get(name) for name in _LONG):
            similar.append(seconds)
    return max(same or similar, default=None)


def _without_seed(parameters: Mapping[str, object]) -> dict:
    """Parameters without the seed, and without the run that a sweep makes the job start from."""
    options = dict(parameters.get("options") or {})
    options.pop("start_from", None)
    return {**parameters, "seed": None, "options": options}


def _weight(job: Job) -> int:
    """How long a job takes, in training pieces, as its committed outputs tell."""
    pieces = read_json(job.notebook).get("metadata", {}).get("bioner", {})
    return _START + sum(pieces.get("training_pieces", {}).values())


def finding(notebook: Path, longest: int = 200) -> str:
    """What an executed notebook shows: the start of its last Markdown output."""
    for cell in reversed(read_json(notebook).get("cells", [])):
        for output in cell.get("outputs", []):
            if text := output.get("data", {}).get("text/markdown"):
                line = " ".join("".join(text).split())
                return line if len(line) <= longest else f"{line[:longest].rsplit(' ', 1)[0]} …"
    return ""


class Watch:
    """Shows a sweep while it runs, on the terminal and in its status file.

    with Watch(name, steps) as watch:
        run_sweep(steps, tell=watch.tell)
    """

    def __init__(self, name: str, steps: Sequence[list[Job]]):
        self.jobs = {job.name: job for step in steps for job in step}
        self.outcomes: dict[str, Outcome] = {}
        self._weight = {name: _weight(job) for name, job in self.jobs.items()}
        self.started = time.time()
        self._about = {
            "sweep": name,
            "host": platform.node(),
            "pid": os.getpid(),
            "started": self.started,
        }
        self._over, self._lines = threading.Event(), []

    def __enter__(self) -> "Watch":
        from tqdm.auto import tqdm

        folder = outputs(write=True) / "sweeps"
        folder.mkdir(exist_ok=True)
        name = self._about["sweep"]
        for old in folder.glob("*.json"):
            status = read_json(old)
            is_gone = time.time() - status.get("seen", 0) > _SILENT
            if status.get("sweep") == name and is_gone:
                old.unlink(missing_ok=True)
        self.path = folder / f"{name}-{self._about['host']}-{self._about['pid']}.json"
        self._before = {name for name, job in self.jobs.items() if state_of(job) == "done"}
        self._bar = tqdm(
            total=len(self.jobs),
            initial=len(self._before),
            desc="notebooks",
            file=sys.stderr,
            mininterval=1,
        )
        self._thread = threading.Thread(target=self._update_regularly, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()
        for shown in self._lines:
            shown.close()
        self._bar.close()

    def tell(self, job: Job, outcome: Outcome) -> None:
        """Show what became of a job: one line per notebook, and what is left."""
        if outcome.state not in ("done", "failed"):
            return
        self.outcomes[job.name] = outcome
        is_new = job.name not in self._before
        self._bar.update(is_new)
        if outcome.state == "failed":
            trace = executed(job.name).with_suffix(".failed.json")
            self._bar.write(f"failed: {job.name}; see {trace}", file=sys.stderr)
        elif is_new:
            left = self._left()
            rest = f", about {duration(left)} left" if left else ""
            done = f"{len(self.outcomes)} of {len(self.jobs)}"
            about = f"{job.notebook.stem}: {duration(outcome.seconds)} ({done}{rest})"
            self._bar.write(f"{about}\n  {finding(executed(job.name))}".rstrip(), file=sys.stderr)

    def _left(self) -> float | None:
        """Seconds, if what is left goes as fast as what was executed so far; None where unknown.

        Committed outputs weigh a notebook with its default parameters. With others its time is
        known once this sweep has executed it.
        """
        done = self.outcomes.keys() - self._before
        todo = self.jobs.keys() - self.outcomes.keys()
        measured = {self.jobs[name].notebook for name in done}
        for job in (self.jobs[name] for name in todo):
            if job.notebook not in measured and job.parameters.keys() - {"seed"}:
                return None
        if not done:
            return None
        weights = [sum(self._weight[name] for name in names) for names in (todo, done)]
        return (time.time() - self.started) * weights[0] / weights[1]

    def _update_regularly(self) -> None:
        while True:
            is_over = self._over.wait(_EVERY)
            running = self._running()
            outcomes = dict(self.outcomes)
            states = Counter(outcome.state for outcome in outcomes.values())
            states["running"] = len(running)
            states["todo"] = len(self.jobs) - len(outcomes) - len(running)
            status = {
                "over": is_over,
                "states": dict(states),
                "running": running,
                "failed": [name for name, o in outcomes.items() if o.state == "failed"],
                "left": self._left(),
            }
            write_json(self.path, self._about | status)
            if sys.stderr.isatty():
                self._show(running)
            if is_over:
                return

    def _running(self) -> dict[str, dict]:
        """Job -> its progress, of those that run."""
        running = {}
        for name, job in self.jobs.items():
            progress = {} if name in self.outcomes else read_json(progress_file(job))
            if progress:
                running[name] = progress
        return running

    def _show(self, running: Mapping[str, dict]) -> None:
        """One line below the bar for each running job."""
        from tqdm.auto import tqdm

        while len(self._lines) < len(running):
            position = len(self._lines) + 1
            self._lines.append(
                tqdm(bar_format="  {desc}", position=position, leave=False, file=sys.stderr)
            )
        texts = [f"{name}: {line(progress) or 'started'}" for name, progress in running.items()]
        for i, shown in enumerate(self._lines):
            shown.set_description_str(texts[i] if i < len(texts) else "")


def report() -> str:
    """The sweeps of this outputs folder, as their status files have it."""
    paths = sorted((outputs() / "sweeps").glob("*.json"), key=lambda path: path.stat().st_mtime)
    statuses = [read_json(path) for path in paths]
    blocks = [_described(status) for status in statuses if "over" in status]
    return "\n".join(blocks) or "no sweep was started here"


def _described(status: Mapping) -> str:
    """One sweep in a few lines."""
    ago = time.time() - status["seen"]
    is_here = status["host"] == platform.node()
    is_alive = ago < _SILENT and not (is_here and _is_gone(status["pid"]))
    state = "running" if is_alive else f"gone: last heard of {duration(ago)} ago"
    if status["over"]:
        state = "over"
    elif is_alive and status.get("left"):
        state += f", about {duration(status['left'])} left"
    lines = [f"{status['sweep']} on {status['host']}, process {status['pid']}: {state}"]
    lines.append("  " + ", ".join(f"{n} {name}" for name, n in status["states"].items() if n))
    if not status["over"]:
        for name, progress in status["running"].items():
            lines.append(f"  {name}: {line(progress) or 'started'}")
    lines += [f"  failed: {name}" for name in status["failed"]]
    return "\n".join(lines)


def _is_gone(pid: int) -> bool:
    """Whether no process of this machine has that number."""
    if os.name == "nt":  # where asking would end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
