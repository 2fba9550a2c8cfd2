from pathlib import Path

import pytest

from bioner_lib import CORPORA, WorkbookError, read_rows, run
from bioner_lib.choices import ENCODERS
from bioner_lib.corpora.registry import split_name
from bioner_lib.runs.recipes import ORDERS, RECIPES, family, recipe

SMALL = {"epochs": 1, "limit": 24, "max_length": 128, "overlap": 16, "precision": "fp32"}


def silver(name):
    return ["sample-virus"] if "needs" in RECIPES[name] else []


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_matches_its_description(name):
    described, configs = RECIPES[name], recipe(name, seed=42, added=silver(name))
    assert described["about"]
    assert described["changed"]
    assert described.get("order", "together") in ORDERS
    for config in configs:
        assert config.seed == 42
        assert config.encoder == described["encoder"]
        assert config.learning_rate == described.get("learning_rate", 3e-5)
        assert all(split_name(corpus)[0] in CORPORA for corpus in config.corpora + config.also_test)
        assert config.encoder in ENCODERS or "/" in config.encoder
        assert config.unannotated != "negative", "another corpus's silence is never taken for O"
    small = recipe(name, encoder="minilm", added=silver(name))
    assert all(config.encoder == "minilm" and config.learning_rate == 2e-4 for config in small)


def test_published_hyper_parameters():
    (joint,) = recipe("biojointbert")
    assert (
        joint.learning_rate,
        joint.warmup,
        joint.weight_decay,
        joint.dropout,
        joint.max_length,
        joint.batch_size,
        joint.epochs,
    ) == (
        3e-5,
        0.1,
        0.01,
        0.1,
        256,
        16,
        10,
    )
    (multi,) = recipe("multi-bioner")
    assert (multi.scheme, multi.learning_rate, multi.batch_size, multi.epochs, multi.heads) == (
        "IOBES",
        5e-5,
        8,
        3,
        "per-corpus",
    )
    first, second = recipe("gerbera")
    assert (first.epochs, second.epochs, first.max_length, first.batch_size) == (
        20,
        10,
        128,
        16,
    )
    assert second.start_from == first.run_id
    assert first.corpora == ("ncbi-disease", "conll2003")
    assert second.corpora == ("ncbi-disease",)
    (adversarial,) = recipe("cross-sharing-adv")
    assert (adversarial.reversal, adversarial.orthogonality, adversarial.sampling) == (
        0.01,
        0.001,
        "main",
    )
    (aware,) = recipe("bionerds-6", added=["sample-virus"])
    assert dict(aware.corpus_weights) == {"sample-virus": 0.5}
    assert len(recipe("multi-bioner-single")) == 5
    alone, then = recipe("gerbera-alone")
    assert alone.corpora == then.corpora == ("ncbi-disease",)
    assert (alone.epochs, then.epochs) == (20, 10)
    assert then.start_from == alone.run_id
    assert recipe("gerbera", corpora="bc2gm", added="wnut17")[1].also_test == (), (
        "its other test corpus goes with its corpora"
    )
    (quarter, _) = recipe(
        "gerbera", corpora="bc5cdr@25%:Disease", also_test=["bc5cdr:Disease", "ncbi-disease"]
    )
    assert quarter.also_test == ("ncbi-disease",)
    assert recipe("proposal", also_test="linnaeus")[0].also_test == ("linnaeus",)
    assert list(family("cross-sharing-adv")) == [
        "cross-sharing-adv",
        "cross-sharing",
        "cross-sharing-stm",
        "cross-sharing-fs",
        "cross-sharing-sp",
    ]
    assert recipe("bionerds-marginal", added="sample-virus")[0].unannotated == "marginal"
    assert list(family("bionerds-2", encoder="minilm")) == ["bionerds-2"], (
        "with one encoder three recipes are one run"
    )
    assert recipe("bionerds-1", added=["sample-virus"])[0].corpora == ("bc5cdr",), "gold only"
    first, second = recipe("gerbera", corpus_weights={"conll2003": 0.5})
    assert dict(first.corpus_weights) == {"conll2003": 0.5}
    assert not second.corpus_weights


def test_a_folder_by_a_relative_path_keeps_its_weight(tmp_path, monkeypatch):
    (tmp_path / "silver").mkdir()
    monkeypatch.chdir(tmp_path)
    (aware,) = recipe("bionerds-6", added="silver")
    assert dict(aware.corpus_weights) == {str(tmp_path / "silver"): 0.5}
    assert aware.corpora[1] == str(tmp_path / "silver")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_runs(name, tiny, outputs):
    """All of them, on the embedded sample with a tiny encoder."""
    corpora = ["sample-disease", "sample-gene"]
    added = ["sample-virus"] if {"added", "needs"} & set(RECIPES[name]) else []
    configs = recipe(name, encoder=tiny, corpora=corpora, added=added, **SMALL | {"also_test": []})
    for config in configs:
        run(config, progress=False)
    assert {row["run_id"] for row in read_rows()} == {config.run_id for config in configs}


def test_mistakes_are_named():
    with pytest.raises(
        WorkbookError, match="unknown recipe 'biojointbret'; did you mean 'biojointbert'"
    ):
        recipe("biojointbret")
    with pytest.raises(WorkbookError, match="'bionerds-5' needs added=, a silver corpus"):
        recipe("bionerds-5")
    with pytest.raises(WorkbookError, match=r"epochs=\[3\]; expected one number, or two"):
        recipe("gerbera", epochs=[3])
    with pytest.raises(WorkbookError, match="unknown RunConfig field 'sharings'"):
        recipe("proposal", sharings="cross")


@pytest.mark.real
@pytest.mark.parametrize(
    "name", [name for name, described in RECIPES.items() if "needs" not in described]
)
def test_recipes_run_on_their_own_corpora(name, tiny, outputs, mirror):
    """Forty sentences of each; BC4CHEMD is left out where the mirror doesn't hold it."""
    corpora = [
        corpus
        for corpus in RECIPES[name]["corpora"]
        if (Path(mirror) / split_name(corpus)[0]).exists()
    ]
    for config in recipe(name, encoder=tiny, corpora=corpora, **SMALL | {"limit": 40}):
        row = run(config, progress=False)
        assert all(
            row["scores"][corpus]["test"]["types"]["micro"]["support"] > 0
            for corpus in config.corpora
        )
