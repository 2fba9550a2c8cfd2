"""Intervals of arms, by bootstrap over documents."""

import pytest
from made_rows import answers, f1_of, predicted, row, runs_that_find

from bioner_lib import WorkbookError
from bioner_lib.board.comparison import intervals

NAME = "minilm per-type single-task"


def test_intervals_by_arm_corpus_and_type(outputs):
    perfect = runs_that_find(outputs, 40, decoder="crf")
    frame = intervals([*runs_that_find(outputs, 36, 38), *perfect], resamples=200)
    assert len(frame) == 2, "one type: micro says the same again"
    frame = frame.set_index("name")
    line = frame.loc[NAME]
    assert line["f1"] == pytest.approx((f1_of(36) + f1_of(38)) / 2)
    assert line["low"] < line["f1"] < line["high"] <= 1
    assert (line["seeds"], line["type"], line["corpus"]) == (2, "Gene", "sample")
    assert frame.loc[f"{NAME} decoder=crf", ["f1", "low", "high"]].tolist() == [1, 1, 1]


def test_seeds_with_other_documents_are_refused(outputs):
    first, second = runs_that_find(outputs, 36, 38)
    predicted(outputs, second, answers(38, of=39))
    with pytest.raises(WorkbookError, match=r"sample: the runs of minilm .* different text"):
        intervals([first, second])


def test_several_types_have_micro_where_every_type_was_asked_for(outputs):
    made = row(1, 0.5)
    measures = made["scores"]["sample"]["test"]["types"]
    measures["Virus"] = measures["Gene"]
    made["data"]["sample"]["types"] = ["Gene", "Virus"]
    virus = {"doc": "v", "gold": [[0, 2, "Virus"]], "predicted": []}
    predicted(outputs, made, [*answers(30), virus])
    found = intervals([made], resamples=50).set_index("type")["f1"]
    assert found.to_dict() == pytest.approx({"Gene": 60 / 70, "Virus": 0, "micro": 60 / 71})
    del measures["Virus"]
    made["scores"]["sample"]["test"]["not_asked"] = ["Virus"]
    assert intervals([made], resamples=50)["type"].tolist() == ["Gene"]
