"""Inline markup: [TP53](Gene) in running text."""

import pytest
from small_corpora import write

from bioner_lib.corpora.inline_files import read_inline
from bioner_lib.errors import DataError


def test_inline(tmp_path):
    path = write(
        tmp_path,
        "a.txt",
        "# one\nLoss of [TP53](Gene) in [Li-Fraumeni syndrome](Disease) [12].\nNo name.\n\n"
        "# two\n[WAS](Gene)!\n",
    )
    reading = read_inline(path)
    assert reading.sentences[0].tokens == [
        "Loss",
        "of",
        "TP53",
        "in",
        "Li",
        "-",
        "Fraumeni",
        "syndrome",
        "[",
        "12",
        "]",
        ".",
    ]
    assert [s.spans for s in reading.sentences] == [
        [(2, 3, "Gene"), (4, 8, "Disease")],
        [],
        [(0, 1, "Gene")],
    ]
    assert [s.doc for s in reading.sentences] == ["one", "one", "two"]
    assert (
        reading.sentences[1].offsets[0][0] == len("Loss of TP53 in Li-Fraumeni syndrome [12].") + 1
    )
    with pytest.raises(DataError, match=r"b.txt:1: unknown label 'Gen'"):
        read_inline(write(tmp_path, "b.txt", "[x](Gen)"), labels={"Gene": "Gene"})
    with pytest.raises(DataError, match=r"b.txt:1: broken markup"):
        read_inline(write(tmp_path, "b.txt", "[x](Gene y)"))
    for broken in ("[x] (Gene) y", "[x(Gene) y"):
        with pytest.raises(DataError, match=r"b.txt:1: broken markup"):
            read_inline(write(tmp_path, "b.txt", broken), labels={"Gene": "Gene"})


def test_brackets_that_are_text_are_written_with_a_backslash(tmp_path):
    reading = read_inline(
        write(
            tmp_path, "a.txt", r"[3H\](+)-thymidine and [\[3H\](+)-drug](Chemical) \(Gene) \\ a\b"
        ),
        {"Chemical": "Chemical", "Gene": "Gene"},
    )
    (sentence,) = reading.sentences
    assert "".join(sentence.tokens) == r"[3H](+)-thymidineand[3H](+)-drug(Gene)\a\b"
    assert "".join(sentence.tokens[slice(*sentence.spans[0][:2])]) == "[3H](+)-drug"
    with pytest.raises(
        DataError,
        match=r"broken markup near '.*\]\(\+\)'; "
        r".* a backslash before a bracket makes it plain text",
    ):
        read_inline(write(tmp_path, "b.txt", "[3H](+)"))


def test_a_line_without_words_is_dropped(tmp_path):
    reading = read_inline(write(tmp_path, "a.txt", "[ ](Gene)\n[TP53](Gene)\n"))
    assert [sentence.tokens for sentence in reading.sentences] == [["TP53"]]
    assert reading.repairs["empty sentence dropped"] == 1
