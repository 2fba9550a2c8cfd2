"""Corpora of the user's own: a folder of files, its types, its name."""

import gzip
import json

import pytest
from small_corpora import TWO_SENTENCES, write

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.errors import DataError


def test_own_folder(tmp_path):
    write(tmp_path, "mine-train.tsv", "TP53\tB-Gene\nx\tO\n\ny\tO\n")
    write(tmp_path, "mine_valid.tsv", "BRCA1\tB-Gene\n")
    write(tmp_path, "notes.md", "not a split")
    corpus = load_corpus(tmp_path)
    assert corpus.types == ("Gene",)
    assert {role: len(split) for role, split in corpus.splits.items()} == {"train": 2, "dev": 1}
    with pytest.raises(DataError, match="no test split"):
        corpus.test  # noqa: B018


def test_declared_types_include_all_mentions(tmp_path):
    write(tmp_path, "train.tsv", TWO_SENTENCES)
    assert load_corpus(tmp_path, types=["Gene", "Disease"]).types == ("Gene", "Disease")
    with pytest.raises(DataError, match=r"holds mentions of \['Gene'\]"):
        load_corpus(tmp_path, types=["Disease"])


def test_an_unknown_reader_is_named(tmp_path):
    write(tmp_path, "train.tsv", TWO_SENTENCES)
    with pytest.raises(WorkbookError, match="unknown reader 'conl'"):
        load_corpus(tmp_path, reader="conl")


def test_own_corpora_cant_have_a_registered_name(tmp_path):
    folder = tmp_path / "bc5cdr"
    folder.mkdir()
    write(folder, "train.tsv", TWO_SENTENCES)
    with pytest.raises(DataError, match="name of a registered corpus"):
        load_corpus(folder)
    corpus = load_corpus(folder.rename(tmp_path / "mine.v1"), types="Gene")
    assert corpus.name == "mine.v1"
    assert not corpus.official
    assert corpus.types == ("Gene",)


def test_a_registered_corpus_takes_no_options():
    message = r"\['types', 'lables'\] can't be given for the registered corpus 'sample'"
    with pytest.raises(DataError, match=message):
        load_corpus("sample", types=["Gene"], lables={})


def test_a_published_folder_loads_as_it_lies(tmp_path):
    """BioNER-DS: a folder with a registered name, a file whose name says no split."""
    folder = tmp_path / "bc5cdr"
    folder.mkdir()
    line = {"tokens": ["TP53", "binds"], "decoded_tags_pseudo_final": ["B-Gene", "O"]}
    lines = [json.dumps(line | {"doc": str(i)}) for i in range(10)]
    write(folder, "pubmed_scrapping.jsonl", "\n".join(lines))
    settings = (
        'name = "bc5cdr-mine"\ntag_field = "decoded_tags_pseudo_final"\n'
        'files = { train = "pubmed_scrapping.jsonl" }\n'
    )
    write(folder, "corpus.toml", settings)
    corpus = load_corpus(folder)
    assert corpus.name == "bc5cdr-mine"
    assert corpus.types == ("Gene",)


def test_an_own_folder_may_have_any_letters(tmp_path):
    folder = tmp_path / "mine@home"
    folder.mkdir()
    text = "# 1\n[TP53](Gene) binds .\n# 2\n[OPA1](Gene) binds .\n# 3\nNothing .\n"
    write(folder, "train.txt", text)
    corpus = load_corpus(folder, reader="inline")
    assert len(corpus.train) + len(corpus.dev) == 3
    write(folder, "corpus.toml", 'reader = "inline"\n')
    assert len(load_corpus(f"{folder}@1/2").train) == 1


def test_a_name_that_looks_like_a_view_is_refused(tmp_path):
    folder = tmp_path / "n:b"
    folder.mkdir()
    write(folder, "train.tsv", TWO_SENTENCES)
    with pytest.raises(DataError, match="a colon in its name would look like a view"):
        load_corpus(folder)
    write(folder, "corpus.toml", 'name = "n-b"')
    assert load_corpus(folder).name == "n-b"


def test_silver_labels_are_never_scored(tmp_path):
    write(tmp_path, "train.tsv", TWO_SENTENCES)
    write(tmp_path, "test.tsv", TWO_SENTENCES)
    write(tmp_path, "corpus.toml", "silver = true")
    with pytest.raises(DataError, match=r"is silver, so it is never scored.* test split"):
        load_corpus(tmp_path)
    write(tmp_path, "corpus.toml", 'silver = true\nfiles = { train = "train.tsv" }')
    assert list(load_corpus(tmp_path).splits) == ["train"]


def test_compressed_silver_text_is_read(tmp_path):
    line = json.dumps({"tokens": ["TP53"], "tags": ["B-Gene"]})
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(f"{line}\n\n{line}\n".encode()))
    write(tmp_path, "corpus.toml", 'silver = true\ntypes = ["Gene"]\n')
    assert len(load_corpus(tmp_path).train) == 2


def test_an_empty_split_is_named(tmp_path):
    write(tmp_path, "train.tsv", "\n")
    with pytest.raises(DataError, match=r"train split of .* is empty"):
        load_corpus(tmp_path)


def test_a_file_that_cant_be_read_is_named(tmp_path, monkeypatch):
    write(tmp_path, "train.tsv", TWO_SENTENCES)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(DataError, match=r"train\.tsv can't be read: Permission denied"):
        load_corpus(tmp_path)
