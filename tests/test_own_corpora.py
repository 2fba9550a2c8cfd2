"""Corpora of the user's own: a folder of files and its corpus.toml."""

import gzip
import json
from pathlib import Path

import pytest
from conftest import write

from bioner_lib import RunConfig, WorkbookError, forget, load_corpus, run
from bioner_lib.corpora.brat_folders import read_brat
from bioner_lib.corpora.registry import split_name
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


def test_a_published_folder_loads_as_it_lies(tmp_path):
    """BioNER-DS: a folder with a registered name, a file whose name says no split."""
    folder = tmp_path / "bc5cdr"
    folder.mkdir()
    line = {"tokens": ["TP53", "binds"], "decoded_tags_pseudo_final": ["B-Gene", "O"]}
    lines = [json.dumps(line | {"doc": str(i)}) for i in range(10)]
    (folder / "pubmed_scrapping.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"no file named after a split .* files = \{ train"):
        load_corpus(folder)
    (folder / "corpus.toml").write_text(
        'name = "a@b"\nfiles = { train = "pubmed_scrapping.jsonl" }'
    )
    with pytest.raises(DataError, match="name = 'a@b'; expected letters"):
        load_corpus(folder)
    settings = 'name = "bc5cdr-mine"\ntag_field = "decoded_tags_pseudo_final"\n'
    settings += 'files = { train = "pubmed_scrapping.jsonl" }\n'
    (folder / "corpus.toml").write_text(settings)
    corpus = load_corpus(folder)
    assert corpus.name == "bc5cdr-mine"
    assert corpus.types == ("Gene",)


def brat(folder, annotations, text="TP53 and\nBRCA1 bind.", name="a"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(text, newline="")
    (folder / f"{name}.ann").write_text(annotations)
    return folder


def test_brat_folders_that_no_split_would_hold_are_named(tmp_path):
    gene = "T1\tGene 0 4\tTP53"
    deep, mixed, bare = (tmp_path / name for name in ("deep", "mixed", "bare"))
    for folder in (deep / "train", deep / "test" / "part1", mixed, mixed / "test", bare / "train"):
        brat(folder, gene)
    with pytest.raises(DataError, match=r"test: the \.ann files of a split lie in one folder"):
        load_corpus(deep)
    with pytest.raises(DataError, match=r"mixed holds annotations, and so do .*'test'"):
        load_corpus(mixed)
    (bare / "test").mkdir()
    (bare / "test" / "a.txt").write_text("TP53")
    with pytest.raises(DataError, match=r"test holds \['a\.txt'\], and no \.ann file"):
        load_corpus(bare)


def test_data_in_a_brat_splits_folder_is_named(tmp_path):
    gene = "T1\tGene 0 4\tTP53"
    for name, more, message in (
        ("below", lambda f: brat(f / "sub", gene), r"\['sub'\], which would not be read"),
        (
            "beside",
            lambda f: (f / "more.tsv").write_text("a\tO\n"),
            r"\['more\.tsv'\], which",
        ),
    ):
        folder = tmp_path / name
        brat(folder / "train", gene)
        brat(folder / "train", gene, name="b")
        more(folder / "train")
        with pytest.raises(DataError, match=message):
            load_corpus(folder)
        (folder / "corpus.toml").write_text('files = { train = "train" }')
        with pytest.raises(DataError, match=message):
            load_corpus(folder)


def test_one_file_is_one_split(tmp_path):
    (tmp_path / "a.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    (tmp_path / "corpus.toml").write_text('files = { train = "a.tsv", test = "./a.tsv" }')
    with pytest.raises(DataError, match="files gives one file to two splits"):
        load_corpus(tmp_path)


def test_silver_labels_are_never_scored(tmp_path):
    for role in ("train", "test"):
        (tmp_path / f"{role}.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    (tmp_path / "corpus.toml").write_text("silver = true")
    with pytest.raises(DataError, match=r"is silver, so it is never scored.* test split"):
        load_corpus(tmp_path)
    (tmp_path / "corpus.toml").write_text('silver = true\nfiles = { train = "train.tsv" }')
    assert list(load_corpus(tmp_path).splits) == ["train"]


def test_a_name_that_looks_like_a_view_is_refused(tmp_path):
    folder = tmp_path / "n:b"
    folder.mkdir()
    (folder / "train.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    with pytest.raises(DataError, match="a colon in its name would look like a view"):
        load_corpus(folder)
    (folder / "corpus.toml").write_text('name = "n-b"')
    assert load_corpus(folder).name == "n-b"


def test_data_beside_or_below_a_split_is_named(tmp_path):
    """A folder that loaded as less than it holds would be trained and scored as less."""
    below, beside = tmp_path / "below", tmp_path / "beside"
    (below / "dev").mkdir(parents=True)
    for name in ("train.tsv", "test.tsv", "dev/dev.tsv"):
        (below / name).write_text("TP53\tB-Gene\n\nx\tO\n")
    with pytest.raises(DataError, match=r"dev holds \['dev\.tsv'\].*move the file up"):
        load_corpus(below)
    brat(beside, "T1\tGene 0 4\tTP53")
    brat(beside, "T1\tGene 0 4\tTP53", name="b")
    (beside / "README.md").write_text("x")
    assert len(load_corpus(beside).splits) == 2
    (beside / "test.tsv").write_text("TP53\tB-Gene\n")
    with pytest.raises(DataError, match=r"which are its train split, and \['test\.tsv'\]"):
        load_corpus(beside)


@pytest.mark.parametrize(
    "name",
    [
        "train-2/train.pubtator",
        "train-2/more.txt",
        "part2/train.tsv.gz",
        "data/first/a.jsonl",
    ],
)
def test_data_in_a_folder_below_is_named(tmp_path, name):
    """Files that say nothing, hidden ones and those that corpus.toml leaves out are no data."""
    line = "TP53\tB-Gene\n\nx\tO\n"
    for beside in (".cache/train.tsv", "scripts/make.py", "part2/README.txt", "part2/.old/a.tsv"):
        (tmp_path / beside).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / beside).write_text(line)
    (tmp_path / "train.tsv").write_text(line)
    assert len(load_corpus(tmp_path).splits) == 2
    (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / name).write_text(line)
    folder, _, file = name.partition("/")
    with pytest.raises(DataError, match=rf"{folder} holds \['{file}'\].*move the file up"):
        load_corpus(tmp_path)
    (tmp_path / "corpus.toml").write_text('files = { train = "train.tsv" }')
    assert len(load_corpus(tmp_path).splits) == 2


def test_brat_documents_have_one_name_and_a_byte_order_mark_is_a_character(tmp_path):
    brat(tmp_path / "a", "T1\tGene 1 5\tTP53", "\ufeffTP53 binds.", "PMID-10022882")
    brat(tmp_path / "a", "T1\tGene 1 5\tTP53", "\ufeffTP53 binds.", "10022882")
    reading = read_brat(tmp_path / "a")
    assert {sentence.doc for sentence in reading.sentences} == {"10022882"}
    assert [[s.tokens[a:b] for a, b, _ in s.spans] for s in reading.sentences] == [[["TP53"]]]
    assert reading.repairs["repeated document dropped"] == 1


def test_compressed_silver_text_is_read(tmp_path):
    line = json.dumps({"tokens": ["TP53"], "tags": ["B-Gene"]})
    with gzip.open(tmp_path / "train.jsonl.gz", "wt") as file:
        file.write(f"{line}\n\n{line}\n")
    (tmp_path / "corpus.toml").write_text('silver = true\ntypes = ["Gene"]\n')
    assert len(load_corpus(tmp_path).train) == 2


def test_corpus_toml_names_brat_folders(tmp_path):
    for name in ("train", "evaluation"):
        brat(tmp_path / name, "T1\tGene 0 4\tTP53")
        brat(tmp_path / name, "T1\tGene 0 4\tTP53", name="b")
    with pytest.raises(DataError, match="evaluation"):
        load_corpus(tmp_path)
    (tmp_path / "corpus.toml").write_text('files = { train = "train", test = "evaluation" }\n')
    assert load_corpus(tmp_path).counts("test") == {"Gene": 2}


def test_brat_counts_what_a_tag_sequence_cannot_hold(tmp_path):
    lines = [
        "T1\tGene 0 4\tTP53",
        "T2\tGene 0 4;9 14\tTP53 BRCA1",
        "T3\tGene 0 8;9 14\tTP53 and BRCA1",
        "T4\tGene 9 14;0 4\tTP53 BRCA1",
        "T5\tGene 0 4;2 6\tTP53 a",
        "R1\tBinds Arg1:T1 Arg2:T2",
        "#1\tAnnotatorNotes T1\tsure",
    ]
    reading = read_brat(brat(tmp_path / "train", "\n".join(lines)))
    assert [s.spans for s in reading.sentences] == [[(0, 3, "Gene")]]
    assert reading.repairs["discontinuous mention dropped"] == 3
    assert reading.repairs["overlapping mention dropped"] == 1
    assert reading.mentions == {"Gene": 5}


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ("T1\tGene 0 99\tTP53", r"a\.ann:1: offsets 0 99 are empty or outside"),
        ("T1 Gene 0 4 TP53", r"a\.ann:1: 'T1 Gene 0 4 TP53'; an entity is"),
    ],
)
def test_wrong_brat_lines_are_named(tmp_path, annotations, message):
    with pytest.raises(DataError, match=message):
        read_brat(brat(tmp_path / "train", annotations))


def test_brat_files_come_in_pairs(tmp_path):
    folder = brat(tmp_path / "train", "T1\tGene 0 4\tTP53")
    (folder / "b.txt").write_text("No annotations.")
    (folder / "README.txt").write_text("This is no text of the corpus.")
    (folder.parent / "annotation.conf").write_text("[entities]\nGene\n")
    reading = read_brat(folder)
    assert reading.repairs["text without annotations"] == 1
    assert {sentence.doc for sentence in reading.sentences} == {"a", "b"}
    assert len(load_corpus(folder.parent).train) + len(load_corpus(folder.parent).dev) == 2
    (folder / "c.ann").write_text("")
    with pytest.raises(DataError, match=r"c\.ann: no c\.txt beside it"):
        read_brat(folder)


def own_corpus(folder, settings, docs=20, sentences=3, named=True, **more):
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


ONE_LINE = '{"tokens": ["BRCA1"], "tags": ["B-Gene"], "doc": "elsewhere"}'


@pytest.mark.parametrize(
    ("settings", "test", "note"),
    [
        ("carve_test = true", 3, "15 % of its documents, set apart by carve_test (3 of 20)"),
        ("carve_test = 0.3", 6, "30 % of its documents, set apart by carve_test (6 of 20)"),
        ("carve_test = 0.001", 1, "0.1 % of its documents, set apart by carve_test (1 of 20)"),
    ],
)
def test_a_test_split_of_whole_documents_is_set_apart_on_request(tmp_path, settings, test, note):
    folder = own_corpus(tmp_path / "mine", settings)
    corpus = load_corpus(folder)
    assert list(corpus.splits) == ["train", "dev", "test"]
    docs = docs_of(corpus)
    assert len(docs["test"]) == test
    assert sum(map(len, docs.values())) == len(set.union(*docs.values())) == 20
    assert sum(len(split) for split in corpus.splits.values()) == 60
    assert corpus.test.role == "test"
    assert corpus.note == f"test: {note}"
    assert not corpus.official
    assert load_corpus(f"{folder}@50%:Gene").note == corpus.note
    again = load_corpus(folder)
    assert again.fingerprint == corpus.fingerprint
    assert again.documents_digest == corpus.documents_digest


def test_the_test_split_that_is_set_apart_doesnt_depend_on_dev(tmp_path):
    alone = load_corpus(own_corpus(tmp_path / "a", "carve_test = true"))
    beside = load_corpus(own_corpus(tmp_path / "b", "carve_test = true", dev=ONE_LINE))
    assert docs_of(alone)["test"] == docs_of(beside)["test"]
    assert docs_of(beside)["dev"] == {"elsewhere"}
    plain = load_corpus(own_corpus(tmp_path / "c", "carve_test = false"))
    assert "test" not in plain.splits
    assert plain.note == ""


def test_without_documents_sentences_are_set_apart(tmp_path):
    folder = own_corpus(tmp_path / "mine", "carve_test = 0.1", named=False)
    corpus = load_corpus(folder)
    assert len(corpus.test) == 6
    assert corpus.note == "test: 10 % of its sentences, set apart by carve_test (6 of 60)"
    words = [{s.tokens[2] for s in split} for split in corpus.splits.values()]
    assert len(set.union(*words)) == 60


def test_rows_record_a_test_split_that_was_set_apart(tmp_path, outputs):
    folder = own_corpus(tmp_path / "mine", "")
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
    folder = own_corpus(tmp_path / "mine", settings, **more)
    with pytest.raises(DataError, match=message):
        load_corpus(folder)


def test_a_saved_data_set_can_have_its_test_split_set_apart(tmp_path):
    corpus = load_corpus(own_corpus(tmp_path / "mine", "carve_test = true"))
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


def test_a_missing_test_split_names_the_way_out(tmp_path):
    corpus = load_corpus(own_corpus(tmp_path / "mine", ""))
    with pytest.raises(
        DataError, match=r"no test split; .*; carve_test = true in the corpus\.toml of a folder"
    ):
        corpus.split("test")
    with pytest.raises(WorkbookError, match="did you mean 'dev'"):
        corpus.split("dve")


def test_a_corpus_toml_may_have_a_byte_order_mark_and_values_that_are_no_numbers(tmp_path):
    write(tmp_path, "train.tsv", "TP53\tB-Gene\n\nis\tO\n")
    toml = "name = 'mine'\nlabelled = { precision = nan }\n"
    (tmp_path / "corpus.toml").write_bytes(b"\xef\xbb\xbf" + toml.encode())
    assert load_corpus(tmp_path).name == "mine"
    write(tmp_path, "train.tsv", "TP53\tB-\n")
    with pytest.raises(DataError):  # and it is not read for ever
        load_corpus(tmp_path)


def test_a_path_with_a_colon_has_parts(tmp_path):
    assert split_name("a/t12:30/mine@50%") == ("a/t12:30/mine", "50%", "")
    assert split_name("a/t12:30/mine:Gene") == ("a/t12:30/mine", "", "Gene")
    assert split_name("ncbi-disease@5%:Disease") == ("ncbi-disease", "5%", "Disease")
