import hashlib
import re
from pathlib import Path

import pytest

from bioner_lib import CORPORA, WorkbookError, load_corpus
from bioner_lib.data import corpora as module
from bioner_lib.data.corpus import refuse_test
from bioner_lib.errors import DataError, SelectionError


def test_sample_is_what_it_promises():
    sample = load_corpus("sample")
    docs = {role: {s.doc for s in split} for role, split in sample.splits.items()}
    assert sum(map(len, sample.splits.values())) >= 400 and sum(map(len, docs.values())) >= 80
    assert not docs["train"] & docs["dev"] and not docs["train"] & docs["test"] and not docs["dev"] & docs["test"]
    assert sample.types == ("Gene", "Disease", "Chemical", "Virus")
    assert all(sample.counts("test")[name] >= 10 for name in sample.types)
    texts = [" ".join(s.tokens) for split in sample.splits.values() for s in split]
    assert len(set(texts)) == len(texts), "a sentence stands twice"
    for word in ("cold", "ACE", "CAT", "MS"):
        assert any(word in s.tokens for split in sample.splits.values() for s in split)


def test_sample_views_show_and_hide():
    whole, view = load_corpus("sample"), load_corpus("sample-disease")
    assert view.types == ("Disease",) and view.counts("train") == {"Disease": whole.counts("train")["Disease"]}
    assert [s.tokens for s in view.test] == [s.tokens for s in whole.test]
    assert view.name == "sample-disease" and load_corpus("sample:Disease").name == "sample:Disease"


def test_only_and_without():
    sample = load_corpus("sample")
    assert sample.only("Virus", "Gene").types == sample.without("Disease", "Chemical").types == ("Gene", "Virus")
    assert sample.only(*sample.types) is sample
    with pytest.raises(WorkbookError, match="did you mean 'Disease'"):
        sample.only("Diseases")
    with pytest.raises(DataError, match="annotates nothing"):
        sample.without(*sample.types)


def test_limit_is_nested_and_by_document():
    sample = load_corpus("sample")
    small, large = sample.limit(20, seed=1), sample.limit(60, seed=1)
    assert len(small.train) == 20 and len(large.train) == 60 and not small.official
    ids = [{(s.doc, tuple(s.tokens)) for s in c.train} for c in (small, large)]
    assert ids[0] < ids[1]
    assert len({s.doc for s in small.train}) <= 5
    assert sample.limit(0) is sample and sample.limit(10**6) is sample
    assert sample.limit(20, seed=1).fingerprint == small.fingerprint != sample.limit(20, seed=2).fingerprint
    with pytest.raises(DataError, match="limit"):
        sample.limit(-1)


def test_dev_is_carved_by_document():
    sample = load_corpus("sample")
    bare = module.replace(sample, splits={"train": sample.train, "test": sample.test})
    carved = bare.carve_dev(0.2)
    assert not {s.doc for s in carved.train} & {s.doc for s in carved.dev}
    assert len(carved.train) + len(carved.dev) == len(sample.train) and len(carved.dev) >= 0.2 * len(sample.train)
    assert list(carved.splits) == ["train", "dev", "test"] and carved.dev.role == "dev"


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
    assert data["train"].column_names == ["tokens", "tags", "doc"] and data["test"].num_rows == 108


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(WorkbookError, match="unknown corpus 'ncbi'; did you mean 'ncbi-disease'"):
        load_corpus("ncbi")
    with pytest.raises(WorkbookError, match="did you mean 'Gene'"):
        load_corpus("sample:Genes")


def small_registry(tmp_path, monkeypatch, text="TP53\tB-GENE\nx\tO\n", **changes):
    """A registered corpus in a mirror folder."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "train.tsv").write_text(text)
    entry = {
        "reader": "conll", "repository": "a/b", "commit": "c", "labels": {"GENE": "Gene"}, "licence": "CC0", "cite": "me",
        "files": {"train": {"path": "data/train.tsv", "sha256": hashlib.sha256(text.encode()).hexdigest()}},
        "counts": {"train": {"sentences": 1, "Gene": 1}}, **changes,
    }  # fmt: skip
    monkeypatch.setitem(CORPORA, "toy", entry)
    monkeypatch.setattr(module.Corpus, "carve_dev", lambda self: self)
    return entry


def test_mirror_is_verified_and_counted(tmp_path, monkeypatch):
    small_registry(tmp_path, monkeypatch)
    assert load_corpus("toy", mirror=tmp_path).counts("train") == {"Gene": 1}
    monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
    assert load_corpus("toy").types == ("Gene",)


def test_git_blob_ids_verify_too(tmp_path, monkeypatch):
    text = b"TP53\tB-GENE\nx\tO\n"
    blob = hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()
    small_registry(tmp_path, monkeypatch, files={"train": {"path": "train.tsv", "git_blob": blob}})
    assert len(load_corpus("toy", mirror=tmp_path).train) == 1


def test_wrong_hash_counts_and_labels_are_errors(tmp_path, monkeypatch):
    entry = small_registry(tmp_path, monkeypatch)
    entry["counts"]["train"]["Gene"] = 7
    with pytest.raises(DataError, match=r"toy train .*Gene 1 instead of 7"):
        load_corpus("toy", mirror=tmp_path)
    (tmp_path / "toy" / "train.tsv").write_text("changed\tO\n")
    with pytest.raises(DataError, match=r"train.tsv has sha256 .* delete it and fetch it again"):
        load_corpus("toy", mirror=tmp_path)


def overlapping(role):
    text = b"1|t|Loss of p53 protein.\n1|a|\n1\t8\t19\tp53 protein\tGENE\n1\t8\t11\tp53\tGENE\n"
    file = {"path": "train.tsv", "sha256": hashlib.sha256(text).hexdigest()}
    return text.decode(), {"reader": "pubtator", "files": {role: file}, "counts": {role: {"Gene": 2}}}


@pytest.mark.parametrize(("role", "official", "use"), [("test", False, "scored"), ("train", True, "trained on")])
def test_a_corpus_says_where_it_scores_less_than_the_official_gold(role, official, use, tmp_path, monkeypatch):
    """Tags hold no overlapping mentions; scores without them are not those of the official test split."""
    text, changes = overlapping(role)
    small_registry(tmp_path, monkeypatch, text, **changes)
    corpus = load_corpus("toy", mirror=tmp_path)
    assert corpus.counts(role) == {"Gene": 1}
    assert corpus.official == official
    assert corpus.note == f"1 of 2 official mentions of {role} are {use}"


def test_a_mention_that_a_reader_loses_is_noticed(tmp_path, monkeypatch):
    small_registry(tmp_path, monkeypatch)
    read = module.READERS["conll"]

    def forgetful(path, **options):
        reading = read(path, **options)
        reading.sentences = [module.replace(sentence, tags=["O"] * len(sentence.tokens)) for sentence in reading.sentences]
        return reading

    monkeypatch.setitem(module.READERS, "conll", forgetful)
    with pytest.raises(DataError, match="a mention was lost that no repair counts"):
        load_corpus("toy", mirror=tmp_path)


def test_a_fingerprint_covers_words_tags_and_splits(tmp_path):
    prints = set()
    for name, text in (("a", "x\tB-Gene\n"), ("b", "x\tB-Cell\n"), ("c", "y\tB-Gene\n"), ("d", "x\tB-Gene\n\nx\tB-Gene\n")):
        (tmp_path / name).mkdir()
        for role in ("train", "dev"):
            (tmp_path / name / f"{role}.tsv").write_text(text)
        prints.add(load_corpus(tmp_path / name).fingerprint)
    assert len(prints) == 4


def test_unreachable_download_says_where_to_put_the_file(tmp_path, monkeypatch):
    import pooch

    small_registry(tmp_path, monkeypatch)
    monkeypatch.setattr("bioner_lib.data.fetching.home", lambda: tmp_path / "elsewhere")
    monkeypatch.setattr(pooch, "retrieve", lambda *args, **kwargs: (_ for _ in ()).throw(OSError("no network")))
    monkeypatch.delenv("BIONER_MIRROR", raising=False)
    with pytest.raises(DataError, match=r"can't fetch https://raw.*BIONER_MIRROR .* as toy/train.tsv"):
        load_corpus("toy")


def test_download_goes_through_pooch_and_is_verified(tmp_path, monkeypatch):
    """A real local server: the file arrives once, is verified, and is read from disk the second time."""
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
        monkeypatch.setattr(module, "GITHUB", f"http://127.0.0.1:{server.server_port}/{{repository}}/{{commit}}/{{path}}")
        monkeypatch.setattr("bioner_lib.data.fetching.home", lambda: tmp_path / "home")
        monkeypatch.delenv("BIONER_MIRROR", raising=False)
        for _ in range(2):
            assert len(load_corpus("toy").train) == 1
        server.shutdown()
    assert asked == ["/a/b/c/data/train.tsv"]


def test_own_folder(tmp_path):
    (tmp_path / "mine-train.tsv").write_text("TP53\tB-Gene\nx\tO\n\ny\tO\n")
    (tmp_path / "mine_valid.tsv").write_text("BRCA1\tB-Gene\n")
    (tmp_path / "notes.md").write_text("not a split")
    (tmp_path / "train_dev.tsv").write_text("both, so neither\tO\n")
    corpus = load_corpus(tmp_path)
    assert corpus.types == ("Gene",) and {role: len(split) for role, split in corpus.splits.items()} == {"train": 2, "dev": 1}
    assert load_corpus(tmp_path, types=["Gene", "Disease"]).types == ("Gene", "Disease")
    with pytest.raises(DataError, match=r"holds mentions of \['Gene'\]"):
        load_corpus(tmp_path, types=["Disease"])
    with pytest.raises(DataError, match="no test split"):
        corpus.test  # noqa: B018
    with pytest.raises(WorkbookError, match="unknown reader 'conl'"):
        load_corpus(tmp_path, reader="conl")


def test_own_corpora_never_pose_as_published_ones(tmp_path):
    folder = tmp_path / "bc5cdr"
    folder.mkdir()
    (folder / "train.tsv").write_text("TP53\tB-Gene\n\nx\tO\n")
    with pytest.raises(DataError, match="name of a registered corpus"):
        load_corpus(folder)
    corpus = load_corpus(folder.rename(tmp_path / "mine.v1"), types="Gene")
    assert corpus.name == "mine.v1" and not corpus.official and corpus.types == ("Gene",)
    with pytest.raises(DataError, match=r"\['types', 'lables'\] can't be given for the registered corpus 'sample'"):
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
    assert re.fullmatch(r"[0-9a-f]{40}", entry["commit"]) and entry["licence"] and entry["cite"] and entry["about"]
    for role, file in entry["files"].items():
        assert re.fullmatch(r"[0-9a-f]{64}", file.get("sha256", "")) or re.fullmatch(r"[0-9a-f]{40}", file["git_blob"])
        assert set(entry["counts"][role]) - {"sentences", "documents"} == {t for t in entry["labels"].values() if t}
    names = [Path(file["path"]).name for file in entry["files"].values()]
    assert len(set(names)) == len(names)


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name, entry in CORPORA.items() if "repository" in entry and name != "bc4chemd"])
def test_real_corpora_have_their_published_counts(name, mirror):
    corpus = load_corpus(name, mirror=mirror)
    assert set(corpus.splits) == {"train", "dev", "test"}


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name, entry in CORPORA.items() if "repository" in entry and name != "bc4chemd"])
def test_real_gold_is_scored_whole_or_the_corpus_says_so(name, mirror):
    corpus = load_corpus(name, mirror=mirror)
    assert "mention grown to whole words" not in corpus.repairs
    if name == "nlm-gene":
        assert corpus.incomplete == {"train": (11157, 11233), "test": (2354, 2365)}
        assert not corpus.official
    else:
        assert corpus.official
        assert not corpus.incomplete


@pytest.mark.real
def test_real_gold_is_the_official_gold(mirror):
    gold = {name: dict(load_corpus(name, mirror=mirror).counts("test")) for name in ("ncbi-disease", "bc5cdr", "bc2gm", "linnaeus")}
    assert gold == {
        "ncbi-disease": {"Disease": 960},
        "bc5cdr": {"Chemical": 5385, "Disease": 4424},
        "bc2gm": {"Gene": 6325},
        "linnaeus": {"Species": 1433},
    }
    assert sum(load_corpus("jnlpba", mirror=mirror).counts("test").values()) == 8662


@pytest.mark.real
def test_real_original_and_converted_corpora_hold_the_same_names(mirror):
    """The PubTator originals, cut by our own reader, hold the mentions of the published word-by-word files."""
    original = load_corpus("ncbi-disease-pubtator", mirror=mirror)
    assert original.counts("train")["Disease"] == load_corpus("ncbi-disease", mirror=mirror).counts("train")["Disease"] == 5134
    assert original.repairs["repeated document dropped"] == 1


@pytest.mark.real
def test_real_leakage_is_what_was_measured(mirror):
    from bioner_lib.data.inspection import duplicates

    names = ("linnaeus", "jnlpba", "s800", "bc2gm", "bc5cdr", "ncbi-disease", "conll2003")
    found = {name: int(duplicates([load_corpus(name, mirror=mirror)]).loc[name, name]) for name in names}
    assert found == {"linnaeus": 564, "jnlpba": 108, "s800": 99, "bc2gm": 53, "bc5cdr": 16, "ncbi-disease": 1, "conll2003": 126}


def test_parts_of_train():
    """Percentages are nested, halves share no document, dev and test and name stay."""
    whole = load_corpus("sample")
    tenth, quarter = load_corpus("sample@10%"), load_corpus("sample@25%")
    assert len(tenth.train) == 34 and len(quarter.train) == 84 and set(map(id, tenth.dev)) != set()
    texts = [{tuple(s.tokens) for s in corpus.train} for corpus in (tenth, quarter, whole)]
    assert texts[0] < texts[1] < texts[2] and tenth.dev == whole.dev and tenth.test == whole.test and tenth.official
    halves = [load_corpus("sample@1/2:Gene"), load_corpus("sample@2/2:Disease")]
    docs = [{s.doc for s in half.train} for half in halves]
    assert not docs[0] & docs[1] and docs[0] | docs[1] == {s.doc for s in whole.train}
    assert [half.name for half in halves] == ["sample:Gene", "sample:Disease"]
    assert len(load_corpus("sample@84").train) == 84 and load_corpus("sample@84").train == quarter.train
    with pytest.raises(WorkbookError, match="has only 336 sentences"):
        load_corpus("sample@337")
    limited = load_corpus("sample@25%", limit=40)
    assert len(limited.train) == 10 and {s.doc for s in limited.train} <= {s.doc for s in whole.limit(40).train}
    for wrong, said in (("sample@0%", "part '0%'"), ("sample@3/2", "part '3/2'"), ("sample@half", "unknown corpus 'sample@half'"),
                        ("sample@0.1%", "holds no sentence"), ("smaple@1/2", "did you mean 'sample'")):  # fmt: skip
        with pytest.raises(WorkbookError, match=said):
            load_corpus(wrong)


def test_an_own_folder_may_have_any_letters(tmp_path):
    folder = tmp_path / "mine@home"
    folder.mkdir()
    (folder / "train.txt").write_text("# 1\n[TP53](Gene) binds .\n# 2\n[OPA1](Gene) binds .\n# 3\nNothing .\n", encoding="utf-8")
    assert len(load_corpus(folder, reader="inline").train) + len(load_corpus(folder, reader="inline").dev) == 3
    (folder / "corpus.toml").write_text('reader = "inline"\n')
    assert len(load_corpus(f"{folder}@1/2").train) == 1


@pytest.mark.real
def test_documents_of_evaluation_corpora(mirror):
    held = module.evaluation_documents(mirror)
    assert len(held) > 3_500 and all(doc.isdigit() for doc in held) and len(set(held.values())) >= 4


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name, entry in CORPORA.items() if "documents" in entry])
def test_two_forms_have_the_same_test_split(name, mirror):
    """Where one form's PMIDs stand for the other's."""
    texts = ["".join("".join(s.tokens) for s in load_corpus(form).test) for form in (CORPORA[name]["documents"], name)]
    sentences = ["".join(s.tokens) for s in load_corpus(name).test]
    assert sum(sentence in texts[0] for sentence in sentences) > 0.95 * len(sentences)
    assert 0.98 < len(texts[1]) / len(texts[0]) < 1.02
