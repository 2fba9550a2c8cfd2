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

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path

from ..choices import DENOISING, check_encoder
from ..corpora.registry import CORPORA, check_name, made_here
from ..errors import WorkbookError, unknown
from ..home import home, is_there
from ..silver.labelling import silver_folder

_KINDS = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": list, "dict": dict}
_PRIVATE = ("email",)  # parameters that no file's name may tell
_KEYS = ("notebook", "name", "parameters", "grid", "seeds", "start_from", "always")
_CORPORA = (
    "corpus",
    "corpora",
    "gold",
    "also_test",
    "general",
    "silver",
    "added",
)  # parameters that name some
_ELSEWHERE = ("90_leaderboard",)  # where they are names of the board's
_NOT_OF_A_RUN = (
    "10_explore_corpora",
    "20_align_words",
    "70_silver_labels",
)  # whose limit, overlap … are their own
# fields that can't be judged without the run's corpora and earlier runs
_BOUND = (
    "corpora",
    "also_test",
    "loss_weights",
    "corpus_weights",
    "start_from",
    "teacher",
    "epochs",
)


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
    _check_values([job for jobs in steps for job in jobs], path, outputs)
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


def _check_values(jobs: Sequence[Job], path: Path, outputs: str | Path | None) -> None:
    """Raises WorkbookError for values that the workbook's own notebooks would refuse once they run.

    What an earlier job makes is there by then; two jobs that make one silver corpus are refused.
    """
    known, makers = dict.fromkeys([*CORPORA, *made_here(outputs)]), {}
    for job in jobs:
        if job.notebook.parent != home() / "notebooks" or job.notebook.stem in _ELSEWHERE:
            continue
        try:
            _check_job(job, known)
        except WorkbookError as error:
            raise WorkbookError(f"{path}: {job.notebook.stem}: {error}") from None
        if name := job.parameters.get("name", _default(job.notebook, "name")):
            silver_folder(name)  # refuses what can't be a corpus's name
            second = (
                f"{name}-{job.parameters.get('denoising', _default(job.notebook, 'denoising'))}"
            )
            for made in [name, second] if job.parameters.get("teacher") else [name]:
                if made in makers:
                    raise WorkbookError(
                        f"{path}: two jobs of {job.notebook.stem} make one corpus, {made!r}: {makers[made]} and {dict(job.parameters)}; "
                        "give each a name"
                    )
                makers[made] = dict(job.parameters)
            known |= dict.fromkeys([name, *(f"{name}-{how}" for how in DENOISING)])


def _check_job(job: Job, known: Iterable[str]) -> None:
    """One job's parameters, each by what the library itself does with a value of that name."""
    from ..config import RunConfig

    for source in (job.parameters, job.parameters.get("options", {})):
        for key in _CORPORA:
            value = source.get(key, "")
            whole = is_there(job.notebook.parent / str(value))
            for name in (
                value if isinstance(value, list) else [value] if whole else str(value).split()
            ):
                check_name(str(name), known, job.notebook.parent)
        if source.get("encoder"):
            check_encoder(source["encoder"], job.notebook.parent)
    if job.parameters.get("system"):
        from ..runs.recipes import RECIPES

        if job.parameters["system"] not in RECIPES:
            raise unknown("system", job.parameters["system"], RECIPES)
    own = {f.name for f in fields(RunConfig)} - {*_BOUND, "system"}
    same = {
        name: value
        for name, value in job.parameters.items()
        if name in own and job.notebook.stem not in _NOT_OF_A_RUN
    }
    RunConfig(**{"corpora": "sample"} | same)
    if job.parameters.get("denoising", DENOISING[0]) not in DENOISING:
        raise unknown("denoising", job.parameters["denoising"], DENOISING)
    known_fields = [f.name for f in fields(RunConfig)]
    for place in ("factors", "search"):
        for name, values in (job.parameters.get(place) or {}).items():
            if str(name).split(".")[0] not in known_fields:
                raise unknown(f"RunConfig field in {place}:", name, known_fields)
            if not isinstance(values, list):
                raise WorkbookError(f"{place} {name}={values!r}; expected a list of values")
            for value in values if place == "factors" and name not in _BOUND else ():
                RunConfig(**{"corpora": "sample", name: value})


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


def _cells(notebook: Path) -> list[dict]:
    try:
        return json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    except (ValueError, TypeError, KeyError) as error:
        raise WorkbookError(
            f"{notebook} is no notebook ({type(error).__name__}: {error})"
        ) from None


def source_of(notebook: Path) -> str:
    """What the cells say, in one text; outputs don't count."""
    return json.dumps([[cell["cell_type"], "".join(cell["source"])] for cell in _cells(notebook)])


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


def check_against_notebook(notebook: Path, parameters: Mapping[str, object]) -> None:
    """Raises WorkbookError for parameters that the notebook doesn't declare or that are of another kind: papermill wouldn't."""
    cell = _tagged(notebook)
    _check(parameters, _assigned(cell) | _declared(cell), Path(notebook).stem)


def _tagged(notebook: Path) -> str:
    tagged = [
        "".join(cell["source"])
        for cell in _cells(notebook)
        if "parameters" in cell["metadata"].get("tags", [])
    ]
    if not tagged:
        raise WorkbookError(f"{notebook} has no cell tagged 'parameters', so it can't be given any")
    return tagged[0]


def _default(notebook: Path, parameter: str) -> str:
    """The text that a parameter of a notebook holds where nobody says otherwise; "" where it has none."""
    for node in _statements(_tagged(notebook)):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == parameter
        ):
            return node.value.value if isinstance(node.value, ast.Constant) else ""
    return ""


def check_parameters(namespace: Mapping[str, object]) -> None:
    """In a notebook, after its parameters: `check_parameters(globals())`.

    Under the stock papermill command an unknown parameter would be ignored with a line in a log; here it is an error.
    """
    cells = [cell for cell in namespace.get("In", []) if cell]
    injected = [cell for cell in cells if cell.startswith("# Parameters\n")]
    if not injected:
        return
    before = cells[max(0, cells.index(injected[0]) - 1)]  # the tagged cell
    declared = _assigned(before) | {
        name: kind
        for cell in cells
        if cell not in injected
        for name, kind in _declared(cell).items()
    }
    given = {
        node.targets[0].id for node in ast.parse(injected[-1]).body if isinstance(node, ast.Assign)
    }
    _check(
        {name: namespace[name] for name in given if not name.startswith("PAPERMILL_")},
        declared,
        "this notebook",
    )


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(re.sub(r"^[%!].*", "", source, flags=re.MULTILINE)).body
    except SyntaxError:
        return []


def _declared(source: str) -> dict[str, str]:
    """Name -> kind of the `name: kind = value` lines of a cell."""
    found = [
        node
        for node in _statements(source)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    return {node.target.id: ast.unparse(node.annotation) for node in found}


def _assigned(source: str) -> dict[str, str]:
    """The names of its `name = value` lines, of any kind."""
    targets = [
        target
        for node in _statements(source)
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    return {target.id: "" for target in targets if isinstance(target, ast.Name)}


def _check(parameters: Mapping[str, object], declared: Mapping[str, str], where: str) -> None:
    for name, value in parameters.items():
        if name not in declared:
            from ..config import RunConfig

            field_of_run = name in {f.name for f in fields(RunConfig)} and "options" in declared
            hint = (
                f"; a field of RunConfig goes into options: {{{name}: ...}}" if field_of_run else ""
            )
            raise WorkbookError(f"{unknown(f'parameter of {where}:', name, declared)}{hint}")
        kind = _KINDS.get(declared[name])
        if kind and (
            not isinstance(value, kind) or (isinstance(value, bool) and declared[name] != "bool")
        ):
            from ..config import number_hint

            hint = number_hint(value)
            raise WorkbookError(
                f"parameter {name}={value!r} of {where} is {type(value).__name__}; expected {declared[name]}{hint}"
            )
    if isinstance(options := parameters.get("options"), dict) and options:
        from ..config import RunConfig

        for name in options:
            if name not in (known := [f.name for f in fields(RunConfig)]):
                raise unknown(f"field of RunConfig in options of {where}:", name, known)
        try:
            apart = _BOUND if "max_length" in options else (*_BOUND, "overlap", "max_pieces")
            RunConfig(
                **{"corpora": "sample"}
                | {name: value for name, value in options.items() if name not in apart}
            )
        except WorkbookError as error:
            raise WorkbookError(f"options of {where}: {error}") from None
