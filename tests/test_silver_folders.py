"""The folder of a silver corpus: replaced whole, by one maker, and nothing else in it touched."""

import hashlib
import subprocess
import sys
import tomllib

import pytest
from small_corpora import text_of

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.errors import DataError
from bioner_lib.silver.corpus_folders import silver_folder
from bioner_lib.silver.labelling import _load, label
from bioner_lib.silver.lexicons import save_entries


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


def test_names_of_silver_corpora(outputs):
    assert silver_folder("covid-5.2+x") == outputs / "silver" / "covid-5.2+x"
    for wrong, message in (
        ("bc5cdr", "a registered corpus has it"),
        ("", "expected letters"),
        ("v@h:x", "expected"),
        ("../x", "expected"),
    ):
        with pytest.raises(WorkbookError, match=f"can't be a silver corpus's name: {message}"):
            silver_folder(wrong)
    with pytest.raises(DataError, match="'sample:' names no type after its colon"):
        load_corpus("sample:")


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
from bioner_lib.silver import corpus_folders as silver
from bioner_lib.silver.labelling import label
where, lexicon, folder = sys.argv[1:]
steps, inner, text = [], silver.replace_text, Path.unlink
def die(*_, **__):
    os._exit(9)
if where == "before corpus.toml":
    silver.replace_text = die
elif where == "after corpus.toml":
    def write_and_die(*given):
        inner(*given)
        die()
    silver.replace_text = write_and_die
else:
    silver.os.fsync = die
label([("2", "OPA1 anew")], lexicon, folder, replace=True)
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


def test_a_corpus_written_meanwhile_by_another_process_stays(tmp_path, lexicon):
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


def test_a_text_without_corpus_toml_is_replaced_only_when_asked(tmp_path, lexicon):
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
        _load.cache_clear()  # as in a worker that hasn't read it yet
        yield "2", "OPA1"

    with pytest.raises(DataError, match=r"lexicon\.gz was made again while it labelled a text"):
        label(sentences(), lexicon, tmp_path / "mine")
    assert not (tmp_path / "mine" / "corpus.toml").exists()


def test_a_full_disk_is_named_and_the_earlier_corpus_kept(tmp_path, lexicon, monkeypatch):
    label([("1", "OPA1 first")], lexicon, tmp_path / "mine")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bioner_lib.silver.corpus_folders.os.fsync", full)
    with pytest.raises(
        WorkbookError,
        match=r"can't write to .*mine \(No space left on device\); make room and label again",
    ):
        label([("2", "OPA1 anew")], lexicon, tmp_path / "mine", replace=True)
    monkeypatch.undo()
    assert [sentence.doc for sentence in load_corpus(tmp_path / "mine").train] == ["1"]
    assert not list((tmp_path / "mine").glob("*.tmp"))
