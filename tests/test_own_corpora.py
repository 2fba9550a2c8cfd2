"""Corpora of the user's own: a folder of files and its corpus.toml."""

from pathlib import Path

import pytest

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.errors import DataError


def test_own_folder(tmp_path):
    (tmp_path / "mine-train.tsv").write_text("TP53\tB-Gene\nx\tO\n\ny\tO\n")
    (tmp_path / "mine_valid.tsv").write_text("BRCA1\tB-Gene\n")
    (tmp_path / "notes.md").write_text("not a split")
    corpus = load_corpus(tmp_path)
    assert corpus.types == ("Gene",)
    assert {role: len(split) for role, split in corpus.splits.items()} == {"train": 2, "dev": 1}
    assert load_corpus(tmp_path, types=["Gene", "Disease"]).types == ("Gene", "Disease")
    with pytest.raises(DataError, match=r"holds mentions of \['Gene'\]"):
        load_corpus(tmp_path, types=["Disease"])
    with pytest.raises(DataError, match="no test split"):
        corpus.test  # noqa: B018
    with pytest.raises(WorkbookError, match="unknown reader 'conl'"):
        load_corpus(tmp_path, reader="conl")


@pytest.mark.parametrize(
    "name", ["train_dev.tsv", "pubmed_scrapping.jsonl", "more.txt", "extra.PubTator"]
)
def test_a_data_file_of_no_split_is_an_error(tmp_path, name):
    """A folder that loaded as less than it holds would be trained and scored as less."""
    (tmp_path / "train.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    for beside in (
        "README.txt",
        "LICENSE",
        "notes.md",
        "train.jsonl.tmp",
        ".DS_Store",
        "corpus.toml",
    ):
        (tmp_path / beside).write_text("")
    assert len(load_corpus(tmp_path).splits) == 2
    (tmp_path / name).write_text("TP53\tB-Gene\n")
    with pytest.raises(
        DataError, match=rf"\['{name}'\] belong to no split; name each file after a split"
    ):
        load_corpus(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('silver = "no"', r"silver = 'no'; expected true or false"),
        ('labels = ["Gene"]', r"labels = \['Gene'\]; expected a table of texts"),
        ("labels = { GENE = 1 }", "expected a table of texts"),
        ("types = 3", r"types = 3; expected a list of texts, or one"),
        ("types = [1]", "expected a list of texts, or one"),
        ('tag_names = "O"', "expected a list of texts"),
        ("reader = true", "reader = True; expected a text"),
        ("bare_type = {}", "expected a text"),
        (
            'sha256 = "00"\nfiles = { dev = "train.tsv" }',
            "sha256 is that of the train split, which is missing",
        ),
        ('types = ["micro"]', "a type can't be called 'micro'"),
        ('labels = { Gene = "macro" }', "a type can't be called 'macro'"),
    ],
)
def test_values_in_corpus_toml_have_their_type(tmp_path, line, message):
    (tmp_path / "train.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    (tmp_path / "corpus.toml").write_text(line)
    with pytest.raises(DataError, match=message):
        load_corpus(tmp_path)


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    (tmp_path / "train.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    (tmp_path / "corpus.toml").write_bytes("# d\xe9j\xe0 vu\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"corpus\.toml: .*utf-8"):
        load_corpus(tmp_path)
    (tmp_path / "corpus.toml").unlink()

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(DataError, match=r"train\.tsv can't be read: Permission denied"):
        load_corpus(tmp_path)


def test_a_folder_that_cant_be_listed_is_named(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=f"{tmp_path} can't be read: Permission denied"):
        load_corpus(tmp_path)


def test_own_corpora_cant_have_a_registered_name(tmp_path):
    folder = tmp_path / "bc5cdr"
    folder.mkdir()
    (folder / "train.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    with pytest.raises(DataError, match="name of a registered corpus"):
        load_corpus(folder)
    corpus = load_corpus(folder.rename(tmp_path / "mine.v1"), types="Gene")
    assert corpus.name == "mine.v1"
    assert not corpus.official
    assert corpus.types == ("Gene",)
    with pytest.raises(
        DataError, match=r"\['types', 'lables'\] can't be given for the registered corpus 'sample'"
    ):
        load_corpus("sample", types=["Gene"], lables={})


def test_own_empty_split_and_nameless_files(tmp_path):
    (tmp_path / "train.tsv").write_text("\n")
    with pytest.raises(DataError, match=r"train split of .* is empty"):
        load_corpus(tmp_path)
    (tmp_path / "train.tsv").rename(tmp_path / "words.tsv")
    with pytest.raises(DataError, match="no file named after a split"):
        load_corpus(tmp_path)


def test_an_own_folder_may_have_any_letters(tmp_path):
    folder = tmp_path / "mine@home"
    folder.mkdir()
    (folder / "train.txt").write_text(
        "# 1\n[TP53](Gene) binds .\n# 2\n[OPA1](Gene) binds .\n# 3\nNothing .\n", encoding="utf-8"
    )
    assert (
        len(load_corpus(folder, reader="inline").train)
        + len(load_corpus(folder, reader="inline").dev)
        == 3
    )
    (folder / "corpus.toml").write_text('reader = "inline"\n')
    assert len(load_corpus(f"{folder}@1/2").train) == 1
