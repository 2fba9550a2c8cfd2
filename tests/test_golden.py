"""A small run's numbers change with each RunConfig field that should matter, and no other."""

import shutil
from dataclasses import fields

import pytest
from safetensors.torch import load_file, save_file
from small_runs import run_in
from tiny_encoders import make_encoder

from bioner_lib import RunConfig

BASE = {
    "corpora": ("sample-gene", "sample-disease"),
    "epochs": 2,
    "learning_rate": 3e-3,
    "limit": 24,
    "max_length": 32,
    "overlap": 8,
    "batch_size": 8,
    "precision": "fp32",
}
# field -> another value, and what else both sides need so that it can matter
MATTERS = {
    "corpora": (("sample-disease", "sample-gene"), {}),
    "system": ("dictionary", {}),
    "heads": ("joint", {}),
    "types": (("Gene", "Disease", "Virus"), {"heads": "joint"}),
    "characters": ("case+cnn", {}),
    "sentence_head": ("types", {}),
    "sentence_weight": (5.0, {"sentence_head": "types"}),
    "sharing": ("private", {}),
    "reversal": (1.0, {"sharing": "adversarial"}),
    "orthogonality": (1.0, {"sharing": "adversarial"}),
    "experts": (2, {"sharing": "moe"}),
    "balance": (10.0, {"sharing": "moe"}),
    "decoder": ("crf", {}),
    "scheme": ("IOB2", {}),
    "unannotated": ("negative", {}),
    "label_pieces": ("all", {}),
    "loss_weights": ({"Gene": 0.1}, {}),
    "corpus_weights": ({"sample-gene": 0.1}, {}),
    "confidence": (0.0, {"teacher": "first"}),
    "teacher": ("first", {"confidence": 0.0}),
    "distillation": (0.5, {"teacher": "first"}),
    "start_from": ("first", {}),
    "sampling": ("uniform", {"corpora": ("sample@12:Gene", "sample@24:Disease")}),
    "temperature": (
        9.0,
        {"corpora": ("sample@12:Gene", "sample@24:Disease"), "sampling": "temperature"},
    ),
    "epochs": (3, {}),
    "learning_rate": (1e-3, {}),
    "batch_size": (4, {}),
    "max_pieces": (40, {}),
    "accumulate": (2, {}),
    "warmup": (0.9, {}),
    "weight_decay": (5.0, {}),
    "dropout": (0.0, {}),
    "clip": (0.01, {}),
    "label_smoothing": (0.2, {}),
    "r_drop": (1.0, {}),
    "embedding_noise": (0.5, {}),
    "layer_decay": (0.5, {}),
    "epoch_size": (12, {}),
    "max_length": (24, {}),
    "overlap": (0, {}),
    "context": (12, {"max_length": 128}),
    "extra_words": (5, {}),
    "precision": ("bf16", {}),
    "limit": (12, {}),
    "seed": (14, {}),
}
# field -> a value that is another run by name, and changes no number where nothing asks for it
MUST_NOT = {
    "also_test": ("sample:Gene+Disease",),
    "allow_shared_documents": True,
    "temperature": 9.0,
    "confidence": 0.1,
    "reversal": 1.0,
    "orthogonality": 1.0,
    "experts": 2,
    "balance": 10.0,
    "sentence_weight": 5.0,
}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory, tiny):
    """A function from fields to what training and scoring found; "first" names a finished run."""
    outputs = tmp_path_factory.mktemp("golden")
    first = RunConfig(**BASE | {"encoder": tiny, "epochs": 1, "seed": 7})
    known: dict[str, dict] = {}

    def made(**changes) -> dict:
        for name in ("start_from", "teacher"):
            if changes.get(name) == "first":
                run_in(outputs, first)
                changes[name] = first.run_id
        config = RunConfig(**BASE | {"encoder": tiny} | changes)
        if config.run_id not in known:
            row = run_in(outputs, config, keep_model=bool(not changes))
            trained = [{"loss": record["loss"], "dev": record["dev"]} for record in row["history"]]
            scores = {
                name: row["scores"][name] for name in row["scores"] if "dev" in row["scores"][name]
            }
            known[config.run_id] = {"trained": trained, "scores": scores}
        return known[config.run_id]

    return made


def test_every_field_is_tested():
    # tests/test_encoders.py, test_averaging.py, test_labelling.py, test_ensemble.py
    elsewhere = {"encoder", "average", "chosen_on", "seeds"}
    assert {f.name for f in fields(RunConfig)} == {*MATTERS, *MUST_NOT, *elsewhere}


@pytest.mark.parametrize("field", MATTERS)
def test_a_field_that_matters_changes_what_is_learned(numbers, field):
    value, both = MATTERS[field]
    base = numbers(**both)
    changed = numbers(**both | {field: value})
    assert base["trained"] != changed["trained"]


def test_the_three_treatments_of_silence_differ(numbers):
    """In a joint head: with one head per type, "marginal" is "mask" by construction."""
    treated = [
        numbers(heads="joint", unannotated=how)["trained"]
        for how in ("negative", "mask", "marginal")
    ]
    assert treated[0] != treated[1] != treated[2] != treated[0]


@pytest.mark.parametrize("field", MUST_NOT)
def test_a_field_that_nothing_asks_for_changes_nothing(numbers, field):
    assert numbers() == numbers(**{field: MUST_NOT[field]})


def test_the_encoders_weights_matter(numbers, tmp_path, tiny):
    other = make_encoder("bert", tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    save_file(
        {name: value * 1.5 for name, value in weights.items()},
        other / "model.safetensors",
        {"format": "pt"},
    )
    assert numbers() != numbers(encoder=str(other))
    same = shutil.copytree(tiny, tmp_path / "same")
    assert numbers() == numbers(encoder=str(same)), "the folder's name doesn't matter"
