"""Comparing arms: paired seeds and documents, Holm's correction, what is refused."""

import matplotlib.pyplot as plt
import pytest
from made_rows import answers, f1_of, predicted, row, runs_that_find
from small_runs import environment, run_in

from bioner_lib import RunConfig, WorkbookError
from bioner_lib.board import plots
from bioner_lib.board.comparison import comparable, compare, compare_arms, finals
from bioner_lib.board.tables import named

TRAINED = {
    "base": {},
    "joint": {"heads": "joint"},
    "moe": {"sharing": "moe"},
    "longer": {"epochs": 3},
}


def compared(mine, others, **options):
    """The comparison of two arms on the sample."""
    return compare({"sample": mine}, {"sample": others}, **{"resamples": 500} | options)


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """Four trained arms with two seeds each: test corpus -> rows, by name."""
    folder = tmp_path_factory.mktemp("outputs")
    options = {"epochs": 2, "learning_rate": 5e-3, "limit": 60, "max_length": 128, "overlap": 16}
    for seed in (1, 2):
        configs = {
            name: RunConfig(corpora="sample", encoder=tiny, seed=seed, **options | changes)
            for name, changes in TRAINED.items()
        }
        for config in configs.values():
            run_in(folder, config, keep_model=False)
    with environment(BIONER_OUTPUTS=folder):
        return folder, {name: finals([config]) for name, config in configs.items()}


@pytest.fixture
def arms(trained, monkeypatch):
    monkeypatch.setenv("BIONER_OUTPUTS", str(trained[0]))
    return trained[1]


def test_trained_arms_are_compared(arms):
    assert [len(own["sample"]) for own in arms.values()] == [2, 2, 2, 2]
    found = compare(arms["joint"], arms["base"], resamples=200)
    assert found.loc[0, "seeds"] == 2
    assert 0 < found.loc[0, "p"] <= 1
    assert found.loc[0, "low"] <= found.loc[0, "difference"] <= found.loc[0, "high"]
    ax = plots.differences(found, plt.subplots()[1])
    assert "difference in test F1" in ax.get_xlabel()


def test_holms_correction_is_for_the_whole_table_of_trained_arms(arms):
    found = compare_arms({name: arms[name] for name in ("joint", "moe")}, arms["base"])
    assert list(found["arm"]) == ["joint", "moe"]
    assert (found["p_holm"] >= found["p"]).all()
    smaller, larger = sorted(found["p"])
    assert max(found["p_holm"]) == pytest.approx(min(1.0, max(larger, 2 * smaller)))
    ax = plots.differences(found, plt.subplots()[1], label="arm")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["joint", "moe"]


def test_a_trained_arm_with_another_budget_is_refused(arms):
    with pytest.raises(WorkbookError, match="epochs differs"):
        compare_arms({"longer": arms["longer"]}, arms["base"])
    assert comparable(arms["joint"], arms["base"])
    assert not comparable(arms["longer"], arms["base"])
    assert not comparable({}, arms["base"])


def test_trained_arms_are_drawn_by_the_names_they_are_given(arms):
    frame = named({name: arms[name] for name in ("joint", "moe", "base")})
    assert set(frame["name"]) == {"joint", "moe", "base"}
    on_test = frame[frame["split"] == "test"]
    ax = plots.arms_by_type(on_test, plt.subplots()[1], "recall", ["base", "moe"])
    assert len(ax.get_yticks()) == 2


@pytest.fixture
def better(outputs):
    return runs_that_find(outputs, 36, 38)


@pytest.fixture
def worse(outputs):
    return runs_that_find(outputs, 20, 22, scheme="IOB2")


def test_compare_by_hand(outputs, better, worse):
    """Which way round, on which split, over which seeds."""
    for made in better + worse:  # dev says the opposite
        predicted(outputs, made, answers(10 if made in better else 40), "dev")
    (line,) = compared(better, worse).itertuples()
    expected = (f1_of(36) + f1_of(38) - f1_of(20) - f1_of(22)) / 2
    assert line.difference == pytest.approx(expected)
    assert 0 < line.low < line.difference < line.high
    assert line.seeds == 2
    assert line.p == line.p_holm < 0.05
    (back,) = compared(worse, better).itertuples()
    assert back.difference == -line.difference
    (first,) = compared(better[:1], worse[:1]).itertuples()
    assert first.difference == pytest.approx(f1_of(36) - f1_of(20))


def test_predictions_are_read_from_the_outputs_folder(tmp_path, better, worse):
    elsewhere = tmp_path / "elsewhere"
    predicted(elsewhere, better[0], answers(30))
    predicted(elsewhere, worse[0], answers(10))
    with environment(BIONER_OUTPUTS=elsewhere):
        (line,) = compared(better[:1], worse[:1]).itertuples()
    assert line.difference == pytest.approx(f1_of(30) - f1_of(10))


def test_seeds_are_paired(better, worse):
    with pytest.raises(WorkbookError, match="a seed in common"):
        compared(better[:1], worse[1:])
    with pytest.raises(WorkbookError, match="two runs of one arm have one seed"):
        compared(better * 2, worse)


def test_another_budget_is_refused(outputs, better):
    with pytest.raises(WorkbookError, match="epochs differs"):
        compared(better, runs_that_find(outputs, 1, epochs=20))


def test_a_system_without_seeds_stands_against_each_seed(outputs, better):
    baseline = [predicted(outputs, row(13, 0.5, system="dictionary"), answers(20))]
    (line,) = compared(better, baseline).itertuples()
    assert line.seeds == 2
    assert line.difference == pytest.approx((f1_of(36) + f1_of(38)) / 2 - f1_of(20))
    (back,) = compared(baseline, better).itertuples()
    assert back.difference == -line.difference


def test_a_system_with_seeds_needs_one_in_common(outputs, better):
    other = [predicted(outputs, row(13, 0.5, scheme="IOB2"), answers(20))]
    with pytest.raises(WorkbookError, match="need a seed in common"):
        compared(better, other)


def test_two_systems_without_seeds_stand_against_each_other(outputs):
    dictionary = predicted(outputs, row(13, 0.5, system="dictionary"), answers(20))
    ensemble = predicted(outputs, row(1, 0.5, system="ensemble", seeds=[1, 2]), answers(36))
    (line,) = compared([dictionary], [ensemble]).itertuples()
    assert line.seeds == 1
    assert line.difference < 0


def test_few_documents_are_no_claim(outputs):
    all_found, one_found = (
        [
            predicted(outputs, row(seed, 0.5, scheme=scheme), answers(right, of=8))
            for seed in (1, 2, 3)
        ]
        for scheme, right in (("IOB2", 8), ("IOBES", 1))
    )
    found = compared(all_found, one_found)
    assert found["note"].tolist() == ["fewer than 15 documents: no claim"]
    ax = plots.differences(found.assign(arm="a"), plt.subplots()[1])
    assert ax.lines[0].get_markerfacecolor() == "white"


@pytest.mark.parametrize(
    "other",
    [lambda answer: {"doc": f"e{answer['doc']}"}, lambda answer: {"tokens": ["other"]}],
    ids=["other documents", "other words in documents of the same names"],
)
def test_another_test_text_is_refused(outputs, other):
    text = [answer | {"tokens": ["one"]} for answer in answers(30)]
    mine = predicted(outputs, row(1, 0.5), text)
    changed = [answer | other(answer) for answer in text]
    others = predicted(outputs, row(1, 0.5, scheme="IOB2"), changed)
    with pytest.raises(WorkbookError, match="sample: these runs were tested on different text"):
        compared([mine], [others])


def test_other_types_are_refused(outputs):
    mine = runs_that_find(outputs, 30)
    fewer = runs_that_find(outputs, 30, decoder="crf")
    fewer[0]["data"]["sample"]["types"] = ["Gene", "Virus"]
    message = r"asked for different types, \[\('Gene',\), \('Gene', 'Virus'\)\]"
    with pytest.raises(WorkbookError, match=message):
        compared(mine, fewer)
    fewer[0]["scores"]["sample"]["test"]["not_asked"] = ["Virus"]
    assert len(compared(mine, fewer)) == 1


@pytest.fixture
def rivals(outputs):
    """A base that finds 20 genes, and two arms that find 24 and 25."""
    base = {"sample": runs_that_find(outputs, 20)}
    arms = {
        decoder: {"sample": runs_that_find(outputs, right, scheme="IOB2", decoder=decoder)}
        for decoder, right in (("softmax", 24), ("crf", 25))
    }
    return base, arms


def test_holm_corrects_the_p_values_of_all_arms_together(rivals):
    base, arms = rivals
    found = compare_arms(arms, base)
    assert list(found.index) == [0, 1]
    (smaller, first), (larger, second) = sorted(zip(found["p"], found["p_holm"], strict=True))
    assert first == pytest.approx(min(1, 2 * smaller))
    assert second == pytest.approx(max(larger, min(1, 2 * smaller)))


def test_without_arms_the_table_is_empty(rivals):
    base, arms = rivals
    empty = compare_arms({}, base)
    assert list(empty.columns) == list(compare_arms(arms, base).columns)
    assert len(empty) == len(compare_arms({"crf": {}}, base)) == len(compare({}, {})) == 0
