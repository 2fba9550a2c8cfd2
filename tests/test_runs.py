import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import environment, own_corpus, rows_in, run_in, small

from bioner_lib import (
    MultiTaskTagger,
    RunConfig,
    WorkbookError,
    load_corpus,
    read_predictions,
    read_rows,
    run,
    score,
)
from bioner_lib.corpora.corpus import Corpus
from bioner_lib.errors import SelectionError
from bioner_lib.models.encoders import autocast_dtype
from bioner_lib.models.heads import plan_heads
from bioner_lib.runs.rows import file_name, forget
from bioner_lib.training import checkpoint
from bioner_lib.training import loop as training
from bioner_lib.training.building import build
from bioner_lib.training.loop import dev_f1, fit

ONE_RUN = """
import json, os, sys
from bioner_lib import RunConfig, run
os.environ["BIONER_OUTPUTS"] = sys.argv[2]
row = run(RunConfig(**json.loads(sys.argv[1])))
print(row["finished"])
"""
SLOW_SECOND_EPOCH = (
    """
import time
from bioner_lib.training.loop import Loop
inner = Loop.one_epoch
def slow(self, epoch, dev=None):
    if epoch == 1:
        print("second", flush=True)
        time.sleep(60)
    return inner(self, epoch, dev)
Loop.one_epoch = slow
"""
    + ONE_RUN
)


def result(row):
    """A row without what differs between two executions of one run: times and memory."""
    history = [
        {key: value for key, value in record.items() if "seconds" not in key and key != "joules"}
        for record in row["history"]
    ]
    return {
        "scores": row["scores"],
        "history": history,
        "config": row["config"],
        "data": row["data"],
    }


def test_a_run_leaves_a_row_that_says_everything(tiny, outputs, capsys):
    config = small(tiny, epochs=3, precision="auto")
    row = run(config)
    folder = outputs / "runs" / config.run_id
    assert f"row: runs/{config.run_id}/run.json" in capsys.readouterr().out
    assert json.loads((folder / "run.json").read_text()) == row
    assert sorted(p.name for p in folder.iterdir()) == [
        "model",
        "predictions",
        "run.json",
    ]
    assert row["config"] == config.as_dict()
    assert len(row["history"]) == 3
    assert row["data"]["sample"]["official"] is False
    assert len(row["data"]["sample"]["fingerprint"]) == 16
    assert {"seconds", "process_seconds", "pieces_per_second", "peak_memory_bytes"} <= set(
        row["cost"]
    )
    release = torch.__version__.split("+")[0]  # a CUDA build's package doesn't say +cu124
    assert row["versions"]["torch"].split("+")[0] == release
    assert row["device"]["precision"] in ("bf16", "fp32")
    predictions = read_predictions(config.run_id, "sample", "test")
    corpus = load_corpus("sample").limit(40)
    assert [p["tokens"] for p in predictions] == [s.tokens for s in corpus.test]
    rescored = score(
        [[tuple(s) for s in p["gold"]] for p in predictions],
        [p["predicted"] for p in predictions],
        corpus.types,
    )
    assert rescored == row["scores"]["sample"]["test"]["types"]
    assert sum(s["support"] for n, s in rescored.items() if n not in ("micro", "macro")) == sum(
        corpus.counts("test").values()
    )
    tagger = MultiTaskTagger.load(folder / "model")
    autocast = autocast_dtype("auto")
    found = tagger.predict([s.tokens for s in corpus.test], autocast=autocast)
    assert [[s[:3] for s in spans] for spans in found] == [
        [tuple(s[:3]) for s in p["predicted"]] for p in predictions
    ]
    assert [r["run_id"] for r in read_rows()] == [config.run_id]


def test_the_same_run_again_is_read_not_made(tiny, outputs, monkeypatch):
    config = small(tiny, epochs=1)
    first = run(config, progress=False)
    monkeypatch.setattr(training, "fit", lambda *a, **k: pytest.fail("trained again"))
    assert run(config, progress=False) == first


def test_same_seed_same_numbers_bit_for_bit(tiny, tmp_path):
    rows = [run_in(tmp_path / name, small(tiny, epochs=3)) for name in ("a", "b")]
    assert result(rows[0]) == result(rows[1])
    assert (
        result(run_in(tmp_path / "a", small(tiny, seed=14, epochs=3)))["history"]
        != result(rows[0])["history"]
    )


@pytest.mark.slow
def test_kill_in_the_second_epoch_then_resume_gives_the_same_row(tiny, tmp_path, monkeypatch):
    """The real thing: another process, kill -9, the same call again."""
    config = small(tiny, epochs=4)
    undisturbed = run_in(tmp_path / "whole", config)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SLOW_SECOND_EPOCH,
            json.dumps(config.as_dict()),
            str(tmp_path / "killed"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert any(line.strip() == b"second" for line in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    working = tmp_path / "killed" / "runs" / f".working-{config.run_id}"
    assert (working / "last.pt").exists()
    assert rows_in(tmp_path / "killed") == []
    starts, inner = [], training.Loop.one_epoch
    monkeypatch.setattr(
        training.Loop,
        "one_epoch",
        lambda self, epoch, dev: starts.append(epoch) or inner(self, epoch, dev),
    )
    resumed = run_in(tmp_path / "killed", config)
    assert starts == [1, 2, 3]
    assert not working.exists()
    assert result(resumed) == result(undisturbed)


def test_a_half_written_checkpoint_is_never_read(tiny, tmp_path, monkeypatch):
    config, corpora = small(tiny, epochs=2), [load_corpus("sample").limit(40)]
    fit(config, corpora, tmp_path, progress=False)
    (tmp_path / "last.tmp").write_bytes(b"half")
    assert len(fit(config, corpora, tmp_path, progress=False).history) == 2


def test_a_deleted_row_is_made_again(tiny, tmp_path):
    config = small(tiny, epochs=1)
    first = run_in(tmp_path, config)
    (tmp_path / "runs" / config.run_id / "run.json").unlink()
    assert result(run_in(tmp_path, config)) == result(first)


@pytest.mark.parametrize("wrong", ["", ".", "..", "../runs", "sample-dictionary-s13", "a/b"])
def test_forgetting_takes_one_run_by_its_id(outputs, wrong):
    config = RunConfig(corpora="sample", system="dictionary")
    run(config, progress=False)
    with pytest.raises(WorkbookError, match=f"unknown run .*known: .*{config.run_id}"):
        forget(wrong)
    assert read_rows()[0]["run_id"] == config.run_id
    forget(config.run_id)
    assert read_rows() == []


def test_two_corpora_never_share_a_predictions_file():
    names = [
        "sample_Gene",
        "sample:Gene",
        "sample/Gene",
        "sample Gene",
        "a" * 300,
        "a" * 301,
        "Größe:Gene",
    ]
    assert len({file_name(name) for name in names}) == len(names)
    assert all(len(file_name(name)) < 120 for name in names)
    assert file_name("ncbi-disease") == "ncbi-disease"


def test_killed_between_the_last_two_steps(tiny, tmp_path, monkeypatch):
    config = small(tiny, epochs=1)
    first = run_in(tmp_path, config)
    folder = tmp_path / "runs" / config.run_id
    folder.rename(folder.with_name(f".working-{config.run_id}"))
    monkeypatch.setattr(training, "fit", lambda *a, **k: pytest.fail("trained again"))
    assert run_in(tmp_path, config) == first
    assert (folder / "run.json").exists()


def test_changed_data_is_never_mistaken_for_the_old(tiny, tmp_path, monkeypatch):
    sample = load_corpus("sample").train
    config = small(tiny, corpora=own_corpus(tmp_path / "mine", sample[:20]), limit=0, epochs=2)
    run_in(tmp_path / "o", config)
    own_corpus(tmp_path / "mine", sample[:25])
    with pytest.raises(
        WorkbookError, match=r"has changed since: data / mine / fingerprint: .*forget\("
    ):
        run_in(tmp_path / "o", config)
    with environment(BIONER_OUTPUTS=tmp_path / "o"):
        forget(config.run_id)
    monkeypatch.setattr(
        training.Loop, "one_epoch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path / "o", config)
    own_corpus(tmp_path / "mine", sample[:20])
    with pytest.raises(WorkbookError, match="has changed since"):
        run_in(tmp_path / "o", config)


def test_a_gradient_that_is_not_finite_never_reaches_the_checkpoint(tiny, tmp_path, monkeypatch):
    from accelerate import Accelerator

    config, inner, calls = small(tiny, epochs=3), Accelerator.clip_grad_norm_, []

    def broken(self, *arguments):
        calls.append(1)
        return inner(self, *arguments) * (float("inf") if len(calls) == 10 else 1.0)

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", broken)
    with pytest.raises(WorkbookError, match="gradient is inf in epoch 2, step 5"):
        run_in(tmp_path, config)
    state = torch.load(
        tmp_path / "runs" / f".working-{config.run_id}" / "last.pt", weights_only=True
    )
    assert len(json.loads(state["history"])) == 1
    assert all(value.isfinite().all() for value in state["model"].values())


def test_a_corpus_that_no_head_can_score_is_refused_before_training(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *a, **k: pytest.fail("trained first"))
    with pytest.raises(WorkbookError, match=r"no head knows any of \['Virus'\]"):
        run_in(tmp_path, small(tiny, corpora="sample-gene", also_test=("sample-virus",), epochs=3))


def test_a_tracker_that_is_not_installed(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", lambda: ["tensorboard"])
    with pytest.raises(WorkbookError, match="tracker 'wandb' isn't installed: pip install wandb"):
        run_in(tmp_path, small(tiny, epochs=3), track="wandb")


def test_damaged_checkpoints_are_named(tiny, tmp_path, monkeypatch):
    config = small(tiny, epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr("bioner_lib.runs.run._Maker._score", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_in(tmp_path, config)
    (last,) = tmp_path.glob("runs/.working-*/last.pt")
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(
        WorkbookError, match=rf"last.pt is damaged .*forget; forget\('{config.run_id}'\)"
    ):
        run_in(tmp_path, config)
    with environment(BIONER_OUTPUTS=tmp_path):
        forget(config.run_id)
    assert run_in(tmp_path, config)["scores"]


def test_unknown_tracker(tiny, tmp_path):
    with pytest.raises(
        WorkbookError, match="unknown tracker 'tensorbord'; did you mean 'tensorboard'"
    ):
        run_in(tmp_path, small(tiny, epochs=3), track="tensorbord")


@pytest.mark.slow
def test_two_processes_share_one_run(tiny, tmp_path):
    config = small(tiny, epochs=2)
    call = [sys.executable, "-c", ONE_RUN, json.dumps(config.as_dict()), str(tmp_path)]
    processes = [
        subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate() for process in processes]
    assert all(process.returncode == 0 for process in processes), answers
    assert len({out.splitlines()[-1] for out, _ in answers}) == 1, (
        "one worked, the other read its row"
    )
    assert "waiting for it" in "".join(err for _, err in answers)


def test_selection_never_sees_test(tiny, monkeypatch):
    corpus = load_corpus("sample").limit(10)
    tagger = build(small(tiny, epochs=3), plan_heads("joint", [corpus]))
    with pytest.raises(SelectionError, match="must not see the test split"):
        dev_f1(tagger, [corpus.test], [corpus], None)
    monkeypatch.setattr(
        Corpus, "test", property(lambda self: pytest.fail("training looked at test"))
    )
    fit(small(tiny, epochs=1, limit=10), [corpus], progress=False)


def test_the_best_dev_epoch_is_kept(tiny, tmp_path, monkeypatch):
    scores = iter([0.2, 0.6, 0.4])
    weights = []

    def fake(tagger, dev, corpora, autocast):
        weights.append(tagger.heads[0].linear.weight.detach().clone())
        return {"mean": next(scores)}

    monkeypatch.setattr(training, "dev_f1", fake)
    for folder in (None, tmp_path):
        scores = iter([0.2, 0.6, 0.4])
        weights[:] = []
        fitted = fit(
            small(tiny, limit=16, epochs=3),
            [load_corpus("sample").limit(16)],
            folder,
            progress=False,
        )
        assert torch.equal(fitted.tagger.heads[0].linear.weight, weights[1])


def test_non_finite_loss_stops_and_names_step_and_batch(tiny, tmp_path, monkeypatch):
    config, inner = small(tiny, epochs=3), training.MultiTaskLoss.forward
    calls = []

    def broken(self, logits, batch, *more):
        calls.append(1)
        return inner(self, logits, batch, *more) * (float("nan") if len(calls) > 7 else 1.0)

    monkeypatch.setattr(training.MultiTaskLoss, "forward", broken)
    with pytest.raises(
        WorkbookError,
        match=r"loss is nan in epoch 2, step 3, batch of \d+ windows .* of 'sample'"
        r".*checkpoint is kept",
    ):
        run_in(tmp_path, config)
    monkeypatch.setattr(training.MultiTaskLoss, "forward", inner)
    assert (tmp_path / "runs" / f".working-{config.run_id}" / "last.pt").exists()
    assert len(run_in(tmp_path, config)["history"]) == 3


def test_disk_full_is_named_and_loses_nothing(tiny, tmp_path, monkeypatch):
    config, inner = small(tiny, epochs=2), checkpoint._write
    written = []

    def full(path, content):
        written.append(path)
        if len(written) > 2:
            raise OSError(28, "No space left on device", str(path))
        inner(path, content)

    monkeypatch.setattr(checkpoint, "_write", full)
    with pytest.raises(WorkbookError, match=r"No space left on device .*BIONER_OUTPUTS"):
        run_in(tmp_path, config)
    monkeypatch.setattr(checkpoint, "_write", inner)
    assert len(run_in(tmp_path, config)["history"]) == 2


def test_outputs_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbookError, match=r"can't write to .*BIONER_OUTPUTS"):
        run_in(tmp_path / "file" / "outputs", small(tiny, epochs=3))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_read_only_outputs(tiny, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WorkbookError, match="can't write to"):
        run_in(tmp_path / "outputs", small(tiny, epochs=3))


def test_multi_task_run_scores_each_corpus_by_its_types(tiny, tmp_path):
    config = small(
        tiny, corpora=("sample-gene", "sample-disease"), also_test=("sample:Gene",), epochs=1
    )
    row = run_in(tmp_path, config)
    assert {c: set(s) for c, s in row["scores"].items()} == {
        "sample-gene": {"dev", "test"},
        "sample-disease": {"dev", "test"},
        "sample:Gene": {"test"},
    }
    assert set(row["scores"]["sample-gene"]["test"]["types"]) == {"Gene", "micro", "macro"}
    assert (
        row["scores"]["sample:Gene"]["test"]["types"]
        == row["scores"]["sample-gene"]["test"]["types"]
    )


def test_dictionary_baseline_is_a_run_too(outputs):
    row = run(RunConfig(corpora="sample", system="dictionary"), progress=False)
    types = row["scores"]["sample"]["test"]["types"]
    assert 0.1 < types["micro"]["recall"] < types["micro"]["precision"] < 1
    assert row["history"] == []


def own_text(folder, **splits):
    """A folder in inline markup, a list of lines a split."""
    folder.mkdir()
    for role, lines in splits.items():
        (folder / f"{role}.txt").write_text("# d\n" + "\n".join(lines))
    return str(folder)


def test_a_dictionary_knows_all_its_corpora(tmp_path, outputs):
    """On another corpus it finds every type it was trained on that the corpus annotates."""
    genes = own_text(tmp_path / "genes", train=["[OPA1](Gene) x", "[MS](Gene) x"], dev=["x"])
    diseases = own_text(tmp_path / "diseases", train=["[optic atrophy](Disease) x"], dev=["x"])
    both = own_text(tmp_path / "both", test=["[OPA1](Gene) in [optic atrophy](Disease)"])
    strange = own_text(tmp_path / "viruses", test=["[SARS](Virus) x"])
    row = run(
        RunConfig(corpora=(genes, diseases), system="dictionary", also_test=(both,)), progress=False
    )
    scored = row["scores"]["both"]["test"]
    assert [scored["types"][name]["tp"] for name in ("Gene", "Disease")] == [1, 1]
    assert scored["types"]["micro"]["f1"] == 1.0
    alone = run(RunConfig(corpora=genes, system="dictionary", also_test=(both,)), progress=False)[
        "scores"
    ]["both"]["test"]
    assert alone["not_asked"] == ["Disease"]
    assert alone["types"]["micro"]["f1"] == 1.0
    with pytest.raises(WorkbookError, match=r"no head knows any of \['Virus'\] \(viruses\)"):
        run(RunConfig(corpora=genes, system="dictionary", also_test=(strange,)), progress=False)


def test_every_run_is_checked_by_the_referee(outputs, monkeypatch):
    """A scorer that says more than seqeval does stops the run before it leaves a row."""
    inner = score

    def flattering(*sides):
        scores = inner(*sides)
        scores["Gene"]["f1"] += 0.01
        return scores

    monkeypatch.setattr("bioner_lib.runs.run.score", flattering)
    with pytest.raises(AssertionError, match=r"Gene: strict F1 .* by seqeval"):
        run(RunConfig(corpora="sample", system="dictionary"), progress=False)
    assert read_rows() == []


def test_tensorboard_when_asked_for(tiny, outputs, capsys):
    run(small(tiny, epochs=2), track="tensorboard")
    assert list((outputs / "tensorboard").rglob("events.out.tfevents*"))
    assert "epoch 2/2  loss" in capsys.readouterr().out


def test_a_corpus_of_the_users_own(tiny, tmp_path):
    """A folder without a test split, declared by its corpus.toml, and a view of it."""
    mine = tmp_path / "mine"
    mine.mkdir()
    for role in ("train", "dev"):
        lines = [
            json.dumps({"tokens": s.tokens, "ner": s.tags})
            for s in load_corpus("sample").splits[role][:20]
        ]
        (mine / f"{role}.jsonl").write_text("\n".join(lines))
    (mine / "corpus.toml").write_text(
        'tag_field = "ner"\ntypes = ["Gene", "Disease", "Chemical", "Virus", "Species"]\n'
    )
    row = run_in(tmp_path / "outputs", small(tiny, corpora=str(mine), epochs=1, limit=0))
    assert list(row["scores"]["mine"]) == ["dev"]
    assert row["data"]["mine"]["types"] == ["Gene", "Disease", "Chemical", "Virus", "Species"]
    assert load_corpus(f"{mine}:Virus").types == ("Virus",)
    (mine / "corpus.toml").write_text('tag_filed = "ner"')
    with pytest.raises(WorkbookError, match="did you mean 'tag_field'"):
        load_corpus(mine)
    (mine / "corpus.toml").write_text("tag_field = ner")
    with pytest.raises(WorkbookError, match=r"corpus\.toml"):
        load_corpus(mine)


def test_energy_is_counted_where_the_device_says():
    from bioner_lib.training.energy import joules, used

    assert joules() is None or joules() > 0
    assert used(1.0, 3.5) == 2.5
    assert used(None, 1.0) is None
    assert used(3.0, 1.0) is None


def test_gradient_accumulation_counts_optimizer_steps(tiny, monkeypatch):
    rates = []
    inner = training.warm_up_and_decay

    def watched(warmup, steps):
        schedule = inner(warmup, steps)
        return lambda step: rates.append((step, steps)) or schedule(step)

    monkeypatch.setattr(training, "warm_up_and_decay", watched)
    fit(small(tiny, epochs=2, accumulate=3), [load_corpus("sample").limit(40)], progress=False)
    assert rates[-1][0] == rates[-1][1] == 4, "5 batches an epoch, 3 a step: 2 steps an epoch"
    assert (
        fit(
            small(tiny, epochs=1, accumulate=3), [load_corpus("sample").limit(40)], progress=False
        ).cost["steps"]
        == 2
    )


def test_schedule_rises_and_falls():
    schedule = training.warm_up_and_decay(0.1, 100)
    assert [round(schedule(step), 3) for step in (0, 4, 9, 10, 55, 100)] == [
        0.1,
        0.5,
        1.0,
        1.0,
        0.5,
        0.0,
    ]


@pytest.mark.real
def test_real_gold_is_scored_whole(mirror, tmp_path):
    """Every official mention is in the scored gold, long sentences too."""
    for name, official in (
        ("ncbi-disease", 960),
        ("bc5cdr", 9809),
        ("bc2gm", 6325),
        ("jnlpba", 8662),
        ("linnaeus", 1433),
    ):
        row = run_in(tmp_path, RunConfig(corpora=name, system="dictionary"))
        assert row["scores"][name]["test"]["types"]["micro"]["support"] == official


@pytest.mark.real
def test_real_ncbi_disease_single_task(mirror, tmp_path):
    """One seed; the mean over three is in the README. A tagger three points lower is broken."""
    started = time.time()
    row = run_in(tmp_path, RunConfig(corpora="ncbi-disease", heads="joint"))
    assert row["scores"]["ncbi-disease"]["test"]["types"]["micro"]["f1"] > 0.82
    assert time.time() - started < 900
