"""Leaks: training documents that stand in a test split, through silver, phases and teachers."""

import json
from dataclasses import replace

import pytest
from small_corpora import silver_corpus
from small_runs import small

from bioner_lib import WorkbookError, load_corpus, run
from bioner_lib.corpora.registry import CORPORA
from bioner_lib.corpora.splits import Split
from bioner_lib.runs.leaks import shared_documents


def test_silver_text_of_a_test_split_is_refused_unless_forced(tiny, outputs, tmp_path, lexicon):
    leaked = load_corpus("sample-gene").limit(40).test[0].doc
    silver = silver_corpus(tmp_path, lexicon, ["1", leaked])
    with pytest.raises(
        WorkbookError, match=r"shares documents with test splits: \{'mine': \{'sample-gene': 1\}\}"
    ):
        run(small(tiny, corpora=["sample-gene", silver]), progress=False)
    row = run(
        small(tiny, corpora=["sample-gene", silver], allow_shared_documents=True), progress=False
    )
    assert row["shared_documents"] == {"mine": {"sample-gene": 1}}


def test_silver_from_an_earlier_phase_counts(tiny, outputs, tmp_path, lexicon):
    few, more = ({s.doc for s in load_corpus("sample-gene").limit(n).test} for n in (8, 40))
    silver = silver_corpus(tmp_path, lexicon, ["1", min(more - few)])
    first = run(
        small(tiny, corpora=silver, also_test="sample-disease", heads="per-type", limit=8),
        progress=False,
    )
    with pytest.raises(
        WorkbookError, match=r"shares documents with test splits: \{'mine': \{'sample-gene': 1\}\}"
    ):
        run(
            small(tiny, corpora="sample-gene", heads="per-type", start_from=first["run_id"]),
            progress=False,
        )


def test_a_corpus_is_compared_by_its_other_form(tmp_path, lexicon, monkeypatch):
    """Where its own files don't name their documents."""
    silver = load_corpus(silver_corpus(tmp_path, lexicon, ["1234", "1235"]))
    bare = load_corpus("sample-gene")
    bare = replace(bare, documented=False)
    assert shared_documents([bare, silver]) == {}
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "sample-virus")
    leaked = load_corpus("sample-virus").test[0].doc
    (tmp_path / "more").mkdir()
    assert shared_documents(
        [bare, load_corpus(silver_corpus(tmp_path / "more", lexicon, ["1234", leaked]))]
    ) == {"mine": {"sample-gene": 1}}


def test_gold_with_pmids_is_compared_by_the_other_form_too(tmp_path, monkeypatch, capsys):
    """BioRED's train split shares 53 PMIDs with BC5CDR's test split, which names no PMIDs."""
    bare = replace(load_corpus("sample-gene"), documented=False)
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "sample-virus")
    leaked = load_corpus("sample-virus").test[0].doc
    lines = [{"tokens": ["a"], "tags": ["O"], "doc": doc} for doc in ("1734", leaked, "1834")]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, lines)))
    gold = load_corpus(tmp_path / "gold.jsonl", types=["Gene"], silver=True)
    gold = replace(gold, silver=False)
    assert shared_documents([bare, gold]) == {"gold": {"sample-gene": 1}}
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "nowhere")
    assert shared_documents([bare, gold]) == {}
    assert (
        "whether sample-gene shares documents with the other corpora can't be checked: "
        "unknown corpus 'nowhere'" in capsys.readouterr().err
    )
    with pytest.raises(WorkbookError, match="unknown corpus 'nowhere'"):
        shared_documents([bare, replace(gold, silver=True)])


def test_silver_text_without_pmids_needs_no_other_form_of_gold(tmp_path, lexicon, monkeypatch):
    """It can't be compared, so a form that can't be had must not refuse it."""
    silver = load_corpus(silver_corpus(tmp_path, lexicon, ["lines-1", "lines-2"]))
    bare = [replace(load_corpus(f"sample-{type}"), documented=False) for type in ("gene", "virus")]
    for corpus in bare:
        monkeypatch.setitem(CORPORA[corpus.name], "documents", "nowhere")
    assert shared_documents([*bare, silver]) == {}


def named(folder, **documents):
    """A gold corpus with a sentence for each document; split -> names of documents."""
    folder.mkdir()
    for role, docs in documents.items():
        lines = [{"tokens": ["a"], "tags": ["O"], "doc": doc} for doc in docs]
        (folder / f"{role}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "corpus.toml").write_text('types = ["Gene"]\n')
    return load_corpus(folder)


def test_training_text_is_compared_by_the_other_form_too(tmp_path, monkeypatch):
    """BC5CDR's CoNLL files name no PMIDs, and 21 of its abstracts are in BioRED's test split."""
    named(tmp_path / "form", train=["11111", "11112"], dev=["11113"], test=["11114"])
    other = named(
        tmp_path / "other", train=["22221"], dev=["22222"], test=["11112", "11113", "11114"]
    )
    bare = replace(load_corpus("sample-gene"), documented=False)
    assert shared_documents([bare], [other]) == {}
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", str(tmp_path / "form"))
    assert shared_documents([bare], [other]) == {"sample-gene": {"other": 2}}
    assert shared_documents([other], before=[bare]) == {"sample-gene": {"other": 2}}


@pytest.mark.parametrize(
    ("doc", "shared"), [("train-2", 0), ("lines-2", 0), ("7", 0), ("ward-7", 1)]
)
def test_names_that_count_documents_are_no_names(tmp_path, doc, shared):
    """Readers count the documents of two corpora alike; a user's own names mean one text."""
    one = named(tmp_path / "one", train=[doc], dev=["b"])
    other = named(tmp_path / "other", train=["a"], dev=["c"], test=[doc])
    found = shared_documents([one, other])
    assert found == ({"one": {"other": 1}} if shared else {})
    other = replace(other, splits={**other.splits, "dev": other.test})
    assert shared_documents([other]) == {"other": {"other": 1}}


def test_test_splits_of_an_earlier_phase_are_not_scored(tmp_path, lexicon):
    leaked = load_corpus("sample-gene").test[0].doc
    silver = load_corpus(silver_corpus(tmp_path, lexicon, ["1", leaked]))
    other = replace(
        load_corpus("sample-virus"), splits={"train": load_corpus("sample-virus").train}
    )
    assert shared_documents([silver, other], before=[load_corpus("sample-gene")]) == {}
    assert shared_documents([load_corpus("sample-gene")], before=[silver]) == {
        "mine": {"sample-gene": 1}
    }


def test_another_part_of_the_same_silver_corpus_counts(tiny, outputs, tmp_path, lexicon):
    """The first phase trained on the half with a test document, the second on the other half."""
    few, more = ({s.doc for s in load_corpus("sample-gene").limit(n).test} for n in (8, 40))
    leaked = min(more - few)
    silver = silver_corpus(tmp_path, lexicon, ["1", "2", "3", leaked])
    halves = [f"{silver}@1/2", f"{silver}@2/2"]
    halves.sort(key=lambda half: leaked not in {s.doc for s in load_corpus(half).train})
    first = run(small(tiny, corpora=halves[0], also_test="sample-disease", limit=8), progress=False)
    assert first["shared_documents"] == {}
    with pytest.raises(
        WorkbookError, match=r"shares documents with test splits: \{'mine': \{'sample-gene': 1\}\}"
    ):
        run(
            small(tiny, corpora=["sample-gene", halves[1]], start_from=first["run_id"]),
            progress=False,
        )


def test_two_parts_of_one_silver_corpus_are_looked_at_together(tmp_path, lexicon):
    leaked = load_corpus("sample-gene").test[0].doc
    silver = load_corpus(silver_corpus(tmp_path, lexicon, ["1", leaked]))
    parts = [replace(silver, splits={"train": silver.train.take(i)}) for i in ([1], [0])]
    assert shared_documents([load_corpus("sample-gene"), *parts]) == {"mine": {"sample-gene": 1}}


def test_text_lines_need_no_other_form(tmp_path, lexicon, monkeypatch):
    silver = load_corpus(silver_corpus(tmp_path, lexicon, ["lines-1", "lines-2"]))
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "bc4chemd")  # which can't be had here
    assert shared_documents([replace(load_corpus("sample-gene"), documented=False), silver]) == {}


def test_documents_are_found_in_any_line_and_by_any_spelling(tmp_path, lexicon):
    """The leak check reads documents of all lines and takes PMID:1123, 1123 and a number as one."""
    gold = load_corpus("sample-gene")
    test = replace(gold.test[0], doc="1123")
    gold = replace(
        gold,
        splits={
            **gold.splits,
            "test": gold.splits["test"].map(lambda s: test if s == gold.test[0] else s, gold.name),
        },
    )
    for i, (doc, found) in enumerate(
        (
            ("PMID:1123", True),
            ("pmid 1123", True),
            (1123, True),
            ("PMID:1124", False),
            (None, False),
        )
    ):
        folder = tmp_path / str(i)
        folder.mkdir()
        lines = [{"tokens": ["a"], "tags": ["O"]}] * 1_100 + [
            {"tokens": ["b"], "tags": ["O"], "doc": doc}
        ]
        (folder / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
        (folder / "corpus.toml").write_text('types = ["Gene"]\nsilver = true\n')
        silver = load_corpus(folder)
        assert silver.documented == (doc is not None)
        assert shared_documents([gold, silver]) == (
            {silver.name: {"sample-gene": 1}} if found else {}
        )


def test_what_a_teacher_or_an_earlier_phase_was_taught_counts(tiny, outputs, tmp_path, lexicon):
    """Gold of an earlier run is recorded in the row; silver of a teacher is refused."""
    leaked = load_corpus("sample-gene").limit(40).test[0].doc
    gold = tmp_path / "gold"
    gold.mkdir()
    record = {"tokens": ["OPA1", "x"], "tags": ["B-Gene", "O"]}
    for role, doc in (("train", leaked), ("dev", "other")):
        (gold / f"{role}.jsonl").write_text(json.dumps(record | {"doc": doc}))
    first = run(small(tiny, corpora=str(gold)), progress=False)
    second = run(small(tiny, corpora="sample-gene", start_from=first["run_id"]), progress=False)
    assert second["shared_documents"] == {"gold": {"sample-gene": 1}}
    third = run(
        small(tiny, corpora="sample-gene", start_from=second["run_id"], epochs=2), progress=False
    )
    assert third["shared_documents"] == {"gold": {"sample-gene": 1}}, "however long ago"
    assert "not_compared" not in third
    gold.rename(tmp_path / "away")
    fourth = run(
        small(tiny, corpora="sample-gene", start_from=second["run_id"], epochs=3), progress=False
    )
    assert fourth["shared_documents"] == {}
    assert fourth["not_compared"] == [str(gold)], "what is gone can't be compared, and is named"
    (tmp_path / "away").rename(gold)
    silver = silver_corpus(tmp_path, lexicon, ["1", leaked])
    teacher = run(small(tiny, corpora=silver, also_test=str(gold)), progress=False)
    taught = small(
        tiny, corpora=["sample-gene", "sample@1/2:Virus"], teacher=teacher["run_id"], confidence=0.0
    )
    with pytest.raises(
        WorkbookError, match=r"shares documents with test splits: \{'mine': \{'sample-gene': 1"
    ):
        run(taught, progress=False)


def test_documents_of_a_dev_split_count_too(tmp_path):
    """Dev chooses the epoch: a test document in it is a leak as well."""
    gold = load_corpus("sample-gene")
    other = load_corpus("sample-virus")
    leaked = replace(
        other,
        splits={
            **other.splits,
            "dev": Split([replace(other.dev[0], doc=gold.test[0].doc)], "dev", "sample-virus"),
        },
    )
    assert shared_documents([gold, other]) == {}
    assert shared_documents([gold, leaked]) == {
        "sample-virus": {"sample-gene": 1, "sample-virus": 1}
    }


def test_documents_that_are_counted_need_no_other_form(tmp_path, lexicon, monkeypatch):
    """Files often call their documents 1, 2 …: these are no PMIDs."""
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "nowhere")
    bare = replace(load_corpus("sample-gene"), documented=False)
    counted = load_corpus(silver_corpus(tmp_path, lexicon, ["1", "2"]))
    assert shared_documents([bare, counted]) == {}
    (tmp_path / "more").mkdir()
    named = load_corpus(silver_corpus(tmp_path / "more", lexicon, ["1", "12345678"]))
    with pytest.raises(WorkbookError, match="nowhere"):
        shared_documents([bare, named])
