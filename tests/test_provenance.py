"""A finished run is read again only while everything it was made from is unchanged (guard 11)."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_corpora import own_corpus

from bioner_lib import RunConfig, WorkbookError, load_corpus, run
from bioner_lib.runs import provenance
from bioner_lib.runs.provenance import changes, encoder_digest, made_from
from bioner_lib.runs.rows import forget, read_row
from bioner_lib.training import loop as training


def dictionary(corpus: str, **fields) -> RunConfig:
    return RunConfig(corpora=corpus, system="dictionary", **fields)


@pytest.fixture
def genes():
    return load_corpus("sample-gene").train[:40]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"types": ["Gene", "Species"]},
            r"data / mine / types: \['Gene'\] -> \['Gene', 'Species'\]",
        ),
        ({"silver": True}, "data / mine / silver: False -> True"),
        ({"suffix": "-b"}, "data / mine / documents: "),
        ({"first_without": True}, "data / mine / fingerprint: "),
    ],
)
def test_what_a_corpus_declares_is_part_of_a_run(tmp_path, outputs, genes, change, message):
    """One thing changes in each case; the words stay the same."""
    config = dictionary(own_corpus(tmp_path / "mine", genes, ["Gene"]), also_test=("sample-gene",))
    first = run(config, progress=False)
    assert run(config, progress=False) == first
    own_corpus(tmp_path / "mine", **{"types": ["Gene"], "sentences": genes} | change)
    with pytest.raises(WorkbookError, match=rf"{message}.*forget\('{config.run_id}'\)"):
        run(config, progress=False)


def test_an_encoder_whose_weights_have_changed(tiny, tmp_path, outputs):
    folder = shutil.copytree(tiny, tmp_path / "encoder")
    config = RunConfig(
        corpora="sample", encoder=str(folder), epochs=1, limit=10, max_length=64, overlap=8
    )
    run(config, progress=False)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: torch.zeros_like(value) for name, value in weights.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(
        WorkbookError, match=r"encoder: [0-9a-f]{16} -> [0-9a-f]{16}; to make it again"
    ):
        run(config, progress=False)
    shutil.rmtree(folder)
    assert run(config, progress=False), "what isn't there can't have changed"


def test_a_relative_encoder_is_one_folder(tiny, tmp_path, monkeypatch):
    for name in ("a", "b"):
        shutil.copytree(tiny, tmp_path / name / "encoder")
    configs = []
    for name in ("a", "b"):
        monkeypatch.chdir(tmp_path / name)
        configs.append(RunConfig(corpora="sample", encoder="encoder"))
    assert configs[0].run_id != configs[1].run_id
    assert configs[0].encoder == str(tmp_path / "a" / "encoder")
    assert configs[0] == RunConfig(corpora="sample", encoder=str(tmp_path / "a" / "encoder"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunConfig(corpora="sample", encoder="~/b/encoder").encoder == str(
        tmp_path / "b" / "encoder"
    )
    (tmp_path / "b" / "minilm").mkdir()
    assert RunConfig(corpora="sample", encoder="minilm").encoder == "minilm", (
        "an alias stays an alias"
    )


def test_a_parent_made_again_from_other_data_is_refused(tiny, tmp_path, outputs, genes):
    """The parent keeps its run id: only its corpus's content is another one."""
    options = {"encoder": tiny, "epochs": 1, "max_length": 64, "overlap": 8, "learning_rate": 3e-3}
    first = RunConfig(corpora=own_corpus(tmp_path / "mine", genes, ["Gene"]), **options)
    second = RunConfig(corpora="sample-gene", limit=20, start_from=first.run_id, **options)
    run(first, progress=False)
    run(second, progress=False)
    own_corpus(tmp_path / "mine", genes[:30], ["Gene"])
    with pytest.raises(WorkbookError, match=rf"what run {first.run_id} was made from has changed"):
        run(second, progress=False)
    forget(first.run_id)
    assert run(second, progress=False), "a deleted parent can't be compared"
    run(first, progress=False)
    with pytest.raises(WorkbookError, match=rf"run {second.run_id} .*parents / start_from: "):
        run(second, progress=False)
    forget(first.run_id)
    own_corpus(tmp_path / "mine", genes, ["Gene"])
    run(first, progress=False)
    assert run(second, progress=False), "a parent that was made again alike is the same parent"


@pytest.mark.parametrize("part", ["", "@50%"])
def test_a_finished_run_is_read_though_its_corpus_was_moved(tmp_path, outputs, genes, part):
    """The corpus can't be compared; all else is."""
    folder = own_corpus(tmp_path / "mine", genes, ["Gene"])
    config = dictionary([f"{folder}{part}", "sample-gene"])
    row = run(config, progress=False)
    shutil.move(folder, tmp_path / "moved")
    assert run(config, progress=False) == row
    other = dictionary(folder, seed=14)
    with pytest.raises(WorkbookError, match=f"no such file or folder: {folder}; correct the path"):
        run(other, progress=False)
    own_corpus(tmp_path / "mine", genes[:30], ["Gene"])
    with pytest.raises(WorkbookError, match="has changed since: data / mine"):
        run(config, progress=False)


def test_precision_and_library_are_part_of_a_run(tiny, outputs, monkeypatch):
    config = RunConfig(corpora="sample", encoder=tiny, epochs=1, limit=10, max_length=64, overlap=8)
    row = run(config, progress=False)
    other = {"fp32": "bf16", "bf16": "fp32"}[row["device"]["precision"]]
    assert row["made_from"]["precision"] == row["device"]["precision"]
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "precision", lambda config: other)
        with pytest.raises(WorkbookError, match=rf"precision: \w+ -> {other}"):
            run(config, progress=False)
    monkeypatch.setattr(provenance, "version", lambda name: "99.0")
    with pytest.raises(WorkbookError, match=r"library: .* -> 99\.0"):
        run(config, progress=False)


def test_changed_reading_code_is_noticed(outputs, monkeypatch):
    """Registered files are verified by hash, so only a change of the reading code reloads them."""
    config = dictionary("sample")
    loaded = []
    inner = provenance.load_corpus

    def watched(name, **options):
        loaded.append(name)
        return inner(name, **options)

    monkeypatch.setattr(provenance, "load_corpus", watched)
    monkeypatch.setitem(
        provenance.CORPORA, "sample", {**provenance.CORPORA["sample"], "repository": "owner/name"}
    )
    run(config, progress=False)
    run(config, progress=False)
    assert loaded == []
    monkeypatch.setattr(provenance, "_CODE", ())
    assert run(config, progress=False), "other code that reads the same words"
    assert loaded == ["sample"]
    monkeypatch.setattr(
        provenance,
        "load_corpus",
        lambda name, **options: replace(inner(name, **options), types=("Gene",)),
    )
    with pytest.raises(WorkbookError, match="data / sample / types"):
        run(config, progress=False)


def begin(config, monkeypatch):
    """Start a run, and interrupt it in its first epoch."""

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.Loop, "one_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(config, progress=False)


def test_a_run_begun_on_other_data_is_not_resumed(tiny, outputs, monkeypatch):
    config = RunConfig(corpora="sample", encoder=tiny, epochs=2, limit=10, max_length=64, overlap=8)
    begin(config, monkeypatch)
    (working,) = (outputs / "runs").glob(".working-*")
    (working / "last.pt").touch()
    recorded = (working / "made_from.json").read_text()
    (working / "made_from.json").unlink()
    with pytest.raises(
        WorkbookError, match="earlier version of the workbook, which did not record"
    ):
        run(config, progress=False)
    (working / "made_from.json").write_text(recorded)
    monkeypatch.setattr(provenance, "encoder_digest", lambda name: "another")
    with pytest.raises(WorkbookError, match=r"encoder: .* -> another"):
        run(config, progress=False)


def test_a_begun_run_is_resumed_by_another_reader_of_the_same_words(tiny, outputs, monkeypatch):
    """An update of the workbook in the middle of a sweep must not cost the runs that it stopped."""
    config = RunConfig(corpora="sample", encoder=tiny, epochs=1, limit=10, max_length=64, overlap=8)
    begin(config, monkeypatch)
    monkeypatch.setattr(provenance, "_CODE", ())
    row = run(config, progress=False)
    assert row["made_from"]["readers"] == {"sample": provenance.reader_digest("sample")}


def test_a_row_of_an_earlier_version_is_not_read_again(outputs):
    config = dictionary("sample")
    run(config, progress=False)
    path = outputs / "runs" / config.run_id / "run.json"
    row = read_row(path.parent)
    del row["made_from"]
    path.write_text(json.dumps(row))
    with pytest.raises(
        WorkbookError, match="earlier version of the workbook, which did not record"
    ):
        run(config, progress=False)


def test_changes_by_hand():
    assert changes({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}) == ["b / c: 2 -> 3"]
    assert changes({"a": None}, {"a": 1}) == []
    assert changes({"a": 1}, {"a": None}) == []
    assert changes({"readers": {"x": 1}}, {"readers": {"x": 2}}) == []
    assert changes({"data": {"readers": 1}}, {"data": {"readers": 2}}), "a corpus of this name"


def test_an_encoder_of_the_hub_is_known_by_its_commit(monkeypatch):
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda name, file: f"/cache/snapshots/0123456789abcdef0123/{file}",
    )
    assert encoder_digest("biolinkbert") == "0123456789abcdef"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: None)
    assert encoder_digest("biolinkbert") is None
    assert made_from(dictionary("sample"), [])["encoder"] is None


def test_trials_of_a_search_on_other_data_are_not_counted(tiny, tmp_path, outputs, genes):
    from bioner_lib.runs.search import search

    base = RunConfig(
        corpora=own_corpus(tmp_path / "mine", genes, ["Gene"]),
        encoder=tiny,
        epochs=1,
        max_length=64,
        overlap=8,
        precision="fp32",
    )
    space = {"learning_rate": [1e-4, 1e-3]}
    assert len(search(base, space, 2).trials) == 2
    assert len(search(base, space, 3).trials) == 3
    own_corpus(tmp_path / "mine", genes[:30], ["Gene"])
    with pytest.raises(WorkbookError, match=r"data / mine / fingerprint: .*delete .*\.journal"):
        search(base, space, 4)


def test_a_corpus_that_changed_its_name_too_is_noticed(tmp_path, outputs, genes):
    config = dictionary(own_corpus(tmp_path / "mine", genes, ["Gene"]), also_test=("sample-gene",))
    run(config, progress=False)
    own_corpus(tmp_path / "mine", genes[:30], ["Gene"])
    with (tmp_path / "mine" / "corpus.toml").open("a") as file:
        file.write('name = "other"\n')
    with pytest.raises(WorkbookError, match=r"\['other'\] are names of other corpora than"):
        run(config, progress=False)


def test_encoders_among_the_choices_of_a_search_are_part_of_it(tiny, tmp_path, outputs):
    pytest.importorskip("optuna")
    from bioner_lib.runs.search import search

    other = shutil.copytree(tiny, tmp_path / "other")
    base = RunConfig(
        corpora="sample-gene", encoder=tiny, epochs=1, limit=20, max_length=64, overlap=8
    )
    search(base, {"encoder": [tiny, str(other)]}, 1)
    weights = load_file(other / "model.safetensors")
    changed = {name: 3 * value for name, value in weights.items()}
    save_file(changed, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(WorkbookError, match=r"choices / encoder / .*other: .*delete .*\.journal"):
        search(base, {"encoder": [tiny, str(other)]}, 2)
    twice = RunConfig(**base.as_dict() | {"corpora": ["sample", "sample@50%"]})
    with pytest.raises(WorkbookError, match="two corpora of this run have one name"):
        search(twice, {"learning_rate": [1e-4, 1e-3]}, 1)
