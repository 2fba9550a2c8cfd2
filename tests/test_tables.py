"""Rows as tables: one line per run, corpus and type; arms, their names and published figures."""

import csv
import math
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from made_rows import in_precision, row

from bioner_lib import CORPORA, RunConfig, WorkbookError
from bioner_lib.board import plots, tables
from bioner_lib.board.arm_names import arm_name, short_names
from bioner_lib.board.leaderboard import markdown
from bioner_lib.board.tables import (
    aggregate,
    anchors,
    apart_by_corpus,
    by_ratio,
    last_phases,
    learning,
    named,
    only_corpora,
    results,
)


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
    assert len(plots.f1_means(table, anchors(), plt.subplots()[1]).containers) == 4
    alone = results([row(1, 0.6), in_precision(row(2, 0.6), "auto")])
    assert set(alone["name"]) == {"minilm per-type single-task"}, "nothing to tell apart"


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


def test_no_rows_is_an_error():
    with pytest.raises(WorkbookError, match="no finished runs yet"):
        results([])


def test_a_list_in_an_arms_name_is_one_word():
    config = RunConfig(
        corpora="sample", also_test="sample-gene", chosen_on=["sample", "sample-gene"]
    )
    assert arm_name(config, "sample").endswith("single-task chosen_on=sample+sample-gene")


def test_corpora_are_never_averaged_as_if_they_were_seeds():
    """A run scored on two corpora with one type has two figures; views of one corpus have one."""
    made = row(1, 0.5)
    made["scores"]["sample-gene"] = {
        "test": {"types": {"Gene": made["scores"]["sample"]["test"]["types"]["Gene"] | {"f1": 0.9}}}
    }
    made["data"]["sample-gene"] = made["data"]["sample"]
    made["name"] = "mask"
    frame = results([made])
    apart = apart_by_corpus(frame[frame["type"] == "Gene"])
    assert dict(zip(apart["type"], apart["f1"], strict=True)) == {
        "Gene on sample": 0.5,
        "Gene on sample-gene": 0.9,
    }
    assert apart_by_corpus(frame.assign(corpus="sample"))["type"].unique().tolist() == [
        "Gene",
        "micro",
        "macro",
    ]
    views = frame[frame["type"] == "Gene"].assign(corpus=["sample:Gene", "sample:Gene+Virus"])
    assert apart_by_corpus(views)["f1"].tolist() == [0.5], "the same test text twice is one score"


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
    assert len(plots.f1_means(aggregate(frame), anchors(), plt.subplots()[1]).containers) == 2


def test_anchors_are_published_figures_with_their_source():
    frame = anchors()
    assert frame["f1"].between(0.5, 1).all()
    for column in ("system", "metric", "split", "protocol", "source"):
        assert (frame[column] != "").all(), column
    unpublished = frame["source"] == "its README"
    assert frame.loc[~unpublished, "url"].str.startswith("https://").all()
    assert not frame.duplicated(["corpus", "type", "system"]).any()
    f1 = frame.set_index(["corpus", "type", "system"])["f1"]
    for form in ("ncbi-disease", "ncbi-disease-pubtator"):
        assert f1[form, "Disease", "BioLinkBERT"] == pytest.approx(0.8818)


def test_anchors_stand_for_registered_corpora_and_types():
    for line in anchors().itertuples():
        types = [type for type in CORPORA[line.corpus]["labels"].values() if type]
        assert line.type in {*types, *(["micro"] if len(types) > 1 else [])}, line


def test_an_anchor_is_comparable_or_says_why_not():
    frame = anchors()
    assert set(frame["comparable"]) == {True, False}
    assert ((frame["why"] == "") == frame["comparable"]).all()
    fair = frame[frame["comparable"]]
    assert set(fair["metric"]) == {"strict span F1"}
    assert set(fair["split"]) == {"official test"}
    assert fair["protocol"].str.contains("trained on train, chosen on dev").all()
    text = (Path(tables.__file__).parent / "anchors.csv").read_text(encoding="utf-8")
    assert {line["comparable"] for line in csv.DictReader(text.splitlines())} == {"yes", "no"}
    forms = {corpus.removesuffix("-pubtator") for corpus in fair["corpus"]}
    assert forms == {"bc5cdr", "ncbi-disease", "bc2gm"}, "JNLPBA's lack types"


def test_names_of_arms():
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


def test_last_phases_leave_out_first_ones_and_what_forgot_half():
    alone, first = row(1, 0.5, decoder="crf"), row(2, 0.5)
    second = row(2, 0.4, start_from=first["run_id"])
    second["parents"] = {"start_from": {"run_id": first["run_id"], "arm": "a", "phases": []}}
    lost = {"before": 0.5, "after": 0.4, "forgotten": 0.1}
    second["forgotten"] = {"sample": {"Gene": lost}}
    assert last_phases([alone, first, second]) == [alone, second]
    second["forgotten"]["sample"]["Gene"] = lost | {"after": 0.2, "forgotten": 0.3}
    assert last_phases([alone, first, second]) == [alone]


def test_an_arm_stays_or_goes_with_all_of_its_seeds():
    """Else a mean over the seeds that are left would be chosen by their test scores."""
    firsts = [row(seed, 0.5, decoder="crf") for seed in (1, 2, 3)]
    seconds = []
    for first, after in zip(firsts, (0.4, 0.45, 0.2), strict=True):
        second = row(first["config"]["seed"], after, start_from=first["run_id"])
        second["parents"] = {"start_from": {"run_id": first["run_id"], "arm": "a", "phases": []}}
        lost = {"before": 0.5, "after": after, "forgotten": 0.5 - after}
        second["forgotten"] = {"sample": {"Gene": lost}}
        seconds.append(second)
    assert last_phases([*firsts, *seconds]) == seconds, "the mean lost 0.15 of 0.5"
    assert last_phases([*firsts, seconds[0]]) == [*firsts, seconds[0]], "two seeds go no further"
    for second in seconds[:2]:
        second["forgotten"]["sample"]["Gene"]["forgotten"] = 0.3
    assert last_phases([*firsts, *seconds]) == []


def test_what_learned_from_a_part_does_not_stand_beside_published_figures():
    whole, part, other = (row(1, 0.5, corpus="sample") for _ in range(3))
    part["config"] = part["config"] | {"corpora": ["sample@25%", "sample-gene@40"]}
    other["config"] = other["config"] | {"corpora": ["sample-gene@40"]}
    later = row(1, 0.5) | {
        "parents": {"start_from": {"arm": "x", "name": "x", "phases": [part["config"]]}}
    }
    official = [results([made])["official"].all() for made in (whole, part, other, later)]
    assert official == [True, False, True, False], "a part of another corpus changes nothing"


def test_a_part_with_labels_of_a_lexicon_is_a_part():
    made = row(1, 0.5, corpus="sample")
    made["config"]["corpora"] = ["sample-25--labelled"]
    text = {"text": {"source": "training sentences of sample@25%"}}
    made["data"]["sample-25--labelled"] = {"official": False, "source": text}
    assert not results([made])["official"].any()
    text["text"]["source"] = "training sentences of sample"
    assert results([made])["official"].all()


def test_a_first_phase_on_a_limited_corpus_counts_as_a_part():
    made = row(1, 0.5, corpus="sample")
    first = RunConfig(corpora="sample:Gene", limit=5).as_dict()
    made["parents"] = {
        "start_from": {"run_id": "x", "arm": "a", "name": "first", "phases": [first]}
    }
    assert not results([made])["official"].any()
    assert results([row(1, 0.5, corpus="sample")])["official"].all()


def test_what_second_phases_forget_is_a_table_and_a_figure():
    import matplotlib.pyplot as plt

    from bioner_lib.board import forgotten, plots

    lost = {"before": 0.8, "after": 0.1, "forgotten": 0.7}
    rows = [
        {"config": {"seed": seed}, "forgotten": {"bc5cdr": {"Chemical": lost, "micro": lost}}}
        for seed in (13, 42)
    ]
    alone = {"bc5cdr": [{"config": {"seed": 13}}]}
    frame = forgotten({"one head": {"bc5cdr": rows, "nlm-gene": rows}, "heads": alone})
    assert frame[["name", "seed", "corpus", "type", "forgotten"]].to_numpy().tolist() == [
        ["one head", 13, "bc5cdr", "Chemical", 0.7],
        ["one head", 42, "bc5cdr", "Chemical", 0.7],
    ]
    _, ax = plt.subplots()
    plots.forgetting(frame, ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one head, Chemical"]
    assert "+70.0" in [text.get_text() for text in ax.texts]
    plt.close("all")
    assert forgotten({"heads": alone}).empty


def test_arms_of_silver_text_by_their_ratio():
    names = ["mask 1:1", "mask per-type 4:1", "gold only", "gold only per-type", "in turn"]
    found = by_ratio(pd.DataFrame({"name": names, "f1": [1, 2, 3, 4, 5]}))
    lines = found[["name", "ratio", "f1"]].itertuples(index=False, name=None)
    assert set(lines) == {
        ("mask", 1, 1),
        ("mask per-type", 4, 2),
        ("mask", 0, 3),
        ("mask per-type", 0, 4),
    }


def test_learning_curves_from_rows_of_parts_of_one_corpus():
    def part(corpora, sentences, f1, **config):
        made = row(13, f1, **config)
        made["config"]["corpora"] = [corpora]
        made["scores"]["sample"]["dev"] = made["scores"]["sample"]["test"]
        made["data"]["sample"]["sentences"] = {"train": sentences}
        return made

    rows = [part("sample@1/2", 5, 0.4), part("sample", 10, 0.6), part("sample", 10, 0.7, epochs=1)]
    frame = learning([*rows, row(1, 0.2, system="dictionary")])
    assert frame["sentences"].tolist() == [5, 10]
    assert frame["f1"].tolist() == [0.4, 0.6]
    assert frame["name"].nunique() == 1
    assert len(learning([])) == 0
    halves = [in_precision(part("sample@1/2", 5, 0.4), "bf16")]
    assert len(learning([*halves, in_precision(rows[1], "fp32")])) == 0, "two arms of one size each"
    taught = {"teacher": {"run_id": "t", "arm": "t", "name": "one slug", "phases": []}}
    other = {"teacher": {**taught["teacher"], "arm": "u"}}
    assert len(learning([rows[0] | {"parents": taught}, rows[1] | {"parents": other}])) == 0
    assert len(learning([rows[0] | {"parents": taught}, rows[1] | {"parents": taught}])) == 2


def test_short_names_leave_out_what_all_trained_arms_share():
    names = ["minilm joint limit=9 epochs=3", "minilm joint epochs=3 limit=9 decoder=crf"]
    short, shared = short_names([*names, "dictionary"])
    assert list(short.values()) == ["minilm joint", "minilm joint decoder=crf", "dictionary"]
    assert shared == "limit=9 epochs=3"
    assert short_names(["one epochs=3"]) == ({"one epochs=3": "one epochs=3"}, "")
    assert short_names([]) == ({}, "")
    assert short_names(["dictionary (a)", "m x=1 epochs=3", "n epochs=3"])[1] == "epochs=3"
    weighed = RunConfig(corpora="sample", loss_weights={"Disease": 0.5, "Gene": 2.0}, epochs=3)
    name = arm_name(weighed, "sample")
    assert name.endswith("loss_weights=Disease:0.5+Gene:2.0 epochs=3"), "no blank in a field"
    default = short_names(["minilm joint", "minilm joint epochs=3", "minilm per-type epochs=3"])
    assert default[1] == "", "the first arm has another number of epochs, which its name hides"
