"""A notebook's parameters: what its tagged cell declares, and what it is given."""

import ast
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

from ..config import BOUND, FIELDS, RunConfig, check_alone
from ..config_checks import check_type
from ..corpora.loading import load_corpus
from ..errors import WorkbookError, unknown


def cells_of(notebook: Path) -> list[dict]:
    """The cells of a notebook; raises WorkbookError for a file that is none."""
    try:
        cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
        for key in ("cell_type", "source"):
            if any(key not in cell for cell in cells):
                raise KeyError(key)
    except (ValueError, TypeError, KeyError) as error:
        raise WorkbookError(
            f"{notebook} is no notebook ({type(error).__name__}: {error}); execute or write it "
            "again, or delete it"
        ) from None
    return cells


def source_of(notebook: Path) -> str:
    """The types and sources of all cells as one text; outputs don't count."""
    cells = cells_of(notebook)
    return json.dumps([[cell["cell_type"], "".join(cell["source"])] for cell in cells])


def check_against_notebook(notebook: Path, parameters: Mapping[str, object]) -> None:
    """Raises WorkbookError for parameters that a notebook doesn't declare, and for wrong types.

    papermill itself doesn't check them.
    """
    cell = _parameters_cell(notebook)
    _check(parameters, _assigned(cell) | _declared(cell), Path(notebook).stem)


def _parameters_cell(notebook: Path) -> str:
    for cell in cells_of(notebook):
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            return "".join(cell["source"])
    raise WorkbookError(f"{notebook} has no cell tagged 'parameters', so it can't be given any")


def default_of(notebook: Path, parameter: str) -> object:
    """The default of a notebook's parameter; "" where it has none."""
    for node in _statements(_parameters_cell(notebook)):
        is_declared = isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if is_declared and node.target.id == parameter:
            return node.value.value if isinstance(node.value, ast.Constant) else ""
    return ""


def check_parameters(
    namespace: Mapping[str, object],
    *needed: str,
    tested: Iterable[str] = (),
    at_least: int = 0,
) -> None:
    """In a notebook, after its parameters: `check_parameters(globals())`.

    needed    parameters that must not be empty
    tested    corpora whose test scores the notebook compares, `at_least` so many

    The stock papermill command ignores an unknown parameter with a line in a log; here it is an
    error. So is an empty parameter that is needed, and a corpus without a test split.
    """
    _check_injected(namespace)
    for name in needed:
        if not len(namespace[name]):
            raise WorkbookError(f"parameter {name} is empty; give at least one value")
    tested = list(tested)
    if len(tested) < at_least:
        raise WorkbookError(f"this notebook compares {at_least} corpora or more, not {tested}")
    for name in tested:
        load_corpus(name).split("test")  # refused now rather than after training


def _check_injected(namespace: Mapping[str, object]) -> None:
    """Raises WorkbookError for parameters from papermill that the notebook doesn't declare."""
    cells = [cell for cell in namespace.get("In", []) if cell]
    injected = [cell for cell in cells if cell.startswith("# Parameters\n")]
    if not injected:
        return
    tagged = cells[max(0, cells.index(injected[0]) - 1)]  # papermill injects its cell after it
    declared = _assigned(tagged)
    for cell in cells:
        if cell not in injected:
            declared |= _declared(cell)
    names = [
        node.targets[0].id for node in ast.parse(injected[-1]).body if isinstance(node, ast.Assign)
    ]
    given = {name: namespace[name] for name in names if not name.startswith("PAPERMILL_")}
    _check(given, declared, "this notebook")


def nonzero(**parameters: object) -> dict[str, object]:
    """The parameters that were given a value; one that is 0 or empty leaves a field as it is."""
    return {name: value for name, value in parameters.items() if value}


def check_choices(kind: str, chosen: Iterable[str], known: Collection[str]) -> None:
    """Raises WorkbookError for a choice that isn't among the known ones."""
    for choice in chosen:
        if choice not in known:
            raise unknown(kind, choice, known)


def _statements(source: str) -> list[ast.stmt]:
    """The statements of a cell, without its magic commands."""
    try:
        return ast.parse(re.sub(r"^[%!].*", "", source, flags=re.MULTILINE)).body
    except SyntaxError:
        return []


def _declared(source: str) -> dict[str, str]:
    """name -> type, of the lines `name: type = value` of a cell."""
    found = {}
    for node in _statements(source):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = ast.unparse(node.annotation)
    return found


def _assigned(source: str) -> dict[str, str]:
    """name -> "" (any type), of the lines `name = value` of a cell."""
    found = {}
    for node in _statements(source):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Name):
                found[target.id] = ""
    return found


def _check(parameters: Mapping[str, object], declared: Mapping[str, str], where: str) -> None:
    for name, value in parameters.items():
        if name not in declared:
            hint = ""
            if name in FIELDS and "options" in declared:
                hint = f"; a field of RunConfig goes into options: {{{name}: ...}}"
            raise WorkbookError(f"{unknown(f'parameter of {where}:', name, declared)}{hint}")
        check_type(f"parameter {name}", value, declared[name], f" of {where}")
    options = parameters.get("options")
    if isinstance(options, dict):
        _check_options(options, where)
        _refuse_parameters(options, declared, where)


def _refuse_parameters(
    options: Mapping[str, object], declared: Mapping[str, str], where: str
) -> None:
    """Raises WorkbookError for options that are parameters of the notebook, which it would give to
    some of its runs only."""
    for name in options.keys() & declared.keys():
        if not (name == "epochs" and isinstance(options[name], list)):  # of two phases, as in 45
            raise WorkbookError(
                f"options of {where}: {name} is a parameter of its own; give it beside options"
            )


def _check_options(options: Mapping[str, object], where: str) -> None:
    """Raises WorkbookError for options that RunConfig refuses."""
    for name in options:
        if name not in FIELDS:
            raise unknown(f"field of RunConfig in options of {where}:", name, FIELDS)
    for name in set(BOUND) & options.keys():
        given = options[name]
        # 45 takes the epochs of each phase
        for value in given if name == "epochs" and isinstance(given, list) else [given]:
            _of_options(where, partial(check_alone, name, value))
    # these need the run's corpora, or its max_length
    skipped = {*BOUND} - {"teacher", "seeds"}
    skipped |= set() if "max_length" in options else {"overlap", "max_pieces"}
    values = {name: value for name, value in options.items() if name not in skipped}
    _of_options(where, partial(RunConfig, **{"corpora": "sample"} | values))


def _of_options(where: str, check: Callable[[], object]) -> None:
    """Carry out a check; its error says that the value stands in the options."""
    try:
        check()
    except WorkbookError as error:
        raise WorkbookError(f"options of {where}: {error}") from None
