"""Which file of a folder is which split; data that would be left out is named.

A folder that loaded as less than it holds would be trained and scored as less.
"""

from pathlib import Path

import pytest
from small_corpora import TWO_SENTENCES, brat, write

from bioner_lib import load_corpus
from bioner_lib.errors import DataError

GENE = "T1\tGene 0 4\tTP53"  # of a brat document


def write_all(folder, *names, text=TWO_SENTENCES):
    """Files of one text, with the folders that they lie in."""
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        write(folder, name, text)


def test_a_folder_without_a_split_is_named(tmp_path):
    write(tmp_path, "words.tsv", "\n")
    with pytest.raises(DataError, match="no file named after a split"):
        load_corpus(tmp_path)


def test_a_folder_that_cant_be_listed_is_named(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=f"{tmp_path} can't be read: Permission denied"):
        load_corpus(tmp_path)


@pytest.mark.parametrize(
    "name", ["train_dev.tsv", "pubmed_scrapping.jsonl", "more.txt", "extra.PubTator"]
)
def test_a_data_file_of_no_split_is_named(tmp_path, name):
    others = ("README.txt", "LICENSE", "notes.md", "train.jsonl.tmp", ".DS_Store", "corpus.toml")
    write_all(tmp_path, *others, text="")
    write(tmp_path, "train.tsv", TWO_SENTENCES)
    assert len(load_corpus(tmp_path).splits) == 2
    write(tmp_path, name, "TP53\tB-Gene\n")
    message = rf"\['{name}'\] belong to no split; name each file after a split"
    with pytest.raises(DataError, match=message):
        load_corpus(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "train-2/train.pubtator",
        "train-2/more.txt",
        "part2/train.tsv.gz",
        "data/first/a.jsonl",
    ],
)
def test_data_in_a_folder_below_is_named(tmp_path, name):
    """Files that say nothing, hidden ones and those that corpus.toml leaves out are no data."""
    no_data = (".cache/train.tsv", "scripts/make.py", "part2/README.txt", "part2/.old/a.tsv")
    write_all(tmp_path, *no_data, "train.tsv")
    assert len(load_corpus(tmp_path).splits) == 2
    write_all(tmp_path, name)
    folder, _, file = name.partition("/")
    with pytest.raises(DataError, match=rf"{folder} holds \['{file}'\].*move the file up"):
        load_corpus(tmp_path)
    write(tmp_path, "corpus.toml", 'files = { train = "train.tsv" }')
    assert len(load_corpus(tmp_path).splits) == 2


def test_data_in_a_folder_named_after_a_split_is_named(tmp_path):
    write_all(tmp_path, "train.tsv", "test.tsv", "dev/dev.tsv")
    with pytest.raises(DataError, match=r"dev holds \['dev\.tsv'\].*move the file up"):
        load_corpus(tmp_path)


def test_a_split_beside_brat_documents_is_named(tmp_path):
    brat(tmp_path, GENE)
    brat(tmp_path, GENE, name="b")
    write(tmp_path, "README.md", "x")
    assert len(load_corpus(tmp_path).splits) == 2
    write(tmp_path, "test.tsv", "TP53\tB-Gene\n")
    with pytest.raises(DataError, match=r"which are its train split, and \['test\.tsv'\]"):
        load_corpus(tmp_path)


@pytest.mark.parametrize(
    ("brat_folders", "texts", "message"),
    [
        (
            ["train", "test/part1"],
            [],
            r"test: the \.ann files of a split lie in one folder",
        ),
        ([".", "test"], [], r"mine holds annotations, and so do .*'test'"),
        (["train"], ["test/a.txt"], r"test holds \['a\.txt'\], and no \.ann file"),
    ],
    ids=["too deep", "in two places", "without annotations"],
)
def test_brat_folders_that_no_split_would_hold_are_named(tmp_path, brat_folders, texts, message):
    for name in brat_folders:
        brat(tmp_path / "mine" / name, GENE)
    write_all(tmp_path / "mine", *texts, text="TP53")
    with pytest.raises(DataError, match=message):
        load_corpus(tmp_path / "mine")


@pytest.mark.parametrize("settings", ["", 'files = { train = "train" }'])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sub/a.ann", r"\['sub'\], which would not be read"),
        ("more.tsv", r"\['more\.tsv'\], which"),
    ],
    ids=["below", "beside"],
)
def test_data_in_a_brat_splits_folder_is_named(tmp_path, name, message, settings):
    train = tmp_path / "train"
    brat(train, GENE)
    brat(train, GENE, name="b")
    if name.endswith(".ann"):
        brat((train / name).parent, GENE)
    else:
        write(train, name, "a\tO\n")
    write(tmp_path, "corpus.toml", settings)
    with pytest.raises(DataError, match=message):
        load_corpus(tmp_path)
