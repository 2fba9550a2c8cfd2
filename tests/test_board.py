import json
import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import environment, row, save_row

from bioner_lib import RunConfig, WorkbookError, load_corpus, run
from bioner_lib.board import corpus_plots, plots
from bioner_lib.board.comparison import (
    best_dev,
    check_budgets,
    comparable,
    compare,
    compare_arms,
    finals,
    repetitions,
    transfer,
)
from bioner_lib.board.leaderboard import board_text, by_type, leaders, markdown, write_leaderboard
from bioner_lib.board.publishing import publish, published_rows
from bioner_lib.board.results import (
    aggregate,
    anchors,
    apart_by_corpus,
    by_ratio,
    named,
    only_corpora,
    results,
)
from bioner_lib.corpora.inspection import (
    ambiguous_surfaces,
    duplicates,
    lost_by_cutting,
    pieces_by_place,
    seen_in_train,
    summary,
    weights_by_place,
)
from bioner_lib.corpora.text import Sentence
from bioner_lib.home import home
from bioner_lib.runs.rows import arm_of


def test_aggregate_by_hand():
    table = aggregate(results([row(1, 0.5), row(2, 0.7), row(3, 0.6), row(1, 0.9, scheme="IOB2")]))
    line = table[(table["type"] == "Gene") & (table["runs"] == 3)].iloc[0]
    assert line["f1_mean"] == pytest.approx(0.6)
    assert line["f1_sd"] == pytest.approx(0.1), "n - 1"
    assert line["values"] == [0.5, 0.7, 0.6]
    assert line["seeds"] == [1, 2, 3]
    assert any("scheme=IOB2" in name for name in table["name"])
    single = table[(table["type"] == "Gene") & (table["runs"] == 1)].iloc[0]
    assert math.isnan(single["f1_sd"])


def test_markdown_hides_what_is_too_few_and_json_keeps_it(outputs):
    few = write_leaderboard(
        [row(1, 0.512, support=9), row(2, 0.5, support=9), row(1, 0.75, corpus="sample-gene")]
    )
    text = (outputs / "leaderboard.md").read_text()
    assert "N/A" in text
    assert "51.2" not in text
    assert "75.0" in text
    held = json.loads((outputs / "leaderboard.json").read_text())
    assert 0.512 in [line["f1"] for line in held["runs"]]
    assert len(pd.read_csv(outputs / "leaderboard.csv")) == len(few)
    assert "micro" not in markdown(few), "one type: micro says the same again"
    assert "60.0 ± 14.1 *" in markdown(
        aggregate(results([row(1, 0.5, official=False), row(2, 0.7, official=False)]))
    )


def test_two_arms_never_share_a_name():
    rows = [
        row(1, 0.3, system="dictionary"),
        row(1, 0.4, system="dictionary", limit=60),
        row(1, 0.6),
        row(1, 0.7, also_test="sample-gene"),
    ]
    frame = results(rows)
    assert frame.groupby("name")["arm"].nunique().max() == 1
    assert frame["name"].nunique() == 4
    table = aggregate(frame)
    assert all(figure in markdown(table) for figure in ("30.0", "40.0", "60.0", "70.0"))
    assert len(plots.f1_bars(table, anchors(), plt.subplots()[1]).patches) == 4
    alone = results([row(1, 0.6), in_precision(row(2, 0.6), "auto")])
    assert set(alone["name"]) == {"minilm per-type single-task"}, "nothing to tell apart"


def in_precision(made, precision):
    return made | {"run_id": f"{made['run_id']}-{precision}", "device": {"precision": precision}}


def test_precision_that_was_used_is_part_of_the_arm_and_of_the_budget(outputs):
    """precision="auto" is one configuration, which two machines carry out in two ways."""
    rows = [
        in_precision(row(seed, 0.5), precision) for seed in (1, 2) for precision in ("bf16", "fp32")
    ]
    frame = results(rows)
    assert frame["arm"].nunique() == 2
    assert {name.rsplit(" ", 1)[1] for name in frame["name"]} == {"bf16", "fp32"}
    assert aggregate(frame)["runs"].max() == 2
    said = in_precision(row(1, 0.5, precision="bf16"), "bf16")
    assert results([rows[0], said])["arm"].nunique() == 1, (
        "said or resolved, it is the same arithmetic"
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


def test_a_row_that_cannot_be_read_is_named():
    made = row(1, 0.5)
    made["config"]["colour"] = "red"
    with pytest.raises(
        WorkbookError,
        match=rf"row of run {made['run_id']} .*unknown RunConfig field 'colour'.*forget\(",
    ):
        results([row(2, 0.5), made])


def test_only_corpora():
    table = aggregate(results([row(1, 0.5), row(1, 0.6, corpus="sample-gene")]))
    assert set(only_corpora(table, ["sample"])["corpus"]) == {"sample"}
    assert only_corpora(table, []) is table
    with pytest.raises(
        WorkbookError, match="unknown corpus on the board 'sampel'; did you mean 'sample'"
    ):
        only_corpora(table, ["sampel"])


def test_no_rows_is_said():
    with pytest.raises(WorkbookError, match="no finished runs yet"):
        results([])


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


def test_compare_and_repetitions(tiny, outputs):
    options = {
        "encoder": tiny,
        "epochs": 2,
        "learning_rate": 5e-3,
        "limit": 60,
        "max_length": 128,
        "overlap": 16,
    }
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
    options = {
        "corpora": "sample",
        "encoder": tiny,
        "epochs": 2,
        "learning_rate": 5e-3,
        "limit": 60,
        "max_length": 128,
        "overlap": 16,
    }
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
            "name": ["mask 1:1", "mask per-type 4:1", "gold only", "gold only per-type"],
            "f1": [1, 2, 3, 4],
        }
    )
    told = {
        (line.name, line.ratio, line.f1)
        for line in by_ratio(arms)[["name", "ratio", "f1"]].itertuples(index=False, name="line")
    }
    assert told == {
        ("mask", 1, 1),
        ("mask per-type", 4, 2),
        ("mask", 0, 3),
        ("mask per-type", 0, 4),
    }
    table = by_type(frame, ["Gene", "Virus"])
    assert (
        table.splitlines()[0] == "| arm | runs | Gene F1 | Virus F1 | Gene recall | Virus recall |"
    )
    assert "| moe | 1 | " in table
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


def test_a_leader_has_three_seeds_a_rival_and_more_than_nothing():
    def arms(f1s, **config):
        return [row(seed, f1, **config) for seed, f1 in enumerate(f1s, 1)]

    def led(rows):
        return {
            (line.name, round(line.f1, 3), line.seeds, line.rivals)
            for line in leaders(rows).itertuples()
        }

    steady, rival = arms([0.80, 0.81, 0.82]), arms([0.7, 0.7, 0.7], scheme="IOB2")
    once, longer = arms([0.99], decoder="crf"), arms([0.9, 0.9, 0.9], epochs=20)
    name = results(steady)["name"].iloc[0]
    assert led(steady + rival + once + longer) == {(name, 0.81, 3, 1)}, (
        "neither one lucky run nor another budget leads"
    )
    assert led(steady + once) == set(), "nobody to lead"
    assert led(arms([0.0] * 3) + arms([0.0] * 3, scheme="IOB2")) == set()
    baseline = [row(1, 0.75, system="dictionary") | {"device": {"precision": "none"}}]
    assert led(steady + baseline) == {(name, 0.81, 3, 1)}
    assert led(rival + baseline) == {("dictionary", 0.75, 1, 1)}, "a baseline without seeds may win"
    line = leaders(steady + rival).iloc[0]
    assert (line["corpus"], line["type"], line["official"]) == ("sample", "Gene", True)
    assert line["sd"] == pytest.approx(0.01)
    assert leaders(rival + baseline)["epochs"].tolist() == [rival[0]["config"]["epochs"]], (
        "of those that were trained"
    )


def test_corpora_are_never_averaged_as_if_they_were_seeds():
    """A run scored on two corpora with one type has two figures; views of one corpus have one."""
    made = row(1, 0.5)
    made["scores"]["sample-gene"] = {
        "test": {"types": {"Gene": made["scores"]["sample"]["test"]["types"]["Gene"] | {"f1": 0.9}}}
    }
    made["data"]["sample-gene"] = made["data"]["sample"]
    made["name"] = "mask"
    frame = results([made])
    table = by_type(frame, ["Gene"])
    assert "| mask | 1 | 50.0 | 90.0 |" in table, "no mean, no sd"
    assert "Gene on sample-gene F1" in table
    assert apart_by_corpus(frame.assign(corpus="sample"))["type"].unique().tolist() == [
        "Gene",
        "micro",
        "macro",
    ]
    views = frame[frame["type"] == "Gene"].assign(corpus=["sample:Gene", "sample:Gene+Virus"])
    assert apart_by_corpus(views)["f1"].tolist() == [0.5], "the same test text twice is one score"


def predicted(outputs, made, predictions, role="test"):
    """Leave a row and its predictions where a run would."""
    folder = outputs / "runs" / made["run_id"]
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(made))
    (folder / "predictions" / f"sample.{role}.jsonl").write_text(
        "\n".join(map(json.dumps, predictions))
    )
    return made


def answers(right, of=40):
    """`of` documents with one gene each; the first `right` of them are found."""
    return [
        {"doc": f"d{i}", "gold": [[0, 1, "Gene"]], "predicted": [[0, 1, "Gene", 0.9]] * (i < right)}
        for i in range(of)
    ]


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


def test_compare_refuses_other_documents_and_other_questions(outputs):
    mine = predicted(outputs, row(1, 0.5), answers(30))
    other = predicted(
        outputs, row(1, 0.5, scheme="IOB2"), [p | {"doc": f"e{p['doc']}"} for p in answers(30)]
    )
    with pytest.raises(
        WorkbookError, match="sample: these runs were tested on different documents"
    ):
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


def test_an_arm_is_named_only_on_the_corpora_it_is_given_for():
    """With also_test, each single-task tagger is scored on the other corpora too.

    Those scores are not the arm's figure there.
    """
    rows = {name: row(1, f1, corpus=name) for name, f1 in (("sample", 0.5), ("sample-gene", 0.6))}
    for made in rows.values():
        made["scores"]["sample-virus"] = made["scores"][made["config"]["corpora"][0]]
        made["data"]["sample-virus"] = {"official": True, "types": ["Gene"]}
    frame = named({"single-task": {name: [made] for name, made in rows.items()}})
    assert set(frame["corpus"]) == {"sample", "sample-gene"}
    assert len(plots.f1_bars(aggregate(frame), anchors(), plt.subplots()[1]).patches) == 2


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

    # a part of a corpus is scored under the corpus's name
    rows = [scored("sample@50%:Gene", **{"sample:Gene": 0.5})]
    assert transfer(rows).loc["sample:Gene", "sample:Gene"] == 0
    rows = [
        scored("sample-gene", sample_gene=0.5),
        scored("sample-virus", sample_virus=0.6),
        scored(["sample-gene", "sample-virus"], sample_gene=0.55, sample_virus=0.5),
    ]
    matrix = transfer(rows)
    assert list(matrix.index) == ["sample-gene", "sample-virus", "sample-gene + sample-virus"]
    assert matrix.iloc[2].round(3).to_dict() == {"sample-gene": 0.05, "sample-virus": -0.1}
    assert matrix.loc["sample-gene", "sample-gene"] == 0
    assert math.isnan(matrix.loc["sample-gene", "sample-virus"])
    assert plots.transfer_matrix(matrix, plt.subplots()[1]).get_xlabel() == "tested on"
    with pytest.raises(WorkbookError, match="no single-task tagger"):
        transfer(rows[2:])


def test_figures_of_what_was_varied():
    import numpy as np

    grid = pd.DataFrame(
        [[0.5, 0.6], [0.7, 0.65]], index=[0.5, 1.0], columns=[0.5, 1.0]
    ).rename_axis(index="Gene", columns="Disease")
    surface = plots.weight_surface(grid, plt.figure().add_subplot(projection="3d"))
    assert surface.get_zlabel().startswith("dev F1")
    assert surface.get_xlabel() == "\u03bb Disease"
    frame = plots.weight_heatmap(grid, plt.subplots()[1]).patches[-1]
    assert frame.get_xy() == (0, 1), "the best is framed"
    points = pd.DataFrame(
        {"sentences": [10, 100] * 2, "f1": [0.1, 0.2, 0.3, 0.4], "name": ["a", "a", "b", "b"]}
    )
    assert [
        t.get_text() for t in plots.share_curve(points, plt.subplots()[1]).get_xticklabels()
    ] == ["10", "100"]
    split = [Sentence(["x", "y"], ["B-Gene", "O"], "d"), Sentence(["z"], ["O"], "d")]
    weights = [
        np.array([[[0.0, 0.4]], [[1.0, 0.5]]]),
        np.array([[[0.6]], [[0.7]]]),
    ]  # two heads, one source
    places = weights_by_place(split, weights, ["Gene", "Virus"], ["Virus"], ["Gene"])
    assert places.loc[("Gene", "in Gene"), "Virus"] == 0.0
    assert places.loc[("Gene", "elsewhere"), "Virus"] == pytest.approx(0.5)
    labels = plots.sharing_weights(places, plt.subplots()[1]).get_yticklabels()
    assert [t.get_text() for t in labels][1:3] == ["Gene head, elsewhere", "Virus head, in Gene"]


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


def test_figures_are_drawn_from_rows(outputs):
    rows = [
        row(s, 0.5 + s / 50, corpus=c, epochs=e)
        for s in (1, 2)
        for c in ("sample", "sample-gene", "sample:Gene")
        for e in (2, 3)
    ]
    table = aggregate(results(rows))
    bars = plots.f1_bars(table, anchors(), plt.subplots()[1])
    assert bars.get_ylabel() == "test F1 (strict spans, x 100)"
    assert len(bars.patches) == 6
    curve = pd.DataFrame(
        {"name": ["mask", "mask", "negative"], "ratio": [0, 1, 1], "recall": [0.8, 0.7, 0.5]}
    )
    ax = plots.ratio_curve(curve, plt.subplots()[1], "recall", legend=False)
    assert ax.get_legend() is None
    assert [list(line.get_ydata()) for line in ax.lines if len(line.get_ydata())] == [
        [80, 70],
        [50],
    ]
    tried = pd.DataFrame(
        {
            "dev F1": [0.5, 0.4, 0.7, float("nan")],
            "state": ["complete", "pruned", "complete", "fail"],
        }
    )
    best = plots.trials(tried, plt.subplots()[1]).lines[0].get_ydata()
    assert list(best) == [50, 50, 70, 70]
    assert plots.f1_heatmap(table, plt.subplots()[1])
    assert plots.dev_curves(rows, plt.subplots()[1]).get_xlabel() == "epoch"
    assert (
        plots.error_kinds({"a": {"boundary": 2, "missed": 1}}, plt.subplots()[1])
        .get_xlabel()
        .startswith("errors")
    )
    with pytest.raises(WorkbookError, match="three spokes"):
        plots.f1_radar(
            aggregate(results([row(1, 0.5)])), plt.subplots(subplot_kw={"projection": "polar"})[1]
        )
    one_arm = aggregate(
        results(
            [
                row(s, 0.5, corpus=c)
                for s in (1, 2)
                for c in ("sample", "sample-gene", "sample:Gene")
            ]
        )
    )
    one_arm["name"] = "same"
    assert (
        len(
            plots.f1_radar(
                one_arm, plt.subplots(subplot_kw={"projection": "polar"})[1]
            ).get_xticks()
        )
        == 3
    )
    path = plots.save_figure(bars.figure, "90_f1")
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert path.with_suffix(".pdf").read_bytes()[:4] == b"%PDF"


def test_corpus_figures():
    corpora = [load_corpus("sample"), load_corpus("sample-gene")]
    for draw in (
        corpus_plots.split_sizes,
        corpus_plots.sentence_lengths,
        corpus_plots.types_matrix,
        corpus_plots.label_balance,
    ):
        assert draw(corpora, plt.subplots()[1]) is not None
    assert (
        corpus_plots.pieces_per_word({"a": [1, 2, 9]}, plt.subplots()[1]).get_ylabel()
        == "share of words"
    )


def test_anchors_are_published_figures_with_their_source():
    frame = anchors()
    assert frame["f1"].between(0.5, 1).all()
    assert frame["source"].notna().all()
    assert frame.set_index(["corpus", "type", "system"]).loc[
        ("ncbi-disease", "Disease", "BioLinkBERT"), "f1"
    ] == pytest.approx(0.8818)


def test_inspection():
    sample = load_corpus("sample")
    frame = summary([sample, load_corpus("sample-gene")])
    assert frame.loc[0, "documents"] == 56
    assert frame.loc[0, "sentences"] == 336
    assert "Gene 354" in frame.loc[0, "mentions"]
    assert {"MS", "lead", "cold"} <= set(ambiguous_surfaces(sample).index)
    assert duplicates([sample]).loc["sample", "sample"] == 0
    assert 0.2 < seen_in_train(sample) < 0.5
    split = [
        Sentence(["a", "b", "c"], ["O", "B-Gene", "I-Gene"], "d"),
        Sentence(["a"], ["B-Gene"], "d"),
    ]
    pieces = [[[1], [2, 2], [3]], [[1]]]
    assert pieces_by_place(split, pieces) == {"inside mentions": [2, 1, 1], "outside": [1]}
    assert [lost_by_cutting(split, pieces, room) for room in (0, 1, 3, 4)] == [2, 1, 1, 0]


def test_what_an_arm_is_called():
    from bioner_lib.board.results import arm_name

    def called(scored_on="sample", **fields):
        return arm_name(RunConfig(**{"corpora": "sample"} | fields), scored_on)

    assert called() == "minilm per-type single-task"
    assert called(encoder="/models/mine/tiny", seed=7) == "tiny per-type single-task"
    assert (
        called(corpora=["sample-gene", "sample-virus"])
        == "minilm per-type multi-task (sample-gene + sample-virus)"
    )
    assert (
        called(scored_on="bc2gm", corpora="/data/my corpus")
        == "minilm per-type single-task (my corpus)"
    )
    assert called(system="dictionary", limit=60) == "dictionary limit=60"
    assert called(decoder="crf", epochs=3) == "minilm per-type single-task decoder=crf epochs=3"
    parents = {"start_from": {"name": "first-minilm"}}
    assert arm_name(RunConfig(corpora="sample", start_from="x"), "sample", parents).endswith(
        "start_from=first-minilm"
    )


def test_results_line_by_line():
    made = row(3, 0.5, corpus="sample") | {"name": "mine"}
    config = RunConfig(corpora=["sample", "sample-gene"], seed=1)
    both = {"run_id": config.run_id, "config": config.as_dict()}
    both["scores"] = {
        name: {"test": row(1, 0.6)["scores"]["sample"]["test"] | {"not_asked": ["Virus"]}}
        for name in ("sample", "sample-gene")
    }
    both["data"] = {
        name: {"official": name == "sample", "types": ["Gene", "Virus"]} for name in both["scores"]
    }
    frame = results([made, both])
    assert frame["type"].tolist() == ["Gene", "micro", "macro", "Gene", "Gene"]
    assert frame["task"].tolist() == ["single-task"] * 3 + ["multi-task"] * 2
    assert frame["name"].iloc[0] == "mine"
    assert frame["official"].tolist() == [True, True, True, True, False]
    assert frame["seed"].tolist() == [3, 3, 3, 1, 1]
    assert frame["trained_on"].iloc[-1] == "sample + sample-gene"
    with pytest.raises(WorkbookError, match=r"^no finished runs yet; run 30_single_task first"):
        results([])


def test_the_boards_markdown_to_the_letter():
    rows = [
        row(seed, f1, corpus=corpus)
        for seed, f1 in ((1, 0.5), (2, 0.6))
        for corpus in ("sample-gene", "sample")
    ]
    rows += [row(1, 0.7, corpus="sample", system="dictionary", support=9)]
    assert markdown(aggregate(results(rows))).splitlines() == [
        "| system | runs | sample Gene | sample-gene Gene |",
        "|---|---|---|---|",
        "| dictionary | 1 | N/A |  |",
        "| minilm per-type single-task | 2 | 55.0 ± 7.1 | 55.0 ± 7.1 |",
    ]


def test_by_type_to_the_letter():
    made = [row(seed, f1) | {"name": "mask"} for seed, f1 in ((1, 0.5), (2, 0.6))] + [
        row(1, 0.9, scheme="IOB2") | {"name": "negative"}
    ]
    assert by_type(results(made), ["Gene"]).splitlines() == [
        "| arm | runs | Gene F1 | Gene recall |",
        "|---|---|---|---|",
        "| negative | 1 | 90.0 | 90.0 |",
        "| mask | 2 | 55.0 ± 7.1 | 55.0 ± 7.1 |",
    ]


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


def test_repetitions_are_looked_for_where_they_are_said_to_be(outputs, tmp_path):
    config = save_row(tmp_path / "elsewhere", row(1, 0.5) | {"device": {"precision": "fp32"}})
    assert repetitions(config) == []
    with environment(BIONER_OUTPUTS=tmp_path / "elsewhere"):
        assert len(repetitions(config)) == 1
    save_row(outputs, row(1, 0.5, system="dictionary") | {"device": {"precision": "none"}})
    assert (
        len(repetitions(RunConfig(corpora="sample", system="dictionary", seed=2, precision="fp32")))
        == 1
    )


def test_published_rows_are_the_runs_own(outputs, published):
    made = row(1, 0.5)
    save_row(outputs, made)
    (path,) = publish([made["run_id"]])
    assert path.parent == published
    assert json.loads(path.read_text()) == made


def test_the_board_is_left_in_three_forms(outputs):
    table = write_leaderboard([row(1, 0.5), row(2, 0.7)])
    held = pd.read_csv(outputs / "leaderboard.csv")
    assert "Unnamed: 0" not in held.columns
    assert held["f1_mean"].tolist() == pytest.approx(table["f1_mean"].tolist())
    raw = json.loads((outputs / "leaderboard.json").read_text())
    assert raw["aggregated"][0]["values"] == [0.5, 0.7]
    assert (outputs / "leaderboard.md").read_text().startswith(markdown(table))


def test_budgets_tell_encoders_apart_by_learning_rate_only():
    check_budgets([row(1, 0.5, encoder="bert"), row(1, 0.5)])
    with pytest.raises(WorkbookError, match="batch_size differs"):
        check_budgets([row(1, 0.5, encoder="bert", batch_size=8), row(1, 0.5)])


def test_the_boards_order_runs_and_notes():
    """Arms are sorted by their mean over types; a star and a note mark an incomplete split."""

    def with_types(made, **f1):
        measures = made["scores"]["sample"]["test"]["types"]["Gene"]
        made["scores"]["sample"]["test"]["types"] = {
            name: measures | {"f1": value} for name, value in f1.items()
        }
        return made

    low = [with_types(row(seed, 0.5), Gene=0.2, Virus=0.2, micro=0.9) for seed in (1, 2)]
    high = [with_types(row(1, 0.5, decoder="crf"), Gene=0.3, Virus=0.3, micro=0.1)]
    low.append(row(1, 0.2, corpus="sample-gene", official=False))
    text = board_text(aggregate(results(low + high)))
    lines = text.splitlines()
    assert lines[2].startswith("| minilm per-type single-task decoder=crf | 1 | 30.0 |")
    assert lines[3].startswith("| minilm per-type single-task | 1-2 | 20.0 ± 0.0 |")
    assert lines[3].endswith("20.0 * |")
    assert text.splitlines()[-1].startswith(
        "\\* on a limited split, a corpus of your own, or one whose test split"
    )
    assert "\\*" not in board_text(aggregate(results(high)))


def test_a_run_that_was_trained_on_a_corpus_speaks_for_it(outputs):
    """Beside a run that is scored there too, whichever comes first."""
    trained, visiting = row(1, 0.5, corpus="sample-gene"), row(1, 0.6)
    trained["scores"]["sample-gene"]["dev"] = trained["scores"]["sample-gene"]["test"]
    visiting["scores"]["sample-gene"] = {"test": trained["scores"]["sample-gene"]["test"]}
    configs = [save_row(outputs, made) for made in (visiting, trained)]
    for order in (configs, configs[::-1]):
        assert [made["run_id"] for made in finals(order)["sample-gene"]] == [trained["run_id"]]


def test_arms_without_a_seed_in_common_are_not_comparable():
    one, two = ({"sample": [row(seed, 0.5)]} for seed in (1, 2))
    assert not comparable(one, two)
    assert comparable(one, one)


def test_types_stand_in_the_order_that_is_asked_for():
    made = row(1, 0.5) | {"name": "mask"}
    made["scores"]["sample"]["test"]["types"]["Antigen"] = made["scores"]["sample"]["test"][
        "types"
    ]["Gene"]
    assert by_type(results([made]), ["Gene", "Antigen"]).startswith(
        "| arm | runs | Gene F1 | Antigen F1 |"
    )


def test_the_chosen_epochs_dev_score():
    assert (
        best_dev(
            {"history": [{"dev": {"mean": 0.2}}, {"dev": {"mean": 0.4}}, {"dev": {"mean": 0.3}}]}
        )
        == 0.4
    )


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
