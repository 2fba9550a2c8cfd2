import pytest

from bioner_lib import Lexicon, load_corpus
from bioner_lib.corpora.corpus import Corpus
from bioner_lib.corpora.splits import Split
from bioner_lib.corpora.text import Sentence
from bioner_lib.errors import SelectionError
from bioner_lib.silver.lexicon_quality import drop_noisy, noisiest, quality, term_precision


@pytest.fixture
def corpus():
    sentences = [
        Sentence(["lead", "poisoning", "and", "OPA1"], ["B-Chemical", "O", "O", "B-Gene"], "1"),
        Sentence(["they", "lead", "to", "water"], ["O", "O", "O", "B-Chemical"], "2"),
        Sentence(["we", "lead", "on"], ["O", "O", "O"], "3"),
    ]
    return Corpus(
        "x",
        ("Chemical", "Gene"),
        {"train": Split(sentences, "train", "x"), "test": Split(sentences, "test", "x")},
    )


LEXICON = Lexicon([(["lead"], "Chemical", "1", False), (["OPA1"], "Virus", "2", True)])


def test_quality_by_hand(corpus):
    (line,) = quality(LEXICON, [corpus]).to_dict("records")
    assert (line["type"], line["precision"], line["recall"], line["support"]) == (
        "Chemical",
        pytest.approx(1 / 3),
        0.5,
        2,
    )


def test_words_that_the_gold_file_cuts_otherwise():
    """A lexicon has IL, - and 2; the file has IL-2."""
    sentences = [
        Sentence(["IL-2", "binds", "IL-2"], ["B-Gene", "O", "O"], "1"),
        Sentence(["IL-2", "too"], ["O", "O"], "2"),
    ]
    gold = Corpus("x", ("Gene",), {"train": Split(sentences, "train", "x")})
    entries = [(["IL", "-", "2"], "Gene", "1", False)]
    (line,) = quality(Lexicon(entries), [gold]).to_dict("records")
    assert (line["precision"], line["recall"]) == (pytest.approx(1 / 3), 1.0)
    assert term_precision(Lexicon(entries), gold.train) == {("il - 2", "Gene"): (3, 1)}
    kept, dropped = drop_noisy(entries, [gold], precision=0.5)
    assert (kept, list(dropped["term"])) == ([], ["il - 2"])


def test_the_noisiest_terms_come_with_a_sentence(corpus):
    (line,) = noisiest(LEXICON, corpus.train, "Chemical").to_dict("records")
    assert (line["term"], line["matches"], line["right"], line["in"]) == (
        "lead",
        3,
        1,
        "they [lead] to water",
    )
    assert noisiest(LEXICON, corpus.train, "Gene").empty
    assert term_precision(LEXICON, corpus.train) == {
        ("lead", "Chemical"): (3, 1),
        ("opa1", "Virus"): (1, 0),
    }


def test_noisy_terms_are_dropped_by_their_precision_on_train(corpus):
    entries = [
        (["lead"], "Chemical", "1", False),
        (["water"], "Chemical", "3", False),
        (["OPA1"], "Virus", "2", True),
    ]
    kept, dropped = drop_noisy(entries, [corpus], precision=0.5)
    assert kept == entries[1:]
    assert dropped.to_dict("records") == [
        {"term": "lead", "type": "Chemical", "matches": 3, "right": 1}
    ]
    assert drop_noisy(entries, [corpus], precision=0.3)[0] == entries, "a third is enough"
    assert drop_noisy(entries, [corpus], precision=0.5, matches=4)[0] == entries, (
        "too few matches to be judged"
    )


def test_terms_are_never_chosen_on_test(corpus):
    for choose in (
        lambda: noisiest(LEXICON, corpus.test, "Chemical"),
        lambda: term_precision(LEXICON, corpus.test),
        lambda: quality(LEXICON, [load_corpus("sample")], roles=("test",)),
    ):
        with pytest.raises(SelectionError, match="must not see the test split"):
            choose()


def test_quality_line_by_line(corpus):
    """Precision, recall and support of both splits; a corpus without a lexicon type has no line."""
    strange = Corpus("y", ("Disease",), {"train": Split([], "train", "y")})
    twice = Corpus(
        "z",
        corpus.types,
        {"train": corpus.splits["train"], "dev": Split(list(corpus.splits["train"]), "dev", "z")},
    )
    frame = quality(LEXICON, [strange, twice])
    assert list(frame.columns) == ["corpus", "type", "precision", "recall", "f1", "support"]
    assert frame["corpus"].tolist() == ["z"]
    assert frame["support"].tolist() == [4]
    assert frame["f1"].tolist() == pytest.approx([0.4])
    assert list(quality(LEXICON, [strange]).columns) == list(frame.columns)


def test_the_noisiest_first_and_no_more_than_asked_for(corpus):
    lexicon = Lexicon(
        [([word], "Chemical", "", False) for word in ("we", "they", "lead", "poisoning", "water")]
    )
    frame = noisiest(lexicon, corpus.train, "Chemical", 2)
    assert list(frame.columns) == ["term", "matches", "right", "precision", "in"]
    assert frame["term"].tolist() == ["lead", "poisoning"], "most wrong matches first, then by name"
    assert frame["precision"].tolist() == pytest.approx([1 / 3, 0])


def test_noise_is_counted_over_all_corpora_that_annotate_the_type(corpus):
    genes = Corpus("y", ("Gene",), corpus.splits)
    entries = [(["lead"], "Chemical", "1", False)]
    assert drop_noisy(entries, [corpus, genes], precision=0.5, matches=4)[0] == entries, (
        "a corpus without chemicals has no say"
    )
    kept, dropped = drop_noisy(entries, [corpus, corpus], precision=0.5, matches=6)
    assert kept == []
    assert dropped.to_dict("records") == [
        {"term": "lead", "type": "Chemical", "matches": 6, "right": 2}
    ]
    assert list(drop_noisy(entries, [])[1].columns) == ["term", "type", "matches", "right"]


def test_terms_of_several_words_and_ties(corpus):
    sentences = [Sentence(["we", "lead", "on", "we", "go", "on"], ["O"] * 6, "1")] * 3
    noisy = Corpus("n", ("Chemical",), {"train": Split(sentences, "train", "n")})
    entries = [(words, "Chemical", "", False) for words in (["we", "lead"], ["go"], ["on"])]
    kept, dropped = drop_noisy(entries, [noisy])
    assert kept == []
    assert dropped["term"].tolist() == ["on", "go", "we lead"], "most matches first, then by name"


def test_a_term_is_shown_with_eight_words_on_each_side():
    words = [f"w{i}" for i in range(10)]
    split = Split([Sentence([*words, "lead", *words], ["O"] * 21, "1")], "train", "x")
    (line,) = noisiest(LEXICON, split, "Chemical").to_dict("records")
    assert line["in"] == " ".join([*words[2:], "[lead]", *words[:8]])
