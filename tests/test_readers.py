"""What all readers have in common: the guess of the format, the names of documents."""

import gzip
import json
import lzma

import pytest
from small_corpora import write

from bioner_lib.corpora.inline_files import read_inline
from bioner_lib.corpora.readers import guess_reader
from bioner_lib.corpora.tagged_files import read_jsonl


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("train.txt", "# d\n[x](Gene) y", "inline"),
        ("train.txt", "1|t|x\n1|a|y", "pubtator"),
        ("train.txt", "a O\nb O", "conll"),
        ("test.txt", "# id = 1\nBRCA1\tB-Gene\nis\tO", "conll"),
        ("test.txt", "# O\nBRCA1 B-Gene", "conll"),
        ("train.txt", "# d\nA cohort of group O", "inline"),
        ("train.txt", "[3H](x)\tB-Chemical\nbinds\tO", "conll"),
        ("train.txt", "# d\n[HeLa](Cell-Line) O", "inline"),
        ("train.txt", "[14C](2-3) O", "conll"),
        ("train.xml.gz", "", "bioc"),
        ("train.json.xz", "", "bioc"),
        ("train.tsv", "a\tO", "conll"),
        ("train.json", '{"tokens": []}\n{"tokens": []}', "jsonl"),
        ("train.json", '{\n "documents": []}', "bioc"),
        ("train.json", '{"source": "", "documents": []}', "bioc"),
        ("train.json", '{"id": "1", "passages": []}', "bioc"),
        ("train.json", '{"PubTator3": [{"id": "1"}]}', "bioc"),
        ("train.json", '{"tokens": ["cell", "passages"], "tags": ["O", "O"]}', "jsonl"),
    ],
)
def test_reader_is_guessed(tmp_path, name, text, reader):
    path = write(tmp_path, name, text)
    for ending, pack in ((".gz", gzip.compress), (".xz", lzma.compress)):
        if name.endswith(ending):
            path.write_bytes(pack(path.read_bytes()))
    assert guess_reader(path) == reader


def test_a_sentence_without_a_document_leaves_the_other_documents(tmp_path):
    """A corpus is compared with test splits where any of its sentences names a document."""
    lines = ['{"tokens": ["a"], "tags": ["O"]}', '{"tokens": ["a"], "tags": ["O"], "pmid": 7}']
    assert read_jsonl(write(tmp_path, "a.jsonl", "\n".join(lines))).documented
    assert not read_jsonl(write(tmp_path, "b.jsonl", lines[0])).documented
    assert read_inline(write(tmp_path, "a.txt", "Loss.\n# 7\nLoss.\n")).documented
    assert not read_inline(write(tmp_path, "b.txt", "Loss.\n")).documented


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("PMID:123", "123"),
        ("pmid 123", "123"),
        ("PMID123", "123"),
        (123, "123"),
        (123.0, "123"),
        ("PMID_123", "123"),
        ("PMID:x", "PMID:x"),
        (" a ", "a"),
        (float("nan"), "a-s0"),
    ],
)
def test_one_document_has_one_name(tmp_path, given, name):
    reading = read_jsonl(
        write(tmp_path, "a.jsonl", json.dumps({"tokens": ["a"], "tags": ["O"], "doc": given}))
    )
    assert reading.sentences[0].doc == name
