"""Gold text with a lexicon's labels for the types that gold lacks."""

import json
import tomllib

import pytest
from small_corpora import text_of

from bioner_lib import RunConfig, WorkbookError, load_corpus, run
from bioner_lib.corpora.splits import Split
from bioner_lib.corpora.text import Sentence, tokenize
from bioner_lib.errors import DataError
from bioner_lib.silver import label_gold, labelled_name, silver_folder
from bioner_lib.silver.lexicons import save_entries


@pytest.fixture
def lexicon(tmp_path):
    entries = [
        (("OPA1",), "Gene", "HGNC:8140", True),
        (("optic",), "Gene", "x", False),
        (tokenize("SARS-CoV-2"), "Virus", "2697049", False),
        (("fever",), "Disease", "y", False),
    ]
    save_entries(entries, tmp_path / "lexicon.gz", [])
    return tmp_path / "lexicon.gz"


def corpus(*sentences, documented=True):
    made = load_corpus("sample-disease")
    train = [Sentence(words.split(), tags.split(), doc) for words, tags, doc in sentences]
    splits = {**made.splits, "train": Split(train, "train", made.name)}
    return type(made)("sample-disease", ("Disease",), splits, documented)


def test_gold_without_documents_stays_so(outputs, lexicon):
    gold = corpus(("OPA1 binds", "O O", "train-s1"), documented=False)
    label_gold(gold, "sample-disease", lexicon)
    assert not load_corpus("sample-disease-labelled").documented


def test_gold_labels_stay_and_the_lexicon_adds_its_own(outputs, lexicon):
    gold = corpus(
        ("OPA1 causes optic atrophy", "O O B-Disease I-Disease", "1"),
        ("SARS-CoV-2 with fever", "O O O", "2"),
    )
    audit = label_gold(gold, "sample-disease", lexicon)
    assert audit == {
        "sentences": 2,
        "words": 7,
        "kept": 1,
        "added Gene": 1,
        "overlap Gene": 1,
        "added Virus": 1,
    }, "optic lies in a gold mention; fever is gold's own type, where gold is complete"
    folder = silver_folder(labelled_name("sample-disease"))
    lines = [json.loads(line) for line in text_of(folder).read_text().splitlines()]
    assert lines[0]["decoded_tags"] == ["O", "O", "B-Disease", "I-Disease"]
    assert lines[0]["decoded_tags_pseudo_final"] == ["B-Gene", "O", "B-Disease", "I-Disease"]
    assert lines[1]["decoded_tags_pseudo_final"] == ["B-Virus", "O", "O"]
    labelled = load_corpus("sample-disease-labelled")
    assert labelled.types == ("Disease", "Gene", "Virus")
    assert labelled.silver
    assert [s.doc for s in labelled.train] == ["1", "2"]
    assert labelled.source["labelled"] == audit
    assert labelled.source["text"]["source"] == "training sentences of sample-disease"
    about = tomllib.loads((folder / "corpus.toml").read_text())
    assert about["text"]["fingerprint"] == gold.fingerprint


def test_no_gold_mention_is_lost_on_the_whole_sample(outputs, lexicon):
    gold = load_corpus("sample-disease")
    audit = label_gold(gold, "sample-disease", lexicon)
    pairs = zip(gold.train, load_corpus("sample-disease-labelled").train, strict=True)
    kept = 0
    for before, after in pairs:
        assert set(before.spans) == {span for span in after.spans if span.type == "Disease"}
        kept += len(before.spans)
    assert audit["kept"] == kept > 0


def test_words_that_a_file_cuts_otherwise_are_found_whole(outputs, tmp_path):
    entries = [(tokenize(term), "Gene", "", True) for term in ("IL-2", "p53")]
    save_entries(entries, tmp_path / "lexicon.gz", [])
    gold = corpus(
        ("IL-2 and p53 - like", "O O O O O", "1"),
        ("IL-2-dependent p53", "O O", "2"),
    )
    audit = label_gold(gold, "sample-disease", tmp_path / "lexicon.gz")
    assert audit["added Gene"] == 3, "IL-2 in IL-2-dependent is no whole word of the file"
    [first, second] = load_corpus("sample-disease-labelled").train
    assert first.tags == ["B-Gene", "O", "B-Gene", "O", "O"]
    assert second.tags == ["O", "B-Gene"]


def test_two_folders_of_one_name_dont_share_a_labelled_text(outputs, lexicon):
    one = corpus(("OPA1 here", "O O", "1"))
    label_gold(one, "/a/x", lexicon)
    with pytest.raises(DataError, match="labelled text of /a/x, and /b/x would get the same name"):
        label_gold(corpus(("other OPA1", "O O", "1")), "/b/x", lexicon, replace=True)
    assert label_gold(one, "/a/x", lexicon, replace=True)["sentences"] == 1
    assert load_corpus("x-labelled").train[0].tokens == ["OPA1", "here"]


def test_a_run_trains_on_it_and_its_row_says_where_it_comes_from(outputs, lexicon, tiny):
    label_gold(load_corpus("sample-disease"), "sample-disease", lexicon)
    base = {"encoder": tiny, "epochs": 1, "limit": 24, "max_length": 64, "overlap": 8}
    trained = RunConfig(
        corpora="sample-disease-labelled", also_test=["sample-disease"], heads="joint", **base
    )
    row = run(trained, progress=False)
    assert row["data"]["sample-disease-labelled"]["source"]["labelled"]["kept"] > 0
    assert row["scores"]["sample-disease-labelled"] == {}, "nobody checked it: never scored"
    assert row["history"][0]["dev"].keys() == {"sample-disease", "mean"}


def test_names():
    assert labelled_name("bc5cdr") == "bc5cdr-labelled"
    assert labelled_name("bc5cdr@50%:Disease") == "bc5cdr-50-Disease-labelled"
    assert labelled_name("some/where/mine") == "mine-labelled"
    assert labelled_name("sample@1/2:Gene+Virus") == "sample-1-2-Gene+Virus-labelled"


def test_what_cant_be_labelled_is_refused(outputs, lexicon, tmp_path):
    gold = load_corpus("sample-disease")
    label_gold(gold, "sample-disease", lexicon)
    with pytest.raises(DataError, match="holds a corpus already"):
        label_gold(gold, "sample-disease", lexicon)
    assert label_gold(gold, "sample-disease", lexicon, replace=True)["kept"]
    with pytest.raises(DataError, match="is silver already"):
        label_gold(load_corpus("sample-disease-labelled"), "again", lexicon)
    own = tmp_path / "own.gz"
    save_entries([(("fever",), "Disease", "", False)], own, [])
    with pytest.raises(DataError, match="annotates all of it; there is nothing to add"):
        label_gold(gold, "sample-disease", own, replace=True)
    with pytest.raises(WorkbookError, match="unknown corpus 'sample-gene-labelled'"):
        load_corpus("sample-gene-labelled")
