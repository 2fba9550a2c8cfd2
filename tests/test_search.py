import pytest

from bioner_lib import RunConfig, WorkbookError, load_corpus
from bioner_lib.corpora.corpus import Corpus

pytest.importorskip("optuna")
from bioner_lib.runs.search import _suggest, _with, search


@pytest.fixture
def base(tiny, outputs):
    sizes = {"epochs": 2, "limit": 20, "max_length": 128, "overlap": 16, "precision": "fp32"}
    return RunConfig(
        corpora=["sample-gene", "sample-disease"],
        encoder=str(tiny),
        sampling="temperature",
        **sizes,
    )


SPACE = {
    "learning_rate": [1e-5, 1e-2, "log"],
    "temperature": [1.0, 5.0],
    "loss_weights.Disease": [0.5, 2.0],
    "decoder": ["softmax", "crf"],
}


def test_a_search_goes_on_where_it_stopped(base, outputs, monkeypatch):
    monkeypatch.setattr(
        Corpus, "test", property(lambda self: pytest.fail("a search looks at no test split"))
    )
    first = search(base, SPACE, 2)
    assert len(first.trials) == 2
    assert len(list((outputs / "searches").iterdir())) == 1
    found = search(base, SPACE, 4)
    assert len(found.trials) == 4
    assert found.trials.iloc[:2].equals(first.trials)
    best = found.trials.loc[found.trials["dev F1"].idxmax()]
    assert found.dev == best["dev F1"]
    assert found.config.learning_rate == best["learning_rate"]
    assert found.config.loss_weights["Disease"] == best["loss_weights.Disease"]
    assert found.config.decoder == best["decoder"]
    assert found.trials["learning_rate"].nunique() == 4
    assert search(base, SPACE, 4).trials.equals(found.trials), "nothing left to do"
    assert load_corpus("sample").splits["test"]


def test_bad_trials_are_pruned(base, monkeypatch):
    import optuna

    monkeypatch.setattr(
        optuna.pruners, "MedianPruner", lambda **_: optuna.pruners.ThresholdPruner(lower=2.0)
    )
    with pytest.raises(
        WorkbookError, match=r"none of 2 trials was trained to its end: \{'pruned': 2\}"
    ):
        search(base, SPACE, 2)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"learning_rat": [1e-5, 1e-3]},
            "unknown RunConfig field 'learning_rat'; did you mean 'learning_rate'",
        ),
        ({"dropout": [0.1, 3.0]}, "dropout=3.0; expected 0 to 0.9"),
        ({"decoder": ["softmax", "crff"]}, "unknown decoder 'crff'"),
        (
            {"loss_weights.Gnee": [0.3, 3.0]},
            "unknown head in loss_weights 'Gnee'; did you mean 'Gene'",
        ),
        ({"learning_rate": [5e-4, 1e-5, "log"]}, "low has to be below high, and above 0 for log"),
        ({"dropout": [0.0, 0.3, "log"]}, "above 0 for log"),
        ({"dropout": []}, r"search dropout=\[\]; expected"),
        ({"dropout": 0.1}, "search dropout=0.1; expected"),
        ({"heads": 5}, "search heads=5; expected"),
        ({"system": ["tagger", "dictionary"]}, "a search trains taggers"),
    ],
)
def test_mistakes_are_found_before_the_first_trial(base, space, message):
    with pytest.raises(WorkbookError, match=message):
        search(base, space, 2)


@pytest.mark.parametrize(
    ("field", "values"),
    [("limit", [10, 20]), ("corpora", ["sample-gene", "sample-virus"]), ("seed", [13, 42])],
)
def test_trials_share_what_they_train_on(base, field, values):
    with pytest.raises(WorkbookError, match=f"search {field}=.*all trials share corpora"):
        search(base, {field: values}, 1)


def test_an_encoder_brings_its_learning_rate():
    plain = RunConfig(corpora="sample")
    assert _with(plain, {"encoder": "biobert"}).learning_rate == 3e-5
    assert _with(plain, {"encoder": "biobert", "learning_rate": 1e-4}).learning_rate == 1e-4
    own = RunConfig(corpora="sample", learning_rate=1e-3)
    assert _with(own, {"encoder": "biobert"}).learning_rate == 1e-3


def test_loss_weights_of_heads_that_the_search_varies(base):
    with pytest.raises(WorkbookError, match="unknown head in loss_weights 'sample-gene'"):
        search(base, {"heads": ["joint"], "loss_weights.sample-gene": [0.5, 2.0]}, 1)
    found = search(base, {"heads": ["per-corpus"], "loss_weights.sample-gene": [0.5, 2.0]}, 1)
    assert found.config.heads == "per-corpus"
    assert "sample-gene" in found.config.loss_weights


def test_whole_borders_of_a_number_with_a_point_are_no_choice_of_two():
    class Trial:
        def suggest_int(self, name, *_, **__):
            return f"whole {name}"

        def suggest_float(self, name, *_, **__):
            return f"any {name}"

    names = ("r_drop", "loss_weights.Gene", "batch_size", "average")
    assert [_suggest(Trial(), name, [1, 2]) for name in names] == [
        "any r_drop",
        "any loss_weights.Gene",
        "whole batch_size",
        "whole average",
    ]


def test_how_many_trials(base):
    with pytest.raises(WorkbookError, match="trials=0; expected 1 or more"):
        search(base, SPACE, 0)


def test_a_search_whose_trials_all_fail_says_why(base, monkeypatch):
    def broken(*args, **options):
        raise WorkbookError("the loss isn't finite")

    monkeypatch.setattr("bioner_lib.runs.search.fit", broken)
    with pytest.raises(
        WorkbookError,
        match=r"none of 2 trials .*\{'fail': 2\}; the last error: the loss isn't finite",
    ):
        search(base, SPACE, 2)


def test_a_search_goes_on_after_what_stopped_it_is_mended(base, monkeypatch):
    from bioner_lib.runs import search as module

    whole, calls = module.fit, []

    def fails_at_first(*args, **options):
        calls.append(args)
        if len(calls) <= 2:
            raise WorkbookError("no finished run of that name")
        return whole(*args, **options)

    monkeypatch.setattr(module, "fit", fails_at_first)
    with pytest.raises(WorkbookError, match="none of 2 trials"):
        search(base, SPACE, 2)
    assert (search(base, SPACE, 2).trials["state"] == "complete").sum() == 2
    search(base, SPACE, 2)
    assert len(calls) == 4, "a finished search is only read"


def test_a_journal_that_breaks_off_goes_on(base, outputs):
    first = search(base, SPACE, 2)
    (journal,) = (outputs / "searches").iterdir()
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 5, "worker')
    assert search(base, SPACE, 2).trials.equals(first.trials)
    journal.write_bytes(b"rubbish\n" + journal.read_bytes())
    with pytest.raises(WorkbookError, match=r"journal is damaged .*delete it"):
        search(base, SPACE, 2)
