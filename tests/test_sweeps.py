"""Sweep files: grids, seeds, shared parameters, names of jobs."""

import nbformat
import pytest
from small_sweeps import sweep

from bioner_lib import WorkbookError
from bioner_lib.__main__ import main
from bioner_lib.home import home
from bioner_lib.sweeps import executors
from bioner_lib.sweeps.executors import run_sweep
from bioner_lib.sweeps.reading import read_sweep


@pytest.mark.parametrize(
    "name",
    [
        path.relative_to(home() / "notebooks" / "sweeps").with_suffix("").as_posix()
        for path in (home() / "notebooks" / "sweeps").rglob("*.yaml")
    ],
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
    ("limit", "workers", "threads"),
    [("1", 1, "1"), ("4", 2, "3"), ("2,1", 1, "2"), ("0", 1, "6"), ("many", 3, "2")],
)
def test_kernels_take_no_more_threads_than_omp_num_threads(monkeypatch, limit, workers, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    monkeypatch.setattr(executors, "cores", lambda: 6)
    taken = [share["OMP_NUM_THREADS"] for share in executors._shares(workers)]
    assert taken == [threads] * workers


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


def test_an_email_address_is_in_no_file_name(tmp_path):
    step = (
        "{notebook: 71_silver_text, "
        "parameters: {name: mine, query: ataxia, email: you@example.org}}"
    )
    ((job,),) = read_sweep(sweep(tmp_path, f"steps: [{step}]"))
    assert "you" not in job.name
    assert "ataxia" in job.name
    parameters = f"{{corpus: sample, track: {'x' * 900}}}"
    text = f"steps: [{{notebook: 30_single_task, parameters: {parameters}}}]"
    long = read_sweep(sweep(tmp_path, text))
    assert len(long[0][0].name) < 120


def test_a_list_of_notebooks_is_one_step(tmp_path):
    text = """
steps:
- - {notebook: 30_single_task, name: first, seeds: [1, 2], parameters: {corpus: sample}}
  - {notebook: 10_explore_corpora}
- {notebook: 20_align_words}
"""
    first, second = read_sweep(sweep(tmp_path, text))
    assert [job.notebook.stem[:2] for job in first] == ["30", "30", "10"]
    assert [job.notebook.stem[:2] for job in second] == ["20"]
    start = (
        "  - {notebook: 30_single_task, start_from: first, seeds: [1, 2], parameters: {epochs: 1}}"
    )
    with pytest.raises(WorkbookError, match="'first' is no earlier step's name"):
        read_sweep(sweep(tmp_path, text.replace("  - {notebook: 10_explore_corpora}", start)))


def test_yaml_anchors_and_corpora_of_earlier_steps(tmp_path):
    text = """
x-all: &all {epochs: 1}
steps:
- {notebook: 71_silver_text, parameters: {name: mine}}
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
        "a merged value may be overridden"
    )
    (tmp_path / "latin.yaml").write_bytes("steps: [é]".encode("latin-1"))
    with pytest.raises(WorkbookError, match=r"latin.yaml: not UTF-8"):
        read_sweep(tmp_path / "latin.yaml")


def test_only_takes_dates(tmp_path):
    step = '{{notebook: 71_silver_text, parameters: {{name: {}, dates: "{}"}}}}'
    text = f"steps: [{step.format('a', '2000-01-01')}, {step.format('b', '2020-01-01')}]"
    assert len(read_sweep(sweep(tmp_path, text), ["dates=2000-01-01"])[0]) == 1
    with pytest.raises(WorkbookError, match="no job matches"):  # @x is no YAML
        read_sweep(sweep(tmp_path, text), ["name=@x"])


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
    notebooks = sorted(p.name for p in (outputs / "notebooks").iterdir())
    assert len(notebooks) == 3
    assert sum(".failed." in name for name in notebooks) == 2
    [executed] = outputs.glob("runs/sample-tiny*/notebook.ipynb")
    assert "What this run shows" in executed.read_text()
    stamp = executed.stat().st_mtime_ns
    assert main(["sweep", str(path)]) == 1
    assert executed.stat().st_mtime_ns == stamp
    assert "1 notebooks failed" in capsys.readouterr().out
