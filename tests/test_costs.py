"""What F1 costs: systems of one or several taggers, and the Pareto front."""

import math

import matplotlib.pyplot as plt
import pytest
from made_rows import row
from small_runs import small

from bioner_lib import read_tagger, run
from bioner_lib.board import cost_table, on_front, plots, systems
from bioner_lib.board.costs import _system

DEVICE = {"name": "x", "threads": 1, "precision": "fp32"}


def made(seed, corpora, seconds, f1s, device=DEVICE):
    line = row(seed, f1s[0], corpus=corpora[0])
    line["config"] = line["config"] | {"corpora": list(corpora)}
    line["run_id"] = f"{'+'.join(corpora)}-{seed}-{device['name']}"
    types = line["scores"][corpora[0]]["test"]["types"]
    line["scores"], line["data"] = {}, {}
    for corpus, f1 in zip(corpora, f1s, strict=True):
        scored = {"types": {name: values | {"f1": f1} for name, values in types.items()}}
        line["scores"][corpus] = {"dev": scored, "test": scored}
        line["data"][corpus] = {"official": True, "types": ["Gene"]}
    cost = {"seconds": seconds, "pieces_per_second": 10, "peak_memory_bytes": 2**31, "joules": None}
    return line | {"cost": cost, "device": device, "parameters": {"encoder": 100, "heads": 5}}


def test_n_taggers_cost_their_sum_and_one_tagger_its_own():
    rows = [made(s, ["sample-gene"], 10 + s, [0.5]) for s in (1, 3)]
    rows += [made(1, ["sample-disease"], 20, [0.7])]
    rows += [made(1, ["sample-gene", "sample-disease"], 25, [0.5, 0.6])]
    rows += [row(1, 0.4, system="dictionary")]
    table = cost_table(rows)
    assert set(table["trained_on"]) == {
        "sample-gene",
        "sample-disease",
        "sample-disease + sample-gene",
    }
    gene = table[table["trained_on"] == "sample-gene"].iloc[0]
    assert (gene["runs"], gene["training seconds"], gene["parameters"]) == (2, 12, 105)
    assert gene["peak memory (GiB)"] == 2
    assert math.isnan(gene["joules"])
    found = systems(table)
    assert found["taggers"].tolist() == [1, 2]
    assert found["training seconds"].tolist() == [25, 32]
    assert found["parameters"].tolist() == [105, 210]
    assert found["F1"].tolist() == pytest.approx([0.55, 0.6])
    ax = plots.pareto(found, plt.subplots()[1])
    assert ax.get_xlabel() == "training seconds of all taggers together"
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert [text.partition(":")[0] for text in texts] == ["1 tagger", "2 taggers"]
    low, high = plots.pareto(found.assign(F1=[0.8100, 0.8112]), plt.subplots()[1]).get_ylim()
    assert (high - low, (high + low) / 2) == (pytest.approx(2), pytest.approx(81.06))


def test_a_second_phase_costs_what_led_to_it():
    teacher, first = made(1, ["sample-gene"], 10, [0.5]), made(2, ["sample-gene"], 20, [0.5])
    second = made(3, ["sample-disease"], 5, [0.7])
    second["parents"] = {
        "teacher": {"run_id": teacher["run_id"], "arm": "t", "name": "teacher"},
        "start_from": {"run_id": first["run_id"], "arm": "f", "name": "first"},
    }
    table = cost_table([teacher, first, second]).set_index("trained_on")
    assert table.loc["sample-disease", "training seconds"] == 35
    both = {name: about | {"run_id": first["run_id"]} for name, about in second["parents"].items()}
    shared = cost_table([first, second | {"parents": both}]).set_index("trained_on")
    assert shared.loc["sample-disease", "training seconds"] == 25, "each run was paid once"
    alone = cost_table([second, first]).set_index("trained_on")
    assert math.isnan(alone.loc["sample-disease", "training seconds"]), "what it took isn't known"


def test_second_phases_of_different_parents_are_no_seeds_of_one_arm():
    """Their names are alike: a parent is named without its fields."""
    seconds = []
    for seed, arm, f1 in ((1, "mask", 0.9), (2, "negative", 0.3)):
        parent = {"run_id": "x", "arm": arm, "name": "first", "phases": []}
        seconds.append(made(seed, ["sample"], 5, [f1]) | {"parents": {"start_from": parent}})
    table = cost_table(seconds)
    assert table["runs"].tolist() == [1, 1]
    assert table["F1"].tolist() == [0.9, 0.3]
    assert table["name"].nunique() == 2


def test_a_tagger_of_a_part_is_a_line_of_its_own():
    whole, part = made(1, ["sample"], 10, [0.7]), made(1, ["sample"], 3, [0.3])
    part["config"] = part["config"] | {"corpora": ["sample@1/4"]}
    table = cost_table([whole, part | {"run_id": "other"}])
    assert dict(zip(table["trained_on"], table["F1"], strict=True)) == {
        "sample": 0.7,
        "sample@1/4": 0.3,
    }


def test_another_machine_is_another_line_and_no_rival():
    other = DEVICE | {"name": "y"}
    rows = [made(1, ["sample-gene"], 10, [0.5], other), made(1, ["sample-disease"], 9, [0.5])]
    rows += [made(1, ["sample-gene", "sample-disease"], 25, [0.5, 0.6])]
    found = systems(cost_table(rows))
    assert found["taggers"].tolist() == [1], "no machine has both single-task taggers"


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 0.5), (2, 0.6), (3, 0.55)], [True, True, False]),
        ([(1, 0.5), (1, 0.6)], [False, True]),
        ([(1, 0.5), (1, 0.5)], [True, True]),
        ([(2, 0.9), (1, 0.9)], [False, True]),
        ([], []),
    ],
)
def test_the_front(points, front):
    assert on_front([c for c, _ in points], [f for _, f in points]) == front


def test_an_old_row_without_parameters_has_a_cost():
    line = made(1, ["sample-gene"], 10, [0.5])
    del line["parameters"]
    assert math.isnan(cost_table([line]).iloc[0]["parameters"])


def test_every_part_of_a_tagger_counts(tiny, outputs):
    config = small(tiny, "sample-gene", characters="cnn", sentence_head="types")
    row = run(config, progress=False)
    tagger = read_tagger(row["run_id"])
    assert {"characters", "sentence_head"} <= row["parameters"].keys()
    assert sum(row["parameters"].values()) == sum(p.numel() for p in tagger.parameters())


def test_rows_of_real_runs_have_what_it_takes(tiny, outputs):
    rows = [run(small(tiny, c), progress=False) for c in ("sample-gene", "sample-disease")]
    rows.append(run(small(tiny, ["sample-gene", "sample-disease"]), progress=False))
    assert systems(cost_table(rows))["taggers"].tolist() == [1, 2]
    assert len(systems(cost_table([]))) == 0


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("single-task, equal epochs", "3 taggers: equal epochs"),
        ("single-task epochs=2", "3 taggers: epochs=2"),
        ("shared, hard", "3 taggers: shared, hard"),
    ],
)
def test_a_line_doesnt_repeat_its_corpora(name, short):
    member = {"training seconds": 1.0, "joules": 1.0, "parameters": 1, "F1": 0.5}
    assert _system("a + b", "cpu", f"3 taggers: {name}", [member])["name"] == short
