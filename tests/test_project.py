import ast
import json
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from bioner_lib.board.leaderboard import by_type, markdown
from bioner_lib.board.publishing import published_rows
from bioner_lib.board.results import aggregate, results
from bioner_lib.home import home

PROJECT = tomllib.loads((home() / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def tracked():
    answer = subprocess.run(["git", "ls-files"], cwd=home(), capture_output=True, text=True)
    if answer.returncode:
        pytest.skip("not a git checkout")
    return [home() / name for name in answer.stdout.splitlines() if (home() / name).is_file()]


def name_of(requirement):
    return re.split(r"[<>=!~\[; ]", requirement)[0].lower().replace("_", "-")


def test_constraints_pin_every_dependency():
    pins = {
        name_of(line): line
        for line in (home() / "constraints.txt").read_text().splitlines()
        if line and line[0] != "#"
    }
    assert all(re.fullmatch(r"[\w.-]+==[\w.!-]+", pin) for pin in pins.values())
    assert f"{PROJECT['name']}[lab]" in EXTRAS["dev"], "make workbook installs dev, and lab with it"
    outside = [
        line
        for line in PROJECT["dependencies"] + EXTRAS["lab"] + EXTRAS["dev"]
        if name_of(line) != PROJECT["name"]
    ]
    for wanted in outside:
        pin = pins[name_of(wanted)].split("==")[1]
        assert Requirement(wanted).specifier.contains(pin), f"{wanted} against {pin}"


def test_conda_environment_agrees():
    environment = yaml.safe_load((home() / "environment.yml").read_text())
    plain = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    assert f"python{PROJECT['requires-python']}" in [line.replace(" ", "") for line in plain]
    assert "pip" in plain
    assert pip == ["-c constraints.txt", "-e .[dev]"]


def test_data_files_travel_with_the_package():
    patterns = tomllib.loads((home() / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]["bioner_lib"]
    packaged = {path for pattern in patterns for path in (home() / "bioner_lib").glob(pattern)}
    assert packaged == {
        p
        for p in (home() / "bioner_lib").rglob("*")
        if p.is_file() and p.suffix not in (".py", ".pyc")
    }


def test_the_design_cards_packages_are_there():
    required = {name_of(line) for line in PROJECT["dependencies"] + EXTRAS["lab"]}
    assert {
        "jupyterlab",
        "papermill",
        "torch",
        "transformers",
        "datasets",
        "seqeval",
        "matplotlib",
        "seaborn",
        "ipywidgets",
    } <= required


def test_nothing_names_a_machine_or_a_registry():
    for path in tracked():
        if (
            path.suffix in {".py", ".ipynb", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ""}
            and path.name != "test_project.py"
        ):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w.:/])/(home|root|work|Users|opt|mnt)/", text), path
            assert not re.search(r"pypi\.org|pythonhosted|--index-url|anaconda\.org", text), path


def test_no_downloaded_corpus_is_committed():
    assert not [
        path
        for path in tracked()
        if path.is_relative_to(home() / "data")
        and not path.is_relative_to(home() / "data" / "sample")
    ]
    assert max(path.stat().st_size for path in tracked()) < 2_000_000


# each package imports only packages above it; inside a package, a file imports only earlier files
ROOMS = {
    "errors": "",
    "home": "",
    "lazy": "",
    "choices": "",
    "corpora": "schemes text reading tagged_files annotated_files inline_files readers lines "
    "corpus fetching registry own loading inspection",
    "config": "",
    "models": "alignment batching heads sharing losses encoders tagger",
    "evaluation": "scoring statistics",
    "silver": "terms taxonomy lexicons pubmed labelling quality denoising",
    "training": "energy progress processes building optimization checkpoint self_labels loop",
    "runs": "rows recipes provenance leaks run search",
    "sweeps": "parameters jobs checking reading kernels execution executors status",
    "board": "results comparison leaderboard publishing plots corpus_plots",
    "explorer": "",
    "__main__": "",
}


def imported(path):
    """The modules of the library that a file imports, as paths from the library's root."""
    room = list(path.relative_to(home() / "bioner_lib").parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = room[: len(room) + 1 - node.level]
            whole = [*base, *(node.module or "").split(".")] if node.module else base
            is_room = (home() / "bioner_lib").joinpath(*whole).is_dir()
            yield from ([*whole, name.name] for name in node.names) if is_room else [whole]


def test_packages_import_only_packages_above_them():
    order = list(ROOMS)
    root = home() / "bioner_lib"
    for path in root.rglob("*.py"):
        if path.name == "__init__.py":
            continue
        room, *file = path.relative_to(root).with_suffix("").parts
        for target in imported(path):
            if file and target[0] == room:
                inside = ROOMS[room].split()
                assert inside.index(target[1]) < inside.index(file[0]), (path, target)
            elif target:
                assert order.index(target[0]) < order.index(room), (path, target)


def test_reading_results_does_not_import_torch():
    """Importing torch takes a second or two of every kernel."""
    names = [
        "board.leaderboard",
        "board.plots",
        "board.corpus_plots",
        "runs.recipes",
        "sweeps.executors",
        "silver.terms",
        "corpora.inspection",
    ]
    code = (
        "; ".join(f"import bioner_lib.{name}" for name in names)
        + "; import sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=home(), capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_readme_numbers_come_from_committed_rows():
    readme = (home() / "README.md").read_text(encoding="utf-8")
    rows = published_rows()
    assert rows, "outputs/published holds no rows"
    for line in markdown(aggregate(results(rows))).splitlines():
        assert line in readme, f"the README's table lacks or misquotes: {line}"


def test_readmes_time_of_a_run_comes_from_committed_rows():
    rows = [
        row
        for row in published_rows()
        if row["config"]["corpora"] == ["ncbi-disease"] and row["config"]["heads"] == "joint"
    ]
    rows = [row for row in rows if row["config"]["system"] == "tagger"]
    assert {(row["device"]["threads"], row["device"]["precision"]) for row in rows} == {(1, "bf16")}
    minutes = round(sum(row["cost"]["seconds"] for row in rows) / len(rows) / 60)
    assert f"bf16,\none CPU thread a run ({minutes} minutes a run on NCBI-disease" in (
        home() / "README.md"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("table", "types"),
    [("halves", ["Chemical", "Disease"]), ("silver", ["Chemical", "Disease", "Gene", "Virus"])],
)
def test_readme_tables_come_from_committed_rows(table, types):
    readme = (home() / "README.md").read_text(encoding="utf-8")
    for line in by_type(results(published_rows(table)), types).splitlines():
        assert line in readme, f"the README's table lacks or misquotes: {line}"


def test_published_rows_are_whole():
    for path in (home() / "outputs" / "published").rglob("*.json"):
        row = json.loads(path.read_text())
        assert path.stem == row["run_id"]
        assert all(
            about["official"] or "test" not in about["sentences"] for about in row["data"].values()
        )
        assert row["versions"]
        assert row["device"]
