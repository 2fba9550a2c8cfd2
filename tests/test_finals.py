"""Which runs stand for an arm: the last phase's on their training corpora, in every seed."""

import json
from dataclasses import replace

import pytest
from made_rows import in_precision, predicted, row
from small_runs import environment, small

from bioner_lib import RunConfig, WorkbookError, run
from bioner_lib.board.comparison import (
    best_dev,
    comparable,
    finals,
    repetitions,
)
from bioner_lib.board.tables import aggregate, results
from bioner_lib.runs.rows import arm_of


def save_row(outputs, made):
    """Leave a finished run on disk; gives its configuration."""
    folder = outputs / "runs" / made["run_id"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(made))
    return RunConfig(**made["config"])


def test_finals_are_the_last_phases_runs_on_the_corpora_they_were_trained_on(outputs):
    def scored(made, **roles):
        made["scores"] = {
            name.replace("_", "-"): dict.fromkeys(split, made["scores"]["sample"]["test"])
            for name, split in roles.items()
        }
        return made

    first = scored(row(1, 0.5), sample=("dev", "test"))
    second = scored(
        row(1, 0.6, start_from=first["run_id"]), sample=("dev", "test"), sample_gene=("test",)
    )
    second["parents"] = {
        "start_from": {
            "run_id": first["run_id"],
            "arm": arm_of(first),
            "name": "y",
            "phases": [first["config"]],
        }
    }
    configs = [save_row(outputs, made) for made in (first, second)]
    found = finals(configs)
    assert {corpus: [made["run_id"] for made in rows] for corpus, rows in found.items()} == {
        "sample": [second["run_id"]],
        "sample-gene": [second["run_id"]],
    }
    other = scored(row(1, 0.7, decoder="crf"), sample=("dev", "test"), sample_gene=("test",))
    configs.append(save_row(outputs, other))
    assert "sample-gene" not in finals(configs), "two runs score it, and none was trained on it"
    assert len(finals(configs)["sample"]) == 2


def test_runs_made_from_different_data_are_no_seeds_of_one_arm(outputs):
    """A sweep was stopped after seed 1, an annotation was mended, and the sweep went on."""

    def made(seed, f1, text):
        about = {"types": ["Gene"], "silver": False, "fingerprint": text, "documents": "d"}
        inputs = {"made_from": {"encoder": "e", "data": {"sample": about}}}
        return row(seed, f1) | inputs | {"device": {"precision": "fp32"}}

    rows = [made(1, 0.25, "old"), made(2, 0.5, "new"), made(3, 0.6, "new")]
    table = aggregate(results(rows)).query("type == 'Gene'")
    assert sorted(table["values"]) == [[0.25], [0.5, 0.6]]
    assert table["name"].str.contains(" made from #").all()
    configs = [save_row(outputs, one) for one in rows]
    assert [one["run_id"] for one in repetitions(configs[0])] == [configs[0].run_id]
    assert len(repetitions(configs[2])) == 2
    missing = replace(configs[0], seed=4)
    with pytest.raises(WorkbookError, match="were made from different data or encoder files"):
        repetitions(missing)


def test_repetitions_are_read_from_the_outputs_folder(outputs, tmp_path):
    config = save_row(tmp_path / "elsewhere", row(1, 0.5) | {"device": {"precision": "fp32"}})
    assert repetitions(config) == []
    with environment(BIONER_OUTPUTS=tmp_path / "elsewhere"):
        assert len(repetitions(config)) == 1
    save_row(outputs, row(1, 0.5, system="dictionary") | {"device": {"precision": "none"}})
    assert (
        len(repetitions(RunConfig(corpora="sample", system="dictionary", seed=2, precision="fp32")))
        == 1
    )


def test_repetitions_are_of_one_precision(outputs):
    """precision="auto" is one configuration, which two machines carry out in two ways."""
    for seed in (1, 2):
        for precision in ("bf16", "fp32"):
            save_row(outputs, in_precision(row(seed, 0.5), precision))
    config = RunConfig(corpora="sample", seed=3)
    with pytest.raises(WorkbookError, match="computed in bf16 and fp32; say which with precision="):
        repetitions(config)
    assert len(repetitions(RunConfig(corpora="sample", precision="fp32"))) == 2
    save_row(outputs, row(3, 0.5) | {"device": {"precision": "bf16"}})
    assert [made["config"]["seed"] for made in repetitions(config)] == [1, 2, 3]


def test_a_row_of_another_version_is_no_repetition(outputs):
    own, unknown = (in_precision(row(seed, 0.5), "fp32") for seed in (1, 2))
    unknown["config"] |= {"a_later_field": 1}
    for made in (own, unknown):
        predicted(outputs, made, [])
    found = repetitions(RunConfig(corpora="sample", precision="fp32"))
    assert [made["config"]["seed"] for made in found] == [1]


def test_a_run_trained_on_a_corpus_is_preferred_to_one_tested_on_it(outputs):
    """Beside a run that is scored there too, whichever comes first."""
    trained, visiting = row(1, 0.5, corpus="sample-gene"), row(1, 0.6)
    trained["scores"]["sample-gene"]["dev"] = trained["scores"]["sample-gene"]["test"]
    visiting["scores"]["sample-gene"] = {"test": trained["scores"]["sample-gene"]["test"]}
    configs = [save_row(outputs, made) for made in (visiting, trained)]
    for order in (configs, configs[::-1]):
        assert [made["run_id"] for made in finals(order)["sample-gene"]] == [trained["run_id"]]


def test_arms_that_were_asked_for_other_types_are_not_comparable(tiny, outputs):
    gene = small(tiny, "sample-gene", also_test=["sample"])
    both = small(tiny, ["sample-gene", "sample-disease"], also_test=["sample"])
    for config in (gene, both):
        run(config, progress=False, keep_model=False)
    one, other = finals([gene]), finals([both])
    assert not comparable(one, other)
    assert comparable({"sample-gene": one["sample-gene"]}, other)


def test_arms_without_a_seed_in_common_are_not_comparable():
    one, two = ({"sample": [row(seed, 0.5)]} for seed in (1, 2))
    assert not comparable(one, two)
    assert comparable(one, one)


def test_the_chosen_epochs_dev_score():
    scores = {"a": {"dev": {"types": {"micro": {"f1": 0.5}}}, "test": {}}}
    scores |= {"b": {"dev": {"types": {"micro": {"f1": 0.7}}}}, "c": {"test": {}}}
    assert best_dev({"history": [], "scores": scores}) == pytest.approx(0.6), "an ensemble"
    assert (
        best_dev(
            {"history": [{"dev": {"mean": 0.2}}, {"dev": {"mean": 0.4}}, {"dev": {"mean": 0.3}}]}
        )
        == 0.4
    )
