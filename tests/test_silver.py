import hashlib
import json
import lzma
import subprocess
import sys
import tomllib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest
from conftest import small

from bioner_lib import WorkbookError, load_corpus, recipe, run
from bioner_lib.corpora.corpus import Split
from bioner_lib.corpora.registry import CORPORA
from bioner_lib.errors import DataError
from bioner_lib.runs.leaks import shared_documents
from bioner_lib.silver import labelling as silver
from bioner_lib.silver.denoising import denoise
from bioner_lib.silver.labelling import (
    label,
    read_lines,
    save_sentences,
    silver_folder,
    split_documents,
)
from bioner_lib.silver.lexicons import save_entries

TEXT = (
    "OPA1 causes optic atrophy.\n\nOPA1 causes optic atrophy.\n"
    "A\x00b\x0btab\u2028 and SARS-CoV-2\r\n" + "x " * 3000 + "\nNothing here .\n"
)


def text_of(folder):
    """The one text of a silver corpus."""
    (path,) = folder.glob("train-*.jsonl")
    return path


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
    assert first["doc"] == "text-1"
    assert second["tokens"][-5:] == ["SARS", "-", "CoV", "-", "2"]
    with pytest.raises(DataError, match="holds a corpus already"):
        label([], lexicon, tmp_path / "silver")


def test_a_corpus_stays_until_the_new_one_is_whole(tmp_path, lexicon):
    label([("1", "OPA1 here")], lexicon, tmp_path / "mine")
    before = text_of(tmp_path / "mine").read_bytes()

    def breaks_off():
        yield "2", "OPA1 there"
        raise WorkbookError("the network is gone")

    with pytest.raises(WorkbookError, match="network is gone"):
        label(breaks_off(), lexicon, tmp_path / "mine", replace=True)
    with pytest.raises(DataError, match="no sentence for mine: nothing is left of the text"):
        label([("1", "")], lexicon, tmp_path / "mine", replace=True)
    assert text_of(tmp_path / "mine").read_bytes() == before
    assert not list((tmp_path / "mine").glob("*.tmp"))
    assert label([("2", "OPA1 there")], lexicon, tmp_path / "mine", replace=True)["sentences"] == 1
    assert [s.doc for s in load_corpus(tmp_path / "mine").train] == ["2"]
    save_entries([], tmp_path / "empty.gz", [])
    with pytest.raises(DataError, match="has no entry; there is nothing to label with"):
        label([("1", "OPA1")], tmp_path / "empty.gz", tmp_path / "other")


def test_text_is_read_as_what_it_is(tmp_path):
    with lzma.open(tmp_path / "text.txt.xz", "wt", encoding="utf-8") as file:
        file.write("Sjögren syndrome\n")
    assert list(read_lines(tmp_path / "text.txt.xz", Counter())) == [
        ("text.txt-1", "Sjögren syndrome")
    ]
    (tmp_path / "latin.txt").write_bytes("Sjögren".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.txt: not UTF-8 .*convert it first"):
        list(read_lines(tmp_path / "latin.txt", Counter()))
    with pytest.raises(DataError, match=r"none.txt can't be read: No such file"):
        list(read_lines(tmp_path / "none.txt", Counter()))


def test_names_of_silver_corpora(outputs):
    assert silver_folder("covid-5.2+x") == outputs / "silver" / "covid-5.2+x"
    for wrong, said in (
        ("bc5cdr", "a registered corpus has it"),
        ("", "expected letters"),
        ("v@h:x", "expected"),
        ("../x", "expected"),
    ):
        with pytest.raises(WorkbookError, match=f"can't be a silver corpus's name: {said}"):
            silver_folder(wrong)
    with pytest.raises(DataError, match="'sample:' names no type after its colon"):
        load_corpus("sample:")


def test_processes_write_the_same_bytes(tmp_path, lexicon, monkeypatch):
    monkeypatch.setattr("bioner_lib.silver.labelling._CHUNK", 7)
    sentences = [(str(i), f"OPA1 and {i} optic atrophy") for i in range(50)]
    label(sentences, lexicon, tmp_path / "one")
    with ProcessPoolExecutor(2) as pool:
        label(iter(sentences), lexicon, tmp_path / "two", pool)
    assert text_of(tmp_path / "one").read_bytes() == text_of(tmp_path / "two").read_bytes()


def test_it_is_a_corpus_whose_types_are_what_its_lexicon_knows(tmp_path, lexicon):
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


def silver_corpus(tmp_path, lexicon, docs):
    label(((doc, f"OPA1 and optic atrophy in {doc} .") for doc in docs), lexicon, tmp_path / "mine")
    return str(tmp_path / "mine")


def test_silver_trains_and_chooses_nothing(tiny, outputs, tmp_path, lexicon):
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
    silver = load_corpus(silver_corpus(tmp_path, lexicon, ["1", "2"]))
    bare = load_corpus("sample-gene")
    bare = replace(bare, documented=False)
    assert shared_documents([bare, silver]) == {}
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "sample-virus")
    leaked = load_corpus("sample-virus").test[0].doc
    (tmp_path / "more").mkdir()
    assert shared_documents(
        [bare, load_corpus(silver_corpus(tmp_path / "more", lexicon, ["1", leaked]))]
    ) == {"mine": {"sample-gene": 1}}


def test_gold_with_pmids_is_compared_by_the_other_form_too(tmp_path, monkeypatch, capsys):
    """BioRED's train split shares 53 PMIDs with BC5CDR's test split, which names no PMIDs."""
    bare = replace(load_corpus("sample-gene"), documented=False)
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "sample-virus")
    leaked = load_corpus("sample-virus").test[0].doc
    lines = [{"tokens": ["a"], "tags": ["O"], "doc": doc} for doc in ("17", leaked, "18")]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, lines)))
    gold = load_corpus(tmp_path / "gold.jsonl", types=["Gene"], silver=True)
    gold = replace(gold, silver=False)
    assert shared_documents([bare, gold]) == {"gold": {"sample-gene": 1}}
    monkeypatch.setitem(CORPORA["sample-gene"], "documents", "nowhere")
    assert shared_documents([bare, gold]) == {}
    assert (
        "whether the test split of sample-gene holds training documents can't be checked: "
        "unknown corpus 'nowhere'" in capsys.readouterr().err
    )
    with pytest.raises(WorkbookError, match="unknown corpus 'nowhere'"):
        shared_documents([bare, replace(gold, silver=True)])


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


def test_one_line_without_a_document_hides_no_other(tmp_path):
    docs = [{"doc": None}, {"pmid": 17}, {}, {"doc": 0}]
    lines = [
        {"tokens": [word], "tags": ["O"], **doc} for word, doc in zip("abcd", docs, strict=True)
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "corpus.toml").write_text('types = ["Gene"]\nsilver = true\n')
    corpus = load_corpus(tmp_path)
    assert corpus.documented
    assert [sentence.doc for sentence in corpus.train][1::2] == ["17", "0"]


class Teacher:
    """Says what it was told, and how sure it is."""

    def __init__(self, said, sure):
        self.types = ["Gene"]
        self.said = said
        self.sure = sure

    def predictions(self, tokens, types, autocast):
        assert types == ["Gene"]
        for words in tokens:
            yield [(*span, 0.9) for span in self.said[tuple(words)]], self.sure[tuple(words)]


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


def test_a_lexicon_made_again_is_read_again(tmp_path, lexicon):
    assert label([("1", "OPA1 and TP53")], lexicon, tmp_path / "one")["labels"] == {"Gene": 1}
    save_entries([(["OPA1"], "Gene", "", True), (["TP53"], "Gene", "", True)], lexicon, [])
    assert label([("1", "OPA1 and TP53")], lexicon, tmp_path / "two")["labels"] == {"Gene": 2}


TWO_MAKERS = """
import sys
from bioner_lib.silver.labelling import label
name, lexicon, folder = sys.argv[1:]
for _ in range(6):
    label(((str(i), f"OPA1 of {name} {i}") for i in range(3_000)), lexicon, folder, replace=True)
"""
KILLED = """
import os, sys
from pathlib import Path
from bioner_lib.silver import labelling as silver
where, lexicon, folder = sys.argv[1:]
steps, inner, text = [], silver.replace_text, Path.unlink
def die(*_, **__):
    os._exit(9)
if where == "before corpus.toml":
    silver.replace_text = die
elif where == "after corpus.toml":
    silver.replace_text = lambda *given: (inner(*given), die())
else:
    silver.os.fsync = die
silver.label([("2", "OPA1 anew")], lexicon, folder, replace=True)
"""


@pytest.mark.slow
def test_two_makers_of_one_corpus_never_mix(tmp_path, lexicon):
    """And whoever reads it meanwhile finds the text of one of them, whole."""
    calls = [
        [sys.executable, "-c", TWO_MAKERS, name, str(lexicon), str(tmp_path / "mine")]
        for name in ("left", "right")
    ]
    makers = [subprocess.Popen(call) for call in calls]
    read = 0
    while any(maker.poll() is None for maker in makers):
        if (tmp_path / "mine" / "corpus.toml").exists():
            train = load_corpus(tmp_path / "mine").train
            assert len(train) == 3_000
            assert {sentence.tokens[2] for sentence in train} in ({"left"}, {"right"})
            read += 1
    assert [maker.returncode for maker in makers] == [0, 0]
    assert read > 3
    assert len(load_corpus(tmp_path / "mine").train) == 3_000
    assert not list((tmp_path / "mine").glob("*.tmp"))


def test_a_corpus_that_another_maker_left_meanwhile_stays(tmp_path, lexicon):
    def sentences():
        yield "1", "OPA1"
        label([("2", "OPA1")], lexicon, tmp_path / "mine")

    with pytest.raises(DataError, match="holds a corpus already"):
        label(sentences(), lexicon, tmp_path / "mine")
    assert [sentence.doc for sentence in load_corpus(tmp_path / "mine").train] == ["2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "docs"),
    [("while writing", ["1"]), ("before corpus.toml", ["1"]), ("after corpus.toml", ["2"])],
)
def test_killed_at_any_step_it_is_the_old_corpus_or_the_new_one(tmp_path, lexicon, where, docs):
    label([("1", "OPA1 first")], lexicon, tmp_path / "mine")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, where, str(lexicon), str(tmp_path / "mine")], check=False
    )
    assert killed.returncode == 9
    assert [sentence.doc for sentence in load_corpus(tmp_path / "mine").train] == docs
    label([("3", "OPA1 last")], lexicon, tmp_path / "mine", replace=True)
    assert [sentence.doc for sentence in load_corpus(tmp_path / "mine").train] == ["3"]
    text_of(tmp_path / "mine")


def test_a_text_that_is_not_the_one_that_was_labelled_is_refused(tmp_path, lexicon):
    label([("1", "OPA1 here"), ("2", "nothing")], lexicon, tmp_path / "mine")
    declared = tomllib.loads((tmp_path / "mine" / "corpus.toml").read_text())
    assert declared["sha256"] == hashlib.sha256(text_of(tmp_path / "mine").read_bytes()).hexdigest()
    assert declared["labelled"] == {"sentences": 2, "words": 3, "Gene": 1}
    path = text_of(tmp_path / "mine")
    path.write_text(path.read_text().replace("B-Gene", "B-Virus"))
    with pytest.raises(DataError, match="isn't the text that was labelled"):
        load_corpus(tmp_path / "mine")
    path.unlink()
    with pytest.raises(DataError, match=r"files names 'train-.*', which isn't there"):
        load_corpus(tmp_path / "mine")


@pytest.mark.parametrize("replaces", [False, True])
def test_no_file_of_a_user_is_deleted(tmp_path, lexicon, replaces):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("train_notes.jsonl", "train-2024.jsonl", "dev.jsonl", "notes.md"):
        (folder / name).write_text(name)
    label([("1", "OPA1")], lexicon, folder, replace=replaces)
    label([("2", "OPA1")], lexicon, folder, replace=True)
    assert [path.name for path in folder.glob("train*.jsonl") if path.read_text() != path.name] == [
        next(folder.glob("train-????????.jsonl")).name
    ]
    for name in ("train_notes.jsonl", "train-2024.jsonl", "dev.jsonl", "notes.md"):
        assert (folder / name).read_text() == name


def test_a_text_that_no_corpus_toml_tells_of_is_not_replaced_unasked(tmp_path, lexicon):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.jsonl").write_text("a user's own")
    with pytest.raises(DataError, match="holds a corpus already"):
        label([("1", "OPA1")], lexicon, tmp_path / "mine")
    assert (tmp_path / "mine" / "train.jsonl").read_text() == "a user's own"
    label([("1", "OPA1")], lexicon, tmp_path / "mine", replace=True)
    assert not (tmp_path / "mine" / "train.jsonl").exists(), (
        "the text of an earlier version's corpus"
    )


def test_one_lexicon_labels_all_of_a_text(tmp_path, lexicon):
    """Without this check, a worker could label its chunk with a newer lexicon."""

    def sentences():
        yield "1", "OPA1"
        save_entries([(["TP53"], "Gene", "", True)], lexicon, [])
        silver._load.cache_clear()  # as in a worker that hasn't read it yet
        yield "2", "OPA1"

    with pytest.raises(DataError, match=r"lexicon\.gz was made again while it labelled a text"):
        label(sentences(), lexicon, tmp_path / "mine")
    assert not (tmp_path / "mine" / "corpus.toml").exists()


def test_sentences_that_are_saved_are_counted(tmp_path, lexicon):
    label([("1", "OPA1 here"), ("2", "nothing")], lexicon, tmp_path / "mine")
    held = load_corpus(tmp_path / "mine")
    save_sentences(held.train, held.types, tmp_path / "again")
    assert tomllib.loads((tmp_path / "again" / "corpus.toml").read_text())["labelled"] == {
        "sentences": 2,
        "words": 3,
        "Gene": 1,
    }


def test_sources_of_any_name_are_told(tmp_path):
    """An astral character, a quote, a control character: TOML writes them otherwise than JSON."""
    source = tmp_path / 'a\U0001f9ec"\x7f.tsv'
    source.write_text("x")
    save_entries([(["OPA1"], "Gene", "\U0001f9ec", True)], tmp_path / "lexicon.gz", [source])
    label([("1", "OPA1")], tmp_path / "lexicon.gz", tmp_path / "mine")
    assert list(tomllib.loads((tmp_path / "mine" / "corpus.toml").read_text())["lexicon"]) == [
        source.name
    ]
    assert len(load_corpus(tmp_path / "mine").train) == 1


def test_a_silver_dev_file_chooses_no_epoch(tiny, outputs, tmp_path, lexicon):
    silver = silver_corpus(tmp_path, lexicon, ["1", "2"])
    other = tmp_path / "other"
    other.mkdir()
    (other / "corpus.toml").write_text('silver = true\ntypes = ["Gene"]\n')
    for role in ("train", "dev", "test"):
        (other / f"{role}.tsv").write_text("OPA1\tB-Gene\nx\tO\n\n")
    with pytest.raises(WorkbookError, match="no epoch can be chosen on labels that nobody checked"):
        run(small(tiny, corpora=silver, also_test=str(other)), progress=False)


def test_documents_are_found_in_any_line_and_by_any_spelling(tmp_path, lexicon):
    """The leak check reads documents of all lines and takes PMID:123, 123 and a number as one."""
    gold = load_corpus("sample-gene")
    test = replace(gold.test[0], doc="123")
    gold = replace(
        gold,
        splits={
            **gold.splits,
            "test": gold.splits["test"].map(lambda s: test if s == gold.test[0] else s, gold.name),
        },
    )
    for i, (doc, found) in enumerate(
        (("PMID:123", True), ("pmid 123", True), (123, True), ("PMID:1234", False), (None, False))
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
    """Gold of an earlier run is told in the row; silver of a teacher's is refused."""
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


def test_a_full_disk_is_named_and_the_earlier_corpus_kept(tmp_path, lexicon, monkeypatch):
    label([("1", "OPA1 first")], lexicon, tmp_path / "mine")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bioner_lib.silver.labelling.os.fsync", full)
    with pytest.raises(
        WorkbookError,
        match=r"can't write to .*mine \(No space left on device\); make room and label again",
    ):
        label([("2", "OPA1 anew")], lexicon, tmp_path / "mine", replace=True)
    monkeypatch.undo()
    assert [sentence.doc for sentence in load_corpus(tmp_path / "mine").train] == ["1"]
    assert not list((tmp_path / "mine").glob("*.tmp"))


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
