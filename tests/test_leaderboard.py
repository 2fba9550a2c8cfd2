"""The leaderboard: its three files, its order, its notes and who leads."""

import json
import shutil

import pandas as pd
import pytest
from made_rows import answers, predicted, row

from bioner_lib import RunConfig
from bioner_lib.board.comparison import intervals
from bioner_lib.board.leaderboard import (
    board_table,
    board_text,
    leaders,
    markdown,
    write_leaderboard,
)
from bioner_lib.board.tables import (
    aggregate,
    results,
)


def written(rows, **options):
    """The board of these rows, on disk too."""
    table = board_table(rows, **options)
    write_leaderboard(table, rows)
    return table


def test_markdown_hides_what_is_too_few_and_json_keeps_it(outputs):
    other = row(1, 0.75, corpus="sample-gene")
    few = written([row(s, f1, support=9) for s, f1 in ((1, 0.512), (2, 0.5))] + [other])
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


def test_a_leader_has_three_seeds_a_rival_and_an_f1_above_0():
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


def test_the_boards_markdown_to_the_letter():
    rows = [
        row(seed, f1, corpus=corpus)
        for seed, f1 in ((1, 0.5), (2, 0.6))
        for corpus in ("sample-gene", "sample")
    ]
    rows += [row(1, 0.4, system="dictionary"), row(2, 0.9, scheme="IOB2", support=9)]
    tagger = "minilm per-type single-task"
    mean = "55.0 ± 7.1 | 55.0 ± 7.1 | 55.0 ± 7.1"
    assert markdown(aggregate(results(rows))).splitlines() == [
        "| corpus | type | system | runs | precision | recall | F1 |",
        "|---|---|---|---|---|---|---|",
        f"| sample | Gene | {tagger} | 2 | {mean} |",
        "| sample | Gene | dictionary | 1 | 40.0 | 40.0 | 40.0 |",
        f"| sample | Gene | {tagger} scheme=IOB2 | 1 | N/A | N/A | N/A |",
        f"| sample-gene | Gene | {tagger} | 2 | {mean} |",
    ]


def with_accuracy(made, accuracy):
    for splits in made["scores"].values():
        splits["test"]["token_accuracy"] = accuracy
    return made


def test_the_token_accuracy_stands_marked_beside_the_f1_of_its_corpus(outputs):
    rows = [with_accuracy(row(seed, 0.5), 0.96 + seed / 100) for seed in (1, 2)]
    rows += [row(1, 0.6, corpus="sample-gene")]
    rows += [with_accuracy(row(1, 0.4, system="dictionary"), 0.93)]
    table = written(rows)
    lines = (outputs / "leaderboard.md").read_text().splitlines()
    assert lines[0].endswith("| recall | F1 | token accuracy † |")
    assert [line.rsplit("| ", 2)[1:] for line in lines[2:5]] == [
        ["50.0 ± 0.0 ", "97.5 ± 0.7 |"],
        ["40.0 ", "93.0 |"],
        ["60.0 ", " |"],
    ]
    assert any(line.startswith("† share of words with the right tag") for line in lines)
    assert set(pd.read_csv(outputs / "leaderboard.csv")) == set(table) - {"values", "seeds"}
    held = json.loads((outputs / "leaderboard.json").read_text())
    accuracies = [line["token_accuracy"] for line in held["runs"] if line["type"] == "Gene"]
    assert sorted(accuracies, key=str) == [0.93, 0.97, 0.98, None]
    of_taggers = [line["token_accuracy_mean"] for line in held["aggregated"]]
    assert pytest.approx(0.975) in of_taggers
    assert {"precision_mean", "recall_mean", "token_accuracy_sd"} <= set(table)
    assert "†" not in board_text(aggregate(results([row(1, 0.5)])))


def test_the_board_is_written_as_three_files(outputs):
    table = written([row(1, 0.5), row(2, 0.7)])
    held = pd.read_csv(outputs / "leaderboard.csv")
    assert "Unnamed: 0" not in held.columns
    assert held["f1_mean"].tolist() == pytest.approx(table["f1_mean"].tolist())
    raw = json.loads((outputs / "leaderboard.json").read_text())
    assert raw["aggregated"][0]["values"] == [0.5, 0.7]
    assert (outputs / "leaderboard.md").read_text().startswith(markdown(table))


def test_a_star_and_a_note_mark_an_incomplete_split():
    high, low = row(1, 0.5, decoder="crf"), row(1, 0.2, corpus="sample-gene", official=False)
    lines = board_text(aggregate(results([high, low]))).splitlines()
    assert [line.endswith(" * |") for line in lines[2:4]] == [False, True]
    assert lines[-1].startswith(
        "\\* trained on a part, or tested on a limited split, on a corpus of your own, or on one"
    )
    assert "\\*" not in board_text(aggregate(results([high])))


def test_the_board_says_where_seeds_are_too_few_for_a_claim():
    few = board_text(aggregate(results([row(s, 0.5) for s in (1, 2)])))
    assert "**No claim**: 1 of 1 systems have fewer than 3 runs" in few
    enough = [row(s, 0.5) for s in (1, 2, 3)] + [row(1, 0.4, system="dictionary")]
    assert "No claim" not in board_text(aggregate(results(enough)))


def test_a_board_without_a_test_split_has_no_intervals(outputs):
    made = row(1, 0.5)
    made["scores"]["sample"] = {"dev": made["scores"]["sample"]["test"]}
    table = board_table([made], with_intervals=True)
    assert "95 % interval" in board_text(table)
    assert len(table) == len(board_table([made]))


def test_a_line_keeps_its_interval_where_another_lost_its_predictions(outputs):
    device = {"device": {"name": "x", "threads": 1}}
    rows = []
    for seed, precision in ((1, "fp32"), (2, "bf16")):
        made = row(seed, 0.5) | {"device": device["device"] | {"precision": precision}}
        rows.append(predicted(outputs, made, answers(30)))
    shutil.rmtree(outputs / "runs" / rows[1]["run_id"] / "predictions")
    table = board_table(rows, with_intervals=True)
    genes = table[table["type"] == "Gene"].set_index("name")
    assert sorted(genes["low"].isna()) == [False, True]


def test_an_interval_and_its_mean_are_of_the_same_runs(outputs):
    """With two of three seeds counted, the interval could lie beside the mean of all three."""
    rows = [predicted(outputs, row(seed, 0.5), answers(30)) for seed in (1, 2, 3)]
    assert board_table(rows, with_intervals=True)["low"].notna().any()
    shutil.rmtree(outputs / "runs" / rows[2]["run_id"] / "predictions")
    table = board_table(rows, with_intervals=True)
    assert set(table["runs"]) == {3}
    assert table["low"].isna().all()


def test_the_epochs_of_a_leader_are_those_of_all_phases():
    def phased(f1, **config):
        first = RunConfig(corpora="sample", epochs=20, **config).as_dict()
        parent = {"run_id": "x", "arm": "a", "name": "first", "phases": [first]}
        made = [row(seed, f1, epochs=10, **config) for seed in (1, 2, 3)]
        return [one | {"parents": {"start_from": parent}} for one in made]

    assert set(leaders([*phased(0.8), *phased(0.7, scheme="IOB2")])["epochs"]) == {30}


def test_the_board_can_show_intervals(outputs):
    rows = [predicted(outputs, row(1, 0.5), answers(30)), row(1, 0.3, scheme="IOB2")]
    table = written(rows, with_intervals=True)
    [found] = intervals(rows[:1]).itertuples()
    of_gene = table[(table["type"] == "Gene") & (table["f1_mean"] == 0.5)].iloc[0]
    assert (of_gene["low"], of_gene["high"]) == (found.low, found.high)
    without_predictions = table[table["f1_mean"] == 0.3]
    assert without_predictions["low"].isna().all()
    text = (outputs / "leaderboard.md").read_text()
    assert f" {100 * found.low:.1f} to {100 * found.high:.1f} |" in text
    assert "covers two kinds of chance: which documents (sentences," in text
    assert {"low", "high"} <= set(pd.read_csv(outputs / "leaderboard.csv"))
    assert "interval" not in board_text(board_table(rows))
    assert "interval" in board_text(board_table(rows[1:], with_intervals=True))
