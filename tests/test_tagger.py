import json
from pathlib import Path

import pytest
import torch
from conftest import FAMILIES, make_encoder
from tokenizers import Tokenizer

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, load_corpus
from bioner_lib.data.alignment import Aligner
from bioner_lib.data.batching import collate, make_examples
from bioner_lib.models.heads import plan_heads
from bioner_lib.models.losses import MultiTaskLoss
from bioner_lib.models.tagger import encoder_path, load_encoder, load_tokenizer
from bioner_lib.runs.training import fit


def tagger_for(folder, corpora, **options):
    torch.manual_seed(0)
    encoder, tokenizer = load_encoder(folder)
    return MultiTaskTagger(encoder, tokenizer, plan_heads("per-type", corpora), max_length=64, overlap=8, **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_saves_and_loads(family, tmp_path):
    folder = str(make_encoder(family, tmp_path / "encoder"))
    corpus = load_corpus("sample").limit(16)
    tagger = tagger_for(folder, [corpus])
    loss_of, heads = MultiTaskLoss(tagger.plans, [corpus], "IOB2"), {plan.name: plan.types for plan in tagger.plans}
    examples = make_examples(tagger.aligner, corpus.train, 0, heads, "IOB2")
    optimizer, losses = torch.optim.AdamW(tagger.parameters(), lr=1e-2), []
    batch = collate(examples[:8], tagger.tokenizer.pad_token_id)
    for _ in range(3):
        tagger.train()
        loss = loss_of(tagger(**batch.inputs), batch)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    tagger.save(tmp_path / "model")
    again = MultiTaskTagger.load(tmp_path / "model")
    tokens = [s.tokens for s in corpus.test]
    assert again.predict(tokens) == tagger.predict(tokens)
    assert again.plans == tagger.plans and again.settings == tagger.settings


def pieces(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(Aligner(tokenizer, 64, 8).pieces([text.split()])[0][-1])


@pytest.mark.parametrize("steps", [[], ["Digits"]])
def test_a_word_is_cut_as_in_running_text(steps, tmp_path):
    """A generic tokenizer.json with a ByteLevel step that puts no space before words, alone or behind another step."""
    folder = make_encoder("modernbert", tmp_path / "encoder")
    saved = json.loads((folder / "tokenizer.json").read_text())
    before = [{"type": step, "individual_digits": True} for step in steps]
    if before:
        saved["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*before, saved["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    running = {text: raw.encode(text, add_special_tokens=False).tokens for text in ("Mutations in", "Mutations the", "the OPA1")}
    assert running["Mutations in"][-1] == "Ġin"
    tagger = tagger_for(str(folder), [load_corpus("sample")])
    tagger.save(tmp_path / "model")
    again = MultiTaskTagger.load(tmp_path / "model")
    for tokenizer in (tagger.tokenizer, again.tokenizer):
        for text, whole in running.items():
            cut = pieces(tokenizer, text)
            assert cut == whole[-len(cut) :]
            assert cut[0].startswith("Ġ")


def test_a_tokenizer_that_cuts_words_otherwise_is_refused(tmp_path):
    """This one knows whole texts only: it has no step that cuts text into words."""
    folder = make_encoder("bert", tmp_path / "encoder")
    saved = json.loads((folder / "tokenizer.json").read_text())
    saved["pre_tokenizer"] = None
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(WorkbookError, match=r"the same running text into .* take another encoder"):
        load_tokenizer(str(folder))


@pytest.mark.parametrize("load", [load_tokenizer, load_encoder, MultiTaskTagger.load])
def test_an_encoders_own_code_is_never_offered(load, tiny, tmp_path, monkeypatch):
    """transformers asks at a prompt whether to run the code in a model's folder, unless it is told not to."""
    asked = []
    monkeypatch.setattr("builtins.input", lambda *_: asked.append("run it?") or "n")
    auto = {"AutoConfig": "own.Config", "AutoModel": "own.Model", "AutoTokenizer": [None, "own.Tokenizer"]}
    tagger_for(tiny, [load_corpus("sample")]).save(tmp_path)
    (tmp_path / "own.py").write_text("raise SystemExit('run')\n")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": auto}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Own", "auto_map": auto}))
    with pytest.raises(ValueError, match=r"trust_remote_code|can't be loaded"):
        load(str(tmp_path))
    assert not asked


def test_every_tasks_gradient_reaches_the_shared_encoder(tiny):
    corpora = [load_corpus("sample-gene").limit(8), load_corpus("sample-disease").limit(8)]
    tagger = tagger_for(tiny, corpora)
    heads = {plan.name: plan.types for plan in tagger.plans}
    for i, corpus in enumerate(corpora):
        tagger.zero_grad()
        batch = collate(make_examples(tagger.aligner, corpus.train, i, heads, "IOB2"), 0)
        MultiTaskLoss(tagger.plans, corpora, "IOB2")(tagger(**batch.inputs), batch).backward()
        assert all(
            p.grad is not None and p.grad.any() for name, p in tagger.encoder.named_parameters() if "attention" in name and "weight" in name
        )
        own, other = tagger.heads[i].linear.weight.grad, tagger.heads[1 - i].linear.weight.grad
        assert own.any() and not other.any()


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
    assert genes == [[span for span in spans if span[2] == "Gene"] for spans in tagger.predict(tokens)]
    assert {span[2] for spans in genes for span in spans} == {"Gene"}
    with pytest.raises(WorkbookError, match="no head knows"):
        tagger.predict(tokens, types=["Species"])
    assert tagger.predict([]) == [] and tagger.predict([[], ["TP53"], []])[0::2] == [[], []]


def test_errors_name_the_encoder_and_the_way_out(tmp_path, tiny):
    with pytest.raises(WorkbookError, match="unknown encoder 'minilmm'; did you mean 'minilm'"):
        encoder_path("minilmm")
    with pytest.raises(WorkbookError, match=r"'michiyasunaga/BioLinkBERT-base'.*encoder='minilm' or the folder"):
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
    with pytest.raises(WorkbookError, match=r"max_length=512, but .* has only 130"):
        encoder, tokenizer = load_encoder(tiny)
        MultiTaskTagger(encoder, tokenizer, plan_heads("joint", [load_corpus("sample")]), max_length=512)


@pytest.mark.parametrize(("words", "kept"), [(["BRCA", "brca"], "BRCA"), (["brca"], "brca")])
def test_a_cased_vocabulary_stays_cased(tmp_path, words, kept):
    """As BioBERT comes: a vocab.txt, and nothing that says whether to lower-case."""
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    assert load_tokenizer(str(tmp_path)).tokenize("BRCA") == [kept]


def test_embedded_encoder_is_there_without_a_network():
    encoder, tokenizer = load_encoder("minilm")
    assert sum(p.numel() for p in encoder.parameters()) > 22e6 and len(tokenizer) == 30522
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("heads", "scheme", "label_pieces"), [("joint", "IOBES", "first"), ("per-corpus", "IOB2", "all"), ("per-type", "IOBES", "all")]
)
def test_it_learns_in_every_layout(tiny, heads, scheme, label_pieces):
    """Forty sentences by heart: dev is train here, so this says nothing but that the pieces fit together."""
    corpus = load_corpus("sample-disease").limit(40)
    from dataclasses import replace

    from bioner_lib.data.corpus import Split

    known = replace(corpus, splits={**corpus.splits, "dev": Split(corpus.train, "dev", corpus.name)})
    config = RunConfig(
        corpora="sample-disease", encoder=tiny, heads=heads, scheme=scheme, label_pieces=label_pieces, epochs=30, learning_rate=5e-3,
        batch_size=8, max_length=128, overlap=16, precision="fp32", dropout=0.0,
    )  # fmt: skip
    assert fit(config, [known], progress=False).history[-1]["dev"]["mean"] > 0.8
