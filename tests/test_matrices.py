"""Matrices: what a multi-task arm gains over single-task arms; loss weights of two types."""

import math

import matplotlib.pyplot as plt
import pytest
from made_rows import in_precision, row

from bioner_lib import RunConfig, WorkbookError
from bioner_lib.board import plots
from bioner_lib.board.matrices import transfer, transfers, weight_grids

BOTH = ["sample-gene", "sample-disease"]


def scored(corpora, **f1):
    """A row of a run on these corpora; `f1` holds a figure per corpus, with _ in place of -."""
    config = RunConfig(corpora=corpora, seed=1)
    scores = {}
    for name, value in f1.items():
        measures = {"precision": value, "recall": value, "f1": value, "support": 20}
        split = {"types": dict.fromkeys(("micro", "macro", "X"), measures)}
        scores[name.replace("_", "-")] = {"test": split, "dev": split}
    return {
        "run_id": config.run_id,
        "config": config.as_dict(),
        "scores": scores,
        "data": {name: {"official": True, "types": ["X"]} for name in scores},
    }


def trained(corpora, f1, **config):
    """A row of a run on these corpora, with one figure for all."""
    made = row(13, f1, corpus=corpora[0], **config)
    made["config"]["corpora"] = list(corpora)
    split = made["scores"][corpora[0]]["test"]
    made["scores"] = {corpus: {"dev": split, "test": split} for corpus in corpora}
    made["data"] = {corpus: {"official": True, "types": ["Gene"]} for corpus in corpora}
    return made | {"run_id": f"{'+'.join(corpora)}{config}"}


WHOLE = [
    scored("sample-gene", sample_gene=0.5),
    scored("sample-virus", sample_virus=0.6),
    scored(["sample-gene", "sample-virus"], sample_gene=0.55, sample_virus=0.5),
]


def test_transfer_by_hand():
    matrix = transfer(WHOLE)
    assert list(matrix.index) == ["sample-gene", "sample-virus", "sample-gene + sample-virus"]
    assert matrix.iloc[2].round(3).to_dict() == {"sample-gene": 0.05, "sample-virus": -0.1}
    assert matrix.loc["sample-gene", "sample-gene"] == 0
    assert math.isnan(matrix.loc["sample-gene", "sample-virus"])
    assert plots.transfer_matrix(matrix, plt.subplots()[1]).get_xlabel() == "tested on"


def test_transfer_needs_single_task_taggers():
    with pytest.raises(WorkbookError, match="no single-task tagger"):
        transfer(WHOLE[2:])


def test_a_part_of_a_corpus_stands_against_itself():
    """It is scored under the corpus's name."""
    part = scored("sample-gene@50%", sample_gene=0.2)
    both = scored(["sample-gene@50%", "sample-virus"], sample_gene=0.4, sample_virus=0.7)
    assert transfer([part]).loc["sample-gene@50%", "sample-gene@50%"] == 0
    matrix, mixed = transfer(WHOLE), transfer([*WHOLE, part, both])
    assert mixed.loc[matrix.index, matrix.columns].equals(matrix)
    by_part = mixed.loc["sample-gene@50% + sample-virus"].round(3)
    assert by_part["sample-gene@50%"] == 0.2
    assert by_part["sample-virus"] == 0.1


def test_folders_above_an_own_corpus_are_left_out():
    own = scored("/some/where/mine@1/2:X", mine=0.5)
    assert list(transfer([own]).index) == ["mine@1/2:X"]


def test_transfer_matrices_are_found_among_all_rows():
    single = [trained(BOTH[:1], 0.5), trained(BOTH[1:], 0.4)]
    longer = trained(BOTH, 0.9, epochs=9)
    (matrix,) = transfers([*single, trained(BOTH, 0.6), longer])
    assert matrix.loc["sample-gene + sample-disease"].round(2).to_dict() == {
        "sample-gene": 0.1,
        "sample-disease": 0.2,
    }
    assert transfers(single) == []


def test_weight_grids_are_found_among_all_rows():
    others = [trained(BOTH[:1], 0.5), trained(BOTH[1:], 0.4), trained(BOTH, 0.6)]
    others.append(trained(BOTH, 0.9, epochs=9))
    assert weight_grids(others) == []
    weighted = [
        trained(BOTH, gene / 10, loss_weights={"Gene": gene, "Disease": disease})
        for gene in (0.5, 2.0)
        for disease in (0.5, 2.0)
    ]
    (grid,) = weight_grids([*others, *weighted])
    assert (grid.index.name, grid.columns.name) == ("Disease", "Gene")
    assert grid.to_numpy().round(2).tolist() == [[0.05, 0.2], [0.05, 0.2]]
    low = trained(BOTH, 0.9, loss_weights={"Gene": 0.5, "Disease": 0.5})
    (same,) = weight_grids([*others, *weighted, in_precision(low, "bf16")])
    assert same.equals(grid), "a run in another precision is of another grid"
