from dataclasses import replace

from bioner_lib import load_corpus
from bioner_lib.corpora.corpus import Corpus, Split
from bioner_lib.corpora.text import Sentence
from bioner_lib.explorer import explore, find, page_html, sentence_html


def test_corpus_text_is_escaped():
    """Words, documents, types and the corpus's own name: none of them becomes markup."""
    evil = "<i onload=x>&"
    sentence = Sentence([evil, "&", evil], [f"B-{evil}", "O", "O"], evil)
    split = Split([sentence], "train", evil)
    for html in (
        sentence_html(sentence, {evil: "#fff"}),
        page_html(Corpus(evil, (evil,), {"train": split}), "train"),
    ):
        assert "<i" not in html
        assert "&lt;i onload=x&gt;&amp;" in html
    assert page_html(Corpus(evil, (evil,), {"train": split}), "train").count("&lt;i") == 6, (
        "legend and name too"
    )


def test_find_by_type_and_text():
    sample = load_corpus("sample")
    assert all(any(span[2] == "Virus" for span in s.spans) for s in find(sample, "train", "Virus"))
    assert list(find(sample, "dev", text="THE ")) == [
        s for s in sample.dev if "the " in " ".join(s.tokens).casefold()
    ]
    both = [
        s
        for s in sample.dev
        if "Gene" in {span[2] for span in s.spans} and "in" in " ".join(s.tokens).casefold()
    ]
    assert list(find(sample, "dev", "Gene", "in")) == both
    assert "0 sentences" in page_html(sample, "train", text="no such words")


def test_a_split_is_read_once_for_all_searches(monkeypatch):
    """Turning a page of a large silver corpus reads a page, and a search reads the split once."""
    read = []
    sample = load_corpus("sample")
    watched = sample.train.map(lambda s: s, "sample")

    def watching(self):
        for sentence in self._sentences:
            read.append(self.role)
            yield sentence

    monkeypatch.setattr(Split, "__iter__", watching)
    corpus = replace(sample, splits={"train": watched})
    page_html(corpus, "train")
    page_html(corpus, "train", page=3)
    assert len(read) <= 20
    read.clear()
    for page in range(3):
        page_html(corpus, "train", "Gene", "in", page)
    assert len(read) <= len(watched) + 30


def test_widget_follows_its_controls():
    widget = explore([load_corpus("sample"), load_corpus("sample-gene")])
    (corpus, split, kind) = widget.children[0].children
    (text, page) = widget.children[1].children
    view = widget.children[2]
    assert "336 sentences" in view.value
    kind.value = "Virus"
    assert "Virus" in view.value
    assert "336 sentences" not in view.value
    text.value = "no such words"
    assert "0 sentences" in view.value
    text.value = ""
    kind.value = ""
    split.value = "dev"
    assert "108 sentences" in view.value
    page.value = 99
    assert page.value == 11
    assert "page 11 of 11" in view.value
    corpus.value = "sample-gene"
    assert kind.options == (("any", ""), ("Gene", "Gene"))
    assert "sample-gene" in view.value
