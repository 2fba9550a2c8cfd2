import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from tiny_encoders import FAMILIES, make_encoder
from tokenizers import Tokenizer

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, load_corpus
from bioner_lib.models.batching import collate, make_examples
from bioner_lib.models.encoders import encoder_path, load_encoder, load_tokenizer
from bioner_lib.models.heads import Output, plan_heads
from bioner_lib.models.losses import MultiTaskLoss
from bioner_lib.training.loop import fit


def tagger_for(folder, corpora, **options):
    torch.manual_seed(0)
    encoder, tokenizer = load_encoder(folder)
    return MultiTaskTagger(
        encoder, tokenizer, plan_heads("per-type", corpora), max_length=64, overlap=8, **options
    )


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
    tagger.save(tmp_path / "model")
    again = MultiTaskTagger.load(tmp_path / "model")
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


def test_errors_name_the_encoder_and_the_way_out(tmp_path, tiny):
    with pytest.raises(WorkbookError, match="unknown encoder 'minilmm'; did you mean 'minilm'"):
        encoder_path("minilmm")
    with pytest.raises(
        WorkbookError, match=r"'michiyasunaga/BioLinkBERT-base'.*encoder='minilm' or the folder"
    ):
        load_encoder("biolinkbert")
    with pytest.raises(WorkbookError, match="can't be loaded"):
        load_encoder(str(tmp_path))
    import shutil

    from safetensors.torch import load_file, save_file

    broken = Path(shutil.copytree(tiny, tmp_path / "broken")) / "model.safetensors"
    weights = load_file(broken)
    save_file({name: value for name, value in weights.items() if "layer.1." not in name}, broken)
    with pytest.raises(WorkbookError, match=r"is incomplete: .* lacks 16 weights"):
        load_encoder(str(broken.parent))
    broken.write_bytes(b"nothing")
    with pytest.raises(WorkbookError, match="can't be loaded"):
        load_encoder(str(broken.parent))
    with pytest.raises(WorkbookError, match=r"no tagger\.json"):
        MultiTaskTagger.load(tmp_path)
    with pytest.raises(
        WorkbookError,
        match=r"max_length=512 is too long for .*: its windows hold at most 128 pieces",
    ):
        encoder, tokenizer = load_encoder(tiny)
        MultiTaskTagger(
            encoder, tokenizer, plan_heads("joint", [load_corpus("sample")]), max_length=512
        )


@pytest.mark.parametrize(("words", "kept"), [(["BRCA", "brca"], "BRCA"), (["brca"], "brca")])
def test_a_cased_vocabulary_stays_cased(tmp_path, words, kept):
    """As BioBERT comes: a vocab.txt, and nothing that says whether to lower-case."""
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
    )
    assert load_tokenizer(str(tmp_path)).tokenize("BRCA") == [kept]


def test_embedded_encoder_is_there_without_a_network():
    encoder, tokenizer = load_encoder("minilm")
    assert sum(p.numel() for p in encoder.parameters()) > 22e6
    assert len(tokenizer) == 30522
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("heads", "scheme", "label_pieces"),
    [("joint", "IOBES", "first"), ("per-corpus", "IOB2", "all"), ("per-type", "IOBES", "all")],
)
def test_it_learns_in_every_layout(tiny, heads, scheme, label_pieces):
    """It learns forty sentences by heart. Dev is train here: this tests the plumbing only."""
    corpus = load_corpus("sample-disease").limit(40)
    from dataclasses import replace

    from bioner_lib.corpora.corpus import Split

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
    with pytest.raises(WorkbookError, match=r"' is text; .* lists of words: .*tokenize"):
        tagger.predict(text)


def test_a_long_text_is_a_generator_read_block_by_block(tiny, monkeypatch):
    tagger = tagger_for(tiny, [load_corpus("sample").limit(4)])
    tokens = [s.tokens for s in load_corpus("sample").test[:20]]
    whole = tagger.predict(tokens)
    monkeypatch.setattr("bioner_lib.models.tagger.BLOCK", 3)
    read = []
    lazily = tagger.predictions(read.append(words) or words for words in tokens)
    first = next(lazily)
    assert len(read) == 3
    found = [first, *lazily]
    assert [[span[:3] for span in spans] for spans, _ in found] == [
        [span[:3] for span in spans] for spans in whole
    ]
    assert all(0 < confidence <= 1 for _, confidence in found)


@pytest.mark.parametrize(
    "family",
    ["bert", "roberta", "electra", "deberta-v2", "modernbert", "distilbert", "xlnet", "funnel"],
)
def test_dropout_reaches_every_family(tmp_path, family):
    """Families name it hidden_dropout_prob, dropout, hidden_dropout, attention_dropout, …"""
    folder = make_encoder(family, tmp_path / "encoder")
    for probability in (0.0, 0.37):
        encoder, _ = load_encoder(str(folder), probability)
        layers = {
            name: m.p for name, m in encoder.named_modules() if isinstance(m, torch.nn.Dropout)
        }
        assert layers
        assert {p for name, p in layers.items()} == {probability}, layers


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2"])
def test_the_longest_window_that_an_encoder_takes(tmp_path, family):
    """Its 130 positions: 128 in a multiple of 8; RoBERTa's begin at 2."""
    encoder, tokenizer = load_encoder(str(make_encoder(family, tmp_path / "encoder")))
    plans = plan_heads("joint", [load_corpus("sample")])
    tagger = MultiTaskTagger(encoder, tokenizer, plans, max_length=128, overlap=16)
    tagger.predict([["OPA1"] * 300])
    assert max(len(window.input_ids) for window in tagger.aligner.windows([["OPA1"] * 300])) > 120
    for too_long in (129, 130):
        with pytest.raises(
            WorkbookError, match=f"max_length={too_long} is too long .* at most 128 pieces"
        ):
            MultiTaskTagger(encoder, tokenizer, plans, max_length=too_long)


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

    def oracle(input_ids, attention_mask, positions, valid, corpus):
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


def pieces_of(tokenizer, words):
    return tokenizer.convert_ids_to_tokens(
        tokenizer(words, is_split_into_words=True, add_special_tokens=False)["input_ids"]
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_word_is_cut_alike_in_a_list_and_in_text(tmp_path, family):
    """ModernBERT's tokenizer.json has add_prefix_space=false, and a generic class ignores ours."""
    folder = make_encoder(family, tmp_path / "encoder")
    tagger = tagger_for(str(folder), [load_corpus("sample").limit(4)])
    tagger.save(tmp_path / "saved")
    text = "Mutations in OPA1 cause optic atrophy"
    for tokenizer in (tagger.tokenizer, MultiTaskTagger.load(tmp_path / "saved").tokenizer):
        in_text = tokenizer.convert_ids_to_tokens(
            tokenizer(text, add_special_tokens=False)["input_ids"]
        )
        assert pieces_of(tokenizer, text.split()) == in_text
        first, second = pieces_of(tokenizer, ["in"]), pieces_of(tokenizer, ["OPA1", "in"])
        assert second[len(pieces_of(tokenizer, ["OPA1"])) :] == first, (
            "the same word in another place"
        )
    if family == "modernbert":
        assert pieces_of(tagger.tokenizer, ["OPA1", "in"])[-1] == "Ġin"


def test_a_space_comes_before_words_and_not_inside_them(tmp_path):
    """Llama 3 and EuroBERT split digits before ByteLevel: add_prefix_space would split OPA1."""
    folder = make_encoder("modernbert", tmp_path / "encoder")
    saved = json.loads((folder / "tokenizer.json").read_text())
    digits = {"type": "Digits", "individual_digits": True}
    saved["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, saved["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    untouched = Tokenizer.from_file(str(folder / "tokenizer.json"))
    in_text = untouched.encode("the OPA1 in the Mutations", add_special_tokens=False).tokens
    assert "Ġ1" not in in_text
    tagger = tagger_for(str(folder), [load_corpus("sample")])
    tagger.save(tmp_path / "saved")
    for loaded in (tagger, MultiTaskTagger.load(tmp_path / "saved")):
        first, *others = loaded.aligner.pieces([["the", "OPA1", "in", "the", "Mutations"]])[0]
        cut = loaded.tokenizer.convert_ids_to_tokens([piece for word in others for piece in word])
        assert cut == in_text[-len(cut) :]
        assert loaded.tokenizer.convert_ids_to_tokens(first)[0].startswith("Ġ")
    (tmp_path / "saved" / "tokenizer.json").write_text(
        json.dumps(saved)
    )  # as an earlier version saved it
    assert MultiTaskTagger.load(tmp_path / "saved").aligner.pieces(
        [["the", "OPA1"]]
    ) == tagger.aligner.pieces([["the", "OPA1"]])


def test_an_encoder_that_cuts_words_otherwise_in_a_list_is_refused(tmp_path):
    """Its normalizer joins what isn't separated by a blank already."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {name: i for i, name in enumerate(["[UNK]", "of in", "of", "in", "a"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("never", "removed")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(
        WorkbookError,
        match=r"in a list of words .* and into '\[UNK\]' in running text; take an encoder",
    ):
        load_tokenizer(str(tmp_path))


def test_an_encoders_own_code_is_never_offered_at_a_prompt(tmp_path, tiny, monkeypatch):
    import shutil

    folder = Path(shutil.copytree(tiny, tmp_path / "odd"))
    (folder / "config.json").write_text(
        '{"model_type": "odd", "auto_map": {"AutoConfig": "odd.Config", "AutoModel": "odd.Model"}}'
    )
    (folder / "odd.py").write_text("raise SystemExit('ran')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(WorkbookError, match=r"can't be loaded"):
        load_encoder(str(folder))


def test_a_second_phase_keeps_all_but_who_guesses_the_corpora(tiny):
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
    import json

    tagger = tagger_for(tiny, [load_corpus("sample-gene")], encoder_name="mine")
    for _ in range(2):
        tagger.save(tmp_path / "a" / "b" / "model")
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
    from safetensors import SafetensorError

    def full(*_):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save_model", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        tagger_for(tiny, [load_corpus("sample-gene")]).save(tmp_path)
    assert caught.value.filename == str(tmp_path)
