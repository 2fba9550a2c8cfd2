"""Figures: what they draw from rows and corpora, and what their axes say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_rows import row

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.board import plots
from bioner_lib.board.plots import weights_by_place
from bioner_lib.board.tables import (
    aggregate,
    anchors,
    results,
)
from bioner_lib.corpora.text import Sentence
from bioner_lib.models import plan_heads


def test_figures_of_what_was_varied():
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
    assert places.loc[("Gene", "outside Gene"), "Virus"] == pytest.approx(0.5)
    labels = plots.sharing_weights(places, plt.subplots()[1]).get_yticklabels()
    assert [t.get_text() for t in labels][1:3] == ["Gene head, outside Gene", "Virus head, in Gene"]


def test_figures_are_drawn_from_rows(outputs):
    rows = [
        row(s, 0.5 + s / 50, corpus=c, epochs=e)
        for s in (1, 2)
        for c in ("sample", "sample-gene", "sample:Gene")
        for e in (2, 3)
    ]
    table = aggregate(results(rows))
    bars = plots.f1_means(table, anchors(), plt.subplots()[1])
    assert bars.get_ylabel() == "test F1 (strict spans, x 100)"
    assert len(bars.containers) == 6
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
    ax = plots.error_kinds({"a": {"split": 3, "merged": 1}}, plt.subplots()[1])
    assert max(bar.get_x() + bar.get_width() for bar in ax.patches) == 4, "no kind is left out"
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
    polar = {"subplot_kw": {"projection": "polar"}}
    twins = pd.concat([one_arm, one_arm.assign(name="twin")])
    for table in (one_arm, twins):
        with pytest.raises(WorkbookError, match="a radar compares systems"):
            plots.f1_radar(table, plt.subplots(**polar)[1])
    better = one_arm.assign(name="other", f1_mean=0.6)
    ax = plots.f1_radar(pd.concat([one_arm, better]), plt.subplots(**polar)[1])
    assert len(ax.get_xticks()) == 3
    assert len(ax.get_lines()) == 2
    path = plots.save_figure(bars.figure, "90_f1")
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert path.with_suffix(".pdf").read_bytes()[:4] == b"%PDF"


def test_of_many_corpora_and_types_a_figure_has_one_line_per_corpus():
    types = ["micro", "macro", *"ABCDEFG"]
    names, corpora = ("one", "two"), ("x", "y", "z")
    lines = [
        {
            "name": name,
            "corpus": corpus,
            "type": type,
            "f1_mean": 0.5 + 0.1 * (name == "two"),
            "f1_sd": 0.0,
            "runs": 1,
            "values": [0.5],
            "official": False,
        }
        for name in names
        for corpus in corpora
        for type in types
    ]
    table, polar = pd.DataFrame(lines), {"subplot_kw": {"projection": "polar"}}
    drawn = [
        plots.f1_radar(table, plt.subplots(**polar)[1]),
        plots.f1_heatmap(table, plt.subplots()[1]),
    ]
    for ax in drawn:
        labels = [label.get_text() for label in ax.get_xticklabels()]
        assert labels == ["x\nmicro", "y\nmicro", "z\nmicro"]
    means = plots.f1_means(table, anchors(), plt.subplots()[1])
    assert [label.get_text() for label in means.get_xticklabels()] == labels
    few = plots.f1_heatmap(table[table["corpus"] == "x"], plt.subplots()[1])
    assert len(few.get_xticklabels()) == 8, "seven types and micro"


def published(system, f1, comparable, corpus="sample", metric="strict span F1"):
    line = {"corpus": corpus, "type": "Gene", "system": system, "f1": f1, "source": "a paper"}
    return line | {"comparable": comparable, "metric": metric}


def test_published_figures_that_are_not_comparable_are_hollow():
    table = aggregate(results([row(1, 0.7), row(1, 0.6, corpus="sample-gene")]))
    lines = [published("fair", 0.81, True), published("other", 0.92, False, metric="accuracy")]
    lines.append(published("fair", 0.83, False, corpus="sample-gene"))
    lines.append(published("elsewhere", 0.9, True, corpus="bc2gm"))
    ax = plots.f1_means(table, pd.DataFrame(lines), plt.subplots()[1])
    marks = {}
    for line in ax.lines:
        if line.get_color() == "0.35" and len(line.get_ydata()):
            marks[round(float(line.get_ydata()[0]))] = line
    assert {y: line.get_markerfacecolor() for y, line in marks.items()} == {
        81: "0.35",
        92: "none",
        83: "none",
    }
    assert marks[81].get_marker() == marks[83].get_marker() != marks[92].get_marker()
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told[0] == "minilm per-type single-task", "our own systems come first"
    assert {"fair, a paper", "other, a paper (accuracy)"} <= set(told)
    assert "hollow: published under another protocol, not comparable" in told
    assert "elsewhere, a paper" not in told
    fair = plots.f1_means(table, pd.DataFrame(lines[:1]), plt.subplots()[1])
    assert not [t for t in fair.get_legend().get_texts() if "hollow" in t.get_text()]


def test_dots_show_intervals_beside_published_figures():
    line = {"name": "ours", "type": "Gene", "official": True, "low": 0.6, "f1": 0.7, "high": 0.75}
    other = line | {"name": "other", "low": 0.4, "f1": 0.5, "high": 0.6}
    frame = pd.DataFrame([line | {"corpus": c} for c in ("sample", "sample-gene")])
    frame = pd.concat([frame, pd.DataFrame([other | {"corpus": "sample", "official": False}])])
    anchors = [published("fair", 0.81, True), published("fair", 0.9, False, corpus="sample-gene")]
    ax = plots.f1_dots(frame, pd.DataFrame(anchors), plt.subplots()[1])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["sample Gene", "sample-gene Gene"]
    bars = [c.get_segments()[0] for c in ax.collections]
    assert [[round(x) for x, _ in bar] for bar in bars] == [[60, 75], [60, 75], [40, 60]]
    grey = [line for line in ax.lines if line.get_color() == "0.35" and len(line.get_xdata())]
    assert [(line.get_xdata()[0], line.get_markerfacecolor()) for line in grey] == [(90, "none")]
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == [
        "ours",
        "other",
        "fair, a paper",
        "hollow: published under another protocol, not comparable",
    ]
    assert ax.get_xlabel() == "test F1 (strict spans, x 100)"


def test_many_systems_have_a_row_each():
    line = {"corpus": "sample", "type": "Gene", "official": True, "low": 0.6, "high": 0.9}
    frame = pd.DataFrame([line | {"name": f"arm {k}", "f1": 0.7 + k / 100} for k in range(8)])
    other = frame[:2].assign(corpus="sample-gene", official=False)
    frame = pd.concat([frame, other])
    anchors = pd.DataFrame([published("fair", 0.81, True)])
    ax = plots.f1_dots(frame, anchors, plt.subplots()[1])
    rows = {label.get_text(): label for label in ax.get_yticklabels()}
    assert [*rows][:3] == ["sample Gene", "arm 7", "arm 6"]
    assert [name for name in rows if rows[name].get_fontweight() == "bold"] == [
        "sample Gene",
        "sample-gene Gene",
    ]
    assert len(ax.get_yticks()) == 12, "an arm has a row only where it was tested"
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["fair, a paper"], "rows need no colours"
    assert plots.f1_dots_height(frame) > plots.f1_dots_height(frame[:3])


def test_every_published_system_has_its_own_mark():
    systems = [published(f"system {k}", 0.8, True) for k in range(16)]
    table = aggregate(results([row(1, 0.7)]))
    ax = plots.f1_means(table, pd.DataFrame(systems), plt.subplots()[1])
    drawn = [line.get_marker() for line in ax.lines if line.get_label().startswith("system")]
    assert len(set(drawn)) == len(drawn) == 16
    assert anchors()["system"].nunique() <= 16, "a mark of its own for every system"
    limited = aggregate(results([row(1, 0.7, official=False)]))
    ax = plots.f1_means(limited, pd.DataFrame(systems), plt.subplots()[1])
    assert not [line for line in ax.lines if line.get_label().startswith("system")]


def test_corpus_figures():
    corpora = [load_corpus("sample"), load_corpus("sample-gene")]
    for draw in (
        plots.split_sizes,
        plots.types_matrix,
        plots.mention_lengths,
    ):
        assert draw(corpora, plt.subplots()[1]) is not None
    assert (
        plots.pieces_per_word({"a": [1, 2, 9]}, plt.subplots()[1]).get_ylabel() == "share of words"
    )


def test_corpora_at_a_glance_show_every_value_and_what_is_missing():
    table = pd.DataFrame({"a (%)": [1.25, np.nan], "b": [40, 0]}, index=["x", "y"])
    _, axes = plt.subplots(1, 2)
    plots.portraits(table, axes)
    told = [[text.get_text() for text in ax.texts] for ax in axes]
    assert told == [["1.2", "–"], ["40", "0"]]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["x", "y"]
    assert [ax.get_title(loc="left") for ax in axes] == ["a (%)", "b"]
    nothing = pd.DataFrame({"a": [np.nan]}, index=["x"])
    [text] = plots.portraits(nothing, [plt.subplots()[1]])[0].texts
    assert text.get_text() == "–"


def test_pairs_of_corpora_tell_zero_from_unknown():
    table = pd.DataFrame([[0, np.nan], [1_234, 5]], index=["x", "y"], columns=["x", "y"])
    ax = plots.pair_matrix(table, plt.subplots()[1])
    assert sorted(text.get_text() for text in ax.texts if text.get_text()) == [
        "0",
        "1,234",
        "5",
        "–",
    ]
    unknown = pd.DataFrame([[np.nan]], index=["x"], columns=["x"])
    assert [t.get_text() for t in plots.pair_matrix(unknown, plt.subplots()[1]).texts] == ["–"]


def test_facets_have_a_row_for_each_of_many_arms():
    rows = [row(s, 0.4 + k / 100, epochs=k) for s in (1, 2, 3) for k in range(1, 31)]
    rows += [row(1, 0.9, corpus="sample-gene", epochs=1)]
    table = aggregate(results(rows))
    pairs = plots.facets(table)
    assert pairs == [("sample", "Gene"), ("sample-gene", "Gene")]
    axes = plots.f1_facets(table).axes
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert len(names) == 30, "a single-task arm has one name on all corpora"
    assert [len(ax.containers) for ax in axes] == [30, 1]
    assert names[0].endswith("epochs=30") and names[-1].endswith("epochs=1")
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1], "the best arm stands on top"
    assert len(axes[1].get_yticks()) == 1, "a panel has its own arms only"
    apart = table.assign(name=["x" * 40 + name + "y" * 40 for name in table["name"]])
    others = plots.f1_facets(apart).axes
    shown = {label.get_text() for label in others[0].get_yticklabels()}
    assert len(shown) == 30, "long names that differ in their middle stay apart"
    far = aggregate(results([row(s, f1) for s, f1 in enumerate((0.9, 0.02, 0.9))]))
    [ax] = plots.f1_facets(far).axes
    assert ax.get_xlim()[0] < 2 < 90 < ax.get_xlim()[1], "every seed is inside the panel"


def test_the_network_shows_which_corpora_teach_each_head():
    names = ["sample@1/2:Gene", "sample@2/2:Disease", "sample-disease"]
    corpora = [load_corpus(name) for name in names]
    plans = plan_heads("per-type", corpora)
    ax = plots.network(plans, corpora, plt.subplots()[1], "minilm")
    squares = {}
    for line in ax.get_lines():
        squares.setdefault(line.get_ydata()[0], []).append(line.get_color())
    assert [len(squares[y]) for y in sorted(squares, reverse=True)] == [1, 2]
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("head Gene") == texts.count("one shared\nminilm") == 1
    private = plots.network(plans, corpora, plt.subplots()[1], sharing="private")
    assert [text.get_text() for text in private.texts].count("private") == 2
