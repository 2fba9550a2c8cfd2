"""Sweeps: a YAML file that says which notebooks to execute with which parameters.

    steps:                        # one after the other; the jobs of a step run side by side
      - notebook: 30_single_task
        name: first               # so that a later step can say start_from: first
        parameters: {corpus: ncbi-disease}
        grid: {heads: [per-type, joint]}
        seeds: [13, 42, 1337]
      - - notebook: 10_explore_corpora    # a list: these notebooks run side by side
        - notebook: 20_align_words

A notebook is one of the workbook's or, with .ipynb, a file beside the YAML. A step with
`start_from` continues the runs of an earlier step: each job starts from the job that has the same
values of the parameters that both vary. A notebook that was executed with the same source and
parameters is not executed again, unless its step says `always: true`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ..config_files import parse_yaml
from ..errors import WorkbookError, unknown
from ..home import home
from .checking import check_values
from .jobs import Job
from .parameters import check_against_notebook, source_of

_KEYS = ("notebook", "name", "parameters", "grid", "seeds", "start_from", "always")


@dataclass(frozen=True)
class _NamedStep:
    """The jobs of a step, and the parameters that they vary."""

    jobs: list[Job]
    varied: set[str]


def read_sweep(path: str | Path, only: Sequence[str] = ()) -> list[list[Job]]:
    """Steps of jobs, from a YAML file or by the name of one in notebooks/sweeps.

    `only` filters jobs: "seed=13", "notebook=30_single_task". A job must match each name, and any
    value of that name.

    Raises WorkbookError for parameters and values that the notebooks don't take, empty grids,
    duplicate jobs, two jobs that make one silver corpus, a start_from that is no earlier step, and
    an `only` that no job matches.
    """
    path = _sweep_file(Path(path))
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise WorkbookError(f"{path}: not UTF-8 ({error})") from None
    except WorkbookError as error:
        raise WorkbookError(f"{path}: {error}") from None
    steps = content.get("steps") if isinstance(content, dict) else None
    if not isinstance(steps, list) or not steps:
        raise WorkbookError(f"{path}: a sweep holds a list of steps, each with a notebook")
    for key in content:
        if key != "steps" and not str(key).startswith("x-"):
            raise WorkbookError(
                f"{path}: {key!r} stands beside the steps; it belongs into one (x-… may hold what "
                "steps share)"
            )
    named: dict[str, _NamedStep] = {}
    read = []
    for step in steps:
        # the parts of a list run side by side, so none can start from another
        earlier = dict(named)
        jobs = []
        for part in step if isinstance(step, list) and step else [step]:
            jobs += _Step(part, path, earlier, named).jobs()
        read.append(jobs)
    jobs = [job for step in read for job in step]
    seen = set()
    for job in jobs:
        if job.digest in seen and not job.always:
            raise WorkbookError(
                f"{path}: {job.notebook.stem} stands twice with {dict(job.parameters)}"
            )
        seen.add(job.digest)
    check_values(jobs, path)
    return _matching(read, only) if only else read


def _sweep_file(path: Path) -> Path:
    folder = home() / "notebooks" / "sweeps"
    files = sorted(folder.rglob("*.yaml"))
    known = [p.relative_to(folder).with_suffix("").as_posix() for p in files]
    if not path.suffix:  # a name
        if path.as_posix() not in known:
            raise unknown("sweep", path.as_posix(), known)
        path = folder / f"{path}.yaml"
    if not path.is_file():
        raise WorkbookError(f"{path}: no such file; a YAML file, or one of {known}")
    return path.resolve()


class _Step:
    """One step of a sweep, or one part of it.

    `earlier` holds the steps that are finished by then, `named` all that were read so far.
    """

    def __init__(
        self,
        step: object,
        path: Path,
        earlier: dict[str, _NamedStep],
        named: dict[str, _NamedStep],
    ):
        self.step, self.path, self.earlier, self.named = step, path, earlier, named
        self._check_keys()
        self.notebook = self._notebook()
        self.grid, self.fixed = dict(step.get("grid") or {}), dict(step.get("parameters") or {})
        if "seeds" in step:
            if "seed" in self.grid:
                raise self._error(
                    f"seeds {step['seeds']!r} and the grid's seed {self.grid['seed']!r}; "
                    "leave one out"
                )
            self.grid["seed"] = step["seeds"]
        self._check_grid()

    def _error(self, message: str) -> WorkbookError:
        return WorkbookError(f"{self.path}: {message}")

    def _check_keys(self) -> None:
        step = self.step
        if not isinstance(step, dict):
            raise self._error(
                f"a step is {step!r}; expected keys such as notebook, parameters, seeds"
            )
        for key in step:
            if key not in _KEYS:
                raise self._error(str(unknown("key of a step", key, _KEYS)))
        for key in ("parameters", "grid"):
            value = step.get(key)
            is_empty_grid = key == "grid" and key in step and not value
            if not isinstance(value or {}, dict) or is_empty_grid:
                raise self._error(
                    f"{key} is {value!r}; expected names with their values, e.g. {{corpus: sample}}"
                )
        for key in ("name", "start_from"):
            if not isinstance(step.get(key, ""), str):
                raise self._error(f"{key} is {step[key]!r}; expected one step's name")
        if not isinstance(step.get("always", False), bool):
            raise self._error(f"always is {step['always']!r}; expected true or false")

    def _notebook(self) -> Path:
        own = self.path.parent / str(self.step.get("notebook"))
        path = own if own.suffix == ".ipynb" else home() / "notebooks" / f"{own.name}.ipynb"
        if not path.is_file():
            known = sorted(p.stem for p in path.parent.glob("*.ipynb"))
            raise unknown("notebook", self.step.get("notebook"), known)
        return path

    def _check_grid(self) -> None:
        for name, values in self.grid.items():
            if not isinstance(values, list) or not values:
                is_seeds = "seeds" in self.step and name == "seed"
                what = "seeds" if is_seeds else f"grid {name!r}"
                raise self._error(f"{what} is {values!r}; expected a list that isn't empty")
            if name in self.fixed:
                raise self._error(f"{name!r} stands in parameters and varies too; leave one out")
        options = self.fixed.get("options", {})
        if not isinstance(options, dict):
            raise self._error(
                f"options is {options!r}; expected fields of RunConfig with their values"
            )

    def jobs(self) -> list[Job]:
        """One job per combination of the grid's values."""
        source = source_of(self.notebook)
        jobs = []
        for values in product(*self.grid.values()):
            varied = dict(zip(self.grid, values, strict=True))
            jobs.append(self._job(source, self.fixed | varied, self._parent(varied)))
        if name := self.step.get("name"):
            if name in self.named:
                raise self._error(f"two steps are called {name!r}")
            self.named[name] = _NamedStep(jobs, set(self.grid))
        return jobs

    def _job(self, source: str, parameters: dict, parent: str) -> Job:
        check_against_notebook(self.notebook, parameters)
        if parent:
            options = {**parameters.get("options", {}), "start_from": parent}
            check_against_notebook(self.notebook, {**parameters, "options": options})
        try:
            text = json.dumps(parameters, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise self._error(f"{parameters} can't be handed to a notebook: {error}") from None
        digest = hashlib.sha256((source + text + parent).encode()).hexdigest()[:8]
        always = self.step.get("always", False)
        return Job(self.notebook, parameters, always, parent, digest, source)

    def _parent(self, varied: Mapping[str, object]) -> str:
        """The one job of the step in `start_from` that agrees in what both vary."""
        first = self.step.get("start_from")
        if not first:
            return ""
        if first not in self.earlier:
            raise self._error(
                f"start_from: {first!r} is no earlier step's name; known here: {list(self.earlier)}"
            )
        earlier = self.earlier[first]
        shared = {key: value for key, value in varied.items() if key in earlier.varied}
        fitting = [job for job in earlier.jobs if shared.items() <= job.parameters.items()]
        if len(fitting) != 1:
            raise self._error(
                f"{len(fitting)} runs of step {first!r} fit {dict(varied)}; start_from needs "
                "exactly one: vary the same"
            )
        return fitting[0].name


def _matching(steps: list[list[Job]], only: Sequence[str]) -> list[list[Job]]:
    """The jobs that match what `--only` asks for."""
    wanted: dict[str, list] = {}
    for asked in only:
        name, equals, value = asked.partition("=")
        if not equals:
            raise WorkbookError(f"--only {asked}; expected name=value, e.g. seed=13")
        values = wanted.setdefault(name, [])
        values.append(value)  # 2000-01-01 is a date to YAML, and @x is nothing
        with suppress(WorkbookError):
            values.append(parse_yaml(value))

    def described(job: Job) -> dict:
        return {"notebook": job.notebook.stem, **job.parameters}

    def matches(job: Job) -> bool:
        own = described(job)
        return all(name in own and own[name] in values for name, values in wanted.items())

    jobs = [described(job) for step in steps for job in step]
    known = dict.fromkeys(name for job in jobs for name in job)
    for name in wanted:
        if name not in known:
            raise unknown("parameter in --only:", name, known)
    kept = [[job for job in step if matches(job)] for step in steps]
    if not any(kept):
        values = {}
        for name in wanted:
            values[name] = sorted({str(job[name]) for job in jobs if name in job})
        raise WorkbookError(f"--only {' '.join(only)}: no job matches; there are {values}")
    return [step for step in kept if step]
