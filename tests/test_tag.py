"""Text in, entities out."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import tagger_for

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.corpora.documents import document_of
from bioner_lib.models.heads import Prediction

TEXT = "Mutations in OPA1 cause\noptic atrophy. TP53 😀 doesn't."


@pytest.fixture(scope="module")
def untrained(tiny):
    return tagger_for(tiny, [load_corpus("sample").limit(4)])


@pytest.fixture
def tagger(untrained, monkeypatch):
    """A tagger that finds OPA1, TP53 and optic atrophy, and takes atrophy for a gene, too."""
    found = {"OPA1": ("Gene", 0.9), "TP53": ("Gene", 0.6), "atrophy": ("Gene", 0.7)}

    def predict(sentences, types, autocast):
        for words in (sentence.tokens for sentence in sentences):
            mentions = [
                Prediction(i, i + 1, *found[word]) for i, word in enumerate(words) if word in found
            ]
            if "optic" in words:
                start = words.index("optic")
                mentions.append(Prediction(start, start + 2, "Disease", 0.5))
            yield sorted(mention for mention in mentions if mention.type in types)

    monkeypatch.setattr(untrained, "predict", predict)
    return untrained


def short(entities):
    return [(e["word"], e["entity_group"]) for e in entities]


def test_entities_have_the_characters_of_the_text(tagger):
    entities = tagger.tag(TEXT)
    assert entities[0] == {
        "entity_group": "Gene",
        "score": 0.9,
        "word": "OPA1",
        "start": 13,
        "end": 17,
        "sentence": 0,
    }
    assert short(entities) == [
        ("OPA1", "Gene"),
        ("optic atrophy", "Disease"),
        ("atrophy", "Gene"),
        ("TP53", "Gene"),
    ]
    assert entities[-1]["sentence"] == 1
    assert all(TEXT[e["start"] : e["end"]] == e["word"] for e in entities)


def test_overlapping_entities_are_resolved_as_asked(tagger):
    assert ("optic atrophy", "Disease") not in short(tagger.tag(TEXT, flat="score"))
    assert ("atrophy", "Gene") not in short(tagger.tag(TEXT, flat="longest"))
    assert len(tagger.tag(TEXT, flat="score")) == len(tagger.tag(TEXT, flat="longest")) == 3


def test_thresholds_for_all_types_or_for_each(tagger):
    assert short(tagger.tag(TEXT, threshold=0.8)) == [("OPA1", "Gene")]
    of_genes = short(tagger.tag(TEXT, threshold={"Gene": 0.8}))
    assert of_genes == [("OPA1", "Gene"), ("optic atrophy", "Disease")]
    assert short(tagger.tag(TEXT, types=["Disease"])) == [("optic atrophy", "Disease")]


def test_texts_keep_their_order_and_a_generator_stays_one(tagger):
    texts = ["No name here.", "", TEXT, " \n", "TP53"]
    whole = tagger.tag(texts)
    assert [short(entities) for entities in whole] == [[], [], short(whole[2]), [], short(whole[4])]
    for batch in (1, 2, 100):
        assert list(tagger.tag(iter(texts), batch=batch)) == whole
    endless = tagger.tag(itertools.cycle(texts), batch=2)
    assert list(itertools.islice(endless, 5)) == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([["Mutations", "in"]],), "is list; tagger.tag takes texts. .* tagger.predict"),
        (([None],), "NoneType"),
        (("a", ["Spezies"]), "unknown type 'Spezies'"),
        (("a", None, "best"), "unknown flat 'best'"),
        (("a", None, None, 1.5), "threshold=1.5 for .*; expected 0 to 1"),
        (("a", None, None, {"Gen": 0.5}), "unknown type in threshold 'Gen'; did you mean 'Gene'"),
        (("a", None, None, None, 0), "batch=0"),
        (("a", None, None, None, 1, "fp16"), "unknown precision 'fp16'"),
    ],
)
def test_bad_input_is_named(untrained, arguments, message):
    with pytest.raises(WorkbookError, match=message):
        list(untrained.tag(*arguments))


STRANGE = [
    "",
    " \t ",
    "a" * 10_000,
    "😀👩‍🔬",
    "e\u0301 \u0301",
    "\u202eאבג\u202c OPA1",
    "OPA1\r\nTP53\r\n",
    "a\x00b",
    "\ud800 half a character",
]


@pytest.mark.parametrize("text", STRANGE)
def test_any_text_is_tagged(untrained, text):
    for entity in untrained.tag(text):
        assert text[entity["start"] : entity["end"]] == entity["word"]


@given(st.text())
def test_words_and_sentences_index_the_text(text):
    document = document_of(text)
    reached = 0
    for (start, end), tokens in zip(document.sentences, document.tokens, strict=True):
        assert reached <= start < end <= len(text)
        assert tokens == sorted(tokens)
        assert all(start <= a < b <= end for a, b in tokens)
        reached = end
    words = [word for sentence in document.words for word in sentence]
    assert "".join(words) == "".join(text.split())
