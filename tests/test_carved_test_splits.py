"""carve_test = true in corpus.toml: a test split that is set apart from train."""

import json

import pytest

from bioner_lib import RunConfig, WorkbookError, forget, load_corpus, run
from bioner_lib.errors import DataError

ONE_LINE = '{"tokens": ["BRCA1"], "tags": ["B-Gene"], "doc": "elsewhere"}'


def json_corpus(folder, settings, docs=20, sentences=3, named=True, **more):
    """JSON lines of `docs` documents; `more` holds further files by their split."""
    folder.mkdir(exist_ok=True)
    lines = []
    for doc in range(docs):
        for i in range(sentences):
            line = {"tokens": ["TP53", "in", f"{doc}.{i}"], "tags": ["B-Gene", "O", "O"]}
            lines.append(json.dumps(line | ({"doc": f"d{doc}"} if named else {})))
    (folder / "train.jsonl").write_text("\n".join(lines))
    for role, text in more.items():
        (folder / f"{role}.jsonl").write_text(text)
    (folder / "corpus.toml").write_text(settings)
    return folder


def docs_of(corpus) -> dict[str, set[str]]:
    return {role: {s.doc for s in split} for role, split in corpus.splits.items()}


@pytest.mark.parametrize(
    ("share", "test", "note"),
    [
        ("true", 3, "15 % of its documents, set apart by carve_test (3 of 20)"),
        ("0.3", 6, "30 % of its documents, set apart by carve_test (6 of 20)"),
        ("0.001", 1, "0.1 % of its documents, set apart by carve_test (1 of 20)"),
    ],
)
def test_a_test_split_of_whole_documents_is_set_apart_on_request(tmp_path, share, test, note):
    corpus = load_corpus(json_corpus(tmp_path / "mine", f"carve_test = {share}"))
    assert list(corpus.splits) == ["train", "dev", "test"]
    docs = docs_of(corpus)
    assert len(docs["test"]) == test
    assert sum(map(len, docs.values())) == len(set.union(*docs.values())) == 20
    assert sum(len(split) for split in corpus.splits.values()) == 60
    assert corpus.test.role == "test"
    assert corpus.note == f"test: {note}"
    assert not corpus.official


@pytest.mark.parametrize("share", ["true", "0.3", "0.001"])
def test_the_same_documents_are_set_apart_every_time(tmp_path, share):
    folder = json_corpus(tmp_path / "mine", f"carve_test = {share}")
    corpus, again = load_corpus(folder), load_corpus(folder)
    assert again.fingerprint == corpus.fingerprint
    assert again.documents_digest == corpus.documents_digest
    assert load_corpus(f"{folder}@50%:Gene").note == corpus.note


def test_the_test_split_that_is_set_apart_doesnt_depend_on_dev(tmp_path):
    alone = load_corpus(json_corpus(tmp_path / "a", "carve_test = true"))
    beside = load_corpus(json_corpus(tmp_path / "b", "carve_test = true", dev=ONE_LINE))
    assert docs_of(alone)["test"] == docs_of(beside)["test"]
    assert docs_of(beside)["dev"] == {"elsewhere"}


def test_none_is_set_apart_without_request(tmp_path):
    plain = load_corpus(json_corpus(tmp_path / "mine", "carve_test = false"))
    assert "test" not in plain.splits
    assert plain.note == ""


def test_without_documents_sentences_are_set_apart(tmp_path):
    corpus = load_corpus(json_corpus(tmp_path / "mine", "carve_test = 0.1", named=False))
    assert len(corpus.test) == 6
    assert corpus.note == "test: 10 % of its sentences, set apart by carve_test (6 of 60)"
    words = [{s.tokens[2] for s in split} for split in corpus.splits.values()]
    assert len(set.union(*words)) == 60


def test_rows_record_a_test_split_that_was_set_apart(tmp_path, outputs):
    folder = json_corpus(tmp_path / "mine", "")
    config = RunConfig(corpora=str(folder), system="dictionary")
    assert "test" not in run(config, progress=False)["scores"]["mine"]
    (folder / "corpus.toml").write_text("carve_test = true")
    with pytest.raises(WorkbookError, match="has changed"):
        run(config, progress=False)
    forget(config.run_id)
    row = run(config, progress=False)
    about = row["data"]["mine"]
    assert about["note"] == "test: 15 % of its documents, set apart by carve_test (3 of 20)"
    assert about["official"] is False
    assert row["scores"]["mine"]["test"]["types"]["Gene"]["support"] == 9


@pytest.mark.parametrize(
    ("settings", "more", "message"),
    [
        ("carve_test = true", {"test": ONE_LINE}, r"there is test\.jsonl; delete carve_test"),
        ("carve_test = true", {"docs": 2}, r"1 of the 2 documents .*, but train and dev need 2"),
        ("carve_test = true", {"docs": 1, "dev": ONE_LINE}, "but train needs 1 of them"),
        ("carve_test = 0.95", {}, "take 19 of the 20 documents .* smaller share"),
        ('carve_test = true\nsilver = true\ntypes = "Gene"', {}, "is silver: .* delete carve_test"),
        ("carve_test = 15", {}, r"carve_test = 15; expected true, false, or a share between"),
        ("carve_test = 0.0", {}, r"carve_test = 0\.0; expected"),
        ("carve_test = 1.0", {}, r"carve_test = 1\.0; expected"),
        ("carve_test = nan", {}, r"carve_test = nan; expected"),
        ('carve_test = "15 %"', {}, r"carve_test = '15 %'; expected"),
        ('carve_test = true\nfiles = { dev = "train.jsonl" }', {}, "train, which is missing"),
    ],
)
def test_a_test_split_that_cant_be_set_apart_is_refused(tmp_path, settings, more, message):
    folder = json_corpus(tmp_path / "mine", settings, **more)
    with pytest.raises(DataError, match=message):
        load_corpus(folder)


def test_a_missing_test_split_names_the_way_out(tmp_path):
    corpus = load_corpus(json_corpus(tmp_path / "mine", ""))
    message = r"no test split; .*; carve_test = true in the corpus\.toml of a folder"
    with pytest.raises(DataError, match=message):
        corpus.split("test")


def test_an_unknown_split_is_named(tmp_path):
    corpus = load_corpus(json_corpus(tmp_path / "mine", ""))
    with pytest.raises(WorkbookError, match="did you mean 'dev'"):
        corpus.split("dve")


def test_a_saved_data_set_can_have_its_test_split_set_apart(tmp_path):
    corpus = load_corpus(json_corpus(tmp_path / "mine", "carve_test = true"))
    data = corpus.to_datasets()
    data.save_to_disk(tmp_path / "whole")
    data.pop("test")
    data.save_to_disk(tmp_path / "saved")
    carved = load_corpus(tmp_path / "saved", tag_field="tags", carve_test=0.1)
    assert len(docs_of(carved)["test"]) == round(0.1 * len(docs_of(corpus)["train"]))
    with pytest.raises(DataError, match="there is its test split"):
        load_corpus(tmp_path / "whole", tag_field="tags", carve_test=True)
    with pytest.raises(DataError, match="carve_test = 7; expected"):
        load_corpus(tmp_path / "saved", tag_field="tags", carve_test=7)
