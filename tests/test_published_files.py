"""The files of a published table: jobs, rows, and counts, from which intervals are computed."""

import json

import numpy as np
import pytest
from made_rows import answers, execute_job, predicted
from published_runs import run_that_finds

from bioner_lib import WorkbookError, forget
from bioner_lib.board.comparison import compare
from bioner_lib.board.published_files import (
    Counts,
    counts_of,
    counts_text,
    jobs_of,
    published_counts,
    published_rows,
)
from bioner_lib.board.publishing import publish
from bioner_lib.home import home


def test_a_job_is_the_same_when_its_notebooks_text_changes(published):
    before = jobs_of("tiny")
    path = home() / "notebooks" / "small.ipynb"
    path.write_text(path.read_text().replace("# of the run", "# seeds the run"))
    after = jobs_of("tiny")
    assert list(before) == list(after)
    assert [job.name for job in before.values()] != [job.name for job in after.values()]


def test_intervals_are_computed_from_committed_files_alone(outputs, published, finished_sweep):
    rivals = [
        run_that_finds(outputs, right, seed, decoder="crf") for seed, right in ((1, 9), (2, 8))
    ]
    mine = finished_sweep[1:]
    at_home = compare({"sample": mine}, {"sample": rivals}, resamples=300)
    for job, made in zip(jobs_of("tiny").values(), rivals, strict=True):
        execute_job(job, *finished_sweep, made)
    publish("tiny")
    for made in (*finished_sweep, *rivals):
        forget(made["run_id"])
    rows = {made["run_id"]: made for made in published_rows("tiny")}
    sides = [{"sample": [rows[made["run_id"]] for made in side]} for side in (mine, rivals)]
    assert compare(*sides, resamples=300).equals(at_home)
    with pytest.raises(WorkbookError, match="is missing"):
        compare({"sample": mine}, {"sample": rivals})


def test_published_rows_are_counted_from_their_own_table(outputs, published, finished_sweep):
    """A run of the same name on this machine may have other predictions."""
    publish("tiny")
    mine = finished_sweep[1]
    predicted(outputs, mine, answers(5))
    (made,) = [made for made in published_rows("tiny") if made["run_id"] == mine["run_id"]]
    assert counts_of(made, "sample").of(["Gene"]).sum(0).tolist() == [36, 0, 4]
    assert counts_of(mine, "sample").of(["Gene"]).sum(0).tolist() == [5, 0, 35]


def test_counts_keep_every_number_and_type(published):
    tables = {
        "Gene": np.array([[0, 9, 1], [35, 0, 0]]),
        "Virus": np.array([[10, 0, 1], [123, 4, 5]]),
    }
    text = counts_text({"sample": Counts("abc", tables)})
    assert '"tp": "0z"' in text
    assert json.loads(text)["sample"]["types"]["Virus"]["tp"] == [10, 123]
    (published / "new" / "counts").mkdir(parents=True)
    (published / "new" / "counts" / "a-run.json").write_text(text)
    counts = published_counts("new")["a-run"]["sample"]
    assert counts.documents == "abc"
    assert all((counts.types[type] == tables[type]).all() for type in tables)
    assert counts.of(["Gene", "Virus"]).tolist() == [[10, 9, 2], [158, 4, 5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is damaged"),
        ('{"x": {"documents": "", "types": {"Gene": {"tp": "A"}}}}', "is damaged"),
        ('{"x": {}}', "is damaged"),
        ("{}", "has no counts"),
    ],
)
def test_damaged_counts_are_named(published, finished_sweep, content, message):
    publish("tiny")
    for path in (published / "tiny" / "counts").glob("*.json"):
        path.write_text(content)
    with pytest.raises(WorkbookError, match=rf"counts.*json {message}"):
        counts_of(published_rows("tiny")[0], "sample")
