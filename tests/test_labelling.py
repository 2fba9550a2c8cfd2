"""Labelling text with a lexicon: what is read, what is labelled, what silver is for in training."""

import json
import lzma
import tomllib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import pytest
from small_corpora import silver_corpus, text_of
from small_runs import small

from bioner_lib import WorkbookError, load_corpus, recipe, run
from bioner_lib.errors import DataError
from bioner_lib.silver.corpus_folders import save_sentences
from bioner_lib.silver.labelling import (
    QUERIES,
    clean,
    label,
    read_lines,
    running_text,
    split_documents,
    text_source,
    training_text,
)
from bioner_lib.silver.lexicons import save_entries

TEXT = (
    "OPA1 causes optic atrophy.\n\nOPA1 causes optic atrophy.\n"
    "A\x00b\x0btab\u2028 and SARS-CoV-2\r\n" + "x " * 3000 + "\nNothing here .\n"
)


def test_dirty_lines_are_counted_and_the_rest_is_labelled(tmp_path, lexicon):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8", newline="")
    dropped = Counter()
    counts = label(read_lines(tmp_path / "text.txt", dropped), lexicon, tmp_path / "silver")
    assert dropped == {
        "empty": 1,
        "repeated": 1,
        "control characters made blanks": 1,
        "longer than 5000 characters": 1,
    }
    assert counts["sentences"] == 3
    assert counts["labels"] == {"Gene": 1, "Disease": 1, "Virus": 1}
    first, second, _ = (
        json.loads(line) for line in text_of(tmp_path / "silver").read_text().splitlines()
    )
    assert first["decoded_tags_pseudo_final"] == [
        "B-Gene",
        "O",
        "B-Disease",
        "I-Disease",
        "O",
    ]
    assert set(first["decoded_tags"]) == {"O"}
    assert first["spans"] == [[0, 1, "Gene", "HGNC:8140"], [2, 4, "Disease", "MESH:D009896"]]
    assert first["doc"] is None
    assert not load_corpus(tmp_path / "silver").documented
    assert second["tokens"][-5:] == ["SARS", "-", "CoV", "-", "2"]
    with pytest.raises(DataError, match="holds a corpus already"):
        label([], lexicon, tmp_path / "silver")


def test_compressed_text_is_read_and_other_encodings_are_refused(tmp_path):
    with lzma.open(tmp_path / "text.txt.xz", "wt", encoding="utf-8") as file:
        file.write("Sjögren syndrome\n")
    assert list(read_lines(tmp_path / "text.txt.xz", Counter())) == [(None, "Sjögren syndrome")]
    (tmp_path / "latin.txt").write_bytes("Sjögren".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.txt: not UTF-8 .*convert it first"):
        list(read_lines(tmp_path / "latin.txt", Counter()))
    with pytest.raises(DataError, match=r"none.txt can't be read: No such file"):
        list(read_lines(tmp_path / "none.txt", Counter()))


def test_processes_write_the_same_bytes(tmp_path, lexicon, monkeypatch):
    monkeypatch.setattr("bioner_lib.silver.labelling._CHUNK", 7)
    sentences = [(str(i), f"OPA1 and {i} optic atrophy") for i in range(50)]
    label(sentences, lexicon, tmp_path / "one")
    with ProcessPoolExecutor(2) as pool:
        label(iter(sentences), lexicon, tmp_path / "two", pool)
    assert text_of(tmp_path / "one").read_bytes() == text_of(tmp_path / "two").read_bytes()


def test_a_silver_corpus_has_the_types_of_its_lexicon(tmp_path, lexicon):
    documents = [
        ("11", "OPA1 is a gene. It causes optic atrophy."),
        ("12", "Nothing is known."),
        ("13", "OPA1 again."),
    ]
    label(split_documents(documents, Counter()), lexicon, tmp_path / "mine")
    corpus = load_corpus(tmp_path / "mine")
    assert set(corpus.types) == {"Gene", "Disease", "Virus"}
    assert corpus.silver
    assert corpus.documented
    assert "dev" not in corpus.splits, "labels that nobody checked choose nothing"
    assert [s.doc for s in corpus.train] == ["11", "11", "12", "13"]
    assert corpus.counts("train") == {
        "Gene": 2,
        "Disease": 1,
    }


def test_silver_is_for_training_only(tiny, outputs, tmp_path, lexicon):
    silver = silver_corpus(tmp_path, lexicon, ["1", "2", "3"])
    row = run(small(tiny, corpora=["sample-gene", silver]), progress=False)
    assert set(row["history"][0]["dev"]) == {"sample-gene", "mean"}
    assert row["scores"]["mine"] == {}
    alone = run(small(tiny, corpora=silver, also_test="sample-gene"), progress=False)
    assert set(alone["history"][0]["dev"]) == {"sample-gene", "mean"}
    assert set(alone["scores"]["sample-gene"]) == {"test"}
    with pytest.raises(WorkbookError, match="name a gold corpus with a dev split in also_test"):
        run(small(tiny, corpora=silver), progress=False)
    sizes = {"epochs": 1, "limit": 24, "max_length": 128, "overlap": 16, "precision": "fp32"}
    sequential, then = recipe(
        "bionerds-4", corpora=["sample-gene"], added=[silver], encoder=tiny, **sizes
    )
    run(sequential, progress=False)
    assert (
        run(then, progress=False)["scores"]["sample-gene"]["test"]["types"]["Gene"]["support"] > 0
    )


def test_a_line_without_a_document_leaves_the_other_documents(tmp_path):
    docs = [{"doc": None}, {"pmid": 17}, {}, {"doc": 0}]
    lines = [
        {"tokens": [word], "tags": ["O"], **doc} for word, doc in zip("abcd", docs, strict=True)
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "corpus.toml").write_text('types = ["Gene"]\nsilver = true\n')
    corpus = load_corpus(tmp_path)
    assert corpus.documented
    assert [sentence.doc for sentence in corpus.train][1::2] == ["17", "0"]


def test_a_lexicon_made_again_is_read_again(tmp_path, lexicon):
    assert label([("1", "OPA1 and TP53")], lexicon, tmp_path / "one")["labels"] == {"Gene": 1}
    save_entries([(["OPA1"], "Gene", "", True), (["TP53"], "Gene", "", True)], lexicon, [])
    assert label([("1", "OPA1 and TP53")], lexicon, tmp_path / "two")["labels"] == {"Gene": 2}


def test_sentences_that_are_saved_are_counted(tmp_path, lexicon):
    label([("1", "OPA1 here"), ("2", "nothing")], lexicon, tmp_path / "mine")
    corpus = load_corpus(tmp_path / "mine")
    save_sentences(corpus.train, corpus.types, tmp_path / "again")
    assert tomllib.loads((tmp_path / "again" / "corpus.toml").read_text())["labelled"] == {
        "sentences": 2,
        "words": 3,
        "Gene": 1,
    }


def test_text_of_a_corpus_without_documents_stays_without(tmp_path, lexicon):
    (tmp_path / "plain.conll").write_text("OPA1\tB-Gene\nhere\tO\n\nTP53\tB-Gene\n")
    plain = load_corpus(tmp_path / "plain.conll")
    texts = sorted(training_text(plain), key=str)
    assert {doc for doc, _ in texts} == {None}
    label(texts, lexicon, tmp_path / "mine")
    silver = load_corpus(tmp_path / "mine")
    assert not silver.documented
    save_sentences(silver.train, silver.types, tmp_path / "again", documented=silver.documented)
    assert not load_corpus(tmp_path / "again").documented
    named = load_corpus("sample")
    assert next(training_text(named))[0] == named.train[0].doc


def test_sources_of_any_name_are_recorded(tmp_path):
    """An astral character, a quote, a control character: TOML writes them otherwise than JSON."""
    source = tmp_path / 'a\U0001f9ec"\x7f.tsv'
    source.write_text("x")
    save_entries([(["OPA1"], "Gene", "\U0001f9ec", True)], tmp_path / "lexicon.gz", [source])
    label([("1", "OPA1")], tmp_path / "lexicon.gz", tmp_path / "mine")
    lexicon = tomllib.loads((tmp_path / "mine" / "corpus.toml").read_text())["lexicon"]
    assert list(lexicon["sources"]) == [source.name]
    assert len(load_corpus(tmp_path / "mine").train) == 1


def test_a_silver_dev_file_chooses_no_epoch(tiny, outputs, tmp_path, lexicon):
    silver = silver_corpus(tmp_path, lexicon, ["1", "2"])
    other = tmp_path / "other"
    other.mkdir()
    (other / "corpus.toml").write_text('silver = true\ntypes = ["Gene"]\n')
    for role in ("train", "dev"):
        (other / f"{role}.tsv").write_text("OPA1\tB-Gene\nx\tO\n\n")
    with pytest.raises(WorkbookError, match="no epoch can be chosen on labels that nobody checked"):
        run(small(tiny, corpora=[silver, str(other)]), progress=False)


def test_a_run_may_name_the_corpora_that_choose_its_epoch(tiny, outputs, tmp_path, lexicon):
    silver = silver_corpus(tmp_path, lexicon, ["1", "2"])
    known = {"corpora": ["sample-gene", silver], "also_test": ["sample-disease@50%"]}
    config = small(tiny, **known, chosen_on=["sample-disease@50%", "sample-gene"])
    row = run(config, progress=False)
    assert set(row["history"][0]["dev"]) == {"sample-disease", "sample-gene", "mean"}
    assert config.run_id != small(tiny, **known).run_id
    with pytest.raises(WorkbookError, match="which is silver; an epoch is chosen on the dev split"):
        run(small(tiny, **known, chosen_on=silver), progress=False)
    with pytest.raises(WorkbookError, match="unknown corpus in chosen_on 'sample-gen'; did you"):
        small(tiny, **known, chosen_on="sample-gen")


def test_running_text_is_a_search_a_file_or_plain_sentences(tmp_path):
    plain = [("a", "OPA1 causes atrophy."), ("b", " "), ("c", "OPA1 causes atrophy.")]
    dropped = Counter()
    assert list(running_text(plain, dropped)) == plain[:1]
    assert dropped == {"empty": 1, "repeated": 1}
    (tmp_path / "lines.txt").write_text("One sentence.\n")
    found = list(running_text(plain, dropped, text=tmp_path / "lines.txt"))
    assert found == [(None, "One sentence.")]
    with pytest.raises(WorkbookError, match="NCBI wants an e-mail address"):
        running_text(plain, dropped, query="ataxia")


def test_where_the_text_comes_from_is_kept_with_the_corpus(tmp_path, lexicon, monkeypatch):
    (tmp_path / "lines.txt").write_text("OPA1 here\n")
    assert text_source("sample") == {"source": "training sentences of sample"}
    of_file = text_source("sample", text=str(tmp_path / "lines.txt"))
    assert (of_file["source"], len(of_file["sha256"])) == ("lines.txt", 64)
    with pytest.raises(DataError, match=r"nowhere\.txt can't be read \(No such file"):
        text_source("sample", text="nowhere.txt")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert text_source("sample", text="~/lines.txt") == of_file
    assert list(read_lines("~/lines.txt", Counter())) == list(
        read_lines(tmp_path / "lines.txt", Counter())
    )
    searched = text_source("sample", query="bioner-ds", dates="2022-01-01", limit=5)
    assert searched["query"] == QUERIES["bioner-ds"]
    assert {"source", "dates", "most_abstracts", "day"} < set(searched)
    skipped = Counter()
    text = clean([("1", "OPA1 here"), ("2", " ")], skipped)
    label(text, lexicon, tmp_path / "mine", text=searched | {"dropped": skipped})
    source = load_corpus(tmp_path / "mine").source
    assert source["text"] == searched | {"dropped": {"empty": 1}}
    assert source["labelled"]["sentences"] == 1
    assert source["lexicon"]["sources"]
    filters = {"least_precision": 0.3, "kept": Counter(Gene=1), "priority": ""}
    save_entries([(["OPA1"], "Gene", "", True)], tmp_path / "again.gz", [], filters)
    label([("1", "OPA1 here")], tmp_path / "again.gz", tmp_path / "again")
    assert load_corpus(tmp_path / "again").source["lexicon"] == {"sources": {}} | filters


def test_a_published_search_goes_by_its_name(monkeypatch):
    asked = []

    class Search:
        def __init__(self, *_):
            pass

        def count(self, query, since, until):
            asked.append((query, since, until))
            return 0

        def abstracts(self, *_, **__):
            return iter(())

    monkeypatch.setattr("bioner_lib.silver.labelling.PubMed", Search)
    monkeypatch.setattr("bioner_lib.silver.labelling.evaluation_documents", dict)
    dates = "2022-01-01 2026-12-31"
    assert not list(running_text([], Counter(), query="bioner-ds", email="a@b.c", dates=dates))
    assert asked.pop() == (QUERIES["bioner-ds"], "2022-01-01", "2026-12-31")
    assert not list(running_text([], Counter(), query="virus", email="a@b.c"))
    assert asked.pop() == ("virus", "", "")
    with pytest.raises(DataError, match="expected a first and a last date"):
        running_text([], Counter(), query="virus", email="a@b.c", dates=f"{dates} 2027-01-01")
