"""A head that stock pipelines read: the same spans, and what is refused."""

import json
from itertools import accumulate

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import tagger_for
from tiny_encoders import make_encoder
from transformers import AutoModelForTokenClassification, pipeline

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, load_corpus
from bioner_lib.corpora.schemes import to_spans
from bioner_lib.models.exporting import label_of
from bioner_lib.models.heads import Chain, Head
from bioner_lib.training.fitting import fit

CORPUS = load_corpus("sample")
# what a pipeline says of tokenizers that mark blanks, not the pieces inside a word
FALLBACK = "ignore:Tokenizer does not support real words"


def trained(encoder, scheme) -> MultiTaskTagger:
    """A tagger that finds many mentions, some of them right.

    After 8 epochs it finds 9 to 14 mentions in the sentences that need no search, as rounding has
    it; after 16 mostly 18 or more for every family. Rounding once left 7, so dev is compared too.
    """
    config = RunConfig(
        corpora="sample",
        encoder=str(encoder),
        heads="joint",
        scheme=scheme,
        epochs=16,
        learning_rate=5e-3,
        batch_size=16,
        max_length=128,
        overlap=16,
        precision="fp32",
        dropout=0.0,
    )
    return fit(config, [CORPUS], progress=False).tagger.eval()


def in_letters(tokens, mentions):
    """Mentions in a sentence of words -> (start letter, end letter, type)."""
    starts = [len(" ".join([*tokens[:i], ""])) for i in range(len(tokens))]
    ends = [start + len(word) for start, word in zip(starts, tokens, strict=True)]
    return [(starts[start], ends[end - 1], type) for start, end, type, _ in mentions]


def of_pipeline(text, found):
    """The same of a pipeline's answer; byte-level pieces begin with a blank."""
    spans = []
    for mention in found:
        blanks = text[mention["start"]] == " "
        spans.append((mention["start"] + blanks, mention["end"], mention["entity_group"]))
    return spans


def is_cut_alike(tagger, text) -> bool:
    """Whether a pipeline's words are ours: it takes what follows a blank for a word, also within a
    letter of two bytes, and after a piece that is only a blank.
    """
    if tagger.encoder.config.model_type == "bert":
        return True
    return text.isascii() and "Ġ" not in tagger.tokenizer.tokenize(text)


@pytest.mark.filterwarnings(FALLBACK)
@pytest.mark.parametrize(
    ("family", "scheme"), [("bert", "IOBES"), ("bert", "IOB2"), ("roberta", "IOBES")]
)
def test_a_stock_pipeline_finds_the_same_spans(tmp_path, monkeypatch, family, scheme):
    """Wherever the most probable tags are legal, so that the tagger needs no search."""
    tagger = trained(make_encoder(family, tmp_path / "encoder"), scheme)
    stock = stock_pipeline(tagger, tmp_path / "joint")
    searched, best = [], Chain.best

    def watched(chain, scores):
        searched.append(scores)
        return best(chain, scores)

    monkeypatch.setattr(Chain, "best", watched)
    compared = mentions = 0
    for sentence in (*CORPUS.test, *CORPUS.dev):
        searched.clear()
        (ours,) = tagger.predict([sentence.tokens])
        text = " ".join(sentence.tokens)
        if not searched and is_cut_alike(tagger, text):
            assert of_pipeline(text, stock(text)) == in_letters(sentence.tokens, ours)
            compared += 1
            mentions += len(ours)
    assert compared >= 10
    assert mentions >= 10


@given(st.data())
@pytest.mark.parametrize("scheme", ["IOBES", "IOB2"])
def test_labels_of_first_pieces_give_the_spans_of_all_pieces(scheme, data):
    """For any legal tags of pieces, as label_pieces="all" has them; a pipeline reads the labels."""
    head = Head(4, ["Gene", "Disease"], scheme)
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=6))
    path, before = [], -1
    for _ in range(sum(lengths)):
        legal = (head.allowed[before, :-1] == 0).nonzero()[:, 0].tolist()
        before = data.draw(st.sampled_from(legal))
        path.append(before)
    words = [
        path[end - length : end] for length, end in zip(lengths, accumulate(lengths), strict=True)
    ]
    tags = [head.word_tag(word[0], word[-1]) for word in words]
    labels = [label_of(head.tags[word[0]]) for word in words]
    assert to_spans(labels, "IOB2") == to_spans(tags, scheme)


def answering(tiny, *bias) -> MultiTaskTagger:
    """A tagger of genes that scores O, B-Gene and I-Gene alike at every word."""
    tagger = tagger_for(tiny, [load_corpus("sample-gene")]).eval()
    tagger.heads[0].linear.weight.data.zero_()
    tagger.heads[0].linear.bias.data.copy_(torch.tensor(bias))
    return tagger


def stock_pipeline(tagger, folder):
    folder = tagger.export_head(tagger.plans[0].name, folder)
    return pipeline("token-classification", model=str(folder), aggregation_strategy="first")


def test_a_pipeline_differs_where_the_best_tags_are_illegal(tiny, tmp_path):
    """I-Gene is the most probable tag of both words, but nothing has started."""
    tagger = answering(tiny, 1.0, -5.0, 2.0)
    stock = stock_pipeline(tagger, tmp_path / "gene")
    assert of_pipeline("a b", stock("a b")) == [(0, 3, "Gene")]
    assert tagger.predict([["a", "b"]]) == [[]]


def test_a_pipeline_reads_all_of_a_long_text_with_a_stride(tiny, tmp_path):
    stock = stock_pipeline(answering(tiny, 0.0, 1.0, 0.0), tmp_path / "gene")
    assert stock.tokenizer.model_max_length == 128, "the encoder's positions"
    text = " ".join(["a"] * 300)
    assert len(stock(text)) == 126
    assert len(stock(text, stride=16)) == 300


def test_labels_are_in_iob2(tiny, tmp_path):
    corpus = load_corpus("sample-gene")
    folder = tagger_for(tiny, [corpus], scheme="IOBES").export_head("Gene", tmp_path / "gene")
    config = json.loads((folder / "config.json").read_text())
    names = ["O", "B-Gene", "I-Gene", "I-Gene", "B-Gene"]  # O B I E S
    assert list(config["id2label"].values()) == names
    assert config["label2id"] == {"O": 0, "B-Gene": 1, "I-Gene": 2}
    assert config["architectures"] == ["BertForTokenClassification"]


@pytest.mark.parametrize("family", ["deberta-v2", "electra"])
def test_other_families_with_one_linear_layer(tmp_path, family):
    encoder = make_encoder(family, tmp_path / "encoder")
    tagger = tagger_for(str(encoder), [load_corpus("sample-gene")])
    folder = tagger.export_head("Gene", tmp_path / "gene")
    stock = AutoModelForTokenClassification.from_pretrained(folder).eval()
    ids = tagger.tokenizer("OPA1 causes atrophy", return_tensors="pt")
    positions = ids["input_ids"].new_tensor([range(ids["input_ids"].shape[1])])
    ours = tagger.eval()(ids["input_ids"], ids["attention_mask"], positions)
    assert stock(**ids).logits.allclose(ours.logits["Gene"], atol=1e-5)


def test_an_export_takes_its_card_and_is_overwritten(tiny, tmp_path):
    tagger = tagger_for(tiny, [load_corpus("sample-gene"), load_corpus("sample-virus")])
    for name in ("Gene", "Virus"):
        folder = tagger.export_head(name, tmp_path / "head", card=f"# {name}")
    assert json.loads((folder / "config.json").read_text())["bioner_head"] == "Virus"
    assert (folder / "README.md").read_text() == "# Virus"
    tagger.export_head("Gene", folder)
    assert not (folder / "README.md").exists(), "it is about another head"


@pytest.mark.parametrize("file", ["notes.txt", "config.json"])
def test_a_folder_of_others_is_kept(tiny, tmp_path, file):
    (tmp_path / file).write_text("{}")
    tagger = tagger_for(tiny, [load_corpus("sample-gene")])
    with pytest.raises(WorkbookError, match="holds files that are no exported head"):
        tagger.export_head("Gene", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_an_unknown_head_is_refused(tiny, tmp_path):
    tagger = tagger_for(tiny, [load_corpus("sample-gene")])
    with pytest.raises(WorkbookError, match="unknown head 'gene'; did you mean 'Gene'"):
        tagger.export_head("gene", tmp_path / "gene")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"decoder": "crf"}, "decoder='crf' scores transitions.*train with decoder='softmax'"),
        ({"sharing": "private"}, "sharing='private' puts a layer.*train with sharing='hard'"),
        ({"context": 8}, "context=8 shows a sentence beside its neighbours.*train with context=0"),
    ],
)
def test_what_a_stock_model_cannot_compute_is_refused(tiny, tmp_path, options, reason):
    tagger = tagger_for(tiny, [load_corpus("sample-gene")], **options)
    with pytest.raises(WorkbookError, match=reason):
        tagger.export_head("Gene", tmp_path / "gene")
    assert not (tmp_path / "gene").exists()


def test_a_family_with_another_classifier_is_refused(tmp_path):
    """ModernBERT's has a dense layer and a norm before the linear one."""
    encoder = make_encoder("modernbert", tmp_path / "encoder")
    tagger = tagger_for(str(encoder), [load_corpus("sample-gene")])
    with pytest.raises(WorkbookError, match="'modernbert' is not one linear layer"):
        tagger.export_head("Gene", tmp_path / "gene")
