import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import sweep

from bioner_lib import RunConfig, WorkbookError, check_parameters, run
from bioner_lib.__main__ import MISTAKE, main
from bioner_lib.home import folder_named_by, home
from bioner_lib.home import outputs as outputs_folder
from bioner_lib.sweeps.executors import run_sweep
from bioner_lib.sweeps.parameters import check_against_notebook
from bioner_lib.sweeps.reading import read_sweep

NOTEBOOK = home() / "notebooks" / "30_single_task.ipynb"


@pytest.mark.parametrize(
    "name", [path.stem for path in (home() / "notebooks" / "sweeps").glob("*.yaml")]
)
def test_committed_sweeps_are_sound(name):
    jobs = [job for step in read_sweep(name) for job in step]
    assert jobs
    assert len({job.name for job in jobs}) == len(jobs)


def test_grid_and_seeds(tmp_path):
    (jobs,) = read_sweep(
        sweep(
            tmp_path,
            "steps: [{notebook: 30_single_task, grid: {heads: [joint, per-type]}, seeds: [1, 2]}]",
        )
    )
    assert [(j.parameters["heads"], j.parameters["seed"]) for j in jobs] == [
        ("joint", 1),
        ("joint", 2),
        ("per-type", 1),
        ("per-type", 2),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "steps: [{notebook: 30_single_task, parameters: {corpsu: sample}}]",
            "of 30_single_task: 'corpsu'; did you mean 'corpus'",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {seed: thirteen}}]",
            "seed='thirteen' of 30_single_task is str; expected int",
        ),
        (
            "steps: [{notebook: 30_single_task, grid: {heads: []}}]",
            "expected a list that isn't empty",
        ),
        ("steps: [{notebook: 30_single_taks}]", "did you mean '30_single_task'"),
        (
            "steps: [{notebook: 30_single_task, seed: [1]}]",
            "unknown key of a step 'seed'; did you mean 'seeds'",
        ),
        ("steps: [{notebook: 30_single_task}, {notebook: 30_single_task}]", "stands twice"),
        ("steps: []", "a sweep holds a list of steps"),
        ("steps: {notebook: 30_single_task}", "a sweep holds a list of steps"),
        ("steps: [30_single_task]", "a step is '30_single_task'; expected keys"),
        ("steps: [", "not YAML"),
        ("steps: [{notebook: 30_single_task, seeds: 13}]", "seeds is 13; expected a list"),
        (
            "steps: [{notebook: 30_single_task, grid: [corpus]}]",
            r"grid is \['corpus'\]; expected names with their values",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {learning_rate: 3e-5}}]",
            "expected float; in YAML write it with a point",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {decodr: crf}}}]",
            "'decodr'; did you mean 'decoder'",
        ),
        (
            "steps: [{notebook: 30_single_task, seeds: []}]",
            r"seeds is \[\]; expected a list that isn't empty",
        ),
        ("steps: [{notebook: 30_single_task, grid: {}}]", r"grid is \{\}; expected names"),
        (
            "steps: [{notebook: 30_single_task, grid: {seed: [1]}, seeds: [2]}]",
            r"seeds \[2\] and the grid's seed \[1\]; leave one out",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {seed: 1}, seeds: [2]}]",
            "'seed' stands in parameters and varies too",
        ),
        (
            "{seeds: [1], steps: [{notebook: 30_single_task}]}",
            "'seeds' stands beside the steps; it belongs into one",
        ),
        (
            "steps: [{notebook: 30_single_task, seeds: [1], seeds: [2]}]",
            "key 'seeds' stands twice in one place",
        ),
        (
            "steps: [{notebook: 30_single_task, start_from: [a]}]",
            r"start_from is \['a'\]; expected one step's name",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: x}}]",
            "options is 'x'; expected fields of RunConfig",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {decoder: crff}}}]",
            "options of 30_.*: unknown decoder 'crff'",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {learning_rate: 3e-5}}}]",
            "options of 30_single_task: learning_rate",
        ),
        (
            "steps: [{notebook: 30_single_task, "
            "parameters: {options: {loss_weights: {1: 2, a: 3}}}}]",
            "can't be handed to a notebook",
        ),
        (
            "steps: [{notebook: 30_single_task, grid: {corpus: [sample, sampel]}}]",
            "unknown corpus 'sampel'; did you mean 'sample'",
        ),
        ("steps: [{notebook: mine.ipynb}]", "unknown notebook 'mine.ipynb'"),
        (
            "steps: [{notebook: 30_single_task, name: a}, {notebook: 40_multi_task, name: a}]",
            "two steps are called 'a'",
        ),
    ],
)
def test_mistakes_are_found_before_anything_starts(tmp_path, text, said):
    with pytest.raises(WorkbookError, match=said):
        read_sweep(sweep(tmp_path, text))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "{notebook: 60_general_domain, parameters: {general: wnut}}",
            "unknown corpus 'wnut'; did you mean 'wnut17'",
        ),
        (
            "{notebook: 75_silver_ratio, parameters: {silver: sampel}}",
            "unknown corpus 'sampel'; did you mean 'sample'",
        ),
        (
            "{notebook: 45_published_systems, parameters: {added: wnut}}",
            "unknown corpus 'wnut'; did you mean 'wnut17'",
        ),
        (
            "{notebook: 45_published_systems, parameters: {system: gerberra}}",
            "unknown system 'gerberra'; did you mean 'gerbera'",
        ),
        (
            "{notebook: 40_multi_task, parameters: {heads: per-types}}",
            "unknown heads 'per-types'; did you mean 'per-type'",
        ),
        (
            "{notebook: 40_multi_task, parameters: {sharing: cros}}",
            "unknown sharing 'cros'; did you mean 'cross'",
        ),
        (
            "{notebook: 30_single_task, parameters: {encoder: minilmm}}",
            "unknown encoder 'minilmm'; did you mean 'minilm'",
        ),
        (
            "{notebook: 30_single_task, parameters: {options: {encoder: minilmm}}}",
            "unknown encoder 'minilmm'",
        ),
        (
            "{notebook: 30_single_task, parameters: {options: {also_test: sampel}}}",
            "unknown corpus 'sampel'",
        ),
        (
            "{notebook: 30_single_task, parameters: {options: {also_test: [sample, sampel]}}}",
            "unknown corpus 'sampel'",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: 'sample:Gen'}}",
            "unknown type for corpus 'sample': 'Gen'; did you mean 'Gene'",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: 'sample-gene:Virus'}}",
            "unknown type for corpus 'sample-gene': 'Virus'",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: sample@9/2}}",
            "part '9/2' of 'sample': expected a percentage",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: sample@101%}}",
            "part '101%' of 'sample'",
        ),
        (
            "{notebook: 50_ablations, parameters: {factors: {decodr: [crf]}}}",
            "field in factors: 'decodr'; did you mean 'decoder'",
        ),
        (
            "{notebook: 50_ablations, parameters: {factors: {decoder: [crff]}}}",
            "unknown decoder 'crff'; did you mean 'crf'",
        ),
        (
            "{notebook: 50_ablations, parameters: {search: {learning_rat: [1, 2]}}}",
            "unknown RunConfig field in search: 'learning_rat'",
        ),
        (
            "{notebook: 50_ablations, parameters: {search: {1: [1]}}}",
            "unknown RunConfig field in search: 1",
        ),
        (
            "{notebook: 50_ablations, parameters: {factors: {1: [1]}}}",
            "unknown RunConfig field in factors: 1",
        ),
        (
            "{notebook: 50_ablations, parameters: {factors: {sharing: moe}}}",
            "factors sharing='moe'; expected a list of values",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: ~nobody1/x}}",
            "unknown corpus '~nobody1/x'",
        ),
        (
            "{notebook: 70_silver_labels, parameters: {denoising: dropp}}",
            "unknown denoising 'dropp'; did you mean 'drop'",
        ),
        (
            "{notebook: 70_silver_labels, parameters: {name: a, teacher: x}}, "
            "{notebook: 70_silver_labels, parameters: {name: a-drop}}",
            "make one corpus, 'a-drop'",
        ),
        (
            "{notebook: 70_silver_labels, parameters: {name: a/b}}",
            "'a/b' can't be a silver corpus's name",
        ),
        (
            "{notebook: 70_silver_labels, parameters: {text: a.txt}}, "
            "{notebook: 70_silver_labels, parameters: {text: b.txt}}",
            "two jobs of 70_silver_labels make one corpus, 'sample-silver': .* give each a name",
        ),
    ],
)
def test_mistakes_are_told_before_anything_starts(tmp_path, step, said):
    with pytest.raises(WorkbookError, match=said):
        read_sweep(sweep(tmp_path, f"steps: [{step}]"))


@pytest.mark.parametrize(
    "step",
    [
        "{notebook: 30_single_task, "
        "parameters: {corpus: 'bc5cdr@25%:Disease', encoder: biolinkbert}}",
        "{notebook: 30_single_task, parameters: {corpus: 'sample-gene:Gene', encoder: owner/name}}",
        "{notebook: 50_ablations, parameters: {factors: {loss_weights: [{Gene: 0.5}]}, "
        "search: {loss_weights.Gene: [0.5, 2.0]}}}",
        "{notebook: 70_silver_labels, parameters: {name: a}}, "
        "{notebook: 70_silver_labels, parameters: {name: b}}",
        "{notebook: 20_align_words, parameters: {max_length: 20, overlap: 16}}",
    ],
)
def test_what_is_right_passes(tmp_path, step):
    assert read_sweep(sweep(tmp_path, f"steps: [{step}]"))


@pytest.mark.parametrize(
    "text", ["steps: [{notebook: 30_single_task, parameters: {corpus: 2026-13-45}}]", "[" * 5_000]
)
def test_yaml_that_breaks_the_reader_is_named(tmp_path, text):
    with pytest.raises(WorkbookError, match=r"mine\.yaml: not YAML"):
        read_sweep(sweep(tmp_path, text))


def test_the_same_name_twice_in_only_means_either(tmp_path):
    text = (
        "steps: [{notebook: 30_single_task, "
        "grid: {heads: [joint, per-type]}, seeds: [13, 42, 1337]}]"
    )
    chosen = read_sweep(sweep(tmp_path, text), ["seed=13", "seed=42", "heads=joint"])
    assert [
        (job.parameters["seed"], job.parameters["heads"]) for jobs in chosen for job in jobs
    ] == [(13, "joint"), (42, "joint")]


def test_an_edited_notebook_is_another_job(tmp_path):
    def named(source):
        cell = nbformat.v4.new_code_cell("seed: int = 13  # one")
        cell.metadata["tags"] = ["parameters"]
        nbformat.write(
            nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell(source)]),
            tmp_path / "own.ipynb",
        )
        return read_sweep(sweep(tmp_path, "steps: [{notebook: own.ipynb}]"))[0][0].name

    assert named("print(1)") != named("print(2)")
    assert named("print(1)") == named("print(1)")


def test_an_address_stands_in_no_files_name(tmp_path):
    step = (
        "{notebook: 70_silver_labels, "
        "parameters: {name: mine, query: ataxia, email: you@example.org}}"
    )
    ((job,),) = read_sweep(sweep(tmp_path, f"steps: [{step}]"))
    assert "you" not in job.name
    assert "ataxia" in job.name
    parameters = f"{{corpus: sample, track: {'x' * 900}}}"
    text = f"steps: [{{notebook: 30_single_task, parameters: {parameters}}}]"
    long = read_sweep(sweep(tmp_path, text))
    assert len(long[0][0].name) < 120


def test_folders_are_the_same_wherever_they_are_said(tmp_path, monkeypatch):
    """A relative name means one folder, whether in the root or in notebooks/; ~ is expanded."""
    monkeypatch.setenv("BIONER_OUTPUTS", "my-runs")
    monkeypatch.setenv("BIONER_MIRROR", "~/mirror")
    places = []
    for folder in (tmp_path, home() / "notebooks"):
        monkeypatch.chdir(folder)
        places.append(outputs_folder())
    assert places == [home() / "my-runs"] * 2
    assert not places[0].exists(), "asking makes no folder"
    assert folder_named_by("BIONER_MIRROR") == Path("~/mirror").expanduser()
    monkeypatch.setenv("BIONER_OUTPUTS", "~/runs")
    assert outputs_folder() == Path("~/runs").expanduser()
    monkeypatch.setenv("BIONER_HOME", "~")
    assert home() == Path("~").expanduser().resolve()


@pytest.mark.parametrize("command", [["board"], ["status"], ["status", "quick"]])
def test_a_misspelt_folder_is_refused_and_not_made(tmp_path, capsys, command):
    assert main([*command, "--outputs", str(tmp_path / "otputs")]) == MISTAKE
    assert "otputs: no such folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_makes_nothing(tmp_path, capsys):
    assert main(["sweep", "quick", "--dry-run", "--outputs", str(tmp_path / "new")]) == 0
    assert "todo" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_only_be_read_has_its_board(outputs, capsys, monkeypatch):
    run(RunConfig(corpora="sample", system="dictionary"), progress=False)

    def refused(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refused)
    monkeypatch.setattr(Path, "mkdir", refused)
    assert main(["board"]) == 0
    said = capsys.readouterr()
    assert "| dictionary | 1 |" in said.out
    assert "Read-only file system" in said.err
    assert main(["status"]) == 0


def test_a_full_disk_and_a_reader_that_leaves_are_no_tracebacks(outputs, capsys, monkeypatch):
    run(RunConfig(corpora="sample", system="dictionary"), progress=False)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("bioner_lib.board.leaderboard.replace_text", full)
        assert main(["board"]) == MISTAKE
    assert "No space left on device; make room" in capsys.readouterr().err
    environment = os.environ | {"BIONER_OUTPUTS": str(outputs)}
    call = f"{sys.executable} -m bioner_lib board | head -0"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {call}"],
        env=environment,
        cwd=home(),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_what_steps_share_and_corpora_to_come(tmp_path):
    text = """
x-all: &all {epochs: 1}
steps:
- {notebook: 70_silver_labels, parameters: {name: mine}}
- {notebook: 30_single_task, parameters: {<<: *all, corpus: "mine@50:Gene"}}
"""
    (_, (job,)) = read_sweep(sweep(tmp_path, text))
    assert dict(job.parameters) == {"epochs": 1, "corpus": "mine@50:Gene"}
    text = (
        "x-a: &a {epochs: 1, seed: 2}\n"
        "x-b: {c: &b {<<: *a, seed: 3}}\n"
        "steps: [{notebook: 30_single_task, parameters: *b}]"
    )
    assert dict(read_sweep(sweep(tmp_path, text))[0][0].parameters) == {"epochs": 1, "seed": 3}, (
        "what it merges may be said anew"
    )
    (tmp_path / "latin.yaml").write_bytes("steps: [é]".encode("latin-1"))
    with pytest.raises(WorkbookError, match=r"latin.yaml: not UTF-8"):
        read_sweep(tmp_path / "latin.yaml")


def test_corpora_where_notebooks_find_them(tmp_path, monkeypatch):
    """Corpora are found in the outputs folder, beside the notebooks, and among earlier steps."""
    for folder in (tmp_path / "runs" / "silver" / "mine", tmp_path / "my data"):
        folder.mkdir(parents=True)
        (folder / "corpus.toml").touch()
    made = tmp_path / "runs" / "silver" / "mine"
    text = f"""
steps:
- {{notebook: 30_single_task, parameters: {{corpus: "mine@50:Gene"}}}}
- {{notebook: 30_single_task, parameters: {{corpus: "{tmp_path}/my data"}}}}
- {{notebook: 40_multi_task, parameters: {{corpora: "sample {made} ../data/sample"}}}}
- {{notebook: 70_silver_labels}}
- {{notebook: 40_multi_task, parameters: {{corpora: sample sample-silver}}}}
- {{notebook: 90_leaderboard, parameters: {{corpora: my data}}, always: true}}
"""
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path / "runs"))
    assert len(read_sweep(sweep(tmp_path, text))) == 6
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path / "elsewhere"))
    with pytest.raises(WorkbookError, match="unknown corpus 'mine'"):
        read_sweep(sweep(tmp_path, text))


def test_options_that_need_the_others(tmp_path):
    steps = [
        "{system: gerbera, options: {epochs: [2, 1]}}",
        "{system: gerbera, options: {max_pieces: 200, overlap: 100}}",
    ]
    text = "steps: [{{notebook: 45_published_systems, parameters: {}}}]"
    for parameters in steps:
        assert read_sweep(sweep(tmp_path, text.format(parameters)))
    wrong = text.format("{options: {max_length: 64, overlap: 100}}")
    with pytest.raises(WorkbookError, match="options of 45_published_systems: overlap=100"):
        read_sweep(sweep(tmp_path, wrong))


def test_only_takes_dates(tmp_path):
    step = '{{notebook: 70_silver_labels, parameters: {{name: {}, dates: "{}"}}}}'
    text = f"steps: [{step.format('a', '2000-01-01')}, {step.format('b', '2020-01-01')}]"
    assert len(read_sweep(sweep(tmp_path, text), ["dates=2000-01-01"])[0]) == 1


def test_own_notebooks_as_papermill_takes_them(tmp_path):
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


def test_unknown_sweep(tmp_path):
    with pytest.raises(
        WorkbookError, match=r"nowhere.yaml: no such file; a YAML file, or one of \['ablations'"
    ):
        read_sweep(tmp_path / "nowhere.yaml")
    with pytest.raises(WorkbookError, match="unknown sweep 'quik'; did you mean 'quick'"):
        read_sweep("quik")


def test_notebook_without_parameters(tmp_path):
    (tmp_path / "x.ipynb").write_text('{"cells": []}')
    with pytest.raises(WorkbookError, match="no cell tagged 'parameters'"):
        check_against_notebook(tmp_path / "x.ipynb", {"seed": 1})


DECLARED = (
    "seed: int = 13  # a comment\ncorpus: str = 'sample'\nrate: float = 0.1\nweights: dict = {}"
)


@pytest.mark.parametrize(
    ("injected", "said"),
    [
        ("corpsu = 'x'", "unknown parameter of this notebook: 'corpsu'; did you mean 'corpus'"),
        ("seed = '13'", "seed='13' of this notebook is str; expected int"),
        ("seed = True", "seed=True"),
    ],
)
def test_what_papermill_would_ignore_is_an_error(injected, said):
    namespace = {"In": ["", DECLARED, f"# Parameters\n{injected}\n", "%magic"]}
    exec(injected, namespace)
    with pytest.raises(WorkbookError, match=said):
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


@pytest.mark.slow
def test_sweep_executes_once_keeps_failures_and_goes_on(tiny, tmp_path, monkeypatch, capsys):
    """Two jobs of which one fails; the second call executes only what is missing."""
    outputs = tmp_path / "outputs"
    monkeypatch.setenv("BIONER_OUTPUTS", str(outputs))
    fixed = "{epochs: 1, limit: 10, options: {max_length: 128, overlap: 16}}"
    path = sweep(
        tmp_path,
        f"steps: [{{notebook: 30_single_task, parameters: {fixed}, "
        f"grid: {{encoder: ['{tiny}', no/where]}}}}]",
    )
    failed = run_sweep(read_sweep(path), workers=2)
    assert [job.parameters["encoder"] for job, _ in failed] == ["no/where"]
    assert "can't be loaded" in failed[0][1]
    held = sorted(p.name for p in (outputs / "notebooks").iterdir())
    assert len(held) == 3
    assert sum(".failed." in name for name in held) == 2
    config = RunConfig(
        corpora="sample",
        encoder=tiny,
        heads="joint",
        epochs=1,
        limit=10,
        max_length=128,
        overlap=16,
    )
    executed = outputs / "runs" / config.run_id / "notebook.ipynb"
    assert "What we learned" in executed.read_text()
    stamp = executed.stat().st_mtime_ns
    assert main(["sweep", str(path)]) == 1
    assert executed.stat().st_mtime_ns == stamp
    assert "1 notebooks failed" in capsys.readouterr().out


def test_command_line(outputs, capsys, monkeypatch):
    assert main(["board"]) == MISTAKE
    assert "no such folder" in capsys.readouterr().err
    outputs.mkdir()
    assert main(["board"]) == MISTAKE
    assert "no finished runs" in capsys.readouterr().err
    assert main(["sweep", "quik"]) == MISTAKE
    assert "did you mean 'quick'" in capsys.readouterr().err
    run(RunConfig(corpora="sample", system="dictionary"), progress=False)
    assert main(["board"]) == 0
    assert "| dictionary | 1 |" in capsys.readouterr().out
    assert json.loads((outputs / "leaderboard.json").read_text())["runs"]
    assert main(["fetch", "sample"]) == 0
    assert "train 336 sentences" in capsys.readouterr().out
    monkeypatch.setenv("BIONER_MIRROR", str(Path(outputs).parent))
    assert main(["fetch", "bc4chemdd"]) == MISTAKE
    assert "did you mean 'bc4chemd'" in capsys.readouterr().err
