"""A sweep doesn't repeat finished runs: it says which of them a changed corpus has outdated."""

import json

import pytest
from small_corpora import own_corpus
from small_sweeps import sweep

from bioner_lib import RunConfig, load_corpus, run
from bioner_lib.__main__ import main
from bioner_lib.runs.provenance import changed_corpora


@pytest.fixture
def mine(tmp_path):
    """A corpus of one's own, as a folder."""
    return own_corpus(tmp_path / "mine", load_corpus("sample-gene").train[:30], suffix="x")


def drop_a_sentence(folder):
    path = folder / "train.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))


def test_only_runs_of_a_changed_corpus_are_named(mine, tmp_path, outputs):
    config = {"system": "dictionary", "also_test": "sample-gene"}
    own = run(RunConfig(corpora=mine, **config), progress=False)["run_id"]
    other = run(RunConfig(corpora="sample-gene", system="dictionary"), progress=False)["run_id"]
    assert changed_corpora([own, other, "gone"]) == {}
    drop_a_sentence(tmp_path / "mine")
    assert changed_corpora([own, other, "gone"]) == {mine: [own]}
    (tmp_path / "mine").rename(tmp_path / "away")
    assert changed_corpora([own]) == {}


def test_a_row_of_another_version_is_passed_over(mine, tmp_path, outputs):
    row = run(RunConfig(corpora=mine, also_test="sample-gene", system="dictionary"), progress=False)
    row["config"]["gone_field"] = 1
    (outputs / "runs" / row["run_id"] / "run.json").write_text(json.dumps(row))
    drop_a_sentence(tmp_path / "mine")
    assert changed_corpora([row["run_id"]]) == {}


@pytest.mark.slow
def test_a_sweep_tells_which_runs_are_older_than_their_corpus(mine, sweep_folder, capfd):
    options = json.dumps({"corpora": mine, "also_test": "sample-gene", "system": "dictionary"})
    step = f"{{notebook: small.ipynb, parameters: {{options: {options}}}}}"
    path = sweep(sweep_folder, f"steps:\n- {step}\n")
    assert main(["sweep", str(path)]) == 0
    assert "has changed since" not in capfd.readouterr().err
    drop_a_sentence(sweep_folder / "mine")
    assert main(["sweep", str(path)]) == 0
    told = capfd.readouterr().err
    assert f"{mine} has changed since these runs were made" in told
    assert "delete it: from bioner_lib import forget; forget(" in told
