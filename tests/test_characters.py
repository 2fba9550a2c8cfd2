"""What heads read of a word's characters."""

import pytest
import torch

from bioner_lib import Aligner, MultiTaskTagger, RunConfig, WorkbookError, load_tokenizer, run
from bioner_lib.models import Example, collate, plan_heads
from bioner_lib.models.characters import CASES, LONGEST, CharacterNetwork, case_of, word_features


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("optic", 0),
        ("Optic", 1),
        ("DNA", 2),
        ("A", 2),
        ("mRNA", 3),
        ("McLeod", 3),
        ("p53", 4),
        ("Cyp2", 5),
        ("OPA1", 6),
        ("mRNA2", 7),
        ("42", 8),
        ("-", 9),
        ("", 9),
        ("β", 0),
        ("Β", 2),
    ],
)
def test_the_class_of_a_words_capitals_and_digits(word, kind):
    assert case_of(word) == kind < CASES


def test_a_words_numbers_have_one_length_and_keep_both_ends_of_a_long_word():
    assert {len(word_features(word)) for word in ("", "a", "x" * 500, "日本")} == {1 + LONGEST}
    long = "begin" + "x" * 100 + "ending"
    assert word_features(long)[1:6] == tuple(map(ord, "begin"))
    assert word_features(long)[-6:] == tuple(map(ord, "ending"))
    assert word_features("日")[1] == word_features("本")[1], "one number for all rare characters"


def test_a_words_values_depend_on_its_own_characters_only():
    torch.manual_seed(0)
    network = CharacterNetwork("case+cnn", 0.0).eval()
    words = ["OPA1", "optic", "p53"]
    rows = torch.tensor([[word_features(word) for word in words]])
    together = network(rows)
    assert together.shape == (1, 3, network.width)
    for i in range(3):
        torch.testing.assert_close(together[:, i : i + 1], network(rows[:, i : i + 1]))
    assert not torch.equal(together[0, 0], network(torch.tensor([[word_features("opa1")]]))[0, 0])
    empty = network(torch.zeros(1, 1, 1 + LONGEST, dtype=torch.long))
    assert empty.isfinite().all(), "a position without a word has no characters"


@pytest.mark.parametrize("label_pieces", ["first", "all"])
def test_each_labelled_piece_carries_the_characters_of_its_word(label_pieces):
    aligner = Aligner(load_tokenizer("minilm"), 16, 4, label_pieces, with_characters=True)
    words = ["Mutations", "in", "OPA1", "cause", "phenylketonuria", "and", "more"] * 3
    for window in aligner.windows([words]):
        assert window.characters == [word_features(words[w]) for w in window.words]
    short = aligner.windows([["a"], words[:2]])
    batch = collate([Example(window, 0, {}) for window in short], 0)
    assert batch.characters.shape[:2] == batch.valid.shape
    assert batch.characters[0, 1:].eq(0).all(), "padding"
    plain = Aligner(load_tokenizer("minilm"), 16, 4, label_pieces).windows([words])
    assert all(window.characters == () for window in plain)


def test_heads_tell_words_apart_that_the_tokenizer_makes_equal(outputs, tiny, two):
    """The tiny encoder lower-cases, as MiniLM does."""
    from bioner_lib.models.encoders import load_encoder

    encoder, tokenizer = load_encoder(tiny)
    plans = plan_heads("per-type", two)
    for characters, differs in (("none", False), ("case", True), ("cnn", True)):
        torch.manual_seed(0)
        tagger = MultiTaskTagger(
            encoder, tokenizer, plans, max_length=64, overlap=8, characters=characters
        ).eval()
        logits = []
        for word in ("OPA1", "opa1"):
            (window,) = tagger.aligner.windows([[word]])
            batch = collate([Example(window, 0, {})], 0)
            logits.append(tagger(**batch.inputs).logits["Gene"][0, 0])
        assert (not torch.equal(*logits)) == differs, characters


@pytest.fixture
def two():
    from bioner_lib import load_corpus

    return [load_corpus("sample-gene"), load_corpus("sample-disease")]


def test_a_run_with_characters_is_saved_goes_on_and_isnt_exported(outputs, tiny, tmp_path):
    base = {
        "epochs": 1,
        "limit": 24,
        "encoder": tiny,
        "max_length": 64,
        "overlap": 8,
        "characters": "case+cnn",
    }
    first = RunConfig(corpora="sample-gene", **base)
    row = run(first, progress=False)
    tagger = MultiTaskTagger.from_pretrained(row["run_id"])
    assert tagger.characters.width == 80
    assert tagger.tag("OPA1 and opa1.") is not None
    assert tagger.predict([[], ["OPA1"]])[0] == []
    with pytest.raises(WorkbookError, match="characters='case\\+cnn' lets heads read"):
        tagger.export_head("Gene", tmp_path / "head")
    second = RunConfig(corpora="sample-disease", start_from=row["run_id"], **base)
    run(second, progress=False)
    other = RunConfig(**second.as_dict() | {"characters": "none"})
    with pytest.raises(WorkbookError, match="was trained with characters='case\\+cnn'"):
        run(other, progress=False)
