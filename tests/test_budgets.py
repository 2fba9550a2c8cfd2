"""Only arms of one budget are compared: epochs, batches, precision, encoders' learning rates."""

import pytest
from made_rows import in_precision, row

from bioner_lib import WorkbookError
from bioner_lib.board.budgets import check_budgets, equal_budgets

ENSEMBLE = {"system": "ensemble", "seeds": [1, 2], "batch_size": 4}


@pytest.mark.parametrize(
    "others",
    [
        [row(2, 0.6)],
        [row(1, 0.6, scheme="IOB2", heads="joint")],
        [row(1, 0.1, system="dictionary", epochs=3)],
        [row(1, 0.6, encoder="biolinkbert")],
        [row(1, 0.5, encoder="bert")],
        [row(1, 0.6, chosen_on="sample")],
        [row(1, 0.6, epoch_size=400, corpus="sample-gene", epochs=8)],
    ],
    ids=[
        "another seed",
        "another design",
        "a dictionary, which has no epochs",
        "an encoder with its own learning rate",
        "an encoder with the same learning rate",
        "the default choice, written out",
        "other corpora with equal steps by intention",
    ],
)
def test_arms_of_one_budget(others):
    check_budgets([row(1, 0.5), *others])


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([row(1, 0.6, epochs=3)], r"epochs differs \(3, 8\)"),
        ([row(1, 0.6, accumulate=4)], "accumulate differs"),
        (
            [row(1, 0.6, learning_rate=1e-3), row(1, 0.6, encoder="biolinkbert")],
            "learning_rate differs",
        ),
        ([row(1, 0.5, encoder="bert", batch_size=8)], "batch_size differs"),
        ([row(1, 0.6, epoch_size=400)], r"epoch_size differs \(\[0\], \[400\]\)"),
    ],
    ids=["epochs", "accumulate", "learning rate", "batch size", "steps on the same corpora"],
)
def test_arms_of_another_budget_are_refused(others, message):
    with pytest.raises(WorkbookError, match=message):
        check_budgets([row(1, 0.5), *others])


def test_arms_of_the_same_corpora_choose_on_the_same_corpora():
    also = {"also_test": "sample-gene"}
    with pytest.raises(WorkbookError, match="chosen_on differs"):
        check_budgets([row(1, 0.5, **also), row(1, 0.6, **also, chosen_on="sample-gene")])


def test_the_precision_used_is_part_of_the_budget():
    """precision="auto" is one configuration, which two machines carry out in two ways."""
    bf16, again = (in_precision(row(seed, 0.5), "bf16") for seed in (1, 2))
    check_budgets([bf16, again])
    with pytest.raises(WorkbookError, match=r"precision differs \(.*bf16.*fp32"):
        check_budgets([bf16, again, in_precision(row(1, 0.5), "fp32")])


def test_an_ensembles_budget_counts():
    assert not equal_budgets([row(1, 0.5, **ENSEMBLE), row(1, 0.5)])
    assert equal_budgets([row(1, 0.5, **ENSEMBLE), row(1, 0.5, batch_size=4)])
