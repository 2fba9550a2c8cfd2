"""Sweeps: a YAML file that says which notebooks to execute with which parameters.

    steps:                        # one after the other; inside a step runs go side by side
      - notebook: 30_single_task
        name: first               # so that a later step can say start_from: first
        parameters: {corpus: ncbi-disease}
        grid: {heads: [per-type, joint]}
        seeds: [13, 42, 1337]

A notebook is one of the workbook's or, with .ipynb, a file beside the YAML. A step with `start_from` goes on from the runs of an earlier
one: each of its jobs from the job with the same values in what both vary. A notebook that was executed with the same source and
parameters is not executed again, unless its step says `always: true`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path

from ..errors import WorkbookError, unknown
from ..home import home
from .checking import check_values
from .jobs import Job
from .parameters import check_against_notebook, source_of

_KEYS = ("notebook", "name", "parameters", "grid", "seeds", "start_from", "always")


def read_sweep(
    path: str | Path, only: Sequence[str] = (), outputs: str | Path | None = None
) -> list[list[Job]]:
    """Steps of jobs, of a YAML file or by the name of one in notebooks/sweeps; silver corpora are looked for in `outputs`.

    `only` leaves those that it names: "seed=13", "notebook=30_single_task"; of several names all must hold, of one name's values
    any. Raises WorkbookError for what the notebooks don't take, empty grids, duplicate jobs, two jobs that make one silver corpus, a
    start_from that is no earlier step, and an `only` that nothing matches.
    """
    path, held = Path(path), home() / "notebooks" / "sweeps"
    if not path.suffix:  # a name
        path = held / f"{path}.yaml"
        if not path.exists():
            raise unknown("sweep", path.stem, [p.stem for p in held.glob("*.yaml")])
    if not path.is_file():
        raise WorkbookError(
            f"{path}: no such file; a YAML file, or one of {sorted(p.stem for p in held.glob('*.yaml'))}"
        )
    path = path.resolve()
    try:
        content = _yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise WorkbookError(f"{path}: not UTF-8 ({error})") from None
    except WorkbookError as error:
        raise WorkbookError(f"{path}: {error}") from None
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("steps"), list)
        or not content["steps"]
    ):
        raise WorkbookError(f"{path}: a sweep holds a list of steps, each with a notebook")
    if strange := [key for key in content if key != "steps" and not str(key).startswith("x-")]:
        raise WorkbookError(
            f"{path}: {strange[0]!r} stands beside the steps; it belongs into one (x-… may hold what steps share)"
        )
    named: dict[str, tuple[list[Job], set[str]]] = {}
    steps = [_jobs(step, path, named) for step in content["steps"]]
    seen = set()
    for job in (job for jobs in steps for job in jobs):
        if job.digest in seen and not job.always:
            raise WorkbookError(
                f"{path}: {job.notebook.stem} stands twice with {dict(job.parameters)}"
            )
        seen.add(job.digest)
    check_values([job for jobs in steps for job in jobs], path, outputs)
    return _those(steps, only) if only else steps


def _jobs(step: Mapping, path: Path, named: dict[str, tuple[list[Job], set[str]]]) -> list[Job]:
    """The jobs of a step; `named` holds those of earlier steps, with what they vary, by name, and takes these."""
    if not isinstance(step, dict):
        raise WorkbookError(
            f"{path}: a step is {step!r}; expected keys such as notebook, parameters, seeds"
        )
    for key in step:
        if key not in _KEYS:
            raise WorkbookError(f"{path}: {unknown('key of a step', key, _KEYS)}")
    own = path.parent / str(step.get("notebook"))
    notebook = own if own.suffix == ".ipynb" else home() / "notebooks" / f"{own.name}.ipynb"
    if not notebook.is_file():
        raise unknown(
            "notebook",
            step.get("notebook"),
            [p.stem for p in sorted(notebook.parent.glob("*.ipynb"))],
        )
    for key in ("parameters", "grid"):
        if not isinstance(step.get(key) or {}, dict) or (key == "grid" and not step.get(key, True)):
            raise WorkbookError(
                f"{path}: {key} is {step[key]!r}; expected names with their values, e.g. {{corpus: sample}}"
            )
    for key in ("name", "start_from"):
        if not isinstance(step.get(key, ""), str):
            raise WorkbookError(f"{path}: {key} is {step[key]!r}; expected one step's name")
    grid, fixed = dict(step.get("grid") or {}), dict(step.get("parameters") or {})
    if "seeds" in step:
        if "seed" in grid:
            raise WorkbookError(
                f"{path}: seeds {step['seeds']!r} and the grid's seed {grid['seed']!r}; leave one out"
            )
        grid["seed"] = step["seeds"]
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            said = "seeds" if "seeds" in step and name == "seed" else f"grid {name!r}"
            raise WorkbookError(f"{path}: {said} is {values!r}; expected a list that isn't empty")
    if both := [name for name in grid if name in fixed]:
        raise WorkbookError(
            f"{path}: {both[0]!r} stands in parameters and varies too; leave one out"
        )
    if not isinstance(fixed.get("options", {}), dict):
        raise WorkbookError(
            f"{path}: options is {fixed['options']!r}; expected fields of RunConfig with their values"
        )
    first = step.get("start_from")
    if first and first not in named:
        raise WorkbookError(
            f"{path}: start_from: {first!r} is no earlier step's name; known here: {list(named)}"
        )
    source, jobs = source_of(notebook), []
    for values in product(*grid.values()):
        varied = dict(zip(grid, values, strict=True))
        parameters = fixed | varied
        parent = _parent(*named[first], varied, first, path) if first else ""
        options = (
            {"options": {**parameters.get("options", {}), "start_from": parent}} if parent else {}
        )
        check_against_notebook(notebook, parameters | options)
        try:
            told = json.dumps(parameters, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise WorkbookError(
                f"{path}: {parameters} can't be handed to a notebook: {error}"
            ) from None
        digest = hashlib.sha256((source + told + parent).encode()).hexdigest()[:8]
        jobs.append(Job(notebook, parameters, bool(step.get("always")), parent, digest, source))
    if name := step.get("name"):
        if name in named:
            raise WorkbookError(f"{path}: two steps are called {name!r}")
        named[name] = jobs, set(grid)
    return jobs


def _yaml(text: str) -> object:
    """A YAML text's content; raises WorkbookError for what is none, and for a key that stands twice."""
    import yaml

    def check(node, seen) -> None:
        if id(node) not in seen and isinstance(node, yaml.CollectionNode):
            seen.add(id(node))
            pairs = (
                node.value
                if isinstance(node, yaml.MappingNode)
                else [(node, part) for part in node.value]
            )
            keys = [
                key.value
                for key, _ in pairs
                if isinstance(key, yaml.ScalarNode) and key.value != "<<"
            ]
            if twice := [key for key in keys if keys.count(key) > 1]:
                raise WorkbookError(f"key {twice[0]!r} stands twice in one place{node.start_mark}")
            for _, part in pairs:
                check(part, seen)

    try:
        check(yaml.compose(text, yaml.SafeLoader), set())
        return yaml.safe_load(text)
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # a ValueError for 2026-13-45, which YAML takes for a date
        raise WorkbookError(f"not YAML: {error}") from None
    except RecursionError:
        raise WorkbookError("not YAML: nested too deeply") from None


def _parent(
    jobs: list[Job], grid: set[str], varied: Mapping[str, object], name: str, path: Path
) -> str:
    """The one job of an earlier step that agrees in what both vary."""
    fitting = [
        job
        for job in jobs
        if all(job.parameters[key] == value for key, value in varied.items() if key in grid)
    ]
    if len(fitting) != 1:
        raise WorkbookError(
            f"{path}: {len(fitting)} runs of step {name!r} fit {dict(varied)}; start_from needs exactly one: vary the same"
        )
    return fitting[0].name


def _those(steps: list[list[Job]], only: Sequence[str]) -> list[list[Job]]:
    wanted: dict[str, list] = {}
    for asked in only:
        name, equals, value = asked.partition("=")
        if not equals:
            raise WorkbookError(f"--only {asked}; expected name=value, e.g. seed=13")
        wanted.setdefault(name, []).extend([_yaml(value), value])  # 2000-01-01 is a date to YAML
        with suppress(ValueError):  # 3e-5 is text to YAML
            wanted[name].append(float(value))
    said = [[{"notebook": job.notebook.stem, **job.parameters} for job in jobs] for jobs in steps]
    known = dict.fromkeys(name for step in said for job in step for name in job)
    if strange := [name for name in wanted if name not in known]:
        raise unknown("parameter in --only:", strange[0], known)
    kept = [
        [
            job
            for job, told in zip(jobs, step, strict=True)
            if all(name in told and told[name] in values for name, values in wanted.items())
        ]
        for jobs, step in zip(steps, said, strict=True)
    ]
    if not any(kept):
        values = {
            name: sorted({str(job[name]) for step in said for job in step if name in job})
            for name in wanted
        }
        raise WorkbookError(f"--only {' '.join(only)}: no job matches; there are {values}")
    return [jobs for jobs in kept if jobs]
