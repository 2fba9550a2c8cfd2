"""Frequent training words with a piece of their own."""

import pytest
import torch
from small_runs import small
from tiny_encoders import FAMILIES, make_encoder

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, load_corpus, read_tagger, run
from bioner_lib.models.encoders import load_encoder, load_tokenizer
from bioner_lib.models.heads import HeadPlan
from bioner_lib.models.vocabulary import add_words, vocabulary


def pieces(tokenizer, words):
    encoded = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
    return tokenizer.convert_ids_to_tokens(encoded["input_ids"]), encoded.word_ids()


@pytest.mark.parametrize("family", FAMILIES)
def test_each_frequent_word_that_is_cut_gets_a_piece(family, tmp_path):
    folder = str(make_encoder(family, tmp_path / family))
    encoder, tokenizer = load_encoder(folder)
    rows = encoder.get_input_embeddings().weight.detach().clone()
    sentences = [
        ["Quuxamab", "binds", "zyxin-7", "."],
        ["zyxin-7", "and", "Quuxamab"],
        ["Quuxamab"],
    ]
    sentences += [["oncefoundase"]]
    old = [
        tokenizer([w], is_split_into_words=True, add_special_tokens=False)["input_ids"]
        for w in ("Quuxamab", "zyxin-7")
    ]
    added = add_words(encoder, tokenizer, sentences, 2)
    assert [word.lower() for word in added] == ["quuxamab", "zyxin-7"]
    table = encoder.get_input_embeddings().weight
    assert len(table) == len(rows) + 2
    assert torch.equal(table[: len(rows)], rows)
    for word, ids in zip(added, old, strict=True):
        new = table[tokenizer.convert_tokens_to_ids(word)]
        assert torch.allclose(new, rows[ids].mean(dim=0))
    words = ["Quuxamabs", "bind", "zyxin-7", "oncefoundase", "Quuxamab"]
    shown, places = pieces(tokenizer, words)
    assert places.count(2) == places.count(4) == 1
    assert min(places.count(0), places.count(3)) > 1, "a part of a longer word isn't the word"
    tokenizer.save_pretrained(tmp_path / "saved")
    assert pieces(load_tokenizer(str(tmp_path / "saved")), words) == (shown, places)
    assert vocabulary(tokenizer) == vocabulary(load_tokenizer(folder))


def test_the_sample_in_fewer_pieces():
    encoder, tokenizer = load_encoder("minilm")
    sentences = [s.tokens for s in load_corpus("sample").train]
    before = sum(len(pieces(tokenizer, words)[0]) for words in sentences)
    assert len(add_words(encoder, tokenizer, sentences, 10**5)) < 10**5
    assert sum(len(pieces(tokenizer, words)[0]) for words in sentences) < before
    assert not add_words(encoder, tokenizer, sentences, 10), "no word is cut that stands twice"


def test_a_run_keeps_its_words(tiny, outputs):
    config = small(tiny, extra_words=20, heads="joint")
    row = run(config, progress=False)
    plain = run(small(tiny, heads="joint"), progress=False)
    assert row["run_id"] != plain["run_id"]
    assert row["history"][0]["pieces"] < plain["history"][0]["pieces"]
    tagger = read_tagger(row["run_id"])
    rows = tagger.encoder.get_input_embeddings().num_embeddings
    assert rows == len(tagger.tokenizer) == len(load_tokenizer(tiny)) + 20
    second = run(small(tiny, start_from=row["run_id"], heads="joint"), progress=False)
    again = read_tagger(second["run_id"])
    assert again.tokenizer.get_vocab() == tagger.tokenizer.get_vocab()
    with pytest.raises(WorkbookError, match=r"extra_words=5.*keeps the pieces of the first"):
        RunConfig(corpora="sample", start_from="x", extra_words=5)
    with pytest.raises(WorkbookError, match="extra_words=-1; expected 0 to"):
        RunConfig(corpora="sample", extra_words=-1)


def test_an_ensemble_of_taggers_with_words_of_their_own(tiny, outputs):
    config = small(tiny, extra_words=20, heads="joint", system="ensemble", seeds=(1, 2))
    row = run(config, progress=False)
    assert read_tagger(row["run_id"]).tag("OPA1 causes optic atrophy.") is not None


def test_a_pipeline_reads_whole_words_apart(tmp_path):
    """A pipeline glues a piece that holds the blank before it to the word before."""
    encoder, tokenizer = load_encoder(str(make_encoder("bert", tmp_path / "bert")))
    add_words(encoder, tokenizer, [["Quuxamab", "zyxin"], ["Quuxamab", "zyxin"]], 2)
    text = "of Quuxamab and zyxin"
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    words = [text[a:b] for a, b in found["offset_mapping"]]
    assert words.count("Quuxamab") == words.count("zyxin") == 1
    encoder, tokenizer = load_encoder(str(make_encoder("roberta", tmp_path / "roberta")))
    add_words(encoder, tokenizer, [["Quuxamab"]] * 2, 1)
    gene = [HeadPlan("Gene", ("Gene",), ("sample",))]
    tagger = MultiTaskTagger(encoder, tokenizer, gene, max_length=64, overlap=8)
    with pytest.raises(WorkbookError, match="a piece that holds the blank before it"):
        tagger.export_head("Gene", tmp_path / "head")
