import copy
import json
import pickle

import pytest

from bioner_lib import RunConfig, WorkbookError
from bioner_lib.config import read_config


def test_run_id_is_stable_and_names_the_run():
    config = RunConfig(corpora="ncbi-disease", seed=42)
    assert config.run_id.startswith("ncbi-disease-minilm-per-type-s42-")
    assert (
        config.run_id
        == RunConfig(corpora=["ncbi-disease"], seed=42, learning_rate=2e-4, epochs=5).run_id
    )
    assert RunConfig(**json.loads(json.dumps(config.as_dict()))) == config
    assert config.digest(("seed",)) == RunConfig(corpora="ncbi-disease", seed=7).digest(("seed",))
    assert config.digest(("seed",)) != RunConfig(
        corpora="ncbi-disease", seed=42, scheme="IOB2"
    ).digest(("seed",))


def test_defaults_depend_on_corpus_and_encoder():
    assert RunConfig(corpora="sample").epochs == 8
    assert RunConfig(corpora=("sample", "bc5cdr")).epochs == 8
    assert RunConfig(corpora="bc5cdr:Disease").epochs == 5
    assert RunConfig(corpora="bc5cdr").learning_rate == 2e-4
    assert RunConfig(corpora="bc5cdr", encoder="biolinkbert").learning_rate == 3e-5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"lerning_rate": 1e-4},
            "unknown RunConfig field 'lerning_rate'; did you mean 'learning_rate'",
        ),
        ({"epochs": 2.5}, "epochs=2.5 is float; expected int"),
        ({"epochs": True}, "epochs=True is bool"),
        ({"encoder": 3}, "encoder=3 is int"),
        ({"heads": "pertype"}, "unknown heads 'pertype'; did you mean 'per-type'"),
        ({"scheme": "IOB"}, "unknown scheme 'IOB'"),
        ({"unannotated": "ignore"}, "unknown unannotated 'ignore'"),
        ({"loss_weights": {"Gene": -0.5}}, "weights are 0 or more"),
        ({"loss_weights": [1, 2]}, "expected numbers by head"),
        ({"batch_size": 0}, "batch_size=0; expected 1 to"),
        ({"overlap": 256}, "overlap=256"),
        ({"max_pieces": 100}, "can't hold one window"),
        ({"corpora": ()}, "expected at least one"),
        ({"corpora": ("bc5cdr", "bc5cdr")}, "each once"),
        ({"corpora": (1,)}, "expected names"),
        ({"seed": -1}, "seed=-1"),
        ({"corpora": None}, "corpora=None; expected a name"),
        ({"temperature": 1e-5}, "temperature=1e-05"),
        ({"sharing": "crossed"}, "unknown sharing 'crossed'; did you mean 'cross'"),
        ({"decoder": "CRF"}, "unknown decoder 'CRF'"),
        ({"loss_weights": "uncertain"}, "or 'uncertainty'"),
        ({"corpus_weights": {"sample": -1}}, "weights are 0 or more"),
        ({"corpus_weights": {"bc5cdr": 1}}, "unknown corpus in corpus_weights 'bc5cdr'"),
        ({"corpus_weights": "half"}, "expected numbers by corpus"),
        ({"confidence": 1.5}, "confidence=1.5; expected 0 to 1"),
        ({"experts": 1}, "experts=1; expected 2 to"),
        ({"reversal": -0.1}, "reversal=-0.1"),
    ],
)
def test_mistakes_are_named(given, message):
    with pytest.raises(WorkbookError, match=message):
        RunConfig(**({"corpora": "sample"} | given))


def test_a_folder_is_one_corpus_however_it_is_spelt(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    spelt = [RunConfig(corpora=name).run_id for name in ("mine", "./mine", str(tmp_path / "mine"))]
    assert len(set(spelt)) == 1
    assert RunConfig(corpora="mine:Gene").corpora == (f"{tmp_path}/mine:Gene",)


def test_configs_travel_and_are_keys():
    config = RunConfig(corpora=("sample", "bc5cdr"), loss_weights={"Gene": 2})
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config
    assert len({config, copy.deepcopy(config)}) == 1


def test_corpora_are_needed():
    with pytest.raises(WorkbookError, match="needs corpora="):
        RunConfig(seed=1)


@pytest.mark.parametrize("argument", ["corpora=2026-13-45", "corpora=" + "[" * 2_000])
def test_values_that_break_yamls_reader_are_named(argument):
    with pytest.raises(WorkbookError, match="not YAML"):
        read_config([argument])
