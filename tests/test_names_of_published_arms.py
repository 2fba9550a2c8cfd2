"""Names that a published table's sweep gives to its arms, with x-names."""

import pytest
from published_runs import check_table

from bioner_lib import WorkbookError
from bioner_lib.board.published_files import published_rows, sweep_file
from bioner_lib.board.publishing import _fits, named_by_sweep, publish


def name_arms(names):
    """Write these x-names into the sweep, in place of those that it has."""
    steps = sweep_file("tiny").read_text().splitlines()[0]
    sweep_file("tiny").write_text(f"{steps}\nx-names: {{{names}}}")


def test_a_sweep_names_arms(published, finished_sweep):
    name_arms("other tags: {scheme: IOB2}, our tags: {scheme: IOBES}")
    publish("tiny")
    names = {made["run_id"]: made["name"] for made in published_rows("tiny")}
    in_order = [names[made["run_id"]] for made in finished_sweep]
    assert in_order == ["other tags", "our tags", "our tags"]
    check_table("tiny")


def test_one_name_may_fit_in_several_ways(published, finished_sweep):
    name_arms("ours: [{scheme: IOBES}, {scheme: IOB2, seed: 13}]")
    publish("tiny")
    assert {made["name"] for made in published_rows("tiny")} == {"ours"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("a: [{scheme: IOB2}, {schema: IOB2}]", "unknown field in x-names of tiny.yaml 'schema'"),
        (
            "a: {schema: IOB2}",
            "unknown field in x-names of tiny.yaml 'schema'; did you mean 'scheme'",
        ),
        ("a: {start_from: {epoch: 3}}", r"unknown field in x-names of tiny\.yaml 'epoch'"),
        ("a: {scheme: IOB2}, b: {epochs: 10}, c: {heads: per-type}", "the x-names .* all fit"),
        ("a: {decoder: crf}", r"no run fits the x-names \['a'\]"),
    ],
    ids=[
        "unknown field of one of several",
        "unknown field",
        "unknown field of a first phase",
        "several names for one run",
        "a name for no run",
    ],
)
def test_wrong_names_are_refused(published, finished_sweep, names, message):
    name_arms(names)
    with pytest.raises(WorkbookError, match=message):
        publish("tiny")


def test_a_sweep_names_second_phases_by_the_first(published, finished_sweep):
    name_arms("a: {start_from: {epochs: 3}}")
    first, other = ({"epochs": epochs, "start_from": ""} for epochs in (3, 4))
    second = finished_sweep[1] | {"parents": {"start_from": {"phases": [first]}}}
    third = finished_sweep[2] | {"parents": {"start_from": {"phases": [other]}}}
    found = named_by_sweep("tiny", [finished_sweep[0], second, third])
    assert [made.get("name") for made in found] == [None, "a", None]
    published_before = named_by_sweep("tiny", [second, third | {"name": "a"}])
    assert [made.get("name") for made in published_before] == ["a", None], "an old name is gone"


def test_a_row_from_before_a_field_was_added_has_its_default(finished_sweep):
    config = finished_sweep[0]["config"]
    older = {key: value for key, value in config.items() if key != "context"}
    assert _fits([older], {"context": 0, "seed": config["seed"]})
    assert not _fits([older], {"context": 32})
