import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_corpora import load_from, small_registry, write

from bioner_lib import CORPORA, WorkbookError, load_corpus
from bioner_lib.corpora.corpus import Corpus
from bioner_lib.corpora.overlap import duplicates
from bioner_lib.corpora.schemes import to_tags
from bioner_lib.corpora.splits import Split
from bioner_lib.corpora.text import Sentence
from bioner_lib.evaluation.generalization import (
    GROUPINGS,
    GoldMention,
    abbreviation_group,
    case_group,
    frequency_group,
    gold_mentions,
    leak_free,
    length_group,
    recall_by,
    surface,
)


def sentence(text, spans, doc="d"):
    tokens = text.split()
    return Sentence(tokens, to_tags(spans, len(tokens)), doc)


def corpus_of(train, test, types=("Gene", "Disease"), name="mine"):
    splits = {"train": Split(train, "train", name), "test": Split(test, "test", name)}
    return Corpus(name, types, splits)


def predictions_of(split, predicted):
    return [
        {"doc": s.doc, "tokens": s.tokens, "gold": s.spans, "predicted": spans}
        for s, spans in zip(split, predicted, strict=True)
    ]


TRAIN = [
    sentence("IL - 2 causes lung cancer", [(0, 3, "Gene"), (4, 6, "Disease")]),
    sentence("il-2 and TP53", [(0, 1, "Gene"), (2, 3, "Gene")]),
    sentence("cancer", []),
]
TEST = [
    sentence("IL-2 in Lung Cancer", [(0, 1, "Gene"), (2, 4, "Disease")]),
    sentence("TP53 is no disease", [(0, 1, "Disease")]),
    sentence("BRCA1", [(0, 1, "Gene")]),
]


def test_a_mention_that_two_views_of_one_text_hold_counts_once():
    corpus = corpus_of(TRAIN, TEST)
    view = corpus_of(TRAIN, TEST, name="mine:Gene")
    found = predictions_of(TEST, [[]] * 3)
    once = [mention.frequency for mention in gold_mentions(corpus, found)]
    assert once == [2, 1, 0, 0]
    again = gold_mentions(corpus, found, trained_on=[view, corpus])
    assert [mention.frequency for mention in again] == once
    other = corpus_of([*TRAIN, TRAIN[1]], TEST)
    repeated = gold_mentions(corpus, found, trained_on=[other])
    assert [mention.frequency for mention in repeated] == [3, 1, 0, 0], (
        "a sentence that stands twice"
    )


def test_seen_and_unseen_by_hand():
    """IL-2 is in train twice, whatever its blanks and letters; TP53 only with another type."""
    corpus = corpus_of(TRAIN, TEST)
    found = [[(0, 1, "Gene", 0.9), (3, 4, "Disease", 0.9)], [], [(0, 1, "Gene", 0.4)]]
    mentions = gold_mentions(corpus, predictions_of(TEST, found))
    assert mentions == [
        GoldMention(0, "IL-2", "Gene", True, "seen", 2),
        GoldMention(0, "Lung Cancer", "Disease", False, "seen", 1),
        GoldMention(1, "TP53", "Disease", False, "unseen", 0),
        GoldMention(2, "BRCA1", "Gene", True, "unseen", 0),
    ]
    assert recall_by(mentions, "familiarity") == {
        "seen": {"support": 2, "found": 1, "recall": 0.5},
        "unseen": {"support": 2, "found": 1, "recall": 0.5},
    }
    assert {group: line["support"] for group, line in recall_by(mentions, "frequency").items()} == {
        "0": 2,
        "1": 1,
        "2-5": 1,
    }


def test_other_corpora_may_be_the_train_text():
    corpus = corpus_of(TRAIN, TEST)
    other = corpus_of([sentence("BRCA1", [(0, 1, "Gene")])], [])
    mentions = gold_mentions(corpus, predictions_of(TEST, [[]] * 3), trained_on=[other])
    assert [mention.familiarity for mention in mentions] == ["unseen"] * 3 + ["seen"]


def test_leaks_are_found_however_a_file_cuts_words():
    text = "IL-2 causes lung cancer in mice and in men"
    corpus = corpus_of([], [sentence(text, [(0, 1, "Gene")])])
    other = corpus_of([sentence(text.replace("-", " - "), [])], [], name="other")
    predictions = predictions_of(corpus.test, [[]])
    assert leak_free(corpus, predictions, ["Gene"], trained_on=[other])["leaked"] == 1
    assert duplicates([corpus, other]).loc["mine", "other"] == 1


PUBTATOR = {
    "train": "1|t|breast cancer and flu.\n1|a|\n"
    "1\t0\t13\tbreast cancer\tDisease\tD001943\n1\t18\t21\tflu\tDisease\t-1\n"
    "1\tCID\tD1\tD2\n",
    "test": "2|t|Breast cancer, mammary carcinoma, odd pox, ataxia, BC/OC.\n2|a|\n"
    "2\t0\t13\tBreast cancer\tDisease\tMESH:D001943\n"
    "2\t15\t32\tmammary carcinoma\tDisease\tD001943\n2\t34\t41\todd pox\tDisease\t-1\n"
    "2\t43\t49\tataxia\tDisease\tD001259\n2\t51\t56\tBC/OC\tDisease\tD010051|D001943\n",
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A registered corpus in PubTator files."""
    entry = small_registry(tmp_path, monkeypatch, reader="pubtator", labels={"Disease": "Disease"})
    monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
    import hashlib

    files = {}
    for role, text in PUBTATOR.items():
        write(tmp_path / "toy", f"{role}.txt", text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        files[role] = {"path": f"data/{role}.txt", "sha256": digest}
    monkeypatch.setitem(CORPORA, "toy", {k: v for k, v in entry.items() if k != "counts"})
    monkeypatch.setitem(CORPORA["toy"], "files", files)
    return load_corpus("toy")


def test_memorized_synonym_and_new_concept_by_hand(toy):
    """Of several identifiers one is enough; a mention without one is no new concept."""
    fingerprint = toy.fingerprint
    predictions = predictions_of(toy.test, [s.spans[:2] for s in toy.test])
    mentions = gold_mentions(toy, predictions)
    assert [(mention.text, mention.familiarity) for mention in mentions] == [
        ("Breast cancer", "memorized"),
        ("mammary carcinoma", "synonym"),
        ("odd pox", "no identifier"),
        ("ataxia", "new concept"),
        ("BC / OC", "synonym"),
    ]
    assert {key: line["recall"] for key, line in recall_by(mentions, "familiarity").items()} == {
        "memorized": 1.0,
        "synonym": 0.5,
        "new concept": 0.0,
        "no identifier": 0.0,
    }
    assert toy.fingerprint == fingerprint == load_corpus("toy").fingerprint
    unnamed = corpus_of([sentence("ataxia", [(0, 1, "Disease")])], [])
    groups = [m.familiarity for m in gold_mentions(toy, predictions, trained_on=[toy, unnamed])]
    assert set(groups) == {"seen", "unseen"}, "it may have shown any concept under another name"
    of_genes = corpus_of([sentence("BRCA1", [(0, 1, "Gene")])], [], types=("Gene",))
    assert gold_mentions(toy, predictions, trained_on=[toy, of_genes]) == mentions


def test_a_surface_has_no_blanks_and_no_case():
    assert surface("IL - 2") == surface("il-2") == surface("IL -2")


def test_predictions_of_other_sentences_are_refused():
    corpus = corpus_of(TRAIN, TEST)
    for predictions in (predictions_of(TEST[:2], [[]] * 2), predictions_of(TRAIN, [[]] * 3)):
        with pytest.raises(WorkbookError, match=r"other sentences .* limit that the run had"):
            gold_mentions(corpus, predictions)
        with pytest.raises(WorkbookError, match="other sentences"):
            leak_free(corpus, predictions, ["Gene"])


@pytest.mark.parametrize(
    ("text", "case", "length", "abbreviation"),
    [
        ("lung cancer", "lower", "2", "other name"),
        ("Parkinson disease", "Title", "2", "other name"),
        ("Li - Fraumeni Syndrome", "Title", "4+", "other name"),
        ("Insulin", "Title", "1", "other name"),
        ("NSCLC", "UPPER", "1", "abbreviation"),
        ("mRNA", "mixed", "1", "abbreviation"),
        ("non - Hodgkin lymphoma", "mixed", "4+", "other name"),
        ("IL - 2", "with digit", "3", "abbreviation"),
        ("p53", "with digit", "1", "other name"),
        ("ACUTE KIDNEY INJURY", "UPPER", "3", "other name"),
        ("- α", "lower", "2", "other name"),
        ("( )", "lower", "2", "other name"),
    ],
)
def test_groups_by_hand(text, case, length, abbreviation):
    assert case_group(text) == case
    assert length_group(text) == length
    assert abbreviation_group(text) == abbreviation
    assert [frequency_group(n) for n in (0, 1, 2, 5, 6)] == ["0", "1", "2-5", "2-5", "6+"]


@given(st.lists(st.tuples(st.text(min_size=1), st.booleans(), st.integers(0, 9))))
def test_every_mention_is_in_one_group(drawn):
    mentions = [
        GoldMention(0, text, "Gene", found, "seen" if count else "unseen", count)
        for text, found, count in drawn
    ]
    for by in GROUPINGS:
        groups = recall_by(mentions, by)
        assert sum(line["support"] for line in groups.values()) == len(mentions)
        assert sum(line["found"] for line in groups.values()) == sum(m.found for m in mentions)


def test_an_unknown_grouping_is_named():
    with pytest.raises(WorkbookError, match="unknown grouping 'lenght'; did you mean 'length'"):
        recall_by([], "lenght")


def test_leaked_sentences_are_left_out_by_hand():
    """Only the long sentence counts as a leak; the copied heading stays."""
    leaked = sentence("we show that TP53 is lost in these cells", [(3, 4, "Gene")])
    heading = sentence("TP53 results", [(0, 1, "Gene")])
    fresh = sentence("BRCA1 is lost in the cells of many mice", [(0, 1, "Gene")])
    corpus = corpus_of([leaked, heading], [leaked, heading, fresh], ("Gene",))
    predictions = predictions_of(corpus.test, [[(3, 4, "Gene")], [(0, 1, "Gene")], []])
    result = leak_free(corpus, predictions, ["Gene"])
    assert (result["sentences"], result["leaked"]) == (3, 1)
    assert result["official"]["Gene"]["recall"] == pytest.approx(2 / 3)
    assert result["leak_free"]["Gene"]["recall"] == 0.5
    assert leak_free(corpus, predictions, ["Gene"], words=2)["leaked"] == 2
    assert leak_free(corpus, predictions, ["Gene"], words=10)["leaked"] == 0


def test_predictions_as_json_gives_them_work():
    corpus = corpus_of(TRAIN, TEST)
    predictions = predictions_of(TEST, [[(0, 1, "Gene", 0.9)], [], []])
    assert gold_mentions(corpus, json.loads(json.dumps(predictions))) == gold_mentions(
        corpus, predictions
    )


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["ncbi-disease-pubtator", "bc5cdr-pubtator", "nlm-gene", "biored", "s800-virus"]
)
def test_recall_by_familiarity_on_real_corpora(mirror, name):
    corpus = load_from(mirror, name)
    predictions = predictions_of(corpus.test, [s.spans for s in corpus.test])
    groups = recall_by(gold_mentions(corpus, predictions), "familiarity")
    assert {"memorized", "synonym", "new concept"} <= set(groups)
    assert {line["recall"] for line in groups.values()} == {1.0}
