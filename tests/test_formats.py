"""Each format is read back, span for span, by our reader and by the format's own library."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from bioc import biocjson, biocxml, pubtator
from hypothesis import given
from hypothesis import strategies as st

from bioner_lib import load_corpus
from bioner_lib.corpora.bioc_files import read_bioc
from bioner_lib.corpora.brat_folders import read_brat
from bioner_lib.corpora.documents import Document, document_of
from bioner_lib.corpora.pubtator_files import read_pubtator
from bioner_lib.corpora.tagged_files import read_conll, read_jsonl
from bioner_lib.errors import WorkbookError
from bioner_lib.models.entities import in_batches
from bioner_lib.tagging.formats import FORMATS, open_writer

each_format = pytest.mark.parametrize("format", FORMATS)


def tagged(text, spans=(), id="1"):
    """A document with entities of words: (sentence, start word, end word, type)."""
    document = document_of(text, id)
    entities = []
    for sentence, start, end, type in spans:
        first, last = document.tokens[sentence][start][0], document.tokens[sentence][end - 1][1]
        entities.append(
            {
                "entity_group": type,
                "score": 0.5 + start / 100,
                "word": text[first:last],
                "start": first,
                "end": last,
                "sentence": sentence,
            }
        )
    return replace(document, entities=sorted(entities, key=lambda e: (e["start"], e["end"])))


def write(format, path, documents):
    with open_writer(format, path) as writer:
        for document in documents:
            if not writer.taken(document.id):
                writer.write(document)
    return writer


TEXT = "Mutations in OPA1 cause optic atrophy. TP53 binds."
SPANS = [(0, 2, 3, "Gene"), (0, 4, 6, "Disease"), (1, 0, 1, "Gene")]


@each_format
def test_an_output_is_replaced_where_asked_for(format, tmp_path):
    path = tmp_path / "a"
    write(format, path, [tagged("First BRCA1 text.", id="1"), tagged("Second.", id="2")])
    with open_writer(format, path, replace=True) as writer:
        writer.write(tagged("Only TP53.", [(0, 1, 2, "Gene")], id="9"))
    files = path.rglob("*") if path.is_dir() else [path]
    held = "".join(file.read_text() for file in files)
    assert "TP53" in held and "First" not in held and "Second" not in held
    (tmp_path / "notes").write_text("mine, not yours")
    with pytest.raises(WorkbookError):
        open_writer(format, tmp_path / "notes", replace=True)
    assert (tmp_path / "notes").read_text() == "mine, not yours"


def test_json_lines_have_the_fields_that_knowledge_graphs_read(tmp_path):
    write("jsonl", tmp_path / "a", [tagged(TEXT, SPANS, "d")])
    first, second = map(json.loads, (tmp_path / "a").read_text().splitlines())
    assert second["sentence_id"] == "d-1"
    assert first["tokens"][2] == "OPA1"
    assert first["predictions"][1] == {
        "entity": "optic atrophy",
        "type": "Disease",
        "start_token": 4,
        "end_token": 6,
        "score": 0.54,
        "start": 24,
        "end": 37,
    }
    assert first["tags"][4:6] == ["B-Disease", "I-Disease"]
    assert TEXT[slice(*second["offsets"][0])] == "TP53"
    assert second["text"] == TEXT[second["start"] :]


def test_the_first_sentence_is_pubtators_title(tmp_path):
    write("pubtator", tmp_path / "a", [tagged(TEXT, SPANS, "a b|c")])
    lines = (tmp_path / "a").read_text().splitlines()
    assert lines[0] == "a_b_c|t|Mutations in OPA1 cause optic atrophy."
    assert lines[1] == "a_b_c|a|TP53 binds."
    assert lines[4] == "a_b_c\t39\t43\tTP53\tGene\t-"


def test_overlaps_that_conll_cannot_hold_are_counted(tmp_path):
    document = tagged("optic atrophy 1", [(0, 0, 2, "Disease"), (0, 1, 3, "Gene")])
    writer = write("conll", tmp_path / "a", [document])
    assert writer.lost == 1
    tags = [line.split("\t")[1] for line in (tmp_path / "a").read_text().split("\n")[2:5]]
    assert tags == ["O", "B-Gene", "I-Gene"], "the more probable one"


@pytest.mark.parametrize("format", ["jsonl", "conll"])
def test_a_long_document_is_gone_over_once(tmp_path, monkeypatch, format):
    """Once per sentence would be quadratic in its length."""
    gone_over = Counter()

    class Entities(list):
        def __iter__(self):
            gone_over["entities"] += 1
            return super().__iter__()

    cut = Document.words.fget

    def words(document):
        gone_over["words"] += 1
        return cut(document)

    monkeypatch.setattr(Document, "words", property(words))
    document = tagged("TP53 binds. " * 50, [(i, 0, 1, "Gene") for i in range(50)])
    document = replace(document, entities=Entities(document.entities))
    write(format, tmp_path / "a", [document])
    assert (tmp_path / "a").read_text().count("B-Gene") == 50
    assert gone_over == {"words": 1, "entities": 1}


def test_brat_has_one_fragment_per_line(tmp_path):
    write("brat", tmp_path / "a", [tagged("optic\r\natrophy", [(0, 0, 2, "An eye")], "x/y")])
    (annotations,) = (tmp_path / "a").glob("*.ann")
    assert annotations.read_text().splitlines()[0] == "T1\tAn_eye 0 5;7 14\toptic atrophy"


# words, signs and whatever else Unicode has
texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="Ab1 .,-\n\r\t\0\x85\u2028é\u0301א\u202e\u200d😀\ud800|#", max_size=60),
)


@st.composite
def documents(draw):
    text = draw(texts)
    bare = document_of(text)
    spans = []
    for sentence, tokens in enumerate(bare.tokens):
        for _ in range(draw(st.integers(0, 2))):
            start = draw(st.integers(0, len(tokens) - 1))
            end = draw(st.integers(start + 1, len(tokens)))
            spans.append((sentence, start, end, draw(st.sampled_from(["Gene", "Disease"]))))
    flat, reached = [], {}
    for sentence, start, end, type in sorted(spans):
        if start >= reached.get(sentence, 0):
            flat.append((sentence, start, end, type))
            reached[sentence] = end
    return tagged(text, flat)


def characters(reading):
    """(start, end, type) by character, of all sentences."""
    found = []
    for sentence in reading.sentences:
        for start, end, type in sentence.spans:
            found.append((sentence.offsets[start][0], sentence.offsets[end - 1][1], type))
    return sorted(found)


def expected(document):
    return sorted((e["start"], e["end"], e["entity_group"]) for e in document.entities)


@given(documents())
def test_formats_with_characters_are_read_back(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("f")
    for format, read in {
        "pubtator": read_pubtator,
        "bioc.xml": read_bioc,
        "bioc.json": read_bioc,
        "brat": read_brat,
    }.items():
        path = folder / f"a.{format.replace('bioc.', '')}"
        write(format, path, [document])
        if document.text.strip():
            assert characters(read(path)) == expected(document), format


@given(documents())
def test_formats_with_words_are_read_back(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("f")
    spans = [[] for _ in document.tokens]
    for start, end, type in expected(document):
        i = next(i for i, tokens in enumerate(document.tokens) if start < tokens[-1][1])
        words = [k for k, (a, b) in enumerate(document.tokens[i]) if start <= a and b <= end]
        spans[i].append((words[0], words[-1] + 1, type))
    for format, read in {"jsonl": read_jsonl, "conll": read_conll}.items():
        path = folder / f"a.{format}"
        write(format, path, [document])
        reading = read(path)
        assert [s.tokens for s in reading.sentences] == document.words, format
        assert [s.spans for s in reading.sentences] == spans, format


@given(documents())
def test_the_formats_own_libraries_read_the_same(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("f")
    for format, load in {"bioc.xml": biocxml.load, "bioc.json": biocjson.load}.items():
        write(format, folder / format, [document])
        with (folder / format).open(encoding="utf-8") as file:
            (again,) = load(file).documents
        (passage,) = again.passages
        assert len(passage.text or "") == len(document.text)
        found = sorted(
            (a.total_span.offset, a.total_span.end, a.infons["type"]) for a in passage.annotations
        )
        assert found == expected(document)


def test_pubtators_own_library_reads_the_same(tmp_path):
    document = tagged(TEXT, SPANS)
    write("pubtator", tmp_path / "a", [document])
    with (tmp_path / "a").open() as file:
        (again,) = pubtator.load(file)
    found = sorted((a.start, a.end, a.type) for a in again.annotations)
    assert found == expected(document)


def many(count):
    return [tagged(f"{TEXT} Number {i}.", SPANS, f"d{i}") for i in range(count)]


def content(path):
    """All bytes of an output."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in sorted(path.iterdir())}
    return path.read_bytes()


@each_format
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.55, 0.9, 0.999])
def test_a_cut_output_is_continued_to_the_same_bytes(tmp_path, format, kept):
    write(format, tmp_path / "whole", many(6))
    if format == "brat":
        write(format, tmp_path / "cut", many(int(6 * kept)))
        (tmp_path / "cut").mkdir(exist_ok=True)
        (tmp_path / "cut" / "d5.txt").write_text("cut")
    else:
        whole = (tmp_path / "whole").read_bytes()
        (tmp_path / "cut").write_bytes(whole[: int(kept * len(whole))])
    write(format, tmp_path / "cut", many(6))
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


@pytest.mark.parametrize("kept", [2, 3, 6])
@pytest.mark.parametrize("format", ["jsonl", "pubtator", "bioc.xml", "bioc.json", "conll"])
def test_an_output_that_was_cut_in_its_first_bytes_is_begun_again(tmp_path, format, kept):
    write(format, tmp_path / "whole", many(2))
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:kept])
    write(format, tmp_path / "cut", many(2))
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


@each_format
def test_a_finished_output_stays_as_it_is(tmp_path, format):
    for _ in range(2):
        write(format, tmp_path / "a", many(3))
        first = content(tmp_path / "a")
    write(format, tmp_path / "b", many(3))
    assert content(tmp_path / "b") == first


@pytest.mark.parametrize("format", ["jsonl", "conll"])
def test_documents_of_one_name_are_all_written(tmp_path, format):
    twice = [tagged("TP53 binds.", [(0, 0, 1, "Gene")], "x")] * 3
    write(format, tmp_path / "whole", twice)
    write(format, tmp_path / "cut", twice[:2])
    write(format, tmp_path / "cut", twice)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


@pytest.mark.parametrize("format", ["pubtator", "bioc.xml", "bioc.json", "brat"])
def test_documents_of_one_name_are_refused_where_names_must_differ(tmp_path, format):
    with pytest.raises(WorkbookError, match="two documents have the id 'x'"):
        write(format, tmp_path / "whole", [tagged("TP53 binds.", [], "x"), tagged("Z.", [], "x")])


@each_format
def test_texts_without_an_id_are_told_apart(tmp_path, format):
    documents = [document for own, _ in in_batches(["TP53 binds.", "Z."], 1) for document in own]
    assert [document.id for document in documents] == ["1", "2"]
    write(format, tmp_path / "a", documents)


@each_format
def test_an_output_that_is_not_ours_is_refused_and_left(tmp_path, format):
    if format == "brat":
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "thesis.docx").write_bytes(b"years of work")
    else:
        (tmp_path / "a").write_bytes(b"years of work\n")
    before = content(tmp_path / "a")
    with pytest.raises(WorkbookError, match="name another"):
        write(format, tmp_path / "a", many(1))
    assert content(tmp_path / "a") == before


def test_a_folder_in_a_files_place_and_the_reverse(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbookError, match="brat needs a folder"):
        open_writer("brat", tmp_path / "file")
    with pytest.raises(WorkbookError, match="is a folder"):
        open_writer("jsonl", tmp_path)
    with pytest.raises(WorkbookError, match="unknown format 'json'; did you mean 'jsonl'"):
        open_writer("json", tmp_path / "x")


def test_what_was_tagged_becomes_a_corpus(tmp_path):
    for split, count in {"train": 3, "dev": 1, "test": 2}.items():
        write("brat", tmp_path / "mine" / split, many(count))
    corpus = load_corpus(tmp_path / "mine")
    assert corpus.counts("train") == {"Gene": 6, "Disease": 3}
    assert corpus.documented and len({s.doc for s in corpus.test}) == 2


def test_what_a_kill_left_of_a_brat_file_is_no_obstacle(tmp_path):
    write("brat", tmp_path / "whole", many(2))
    write("brat", tmp_path / "cut", many(1))
    (tmp_path / "cut" / "d1.ann.57ba9a99.tmp").write_text("T1")
    write("brat", tmp_path / "cut", many(2))
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_a_mention_that_looks_like_a_title_starts_no_document(tmp_path):
    documents = [
        tagged("The p|t|W54K variant binds.", [(0, 1, 6, "Gene")], "1"),
        tagged("TP53 binds.", [(0, 0, 1, "Gene")], "2"),
    ]
    write("pubtator", tmp_path / "whole", documents)
    assert "p|t|W54K\tGene" in (tmp_path / "whole").read_text()
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: whole.index(b"2|t|") + 2])
    write("pubtator", tmp_path / "cut", documents)
    assert content(tmp_path / "cut") == whole
