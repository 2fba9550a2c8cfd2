"""`python -m bioner_lib tag`: from a file of texts to a file of entities."""

import gzip
import json
import shutil
from collections import Counter

import pytest
from small_runs import tagger_for

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.__main__ import MISTAKE, main
from bioner_lib.corpora.bioc_files import read_bioc
from bioner_lib.corpora.brat_folders import read_brat
from bioner_lib.corpora.documents import document_of
from bioner_lib.corpora.pubtator_files import read_pubtator
from bioner_lib.models.span_scores import write_calibration
from bioner_lib.silver.pubmed_records import Abstract
from bioner_lib.sweeps.executors import opened
from bioner_lib.tagging import open_writer, tag_files
from bioner_lib.tagging.texts import Problem, Text


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory):
    """An untrained tagger, which finds all sorts of things."""
    folder = tmp_path_factory.mktemp("model")
    tagger_for(tiny, [load_corpus("sample").limit(4)]).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def texts(tmp_path):
    lines = [" ".join(s.tokens) for s in load_corpus("sample").limit(30).train]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    return tmp_path / "in.txt"


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_is_tagged(model, texts, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert main(["tag", model, str(texts), "-o", str(out)]) == 0
    found = records(out)
    assert list(dict.fromkeys(r["doc"] for r in found)) == [str(i) for i in range(1, 31)]
    counts = Counter(p["type"] for record in found for p in record["predictions"])
    assert sum(counts.values()) > 0
    said = capsys.readouterr().out
    assert "30 texts tagged" in said
    assert all(f"{type} {count}" in said for type, count in counts.items())
    first = out.read_bytes()
    assert main(["tag", model, str(texts), "-o", str(out)]) == 0
    assert "30 were in" in capsys.readouterr().out
    assert out.read_bytes() == first
    (texts.parent / "none.txt").write_text("")
    assert main(["tag", model, str(texts.parent / "none.txt"), "-o", str(out)]) == 0
    assert out.read_bytes() == first, "no text, nothing lost"
    texts.write_text(texts.read_text() + "\nOne more text about TP53.")
    assert main(["tag", model, str(texts), "-o", str(out)]) == 0
    assert out.read_bytes().startswith(first)
    assert records(out)[-1]["doc"] == "31"


def test_an_output_is_never_continued_with_something_else(model, texts, tmp_path, capsys):
    out, other = tmp_path / "out.jsonl", tmp_path / "other.txt"
    other.write_text("HIV infects T cells.\n")
    assert main(["tag", model, str(texts), "-o", str(out)]) == 0
    first = out.read_bytes()
    for call, what in (
        ([str(other)], "first text"),
        ([str(texts), "--threshold", "0.9"], "options"),
        ([str(texts), "--format", "conll"], "format"),
    ):
        assert main(["tag", model, *call, "-o", str(out)]) == MISTAKE
        assert f"was made with {what}" in capsys.readouterr().err
    made_from = tmp_path / "out.jsonl.made_from.jsonl"
    for spoil in (lambda: made_from.write_text("[]"), made_from.unlink):
        spoil()
        assert main(["tag", model, str(texts), "-o", str(out)]) == MISTAKE
        assert "out.jsonl.made_from.jsonl, which says what made it" in capsys.readouterr().err
    notes = tmp_path / "notes.json"
    notes.write_text('{"notes": "a week of work"}')
    with pytest.raises(WorkbookError, match="is no output of this format"):
        open_writer("jsonl", notes).__enter__()
    assert notes.read_text() == '{"notes": "a week of work"}'
    assert out.read_bytes() == first


def test_an_output_is_never_continued_by_a_tagger_that_changed(model, texts, tmp_path, capsys):
    folder, out = tmp_path / "model", tmp_path / "out.jsonl"
    shutil.copytree(model, folder)
    assert main(["tag", str(folder), str(texts), "-o", str(out)]) == 0
    first = out.read_bytes()
    about = {"types": {"Gene": {"exponent": 2.0, "threshold": None}}}
    write_calibration(about, folder)
    assert main(["tag", str(folder), str(texts), "-o", str(out)]) == MISTAKE
    assert "was made with weights" in capsys.readouterr().err
    assert out.read_bytes() == first
    (folder / "calibration.json").unlink()
    assert main(["tag", str(folder), str(texts), "-o", str(out)]) == 0


def test_an_output_is_never_continued_with_a_text_that_changed(model, tmp_path, capsys):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    lines = ["TP53 binds.", "BRCA1 is a gene.", "A third text."]
    source.write_text("\n".join(lines))
    assert main(["tag", model, str(source), "-o", str(out)]) == 0
    first = out.read_bytes()
    source.write_text(lines[0])
    assert main(["tag", model, str(source), "-o", str(out)]) == 0
    assert "out.jsonl holds are no longer in the input" in capsys.readouterr().out
    source.write_text("\n".join([lines[0], "A new text.", *lines[1:]]))
    assert main(["tag", model, str(source), "-o", str(out)]) == MISTAKE
    assert "the text of '2' has changed since it was tagged" in capsys.readouterr().err
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("format", "read"),
    [
        ("pubtator", read_pubtator),
        ("bioc.xml", read_bioc),
        ("bioc.json", read_bioc),
        ("brat", read_brat),
    ],
)
def test_sentences_of_one_document_become_texts_that_are_read_back(model, tmp_path, format, read):
    texts = [Text("12345", "TP53 binds."), Text("12345", "BRCA1 is one."), Text("12345-2", "Z.")]
    out = tmp_path / f"out.{format}"
    for _ in range(2):
        done = tag_files.tag_texts(model, texts, out, format)
    assert (done.documents, done.kept) == (0, 3)
    docs = {sentence.doc for sentence in read(out).sentences}
    assert docs == {"12345", "12345-2", "12345-2-2"}
    with open_writer(format, tmp_path / "again") as writer:
        writer.write(document_of("TP53.", "x"))
        with pytest.raises(WorkbookError, match="two documents have the id 'x'"):
            writer.write(document_of("BRCA1.", "x"))


def test_a_broken_output_is_continued_to_the_same_bytes(model, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(tag_files, "CHUNK", 4)
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    main(["tag", model, str(texts), "-o", str(whole)])
    inner, calls = tag_files._tag, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return inner(*arguments)

    monkeypatch.setattr(tag_files, "_tag", killed)
    assert main(["tag", model, str(texts), "-o", str(cut)]) == 130
    assert 0 < len(cut.read_bytes()) < len(whole.read_bytes())
    monkeypatch.setattr(tag_files, "_tag", inner)
    assert main(["tag", model, str(texts), "-o", str(cut)]) == 0
    assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("format", ["jsonl", "brat"])
def test_an_output_that_another_call_writes_is_left_alone(model, tmp_path, format):
    texts = [Text(str(i), f"Mutation {i} in OPA1.") for i in range(3)]
    folder = tmp_path / "new"
    refused = []

    def again(document):
        with pytest.raises(WorkbookError, match=r"another call is writing .*new.out; .*name anoth"):
            tag_files.tag_texts(model, texts, folder / "out", format)
        refused.append(document.id)

    tag_files.tag_texts(model, texts, folder / "out", format, each=again)
    assert refused == ["0", "1", "2"]
    assert {path.name for path in folder.iterdir()} == {"out", "out.made_from.jsonl"}
    done = tag_files.tag_texts(model, texts, folder / "out", format)
    assert (done.documents, done.kept) == (0, 3)


def test_the_lock_of_a_killed_call_locks_nothing(model, tmp_path):
    lock = tmp_path / ".out.lock"
    lock.write_text("")
    assert tag_files.tag_texts(model, [Text("1", "OPA1.")], tmp_path / "out").documents == 1
    assert not lock.exists()


def test_a_compressed_file_is_continued(model, texts, tmp_path, capsys):
    packed, out = tmp_path / "in.txt.gz", tmp_path / "out.jsonl"
    packed.write_bytes(gzip.compress(texts.read_bytes()))
    assert main(["tag", model, str(packed), "-o", str(out)]) == 0
    assert "30 texts tagged" in capsys.readouterr().out
    assert tag_files.count_lines(packed) is None
    more = f"{texts.read_text()}\nOne more text about TP53."
    packed.write_bytes(gzip.compress(more.encode()))
    assert main(["tag", model, str(packed), "-o", str(out)]) == 0
    assert "1 texts tagged" in (said := capsys.readouterr().out)
    assert "30 were in" in said


def test_an_empty_text_takes_nothing_of_another_one_with_its_id(model, tmp_path):
    texts = [Text("x", ""), Text("x", "BRCA1 is a gene."), Text("y", "Z")]
    for format in ("jsonl", "conll"):
        out = tmp_path / format
        tag_files.tag_texts(model, texts, out, format)
        first = out.read_bytes()
        tag_files.tag_texts(model, texts, out, format)
        assert out.read_bytes() == first
        assert first.count(b'"sentence_id": "x-0"') == (format == "jsonl")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["{texts}", "-o", "."], "name a file"),
        (["{texts}", "-o", ""], "name a file"),
        (["none.txt", "-o", "out"], "none.txt can't be read"),
        (["{texts}", "-o", "out", "--executor", "processes", "--workers", "0"], "workers=0"),
        (["--pmids", "pm.jsonl", "-o", "out"], "one PMID per line"),
        (["{texts}", "--pmids", "pm.txt", "-o", "out"], "give one of the two"),
    ],
)
def test_ordinary_mistakes_are_named(model, texts, tmp_path, capsys, monkeypatch, call, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pm.jsonl").write_text('{"id": "a", "text": "123456"}')
    assert main(["tag", model, *(part.format(texts=texts) for part in call)]) == MISTAKE
    assert message in capsys.readouterr().err


def test_lines_that_cannot_be_read_are_named_and_the_rest_goes_on(model, tmp_path, capsys):
    (tmp_path / "in.jsonl").write_text(
        '{"id": "a", "text": "TP53."}\n{broken\n{"text": "BRCA1."}\n'
    )
    out = tmp_path / "out.jsonl"
    assert main(["tag", model, str(tmp_path / "in.jsonl"), "-o", str(out)]) == 0
    answer = capsys.readouterr()
    assert "line 2: not JSON" in answer.err
    assert "1 lines can't be read" in answer.out
    assert [record["doc"] for record in records(out)] == ["a", "3"]


def test_options_reach_the_tagger(model, texts, tmp_path):
    out = tmp_path / "out.jsonl"
    call = ["tag", model, str(texts), "-o", str(out), "--types", "Gene", "--threshold", "0.2"]
    assert main([*call, "--flat", "score", "--precision", "fp32"]) == 0
    predictions = [p for record in records(out) for p in record["predictions"]]
    assert {p["type"] for p in predictions} <= {"Gene"}
    assert all(p["score"] >= 0.2 for p in predictions)
    assert main(["tag", model, str(texts), "-o", str(tmp_path / "8.jsonl"), "--int8"]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--types", "Gen"], "unknown type 'Gen'"),
        (["--threshold", "2"], "threshold=2.0"),
        (["--format", "xml"], "unknown format 'xml'; did you mean 'bioc.xml'"),
        (["--precision", "fp16"], "unknown precision"),
        (["--executor", "slurm"], "unknown executor 'slurm'"),
    ],
)
def test_wrong_options_write_nothing(model, texts, tmp_path, capsys, options, message):
    out = tmp_path / "new" / "out"
    assert main(["tag", model, str(texts), "-o", str(out), *options]) == MISTAKE
    assert message in capsys.readouterr().err
    assert not out.parent.exists()


def test_wrong_names_write_nothing(model, texts, tmp_path, capsys, outputs):
    out = str(tmp_path / "out")
    assert main(["tag", "no-run", str(texts), "-o", out]) == MISTAKE
    assert "no tagger 'no-run'" in capsys.readouterr().err
    assert main(["tag", model, str(tmp_path / "none.txt"), "-o", out]) == MISTAKE
    assert "No such file" in capsys.readouterr().err
    assert main(["tag", model, str(texts), "-o", str(texts)]) == MISTAKE
    assert "is the input, too" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_abstracts_by_pmid(model, tmp_path, monkeypatch):
    asked = []

    def fetch(self, pmids):
        asked.extend(pmids)
        yield Abstract("12", "A title.", "TP53 binds.", 2020)

    monkeypatch.setattr("bioner_lib.silver.pubmed.PubMed.fetch", fetch)
    (tmp_path / "pmids.txt").write_text("12\nPMID\n13\n99999999999999999999\n")
    found = list(tag_files.fetched_texts(tmp_path / "pmids.txt", "me@example.org", tmp_path))
    assert asked == [12, 13]
    assert found == [
        Problem(2, "'PMID' is no PMID"),
        Problem(4, "'99999999999999999999' is no PMID"),
        Text("12", "A title. TP53 binds."),
        Problem(3, "PubMed has no abstract for PMID 13"),
    ]


@pytest.mark.slow
def test_workers_give_the_same_output(model, tmp_path, monkeypatch):
    texts = [Text(str(i), f"Mutation {i} in OPA1.") for i in range(300)]
    outputs = []
    for kind in ("", "processes"):
        with opened(kind, 2) as executor:
            out = tmp_path / f"out-{kind}"
            tag_files.tag_texts(model, texts, out, executor=executor, workers=2)
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1]
