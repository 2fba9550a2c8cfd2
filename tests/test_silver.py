import json
import lzma
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bioner_lib import RunConfig, WorkbookError, load_corpus, recipe, run
from bioner_lib.data.corpora import CORPORA
from bioner_lib.data.lexicons import save_entries
from bioner_lib.data.silver import label, read_lines, save_sentences, silver_folder, split_documents
from bioner_lib.errors import DataError
from bioner_lib.runs.run import shared_documents
from bioner_lib.runs.self_labels import denoise

TEXT = (
    "OPA1 causes optic atrophy.\n\nOPA1 causes optic atrophy.\nA\x00b\x0btab\u2028 and SARS-CoV-2\r\n" + "x " * 3000 + "\nNothing here .\n"
)


@pytest.fixture
def lexicon(tmp_path):
    entries = [(["OPA1"], "Gene", "HGNC:8140", True), (["optic", "atrophy"], "Disease", "MESH:D009896", False),
               (["SARS", "-", "CoV", "-", "2"], "Virus", "NCBITaxon:2697049", True)]  # fmt: skip
    (tmp_path / "source.tsv").write_text("x")
    save_entries(entries, tmp_path / "lexicon.gz", [tmp_path / "source.tsv"])
    return tmp_path / "lexicon.gz"


def test_dirty_lines_are_counted_and_the_rest_is_labelled(tmp_path, lexicon):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8", newline="")
    dropped = Counter()
    counts = label(read_lines(tmp_path / "text.txt", dropped), lexicon, tmp_path / "silver")
    assert dropped == {"empty": 1, "repeated": 1, "control characters made blanks": 1, "longer than 5000 characters": 1}
    assert counts["sentences"] == 3 and counts["labels"] == {"Gene": 1, "Disease": 1, "Virus": 1}
    first, second, _ = (json.loads(line) for line in (tmp_path / "silver" / "train.jsonl").read_text().splitlines())
    assert first["decoded_tags_pseudo_final"] == ["B-Gene", "O", "B-Disease", "I-Disease", "O"] and set(first["decoded_tags"]) == {"O"}
    assert first["spans"] == [[0, 1, "Gene", "HGNC:8140"], [2, 4, "Disease", "MESH:D009896"]] and first["doc"] == "text-1"
    assert second["tokens"][-5:] == ["SARS", "-", "CoV", "-", "2"]
    with pytest.raises(DataError, match="holds a corpus already"):
        label([], lexicon, tmp_path / "silver")


def test_a_corpus_stays_until_the_new_one_is_whole(tmp_path, lexicon):
    label([("1", "OPA1 here")], lexicon, tmp_path / "mine")
    before = (tmp_path / "mine" / "train.jsonl").read_bytes()

    def breaks_off():
        yield "2", "OPA1 there"
        raise WorkbookError("the network is gone")

    with pytest.raises(WorkbookError, match="network is gone"):
        label(breaks_off(), lexicon, tmp_path / "mine", replace=True)
    with pytest.raises(DataError, match="no sentence for mine: nothing is left of the text"):
        label([("1", "")], lexicon, tmp_path / "mine", replace=True)
    assert (tmp_path / "mine" / "train.jsonl").read_bytes() == before and not list((tmp_path / "mine").glob("*.tmp"))
    assert label([("2", "OPA1 there")], lexicon, tmp_path / "mine", replace=True)["sentences"] == 1
    assert [s.doc for s in load_corpus(tmp_path / "mine").train] == ["2"]
    save_entries([], tmp_path / "empty.gz", [])
    with pytest.raises(DataError, match="has no entry; there is nothing to label with"):
        label([("1", "OPA1")], tmp_path / "empty.gz", tmp_path / "other")


def test_text_is_read_as_what_it_is(tmp_path):
    with lzma.open(tmp_path / "text.txt.xz", "wt", encoding="utf-8") as file:
        file.write("Sjögren syndrome\n")
    assert list(read_lines(tmp_path / "text.txt.xz", Counter())) == [("text.txt-1", "Sjögren syndrome")]
    (tmp_path / "latin.txt").write_bytes("Sjögren".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.txt: not UTF-8 .*convert it first"):
        list(read_lines(tmp_path / "latin.txt", Counter()))
    with pytest.raises(DataError, match=r"none.txt can't be read: No such file"):
        list(read_lines(tmp_path / "none.txt", Counter()))


def test_names_of_silver_corpora(outputs):
    assert silver_folder("covid-5.2+x") == outputs / "silver" / "covid-5.2+x"
    for wrong, said in (("bc5cdr", "a registered corpus has it"), ("", "expected letters"), ("v@h:x", "expected"), ("../x", "expected")):
        with pytest.raises(WorkbookError, match=f"can't be a silver corpus's name: {said}"):
            silver_folder(wrong)
    with pytest.raises(DataError, match="'sample:' names no type after its colon"):
        load_corpus("sample:")


def test_processes_write_the_same_bytes(tmp_path, lexicon, monkeypatch):
    monkeypatch.setattr("bioner_lib.data.silver._CHUNK", 7)
    sentences = [(str(i), f"OPA1 and {i} optic atrophy") for i in range(50)]
    label(sentences, lexicon, tmp_path / "one")
    with ProcessPoolExecutor(2) as pool:
        label(iter(sentences), lexicon, tmp_path / "two", pool)
    assert (tmp_path / "one" / "train.jsonl").read_bytes() == (tmp_path / "two" / "train.jsonl").read_bytes()


def test_it_is_a_corpus_whose_types_are_what_its_lexicon_knows(tmp_path, lexicon):
    documents = [("11", "OPA1 is a gene. It causes optic atrophy."), ("12", "Nothing is known."), ("13", "OPA1 again.")]
    label(split_documents(documents, Counter()), lexicon, tmp_path / "mine")
    corpus = load_corpus(tmp_path / "mine")
    assert set(corpus.types) == {"Gene", "Disease", "Virus"} and corpus.silver and corpus.documented
    assert "dev" not in corpus.splits, "labels that nobody checked choose nothing"
    assert [s.doc for s in corpus.train] == ["11", "11", "12", "13"] and corpus.counts("train") == {"Gene": 2, "Disease": 1}


def silver_corpus(tmp_path, lexicon, docs):
    label(((doc, f"OPA1 and optic atrophy in {doc} .") for doc in docs), lexicon, tmp_path / "mine")
    return str(tmp_path / "mine")


def small(tiny, **fields):
    sizes = {"epochs": 1, "limit": 24, "max_length": 128, "overlap": 16, "precision": "fp32"}
    return RunConfig(**{"encoder": tiny} | sizes | fields)


def test_silver_trains_and_chooses_nothing(tiny, outputs, tmp_path, lexicon):
    silver = silver_corpus(tmp_path, lexicon, ["1", "2", "3"])
    row = run(small(tiny, corpora=["sample-gene", silver]), progress=False)
    assert set(row["history"][0]["dev"]) == {"sample-gene", "mean"} and row["scores"]["mine"] == {}
    alone = run(small(tiny, corpora=silver, also_test="sample-gene"), progress=False)
    assert set(alone["history"][0]["dev"]) == {"sample-gene", "mean"} and set(alone["scores"]["sample-gene"]) == {"test"}
    with pytest.raises(WorkbookError, match="name a gold corpus with a dev split in also_test"):
        run(small(tiny, corpora=silver), progress=False)
    sizes = {"epochs": 1, "limit": 24, "max_length": 128, "overlap": 16, "precision": "fp32"}
    sequential, then = recipe("bionerds-4", corpora=["sample-gene"], added=[silver], encoder=tiny, **sizes)
    run(sequential, progress=False)
    assert run(then, progress=False)["scores"]["sample-gene"]["test"]["types"]["Gene"]["support"] > 0


def test_silver_text_of_a_test_split_is_refused_unless_forced(tiny, outputs, tmp_path, lexicon):
    leaked = load_corpus("sample-gene").limit(24).test[0].doc
    silver = silver_corpus(tmp_path, lexicon, ["1", leaked])
    with pytest.raises(WorkbookError, match=r"shares documents with test splits: \{'mine': \{'sample-gene': 1\}\}"):
        run(small(tiny, corpora=["sample-gene", silver]), progress=False)
    row = run(small(tiny, corpora=["sample-gene", silver], allow_shared_documents=True), progress=False)
    assert row["shared_documents"] == {"mine": {"sample-gene": 1}}


def test_silver_from_an_earlier_phase_counts(tiny, outputs, tmp_path, lexicon):
    few, more = ({s.doc for s in load_corpus("sample-gene").limit(n).test} for n in (8, 24))
    silver = silver_corpus(tmp_path, lexicon, ["1", min(more - few)])
    first = run(small(tiny, corpora=silver, also_test="sample-disease", heads="per-type", limit=8), progress=False)
    with pytest.raises(WorkbookError, match=r"shares documents with test splits: \{'mine': \{'sample-gene': 1\}\}"):
        run(small(tiny, corpora="sample-gene", heads="per-type", start_from=first["run_id"]), progress=False)


def test_a_corpus_is_compared_by_its_other_form(tmp_path, lexicon, monkeypatch):
    """Where its own files don't name their documents."""
    silver, bare = load_corpus(silver_corpus(tmp_path, lexicon, ["1", "2"])), load_corpus("sample-gene")
    bare = replace(bare, documented=False)
    assert shared_documents([bare, silver]) == {}
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "sample-virus")
    leaked = load_corpus("sample-virus").test[0].doc
    (tmp_path / "more").mkdir()
    assert shared_documents([bare, load_corpus(silver_corpus(tmp_path / "more", lexicon, ["1", leaked]))]) == {"mine": {"sample-gene": 1}}


def test_two_parts_of_one_silver_corpus_are_looked_at_together(tmp_path, lexicon):
    leaked = load_corpus("sample-gene").test[0].doc
    silver = load_corpus(silver_corpus(tmp_path, lexicon, ["1", leaked]))
    parts = [replace(silver, splits={"train": silver.train.take(i)}) for i in ([1], [0])]
    assert shared_documents([load_corpus("sample-gene"), *parts]) == {"mine": {"sample-gene": 1}}


def test_text_lines_need_no_other_form(tmp_path, lexicon, monkeypatch):
    silver = load_corpus(silver_corpus(tmp_path, lexicon, ["lines-1", "lines-2"]))
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "bc4chemd")  # which can't be had here
    assert shared_documents([replace(load_corpus("sample-gene"), documented=False), silver]) == {}


def test_one_line_without_a_document_hides_no_other(tmp_path):
    docs = [{"doc": None}, {"pmid": 17}, {}, {"doc": 0}]
    lines = [{"tokens": [word], "tags": ["O"], **doc} for word, doc in zip("abcd", docs, strict=True)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "corpus.toml").write_text('types = ["Gene"]\nsilver = true\n')
    corpus = load_corpus(tmp_path)
    assert corpus.documented and [sentence.doc for sentence in corpus.train][1::2] == ["17", "0"]


class Teacher:
    """Says what it was told, and how sure it is."""

    def __init__(self, said, sure):
        self.plans, self.said, self.sure = [SimpleNamespace(types=("Gene",))], said, sure

    def predictions(self, tokens, types, autocast):
        assert types == ["Gene"]
        for words in tokens:
            yield [(*span, 0.9) for span in self.said[tuple(words)]], self.sure[tuple(words)]


def test_a_teacher_contradicts_silver(tmp_path, lexicon):
    texts = {"OPA1 agrees": [(0, 1, "Gene")], "OPA1 isn t": [], "OPA1 unsure": [], "optic atrophy gene": [(1, 3, "Gene")]}
    label(((str(i), text) for i, text in enumerate(texts)), lexicon, tmp_path / "mine")
    silver = load_corpus(tmp_path / "mine")
    sure = {tuple(text.split()): 0.5 if "unsure" in text else 0.95 for text in texts}
    teacher = Teacher({tuple(text.split()): spans for text, spans in texts.items()}, sure)
    kept, counts = denoise(teacher, silver, "drop", 0.9)
    assert [s.doc for s in kept] == ["0", "2"] and counts == {"agreed": 1, "unsure": 1, "contradicted": 2}
    kept, counts = denoise(teacher, silver, "relabel", 0.9)
    assert [(s.doc, s.spans) for s in kept] == [("0", [(0, 1, "Gene")]), ("1", []), ("3", [(1, 3, "Gene")])], "Disease gives way"
    save_sentences(kept, silver.types, tmp_path / "again", teacher={"run": "x"})
    again = load_corpus(tmp_path / "again")
    assert list(again.train) == kept and again.types == silver.types and again.silver
    with pytest.raises(WorkbookError, match=r"unknown denoising 'dorp'.*did you mean 'drop'"):
        denoise(teacher, silver, "dorp", 0.9)
    with pytest.raises(WorkbookError, match="confidence=90; expected a probability"):
        denoise(teacher, silver, "drop", 90)
    with pytest.raises(WorkbookError, match="has nothing to say about 'sample-gene'"):
        denoise(teacher, load_corpus("sample-gene"), "drop", 0.9)


def test_a_lexicon_made_again_is_read_again(tmp_path, lexicon):
    assert label([("1", "OPA1 and TP53")], lexicon, tmp_path / "one")["labels"] == {"Gene": 1}
    save_entries([(["OPA1"], "Gene", "", True), (["TP53"], "Gene", "", True)], lexicon, [])
    assert label([("1", "OPA1 and TP53")], lexicon, tmp_path / "two")["labels"] == {"Gene": 2}


def test_what_is_being_written_is_no_split(tmp_path, lexicon):
    label([("1", "OPA1 here"), ("2", "nothing")], lexicon, tmp_path / "mine")
    (tmp_path / "mine" / "train.jsonl").rename(tmp_path / "mine" / "train.jsonl.tmp")
    with pytest.raises(DataError, match="no file named after a split"):
        load_corpus(tmp_path / "mine")
