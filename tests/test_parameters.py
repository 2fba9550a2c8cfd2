"""Parameters that papermill would ignore or mistype are errors."""

import nbformat
import pytest
from small_corpora import own_corpus
from small_sweeps import sweep

from bioner_lib import WorkbookError, check_choices, check_parameters, load_corpus, nonzero
from bioner_lib.home import home
from bioner_lib.sweeps.checking import check_values
from bioner_lib.sweeps.jobs import Job
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


def test_what_a_notebook_compares_is_there(tmp_path):
    """Empty parameters, too few corpora, and a corpus without a test split are refused early."""
    with pytest.raises(WorkbookError, match="parameter ratios is empty"):
        check_parameters({"gold": "sample", "ratios": []}, "gold", "ratios")
    with pytest.raises(WorkbookError, match=r"compares 2 corpora or more, not \['sample'\]"):
        check_parameters({}, tested=["sample"], at_least=2)
    mine = own_corpus(tmp_path / "mine", load_corpus("sample").train[:10])
    with pytest.raises(WorkbookError, match=r"no test split; .*carve_test"):
        check_parameters({}, tested=["sample", str(mine)])
    check_parameters({"ratios": [1.0]}, "ratios", tested=["sample@1/2:Gene"])


def test_options_may_name_a_teacher_or_an_ensemble():
    notebook = home() / "notebooks" / "30_single_task.ipynb"
    for options in (
        {"teacher": "a-run", "distillation": 0.5},
        {"system": "ensemble", "seeds": [13, 42]},
    ):
        check_against_notebook(notebook, {"corpus": "sample", "options": options})
    with pytest.raises(WorkbookError, match="name a finished run with teacher="):
        check_against_notebook(notebook, {"options": {"distillation": 0.5}})
    ablations = {"factors": {"distillation": [0.5]}, "options": {"teacher": "a-run"}}
    check_values([Job(home() / "notebooks" / "50_ablations.ipynb", ablations)], home())


def test_a_misspelt_choice_is_refused():
    with pytest.raises(WorkbookError, match="unknown arm 'negativ'; did you mean 'negative'"):
        check_choices("arm", ["mask", "negativ"], ["mask", "negative"])


def test_parameters_of_zero_leave_a_field_as_it_is():
    assert nonzero(epochs=0, limit=3, also_test=[], learning_rate=0.0, encoder="") == {"limit": 3}


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
