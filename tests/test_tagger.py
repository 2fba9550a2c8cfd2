"""The tagger: training, predicting, saving, loading, in every layout."""

import json
from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest
import torch
from safetensors import SafetensorError
from small_runs import tagger_for
from tiny_encoders import FAMILIES, make_encoder

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, load_corpus
from bioner_lib.corpora.splits import Split
from bioner_lib.models.batching import collate, make_examples
from bioner_lib.models.blocks import Cut
from bioner_lib.models.encoders import load_encoder
from bioner_lib.models.entities import in_batches
from bioner_lib.models.heads import Output, plan_heads
from bioner_lib.models.losses import MultiTaskLoss
from bioner_lib.training.fitting import fit


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_saves_and_loads(family, tmp_path):
    folder = str(make_encoder(family, tmp_path / "encoder"))
    corpus = load_corpus("sample").limit(16)
    tagger = tagger_for(folder, [corpus])
    loss_of = MultiTaskLoss(tagger.plans, [corpus], "IOB2")
    heads = {plan.name: plan.types for plan in tagger.plans}
    examples = make_examples(tagger.aligner, corpus.train, 0, heads, "IOB2")
    optimizer, losses = torch.optim.AdamW(tagger.parameters(), lr=1e-2), []
    batch = collate(examples[:8], tagger.tokenizer.pad_token_id)
    for _ in range(3):
        tagger.train()
        loss = loss_of(tagger(**batch.inputs), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    tagger.save_pretrained(tmp_path / "model")
    again = MultiTaskTagger.from_pretrained(tmp_path / "model")
    tokens = [s.tokens for s in corpus.test]
    assert again.predict(tokens) == tagger.predict(tokens)
    assert again.plans == tagger.plans
    assert again.settings == tagger.settings


def test_every_tasks_gradient_reaches_the_shared_encoder(tiny):
    corpora = [load_corpus("sample-gene").limit(8), load_corpus("sample-disease").limit(8)]
    tagger = tagger_for(tiny, corpora)
    heads = {plan.name: plan.types for plan in tagger.plans}
    for i, corpus in enumerate(corpora):
        tagger.zero_grad()
        batch = collate(make_examples(tagger.aligner, corpus.train, i, heads, "IOB2"), 0)
        MultiTaskLoss(tagger.plans, corpora, "IOB2")(tagger(**batch.inputs), batch).backward()
        assert all(
            p.grad is not None and p.grad.any()
            for name, p in tagger.encoder.named_parameters()
            if "attention" in name and "weight" in name
        )
        own, other = tagger.heads[i].linear.weight.grad, tagger.heads[1 - i].linear.weight.grad
        assert own.any()
        assert not other.any()


def test_windows_and_batches_do_not_change_predictions(tiny):
    corpus = load_corpus("sample").limit(8)
    tagger = tagger_for(tiny, [corpus]).eval()
    tokens = [s.tokens for s in corpus.test]
    together = tagger.predict(tokens)
    alone = [tagger.predict([t])[0] for t in tokens]
    for a, b in zip(together, alone, strict=True):
        assert [span[:3] for span in a] == [span[:3] for span in b]
        assert [span[3] for span in a] == pytest.approx([span[3] for span in b], abs=1e-4)
    long = [tokens[0] * 12]
    assert all(0 <= start < end <= len(long[0]) for start, end, *_ in tagger.predict(long)[0])


def test_sentences_of_a_corpus_show_their_neighbours(tiny, monkeypatch):
    corpus = load_corpus("sample").limit(8)
    tagger = tagger_for(tiny, [corpus], context=20).eval()
    split = corpus.test
    assert len({s.doc for s in split}) < len(split)
    together = tagger.predict(split)
    alone = tagger.predict([s.tokens for s in split])
    assert together != alone
    # lists of words have no document
    plain = tagger_for(tiny, [corpus]).eval()
    assert alone == plain.predict(split) == plain.predict([s.tokens for s in split])
    # a document isn't torn between blocks, nor between processes
    cut = Cut(tagger.cut(split))
    monkeypatch.setattr("bioner_lib.models.blocks.BLOCK", 2)
    assert [len(block.sentences) for block in tagger.cut(split)] == runs_of_documents(split, 2)
    assert spans(tagger.predict(split)) == spans(together)
    for blocks in (cut, Cut(tagger.cut(split))):
        shares = [tagger.predict(blocks.share(rank, 3)) for rank in range(3)]
        assert [spans(share) for share in shares] == [spans(together)[rank::3] for rank in range(3)]


def runs_of_documents(split, least):
    """The lengths of whole documents that follow each other, at least so many sentences each."""
    lengths = [0]
    for _, document in groupby(split, key=lambda sentence: sentence.doc):
        if lengths[-1] >= least:
            lengths.append(0)
        lengths[-1] += len(list(document))
    return lengths


def spans(predictions):
    return [[mention[:3] for mention in mentions] for mentions in predictions]


def test_a_text_shows_its_own_sentences_only(tiny):
    tagger = tagger_for(tiny, [load_corpus("sample")], context=30).eval()
    texts = ["EML4-ALK is active. It binds crizotinib.", "Asthma is common. Aspirin helps."]
    one_by_one = [tagger.tag(text) for text in texts]
    assert tagger.tag(texts) == one_by_one
    together = pieces_of(tagger, texts)
    assert together == pieces_of(tagger, texts[:1]) + pieces_of(tagger, texts[1:])
    plain = pieces_of(tagger_for(tiny, [load_corpus("sample")]), texts)
    # both sentences of a text fit: each window shows the whole text
    assert together[0] == together[1] == [plain[0][0], *plain[0][1:-1], *plain[1][1:]]


def pieces_of(tagger, texts):
    sentences = [sentence for _, batch in in_batches(texts, 100) for sentence in batch]
    return [window.input_ids for block in tagger.cut(sentences) for window in block.windows]


def test_types_choose_what_is_read(tiny):
    corpus = load_corpus("sample").limit(20)
    tagger = tagger_for(tiny, [corpus])
    tokens = [s.tokens for s in corpus.test]
    genes = tagger.predict(tokens, types=["Gene"])
    assert genes == [
        [span for span in spans if span[2] == "Gene"] for spans in tagger.predict(tokens)
    ]
    assert {span[2] for spans in genes for span in spans} == {"Gene"}
    with pytest.raises(WorkbookError, match="no head knows"):
        tagger.predict(tokens, types=["Species"])
    assert tagger.predict([]) == []
    assert tagger.predict([[], ["TP53"], []])[0::2] == [[], []]


@pytest.mark.parametrize(
    ("heads", "scheme", "label_pieces"),
    [("joint", "IOBES", "first"), ("per-corpus", "IOB2", "all"), ("per-type", "IOBES", "all")],
)
def test_it_learns_in_every_layout(tiny, heads, scheme, label_pieces):
    """It learns forty sentences by heart. Dev is train here: this tests the plumbing only."""
    corpus = load_corpus("sample-disease").limit(40)
    known = replace(
        corpus, splits={**corpus.splits, "dev": Split(corpus.train, "dev", corpus.name)}
    )
    config = RunConfig(
        corpora="sample-disease",
        encoder=tiny,
        heads=heads,
        scheme=scheme,
        label_pieces=label_pieces,
        epochs=30,
        learning_rate=5e-3,
        batch_size=8,
        max_length=128,
        overlap=16,
        precision="fp32",
        dropout=0.0,
    )
    assert fit(config, [known], progress=False).history[-1]["dev"]["mean"] > 0.8


@pytest.mark.parametrize(
    "text",
    ["Mutations in OPA1", ["Mutations in OPA1", "optic atrophy"], [["OPA1"], "optic atrophy"]],
)
def test_text_where_words_belong_is_refused(tiny, text):
    tagger = tagger_for(tiny, [load_corpus("sample").limit(4)])
    with pytest.raises(WorkbookError, match=r"' is text, and predict takes .*tagger.tag"):
        tagger.predict(text)


def test_word_logits_are_what_predict_reads(tiny):
    tagger = tagger_for(tiny, [load_corpus("sample")]).eval()
    words = ["Mutations", "in", "OPA1", "cause", "optic", "atrophy"]
    valid, edge = torch.ones(1, len(words), dtype=torch.bool), torch.ones(1, dtype=torch.bool)
    found, decoded = tagger.word_logits(words), []
    for name, head in tagger.named_heads:
        tags, probabilities = head.decode(found.pop(name)[None], valid, edge, edge)
        named = [head.tags[tag] for tag in tags[0]]
        decoded += head.spans(named, probabilities[0].tolist(), Counter())
    assert not found
    predicted = tagger.predict([words])[0]
    assert predicted, "an untrained tagger that finds nothing tests nothing"
    assert [tuple(one[:3]) for one in sorted(decoded)] == [tuple(one[:3]) for one in predicted]
    with pytest.raises(WorkbookError, match=r"2000 words are \d+ windows of the encoder"):
        tagger.word_logits(["atrophy"] * 2000)


def test_a_long_text_is_a_generator_read_block_by_block(tiny, monkeypatch):
    tagger = tagger_for(tiny, [load_corpus("sample").limit(4)])
    tokens = [s.tokens for s in load_corpus("sample").test[:20]]
    whole = tagger.predict(tokens)
    monkeypatch.setattr("bioner_lib.models.blocks.BLOCK", 3)
    read = []

    def watched():
        for words in tokens:
            read.append(words)
            yield words

    lazily = tagger.predictions(watched())
    first = next(lazily)
    assert len(read) == 4  # the next sentence tells that the document has ended
    found = [first, *lazily]
    assert [[span[:3] for span in spans] for spans, _ in found] == [
        [span[:3] for span in spans] for spans in whole
    ]
    assert all(0 < confidence <= 1 for _, confidence in found)


@pytest.mark.parametrize("label_pieces", ["first", "all"])
@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_a_perfect_tagger_needs_no_repair(tiny, monkeypatch, scheme, label_pieces):
    """Its heads answer with the gold tags of every labelled piece."""
    corpus = load_corpus("sample").limit(40)
    encoder, tokenizer = load_encoder(tiny)
    tagger = MultiTaskTagger(
        encoder,
        tokenizer,
        plan_heads("joint", [corpus]),
        scheme=scheme,
        max_length=48,
        overlap=8,
        label_pieces=label_pieces,
    )
    gold = {}
    for example in make_examples(tagger.aligner, corpus.test, 0, {"joint": corpus.types}, scheme):
        gold[tuple(example.window.input_ids), tuple(example.window.positions)] = example.tags[
            "joint"
        ]

    def oracle(input_ids, attention_mask, positions, valid, corpus, characters):
        logits = torch.zeros(*positions.shape, len(tagger.heads[0].tags))
        for row in range(len(positions)):
            ids = tuple(input_ids[row][attention_mask[row].bool()].tolist())
            for place, tag in enumerate(gold[ids, tuple(positions[row][valid[row]].tolist())]):
                logits[row, place, tag] = 20.0
        return Output({"joint": logits})

    monkeypatch.setattr(tagger, "forward", oracle)
    repairs = Counter()
    found = tagger.predict([s.tokens for s in corpus.test], repairs=repairs)
    assert [[span[:3] for span in spans] for spans in found] == [s.spans for s in corpus.test]
    assert repairs == {}


def test_a_second_phase_keeps_all_but_the_discriminator(tiny):
    """The first phase's discriminator guesses among the first phase's corpora, so it is new."""
    first = tagger_for(
        tiny, [load_corpus("sample-gene")], sharing="adversarial", encoder_name="mine"
    )
    with torch.no_grad():
        first.sharing.discriminator.weight.fill_(7.0)
    second = first.extended(
        plan_heads("per-type", [load_corpus("sample-gene"), load_corpus("sample-virus")])
    )
    assert second.encoder_name == "mine"
    assert not (second.sharing.discriminator.weight == 7.0).any()
    assert torch.equal(second.sharing.weight[0], first.sharing.weight[0])
    assert second.settings == first.settings
    assert [plan.name for plan in second.plans] == ["Gene", "Virus"]


def test_a_tagger_is_saved_into_a_folder_of_any_depth_and_over_an_old_one(tiny, tmp_path):

    tagger = tagger_for(tiny, [load_corpus("sample-gene")], encoder_name="mine")
    for _ in range(2):
        tagger.save_pretrained(tmp_path / "a" / "b" / "model")
    described = json.loads((tmp_path / "a" / "b" / "model" / "tagger.json").read_text())
    assert described["encoder"] == "mine"
    assert described["heads"] == [
        {"name": "Gene", "types": ["Gene"], "corpora": ["sample-gene"], "exclusive": False}
    ]
    assert {
        "scheme",
        "dropout",
        "max_length",
        "overlap",
        "label_pieces",
        "decoder",
        "sharing",
        "sharing_options",
    } <= set(described)


def test_a_disk_that_is_full_while_saving_is_named(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save_model", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        tagger_for(tiny, [load_corpus("sample-gene")]).save_pretrained(tmp_path)
    assert caught.value.filename == str(tmp_path)
