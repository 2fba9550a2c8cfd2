"""Comparing arms: equal budgets, paired seeds and documents, Holm's correction, transfer."""

import json
import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import answers, environment, in_precision, predicted, row

from bioner_lib import RunConfig, WorkbookError, run
from bioner_lib.board import plots
from bioner_lib.board.budgets import check_budgets, equal_budgets
from bioner_lib.board.comparison import (
    against_base,
    against_single,
    by_arm,
    comparable,
    compare,
    compare_arms,
    finals,
    intervals,
    repetitions,
)
from bioner_lib.board.matrices import transfer, transfers, weight_grids
from bioner_lib.board.tables import (
    aggregate,
    by_ratio,
    named,
    results,
)

SMALL = {"epochs": 2, "learning_rate": 5e-3, "limit": 60, "max_length": 128, "overlap": 16}


def test_the_precision_used_is_part_of_arm_and_budget(outputs):
    """precision="auto" is one configuration, which two machines carry out in two ways."""
    rows = [
        in_precision(row(seed, 0.5), precision) for seed in (1, 2) for precision in ("bf16", "fp32")
    ]
    frame = results(rows)
    assert frame["arm"].nunique() == 2
    assert {name.rsplit(" ", 1)[1] for name in frame["name"]} == {"bf16", "fp32"}
    assert aggregate(frame)["runs"].max() == 2
    chosen = in_precision(row(1, 0.5, precision="bf16"), "bf16")
    assert results([rows[0], chosen])["arm"].nunique() == 1, (
        "bf16 by choice or by default is the same precision"
    )
    with pytest.raises(WorkbookError, match=r"precision differs \(.*bf16.*fp32"):
        check_budgets(rows)
    check_budgets(rows[::2])
    for made in rows:
        (outputs / "runs" / made["run_id"]).mkdir(parents=True)
        (outputs / "runs" / made["run_id"] / "run.json").write_text(json.dumps(made))
    config = RunConfig(corpora="sample", seed=3)
    with pytest.raises(WorkbookError, match="computed in bf16 and fp32; say which with precision="):
        repetitions(config)
    assert len(repetitions(RunConfig(corpora="sample", precision="fp32"))) == 2
    finished = in_precision(row(3, 0.5), "bf16") | {"run_id": config.run_id}
    (outputs / "runs" / config.run_id).mkdir()
    (outputs / "runs" / config.run_id / "run.json").write_text(json.dumps(finished))
    assert [made["config"]["seed"] for made in repetitions(config)] == [1, 2, 3]


def test_a_row_of_another_version_is_no_repetition(outputs):
    own, unknown = (in_precision(row(seed, 0.5), "fp32") for seed in (1, 2))
    unknown["config"] = unknown["config"] | {"a_later_field": 1}
    for made in (own, unknown):
        (outputs / "runs" / made["run_id"]).mkdir(parents=True)
        (outputs / "runs" / made["run_id"] / "run.json").write_text(json.dumps(made))
    found = repetitions(RunConfig(corpora="sample", precision="fp32"))
    assert [made["config"]["seed"] for made in found] == [1]


def test_budgets_must_be_equal():
    check_budgets([row(1, 0.5), row(2, 0.6)])
    with pytest.raises(WorkbookError, match=r"epochs differs \(3, 8\)"):
        check_budgets([row(1, 0.5), row(1, 0.6, epochs=3)])
    with pytest.raises(WorkbookError, match="accumulate differs"):
        check_budgets([row(1, 0.5), row(1, 0.6, accumulate=4)])
    check_budgets(
        [
            row(1, 0.5),
            row(1, 0.6, scheme="IOB2", heads="joint"),
            row(1, 0.1, system="dictionary", epochs=3),
        ]
    )
    check_budgets([row(1, 0.5), row(1, 0.6, encoder="biolinkbert")])
    with pytest.raises(WorkbookError, match="learning_rate differs"):
        check_budgets(
            [row(1, 0.5), row(1, 0.6, learning_rate=1e-3), row(1, 0.6, encoder="biolinkbert")]
        )


def test_arms_of_the_same_corpora_have_the_same_steps_and_choice():
    more = row(1, 0.6, epoch_size=400)
    with pytest.raises(WorkbookError, match=r"epoch_size differs \(\[0\], \[400\]\)"):
        check_budgets([row(1, 0.5), more])
    check_budgets([row(1, 0.5, corpus="sample-gene", epochs=8), more])  # equal steps by intention
    also = {"also_test": "sample-gene"}
    with pytest.raises(WorkbookError, match="chosen_on differs"):
        check_budgets([row(1, 0.5, **also), row(1, 0.6, **also, chosen_on="sample-gene")])
    check_budgets([row(1, 0.5), row(1, 0.6, chosen_on="sample")])  # the default, written out


def test_compare_and_repetitions(tiny, outputs):
    options = SMALL | {"encoder": tiny}
    arms = {
        heads: [RunConfig(corpora="sample", heads=heads, seed=seed, **options) for seed in (1, 2)]
        for heads in ("joint", "per-type")
    }
    for config in arms["joint"] + arms["per-type"]:
        run(config, progress=False, keep_model=False)
    rows = {heads: repetitions(configs[0]) for heads, configs in arms.items()}
    assert [len(r) for r in rows.values()] == [2, 2]
    found = compare({"sample": rows["joint"]}, {"sample": rows["per-type"]}, resamples=200)
    assert found.loc[0, "seeds"] == 2
    assert 0 < found.loc[0, "p"] <= 1
    assert found.loc[0, "low"] <= found.loc[0, "difference"] <= found.loc[0, "high"]
    with pytest.raises(WorkbookError, match="a seed in common"):
        compare({"sample": rows["joint"][:1]}, {"sample": rows["per-type"][1:]})
    with pytest.raises(WorkbookError, match="two runs of one arm have one seed"):
        compare({"sample": rows["joint"] * 2}, {"sample": rows["per-type"]})
    ax = plots.differences(found, plt.subplots()[1])
    assert "difference in test F1" in ax.get_xlabel()


def test_several_arms_against_one_base(tiny, outputs):
    """Holm's correction is for the whole table, and an arm with another budget is refused."""
    options = SMALL | {"corpora": "sample", "encoder": tiny}
    configs = {
        name: RunConfig(**options | fields)
        for name, fields in {
            "base": {},
            "joint": {"heads": "joint"},
            "moe": {"sharing": "moe"},
            "longer": {"epochs": 3},
        }.items()
    }
    for config in configs.values():
        run(config, progress=False, keep_model=False)
    arms = {name: finals([config]) for name, config in configs.items()}
    longer = arms.pop("longer")
    base = arms.pop("base")
    found = compare_arms(arms, base)
    assert list(found["arm"]) == ["joint", "moe"]
    assert (found["p_holm"] >= found["p"]).all()
    assert max(found["p_holm"]) == pytest.approx(
        min(1.0, max(max(found["p"]), 2 * min(found["p"])))
    )
    with pytest.raises(WorkbookError, match="epochs differs"):
        compare_arms({"longer": longer}, base)
    assert comparable(arms["joint"], base)
    assert not comparable(longer, base)
    assert not comparable({}, base)
    frame = named(arms | {"base": base})
    arms = pd.DataFrame(
        {
            "name": ["mask 1:1", "mask per-type 4:1", "gold only", "gold only per-type", "in turn"],
            "f1": [1, 2, 3, 4, 5],
        }
    )
    ratios = {
        (line.name, line.ratio, line.f1)
        for line in by_ratio(arms)[["name", "ratio", "f1"]].itertuples(index=False, name="line")
    }
    assert ratios == {
        ("mask", 1, 1),
        ("mask per-type", 4, 2),
        ("mask", 0, 3),
        ("mask per-type", 0, 4),
    }
    assert set(frame["name"]) == {"joint", "moe", "base"}
    ax = plots.differences(found, plt.subplots()[1], label="arm")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["joint", "moe"]
    assert (
        len(
            plots.arms_by_type(
                frame[frame["split"] == "test"], plt.subplots()[1], "recall", ["base", "moe"]
            ).get_yticks()
        )
        == 2
    )


def test_compare_by_hand(outputs, tmp_path):
    """Which way round, on which split, over which seeds, for which types."""
    better = [
        predicted(outputs, row(seed, 0.5), answers(right)) for seed, right in ((1, 36), (2, 38))
    ]
    worse = [
        predicted(outputs, row(seed, 0.5, scheme="IOB2"), answers(right))
        for seed, right in ((1, 20), (2, 22))
    ]
    for made in better + worse:  # dev says the opposite
        predicted(outputs, made, answers(10 if made in better else 40), "dev")
    found = compare({"sample": better}, {"sample": worse}, resamples=500).iloc[0]
    f1 = {right: 2 * right / (2 * right + 40 - right) for right in (36, 38, 20, 22)}
    assert found["difference"] == pytest.approx((f1[36] + f1[38] - f1[20] - f1[22]) / 2)
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["seeds"] == 2
    assert found["p"] == found["p_holm"] < 0.05
    first = compare({"sample": better[:1]}, {"sample": worse[:1]}, resamples=500).iloc[0]
    assert first["difference"] == pytest.approx(f1[36] - f1[20])
    assert (
        compare({"sample": worse}, {"sample": better}, resamples=500).iloc[0]["difference"]
        == -found["difference"]
    )
    with pytest.raises(WorkbookError, match="epochs differs"):
        compare(
            {"sample": better}, {"sample": [predicted(outputs, row(1, 0.5, epochs=20), answers(1))]}
        )
    for made, right in ((better[0], 30), (worse[0], 10)):
        predicted(tmp_path / "elsewhere", made, answers(right))
    with environment(BIONER_OUTPUTS=tmp_path / "elsewhere"):
        there = compare({"sample": better[:1]}, {"sample": worse[:1]}, resamples=500).iloc[0]
    assert there["difference"] == pytest.approx(2 * 30 / 70 - 2 * 10 / 50), (
        "the predictions of that folder"
    )


def test_a_system_without_seeds_stands_against_each_seed(outputs):
    taggers = [
        predicted(outputs, row(seed, 0.5), answers(right)) for seed, right in ((1, 36), (2, 38))
    ]
    baseline = [predicted(outputs, row(13, 0.5, system="dictionary"), answers(20))]
    found = compare({"sample": taggers}, {"sample": baseline}, resamples=500).iloc[0]
    f1 = {right: 2 * right / (40 + right) for right in (36, 38, 20)}
    assert found["seeds"] == 2
    assert found["difference"] == pytest.approx((f1[36] + f1[38]) / 2 - f1[20])
    back = compare({"sample": baseline}, {"sample": taggers}, resamples=500).iloc[0]
    assert back["difference"] == -found["difference"]
    other = [predicted(outputs, row(13, 0.5, scheme="IOB2"), answers(20))]
    with pytest.raises(WorkbookError, match="need a seed in common"):
        compare({"sample": taggers}, {"sample": other})


def test_two_systems_without_seeds_stand_against_each_other(outputs):
    both = [
        predicted(outputs, row(seed, 0.5, system=system, **more), answers(right))
        for seed, system, right, more in (
            (13, "dictionary", 20, {}),
            (1, "ensemble", 36, {"seeds": [1, 2]}),
        )
    ]
    found = compare({"sample": both[:1]}, {"sample": both[1:]}, resamples=500).iloc[0]
    assert found["seeds"] == 1
    assert found["difference"] < 0


def test_an_ensembles_budget_counts():
    members = {"system": "ensemble", "seeds": [1, 2], "batch_size": 4}
    assert not equal_budgets([row(1, 0.5, **members), row(1, 0.5)])
    assert equal_budgets([row(1, 0.5, **members), row(1, 0.5, batch_size=4)])


def test_few_documents_are_no_claim(outputs):
    sides = [
        [
            predicted(outputs, row(seed, 0.5, scheme=scheme), answers(right, of=8))
            for seed in (1, 2, 3)
        ]
        for scheme, right in (("IOB2", 8), ("IOBES", 1))
    ]
    found = compare({"sample": sides[0]}, {"sample": sides[1]}, resamples=500)
    assert found["note"].tolist() == ["fewer than 15 documents: no claim"]
    ax = plots.differences(found.assign(arm="a"), plt.subplots()[1])
    assert ax.lines[0].get_markerfacecolor() == "white"


def test_intervals_by_arm_corpus_and_type(outputs):
    rows = [
        predicted(outputs, row(seed, 0.5), answers(right)) for seed, right in ((1, 36), (2, 38))
    ]
    rows.append(predicted(outputs, row(1, 0.5, decoder="crf"), answers(40)))
    frame = intervals(rows, resamples=200).set_index("name")
    assert len(frame) == 2, "one type: micro says the same again"
    line = frame.loc["minilm per-type single-task"]
    assert line["f1"] == pytest.approx((72 / 76 + 76 / 78) / 2)
    assert line["low"] < line["f1"] < line["high"] <= 1
    assert (line["seeds"], line["type"], line["corpus"]) == (2, "Gene", "sample")
    perfect = frame.loc["minilm per-type single-task decoder=crf"]
    assert perfect[["f1", "low", "high"]].tolist() == [1, 1, 1]
    predicted(outputs, rows[1], answers(38, of=39))
    with pytest.raises(WorkbookError, match=r"sample: the runs of minilm .* different text"):
        intervals(rows)


def test_rows_by_arm_are_what_compare_takes(outputs):
    mine = [
        predicted(outputs, row(seed, 0.5), answers(right)) for seed, right in ((1, 30), (2, 31))
    ]
    other = predicted(outputs, row(1, 0.5, decoder="crf"), answers(20))
    elsewhere = row(1, 0.5, corpus="sample-gene") | {"name": "minilm per-type single-task"}
    arms = by_arm([*mine, other, elsewhere])
    assert arms == {
        "minilm per-type single-task": {"sample": mine, "sample-gene": [elsewhere]},
        "minilm per-type single-task decoder=crf": {"sample": [other]},
    }
    base = arms.pop("minilm per-type single-task")
    assert len(compare_arms(arms, base)) == 1
    twice = [other | {"table": "first"}, other | {"table": "second"}]
    for function in (by_arm, intervals):
        with pytest.raises(WorkbookError, match=r"two rows of run .* \['first', 'second'\]"):
            function(twice)


def test_other_words_in_documents_of_the_same_names_are_another_test_text(outputs):
    def text(word):
        return [{**answer, "tokens": [word]} for answer in answers(30)]

    rows = [predicted(outputs, row(1, 0.5), text("one"))]
    rows.append(predicted(outputs, row(1, 0.5, decoder="crf"), text("other")))
    arms = list(by_arm(rows).values())
    with pytest.raises(WorkbookError, match="sample: these runs were tested on different text"):
        compare(*arms)


def test_multi_task_arms_against_single_task_arms_of_equal_budget(outputs):
    single = predicted(outputs, row(1, 0.5), answers(20))
    multi = row(1, 0.5, epochs=8)
    multi["config"]["corpora"] = ["sample", "sample-gene"]
    multi["run_id"] = "both"
    multi = predicted(outputs, multi | {"name": "both"}, answers(30))
    longer = predicted(outputs, row(1, 0.5, epochs=9), answers(10))
    assert single["config"]["epochs"] == 8
    tested = against_single(by_arm([single, multi, longer]))
    assert tested["arm"].tolist() == ["both against minilm per-type single-task"]
    assert tested["difference"].iloc[0] > 0
    assert tested["note"].tolist() == ["fewer than 3 seeds: no claim"]
    assert len(against_single(by_arm([single]))) == 0
    dictionary = predicted(outputs, row(1, 0.4, system="dictionary", limit=60), answers(9))
    assert len(against_single(by_arm([dictionary, multi]))) == 0, "whatever its name"
    # of a part of the corpus, or of another one
    part = single | {"config": single["config"] | {"corpora": ["sample@25%"]}}
    assert len(against_single(by_arm([part, multi]))) == 0
    # a first phase on another corpus counts
    first = single["config"] | {"corpora": ["sample-gene"], "epochs": 4}
    parents = {"start_from": {"arm": "x", "name": "x", "phases": [first]}}
    later = row(1, 0.5, epochs=4, scheme="IOBES") | {"parents": parents, "name": "later"}
    later = predicted(outputs, later, answers(30))
    assert against_single(by_arm([single, later]))["arm"].tolist() == [
        "later against minilm per-type single-task"
    ]


def test_arms_of_the_bases_corpora_against_the_base(outputs):
    base, other = predicted(outputs, row(1, 0.5), answers(20)), row(1, 0.5, scheme="IOB2")
    multi = row(1, 0.5, decoder="crf") | {"run_id": "both", "name": "both"}
    multi["config"]["corpora"] = ["sample", "sample-gene"]
    longer = predicted(outputs, row(1, 0.5, epochs=9), answers(10))
    dictionary = predicted(outputs, row(1, 0.4, system="dictionary", limit=60), answers(9))
    rows = [base, predicted(outputs, other, answers(30)), predicted(outputs, multi, answers(30))]
    arms = by_arm([*rows, longer, dictionary])
    name = next(name for name, own in arms.items() if own["sample"] == [base])
    tested = against_base(arms, name)
    assert tested["arm"].tolist() == [f"{name} scheme=IOB2"], "same corpora, same budget"
    assert tested["difference"].iloc[0] > 0
    with pytest.raises(WorkbookError, match="unknown arm 'bass'"):
        against_base(arms, "bass")


def test_intervals_of_several_types_have_micro_where_every_type_was_asked_for(outputs):
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


def test_compare_refuses_other_documents_and_other_types(outputs):
    mine = predicted(outputs, row(1, 0.5), answers(30))
    other = predicted(
        outputs, row(1, 0.5, scheme="IOB2"), [p | {"doc": f"e{p['doc']}"} for p in answers(30)]
    )
    with pytest.raises(WorkbookError, match="sample: these runs were tested on different text"):
        compare({"sample": [mine]}, {"sample": [other]})
    fewer = predicted(outputs, row(1, 0.5, decoder="crf"), answers(30))
    fewer["data"]["sample"]["types"] = ["Gene", "Virus"]
    with pytest.raises(
        WorkbookError, match=r"asked for different types, \[\('Gene',\), \('Gene', 'Virus'\)\]"
    ):
        compare({"sample": [mine]}, {"sample": [fewer]})
    fewer["scores"]["sample"]["test"]["not_asked"] = ["Virus"]
    assert len(compare({"sample": [mine]}, {"sample": [fewer]}, resamples=50)) == 1


def test_holm_counts_every_comparison_of_a_table(outputs):
    """Holm corrects the p values of all arms together; without arms the table is empty."""
    base = predicted(outputs, row(1, 0.5), answers(20))
    arms = {
        name: {
            "sample": [predicted(outputs, row(1, 0.5, scheme="IOB2", decoder=name), answers(right))]
        }
        for name, right in (("softmax", 24), ("crf", 25))
    }
    found = compare_arms(arms, {"sample": [base]}).set_index("arm")
    p = found["p"].sort_values()
    assert found.loc[p.index[0], "p_holm"] == pytest.approx(min(1, 2 * p.iloc[0]))
    assert found.loc[p.index[1], "p_holm"] == pytest.approx(max(p.iloc[1], min(1, 2 * p.iloc[0])))
    assert list(compare_arms(arms, {"sample": [base]}).index) == [0, 1]
    assert list(compare_arms({}, {"sample": [base]}).columns) == [*found.columns, "arm"]
    assert len(compare_arms({"crf": {}}, {"sample": [base]})) == 0
    assert len(compare({}, {})) == 0


def test_transfer_by_hand():
    def scored(corpora, **f1):
        config = RunConfig(corpora=corpora, seed=1)
        made = {"run_id": config.run_id, "config": config.as_dict()}
        measures = {
            name: {"precision": v, "recall": v, "f1": v, "support": 20} for name, v in f1.items()
        }
        made["scores"] = {
            name.replace("_", "-"): {"test": {"types": {"micro": m, "macro": m, "X": m}}}
            for name, m in measures.items()
        }
        for splits in made["scores"].values():
            splits["dev"] = splits["test"]
        made["data"] = {name: {"official": True, "types": ["X"]} for name in made["scores"]}
        return made

    # a part of a corpus is scored under the corpus's name, and stands against itself
    part = scored("sample-gene@50%", sample_gene=0.2)
    assert transfer([part]).loc["sample-gene@50%", "sample-gene@50%"] == 0
    rows = [
        scored("sample-gene", sample_gene=0.5),
        scored("sample-virus", sample_virus=0.6),
        scored(["sample-gene", "sample-virus"], sample_gene=0.55, sample_virus=0.5),
    ]
    matrix = transfer(rows)
    assert list(matrix.index) == ["sample-gene", "sample-virus", "sample-gene + sample-virus"]
    assert matrix.iloc[2].round(3).to_dict() == {"sample-gene": 0.05, "sample-virus": -0.1}
    assert matrix.loc["sample-gene", "sample-gene"] == 0
    parts = [part, scored(["sample-gene@50%", "sample-virus"], sample_gene=0.4, sample_virus=0.7)]
    mixed = transfer([*rows, *parts])
    assert mixed.loc[matrix.index, matrix.columns].equals(matrix)
    by_part = mixed.loc["sample-gene@50% + sample-virus"].round(3)
    assert by_part["sample-gene@50%"] == 0.2 and by_part["sample-virus"] == 0.1
    assert math.isnan(matrix.loc["sample-gene", "sample-virus"])
    assert plots.transfer_matrix(matrix, plt.subplots()[1]).get_xlabel() == "tested on"
    with pytest.raises(WorkbookError, match="no single-task tagger"):
        transfer(rows[2:])
    own = scored("/some/where/mine@1/2:X", mine=0.5)  # folders above a corpus of one's own
    assert list(transfer([own]).index) == ["mine@1/2:X"]


def test_transfer_matrices_and_weight_grids_are_found_among_all_rows():
    def trained(corpora, f1, **config):
        made = row(13, f1, corpus=corpora[0], **config)
        made["config"]["corpora"] = list(corpora)
        scored = made["scores"][corpora[0]]["test"]
        made["scores"] = {corpus: {"dev": scored, "test": scored} for corpus in corpora}
        made["data"] = {corpus: {"official": True, "types": ["Gene"]} for corpus in corpora}
        return made | {"run_id": f"{'+'.join(corpora)}{config}"}

    both = ["sample-gene", "sample-disease"]
    rows = [trained(both[:1], 0.5), trained(both[1:], 0.4), trained(both, 0.6)]
    rows.append(trained(both, 0.9, epochs=9))
    (matrix,) = transfers(rows)
    assert matrix.loc["sample-gene + sample-disease"].round(2).to_dict() == {
        "sample-gene": 0.1,
        "sample-disease": 0.2,
    }
    assert transfers(rows[:2]) == []
    assert weight_grids(rows) == []
    for gene in (0.5, 2.0):
        for disease in (0.5, 2.0):
            weights = {"Gene": gene, "Disease": disease}
            rows.append(trained(both, gene / 10, loss_weights=weights))
    (grid,) = weight_grids(rows)
    assert (grid.index.name, grid.columns.name) == ("Disease", "Gene")
    assert grid.to_numpy().round(2).tolist() == [[0.05, 0.2], [0.05, 0.2]]
    low = trained(both, 0.9, loss_weights={"Gene": 0.5, "Disease": 0.5})
    (same,) = weight_grids([*rows, in_precision(low, "bf16")])
    assert same.equals(grid), "a run in another precision is of another grid"
