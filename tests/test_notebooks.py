import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache

import pytest
from published_runs import committed_page
from small_runs import rows_in

from bioner_lib.home import home

NOTEBOOKS = sorted((home() / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
MODULES = 4  # of the library that a notebook may import from
WORDS = range(500, 1_201)
PIECES, PIECES_OF_QUICK = 60_000, 400_000
KILOBYTES = 400
# notebooks with committed rows behind their last cell, and their tables
TABLES = {
    "00_quickstart": "single_task",
    "10_explore_corpora": "corpora",
    "30_single_task": "single_task single_task_documents single_task_jnlpba",
    "40_multi_task": "multi_task",
    "45_published_systems": "biojointbert bionerds multi_bioner",
    "90_leaderboard": "multi_task single_task",
    "50_ablations": "ablations",
    "55_partial_labels": "partial_labels",
    "60_general_domain": "general_domain",
    "70_lexicons": "silver_text",
    "71_silver_text": "silver_text",
    "75_silver_ratio": "silver_text",
    "80_generalization": "single_task single_task_documents",
    "85_throughput": "throughput",
    "97_small_encoder": "small_encoder",
}
# what other papers report, beside board/anchors.csv: GERBERA's gains; AIONER, table 2; OpenMed, one
# run each; BioNER-DS, recall of chemicals by silver ratio
QUOTED = [
    "0.9",
    "4.7",
    "89.3",
    "70.0",
    "90.8",
    "91.3",
    "91.1",
    "90.1",
    "81.9",
    ".938",
    ".853",
]


def cells(path, kind=""):
    held = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in held if kind in ("", cell["cell_type"])]


def source(cell):
    return "".join(cell["source"])


def without_magics(text):
    return re.sub(r"(?m)^\s*!.*$", "    pass", text)


@each_notebook
def test_skeleton(path):
    title, colab, parameters, imports = cells(path)[:4]
    badge, question, *_ = source(title).split("\n\n")
    assert badge.startswith("[![Open in Colab]") and f"blob/main/notebooks/{path.name}" in badge
    assert re.fullmatch(rf"# {path.stem[:2]} · .+\?", question), "one question"
    for word in ("*Reads*", "*writes*", "*run time*", "CPU", "GPU"):
        assert word in source(title), word
    assert source(colab) == source(cells(NOTEBOOKS[0])[1]), "one set-up cell for all notebooks"
    assert parameters["metadata"]["tags"] == ["parameters"]
    for line in source(parameters).splitlines():
        typed = re.fullmatch(r"\w+: (str|int|float|bool|list|dict) = .+  # .+", line)
        assert typed, f"typed and commented: {line}"
    assert "check_parameters(globals()" in source(imports)
    assert [cell["id"] for cell in cells(path)] == [
        f"{path.stem[:2]}-{k:02}" for k in range(len(cells(path)))
    ]


@each_notebook
def test_story(path):
    told = [source(cell) for cell in cells(path, "markdown")]
    assert "**Try this.**" in "\n".join(told)
    declared = re.findall(r"^(\w+): ", source(cells(path)[2]), flags=re.MULTILINE)
    as_yaml = set(re.findall(r"`(\w+): ", "\n".join(told))) & set(declared)
    assert not as_yaml, f"a parameter is set in Python, `name = value`: {as_yaml}"
    shows, says = told[-2:]
    assert "## What this run shows" in shows and says.startswith("## What the real corpora say")
    assert cells(path)[-1]["cell_type"] == "markdown"
    text = re.sub(r"\$\$.*?\$\$|\$.*?\$|https?://\S+", " ", "\n".join(told), flags=re.DOTALL)
    assert len(text.split()) in WORDS, f"{len(text.split())} words"


@each_notebook
def test_code_is_short_and_names_few_modules(path):
    modules = set()
    for number, cell in enumerate(cells(path, "code")):
        tree = ast.parse(without_magics(source(cell)))
        configures = number in (1, 2) or re.search(r"RunConfig\(|recipe\(|^on_sample", source(cell))
        assert len(source(cell).splitlines()) <= (15 if configures else 8), source(cell)
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        modules |= {
            node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module.startswith("bioner_lib")
        }
    assert len(modules) <= MODULES, modules


def test_badges_point_at_the_projects_repository():
    url = tomllib.loads((home() / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    for path in NOTEBOOKS:
        text = path.read_text(encoding="utf-8")
        assert f"{url.removeprefix('https://github.com/')}/blob/main" in text
        assert f"git clone -q {url}" in text


@each_notebook
def test_outputs_are_those_of_this_code(path):
    """`make notebooks` makes them."""
    content = json.loads(path.read_text(encoding="utf-8"))
    code = [source(cell) for cell in cells(path, "code")]
    now = hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]
    assert content["metadata"]["bioner"]["code"] == now, "the code has changed: make notebooks"
    outputs = [output for cell in cells(path, "code") for output in cell["outputs"]]
    assert outputs and not [o for o in outputs if o["output_type"] == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    assert not re.search(r"(?<![\w.:/])/(home|root|work|tmp|Users|opt|mnt)/", json.dumps(outputs))
    assert path.stat().st_size <= KILOBYTES * 1024
    if "save_figure" in path.read_text(encoding="utf-8"):
        assert any("image/png" in output.get("data", {}) for output in outputs)


def pieces(path):
    return json.loads(path.read_text(encoding="utf-8"))["metadata"]["bioner"]["training_pieces"]


@each_notebook
def test_a_notebook_trains_on_few_pieces(path):
    assert sum(pieces(path).values()) <= PIECES


def test_make_workbook_trains_on_few_pieces():
    """A run of two notebooks is made once; another seed costs as much as the first."""
    from bioner_lib.sweeps.reading import read_sweep

    made, jobs = {}, [job for step in read_sweep("quick") for job in step]
    assert {job.notebook for job in jobs} == set(NOTEBOOKS)
    for job in jobs:
        seed = job.parameters.get("seed", 13)
        assert not set(job.parameters) - {"seed"}, "the defaults"
        made |= {(run_id, seed): count for run_id, count in pieces(job.notebook).items()}
    assert sum(made.values()) <= PIECES_OF_QUICK


@cache
def committed(tables):
    """The texts of committed tables (blanks between their names)."""
    return "\n".join(map(text_of_table, tables.split(" ")))


def text_of_table(table):
    from bioner_lib.throughput import ratios, read_stored

    if table == "corpora":  # tests/test_glance.py counts them again
        return (home() / "outputs" / "published" / "corpora.csv").read_text()
    if table == "throughput":
        by_arm = read_stored(published=True, what="f1").groupby("arm")["f1"]
        spread = [f"{100 * f1.mean():.1f} ± {100 * f1.std():.1f}" for _, f1 in by_arm]
        return ratios(read_stored(published=True)).round(2).to_csv() + "\n".join(spread)
    return committed_page(table)


@each_notebook
def test_numbers_about_real_corpora_come_from_committed_rows(path):
    told = source(cells(path)[-1])
    prose = re.sub(r"\[?!?\[.*?\]\(.*?\)|doi:\S+", " ", told)
    anchors = (
        (home() / "bioner_lib" / "board" / "anchors.csv").read_text().replace(",", " ").split()
    )
    known = {*anchors, *QUOTED}
    if path.stem in TABLES:
        known |= set(re.findall(r"\d+\.\d+", committed(TABLES[path.stem])))
        assert re.search(r"\]\(\.\./figures/\w+\.png\)", told), "a published picture"
    else:
        assert "still to be made" in prose
    for number in re.findall(r"\d*\.\d+", prose):
        assert number in known, number
    pairs = re.findall(r"\d+\.\d ± \d+\.\d", prose)
    assert all(pair in committed(TABLES[path.stem]) for pair in pairs), pairs
    for picture in re.findall(r"\]\(\.\./(figures/\w+\.png)\)", told):
        assert (home() / picture).exists(), picture


@each_notebook
def test_a_notebook_that_trains_takes_a_tracker(path):
    code = "\n".join(source(cell) for cell in cells(path, "code"))
    trains = re.search(r"import .*\brun\b", code) and re.search(r"[ \[(]run\(", code)
    if trains and path.stem != "00_quickstart":
        assert re.search(r"^track: str", code, re.M)
        for call in re.findall(r"[ \[(]run\([^\n]*progress=False[^\n]*", code):
            assert "track=track" in call or "dictionary" in call, call


def papermill(name, folder, outputs, *parameters):
    """The stock command, as a user types it."""
    call = [sys.executable, "-m", "papermill", str(home() / "notebooks" / f"{name}.ipynb")]
    environment = os.environ | {"BIONER_OUTPUTS": str(outputs)}
    call += [str(outputs / f"{name}.ipynb"), *parameters]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True)


TINY = ("-p", "limit", "24", "-p", "epochs", "1")
SHORT = "{options: {limit: 24, epochs: 1}}"
TWO = "sample-gene sample-disease"
ARMS = "{arms: 'mask; negative; marginal, joint head; mask, self-labelled', confidences: [0.0]}"
GENERAL = "{corpus: sample-disease, shares: [50]}"
SEARCH = "{search: {loss_weights.Gene: [0.3, 3.0], scheme: [IOBES, IOB2]}, lambdas: [0.5, 1.0]}"
RUNS = [
    ("00_quickstart", "notebooks", ("-y", SHORT)),
    ("10_explore_corpora", ".", ("-p", "corpora", "sample-gene")),
    ("20_align_words", "notebooks", ("-p", "corpus", "sample-gene")),
    ("30_single_task", ".", (*TINY, "-p", "seed", "7", "-p", "processes", "2")),
    ("40_multi_task", "notebooks", (*TINY, "-p", "corpora", TWO, "-p", "pairs", "True")),
    ("45_published_systems", ".", (*TINY, "-p", "system", "biojointbert")),
    ("50_ablations", "notebooks", (*TINY, "-y", "{factors: {sharing: [cross]}}")),
    ("52_search", ".", (*TINY, "-y", SEARCH)),
    ("55_partial_labels", ".", (*TINY, "-y", ARMS)),
    ("60_general_domain", "notebooks", ("-p", "limit", "24", "-y", GENERAL)),
    ("80_generalization", ".", (*TINY, "-p", "corpora", "sample-gene", "-p", "tested_on", TWO)),
    ("85_throughput", ".", ("-p", "limit", "16")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "folder", "parameters"), RUNS, ids=[run[0] for run in RUNS])
def test_notebooks_run_under_stock_papermill(name, folder, parameters, tmp_path, monkeypatch):
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path))
    answer = papermill(name, home() / folder, tmp_path, *parameters)
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert list((tmp_path / "figures").glob(f"{name[:2]}_*.png"))
    last = cells(tmp_path / f"{name}.ipynb", "code")[-1]["outputs"][0]["data"]["text/markdown"]
    assert len("".join(last)) > 40, "what this run shows, in words"
    if name == "30_single_task":
        assert {row["device"].get("processes") for row in rows_in(tmp_path)} == {None, 2}
    if name == "40_multi_task":
        board = papermill("90_leaderboard", home(), tmp_path)
        assert board.returncode == 0, board.stderr[-3000:]
        kinds = {path.suffix for path in tmp_path.glob("leaderboard.*")}
        assert kinds == {".csv", ".json", ".md"}


@pytest.mark.slow
def test_from_terms_to_the_ratio_curve(tmp_path):
    """70, 71, 72 and 75 hand on files to one another by name."""
    teacher = "{silver: 'mine:Gene', confidence: 0.0, options: {limit: 24, epochs: 1}}"
    # a further corpus of a gold type, so that the type is shown by corpus
    (tmp_path / "other").mkdir()
    line = {"tokens": ["aspirin", "helps"], "tags": ["S-Chemical", "O"], "doc": "x"}
    (tmp_path / "other" / "test.jsonl").write_text(json.dumps(line))
    ratio = (
        "{silver: mine-Gene-relabel, limit: 24, epochs: 1, ratios: [0.1], "
        "treatments: [mask per-type, negative], sequential: [bionerds-4], "
        f"also_test: '{tmp_path / 'other'}'}}"
    )
    steps = {
        "70_lexicons": ("-p", "lexicon", "mine"),
        "71_silver_text": ("-p", "lexicon", "mine", "-p", "name", "mine"),
        "72_second_opinion": ("-y", teacher),
        "75_silver_ratio": ("-y", ratio),
    }
    for name, parameters in steps.items():
        answer = papermill(name, home(), tmp_path, *parameters)
        assert answer.returncode == 0, answer.stderr[-3000:]
    made = {path.name for path in (tmp_path / "silver").iterdir()}
    assert made == {"mine", "mine-Gene-relabel", "sample-1-2-Chemical+Disease-labelled"}


@pytest.mark.slow
def test_the_quickstart_takes_a_folder_without_a_test_split(tmp_path):
    shutil.copytree(home() / "data" / "sample", tmp_path / "mine")
    for path in (tmp_path / "mine").glob("test*"):
        path.unlink()
    parameters = ("-p", "corpus", str(tmp_path / "mine"), "-y", SHORT)
    answer = papermill("00_quickstart", home(), tmp_path, *parameters)
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "strict dev F1" in (tmp_path / "00_quickstart.ipynb").read_text()


@pytest.mark.slow
def test_a_typo_under_stock_papermill_stops(tmp_path):
    answer = papermill("30_single_task", home(), tmp_path, "-p", "corpsu", "bc5cdr")
    assert answer.returncode != 0 and "did you mean 'corpus'" in answer.stderr
