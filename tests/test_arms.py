"""Arms among rows: which rows are one arm, and which arms stand against which."""

import pytest
from made_rows import answers, in_precision, predicted, row, runs_that_find

from bioner_lib import WorkbookError
from bioner_lib.board.comparison import (
    against_base,
    against_single,
    by_arm,
    compare_arms,
    intervals,
)
from bioner_lib.board.tables import aggregate, results

NAME = "minilm per-type single-task"


def test_the_precision_used_is_part_of_the_arm():
    """precision="auto" is one configuration, which two machines carry out in two ways."""
    precisions = ("bf16", "fp32")
    rows = [in_precision(row(seed, 0.5), used) for seed in (1, 2) for used in precisions]
    frame = results(rows)
    assert frame["arm"].nunique() == 2
    assert {name.rsplit(" ", 1)[1] for name in frame["name"]} == {"bf16", "fp32"}
    assert aggregate(frame)["runs"].max() == 2


def test_bf16_by_choice_or_by_default_is_the_same_precision():
    default = in_precision(row(1, 0.5), "bf16")
    chosen = in_precision(row(1, 0.5, precision="bf16"), "bf16")
    assert results([default, chosen])["arm"].nunique() == 1


def test_rows_by_arm_are_what_compare_takes(outputs):
    mine = runs_that_find(outputs, 30, 31)
    other = runs_that_find(outputs, 20, decoder="crf")
    elsewhere = row(1, 0.5, corpus="sample-gene") | {"name": NAME}
    arms = by_arm([*mine, *other, elsewhere])
    assert arms == {
        NAME: {"sample": mine, "sample-gene": [elsewhere]},
        f"{NAME} decoder=crf": {"sample": other},
    }
    base = arms.pop(NAME)
    assert len(compare_arms(arms, base)) == 1


@pytest.mark.parametrize("function", [by_arm, intervals])
def test_two_rows_of_one_run_are_refused(function):
    twice = [row(1, 0.5) | {"table": name} for name in ("first", "second")]
    with pytest.raises(WorkbookError, match=r"two rows of run .* \['first', 'second'\]"):
        function(twice)


@pytest.fixture
def single(outputs):
    """A single-task run of 8 epochs."""
    (made,) = runs_that_find(outputs, 20)
    assert made["config"]["epochs"] == 8
    return made


@pytest.fixture
def multi(outputs):
    """A multi-task run of 8 epochs, named "both"."""
    made = row(1, 0.5, epochs=8) | {"run_id": "both", "name": "both"}
    made["config"]["corpora"] = ["sample", "sample-gene"]
    return predicted(outputs, made, answers(30))


@pytest.fixture
def longer(outputs):
    """A single-task run of more epochs."""
    (made,) = runs_that_find(outputs, 10, epochs=9)
    return made


@pytest.fixture
def dictionary(outputs):
    (made,) = runs_that_find(outputs, 9, system="dictionary", limit=60)
    return made


def test_a_multi_task_arm_stands_against_the_single_task_arm_of_equal_budget(single, multi, longer):
    tested = against_single(by_arm([single, multi, longer]))
    assert tested["arm"].tolist() == [f"both against {NAME}"]
    assert tested["difference"].iloc[0] > 0
    assert tested["note"].tolist() == ["fewer than 3 seeds: no claim"]


def test_what_is_no_single_task_arm_of_these_corpora(single, multi, dictionary):
    part = single | {"config": single["config"] | {"corpora": ["sample@25%"]}}
    assert len(against_single(by_arm([single]))) == 0
    assert len(against_single(by_arm([dictionary, multi]))) == 0, "whatever its name"
    assert len(against_single(by_arm([part, multi]))) == 0, "of a part of the corpus"


def test_a_first_phase_on_another_corpus_makes_an_arm_multi_task(outputs, single):
    first = single["config"] | {"corpora": ["sample-gene"], "epochs": 4}
    parents = {"start_from": {"arm": "x", "name": "x", "phases": [first]}}
    later = row(1, 0.5, epochs=4, scheme="IOBES") | {"parents": parents, "name": "later"}
    predicted(outputs, later, answers(30))
    tested = against_single(by_arm([single, later]))
    assert tested["arm"].tolist() == [f"later against {NAME}"]


def test_arms_of_the_bases_corpora_stand_against_the_base(
    outputs, single, multi, longer, dictionary
):
    """Only those of the same corpora and the same budget."""
    other = runs_that_find(outputs, 30, scheme="IOB2")
    arms = by_arm([single, *other, multi, longer, dictionary])
    base = next(name for name, own in arms.items() if own["sample"] == [single])
    tested = against_base(arms, base)
    assert tested["arm"].tolist() == [f"{base} scheme=IOB2"]
    assert tested["difference"].iloc[0] > 0
    with pytest.raises(WorkbookError, match="unknown arm 'bass'"):
        against_base(arms, "bass")
