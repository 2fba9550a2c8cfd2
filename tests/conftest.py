"""What all tests share: the environment and the fixtures.

Helpers that are no fixtures lie beside it, by subject: small_runs, made_rows, small_corpora,
hand_corpora, small_sweeps, published_runs, entrez_server, tiny_encoders. Those that are imported
here import bioner_lib inside their functions only, after the environment has been set.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from made_rows import execute_job
from small_sweeps import write_notebook
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
