"""A loaded corpus: views by type, limits, parts, its dev split, its fingerprint."""

import pickle
from dataclasses import replace

import pytest

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.corpora.corpus import Corpus
from bioner_lib.corpora.registry import part_of, split_name
from bioner_lib.corpora.splits import Split, refuse_test
from bioner_lib.corpora.text import Sentence
from bioner_lib.errors import DataError, SelectionError


def test_sample_is_what_it_promises():
    sample = load_corpus("sample")
    docs = {role: {s.doc for s in split} for role, split in sample.splits.items()}
    assert sum(map(len, sample.splits.values())) >= 400
    assert sum(map(len, docs.values())) >= 80
    assert not docs["train"] & docs["dev"]
    assert not docs["train"] & docs["test"]
    assert not docs["dev"] & docs["test"]
    assert sample.types == ("Gene", "Disease", "Chemical", "Virus")
    assert all(sample.counts("test")[name] >= 10 for name in sample.types)
    texts = [" ".join(s.tokens) for split in sample.splits.values() for s in split]
    assert len(set(texts)) == len(texts), "a sentence stands twice"
    for word in ("cold", "ACE", "CAT", "MS"):
        assert any(word in s.tokens for split in sample.splits.values() for s in split)


def test_sample_views_show_and_hide():
    whole, view = load_corpus("sample"), load_corpus("sample-disease")
    assert view.types == ("Disease",)
    assert view.counts("train") == {"Disease": whole.counts("train")["Disease"]}
    assert [s.tokens for s in view.test] == [s.tokens for s in whole.test]
    assert view.name == "sample-disease"
    assert load_corpus("sample:Disease").name == "sample:Disease"


def test_only_and_without():
    sample = load_corpus("sample")
    assert (
        sample.only("Virus", "Gene").types
        == sample.without("Disease", "Chemical").types
        == ("Gene", "Virus")
    )
    assert sample.only(*sample.types) is sample
    with pytest.raises(WorkbookError, match="did you mean 'Disease'"):
        sample.only("Diseases")
    with pytest.raises(DataError, match="annotates nothing"):
        sample.without(*sample.types)


def test_limit_is_nested_and_by_document():
    sample = load_corpus("sample")
    small, large = sample.limit(20, seed=1), sample.limit(60, seed=1)
    assert len(small.train) == 20
    assert len(large.train) == 60
    assert not small.official
    ids = [{(s.doc, tuple(s.tokens)) for s in c.train} for c in (small, large)]
    assert ids[0] < ids[1]
    assert len({s.doc for s in small.train}) <= 5
    assert sample.limit(0) is sample
    assert sample.limit(10**6) is sample
    assert (
        sample.limit(20, seed=1).fingerprint
        == small.fingerprint
        != sample.limit(20, seed=2).fingerprint
    )
    with pytest.raises(DataError, match="limit"):
        sample.limit(-1)


def test_dev_is_carved_by_document():
    sample = load_corpus("sample")
    bare = replace(sample, splits={"train": sample.train, "test": sample.test})
    carved = bare.carve_dev(0.2)
    assert not {s.doc for s in carved.train} & {s.doc for s in carved.dev}
    assert len(carved.train) + len(carved.dev) == len(sample.train)
    assert len(carved.dev) >= 0.2 * len(sample.train)
    assert list(carved.splits) == ["train", "dev", "test"]
    assert carved.dev.role == "dev"


@pytest.mark.parametrize(
    ("sizes", "dev"),
    [
        ({"book": 200} | {f"abstract {k}": 2 for k in range(9)}, 18),
        ({"book": 200, "abstract": 1}, 1),
        ({f"book {k}": 300 for k in range(8)} | {"abstract": 5}, 305),
    ],
)
def test_a_long_document_is_carved_last(sizes, dev):
    """Or a book among abstracts would be dev, and train almost nothing."""
    sentence = load_corpus("sample").train[0]
    train = [replace(sentence, doc=doc) for doc, size in sizes.items() for _ in range(size)]
    corpus = replace(load_corpus("sample"), splits={"train": Split(train, "train", "x")})
    assert len(corpus.carve_dev().dev) == dev


def test_selection_on_test_is_refused():
    sample = load_corpus("sample")
    assert refuse_test(sample.dev, "x") is sample.dev
    with pytest.raises(SelectionError, match="must not see the test split of 'sample'"):
        refuse_test(sample.test, "choosing an epoch")
    with pytest.raises(SelectionError, match="takes a Split"):
        refuse_test(list(sample.test), "choosing an epoch")
    assert pickle.loads(pickle.dumps(sample.test)).role == "test"


def test_datasets_has_the_contract_columns():
    data = load_corpus("sample").to_datasets()
    assert data["train"].column_names == ["tokens", "tags", "doc"]
    assert data["test"].num_rows == 108


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(WorkbookError, match="unknown corpus 'ncbi'; did you mean 'ncbi-disease'"):
        load_corpus("ncbi")
    with pytest.raises(WorkbookError, match="did you mean 'Gene'"):
        load_corpus("sample:Genes")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "x" * 5000 + "/y"])
def test_a_name_that_is_no_valid_path_is_unknown(name):
    with pytest.raises(WorkbookError, match=r"unknown corpus|no such file"):
        load_corpus(name)


def test_the_name_of_a_part():
    assert part_of("sample:Gene+Virus", "25%") == "sample@25%:Gene+Virus"
    assert part_of("sample:Gene", "1/2", "Virus") == "sample@1/2:Virus"
    with pytest.raises(DataError, match="'sample@25%' is a part of 'sample' already"):
        part_of("sample@25%", "10%")


def test_a_path_with_a_colon_has_parts():
    assert split_name("a/t12:30/mine@50%") == ("a/t12:30/mine", "50%", "")
    assert split_name("a/t12:30/mine:Gene") == ("a/t12:30/mine", "", "Gene")
    assert split_name("ncbi-disease@5%:Disease") == ("ncbi-disease", "5%", "Disease")


def test_parts_of_train():
    """Percentages are nested, halves share no document, dev and test and name stay."""
    whole = load_corpus("sample")
    tenth, quarter = load_corpus("sample@10%"), load_corpus("sample@25%")
    assert len(tenth.train) == 34
    assert len(quarter.train) == 84
    assert set(map(id, tenth.dev)) != set()
    texts = [{tuple(s.tokens) for s in corpus.train} for corpus in (tenth, quarter, whole)]
    assert texts[0] < texts[1] < texts[2]
    assert tenth.dev == whole.dev
    assert tenth.test == whole.test
    assert tenth.official
    halves = [load_corpus("sample@1/2:Gene"), load_corpus("sample@2/2:Disease")]
    docs = [{s.doc for s in half.train} for half in halves]
    assert not docs[0] & docs[1]
    assert docs[0] | docs[1] == {s.doc for s in whole.train}
    assert [half.name for half in halves] == ["sample:Gene", "sample:Disease"]
    assert len(load_corpus("sample@84").train) == 84
    assert load_corpus("sample@84").train == quarter.train
    with pytest.raises(WorkbookError, match="has only 336 sentences"):
        load_corpus("sample@337")
    limited = load_corpus("sample@25%", limit=40)
    assert len(limited.train) == 10
    assert {s.doc for s in limited.train} <= {s.doc for s in whole.limit(40).train}
    for wrong, message in (
        ("sample@0%", "part '0%'"),
        ("sample@3/2", "part '3/2'"),
        ("sample@half", "unknown corpus 'sample@half'"),
        ("sample@0.1%", "holds no sentence"),
        ("smaple@1/2", "did you mean 'sample'"),
    ):
        with pytest.raises(WorkbookError, match=message):
            load_corpus(wrong)


def test_a_fingerprint_is_over_words_and_tags():
    def of(tokens, tags, doc="d", role="train"):
        return Corpus("c", ("Gene",), {role: Split([Sentence(tokens, tags, doc)], role, "c")})

    base = of(["TP53", "x"], ["B-Gene", "O"])
    assert base.fingerprint == of(["TP53", "x"], ["B-Gene", "O"], "other").fingerprint
    others = [
        of(["TP53", "y"], ["B-Gene", "O"]),
        of(["TP53", "x"], ["B-Gene", "I-Gene"]),
        of(["TP53", "x"], ["B-Gene", "O"], role="dev"),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert base.documents_digest != of(["TP53", "x"], ["B-Gene", "O"], "other").documents_digest
