"""Publishing rows: copies of the runs' own, found by table."""

import json

import pytest
from conftest import row, save_row

from bioner_lib import RunConfig, WorkbookError, run
from bioner_lib.board.publishing import publish, published_rows
from bioner_lib.board.tables import (
    results,
)
from bioner_lib.home import home


def test_publish_copies_rows(outputs, published):
    config = RunConfig(corpora="sample", system="dictionary")
    run(config, progress=False)
    (named_path,) = publish([config.run_id], table="halves", name="baseline")
    assert set(results([json.loads(named_path.read_text())])["name"]) == {"baseline"}
    assert named_path.parent.name == "halves"
    (path,) = publish([config.run_id])
    assert json.loads(path.read_text())["run_id"] == config.run_id
    with pytest.raises(WorkbookError, match="no finished run 'nothing'"):
        publish(["nothing"])


def test_published_rows_are_the_runs_own(outputs, published):
    made = row(1, 0.5)
    save_row(outputs, made)
    (path,) = publish([made["run_id"]])
    assert path.parent == published
    assert json.loads(path.read_text()) == made


def test_committed_rows_are_found_and_new_ones_stand_beside_them(outputs, tmp_path, monkeypatch):
    assert {row["run_id"] for row in published_rows("halves")} == {
        p.stem for p in (home() / "outputs" / "published" / "halves").glob("*.json")
    }
    made = row(1, 0.5)
    save_row(outputs, made)
    monkeypatch.setattr("bioner_lib.board.publishing.home", lambda: tmp_path / "root")
    (path,) = publish([made["run_id"]], table="new")
    assert path == tmp_path / "root" / "outputs" / "published" / "new" / f"{made['run_id']}.json"
    assert published_rows("new") == [made]
