"""Denoising: a teacher's predictions against silver labels."""

from math import isnan

import pytest

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.corpora.corpus import Corpus
from bioner_lib.corpora.splits import Split
from bioner_lib.corpora.text import Sentence
from bioner_lib.silver.corpus_folders import save_sentences
from bioner_lib.silver.denoising import against_truth, denoise
from bioner_lib.silver.labelling import label


class Teacher:
    """Predicts the spans that it is given, with the confidences that it is given."""

    def __init__(self, spans, sure):
        self.types = ["Gene"]
        self.spans = spans
        self.sure = sure

    def predictions(self, sentences, types, autocast):
        assert types == ["Gene"]
        for words in (sentence.tokens for sentence in sentences):
            yield [(*span, 0.9) for span in self.spans[tuple(words)]], self.sure[tuple(words)]


def test_a_teacher_contradicts_silver(tmp_path, lexicon):
    texts = {
        "OPA1 agrees": [(0, 1, "Gene")],
        "OPA1 isn t": [],
        "OPA1 unsure": [],
        "optic atrophy gene": [(1, 3, "Gene")],
    }
    label(((str(i), text) for i, text in enumerate(texts)), lexicon, tmp_path / "mine")
    silver = load_corpus(tmp_path / "mine")
    sure = {tuple(text.split()): 0.5 if "unsure" in text else 0.95 for text in texts}
    teacher = Teacher({tuple(text.split()): spans for text, spans in texts.items()}, sure)
    kept, counts = denoise(teacher, silver, "drop", 0.9)
    assert [s.doc for s in kept] == ["0", "2"]
    assert counts == {
        "agreed": 1,
        "unsure": 1,
        "contradicted": 2,
    }
    kept, counts = denoise(teacher, silver, "relabel", 0.9)
    assert [(s.doc, s.spans) for s in kept] == [
        ("0", [(0, 1, "Gene")]),
        ("1", []),
        ("3", [(1, 3, "Gene")]),
    ], "Disease gives way"
    save_sentences(kept, silver.types, tmp_path / "again", teacher={"run": "x"})
    again = load_corpus(tmp_path / "again")
    assert list(again.train) == kept
    assert again.types == silver.types
    assert again.silver
    with pytest.raises(WorkbookError, match=r"unknown denoising 'dorp'.*did you mean 'drop'"):
        denoise(teacher, silver, "dorp", 0.9)
    with pytest.raises(WorkbookError, match="confidence=90; expected a probability"):
        denoise(teacher, silver, "drop", 90)
    with pytest.raises(WorkbookError, match="knows no silver label of 'sample-gene'"):
        denoise(teacher, load_corpus("sample-gene"), "drop", 0.9)


@pytest.mark.parametrize(
    ("span", "tags"),
    [
        ((2, 4, "Gene"), ["B-Virus", "I-Virus", "B-Gene", "I-Gene", "B-Virus", "O"]),
        ((1, 3, "Gene"), ["O", "B-Gene", "I-Gene", "O", "B-Virus", "O"]),
        ((4, 6, "Gene"), ["B-Virus", "I-Virus", "O", "O", "B-Gene", "I-Gene"]),
    ],
    ids=["beside viruses", "over the first virus", "over the second virus"],
)
def test_what_a_teacher_relabels_keeps_labels_beside_its_own(span, tags):
    """Of types that it doesn't know, where they share no word with its spans."""
    words = list("abcdef")
    sentence = Sentence(words, ["B-Virus", "I-Virus", "O", "B-Gene", "B-Virus", "O"], "d")
    train = Split([sentence], "train", "silver")
    silver = Corpus("silver", ("Gene", "Virus"), {"train": train}, silver=True)
    teacher = Teacher({tuple(words): [span]}, {tuple(words): 1.0})
    (kept,), counts = denoise(teacher, silver, "relabel", 0.5)
    assert kept.tags == tags
    assert counts == {"agreed": 0, "unsure": 0, "contradicted": 1}


def test_labels_are_measured_on_types_that_the_truth_annotates():
    words = ["OPA1", "causes", "blindness"]
    gold = Split([Sentence(words, ["B-Gene", "O", "O"], "d")], "train", "truth")
    truth = Corpus("truth", ("Gene",), {"train": gold})
    silver = [Sentence(words, ["B-Gene", "O", "B-Disease"], "d")]
    found = against_truth(silver, ["Gene", "Disease"], truth)
    assert found == {"sentences": 1, "precision": 1.0, "recall": 1.0}, "the disease is unknown"
    for types, sentences in ((["Disease"], silver), (["Gene"], [Sentence(["x"], ["O"], "d")])):
        measured = against_truth(sentences, types, truth)
        assert isnan(measured["precision"]) and isnan(measured["recall"])
