import json
import math
import pickle

import pytest

from bioner_lib import load_corpus
from bioner_lib.corpora.lines import Lines
from bioner_lib.corpora.splits import Split
from bioner_lib.errors import DataError
from bioner_lib.silver.corpus_folders import TAG_FIELD


def record(words, tags, **more):
    return (
        json.dumps(
            {
                "tokens": words.split(),
                "decoded_tags": ["O"] * len(tags.split()),
                TAG_FIELD: tags.split(),
                **more,
            }
        )
        + "\n"
    )


@pytest.fixture
def folder(tmp_path):
    records = [record(f"OPA1 in {i} .", "B-Gene O B-Virus O", doc=str(i)) for i in range(40)]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.jsonl").write_text(
        "\n\r\n" + "".join(records) + "\n \t\r\n\n  ", encoding="utf-8"
    )
    declared = (
        f'types = ["Gene", "Virus"]\nreader = "jsonl"\ntag_field = "{TAG_FIELD}"\nsilver = true\n'
    )
    (tmp_path / "mine" / "corpus.toml").write_text(declared)
    return tmp_path / "mine"


def test_a_split_on_disk_equals_one_in_memory(folder):
    corpus = load_corpus(folder)
    assert corpus.train.on_disk
    assert len(corpus.train) == 40
    assert corpus.documented
    loaded = load_corpus(
        folder / "train.jsonl", reader="jsonl", tag_field=TAG_FIELD
    )  # carved, not silver
    together = sorted([*loaded.train, *loaded.dev], key=lambda s: int(s.doc))
    assert list(corpus.train) == together
    assert corpus.train[-1].tokens[2] == "39"
    view = corpus.only("Virus")
    assert view.train.on_disk
    assert view.counts("train") == {"Virus": 40}
    assert view.train[0].tags == ["O", "O", "B-Virus", "O"]
    in_memory = view.splits["train"].__class__(list(view.train), "train", "x")
    assert view.fingerprint == type(view)("x", view.types, {"train": in_memory}).fingerprint
    assert pickle.loads(pickle.dumps(view.train)) == view.train
    assert view.train[:3][2].doc == "2"


def test_parts_are_nested_and_stay_on_disk(folder):
    few, more = (load_corpus(f"{folder}@{n}").train for n in (10, 25))
    assert few.on_disk
    assert len(few) == 10
    assert {s.doc for s in few} < {s.doc for s in more}
    assert [s.doc for s in few] == [s.doc for s in load_corpus(f"{folder}@10").train]
    assert {s.doc for s in load_corpus(f"{folder}@1/2").train}.isdisjoint(
        {s.doc for s in load_corpus(f"{folder}@2/2").train}
    )
    assert len(load_corpus(folder, limit=7).train) == 7


def test_files_of_bioner_ds_are_read_alike(tmp_path):
    """The named field holds the tags; undeclared types are read from the file."""
    path = tmp_path / "train.jsonl"
    path.write_text(record("OPA1 and TP53", "B-Gene O B-Gene") + record("none", "O"))
    lines = Lines(path, tag_field=TAG_FIELD)
    assert [s.spans for s in lines] == [
        [(0, 1, "Gene"), (2, 3, "Gene")],
        [],
    ]
    assert not lines.documented
    assert len({s.doc for s in lines}) == 2
    gold = Lines(path, tag_field="decoded_tags")
    assert [s.spans for s in gold] == [[], []]
    corpus = load_corpus(path, reader="jsonl", tag_field=TAG_FIELD, silver=True)
    assert corpus.types == ("Gene",)
    assert corpus.silver
    assert list(corpus.splits) == ["train"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken\n", "no JSON object"),
        (record("a b", "O"), "2 tokens but 1 tags"),
        (
            record("a", "B-Cell"),
            r"a mention of \['Cell'\], which types=\['Gene', 'Virus'\] doesn't declare",
        ),
        (record("a", "Q-Gene"), "unknown tag 'Q-Gene'"),
        (record("", ""), "a sentence without words"),
        ('{"tokens": ["a"], "tags": ["O"]}\n', f"unknown tag field '{TAG_FIELD}'"),
    ],
)
def test_a_bad_line_is_named_when_it_is_asked_for(folder, line, message):
    path = folder / "train.jsonl"
    content = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*content[:20], line, *content[20:]]))
    with pytest.raises(DataError, match=rf"train.jsonl:21: {message}"):
        list(load_corpus(folder).train)


def test_an_empty_file_is_refused(folder):
    (folder / "train.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match=r"the train split of .* is empty"):
        load_corpus(folder)


def test_silver_corpora_are_loaded_by_name(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path / "outputs"))
    (tmp_path / "outputs" / "silver").mkdir(parents=True)
    folder.rename(tmp_path / "outputs" / "silver" / "viruses")
    corpus = load_corpus("viruses@5:Virus")
    assert corpus.name == "viruses:Virus"
    assert len(corpus.train) == 5
    with pytest.raises(Exception, match=r"unknown corpus 'virusez'.*did you mean 'viruses'"):
        load_corpus("virusez")


@pytest.mark.parametrize(
    ("named", "documented"),
    [({"doc": "7"}, True), ({"pmid": 7}, True), ({"doc": None, "pmid": math.nan}, False)],
)
def test_a_document_is_seen_in_any_line(tmp_path, named, documented):
    path = tmp_path / "train.jsonl"
    path.write_text(record('"doc": "pmid"', "O O") * 3 + record("last", "O", **named))
    assert Lines(path, tag_field=TAG_FIELD).documented == documented


def test_parts_go_on_reading_what_was_loaded(folder):
    """Whatever stands under the file's name meanwhile; another process refuses another file."""
    few = load_corpus(f"{folder}@10").train
    before, sent = list(few), pickle.dumps(few)
    assert list(pickle.loads(sent)) == before
    other = folder / "other"
    other.write_text(record("all of it is another text", "O O O O O O") * 100)
    other.replace(folder / "train.jsonl")
    assert list(few.take(range(10))) == before
    with pytest.raises(
        DataError, match=r"train\.jsonl has changed since it was loaded; load the corpus again"
    ):
        pickle.loads(sent)
    (folder / "train.jsonl").unlink()
    with pytest.raises(DataError, match=r"train\.jsonl can't be read: No such file"):
        pickle.loads(sent)


def test_splits_are_equal_if_their_sentences_are(folder):
    train = load_corpus(folder).train
    assert train == Split(list(train), "train", "other")
    assert train != Split(list(train)[1:], "train", "other")
