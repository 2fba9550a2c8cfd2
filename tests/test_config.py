import copy
import json
import pickle

import pytest

from bioner_lib import RunConfig, WorkbookError
from bioner_lib.config_files import parse_yaml, read_config


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
        ({"loss_weights": {"Gene": 0}}, "tag what nothing taught it"),
        ({"loss_weights": [1, 2]}, "expected numbers by head"),
        ({"loss_weights": {1: 0.5}}, "expected numbers by head"),
        ({"corpus_weights": {"sample": float("nan")}}, "expected numbers by corpus"),
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
        ({"system": "dictionary", "start_from": "x"}, "leave out start_from='x'"),
        ({"r_drop": 1.0, "dropout": 0.0}, "compares two dropout masks"),
        ({"sentence_head": "types", "sentence_weight": 0.0}, "would teach sentence_head='types'"),
        ({"corpora": ""}, "'' names no corpus"),
        (
            {"heads": "per-corpus", "unannotated": "negative"},
            "does nothing with heads='per-corpus'",
        ),
        (
            {"heads": "per-corpus", "unannotated": "marginal"},
            "does nothing with heads='per-corpus'",
        ),
    ],
)
def test_mistakes_are_named(given, message):
    with pytest.raises(WorkbookError, match=message):
        RunConfig(**({"corpora": "sample"} | given))


@pytest.mark.parametrize(
    ("idle", "acting"),
    [
        ({"experts": 8, "balance": 1.0}, {"sharing": "moe"}),
        ({"reversal": 1.0, "orthogonality": 1.0}, {"sharing": "adversarial"}),
        ({"sentence_weight": 1.0}, {"sentence_head": "types"}),
        ({"temperature": 5.0}, {"sampling": "temperature"}),
        ({"confidence": 0.5}, {"teacher": "x"}),
        ({"unannotated": "marginal"}, {"heads": "joint"}),
        ({"corpus_weights": {"sample-gene": 1.0}}, {"corpus_weights": {"sample-gene": 0.5}}),
    ],
)
def test_a_field_without_effect_makes_no_other_run(idle, acting):
    two = {"corpora": ("sample-gene", "sample-disease")}
    assert RunConfig(**two, **idle).run_id == RunConfig(**two).run_id
    assert RunConfig(**two | idle | acting).run_id != RunConfig(**two | acting).run_id or (
        "corpus_weights" in idle
    )
    assert RunConfig(**two | idle | acting).run_id != RunConfig(**two).run_id


def test_one_corpus_is_sampled_in_one_way():
    one = RunConfig(corpora="sample")
    for given in ({"sampling": "sqrt"}, {"sampling": "temperature", "temperature": 3.0}):
        config = RunConfig(corpora="sample", **given)
        assert config.run_id == one.run_id
        assert RunConfig(**config.as_dict()) == config, "a row says what it was made with"
    taught = {"corpora": "sample:Gene", "teacher": "x"}  # which makes two corpora of it
    assert RunConfig(**taught, sampling="sqrt").run_id != RunConfig(**taught).run_id
    two = ("sample-gene", "sample-disease")
    assert RunConfig(corpora=two, sampling="sqrt").run_id != RunConfig(corpora=two).run_id


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


def write_files(folder, **texts):
    """YAML files by their names without ending."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_a_file_extends_others_beside_it(tmp_path):
    write_files(
        tmp_path,
        all="corpora: sample\nseed: 1\nepochs: 2\nloss_weights: {Gene: 0.5, Virus: 3}\n",
        deep__crf="extends: ../all.yaml\nseed: 2\nscheme: IOB2\n",
        deep__mine="extends: crf.yaml\nseed: 3\nloss_weights: {Virus: 2}\n",
    )
    mine = str(tmp_path / "deep" / "mine.yaml")
    expected = {"corpora": "sample", "epochs": 2, "scheme": "IOB2", "loss_weights": {"Virus": 2}}
    assert read_config([mine]) == RunConfig(**expected, seed=3)
    assert read_config([mine, "seed=4"]) == RunConfig(**expected, seed=4)
    assert read_config(["epochs=9", mine]).epochs == 2, "what is extended is part of the file"
    absolute = json.dumps({"extends": mine, "seed": 5})
    (tmp_path / "last.json").write_text(absolute)
    assert read_config([str(tmp_path / "last.json")]) == RunConfig(**expected, seed=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: al.yaml", r"mine\.yaml: extends 'al\.yaml', but there is no file .*/al\.yaml"),
        ("extends: .", r"extends '\.', but there is no file"),
        ("extends: [all.yaml]", r"mine\.yaml: extends=\['all\.yaml'\]; expected the path of one"),
        ("extends:", r"extends=None; expected the path"),
        ("extends: mine.yaml", r"circle: \S*mine\.yaml -> \S*mine\.yaml;"),
        ("extends: back.yaml", r"circle: \S*mine\.yaml -> \S*back\.yaml -> \S*mine\.yaml;"),
        ("extends: list.yaml", r"list\.yaml: expected fields of RunConfig"),
        ("extends: broken.yaml", r"broken\.yaml: not YAML"),
        ("extends: wrong.yaml", "unknown RunConfig field 'sed'"),
    ],
)
def test_an_extends_that_leads_nowhere_is_named(tmp_path, text, message):
    write_files(
        tmp_path,
        mine=text,
        all="corpora: sample\n",
        back="extends: mine.yaml\n",
        list="- sample\n",
        broken="corpora: [\n",
        wrong="corpora: sample\nsed: 3\n",
    )
    with pytest.raises(WorkbookError, match=message):
        read_config([str(tmp_path / "mine.yaml")])


def test_extends_is_refused_outside_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path, all="corpora: sample\n")
    with pytest.raises(WorkbookError, match=r"only a file can say extends; .* all\.yaml seed=42"):
        read_config(["extends=all.yaml"])
    with pytest.raises(WorkbookError, match="unknown RunConfig field 'extends'"):
        RunConfig(corpora="sample", extends="all.yaml")


def test_a_json_file_holds_what_a_config_says(tmp_path):
    config = RunConfig(corpora="sample", encoder="biolinkbert")
    path = tmp_path / "run.JSON"
    path.write_text(json.dumps(config.as_dict(), indent="\t"))
    assert "3e-05" in path.read_text()
    assert read_config([str(path)]) == config
    path.write_text("{'corpora': 1}")
    with pytest.raises(WorkbookError, match=r"run\.JSON: not JSON"):
        read_config([str(path)])


@pytest.mark.parametrize("name", ["twice.yaml", "twice.json"])
def test_a_key_that_stands_twice_is_named(tmp_path, name):
    (tmp_path / name).write_text('{"corpora": "sample", "seed": 1, "seed": 2}')
    with pytest.raises(WorkbookError, match=f"{name}: key 'seed' stands twice"):
        read_config([str(tmp_path / name)])


def test_a_small_number_needs_no_point(tmp_path, monkeypatch):
    write_files(tmp_path, small="corpora: sample\nlearning_rate: 3e-5\nweight_decay: 1E-2\n")
    config = read_config([str(tmp_path / "small.yaml"), "r_drop=+2e0"])
    assert (config.learning_rate, config.weight_decay, config.r_drop) == (3e-5, 0.01, 2.0)
    assert parse_yaml("[3e-5, 1e2abc/x, 0e1f2a3b]") == [3e-5, "1e2abc/x", "0e1f2a3b"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_config(["~/small.yaml"]).learning_rate == 3e-5


def test_neighbours_and_a_teacher_dont_go_together():
    with pytest.raises(WorkbookError, match="context=8 shows neighbouring sentences, and teacher="):
        RunConfig(corpora="sample", teacher="x", context=8)


def test_names_of_heads_and_runs_are_no_paths(tmp_path, monkeypatch):
    """Folders of the same names lie in the working folder."""
    for name in ("Gene", "my-run"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    config = RunConfig(corpora="sample", loss_weights={"Gene": 0.5}, start_from="my-run")
    assert dict(config.loss_weights) == {"Gene": 0.5}
    assert config.start_from == "my-run"
    (tmp_path / "my-run" / "tagger.json").write_text("{}")
    assert RunConfig(corpora="sample", teacher="my-run").teacher == str(tmp_path / "my-run")


def test_a_type_stands_once_in_a_joint_head():
    assert RunConfig(corpora="sample", heads="joint", types=["Gene", "Gene"]).types == ("Gene",)
