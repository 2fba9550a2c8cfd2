"""A text with its entities: what is shown follows the controls."""

import pytest
from small_runs import tagger_for

from bioner_lib import load_corpus
from bioner_lib.corpora.documents import document_of
from bioner_lib.look.text_view import TextView, document_html
from bioner_lib.models.heads import Prediction


def entity(start, end, type, score):
    return {"entity_group": type, "start": start, "end": end, "score": score, "sentence": 0}


def test_entities_below_the_threshold_are_plain():
    document = document_of("TP53 <b>")
    document.entities.extend([entity(0, 4, "Gene", 0.9), entity(5, 8, "Disease", 0.4)])
    html = document_html(document, ["Gene", "Disease"], 0.5)
    assert html.count("<mark") == 1
    assert "&lt;b&gt;" in html
    each = document_html(document, ["Gene", "Disease"], heads=True)
    assert each.count("TP53") == 2
    assert "<b>Gene</b> (1)" in each and "<b>Disease</b> (1)" in each


@pytest.fixture
def view(tiny, monkeypatch):
    tagger = tagger_for(tiny, [load_corpus("sample").limit(4)])

    def predict(sentences, types, autocast):
        for words in (sentence.tokens for sentence in sentences):
            yield [
                Prediction(i, i + 1, "Gene", 0.6) for i, word in enumerate(words) if word == "TP53"
            ]

    monkeypatch.setattr(tagger, "predict", predict)
    return TextView(tagger, ["TP53 binds\nTP53.", "Nothing."])


def test_the_slider_filters_and_the_button_tags(view):
    assert view.text.value == "TP53 binds TP53.\nNothing."
    assert view.view.value.count("<mark") == 2
    view.threshold.value = 0.7
    assert view.view.value.count("<mark") == 0
    assert view.documents[0].entities == []
    view.threshold.value = 0.5
    view.text.value = "TP53"
    view.button.click()
    assert view.view.value.count("<mark") == 1
    assert [len(document.entities) for document in view.documents] == [1]
    view.heads.value = True
    assert view.view.value.count("<b>") == len(view.tagger.types)
