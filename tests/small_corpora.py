"""Corpora of a few sentences, in the files that a test needs."""

import hashlib
import json
from pathlib import Path

from small_runs import environment


def load_from(folder, name):
    """A registered corpus from a mirror folder."""
    from bioner_lib import load_corpus

    with environment(BIONER_MIRROR=folder):
        return load_corpus(name)


TWO_SENTENCES = "TP53\tB-Gene\n\nx\tO\n"


def write(folder, name, text) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def brat(folder, annotations, text="TP53 and\nBRCA1 bind.", name="a") -> Path:
    """Add a document to a brat folder: its text and its annotations."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, f"{name}.txt", text)
    write(folder, f"{name}.ann", annotations)
    return folder


def spans_of(reading) -> list[tuple[str, str]]:
    """The mentions of a reading: their words and their type."""
    return [(" ".join(s.tokens[a:b]), name) for s in reading.sentences for a, b, name in s.spans]


def own_corpus(folder, sentences, types=(), silver=False, suffix="", first_without=False) -> str:
    """A folder with a train and a dev file; `types` are declared in its corpus.toml.

    `suffix` is appended to the documents' names; `first_without` leaves out the first
    sentence's mentions.
    """
    folder.mkdir(exist_ok=True)
    for role, part in (("train", sentences[:-5]), ("dev", sentences[-5:])):
        records = [{"tokens": s.tokens, "tags": s.tags, "doc": f"{s.doc}{suffix}"} for s in part]
        if first_without:
            records[0]["tags"] = ["O"] * len(records[0]["tags"])
        (folder / f"{role}.jsonl").write_text("\n".join(map(json.dumps, records)))
    if types:
        declared = f"types = {json.dumps(types)}\nsilver = {str(silver).lower()}\n"
        (folder / "corpus.toml").write_text(declared)
    return str(folder)


def small_registry(tmp_path, monkeypatch, text="TP53\tB-GENE\nx\tO\n", **changes) -> dict:
    """A registered corpus, `toy`, in a mirror folder."""
    from bioner_lib import CORPORA
    from bioner_lib.corpora.corpus import Corpus

    (tmp_path / "toy").mkdir(exist_ok=True)
    (tmp_path / "toy" / "train.tsv").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    entry = {
        "reader": "conll",
        "repository": "a/b",
        "commit": "c",
        "labels": {"GENE": "Gene"},
        "licence": "CC0",
        "cite": "me",
        "files": {"train": {"path": "data/train.tsv", "sha256": digest}},
        "counts": {"train": {"sentences": 1, "Gene": 1}},
        **changes,
    }
    monkeypatch.setitem(CORPORA, "toy", entry)
    monkeypatch.setattr(Corpus, "carve_dev", lambda self: self)
    return entry


def silver_corpus(tmp_path, lexicon, docs) -> str:
    """A silver corpus, `mine`, with one sentence per document."""
    from bioner_lib.silver.labelling import label

    sentences = [(doc, f"OPA1 and optic atrophy in {doc} .") for doc in docs]
    label(sentences, lexicon, tmp_path / "mine")
    return str(tmp_path / "mine")


def text_of(folder) -> Path:
    """The text file of a silver corpus."""
    (path,) = folder.glob("train-*.jsonl")
    return path
