"""Files with one tag per word: CoNLL columns and JSON Lines."""

import json

import pytest
from small_corpora import write

from bioner_lib.corpora.tagged_files import read_conll, read_jsonl
from bioner_lib.errors import DataError


def test_conll_columns_docstart_and_blank_lines(tmp_path):
    text = (
        "-DOCSTART- -X- O\n\nTP53 NN B-Gene\nloss NN O\n \nin IN O\n\n"
        "-DOCSTART- -X- O\n\nWilson NN B-Disease\ndisease NN I-Disease"
    )
    reading = read_conll(write(tmp_path, "train.txt", text))
    assert [s.tokens for s in reading.sentences] == [
        ["TP53", "loss"],
        ["in"],
        ["Wilson", "disease"],
    ]
    assert [s.doc for s in reading.sentences] == ["train-1", "train-1", "train-2"]
    assert reading.mentions == {"Gene": 1, "Disease": 1}
    assert reading.documented


def test_a_name_on_the_docstart_line_is_the_documents(tmp_path):
    """`tag` writes it, and the leak check needs it."""
    text = "".join(f"-DOCSTART-{end}\nloss\tO\n\n" for end in ("\tPMID:10021369", "\tO", "\t"))
    reading = read_conll(write(tmp_path, "train.txt", text))
    assert [s.doc for s in reading.sentences] == ["10021369", "train-2", "train-3"]


def test_conll_iob1_iobes_and_bare_tags(tmp_path):
    iob1 = read_conll(write(tmp_path, "a.tsv", "a\tI-X\nb\tI-X\nc\tB-X\nd\tO\n"))
    iobes = read_conll(write(tmp_path, "b.tsv", "a\tB-X\nb\tE-X\nc\tS-X\nd\tO\n"))
    bare = read_conll(write(tmp_path, "c.tsv", "a\tB\nb\tI\nc\tB\nd\tO\n"), bare_type="X")
    assert [r.sentences[0].tags for r in (iob1, iobes, bare)] == [["B-X", "I-X", "B-X", "O"]] * 3
    assert not iob1.repairs
    assert not iobes.repairs


def test_conll_keeps_odd_words(tmp_path):
    text = "α\u2028β\tO\n\ufffd\tB-X\n\u00a0\tO\nx y\tO\r\n"
    assert read_conll(write(tmp_path, "a.tsv", text)).sentences[0].tokens == [
        "α\u2028β",
        "\ufffd",
        "\u00a0",
        "x y",
    ]


def test_repairs_are_reported(tmp_path):
    reading = read_conll(write(tmp_path, "a.tsv", "a\tB-X\nb\tO\nc\tI-X\nd\tO\n"))
    assert reading.repairs == {"I- without B-": 1}
    assert reading.mentions == {"X": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tO\nb\n", r"a.tsv:2: 1 columns"),
        ("a\tO\nb\tO\tO\n", r"a.tsv:2: 3 columns .* expected 2 columns as above"),
        ("a\tO\n\nb\tQ-X\n", r"a.tsv:3: unknown tag 'Q-X'"),
        ("a\tO\nb\tB\n", r"a.tsv:2: bare tag 'B'"),
        ("a\tO\nb\tB-Gen\n", r"a.tsv:2: unknown label 'Gen'; did you mean 'Gene'"),
    ],
)
def test_conll_errors_name_file_and_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_conll(write(tmp_path, "a.tsv", text), labels={"Gene": "Gene"})


def test_empty_sentences_are_dropped_and_counted(tmp_path):
    reading = read_jsonl(
        write(tmp_path, "a.jsonl", '{"tokens": [], "tags": []}\n{"tokens": ["a"], "tags": ["O"]}')
    )
    assert len(reading.sentences) == 1
    assert reading.repairs == {"empty sentence dropped": 1}


def test_not_utf8_is_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"caf\xe9\tO\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_conll(path)


def test_jsonl_by_field_name_and_integer_tags(tmp_path):
    lines = [
        {"tokens": ["TP53", "loss"], "decoded_tags": ["B-Gene", "O"], "ids": [1, 0], "pmid": 7}
    ]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    by_name = read_jsonl(path, tag_field="decoded_tags")
    by_number = read_jsonl(path, tag_field="ids", tag_names=["O", "B-Gene"])
    assert by_name.sentences == by_number.sentences
    assert by_name.sentences[0].doc == "7"
    with pytest.raises(
        DataError, match=r"a.jsonl:1: unknown tag field 'decoded_tag'; did you mean 'decoded_tags'"
    ):
        read_jsonl(path, tag_field="decoded_tag")
    with pytest.raises(DataError, match="need names"):
        read_jsonl(path, tag_field="ids", tag_names=["O"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.jsonl:1"),
        ('{"tokens": null, "tags": []}', "expected a list of words"),
        ('{"tokens": [1], "tags": ["O"]}', "expected a list of words"),
        ('{"tokens": ["a"], "tags": null}', "expected a list of tags"),
        ('{"tokens": ["a", "b"], "tags": [0, "O"]}', "expected a list of tags"),
        ('{"tokens": ["a"], "tags": []}', "1 tokens but 0 tags"),
        ("[1]", "a.jsonl:1"),
    ],
)
def test_jsonl_errors(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_jsonl(write(tmp_path, "a.jsonl", text))


@pytest.mark.parametrize(
    "tags",
    [
        ["B-X", "I-X", "L-X", "O", "U-X"],
        ["B-X", "M-X", "E-X", "O", "S-X"],
        ["B-X", "M-X", "E-X", "O", "W-X"],
        ["B-X", "I-X", "E-X", "O", "S-X"],
    ],
    ids=["BILOU", "BMES", "BMEWO", "IOBES"],
)
def test_schemes_by_their_other_names(tmp_path, tags):
    reading = read_conll(write(tmp_path, "a.tsv", "\n".join(f"w\t{tag}" for tag in tags)))
    assert reading.sentences[0].tags == ["B-X", "I-X", "I-X", "O", "B-X"]
    assert reading.repairs == {}
    bare = read_conll(
        write(tmp_path, "b.tsv", "\n".join(f"w\t{tag[0]}" for tag in tags)), bare_type="X"
    )
    assert bare.sentences[0].tags == reading.sentences[0].tags


@pytest.mark.parametrize(
    "record",
    [
        r'{"tokens": ["ok", "\ud83d"], "tags": ["O", "O"]}',
        r'{"tokens": ["\uD83D"], "tags": ["O"]}',
        r'{"tokens": ["a"], "tags": ["O"], "doc": "\ud83d"}',
    ],
    ids=["word", "capitals", "document"],
)
def test_half_a_character_is_noticed_at_once(tmp_path, record):
    """Before training, not after it, when predictions are written."""
    with pytest.raises(DataError, match=r"a\.jsonl:1: .* holds half of a surrogate pair"):
        read_jsonl(write(tmp_path, "a.jsonl", record))


def test_a_whole_character_may_be_written_as_two_escapes(tmp_path):
    whole = read_jsonl(write(tmp_path, "b.jsonl", r'{"tokens": ["\ud83d\ude00"], "tags": ["O"]}'))
    assert whole.sentences[0].tokens == ["\U0001f600"]


def test_blanks_behind_a_tag_of_json_split_no_mention(tmp_path):
    reading = read_jsonl(
        write(
            tmp_path,
            "a.jsonl",
            '{"tokens": ["optic", "atrophy"], "tags": ["B-Disease", "I-Disease "]}',
        )
    )
    assert reading.sentences[0].spans == [(0, 2, "Disease")]
