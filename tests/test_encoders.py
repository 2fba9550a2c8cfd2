"""Encoders and their tokenizers: loading, dropout, window lengths, spaces before words."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_runs import tagger_for
from tiny_encoders import FAMILIES, make_encoder
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bioner_lib import MultiTaskTagger, WorkbookError, load_corpus
from bioner_lib.models.encoders import (
    encoder_path,
    load_encoder,
    load_tokenizer,
    longest_window,
)
from bioner_lib.models.heads import plan_heads


def test_errors_name_the_encoder_and_the_way_out(tmp_path, tiny):
    with pytest.raises(WorkbookError, match="unknown encoder 'minilmm'; did you mean 'minilm'"):
        encoder_path("minilmm")
    with pytest.raises(
        WorkbookError, match=r"'michiyasunaga/BioLinkBERT-base'.*encoder='minilm' or the folder"
    ):
        load_encoder("biolinkbert")
    with pytest.raises(WorkbookError, match="can't be loaded"):
        load_encoder(str(tmp_path))
    broken = Path(shutil.copytree(tiny, tmp_path / "broken")) / "model.safetensors"
    weights = load_file(broken)
    save_file({name: value for name, value in weights.items() if "layer.1." not in name}, broken)
    with pytest.raises(WorkbookError, match=r"is incomplete: .* lacks 16 weights"):
        load_encoder(str(broken.parent))
    broken.write_bytes(b"nothing")
    with pytest.raises(WorkbookError, match="can't be loaded"):
        load_encoder(str(broken.parent))
    with pytest.raises(WorkbookError, match=r"no tagger\.json"):
        MultiTaskTagger.from_pretrained(tmp_path)
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


def test_an_encoder_with_relative_positions_takes_windows_of_any_length(tmp_path):
    """XLNet's configuration says max_position_embeddings=-1."""
    encoder, tokenizer = load_encoder(str(make_encoder("xlnet", tmp_path / "encoder")))
    assert encoder.config.max_position_embeddings == -1
    assert longest_window(encoder) is None
    tagger = MultiTaskTagger(encoder, tokenizer, plan_heads("joint", [load_corpus("sample")]))
    assert len(tagger.predict([["OPA1"] * 300])) == 1


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


def pieces_of(tokenizer, words):
    return tokenizer.convert_ids_to_tokens(
        tokenizer(words, is_split_into_words=True, add_special_tokens=False)["input_ids"]
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_word_is_cut_alike_in_a_list_and_in_text(tmp_path, family):
    """ModernBERT's tokenizer.json has add_prefix_space=false, and a generic class ignores ours."""
    folder = make_encoder(family, tmp_path / "encoder")
    tagger = tagger_for(str(folder), [load_corpus("sample").limit(4)])
    tagger.save_pretrained(tmp_path / "saved")
    text = "Mutations in OPA1 cause optic atrophy"
    for tokenizer in (
        tagger.tokenizer,
        MultiTaskTagger.from_pretrained(tmp_path / "saved").tokenizer,
    ):
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
    tagger.save_pretrained(tmp_path / "saved")
    for loaded in (tagger, MultiTaskTagger.from_pretrained(tmp_path / "saved")):
        first, *others = loaded.aligner.pieces([["the", "OPA1", "in", "the", "Mutations"]])[0]
        cut = loaded.tokenizer.convert_ids_to_tokens([piece for word in others for piece in word])
        assert cut == in_text[-len(cut) :]
        assert loaded.tokenizer.convert_ids_to_tokens(first)[0].startswith("Ġ")
    (tmp_path / "saved" / "encoder" / "tokenizer.json").write_text(
        json.dumps(saved)
    )  # as an earlier version saved it
    assert MultiTaskTagger.from_pretrained(tmp_path / "saved").aligner.pieces(
        [["the", "OPA1"]]
    ) == tagger.aligner.pieces([["the", "OPA1"]])


def test_an_encoder_that_cuts_words_otherwise_in_a_list_is_refused(tmp_path):
    """Its normalizer joins what isn't separated by a blank already."""
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
    folder = Path(shutil.copytree(tiny, tmp_path / "odd"))
    (folder / "config.json").write_text(
        '{"model_type": "odd", "auto_map": {"AutoConfig": "odd.Config", "AutoModel": "odd.Model"}}'
    )
    (folder / "odd.py").write_text("raise SystemExit('ran')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(WorkbookError, match=r"can't be loaded"):
        load_encoder(str(folder))


def test_a_folder_may_start_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "encoder").mkdir()
    assert encoder_path("~/encoder") == str(tmp_path / "encoder")
    assert encoder_path("dmis-lab/biobert") == "dmis-lab/biobert"
