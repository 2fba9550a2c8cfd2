"""A notebook's parameters: what its tagged cell declares, and what it is given."""

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from ..errors import WorkbookError, unknown

_KINDS = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": list, "dict": dict}
# fields that can't be judged without the run's corpora and earlier runs
BOUND = (
    "corpora",
    "also_test",
    "loss_weights",
    "corpus_weights",
    "start_from",
    "teacher",
    "epochs",
)


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


def default_of(notebook: Path, parameter: str) -> str:
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
            apart = BOUND if "max_length" in options else (*BOUND, "overlap", "max_pieces")
            RunConfig(
                **{"corpora": "sample"}
                | {name: value for name, value in options.items() if name not in apart}
            )
        except WorkbookError as error:
            raise WorkbookError(f"options of {where}: {error}") from None
