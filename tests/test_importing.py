"""Released checkpoints, as `start_from` and as `encoder`."""

import json

import pytest
import torch
from small_runs import small

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, load_corpus, run
from bioner_lib.board.comparison import repetitions
from bioner_lib.models.heads import plan_heads
from bioner_lib.runs.rows import arm_of
from bioner_lib.training.building import build


@pytest.fixture
def released(tiny, outputs, tmp_path):
    """A stock token classifier with the labels O, B-Gene, I-Gene."""
    row = run(small(tiny, "sample-gene", scheme="IOB2"), progress=False)
    tagger = MultiTaskTagger.from_pretrained(row["run_id"])
    return tagger.export_head("Gene", tmp_path / "released"), tagger


def started(released, **changes):
    fields = {"corpora": "sample-gene", "start_from": str(released), "scheme": "IOB2"}
    sizes = {"epochs": 1, "limit": 24, "max_length": 64, "overlap": 8}
    return RunConfig(**fields | sizes | changes)


def relabel(folder, labels):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["id2label"] = dict(enumerate(labels))
    config["label2id"] = {label: i for i, label in enumerate(labels)}
    path.write_text(json.dumps(config))


def test_a_classifier_is_the_start_of_a_training(released):
    folder, tagger = released
    config = started(folder)
    assert config.encoder == str(folder), "it brings its encoder"
    assert config.learning_rate == 3e-5
    gene = load_corpus("sample-gene")
    begun = build(config, plan_heads("per-type", [gene])).eval()
    tokens = [sentence.tokens for sentence in gene.dev]
    assert begun.predict(tokens) == tagger.predict(tokens), "before any training"
    row = run(config, progress=False)
    assert row["parents"] == {}
    assert row["not_compared"] == [f"what taught {folder}"]
    assert repetitions(config) == [row], "a released start is no missing run"
    other = run(started(folder, start_from="", encoder=str(folder)), progress=False)
    assert other["history"][0]["loss"] > row["history"][0]["loss"], "its head is new"
    assert arm_of(other) != arm_of(row)


def test_bare_labels_in_another_order_fit_a_single_type(released):
    folder, tagger = released
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    order = torch.tensor([1, 2, 0])
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name][order].contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    relabel(folder, ["B", "I", "O"])
    gene = load_corpus("sample-gene")
    begun = build(started(folder), plan_heads("per-type", [gene])).eval()
    tokens = [sentence.tokens for sentence in gene.dev]
    assert begun.predict(tokens) == tagger.predict(tokens)


def test_what_doesnt_fit_is_refused(released, tiny):
    folder, _ = released
    with pytest.raises(WorkbookError, match="no head has the labels of"):
        run(started(folder, scheme="IOBES"), progress=False)
    with pytest.raises(WorkbookError, match="no head has the labels of"):
        run(started(folder, corpora="sample-disease"), progress=False)
    with pytest.raises(WorkbookError, match=r"reads \d+ values of a word, .*characters='none'"):
        run(started(folder, characters="case"), progress=False)
    with pytest.raises(WorkbookError, match="brings its own encoder; leave out encoder='bert'"):
        started(folder, encoder="bert")
    with pytest.raises(WorkbookError, match="holds no linear token classifier to start from"):
        run(started(tiny), progress=False)
    with pytest.raises(WorkbookError, match="can't be loaded from"):
        run(started("nobody/nothing"), progress=False)


def test_a_saved_taggers_folder_goes_on_too(tiny, outputs, tmp_path):
    first = small(tiny, "sample-gene")
    run(first, progress=False)
    tagger = MultiTaskTagger.from_pretrained(first.run_id)
    tagger.save_pretrained(tmp_path / "mine")
    second = small(tiny, "sample-disease", start_from=str(tmp_path / "mine"))
    assert second.encoder == str(tiny)
    row = run(second, progress=False)
    assert [plan.name for plan in MultiTaskTagger.from_pretrained(row["run_id"]).plans] == [
        "Gene",
        "Disease",
    ]
    assert run(second, progress=False) == row, "a finished run is only read"
    with torch.no_grad():
        tagger.heads[0].linear.bias.add_(1)
    tagger.save_pretrained(tmp_path / "mine")
    with pytest.raises(WorkbookError, match=r"has changed since: parents / start_from"):
        run(second, progress=False)


def test_heads_of_a_saved_first_phase_are_scored_too(tiny, outputs):
    first = small(tiny, "sample-gene")
    run(first, progress=False)
    folder = outputs / "runs" / first.run_id / "model"
    for name in (first.run_id, str(folder)):
        second = small(tiny, "sample-disease", also_test=["sample"], start_from=name)
        scores = run(second, progress=False)["scores"]["sample"]["test"]
        assert "Gene" in scores["types"] and "Gene" not in scores["not_asked"], name


def test_what_a_second_phase_forgets_is_in_its_row(tiny, outputs):
    first = small(tiny, "sample-gene")
    before = run(first, progress=False)["scores"]["sample-gene"]["test"]["types"]["Gene"]["f1"]
    second = small(tiny, "sample-disease", also_test=["sample-gene"], start_from=first.run_id)
    row = run(second, progress=False)
    after = row["scores"]["sample-gene"]["test"]["types"]["Gene"]["f1"]
    assert row["forgotten"]["sample-gene"]["Gene"] == {
        "before": before,
        "after": after,
        "forgotten": before - after,
    }
    assert "sample-disease" not in row["forgotten"], "the first phase wasn't scored on it"
    assert "forgotten" not in run(first, progress=False)
