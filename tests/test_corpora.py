import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import load_from, small_registry

from bioner_lib import CORPORA, RunConfig, WorkbookError, load_corpus, run
from bioner_lib.corpora.corpus import Corpus, refuse_test
from bioner_lib.corpora.loading import evaluation_documents
from bioner_lib.errors import DataError, SelectionError


def test_sample_is_what_it_promises():
    sample = load_corpus("sample")
    docs = {role: {s.doc for s in split} for role, split in sample.splits.items()}
    assert sum(map(len, sample.splits.values())) >= 400
    assert sum(map(len, docs.values())) >= 80
    assert not docs["train"] & docs["dev"]
    assert not docs["train"] & docs["test"]
    assert not docs["dev"] & docs["test"]
    assert sample.types == ("Gene", "Disease", "Chemical", "Virus")
    assert all(sample.counts("test")[name] >= 10 for name in sample.types)
    texts = [" ".join(s.tokens) for split in sample.splits.values() for s in split]
    assert len(set(texts)) == len(texts), "a sentence stands twice"
    for word in ("cold", "ACE", "CAT", "MS"):
        assert any(word in s.tokens for split in sample.splits.values() for s in split)


def test_sample_views_show_and_hide():
    whole, view = load_corpus("sample"), load_corpus("sample-disease")
    assert view.types == ("Disease",)
    assert view.counts("train") == {"Disease": whole.counts("train")["Disease"]}
    assert [s.tokens for s in view.test] == [s.tokens for s in whole.test]
    assert view.name == "sample-disease"
    assert load_corpus("sample:Disease").name == "sample:Disease"


def test_only_and_without():
    sample = load_corpus("sample")
    assert (
        sample.only("Virus", "Gene").types
        == sample.without("Disease", "Chemical").types
        == ("Gene", "Virus")
    )
    assert sample.only(*sample.types) is sample
    with pytest.raises(WorkbookError, match="did you mean 'Disease'"):
        sample.only("Diseases")
    with pytest.raises(DataError, match="annotates nothing"):
        sample.without(*sample.types)


def test_limit_is_nested_and_by_document():
    sample = load_corpus("sample")
    small, large = sample.limit(20, seed=1), sample.limit(60, seed=1)
    assert len(small.train) == 20
    assert len(large.train) == 60
    assert not small.official
    ids = [{(s.doc, tuple(s.tokens)) for s in c.train} for c in (small, large)]
    assert ids[0] < ids[1]
    assert len({s.doc for s in small.train}) <= 5
    assert sample.limit(0) is sample
    assert sample.limit(10**6) is sample
    assert (
        sample.limit(20, seed=1).fingerprint
        == small.fingerprint
        != sample.limit(20, seed=2).fingerprint
    )
    with pytest.raises(DataError, match="limit"):
        sample.limit(-1)


def test_dev_is_carved_by_document():
    sample = load_corpus("sample")
    bare = replace(sample, splits={"train": sample.train, "test": sample.test})
    carved = bare.carve_dev(0.2)
    assert not {s.doc for s in carved.train} & {s.doc for s in carved.dev}
    assert len(carved.train) + len(carved.dev) == len(sample.train)
    assert len(carved.dev) >= 0.2 * len(sample.train)
    assert list(carved.splits) == ["train", "dev", "test"]
    assert carved.dev.role == "dev"


def test_nothing_that_chooses_sees_test():
    sample = load_corpus("sample")
    assert refuse_test(sample.dev, "x") is sample.dev
    with pytest.raises(SelectionError, match="must not see the test split of 'sample'"):
        refuse_test(sample.test, "choosing an epoch")
    with pytest.raises(SelectionError, match="takes a Split"):
        refuse_test(list(sample.test), "choosing an epoch")
    import pickle

    assert pickle.loads(pickle.dumps(sample.test)).role == "test"


def test_datasets_has_the_contract_columns():
    data = load_corpus("sample").to_datasets()
    assert data["train"].column_names == ["tokens", "tags", "doc"]
    assert data["test"].num_rows == 108


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(WorkbookError, match="unknown corpus 'ncbi'; did you mean 'ncbi-disease'"):
        load_corpus("ncbi")
    with pytest.raises(WorkbookError, match="did you mean 'Gene'"):
        load_corpus("sample:Genes")


def test_mirror_is_verified_and_counted(tmp_path, monkeypatch):
    small_registry(tmp_path, monkeypatch)
    assert load_from(tmp_path, "toy").counts("train") == {"Gene": 1}
    monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
    assert load_corpus("toy").types == ("Gene",)


def test_git_blob_ids_verify_too(tmp_path, monkeypatch):
    text = b"TP53\tB-GENE\nx\tO\n"
    blob = hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()
    small_registry(tmp_path, monkeypatch, files={"train": {"path": "train.tsv", "git_blob": blob}})
    assert len(load_from(tmp_path, "toy").train) == 1


def test_wrong_hash_counts_and_labels_are_errors(tmp_path, monkeypatch):
    entry = small_registry(tmp_path, monkeypatch)
    entry["counts"]["train"]["Gene"] = 7
    with pytest.raises(DataError, match=r"toy train .*Gene 1 instead of 7"):
        load_from(tmp_path, "toy")
    (tmp_path / "toy" / "train.tsv").write_text("changed\tO\n")
    with pytest.raises(DataError, match=r"train.tsv has sha256 .* delete it and fetch it again"):
        load_from(tmp_path, "toy")


def test_unreachable_download_says_where_to_put_the_file(tmp_path, monkeypatch):
    import pooch

    small_registry(tmp_path, monkeypatch)
    monkeypatch.setattr("bioner_lib.corpora.fetching.home", lambda: tmp_path / "elsewhere")
    monkeypatch.setattr(
        pooch, "retrieve", lambda *args, **kwargs: (_ for _ in ()).throw(OSError("no network"))
    )
    monkeypatch.delenv("BIONER_MIRROR", raising=False)
    with pytest.raises(
        DataError, match=r"can't fetch https://raw.*BIONER_MIRROR .* as toy/train.tsv"
    ):
        load_corpus("toy")


def test_download_goes_through_pooch_and_is_verified(tmp_path, monkeypatch):
    """From a local server, the file is fetched once, verified, and then read from disk."""
    import http.server
    import threading

    small_registry(tmp_path, monkeypatch)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = (tmp_path / "toy" / "train.tsv").read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(
            "bioner_lib.corpora.registry.GITHUB",
            f"http://127.0.0.1:{server.server_port}/{{repository}}/{{commit}}/{{path}}",
        )
        monkeypatch.setattr("bioner_lib.corpora.fetching.home", lambda: tmp_path / "home")
        monkeypatch.delenv("BIONER_MIRROR", raising=False)
        for _ in range(2):
            assert len(load_corpus("toy").train) == 1
        server.shutdown()
    assert asked == ["/a/b/c/data/train.tsv"]


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
def test_no_data_file_is_left_out_unseen(tmp_path, name):
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
    ("line", "said"),
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
def test_what_corpus_toml_says_has_its_kind(tmp_path, line, said):
    (tmp_path / "train.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    (tmp_path / "corpus.toml").write_text(line)
    with pytest.raises(DataError, match=said):
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


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "x" * 5000 + "/y"])
def test_a_name_that_can_be_no_path_is_unknown(name):
    with pytest.raises(WorkbookError, match="unknown corpus"):
        load_corpus(name)


def test_a_folder_that_cant_be_listed_is_named(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=f"{tmp_path} can't be read: Permission denied"):
        load_corpus(tmp_path)


def test_own_corpora_never_pose_as_published_ones(tmp_path):
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


@pytest.mark.parametrize("name", [name for name, entry in CORPORA.items() if "repository" in entry])
def test_registry_entries_are_complete(name):
    entry = CORPORA[name]
    assert re.fullmatch(r"[0-9a-f]{40}", entry["commit"])
    assert entry["licence"]
    assert entry["cite"]
    assert entry["about"]
    for role, file in entry["files"].items():
        assert re.fullmatch(r"[0-9a-f]{64}", file.get("sha256", "")) or re.fullmatch(
            r"[0-9a-f]{40}", file["git_blob"]
        )
        assert set(entry["counts"][role]) - {"sentences", "documents"} == {
            t for t in entry["labels"].values() if t
        }
    names = [Path(file["path"]).name for file in entry["files"].values()]
    assert len(set(names)) == len(names)


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [name for name, entry in CORPORA.items() if "repository" in entry and name != "bc4chemd"],
)
def test_real_corpora_have_their_published_counts(name, mirror):
    corpus = load_corpus(name)
    assert set(corpus.splits) == {"train", "dev", "test"}


@pytest.mark.real
def test_real_gold_is_the_official_gold(mirror):
    gold = {
        name: dict(load_corpus(name).counts("test"))
        for name in ("ncbi-disease", "bc5cdr", "bc2gm", "linnaeus")
    }
    assert gold == {
        "ncbi-disease": {"Disease": 960},
        "bc5cdr": {"Chemical": 5385, "Disease": 4424},
        "bc2gm": {"Gene": 6325},
        "linnaeus": {"Species": 1433},
    }
    assert sum(load_corpus("jnlpba").counts("test").values()) == 8662


@pytest.mark.real
def test_real_original_and_converted_corpora_hold_the_same_names(mirror):
    """The PubTator originals hold the same mentions as the published word-by-word files."""
    original = load_corpus("ncbi-disease-pubtator")
    assert (
        original.counts("train")["Disease"]
        == load_corpus("ncbi-disease").counts("train")["Disease"]
        == 5134
    )
    assert original.repairs["repeated document dropped"] == 1


@pytest.mark.real
def test_real_leakage_is_what_was_measured(mirror):
    from bioner_lib.corpora.inspection import duplicates

    names = ("linnaeus", "jnlpba", "s800", "bc2gm", "bc5cdr", "ncbi-disease", "conll2003")
    found = {name: int(duplicates([load_corpus(name)]).loc[name, name]) for name in names}
    assert found == {
        "linnaeus": 564,
        "jnlpba": 108,
        "s800": 99,
        "bc2gm": 53,
        "bc5cdr": 16,
        "ncbi-disease": 1,
        "conll2003": 126,
    }


def test_parts_of_train():
    """Percentages are nested, halves share no document, dev and test and name stay."""
    whole = load_corpus("sample")
    tenth, quarter = load_corpus("sample@10%"), load_corpus("sample@25%")
    assert len(tenth.train) == 34
    assert len(quarter.train) == 84
    assert set(map(id, tenth.dev)) != set()
    texts = [{tuple(s.tokens) for s in corpus.train} for corpus in (tenth, quarter, whole)]
    assert texts[0] < texts[1] < texts[2]
    assert tenth.dev == whole.dev
    assert tenth.test == whole.test
    assert tenth.official
    halves = [load_corpus("sample@1/2:Gene"), load_corpus("sample@2/2:Disease")]
    docs = [{s.doc for s in half.train} for half in halves]
    assert not docs[0] & docs[1]
    assert docs[0] | docs[1] == {s.doc for s in whole.train}
    assert [half.name for half in halves] == ["sample:Gene", "sample:Disease"]
    assert len(load_corpus("sample@84").train) == 84
    assert load_corpus("sample@84").train == quarter.train
    with pytest.raises(WorkbookError, match="has only 336 sentences"):
        load_corpus("sample@337")
    limited = load_corpus("sample@25%", limit=40)
    assert len(limited.train) == 10
    assert {s.doc for s in limited.train} <= {s.doc for s in whole.limit(40).train}
    for wrong, said in (
        ("sample@0%", "part '0%'"),
        ("sample@3/2", "part '3/2'"),
        ("sample@half", "unknown corpus 'sample@half'"),
        ("sample@0.1%", "holds no sentence"),
        ("smaple@1/2", "did you mean 'sample'"),
    ):
        with pytest.raises(WorkbookError, match=said):
            load_corpus(wrong)


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


@pytest.mark.real
def test_documents_of_evaluation_corpora(mirror):
    held = evaluation_documents(mirror)
    assert len(held) > 3_500
    assert all(doc.isdigit() for doc in held)
    assert len(set(held.values())) >= 4


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name, entry in CORPORA.items() if "documents" in entry])
def test_two_forms_have_the_same_test_split(name, mirror):
    """Where one form's PMIDs stand for the other's."""
    texts = [
        "".join("".join(s.tokens) for s in load_corpus(form).test)
        for form in (CORPORA[name]["documents"], name)
    ]
    sentences = ["".join(s.tokens) for s in load_corpus(name).test]
    assert sum(sentence in texts[0] for sentence in sentences) > 0.95 * len(sentences)
    assert 0.98 < len(texts[1]) / len(texts[0]) < 1.02


@pytest.mark.parametrize("kind", ["sha256", "git_blob"])
def test_every_byte_is_verified_wherever_it_comes_from(tmp_path, monkeypatch, kind):
    """One wrong byte in a mirror, in data/raw or in a download is an error at every reading."""
    text = b"TP53\tB-GENE\nx\tO\n"
    digest = (
        hashlib.sha256(text) if kind == "sha256" else hashlib.sha1(b"blob %d\0" % len(text) + text)
    )
    small_registry(
        tmp_path, monkeypatch, files={"train": {"path": "train.tsv", kind: digest.hexdigest()}}
    )
    raw = tmp_path / "home" / "data" / "raw" / "toy" / "train.tsv"
    raw.parent.mkdir(parents=True)
    monkeypatch.setattr("bioner_lib.corpora.fetching.home", lambda: tmp_path / "home")
    monkeypatch.delenv("BIONER_MIRROR", raising=False)
    raw.write_bytes(text)
    assert load_corpus("toy").counts("train") == {"Gene": 1}
    for place in (raw, tmp_path / "toy" / "train.tsv"):
        if place != raw:
            monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
        place.write_bytes(text.replace(b"TP53", b"TP54"))
        with pytest.raises(
            DataError, match=rf"train\.tsv has {kind} .* delete it and fetch it again"
        ):
            load_corpus("toy")
    monkeypatch.delenv("BIONER_MIRROR")
    raw.unlink()
    served = tmp_path / "served"
    served.mkdir()
    (served / "train.tsv").write_bytes(text.replace(b"TP53", b"TP54"))
    monkeypatch.setattr("bioner_lib.corpora.registry.GITHUB", f"file://{served}/{{path}}")

    def retrieve(address, known_hash, fname, path, progressbar):
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes((served / "train.tsv").read_bytes())

    monkeypatch.setattr("pooch.retrieve", retrieve)
    with pytest.raises(DataError, match=rf"has {kind}"):
        load_corpus("toy")


def test_pooch_is_told_the_hash(tmp_path, monkeypatch):
    """So that a broken download never gets its name."""
    import http.server
    import threading

    small_registry(tmp_path, monkeypatch)
    (tmp_path / "data").mkdir()
    (tmp_path / "a" / "b" / "c" / "data").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c" / "data" / "train.tsv").write_text("broken")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=str(tmp_path))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(
            "bioner_lib.corpora.registry.GITHUB",
            f"http://127.0.0.1:{server.server_port}/{{repository}}/{{commit}}/{{path}}",
        )
        monkeypatch.setattr("bioner_lib.corpora.fetching.home", lambda: tmp_path / "home")
        monkeypatch.delenv("BIONER_MIRROR", raising=False)
        with pytest.raises(DataError, match=r"can.t fetch .*hash"):
            load_corpus("toy")
        server.shutdown()
    assert not (tmp_path / "home" / "data" / "raw" / "toy" / "train.tsv").exists()


def pubtator_registry(tmp_path, monkeypatch, nested):
    lines = ["1|t|TNF alpha receptor", "1|a|", "1\t0\t9\tTNF alpha\tGENE"]
    lines += ["1\t0\t3\tTNF\tGENE"] if nested else []
    files, counts = {}, {}
    for role in ("train", "test"):
        text = "\n".join(lines) + "\n"
        small_registry(tmp_path, monkeypatch)
        (tmp_path / "toy" / f"{role}.PubTator").write_text(text)
        files[role] = {
            "path": f"{role}.PubTator",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        counts[role] = {"Gene": 1 + nested}
    small_registry(tmp_path, monkeypatch, reader="pubtator", files=files, counts=counts)


def test_a_corpus_whose_gold_is_not_scored_whole_says_so(tmp_path, monkeypatch):
    """One tag sequence can't hold nested mentions: `repairs` counts them; scores are unofficial."""
    pubtator_registry(tmp_path, monkeypatch, nested=False)
    whole = load_from(tmp_path, "toy")
    assert whole.official
    assert whole.counts("test") == {"Gene": 1}
    pubtator_registry(tmp_path, monkeypatch, nested=True)
    less = load_from(tmp_path, "toy")
    assert not less.official
    assert less.repairs["overlapping mention dropped"] == 2
    assert (
        less.note == "1 of 2 official mentions of train are trained on; "
        "1 of 2 official mentions of test are scored"
    )
    assert whole.note == ""
    assert less.only("Gene").note == less.note


def test_a_row_tells_how_much_of_the_gold_it_scores(tmp_path, monkeypatch, outputs):
    pubtator_registry(tmp_path, monkeypatch, nested=True)
    monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
    row = run(RunConfig(corpora="toy", system="dictionary"), progress=False)
    assert row["data"]["toy"]["note"].endswith("1 of 2 official mentions of test are scored")
    assert not row["data"]["toy"]["official"]


def test_a_mention_that_is_lost_while_reading_is_noticed(tmp_path, monkeypatch):
    pubtator_registry(tmp_path, monkeypatch, nested=False)
    monkeypatch.setattr(
        "bioner_lib.corpora.annotated_files.annotate",
        lambda text, mentions, *rest: [module_sentence(text)],
    )
    with pytest.raises(DataError, match="a mention was lost that no repair counts"):
        load_from(tmp_path, "toy")


def module_sentence(text):
    from bioner_lib.corpora.text import Sentence, tokenize

    return Sentence(tokenize(text), ["O"] * len(tokenize(text)), "1")


def test_a_fingerprint_is_over_words_and_tags():
    from bioner_lib.corpora.corpus import Split
    from bioner_lib.corpora.text import Sentence

    def of(tokens, tags, doc="d", role="train"):
        return Corpus("c", ("Gene",), {role: Split([Sentence(tokens, tags, doc)], role, "c")})

    base = of(["TP53", "x"], ["B-Gene", "O"])
    assert base.fingerprint == of(["TP53", "x"], ["B-Gene", "O"], "other").fingerprint
    others = [
        of(["TP53", "y"], ["B-Gene", "O"]),
        of(["TP53", "x"], ["B-Gene", "I-Gene"]),
        of(["TP53", "x"], ["B-Gene", "O"], role="dev"),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert base.documents_digest != of(["TP53", "x"], ["B-Gene", "O"], "other").documents_digest


@pytest.mark.real
def test_real_gold_is_scored_or_marked(mirror):
    """Every published mention is trained on and scored, or the corpus counts what is not."""
    marked = {}
    for name, entry in CORPORA.items():
        if "repository" not in entry or name == "bc4chemd":
            continue
        corpus = load_corpus(name)
        for role, published in entry.get("counts", {}).items():
            official = sum(
                n for kind, n in published.items() if kind not in ("sentences", "documents")
            )
            scored = sum(corpus.counts(role).values())
            if role == "test" and scored != official:
                marked[name] = (scored, official)
                assert not corpus.official
                assert (
                    f"{scored:,} of {official:,} official mentions of test are scored"
                    in corpus.note
                )
            if role == "test" and scored == official:
                assert corpus.official
    assert marked == {"nlm-gene": (2354, 2365)}
