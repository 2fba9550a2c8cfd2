"""The benchmark's arms do the same work and are told apart; work is counted, never timed."""

import pandas as pd
import pytest
import torch
from small_runs import run_in, small
from torch.utils._python_dispatch import TorchDispatchMode

from bioner_lib import Aligner, WorkbookError, load_corpus
from bioner_lib.models.batching import epoch_batches
from bioner_lib.throughput import (
    interleaved,
    layer_products,
    machine,
    matrix_peak,
    ratios,
    read_stored,
    store,
    summary,
    tagging_arms,
    trained_f1,
    training_arms,
)
from bioner_lib.training.loop import Loop


def test_arms_take_turns_and_the_first_round_is_not_counted():
    order = []
    arms = {name: lambda name=name: (order.append(name) or 10, 2.0) for name in "ab"}
    measured = interleaved(arms, 2)
    assert order == list("ababab")
    assert measured["arm"].tolist() == list("abab")
    assert set(measured["rate"]) == {5.0}


def test_no_round_is_refused():
    with pytest.raises(WorkbookError, match="repeats=0"):
        interleaved({}, 0)


def test_rows_keep_their_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path))
    with pytest.raises(WorkbookError, match="make bench"):
        read_stored()
    measured = interleaved({"a": lambda: (10, 2.0)}, 3).assign(precision="fp32")
    store(measured, "x-fp32")
    kept = read_stored()
    assert set(kept["machine"]) == {machine()["machine"]}
    assert set(kept["threads"]) == {torch.get_num_threads()}
    assert summary(kept)["rate"].tolist() == [5]


def test_ratios_are_those_of_medians():
    rows = [("ours", 10.0), ("ours", 30.0), ("ours", 20.0), ("theirs", 4.0), ("theirs", 6.0)]
    stored = pd.DataFrame(rows, columns=["arm", "rate"])
    stored = stored.assign(file="x-fp32-tagging", precision="fp32")
    assert ratios(stored)["tagging", "fp32"].to_dict() == {"ours": 1, "theirs": 4}


def test_peak_counts_a_multiplication_and_an_addition():
    assert matrix_peak(torch.float32, repeats=1) > 1e9


def test_products_of_a_layer():
    assert layer_products(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 5))) == 64


@pytest.mark.slow
def test_training_arms_train_the_same_pieces(tiny):
    config = small(tiny, corpora="sample-disease")
    corpus = load_corpus("sample-disease").limit(12)
    arms = training_arms(config, corpus, [128])
    pieces = {name: arm()[0] for name, arm in arms.items()}
    assert list(pieces) == [
        "this library",
        "Trainer, default",
        "Trainer, best flags",
        "Trainer, padded to 128",
    ]
    assert len(set(pieces.values())) == 1
    assert all(seconds > 0 for _, seconds in (arm() for arm in arms.values()))


@pytest.mark.slow
def test_tagging_arms_tag_the_same_sentences(tiny):
    arms = tagging_arms(tiny, [["a", "tumour"], ["of", "mice"]], None, heads=2)
    assert [arm()[0] for arm in arms.values()] == [2] * 8


def test_published_measurements_name_machine_and_precision():
    kept = read_stored(published=True)
    assert set(kept["precision"]) == {"bf16", "fp32"}
    assert kept["machine"].notna().all()
    assert kept.groupby(["file", "arm"])["repeat"].nunique().min() >= 2


def test_batches_hold_little_padding(tiny):
    """At most 12 % of the pieces that the embeddings see are padding; the layers see none."""
    config = small(tiny, corpora="sample", limit=0, batch_size=16)
    loop = Loop(config, [load_corpus("sample")], progress=False)
    batches = epoch_batches(loop.train, 0, 13, 16, 4096, "proportional", 2.0)
    real = sum(len(e.window.input_ids) for batch in batches for e in batch)
    padded = sum(max(len(e.window.input_ids) for e in batch) * len(batch) for batch in batches)
    assert 1 - real / padded <= 0.12


@pytest.mark.parametrize("heads", [1, 5])
def test_one_encoder_pass_whatever_the_number_of_heads(tiny, heads):
    from bioner_lib.throughput.taggers import _tagger

    tagger, passes = _tagger(tiny, heads), []
    tagger.encoder.embeddings.register_forward_hook(lambda *_: passes.append(1))
    tagger.predict([["a", "tumour"], ["of", "mice"]])
    assert len(passes) == 1


class _Reads(TorchDispatchMode):
    """Counts how often a number leaves its tensor."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        self.count += operation is torch.ops.aten._local_scalar_dense.default
        return operation(*arguments, **(keywords or {}))


@pytest.mark.parametrize("sentences", [10, 40])
def test_no_number_is_read_at_each_step(tiny, monkeypatch, sentences):
    """On a GPU each reading waits for the device; what only a CPU does is left out here."""
    monkeypatch.setattr(Loop, "_embedding_rows", lambda *_: None)
    monkeypatch.setattr("bioner_lib.training.loop.clip_gradient", lambda *_: torch.tensor(1.0))
    config = small(tiny, corpora="sample", batch_size=1)
    loop = Loop(config, [load_corpus("sample").limit(sentences)], progress=False)
    with _Reads() as reads:
        assert loop.one_epoch(0)["steps"] == sentences
    assert reads.count <= 3 + sentences // 20


def test_nothing_is_cut_into_pieces_twice_in_a_run(tiny, tmp_path, monkeypatch):
    seen, pieces = [], Aligner.pieces

    def watched(self, sentences):
        seen.extend(map(id, sentences))
        return pieces(self, sentences)

    monkeypatch.setattr(Aligner, "pieces", watched)
    run_in(tmp_path, small(tiny, epochs=2))
    assert len(seen) == len(set(seen)) > 0


@pytest.mark.slow
def test_whole_trainings_are_compared_by_one_scorer(tiny):
    """In bf16 too, where the Trainer changes what accelerate does for the whole process."""
    config = small(tiny, corpora="sample-disease", epochs=2, scheme="IOBES", precision="bf16")
    table = trained_f1(config, load_corpus("sample-disease").limit(20), [13, 42])
    assert table["arm"].tolist()[:3] == [
        "this library",
        "this library, int8",
        "Trainer, best flags",
    ]
    assert table["seed"].tolist() == [13] * 3 + [42] * 3
    assert table["f1"].between(0, 1).all()


def test_int8_tags_nearly_as_fp32_and_leaves_the_tagger_as_it_was(tiny, tmp_path):
    from bioner_lib.models.quantization import quantized
    from bioner_lib.throughput.taggers import _tagger

    tagger = _tagger(tiny, 1)
    sentences = [sentence.tokens for sentence in load_corpus("sample").limit(20).test]
    with torch.no_grad():
        (_, batch), *_ = tagger._batches(tagger.aligner.windows(sentences), 0)
        before = tagger(**batch.inputs).logits["type 0"]
        small = quantized(tagger)
        after = small(**batch.inputs).logits["type 0"]
        assert torch.equal(tagger(**batch.inputs).logits["type 0"], before)
    assert not torch.equal(after, before)
    torch.testing.assert_close(after, before, atol=0.1, rtol=0.1)
    in_bf16 = small.predict(sentences, autocast=torch.bfloat16)
    assert in_bf16 == small.predict(sentences), "int8 has one precision"
    for save in (small.save_pretrained, lambda folder: small.export_head("type 0", folder)):
        with pytest.raises(WorkbookError, match="an int8 copy can't be saved"):
            save(tmp_path / "model")
    assert "Quantized" in str(small.encoder) and "Quantized" not in str(tagger.encoder)
