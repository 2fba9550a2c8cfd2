"""The texts of a file: what can't be read is named, and the rest goes on."""

import gzip
import io
import json
import lzma
import sys

import bioc
import pytest
from bioc import biocjson, biocxml
from small_corpora import write

from bioner_lib.corpora.documents import document_of
from bioner_lib.corpora.text import sentence_bounds
from bioner_lib.errors import WorkbookError
from bioner_lib.tagging.texts import Problem, Text, read_texts


def test_one_text_per_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffOne 😀.\r\n\n \nTwo\x00.\nThr\u00e9e".encode())
    expected = [Text("1", "One 😀."), Text("4", "Two\x00."), Text("5", "Thrée")]
    assert list(read_texts(path)) == expected


def test_lines_that_are_not_utf8_are_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\nbad \xff\nagain\n")
    first, problem, last = read_texts(path)
    assert (first.text, last) == ("good", Text("3", "again"))
    assert problem == Problem(2, "not UTF-8 at byte 5")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.pubtator"])
def test_utf16_is_refused(tmp_path, name, encoding):
    path = tmp_path / name
    path.write_bytes("\ufeffTP53 binds.\nBRCA1, too.\n".encode(encoding))
    with pytest.raises(WorkbookError, match=rf"{name} is UTF-16; .*iconv -f utf-16 -t utf-8"):
        list(read_texts(path))


@pytest.mark.parametrize(("packed", "pack"), [(".gz", gzip.compress), (".XZ", lzma.compress)])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "One.\n"),
        ("a.jsonl", '{"id": 1, "text": "One."}\n'),
        ("a.pubtator", "1|t|One.\n1|a|Two.\n"),
    ],
)
def test_compressed_files_are_read_as_what_they_hold(tmp_path, name, content, packed, pack):
    plain, path = tmp_path / name, tmp_path / f"{name}{packed}"
    plain.write_text(content)
    path.write_bytes(pack(content.encode()))
    assert list(read_texts(path)) == list(read_texts(plain))
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(WorkbookError, match=rf"{path.name} can't be read \(Compressed file ended"):
        list(read_texts(path))


def test_json_lines_hold_texts_or_tokens(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [
        '{"id": 7, "text": "A b."}',
        '{"pmid": "12", "tokens": ["A", "b"]}',
        '{"text": "no id"}',
        '{"sentence_id": "", "text": ""}',
        "{broken",
        '["list"]',
        '{"tokens": [1]}',
    ]
    path.write_text("\n".join(lines))
    found = list(read_texts(path))
    assert found[:4] == [Text("7", "A b."), Text("12", "A b"), Text("3", "no id"), Text("4", "")]
    assert [problem.line for problem in found[4:]] == [5, 6, 7]
    assert "not JSON" in found[4].reason
    assert "list instead of an object" in found[5].reason
    assert "`tokens`" in found[6].reason


def test_pubtator_gives_title_and_abstract_and_skips_annotations(tmp_path):
    path = tmp_path / "a.pubtator"
    path.write_text(
        "1|t|Title.\n1|a|Text.\n1\t0\t5\tTitle\tGene\n\n2|t|Only\nnonsense\n3|t|A\n3|a|\n"
    )
    found = list(read_texts(path))
    assert [item for item in found if isinstance(item, Text)] == [
        Text("1", "Title. Text."),
        Text("2", "Only "),
        Text("3", "A "),
    ]
    assert [item.line for item in found if isinstance(item, Problem)] == [6]


def test_standard_input(monkeypatch):
    class Stream:
        buffer = io.BytesIO(b"one\ntwo\n")

    monkeypatch.setattr(sys, "stdin", Stream)
    assert [text.text for text in read_texts("-")] == ["one", "two"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WorkbookError, match="No such file"):
        list(read_texts(tmp_path / "nothing.txt"))


@pytest.mark.parametrize("blank", ["\u00a0", "\u0085", "\u2003", "\u3000"])
def test_an_initial_between_wide_blanks_is_a_sentence_like_any_other(blank):
    """The library for sentences breaks off at such text."""
    text = f"Low vitamin{blank}A{blank}. It was treated."
    bounds = sentence_bounds(text)
    assert bounds == sentence_bounds(text.replace(blank, " "))
    assert bounds[-1][1] == len(text)


@pytest.mark.parametrize("name", ["a.xml", "a.json", "a.xml.gz"])
def test_bioc_texts_keep_the_offsets_of_their_passages(tmp_path, name):
    collection = bioc.BioCCollection()
    for id, offsets in (("7", (0, 20)), ("", (0, 4)), ("9", (0, 7))):
        document = bioc.BioCDocument()
        document.id = id
        for offset, text in zip(offsets, ("A title", "About it. More."), strict=True):
            passage = bioc.BioCPassage()
            passage.offset, passage.text = offset, text
            document.add_passage(passage)
        collection.add_document(document)
    content = (biocjson if ".json" in name else biocxml).dumps(collection).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    apart, inside, close = read_texts(path)
    assert close == ("9", "A titleAbout it. More.", (0, 7)), "no blank that would shift it"
    assert apart == ("7", "A title" + 13 * " " + "About it. More.", (0, 20))
    assert inside.id.endswith("-2")
    assert inside[1:] == ("A title About it. More.", (0, 8)), "behind a title that it would cut"
    document = document_of(inside.text, passages=inside.passages)
    cut = [inside.text[start:end].strip() for start, end in document.sentences]
    assert cut == ["A title", "About it.", "More."]


@pytest.mark.parametrize("name", ["a.xml", "a.json"])
def test_other_xml_and_json_is_refused(tmp_path, name):
    path = write(tmp_path, name, "TP53 causes cancer.\n")
    with pytest.raises(WorkbookError, match=rf"{name}: not BioC"):
        list(read_texts(path))
    with pytest.raises(WorkbookError, match="No such file"):
        list(read_texts(tmp_path / f"missing-{name}"))


def test_json_lines_may_be_bioc_documents(tmp_path):
    document = {"id": "7", "passages": [{"offset": 0, "text": "TP53 binds."}]}
    path = write(tmp_path, "a.jsonl", json.dumps(document) + "\n" + json.dumps(document))
    assert [text.text for text in read_texts(path)] == ["TP53 binds."] * 2
    document["passages"][0]["offset"] = "0"
    path = write(tmp_path, "b.json", json.dumps(document))
    with pytest.raises(WorkbookError, match="document 7: a passage's offset is '0'; expected"):
        list(read_texts(path))
