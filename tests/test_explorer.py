from bioner_lib import load_corpus
from bioner_lib.data.text import Sentence
from bioner_lib.explorer import explore, find, page_html, sentence_html


def test_corpus_text_is_escaped():
    sentence = Sentence(["<script>alert(1)</script>", "&", "<b>"], ["B-Gene", "O", "O"], "<doc>")
    html = sentence_html(sentence, {"Gene": "#fff"})
    assert "<script" not in html and "&lt;script&gt;" in html and "<b>" not in html and "<doc>" not in html


def test_find_by_type_and_text():
    sample = load_corpus("sample")
    assert all(any(span[2] == "Virus" for span in s.spans) for s in find(sample, "train", "Virus"))
    assert find(sample, "dev", text="THE ") == [s for s in sample.dev if "the " in " ".join(s.tokens).casefold()]
    assert "0 sentences" in page_html(sample, "train", text="no such words")


def test_widget_follows_its_controls():
    widget = explore([load_corpus("sample"), load_corpus("sample-gene")])
    (corpus, split, kind), (text, page), view = widget.children[0].children, widget.children[1].children, widget.children[2]
    assert "336 sentences" in view.value
    kind.value = "Virus"
    assert "Virus" in view.value and "336 sentences" not in view.value
    text.value = "no such words"
    assert "0 sentences" in view.value
    text.value, kind.value, split.value = "", "", "dev"
    assert "108 sentences" in view.value
    page.value = 99
    assert page.value == 11 and "page 11 of 11" in view.value
    corpus.value = "sample-gene"
    assert kind.options == (("any", ""), ("Gene", "Gene")) and "sample-gene" in view.value
