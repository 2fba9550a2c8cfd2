"""Parameters that papermill would ignore or mistype are errors."""

import nbformat
import pytest
from conftest import sweep

from bioner_lib import WorkbookError, check_parameters
from bioner_lib.sweeps.parameters import check_against_notebook
from bioner_lib.sweeps.reading import read_sweep


def test_own_notebooks_without_annotations_and_with_magics(tmp_path):
    """Parameters without kinds, magics beside them, and what is no notebook."""
    cell = nbformat.v4.new_code_cell("%matplotlib inline\nseed = 13\nrate: float = 0.1")
    cell.metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "plain.ipynb")
    (jobs,) = read_sweep(
        sweep(tmp_path, "steps: [{notebook: plain.ipynb, parameters: {rate: 1}, seeds: [1, 2]}]")
    )
    assert [job.parameters["seed"] for job in jobs] == [1, 2]
    with pytest.raises(WorkbookError, match=r"parameter of plain: 'sead'; did you mean 'seed'"):
        read_sweep(sweep(tmp_path, "steps: [{notebook: plain.ipynb, grid: {sead: [1]}}]"))
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(WorkbookError, match=r"broken.ipynb is no notebook"):
        read_sweep(sweep(tmp_path, "steps: [{notebook: broken.ipynb}]"))


def test_notebook_without_parameters(tmp_path):
    (tmp_path / "x.ipynb").write_text('{"cells": []}')
    with pytest.raises(WorkbookError, match="no cell tagged 'parameters'"):
        check_against_notebook(tmp_path / "x.ipynb", {"seed": 1})


DECLARED = (
    "seed: int = 13  # a comment\ncorpus: str = 'sample'\nrate: float = 0.1\nweights: dict = {}"
)


@pytest.mark.parametrize(
    ("injected", "message"),
    [
        ("corpsu = 'x'", "unknown parameter of this notebook: 'corpsu'; did you mean 'corpus'"),
        ("seed = '13'", "seed='13' of this notebook is str; expected int"),
        ("seed = True", "seed=True"),
    ],
)
def test_what_papermill_would_ignore_is_an_error(injected, message):
    namespace = {"In": ["", DECLARED, f"# Parameters\n{injected}\n", "%magic"]}
    exec(injected, namespace)
    with pytest.raises(WorkbookError, match=message):
        check_parameters(namespace)


def test_good_parameters_pass():
    namespace = {
        "In": [
            "",
            "%magic",
            DECLARED,
            "# Parameters\nseed = 4\nrate = 1\nweights = {'Gene': 2}\nPAPERMILL_INPUT_PATH = 'x'\n",
        ]
    }
    exec(namespace["In"][3], namespace)
    check_parameters(namespace)
    check_parameters({"In": ["", DECLARED]})
    check_parameters({})
