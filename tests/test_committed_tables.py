"""The committed tables are what their sweeps make, and their pages say what they hold."""

import pytest
from published_runs import check_table, committed_page

from bioner_lib.board.published_files import (
    published_rows,
    published_tables,
    sweep_file,
    table_folder,
)
from bioner_lib.board.publishing import publish
from bioner_lib.board.table_pages import page

TABLES = published_tables()


@pytest.mark.parametrize("table", TABLES)
def test_a_committed_table_is_what_its_sweep_makes(table):
    check_table(table)


@pytest.mark.parametrize("table", TABLES)
def test_a_committed_page_is_what_rows_counts_and_measures_say(table):
    assert committed_page(table) == page(table), f"publish {table} again"


def test_committed_rows_are_found():
    found = {path.stem for path in table_folder("partial_labels").glob("*.json")} - {"jobs"}
    assert {row["run_id"] for row in published_rows("partial_labels")} == found
    assert {"partial_labels", "silver_text"} <= set(published_tables())
    assert "throughput" not in published_tables(), "it holds no rows of runs"


def test_a_table_that_its_sweep_no_longer_makes_is_noticed(published, finished_sweep):
    publish("tiny")
    sweep_file("tiny").write_text("steps: [{notebook: small, seeds: [1, 3]}]")
    with pytest.raises(AssertionError, match="other jobs"):
        check_table("tiny")


def test_a_table_that_lacks_a_row_is_noticed(published, finished_sweep):
    publish("tiny")
    (published / "tiny" / f"{finished_sweep[1]['run_id']}.json").unlink()
    with pytest.raises(AssertionError):
        check_table("tiny")
