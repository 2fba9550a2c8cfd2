import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from published_runs import committed_page

from bioner_lib.board.published_files import published_rows, published_tables
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
        and not (
            path.is_relative_to(home() / "data" / "sample") or path == home() / "data" / "README.md"
        )
    ]
    assert max(path.stat().st_size for path in tracked()) < 2_000_000


PUBLISHED = home() / "outputs" / "published" / "README.md"
# each room imports only rooms above it; inside a room, a file imports only earlier files
ROOMS = {
    "errors": "",
    "home": "",
    "lazy": "",
    "choices": "",
    "corpora": "schemes text reading tagged_files pubtator_files bioc_files brat_folders "
    "inline_files dataset_files readers lines splits corpus fetching registry "
    "corpus_toml split_files own loading concepts inspection names overlap publications "
    "glance facts conclusion documents",
    "config_checks": "",
    "config": "",
    "config_files": "",
    "models": "characters alignment blocks batching heads sentence_heads sharing losses hardware "
    "encoders vocabulary dropout packing network span_scores saving hub exporting importing "
    "onnx_export entities predicting tagger ensemble quantization",
    "evaluation": "scoring statistics generalization calibration",
    "silver": "terms term_sources taxonomy lexicons entrez pubmed_cache pubmed_records pubmed "
    "corpus_folders labelling labelled_gold lexicon_quality disagreement coverage denoising",
    "training": "energy progress processes building optimization embedding_rows averaging "
    "checkpoint choosing self_labels objective tracking shares loop fitting",
    "runs": "rows cards recipes provenance leaks scored evaluations calibrated systems run logs "
    "search",
    "throughput": "measuring trainers taggers trained",
    "sweeps": "parameters jobs checking reading kernels execution executors status",
    "tagging": "texts writing line_writers bioc_writers brat_writer formats origin tag_files "
    "abbreviations grounding graph",
    "board": "published_files arm_names tables measures budgets comparison matrices leaderboard "
    "table_pages publishing costs",
    "board.plots": "style corpora training crowding published_marks f1 panels intervals arms "
    "sharing silver generalization costs graph",
    "look": "highlighting records pages explorer verification text_view report disagreeing",
    "arguments": "",
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


def placed(parts):
    """The room of a module and the module's name in it, "" for a room itself."""
    depth = max(k for k in (0, 1, 2) if k == 0 or ".".join(parts[:k]) in ROOMS)
    return ".".join(parts[:depth]), "".join(parts[depth : depth + 1])


def test_packages_import_only_packages_above_them():
    order = list(ROOMS)
    root = home() / "bioner_lib"
    for path in root.rglob("*.py"):
        if path.name == "__init__.py":
            continue
        room, file = placed(path.relative_to(root).with_suffix("").parts)
        for target in imported(path):
            other, name = placed(target)
            if file and other == room:
                inside = ROOMS[room].split()
                assert inside.index(name) < inside.index(file), (path, target)
            elif other:
                assert order.index(other) < order.index(room), (path, target)


def test_no_room_gives_a_name_that_one_of_its_files_has():
    """Importing the file would replace the name by the module."""
    import bioner_lib
    from bioner_lib import board, corpora, silver
    from bioner_lib.board import plots

    for package in (bioner_lib, board, plots, corpora, silver):
        files = {path.stem for path in Path(package.__file__).parent.glob("*.py")}
        assert not files & set(package.__all__), package.__name__
        for name in package.__all__:
            assert getattr(package, name) is not None


def test_reading_results_does_not_import_torch():
    """Importing torch takes a second or two of every kernel."""
    names = [
        "board.leaderboard",
        "board.plots.f1",
        "board.plots.corpora",
        "runs.recipes",
        "sweeps.executors",
        "silver.term_sources",
        "corpora.inspection",
    ]
    code = (
        "; ".join(f"import bioner_lib.{name}" for name in names)
        + "; import sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=home(), capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_readmes_result_comes_from_committed_rows():
    text = (home() / "README.md").read_text(encoding="utf-8")
    result = text.split("## Results")[1].split("##")[0]
    tables = committed_page("multi_task") + committed_page("partial_labels")
    numbers = re.findall(r"\d+\.\d ± \d+\.\d", result)
    intervals = re.findall(r"[+-]\d+\.\d to [+-]\d+\.\d", result)
    assert len(numbers) > 4 and len(intervals) == 6
    for number in numbers + intervals:
        assert number in tables, number


def test_the_readmes_quickstart_prints_what_notebook_00_shows():
    text = (home() / "README.md").read_text(encoding="utf-8")
    printed = re.findall(r"^    (\w.+) (Gene|Disease) (0\.\d\d)$", text, re.MULTILINE)
    assert len(printed) == 2
    cells = json.loads((home() / "notebooks" / "00_quickstart.ipynb").read_text())["cells"]
    tables = [o["data"]["text/plain"] for c in cells for o in c.get("outputs", []) if "data" in o]
    (shown,) = ["".join(table) for table in tables if "entity_group" in "".join(table)]
    for name, type, score in printed:
        assert re.search(rf"{name}\s+{type}\s+{score}", shown)


def test_a_stock_head_in_95_gives_the_scores_of_00():
    scores = {}
    for name in ("00_quickstart", "95_tag_text"):
        cells = json.loads((home() / "notebooks" / f"{name}.ipynb").read_text())["cells"]
        text = "".join(
            "".join(output["data"].get("text/plain", ""))
            for cell in cells
            for output in cell.get("outputs", [])
            if "data" in output
        )
        # 95 shows calibrated ones first, where 80 was executed before
        scores[name] = re.findall(r"opa1 +Gene +(0\.\d\d)", text, re.IGNORECASE)[-1]
    assert len(set(scores.values())) == 1, scores


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (home() / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 1_200
    pages = ("README.md", "data/README.md", "notebooks/sweeps/README.md")
    for name in (*pages, "outputs/published/README.md"):
        path = home() / name
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if not link.startswith("http") and "." in link:
                assert (path.parent / link).exists(), (name, link)


def test_the_readme_lists_every_notebook_with_its_question():
    text = (home() / "README.md").read_text(encoding="utf-8")
    for path in (home() / "notebooks").glob("*.ipynb"):
        title = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        question = re.search(r"# \d\d · (.*)", title)[1]
        assert f"| [{path.stem}](notebooks/{path.name}) | {question} |" in text


def test_the_corpora_page_lists_every_registered_corpus():
    from bioner_lib import CORPORA

    text = (home() / "data" / "README.md").read_text(encoding="utf-8")
    for name, entry in CORPORA.items():
        assert f"`{name}`" in text
        if "repository" in entry:
            assert entry["licence"] in text
            assert entry["cite"] in text


def test_scores_on_the_page_of_all_tables_stand_on_the_tables_pages():
    pages = "".join(committed_page(table) for table in published_tables())
    told = PUBLISHED.read_text(encoding="utf-8")
    # what tests/test_measures.py counts again; and hours
    told = re.sub(r"53\.1 to 73\.0 %|but 19\.1 %|\d\.\d hours", "", told)
    for number in re.findall(r"\d+\.\d+ ± \d+\.\d+|\d+\.\d+", told):
        assert number in pages, number


def test_published_rows_are_whole():
    for row in (row for table in published_tables() for row in published_rows(table)):
        path = home() / "outputs" / "published" / row["table"] / f"{row['run_id']}.json"
        assert path.exists()
        assert row["config"]["limit"] == 0
        for about in row["data"].values():
            # tags can't hold all of nlm-gene's mentions; they stay misses in its score
            is_counted = "official mentions of test are scored" in about.get("note", "")
            assert about["official"] or is_counted or "test" not in about["sentences"]
        assert row["versions"]
        assert row["device"]
