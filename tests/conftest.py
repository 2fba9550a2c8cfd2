"""What several test files share: the environment, tiny corpora and runs, rows, sweeps."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from hypothesis import settings
from tiny_encoders import make_encoder

# their asserts show values too, as those of test files do
pytest.register_assert_rewrite("published_runs")
# tiny models are faster on one thread, and kernels and child processes inherit all of this
os.environ.update(
    {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
    }
)
os.environ.pop("BIONER_OUTPUTS", None)
# no deadline: how long an example takes depends on how busy the machine is
settings.register_profile("workbook", deadline=None)
settings.load_profile("workbook")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> str:
    """The folder of a tiny BERT."""
    return str(make_encoder("bert", tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def outputs(tmp_path, monkeypatch) -> Path:
    """An outputs folder of the test's own."""
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


@contextmanager
def environment(**variables):
    """Environment variables that last as long as the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, str(value))
        yield


def run_in(folder, config, **options) -> dict:
    """A run in an outputs folder of its own, without progress bars."""
    from bioner_lib import run

    with environment(BIONER_OUTPUTS=folder):
        return run(config, **{"progress": False} | options)


def rows_in(folder) -> list[dict]:
    """The rows of an outputs folder."""
    from bioner_lib import read_rows

    with environment(BIONER_OUTPUTS=folder):
        return read_rows()


def load_from(folder, name):
    """A registered corpus from a mirror folder."""
    from bioner_lib import load_corpus

    with environment(BIONER_MIRROR=folder):
        return load_corpus(name)


@pytest.fixture(scope="session")
def mirror() -> str:
    folder = os.environ.get("BIONER_MIRROR")
    if not folder:
        pytest.skip("BIONER_MIRROR names no folder with the real corpora")
    return folder


@pytest.fixture(autouse=True)
def close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def small(tiny, corpora="sample", **changes):
    """The configuration of a run that takes a second."""
    from bioner_lib import RunConfig

    options = {
        "epochs": 1,
        "learning_rate": 3e-3,
        "limit": 40,
        "max_length": 128,
        "overlap": 16,
        "batch_size": 8,
        "precision": "fp32",
    }
    return RunConfig(**{"corpora": corpora, "encoder": str(tiny)} | options | changes)


def quiet(config) -> dict:
    """A run without progress bars."""
    from bioner_lib import run

    return run(config, progress=False)


def trained(tiny, corpora="sample", **changes):
    """The configuration of a small run that has finished."""
    config = small(tiny, corpora, **changes)
    quiet(config)
    return config


def tagger_for(folder, corpora, **options):
    """A tagger with a tiny encoder, before training."""
    import torch

    from bioner_lib import MultiTaskTagger
    from bioner_lib.models.encoders import load_encoder
    from bioner_lib.models.heads import plan_heads

    torch.manual_seed(0)
    encoder, tokenizer = load_encoder(folder)
    return MultiTaskTagger(
        encoder, tokenizer, plan_heads("per-type", corpora), max_length=64, overlap=8, **options
    )


def row(seed, f1, corpus="sample", support=20, official=True, **config):
    """A row as a run leaves it, with the measures that a test needs."""
    from bioner_lib import RunConfig

    settings = RunConfig(corpora=corpus, seed=seed, **config)
    measures = {
        "precision": f1,
        "recall": f1,
        "f1": f1,
        "support": support,
        "tp": 1,
        "fp": 1,
        "fn": 1,
    }
    types = {"Gene": measures, "micro": measures, "macro": measures}
    return {
        "run_id": settings.run_id,
        "config": settings.as_dict(),
        "history": [{"dev": {"mean": f1 - 0.1}}, {"dev": {"mean": f1}}],
        "scores": {corpus: {"test": {"types": types, "errors": {"boundary": 2}}}},
        "data": {corpus: {"official": official, "types": ["Gene"]}},
    }


def in_precision(made, precision):
    """The same row, computed in this precision."""
    return made | {"run_id": f"{made['run_id']}-{precision}", "device": {"precision": precision}}


def without_times(row):
    """A row without what differs between two executions of one run: times, memory, energy."""
    history = [
        {key: value for key, value in record.items() if "seconds" not in key and key != "joules"}
        for record in row["history"]
    ]
    return {
        "scores": row["scores"],
        "history": history,
        "config": row["config"],
        "data": row["data"],
    }


def save_row(outputs, made):
    """Leave a finished run on disk; gives its configuration."""
    from bioner_lib import RunConfig

    folder = outputs / "runs" / made["run_id"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(made))
    return RunConfig(**made["config"])


@pytest.fixture
def published(tmp_path, outputs, monkeypatch) -> Path:
    """The folder of committed tables, in a workbook of the test's own.

    Its sweep published/tiny executes small.ipynb for the seeds 1 and 2.
    """
    root = tmp_path / "root"
    (root / "notebooks" / "sweeps" / "published").mkdir(parents=True)
    cells = ["seed: int = 13  # of the run\noptions: dict = {}  # fields of RunConfig"]
    write_notebook(root / "notebooks" / "small.ipynb", cells)
    sweep = root / "notebooks" / "sweeps" / "published" / "tiny.yaml"
    sweep.write_text("steps: [{notebook: small, seeds: [1, 2]}]")
    monkeypatch.setenv("BIONER_HOME", str(root))
    return root / "outputs" / "published"


@pytest.fixture
def finished_sweep(outputs, published, monkeypatch) -> list[dict]:
    """The finished sweep published/tiny: one run that both jobs read, then a run per job.

    Its predictions are of no corpus; `tests/test_measures.py` measures real ones.
    """
    from published_runs import run_that_finds

    from bioner_lib.board import publishing
    from bioner_lib.board.published_files import jobs_of

    monkeypatch.setattr(publishing, "measures_text", lambda row: "{}")
    monkeypatch.setattr(publishing, "page", lambda table, folder: "")
    shared = run_that_finds(outputs, 20, seed=13, scheme="IOB2")
    rows = [run_that_finds(outputs, right, seed) for seed, right in ((1, 36), (2, 38))]
    for job, made in zip(jobs_of("tiny").values(), rows, strict=True):
        execute_job(job, shared, made)
    return [shared, *rows]


def predicted(outputs, made, predictions, role="test") -> dict:
    """Leave a row and its predictions where a run would."""
    folder = outputs / "runs" / made["run_id"]
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(made))
    (folder / "predictions" / f"sample.{role}.jsonl").write_text(
        "\n".join(map(json.dumps, predictions))
    )
    return made


def execute_job(job, *runs):
    """Leave a job's executed notebook, as a sweep would."""
    from bioner_lib.sweeps.execution import executed

    executed(job.name).parent.mkdir(parents=True, exist_ok=True)
    names = [made["run_id"] for made in runs]
    text = json.dumps({"metadata": {"bioner": {"runs": names, "made": []}}, "cells": []})
    executed(job.name).write_text(text)


def answers(right, of=40) -> list[dict]:
    """`of` documents with one gene each; the first `right` of them are found."""
    return [
        {"doc": f"d{i}", "gold": [[0, 1, "Gene"]], "predicted": [[0, 1, "Gene", 0.9]] * (i < right)}
        for i in range(of)
    ]


TWO_SENTENCES = "TP53\tB-Gene\n\nx\tO\n"


def f1_of(right, of=40) -> float:
    """The F1 of `answers(right, of)`, which hold no wrong mention."""
    return 2 * right / (right + of)


def runs_that_find(outputs, *rights, **config) -> list[dict]:
    """Finished runs of one arm, with the seeds 1, 2 and so on; each finds so many of 40 genes."""
    return [
        predicted(outputs, row(seed, 0.5, **config), answers(right))
        for seed, right in enumerate(rights, 1)
    ]


def write(folder, name, text) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def brat(folder, annotations, text="TP53 and\nBRCA1 bind.", name="a") -> Path:
    """Add a document to a brat folder: its text and its annotations."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, f"{name}.txt", text)
    write(folder, f"{name}.ann", annotations)
    return folder


def spans_of(reading) -> list[tuple[str, str]]:
    """The mentions of a reading: their words and their type."""
    return [(" ".join(s.tokens[a:b]), name) for s in reading.sentences for a, b, name in s.spans]


def own_corpus(folder, sentences, types=(), silver=False, suffix="", first_without=False) -> str:
    """A folder with a train and a dev file; `types` are declared in its corpus.toml.

    `suffix` is appended to the documents' names; `first_without` leaves out the first
    sentence's mentions.
    """
    folder.mkdir(exist_ok=True)
    for role, part in (("train", sentences[:-5]), ("dev", sentences[-5:])):
        records = [{"tokens": s.tokens, "tags": s.tags, "doc": f"{s.doc}{suffix}"} for s in part]
        if first_without:
            records[0]["tags"] = ["O"] * len(records[0]["tags"])
        (folder / f"{role}.jsonl").write_text("\n".join(map(json.dumps, records)))
    if types:
        declared = f"types = {json.dumps(types)}\nsilver = {str(silver).lower()}\n"
        (folder / "corpus.toml").write_text(declared)
    return str(folder)


def small_registry(tmp_path, monkeypatch, text="TP53\tB-GENE\nx\tO\n", **changes) -> dict:
    """A registered corpus, `toy`, in a mirror folder."""
    from bioner_lib import CORPORA
    from bioner_lib.corpora.corpus import Corpus

    (tmp_path / "toy").mkdir(exist_ok=True)
    (tmp_path / "toy" / "train.tsv").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    entry = {
        "reader": "conll",
        "repository": "a/b",
        "commit": "c",
        "labels": {"GENE": "Gene"},
        "licence": "CC0",
        "cite": "me",
        "files": {"train": {"path": "data/train.tsv", "sha256": digest}},
        "counts": {"train": {"sentences": 1, "Gene": 1}},
        **changes,
    }
    monkeypatch.setitem(CORPORA, "toy", entry)
    monkeypatch.setattr(Corpus, "carve_dev", lambda self: self)
    return entry


@pytest.fixture
def ncbi(monkeypatch):
    """The class of a running `EntrezServer`, which answers all requests to NCBI."""
    from entrez_server import serving

    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def lexicon(tmp_path) -> Path:
    from bioner_lib.silver.lexicons import save_entries

    entries = [
        (["OPA1"], "Gene", "HGNC:8140", True),
        (["optic", "atrophy"], "Disease", "MESH:D009896", False),
        (["SARS", "-", "CoV", "-", "2"], "Virus", "NCBITaxon:2697049", True),
    ]
    (tmp_path / "source.tsv").write_text("x")
    save_entries(entries, tmp_path / "lexicon.gz", [tmp_path / "source.tsv"])
    return tmp_path / "lexicon.gz"


def silver_corpus(tmp_path, lexicon, docs) -> str:
    """A silver corpus, `mine`, with one sentence per document."""
    from bioner_lib.silver.labelling import label

    sentences = [(doc, f"OPA1 and optic atrophy in {doc} .") for doc in docs]
    label(sentences, lexicon, tmp_path / "mine")
    return str(tmp_path / "mine")


def text_of(folder) -> Path:
    """The text file of a silver corpus."""
    (path,) = folder.glob("train-*.jsonl")
    return path


def write_notebook(path, cells) -> None:
    """A notebook of code cells; the first holds its parameters."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "python3",
        "language": "python",
    }
    nbformat.write(notebook, path)


def sweep(folder, text) -> Path:
    """A sweep file."""
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def sweep_folder(tmp_path, monkeypatch) -> Path:
    """A folder with small.ipynb, which trains a tiny tagger, and outputs of its own."""
    cells = [
        "seed: int = 13  # of the run\n"
        "broken: bool = False  # fail?\n"
        "options: dict = {}  # fields of RunConfig",
        "from bioner_lib import RunConfig, run\nif broken:\n    raise ValueError('as asked')",
        "row = run(RunConfig(seed=seed, **options), progress=True)",
    ]
    write_notebook(tmp_path / "small.ipynb", cells)
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path


def training_sweep(folder, tiny, more="") -> Path:
    """A sweep of one step, `first`, that executes small.ipynb."""
    fields = {
        "corpora": "sample",
        "encoder": str(tiny),
        "heads": "joint",
        "epochs": 2,
        "limit": 24,
        "max_length": 128,
        "overlap": 16,
    }
    parameters = f"{{options: {json.dumps(fields)}}}"
    step = f"{{notebook: small.ipynb, name: first, parameters: {parameters}, {more}}}"
    return sweep(folder, f"steps:\n- {step}\n")


def add_second_step(path) -> None:
    """Append a copy of a training sweep's step that starts from `first` and takes one epoch."""
    text = path.read_text()
    second = text.splitlines()[1].replace("name: first", "start_from: first")
    path.write_text(text + second.replace('"epochs": 2', '"epochs": 1') + "\n")


def results_in(folder) -> dict[str, dict]:
    """What doesn't depend on time in the rows of a sweep folder, by run."""
    return {
        row["run_id"]: {key: row[key] for key in ("config", "scores", "data", "repairs")}
        for row in rows_in(folder / "outputs")
    }


def start_sweep(path, *more) -> subprocess.Popen:
    command = [sys.executable, "-m", "bioner_lib", "sweep", str(path), "--workers", "2", *more]

    def hear_interrupts():
        # a shell's background jobs ignore SIGINT, and their children inherit that
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )


def descendants(pid) -> list[int]:
    """The processes that a process started, and those that these started."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
    numbers = [int(number) for number in table.split()]
    children = list(zip(numbers[::2], numbers[1::2], strict=True))
    found = [pid]
    for one in found:
        found += [child for child, parent in children if parent == one]
    return found[1:]
