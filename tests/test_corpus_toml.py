"""corpus.toml, which says what a folder's files hold."""

import pytest
from small_corpora import TWO_SENTENCES, brat, write

from bioner_lib import load_corpus
from bioner_lib.errors import DataError


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
def test_values_have_their_type(tmp_path, line, message):
    write(tmp_path, "train.tsv", TWO_SENTENCES)
    write(tmp_path, "corpus.toml", line)
    with pytest.raises(DataError, match=message):
        load_corpus(tmp_path)


def test_another_encoding_is_named(tmp_path):
    write(tmp_path, "train.tsv", TWO_SENTENCES)
    (tmp_path / "corpus.toml").write_bytes("# d\xe9j\xe0 vu\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"corpus\.toml: .*utf-8"):
        load_corpus(tmp_path)


def test_it_may_have_a_byte_order_mark_and_values_that_are_no_numbers(tmp_path):
    write(tmp_path, "train.tsv", "TP53\tB-Gene\n\nis\tO\n")
    toml = "name = 'mine'\nlabelled = { precision = nan }\n"
    (tmp_path / "corpus.toml").write_bytes(b"\xef\xbb\xbf" + toml.encode())
    assert load_corpus(tmp_path).name == "mine"
    write(tmp_path, "train.tsv", "TP53\tB-\n")
    with pytest.raises(DataError):  # and it is not read for ever
        load_corpus(tmp_path)


def test_one_file_is_one_split(tmp_path):
    write(tmp_path, "a.tsv", TWO_SENTENCES)
    write(tmp_path, "corpus.toml", 'files = { train = "a.tsv", test = "./a.tsv" }')
    with pytest.raises(DataError, match="files gives one file to two splits"):
        load_corpus(tmp_path)


def test_it_names_brat_folders(tmp_path):
    for name in ("train", "evaluation"):
        brat(tmp_path / name, "T1\tGene 0 4\tTP53")
        brat(tmp_path / name, "T1\tGene 0 4\tTP53", name="b")
    with pytest.raises(DataError, match="evaluation"):
        load_corpus(tmp_path)
    write(tmp_path, "corpus.toml", 'files = { train = "train", test = "evaluation" }\n')
    assert load_corpus(tmp_path).counts("test") == {"Gene": 2}
