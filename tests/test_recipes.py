import re
from pathlib import Path

import pytest

from bioner_lib import CORPORA, WorkbookError, load_corpus, read_rows, run
from bioner_lib.choices import ENCODERS
from bioner_lib.corpora.registry import split_name
from bioner_lib.runs.recipes import ORDERS, RECIPES, family, recipe
from bioner_lib.silver.labelled_gold import label_gold

SMALL = {"epochs": 1, "limit": 24, "max_length": 128, "overlap": 16, "precision": "fp32"}


def silver(name):
    return ["sample-virus"] if "needs" in RECIPES[name] else []


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_matches_its_description(name):
    described, configs = RECIPES[name], recipe(name, seed=42, added=silver(name))
    assert described["about"]
    assert described["changed"]
    assert re.search(r"doi|README|proposal", described["cite"]), "a DOI, or what there is instead"
    assert described.get("order", "together") in ORDERS
    rates = described.get("learning_rate", 3e-5)
    for config in configs:
        assert config.seed == 42
        assert config.encoder == described["encoder"]
        assert config.learning_rate in (rates if isinstance(rates, list) else [rates])
        own = [name.removesuffix("-labelled") for name in config.corpora + config.also_test]
        assert all(split_name(corpus)[0] in CORPORA for corpus in own)
        assert config.encoder in ENCODERS or "/" in config.encoder
        if config.unannotated == "negative":
            assert "untagged words taken for O" in described["about"].replace("are ", "") or (
                described["about"].startswith("bionerds-5")
            ), "who takes silence for O says so"
    small = recipe(name, encoder="minilm", added=silver(name))
    assert all(config.encoder == "minilm" and config.learning_rate == 2e-4 for config in small)


def fields_of(config, *names):
    return tuple(getattr(config, name) for name in names)


def test_hyper_parameters_of_biojointbert_and_multi_bioner():
    names = ("learning_rate", "warmup", "weight_decay", "dropout", "max_length", "batch_size")
    (joint,) = recipe("biojointbert")
    assert fields_of(joint, *names, "epochs") == (3e-5, 0.1, 0.01, 0.1, 256, 16, 10)
    (router,) = recipe("biojointbert-router")
    assert router.sentence_head == "types-router"
    (auxiliary,) = recipe("biojointbert-auxiliary")
    assert auxiliary.sentence_head == "types"
    (multi,) = recipe("multi-bioner")
    names = ("encoder", "scheme", "learning_rate", "batch_size", "epochs", "heads")
    assert fields_of(multi, *names) == ("biobert-1.1", "IOBES", 5e-5, 8, 3, "per-corpus")
    assert len(recipe("multi-bioner-single")) == 5
    assert {config.system for config in recipe("multi-bioner-dictionary")} == {"dictionary"}


def test_gerbera_has_eight_types_and_two_controls():
    runs = recipe("gerbera")
    assert len(runs) == 16
    first, second = runs[:2]
    assert fields_of(first, "epochs", "max_length", "batch_size", "warmup") == (20, 128, 16, 0)
    assert (second.epochs, second.start_from) == (10, first.run_id)
    assert first.corpora == ("ncbi-disease", "conll2003")
    assert second.corpora == ("ncbi-disease",)
    assert second.also_test == ("bc5cdr:Disease",)
    assert [run.corpora[0] for run in runs[1::2]] == RECIPES["gerbera"]["corpora"]
    assert recipe("gerbera-wnut17")[0].corpora == ("ncbi-disease", "wnut17")
    alone, then = recipe("gerbera-alone", corpora="ncbi-disease")
    assert alone.corpora == then.corpora == ("ncbi-disease",)
    assert (alone.epochs, then.epochs, alone.epoch_size) == (20, 10, 0)
    assert then.start_from == alone.run_id
    steps, after = recipe("gerbera-alone-steps", corpora="ncbi-disease")
    assert (steps.epoch_size, after.epoch_size) == (5424 + 14041, 0)
    limited, _ = recipe("gerbera-alone-steps", corpora="ncbi-disease", limit=1000)
    assert limited.epoch_size == 2000
    assert recipe("gerbera", corpora="bc2gm", added="wnut17")[1].also_test == (), (
        "its other test corpora go with its corpora"
    )
    (quarter, _) = recipe(
        "gerbera", corpora="bc5cdr@25%:Disease", also_test=["bc5cdr:Disease", "ncbi-disease"]
    )
    assert quarter.also_test == ("ncbi-disease",)
    first, second = recipe("gerbera", corpora="bc2gm", corpus_weights={"conll2003": 0.5})
    assert dict(first.corpus_weights) == {"conll2003": 0.5}
    assert not second.corpus_weights


@pytest.mark.parametrize("encoder", ["", "minilm"])
def test_a_released_model_brings_its_encoder_to_both_phases(encoder):
    """The call that the `changed` line of gerbera gives; 45 names minilm where nobody chose."""
    released = "Euanyu/GERBERA-NCBI"
    phases = recipe("gerbera", corpora="ncbi-disease", start_from=released, encoder=encoder)
    assert [phase.start_from for phase in phases] == [released, phases[0].run_id]
    assert [phase.encoder for phase in phases] == [released, released]
    assert [phase.learning_rate for phase in phases] == [3e-5, 3e-5], "the recipe's own"
    with pytest.raises(WorkbookError, match="brings its own encoder; leave out encoder='bert'"):
        recipe("gerbera", corpora="ncbi-disease", start_from=released, encoder="bert")


def test_the_six_configurations_of_bionerds():
    one = recipe("bionerds-1", added=["sample-virus"])[0]
    names = ("encoder", "corpora", "learning_rate", "batch_size", "epochs", "max_length")
    assert fields_of(one, *names) == ("bert-uncased", ("bc5cdr",), 2e-5, 16, 5, 512)
    first, second = recipe("bionerds-4", added="sample-virus")
    names = ("heads", "types", "unannotated", "epochs")
    four = ("Chemical", "Disease", "Gene", "Virus")
    assert fields_of(first, *names) == ("joint", four, "negative", 3)
    assert fields_of(second, *names) == ("joint", four, "negative", 3)
    assert (first.learning_rate, second.learning_rate) == (2e-5, 1e-5)
    assert first.also_test == ()
    assert second.also_test == ("nlm-gene", "s800-virus", "bc5cdr")
    _, heads = recipe("bionerds-4-heads", added="sample-virus")
    assert fields_of(heads, "heads", "types", "unannotated") == ("per-type", (), "mask")
    (five,) = recipe("bionerds-5", added="sample-virus")
    assert five.corpora == ("bc5cdr-labelled", "sample-virus")
    assert five.also_test == ("bc5cdr", "nlm-gene", "s800-virus")
    assert fields_of(five, "heads", "unannotated") == ("joint", "negative")
    (aware,) = recipe("bionerds-6", added=["sample-virus"])
    assert dict(aware.corpus_weights) == {"sample-virus": 0.5}
    assert aware.corpora == five.corpora
    (marginal,) = recipe("bionerds-marginal", added="sample-virus")
    assert marginal.unannotated == "marginal"
    assert marginal.also_test == ("nlm-gene", "s800-virus")
    assert marginal.chosen_on == ("bc5cdr", "nlm-gene", "s800-virus"), "as bionerds-5 is"
    (own,) = recipe("bionerds-mask", added="sample-virus", chosen_on="bc5cdr")
    assert own.chosen_on == ("bc5cdr",)
    assert list(family("bionerds-2", encoder="minilm")) == ["bionerds-2"], (
        "with one encoder three recipes are one run"
    )


def test_a_recipe_is_tested_only_on_corpora_with_a_type_that_it_learns():
    """bionerds-1 knows chemicals and diseases only; the other recipes know genes and viruses."""
    given = {"corpora": "sample-disease", "added": "sample-virus", "also_test": ["sample-gene"]}
    made = family("bionerds-5", encoder="minilm", **given)
    assert made["bionerds-5"][0].also_test == ("sample-disease", "sample-gene")
    assert made["bionerds-1"][0].also_test == ()
    assert made["bionerds-mask"][0].also_test == (), "of genes it sees no label"
    given["added"] = "sample-gene"
    given["also_test"] = ["sample:Gene", "sample:Virus"]
    assert family("bionerds-5", encoder="minilm", **given)["bionerds-mask"][0].also_test == (
        "sample:Gene",
    )


def test_a_recipe_takes_as_many_numbers_as_it_has_phases():
    with pytest.raises(WorkbookError, match=r"epochs=\[3, 7\]; expected one number, since it has"):
        recipe("biojointbert", epochs=[3, 7])
    assert recipe("biojointbert", epochs=[3])[0].epochs == 3
    with pytest.raises(WorkbookError, match=r"learning_rate=\[0.1, 0.2\]; expected one number"):
        recipe("biojointbert", learning_rate=[0.1, 0.2])
    given = {"corpora": "sample-gene", "added": "sample-virus", "encoder": "minilm"}
    phases = recipe("gerbera-alone-steps", **given, epoch_size=5)
    assert [config.epoch_size for config in phases] == [5, 5]


def test_cross_sharing_and_its_proposal():
    (adversarial,) = recipe("cross-sharing-adv")
    names = ("reversal", "orthogonality", "sampling", "scheme", "characters")
    assert fields_of(adversarial, *names) == (0.01, 0.001, "main", "IOB2", "cnn")
    assert list(family("cross-sharing-adv")) == [
        "cross-sharing-adv",
        "cross-sharing",
        "cross-sharing-stm",
        "cross-sharing-fs",
        "cross-sharing-sp",
    ]
    (proposal,) = recipe("proposal", also_test="linnaeus")
    assert proposal.also_test == ("linnaeus",)
    assert proposal.scheme == "IOB2"
    assert "jnlpba" in proposal.corpora
    single = recipe("proposal-single")
    assert len(single) == 9
    assert all(len(config.corpora) == 1 for config in single)


def test_a_folder_by_a_relative_path_keeps_its_weight(tmp_path, monkeypatch):
    (tmp_path / "silver").mkdir()
    monkeypatch.chdir(tmp_path)
    (aware,) = recipe("bionerds-6", added="silver")
    assert dict(aware.corpus_weights) == {str(tmp_path / "silver"): 0.5}
    assert aware.corpora[1] == str(tmp_path / "silver")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_runs(name, tiny, outputs, lexicon):
    """All of them, on the embedded sample with a tiny encoder."""
    corpora = ["sample-disease", "sample-gene"]
    added = ["sample-virus"] if {"added", "needs"} & set(RECIPES[name]) else []
    if RECIPES[name].get("labelled"):
        for corpus in corpora:
            label_gold(load_corpus(corpus), corpus, lexicon)
    configs = recipe(name, encoder=tiny, corpora=corpora, added=added, **SMALL | {"also_test": []})
    for config in configs:
        run(config, progress=False)
    assert {row["run_id"] for row in read_rows()} == {config.run_id for config in configs}


def test_weights_of_heads_belong_to_the_runs_that_have_them():
    weights = {"Disease": 0.5, "Gene": 2.0}
    given = {"corpora": "sample@1/2:Disease", "added": "sample@2/2:Gene"}
    together, alone = recipe("gerbera", **given, loss_weights=weights)
    assert together.loss_weights == weights
    assert alone.loss_weights == {"Disease": 0.5}


def test_mistakes_are_named():
    with pytest.raises(
        WorkbookError, match="unknown recipe 'biojointbret'; did you mean 'biojointbert'"
    ):
        recipe("biojointbret")
    with pytest.raises(WorkbookError, match="'bionerds-5' needs added=, a silver corpus"):
        recipe("bionerds-5")
    with pytest.raises(WorkbookError, match=r"epochs=\[3\]; expected one number, or two"):
        recipe("gerbera", epochs=[3])
    weights = {"ncbi-diseas": 2.0}
    with pytest.raises(WorkbookError, match="'ncbi-diseas'; did you mean 'ncbi-disease'"):
        recipe("biojointbert", corpus_weights=weights)
    with pytest.raises(WorkbookError, match=r"'bc5cdr'.*known: .*bc5cdr-labelled"):
        recipe("bionerds-5", added="sample-virus", corpus_weights={"bc5cdr": 2.0})
    weights = {"Disease": 0.5, "Gen": 2.0}
    with pytest.raises(WorkbookError, match=r"unknown head in loss_weights .* 'Gen'; did you"):
        recipe("gerbera", corpora="sample:Disease", added="sample:Gene", loss_weights=weights)
    with pytest.raises(WorkbookError, match="unknown RunConfig field 'sharings'"):
        recipe("proposal", sharings="cross")
    with pytest.raises(WorkbookError, match="'gerbera' has two phases, and system='ensemble'"):
        recipe("gerbera", system="ensemble", seeds=[13, 42])


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
    mentions = 0
    for config in recipe(name, encoder=tiny, corpora=corpora, **SMALL | {"limit": 40}):
        row = run(config, progress=False)
        tested = [row["scores"][corpus]["test"]["types"]["micro"] for corpus in config.corpora]
        mentions += sum(scores["support"] for scores in tested)
    assert mentions > 0, "of a rare type (RNA) forty sentences may hold none"
