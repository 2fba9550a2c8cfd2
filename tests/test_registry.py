"""The registered corpora: complete entries, published counts, whole gold."""

import copy
import hashlib
import re
from pathlib import Path

import pytest
from small_corpora import load_from, small_registry

from bioner_lib import CORPORA, RunConfig, load_corpus, run
from bioner_lib.corpora.loading import evaluation_documents
from bioner_lib.corpora.overlap import duplicates
from bioner_lib.corpora.text import Sentence, tokenize
from bioner_lib.errors import DataError


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


@pytest.mark.real
def test_documents_of_evaluation_corpora(mirror):
    documents = evaluation_documents()
    assert len(documents) > 3_500
    assert all(doc.isdigit() for doc in documents)
    assert len(set(documents.values())) >= 4


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


def test_a_corpus_scored_on_part_of_its_gold_has_a_note(tmp_path, monkeypatch):
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


def test_a_row_records_how_much_of_the_gold_it_scores(tmp_path, monkeypatch, outputs):
    pubtator_registry(tmp_path, monkeypatch, nested=True)
    monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
    row = run(RunConfig(corpora="toy", system="dictionary"), progress=False)
    assert row["data"]["toy"]["note"].endswith("1 of 2 official mentions of test are scored")
    assert not row["data"]["toy"]["official"]


def test_a_mention_that_is_lost_while_reading_is_noticed(tmp_path, monkeypatch):
    pubtator_registry(tmp_path, monkeypatch, nested=False)
    monkeypatch.setattr(
        "bioner_lib.corpora.pubtator_files.annotate",
        lambda text, mentions, *rest: [module_sentence(text)],
    )
    with pytest.raises(DataError, match="a mention was lost that no repair counts"):
        load_from(tmp_path, "toy")


def module_sentence(text):
    return Sentence(tokenize(text), ["O"] * len(tokenize(text)), "1")


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


# written for this test; each word with its tag in IOB2 and in IOBES, either of which is read
CHEMD = {
    "train": [
        "Sodium/B/B nitroprusside/I/E and/O/O levodopa/B/S ./O/O",
        "No/O/O reply/O/O ./O/O",
    ],
    "dev": ["Glucose/B/S lactate/B/S rose/O/O ./O/O"],
    "test": [
        "N/B/B -/I/I acetylcysteine/I/E helps/O/O ./O/O",
        "Aspirin/B/S",
    ],
}


def chemd_mirror(folder, monkeypatch, scheme="IOB2"):
    """bc4chemd's files in a mirror folder, and a registry entry with their hashes and counts."""
    (folder / "bc4chemd").mkdir()
    entry = copy.deepcopy(CORPORA["bc4chemd"])
    for role, sentences in CHEMD.items():
        lines = []
        for sentence in sentences:
            for cell in sentence.split():
                word, *tags = cell.split("/")
                tag = tags[scheme == "IOBES"]
                lines.append(f"{word}\t{tag}" + ("" if tag == "O" else "-Chemical"))
            lines.append("")
        text = "\n".join(lines) + "\n"
        file = entry["files"][role]
        (folder / "bc4chemd" / Path(file["path"]).name).write_text(text, newline="")
        content = text.encode()
        file["git_blob"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry["counts"][role] = {"sentences": len(sentences), "Chemical": 2}
    monkeypatch.setitem(CORPORA, "bc4chemd", entry)
    return entry


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_bc4chemd_is_read_as_it_is_published(tmp_path, monkeypatch, scheme):
    chemd_mirror(tmp_path, monkeypatch, scheme)
    corpus = load_from(tmp_path, "bc4chemd")
    found = {
        role: [
            (" ".join(s.tokens), [" ".join(s.tokens[a:b]) for a, b, _ in s.spans]) for s in split
        ]
        for role, split in corpus.splits.items()
    }
    assert found == {
        "train": [
            ("Sodium nitroprusside and levodopa .", ["Sodium nitroprusside", "levodopa"]),
            ("No reply .", []),
        ],
        "dev": [("Glucose lactate rose .", ["Glucose", "lactate"])],
        "test": [("N - acetylcysteine helps .", ["N - acetylcysteine"]), ("Aspirin", ["Aspirin"])],
    }
    assert corpus.types == ("Chemical",)
    assert corpus.official
    assert not corpus.repairs
    assert not corpus.documented


def test_bc4chemds_counts_hashes_and_labels_are_checked(tmp_path, monkeypatch):
    published = CORPORA["bc4chemd"]
    entry = chemd_mirror(tmp_path, monkeypatch)
    entry["counts"]["dev"] = {"sentences": 3, "Chemical": 5}
    message = (
        r"bc4chemd dev \(data/BC4CHEMD/devel\.tsv\) differs from its published counts: "
        r"sentences 1 instead of 3, Chemical 2 instead of 5"
    )
    with pytest.raises(DataError, match=message):
        load_from(tmp_path, "bc4chemd")
    entry["labels"] = {"Drug": "Chemical"}
    with pytest.raises(DataError, match=r"train\.tsv:1: unknown label 'Chemical'"):
        load_from(tmp_path, "bc4chemd")
    path = tmp_path / "bc4chemd" / "train.tsv"
    path.write_text(path.read_text().replace("levodopa", "Levodopa"))
    with pytest.raises(
        DataError, match=r"train\.tsv has git_blob \w+, not .*; delete it and fetch"
    ):
        load_from(tmp_path, "bc4chemd")
    monkeypatch.setitem(CORPORA, "bc4chemd", published)
    with pytest.raises(DataError, match=f"not {published['files']['train']['git_blob']}"):
        load_from(tmp_path, "bc4chemd")
