import ast
import json
import re
import subprocess
import sys

import pytest
from conftest import rows_in

from bioner_lib.home import home

NOTEBOOKS = sorted((home() / "notebooks").glob("*.ipynb"))


def source(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_skeleton(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    cells = content["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), (
        "committed without outputs"
    )
    title, colab, parameters = cells[:3]
    assert re.match(r"# \d\d · .+\?\n", source(title)), "one question"
    for word in (
        "*Reads*",
        "*writes*",
        "*run time*",
        f"blob/main/notebooks/{path.name}",
        "colab-badge.svg",
    ):
        assert word in source(title), word
    assert source(colab).startswith('import sys\n\nif "google.colab" in sys.modules:')
    assert parameters["metadata"]["tags"] == ["parameters"]
    for line in source(parameters).splitlines():
        assert re.fullmatch(r"\w+: (str|int|float|bool|list|dict) = .+  # .+", line), (
            f"typed and commented: {line}"
        )
    assert "check_parameters(globals())" in source(cells[3])
    headings = [source(cell) for cell in cells if cell["cell_type"] == "markdown"]
    assert headings[-1].startswith("## What we learned")
    for cell in cells:
        if cell["cell_type"] == "code":
            assert len(source(cell).splitlines()) <= 20
            assert not [
                n
                for n in ast.walk(ast.parse(re.sub(r"(?m)^\s*!.*$", "    pass", source(cell))))
                if isinstance(n, ast.FunctionDef)
            ]


def test_badges_point_at_the_projects_repository():
    import tomllib

    url = tomllib.loads((home() / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    for path in NOTEBOOKS:
        text = path.read_text(encoding="utf-8")
        assert (
            f"{url.removeprefix('https://github.com/')}/blob/main" in text
            and f"git clone -q {url}\\n" in text
        )


def test_all_notebooks_share_one_setup_cell():
    """make test-colab runs that of notebook 30."""
    cells = {source(json.loads(path.read_text(encoding="utf-8"))["cells"][1]) for path in NOTEBOOKS}
    (cell,) = cells
    assert len(cell.splitlines()) <= 8
    assert "pip install -q -c installed.txt -e" in cell, "nothing that Colab has is replaced"


def papermill(name, folder, outputs, *parameters):
    """The stock command, as a user types it."""
    import os

    call = [
        sys.executable,
        "-m",
        "papermill",
        str(home() / "notebooks" / f"{name}.ipynb"),
        str(outputs / f"{name}.ipynb"),
    ]
    environment = os.environ | {"BIONER_OUTPUTS": str(outputs)}
    return subprocess.run(
        [*call, *parameters], cwd=folder, env=environment, capture_output=True, text=True
    )


TINY = ("-p", "limit", "24", "-p", "epochs", "1")
# no general-domain text is embedded, so viruses stand for it here
SIXTY = "{corpus: sample-disease, general: sample-virus, also_test: 'sample:Disease', shares: [50], epochs_together: 1, epochs_alone: 1}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder", "parameters"),
    [
        ("10_explore_corpora", ".", ()),
        ("20_align_words", "notebooks", ("-p", "corpus", "sample-gene")),
        (
            "30_single_task",
            ".",
            (*TINY, "-p", "corpus", "sample", "-p", "seed", "7", "-p", "processes", "2"),
        ),
        ("40_multi_task", "notebooks", (*TINY, "-p", "sharing", "cross", "-p", "pairs", "True")),
        ("45_published_systems", ".", (*TINY, "-p", "system", "cross-sharing-sp")),
        (
            "50_ablations",
            "notebooks",
            (
                *TINY,
                "-y",
                "{factors: {sharing: [moe]}, lambdas: [0.5, 1.0], search: {dropout: [0.0, 0.3]}, trials: 2}",
            ),
        ),
        ("55_partial_labels", ".", (*TINY, "-y", "{confidences: [0.0]}")),
        ("70_silver_labels", ".", ()),
        ("60_general_domain", "notebooks", ("-p", "limit", "24", "-y", SIXTY)),
    ],
)
def test_notebooks_run_under_stock_papermill(name, folder, parameters, tmp_path):
    answer = papermill(name, home() / folder, tmp_path, *parameters)
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert list((tmp_path / "figures").glob(f"{name[:2]}_*.png"))
    executed = json.loads((tmp_path / f"{name}.ipynb").read_text())
    last = executed["cells"][-1]["outputs"][0]["data"]["text/markdown"]
    assert len("".join(last)) > 40, "what we learned, in words"
    if name == "30_single_task":
        assert {row["device"].get("processes") for row in rows_in(tmp_path)} == {None, 2}
    if name == "50_ablations":
        assert "The best of 2 trials reaches" in "".join(last) and list(
            (tmp_path / "figures").glob("50_search_*.png")
        )
    if name == "70_silver_labels":
        ratio = papermill(
            "75_silver_ratio",
            home(),
            tmp_path,
            *TINY,
            "-y",
            "{ratios: [1], treatments: [mask, mask per-type], limit: 60}",
        )
        assert ratio.returncode == 0, ratio.stderr[-3000:]
    if name == "40_multi_task":
        board = papermill("90_leaderboard", home(), tmp_path)
        assert board.returncode == 0, board.stderr[-3000:]
        assert {p.name for p in tmp_path.glob("leaderboard.*")} == {
            "leaderboard.csv",
            "leaderboard.json",
            "leaderboard.md",
        }


@pytest.mark.slow
def test_a_typo_under_stock_papermill_stops(tmp_path):
    answer = papermill("30_single_task", home(), tmp_path, "-p", "corpsu", "bc5cdr")
    assert answer.returncode != 0 and "did you mean 'corpus'" in answer.stderr
