"""Data sets in the form of the library `datasets`: Parquet files, saved folders, the hub."""

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value

from bioner_lib import RunConfig, load_corpus, run
from bioner_lib.corpora.loading import check_name
from bioner_lib.errors import DataError

NAMES = ["O", "B-Gene", "I-Gene", "B-Disease", "I-Disease"]
FEATURES = Features(
    {
        "id": Value("string"),
        "tokens": Sequence(Value("string")),
        "ner_tags": Sequence(ClassLabel(names=NAMES)),
    }
)
ROWS = [
    {"id": "0", "tokens": ["OPA1", "causes", "optic", "atrophy"], "ner_tags": [1, 0, 3, 4]},
    {"id": "1", "tokens": ["TP53", "binds"], "ner_tags": [1, 0]},
    {"id": "2", "tokens": [], "ner_tags": []},
]


def dataset(rows=ROWS, features=FEATURES) -> Dataset:
    return Dataset.from_list(rows, features=features)


@pytest.fixture
def splits() -> DatasetDict:
    return DatasetDict({"train": dataset(ROWS * 10), "validation": dataset(), "test": dataset()})


def test_a_saved_folder_is_a_corpus(splits, tmp_path):
    splits.save_to_disk(str(tmp_path / "mine"))
    corpus = load_corpus(tmp_path / "mine")
    assert corpus.types == ("Disease", "Gene")
    assert list(corpus.splits) == ["train", "dev", "test"]
    assert corpus.counts("train") == {"Gene": 20, "Disease": 10}
    assert corpus.test[0].tags == ["B-Gene", "O", "B-Disease", "I-Disease"]
    assert corpus.repairs["empty sentence dropped"] == 12
    assert load_corpus(f"{tmp_path}/mine:Gene").types == ("Gene",)


def test_a_saved_split_without_a_sentence_is_refused(splits, tmp_path):
    splits["test"] = dataset([ROWS[-1]])
    splits.save_to_disk(str(tmp_path / "mine"))
    with pytest.raises(DataError, match=r"the test split of .* is empty"):
        load_corpus(tmp_path / "mine")


def test_parquet_files_are_a_corpus_that_trains(splits, tmp_path, outputs):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, split in splits.items():
        split.to_parquet(str(folder / f"{name}.parquet"))
    (folder / "corpus.toml").write_text('labels = { Gene = "Gene", Disease = "" }\n')
    corpus = load_corpus(folder)
    assert corpus.types == ("Gene",)
    assert corpus.counts("test") == {"Gene": 2}
    row = run(RunConfig(corpora=str(folder), system="dictionary"), progress=False)
    assert row["scores"]["mine"]["test"]["types"]["Gene"]["f1"] == 1.0


def test_a_data_set_of_the_hub_goes_by_its_name(splits, monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        return splits

    monkeypatch.setattr("datasets.load_dataset", load)
    corpus = load_corpus("hf:owner/name")
    assert asked == ["owner/name"]
    assert corpus.name == "hf:owner/name"
    assert load_corpus("hf:owner/name@50%:Gene").counts("train") == {"Gene": 10}
    check_name("hf:owner/name:Gene")
    assert RunConfig(corpora="hf:owner/name").corpora == ("hf:owner/name",)


def test_views_of_two_data_sets_of_the_hub_have_two_names(splits, monkeypatch):
    monkeypatch.setattr("datasets.load_dataset", lambda name: splits)
    names = [load_corpus(f"hf:owner/{name}:Gene").name for name in ("one", "two")]
    assert names == ["hf:owner/one:Gene", "hf:owner/two:Gene"]


def test_options_of_a_data_set_of_the_hub(splits, monkeypatch):
    features = Features(dict(FEATURES) | {"pos": FEATURES["ner_tags"]})
    other = splits.map(lambda row: {"pos": row["ner_tags"]}, features=features)
    monkeypatch.setattr("datasets.load_dataset", lambda name: other)
    with pytest.raises(DataError, match="2 columns hold class labels"):
        load_corpus("hf:owner/name")
    labels = {"Gene": "Gene", "Disease": ""}
    corpus = load_corpus("hf:owner/name", tag_field="ner_tags", labels=labels, types="Gene")
    assert corpus.types == ("Gene",)
    with pytest.raises(DataError, match="unknown option 'tag_feild'; did you mean 'tag_field'"):
        load_corpus("hf:owner/name", tag_feild="ner_tags")
    empty = DatasetDict(train=splits["train"], test=dataset(ROWS[2:]))
    monkeypatch.setattr("datasets.load_dataset", lambda name: empty)
    with pytest.raises(DataError, match="the test split is empty"):
        load_corpus("hf:owner/name")


def test_a_split_without_labels_is_named(splits, monkeypatch):
    hidden = [ROWS[1] | {"ner_tags": [-1, -1]}]
    made = DatasetDict(train=splits["train"], test=dataset(hidden))
    monkeypatch.setattr("datasets.load_dataset", lambda name: made)
    with pytest.raises(DataError, match=r"test, row 1: tag -1 has no name; a split without labels"):
        load_corpus("hf:owner/name")


def test_a_hub_that_cant_be_reached_is_named(monkeypatch):
    def fail(name):
        raise ConnectionError("no route")

    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(DataError, match=r"'owner/name' can't be loaded .*no route.*save_to_disk"):
        load_corpus("hf:owner/name")


def test_tags_may_be_texts_in_a_named_column(tmp_path):
    rows = [{"tokens": ["OPA1"], "tags": ["B-Gene"], "doc": f"PMID:{i}"} for i in (7, 8)]
    Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
    corpus = load_corpus(tmp_path / "train.parquet", tag_field="tags", types=["Gene"])
    sentences = [sentence for split in corpus.splits.values() for sentence in split]
    assert sorted(sentence.doc for sentence in sentences) == ["7", "8"]


def test_two_dev_splits_are_named(splits, tmp_path):
    both = DatasetDict({"train": splits["train"], "dev": splits["train"]})
    both["validation"] = splits["train"]
    both.save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=r"two of .* are its dev split"):
        load_corpus(tmp_path / "saved")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"words": ["a"]}], "unknown column 'tokens'; known:"),
        ([{"tokens": ["a"], "tags": ["O"]}], r"0 columns hold class labels \(\[\]\); name the one"),
        ([{"tokens": ["a"], "tags": ["O", "O"]}], "row 1: 1 tokens but 2 tags"),
        ([{"tokens": ["a"], "tags": ["X-Gene"]}], "unknown tag 'X-Gene'"),
        ([{"tokens": ["a"], "tags": [1]}], "integer tags .* need names"),
        ([{"tokens": ["a"], "tags": ["O"]}, {"tokens": ["a"], "tags": None}], "'tags' is 'None'"),
        ([{"tokens": ["a", "b"], "tags": ["O", None]}], "'tags' is .* expected a list of tags"),
        ([{"tokens": ["a", ""], "tags": ["O", "O"]}], "'tokens' is .* expected a list of words"),
        ([{"tokens": "a b", "tags": ["O", "O", "O"]}], "'tokens' is 'a b'; expected a list"),
    ],
)
def test_what_is_no_data_set_of_tagged_sentences_is_named(tmp_path, rows, message):
    Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
    options = {} if "column" in message else {"tag_field": "tags"}
    with pytest.raises(DataError, match=message):
        load_corpus(tmp_path / "train.parquet", **options)


def test_broken_files_are_named(tmp_path, splits):
    (tmp_path / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"train\.parquet: no Parquet file"):
        load_corpus(tmp_path / "train.parquet")
    DatasetDict({"extra": dataset()}).save_to_disk(str(tmp_path / "odd"))
    with pytest.raises(DataError, match="unknown split 'extra'"):
        load_corpus(tmp_path / "odd")
