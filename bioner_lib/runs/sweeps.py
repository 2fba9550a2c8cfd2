"""Many runs: papermill over a list of notebooks and parameters, read from a YAML file.

    steps:                        # one after the other; inside a step runs go side by side
      - notebook: 30_single_task
        parameters: {corpus: ncbi-disease}
        grid: {heads: [per-type, joint]}
        seeds: [13, 42, 1337]

A notebook that was executed with the same source and parameters is not executed again, unless its step says `always: true`.
"""

import ast
import hashlib
import json
import os
import re
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path

from ..errors import WorkbookError, unknown
from ..home import home
from ..home import outputs as outputs_folder
from .config import RunConfig

_KINDS = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": list, "dict": dict}
_FIELDS = {f.name for f in fields(RunConfig)}
_ROW = re.compile(r"row: runs/(\S+)/run\.json")


@dataclass(frozen=True)
class Job:
    """One execution of one notebook."""

    notebook: Path
    parameters: Mapping[str, object]
    always: bool = False
    digest: str = field(default="")

    @property
    def name(self) -> str:
        """The executed notebook's name: notebook, what tells it from its neighbours, 8 hex digits of source and parameters."""
        told = "-".join(str(v) for v in self.parameters.values() if isinstance(v, str | int | float) and not isinstance(v, bool))
        slug = re.sub(r"[^A-Za-z0-9_+.]+", "-", f"{self.notebook.stem}-{told}").strip("-")[:80]
        return f"{slug}-{self.digest}"


def read_sweep(path: str | Path) -> list[list[Job]]:
    """Steps of jobs; raises WorkbookError for what the notebooks don't take, empty grids and duplicate jobs."""
    import yaml

    path = Path(path)
    if not path.exists():
        path = home() / "notebooks" / "sweeps" / f"{path.stem}.yaml"
    if not path.exists():
        raise unknown("sweep", path.stem, [p.stem for p in path.parent.glob("*.yaml")])
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not content.get("steps"):
        raise WorkbookError(f"{path}: a sweep holds a list of steps, each with a notebook")
    steps = [_jobs(step, path) for step in content["steps"]]
    seen = set()
    for job in (job for jobs in steps for job in jobs):
        if job.digest in seen and not job.always:
            raise WorkbookError(f"{path}: {job.notebook.stem} stands twice with {dict(job.parameters)}")
        seen.add(job.digest)
    return steps


def _jobs(step: Mapping, path: Path) -> list[Job]:
    for key in step:
        if key not in ("notebook", "parameters", "grid", "seeds", "always"):
            raise WorkbookError(f"{path}: {unknown('key of a step', key, ('notebook', 'parameters', 'grid', 'seeds', 'always'))}")
    notebook = home() / "notebooks" / f"{Path(str(step.get('notebook'))).stem}.ipynb"
    if not notebook.exists():
        raise unknown("notebook", step.get("notebook"), [p.stem for p in notebook.parent.glob("*.ipynb")])
    grid = dict(step.get("grid") or {}) | ({"seed": step["seeds"]} if step.get("seeds") else {})
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise WorkbookError(f"{path}: grid {name!r} is {values!r}; expected a list that isn't empty")
    jobs = []
    for values in product(*grid.values()):
        parameters = dict(step.get("parameters") or {}) | dict(zip(grid, values, strict=True))
        check_against_notebook(notebook, parameters)
        content = notebook.read_bytes() + json.dumps(parameters, sort_keys=True).encode()
        jobs.append(Job(notebook, parameters, bool(step.get("always")), hashlib.sha256(content).hexdigest()[:8]))
    return jobs


def check_against_notebook(notebook: Path, parameters: Mapping[str, object]) -> None:
    """Raises WorkbookError for parameters that the notebook doesn't declare or that are of another kind: papermill wouldn't."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    tagged = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    if not tagged:
        raise WorkbookError(f"{notebook} has no cell tagged 'parameters', so it can't be given any")
    _check(parameters, _declared(tagged[0]), Path(notebook).stem)


def check_parameters(namespace: Mapping[str, object]) -> None:
    """In a notebook, after its parameters: `check_parameters(globals())`.

    Under the stock papermill command an unknown parameter would be ignored with a line in a log; here it is an error.
    """
    cells = [cell for cell in namespace.get("In", []) if cell]
    injected = [cell for cell in cells if cell.startswith("# Parameters\n")]
    if not injected:
        return
    declared = {name: kind for cell in cells if cell not in injected for name, kind in _declared(cell).items()}
    given = {node.targets[0].id for node in ast.parse(injected[-1]).body if isinstance(node, ast.Assign)}
    _check({name: namespace[name] for name in given if not name.startswith("PAPERMILL_")}, declared, "this notebook")


def _declared(source: str) -> dict[str, str]:
    """Name -> kind of the `name: kind = value` lines of a cell."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a cell with %magics
        return {}
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _check(parameters: Mapping[str, object], declared: Mapping[str, str], where: str) -> None:
    for name, value in parameters.items():
        if name not in declared:
            hint = f"; a field of RunConfig goes into options: {{{name}: ...}}" if name in _FIELDS and "options" in declared else ""
            raise WorkbookError(f"{unknown(f'parameter of {where}:', name, declared)}{hint}")
        kind = _KINDS.get(declared[name])
        if kind and (not isinstance(value, kind) or (isinstance(value, bool) and declared[name] != "bool")):
            raise WorkbookError(f"parameter {name}={value!r} of {where} is {type(value).__name__}; expected {declared[name]}")


def run_sweep(steps: list[list[Job]], outputs: str | Path | None = None, workers: int = 1) -> list[tuple[Job, str]]:
    """Execute what is missing; returns the jobs that failed with their tracebacks. One failure doesn't stop the others."""
    from tqdm.auto import tqdm

    folder = outputs_folder(outputs) / "notebooks"
    folder.mkdir(exist_ok=True)
    # kernels take their folders from here, whatever their own working folder is
    os.environ["BIONER_OUTPUTS"] = str(folder.parent.resolve())
    if mirror := os.environ.get("BIONER_MIRROR"):
        os.environ["BIONER_MIRROR"] = str(Path(mirror).resolve())
    failed: list[tuple[Job, str]] = []
    with tqdm(total=sum(map(len, steps)), desc="notebooks", mininterval=1) as bar, ThreadPoolExecutor(workers) as pool:

        def execute(job: Job) -> None:
            try:
                _execute(job, folder)
            except Exception:
                failed.append((job, traceback.format_exc()))
                bar.write(f"failed: {job.name}; see {folder / job.name}.failed.ipynb")
            bar.update()

        for jobs in steps:  # and their number of threads: all cores for a job that is alone
            threads = str(max(1, (os.cpu_count() or 1) // min(workers, len(jobs))))
            os.environ.update({"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"})
            list(pool.map(execute, jobs))
    return failed


def _execute(job: Job, folder: Path) -> None:
    import papermill
    from traitlets.config import Config

    done = folder / f"{job.name}.ipynb"
    if not job.always and done.exists() and all((folder.parent / "runs" / run_id / "run.json").exists() for run_id in _rows_of(done)):
        return
    aside, failed = done.with_suffix(".running.ipynb"), done.with_suffix(".failed.ipynb")
    options = {
        "kernel_name": "python3", "progress_bar": False, "cwd": str(job.notebook.parent),
        "config": Config(KernelManager={"transport_encryption": "auto"}),
    }  # fmt: skip
    try:
        try:
            papermill.execute_notebook(job.notebook, aside, dict(job.parameters), **options)
        except RuntimeError as error:
            if "Kernel died before replying" not in str(error):
                raise
            # a port was taken between choice and use
            papermill.execute_notebook(job.notebook, aside, dict(job.parameters), **options)
    except Exception:
        if aside.exists():
            aside.replace(failed)
        raise
    failed.unlink(missing_ok=True)
    aside.replace(done)
    for run_id in _rows_of(done):
        if (run := folder.parent / "runs" / run_id).is_dir():
            (run / "notebook.ipynb").write_bytes(done.read_bytes())


def _rows_of(executed: Path) -> set[str]:
    """The runs that an executed notebook made or read, from what it printed."""
    return set(_ROW.findall(executed.read_text(encoding="utf-8")))
