import json

import pytest

from bioner_lib.data.readers import guess_reader, read_bioc, read_conll, read_inline, read_jsonl, read_pubtator
from bioner_lib.errors import DataError


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_conll_columns_docstart_and_blank_lines(tmp_path):
    text = "-DOCSTART- -X- O\n\nTP53 NN B-Gene\nloss NN O\n \nin IN O\n\n-DOCSTART- -X- O\n\nWilson NN B-Disease\ndisease NN I-Disease"
    reading = read_conll(write(tmp_path, "train.txt", text))
    assert [s.tokens for s in reading.sentences] == [["TP53", "loss"], ["in"], ["Wilson", "disease"]]
    assert [s.doc for s in reading.sentences] == ["train-1", "train-1", "train-2"]
    assert reading.mentions == {"Gene": 1, "Disease": 1} and reading.documented


def test_conll_iob1_iobes_and_bare_tags(tmp_path):
    iob1 = read_conll(write(tmp_path, "a.tsv", "a\tI-X\nb\tI-X\nc\tB-X\nd\tO\n"))
    iobes = read_conll(write(tmp_path, "b.tsv", "a\tB-X\nb\tE-X\nc\tS-X\nd\tO\n"))
    bare = read_conll(write(tmp_path, "c.tsv", "a\tB\nb\tI\nc\tB\nd\tO\n"), bare_type="X")
    assert [r.sentences[0].tags for r in (iob1, iobes, bare)] == [["B-X", "I-X", "B-X", "O"]] * 3
    assert not iob1.repairs and not iobes.repairs


def test_conll_keeps_odd_words(tmp_path):
    text = "α\u2028β\tO\n\ufffd\tB-X\n\u00a0\tO\nx y\tO\r\n"
    assert read_conll(write(tmp_path, "a.tsv", text)).sentences[0].tokens == ["α\u2028β", "\ufffd", "\u00a0", "x y"]


def test_repairs_are_reported(tmp_path):
    reading = read_conll(write(tmp_path, "a.tsv", "a\tB-X\nb\tO\nc\tI-X\nd\tO\n"))
    assert reading.repairs == {"I- without B-": 1} and reading.mentions == {"X": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tO\nb\n", r"a.tsv:2: 1 columns"),
        ("a\tO\nb\tO\tO\n", r"a.tsv:2: 3 columns .* expected 2 columns as above"),
        ("a\tO\n\nb\tQ-X\n", r"a.tsv:3: unknown tag 'Q-X'"),
        ("a\tO\nb\tB\n", r"a.tsv:2: bare tag 'B'"),
        ("a\tO\nb\tB-Gen\n", r"a.tsv:2: unknown label 'Gen'; did you mean 'Gene'"),
    ],
)
def test_conll_errors_name_file_and_line(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        read_conll(write(tmp_path, "a.tsv", text), labels={"Gene": "Gene"})


def test_empty_sentences_are_dropped_and_counted(tmp_path):
    reading = read_jsonl(write(tmp_path, "a.jsonl", '{"tokens": [], "tags": []}\n{"tokens": ["a"], "tags": ["O"]}'))
    assert len(reading.sentences) == 1 and reading.repairs == {"empty sentence dropped": 1}


def test_not_utf8_is_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"caf\xe9\tO\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_conll(path)


def test_jsonl_by_field_name_and_integer_tags(tmp_path):
    lines = [{"tokens": ["TP53", "loss"], "decoded_tags": ["B-Gene", "O"], "ids": [1, 0], "pmid": 7}]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    by_name = read_jsonl(path, tag_field="decoded_tags")
    by_number = read_jsonl(path, tag_field="ids", tag_names=["O", "B-Gene"])
    assert by_name.sentences == by_number.sentences and by_name.sentences[0].doc == "7"
    with pytest.raises(DataError, match=r"a.jsonl:1: unknown tag field 'decoded_tag'; did you mean 'decoded_tags'"):
        read_jsonl(path, tag_field="decoded_tag")
    with pytest.raises(DataError, match="need names"):
        read_jsonl(path, tag_field="ids", tag_names=["O"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "a.jsonl:1"),
        ('{"tokens": null, "tags": []}', "expected a list of words"),
        ('{"tokens": [1], "tags": ["O"]}', "expected a list of words"),
        ('{"tokens": ["a"], "tags": null}', "expected a list of tags"),
        ('{"tokens": ["a", "b"], "tags": [0, "O"]}', "expected a list of tags"),
        ('{"tokens": ["a"], "tags": []}', "1 tokens but 0 tags"),
        ("[1]", "a.jsonl:1"),
    ],
)
def test_jsonl_errors(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        read_jsonl(write(tmp_path, "a.jsonl", text))


PUBTATOR = (
    "1|t|Loss of TP53.\n1|a|It causes Li-Fraumeni syndrome. Rarely e.g. ataxia.\n1\t8\t12\tTP53\tGene\t7157\n"
    "1\t24\t45\tLi-Fraumeni syndrome\tDisease\tD016864\tx|y\n1\tCID\tD1\tD2\n\n"
)


def test_pubtator_offsets_run_over_title_and_abstract(tmp_path):
    text = PUBTATOR.replace("24\t45", "24\t44")
    reading = read_pubtator(write(tmp_path, "a.PubTator", text.replace("\n", "\r\n")))
    found = [(" ".join(s.tokens[a:b]), name) for s in reading.sentences for a, b, name in s.spans]
    assert found == [("TP53", "Gene"), ("Li - Fraumeni syndrome", "Disease")]
    whole = "Loss of TP53. It causes Li-Fraumeni syndrome. Rarely e.g. ataxia."
    assert all(whole[a:b] == token for s in reading.sentences for token, (a, b) in zip(s.tokens, s.offsets, strict=True))
    assert reading.repairs == {"relation line passed over": 1}


def test_pubtator_counts_what_it_mends(tmp_path):
    text = "1|t|Anti-TNFalpha.\n1|a|\n1\t5\t8\tTNF\tGene\n1\t5\t13\tTNFalpha\tGene\n1\t0\t4\tXXXX\tGene\n"
    reading = read_pubtator(write(tmp_path, "a.txt", text + "\n" + text))
    assert [s.spans for s in reading.sentences] == [[(0, 1, "Gene"), (2, 3, "Gene")]]
    assert reading.mentions == {"Gene": 6}
    assert reading.repairs["overlapping mention dropped"] == 1 and reading.repairs["repeated document dropped"] == 1
    assert reading.repairs["mention text differs from its offsets"] == 2


def test_pubtator_relations_are_counted_and_blank_lines_are_needed(tmp_path):
    one = "1|t|Loss of TP53.\n1|a|Here.\n1\t8\t12\tTP53\tGene\n1\tCID\tD1\tD2\n1\tAssociation\t3175\tD1\tNo\n"
    assert read_pubtator(write(tmp_path, "a.txt", one)).repairs == {"relation line passed over": 2}
    with pytest.raises(DataError, match=r"a.txt:6: .* opens another document"):
        read_pubtator(write(tmp_path, "a.txt", one + one.replace("1|", "2|").replace("1\t", "2\t")))
    for broken in ("x8\t12", "8\tx12"):
        with pytest.raises(DataError, match=r"a.txt:3: .*separated by tabs"):
            read_pubtator(write(tmp_path, "a.txt", one.replace("8\t12", broken)))


def test_mention_across_a_sentence_boundary_joins_the_sentences(tmp_path):
    text = "1|t|The drug kills. Cells died here.\n1|a|\n"
    apart = read_pubtator(write(tmp_path, "a.txt", text))
    assert [len(s.tokens) for s in apart.sentences] == [4, 4]
    joined = read_pubtator(write(tmp_path, "b.txt", text + "1\t9\t21\tkills. Cells\tGene\n"))
    assert [s.spans for s in joined.sentences] == [[(2, 5, "Gene")]]
    assert joined.repairs == {"sentence boundary inside a mention": 1}


def test_words_are_cut_where_mentions_begin_and_end(tmp_path):
    """No boundary grows to whole words, and neighbours inside one word don't overlap."""
    text = "1|t|AntiTNFalpha and IL6R.\n1|a|\n1\t4\t7\tTNF\tGene\n1\t7\t12\talpha\tGene\n1\t16\t20\t IL6\tGene\n"
    reading = read_pubtator(write(tmp_path, "a.txt", text))
    (sentence,) = reading.sentences
    assert sentence.tokens == ["Anti", "TNF", "alpha", "and", "IL6", "R", "."]
    assert sentence.spans == [(1, 2, "Gene"), (2, 3, "Gene"), (4, 5, "Gene")]
    assert sentence.offsets[:3] == [(0, 4), (4, 7), (7, 12)]
    assert reading.repairs == {"blank at a mention's end cut off": 1}
    inline = read_inline(write(tmp_path, "b.txt", "Anti[TNF](Gene)[alpha](Gene) and[ IL6](Gene)R."))
    assert inline.sentences[0].tags == sentence.tags


def test_a_file_whose_offsets_are_shifted_is_refused(tmp_path):
    line = "1\t{}\t{}\tTP53\tGene\n"
    text = "1|t|Loss of TP53, tp53 and TP53.\n1|a|\n" + line.format(8, 12) + line.format(14, 18)
    assert read_pubtator(write(tmp_path, "a.txt", text + line.format(24, 28))).repairs["mention text differs from its offsets"] == 1
    shifted = text + line.format(24, 28) + line.format(22, 26) + line.format(9, 13)
    with pytest.raises(DataError, match=r"b.txt: 3 of 5 mentions don't stand at their offsets, e.g. .*b.txt:5: 'TP53' .* 'P53\.'"):
        read_pubtator(write(tmp_path, "b.txt", shifted))


def test_types_lose_their_blanks_and_an_annotation_without_one_is_counted(tmp_path):
    text = "1|t|Loss of TP53 and p21.\n1|a|\n1\t8\t12\tTP53\tGene \n1\t17\t20\tp21\t\n"
    for labels in (None, {"Gene": "Gene"}):
        reading = read_pubtator(write(tmp_path, "a.txt", text), labels=labels)
        assert reading.mentions == {"Gene": 1}
        assert reading.repairs == {"annotation without a type dropped": 1}
    assert read_conll(write(tmp_path, "a.tsv", "TP53\tB-Gene \nloss\tI-Gene\n")).mentions == {"Gene": 1}
    assert read_jsonl(write(tmp_path, "a.jsonl", '{"tokens": ["a", "b"], "tags": ["B-Gene", "I-Gene "]}')).mentions == {"Gene": 1}


def test_a_pmid_is_one_document_however_it_is_written(tmp_path):
    lines = [{"tokens": ["a"], "tags": ["O"], "doc": doc} for doc in ("PMID:123", "pmid 123", "123", 123, 123.0, "PMC123")]
    reading = read_jsonl(write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines))))
    assert [s.doc for s in reading.sentences] == ["123"] * 5 + ["PMC123"]
    pubtator = read_pubtator(write(tmp_path, "a.txt", "PMID:123|t|Loss.\nPMID:123|a|\n"))
    inline = read_inline(write(tmp_path, "b.txt", "# PMID: 123\nLoss.\n"))
    assert [s.doc for s in pubtator.sentences + inline.sentences] == ["123", "123"]


def test_one_sentence_without_a_document_hides_no_other(tmp_path):
    lines = ['{"tokens": ["a"], "tags": ["O"]}', '{"tokens": ["a"], "tags": ["O"], "pmid": 7}']
    assert read_jsonl(write(tmp_path, "a.jsonl", "\n".join(lines))).documented
    assert not read_jsonl(write(tmp_path, "b.jsonl", lines[0])).documented
    assert read_inline(write(tmp_path, "a.txt", "Loss.\n# 7\nLoss.\n")).documented
    assert not read_inline(write(tmp_path, "b.txt", "Loss.\n")).documented


def test_half_a_character_is_refused(tmp_path):
    whole = '{"tokens": ["\\ud83d\\ude00"], "tags": ["O"]}'
    assert read_jsonl(write(tmp_path, "a.jsonl", whole)).sentences[0].tokens == ["😀"]
    with pytest.raises(DataError, match=r"b.jsonl:1: '.ud83d' is half of a character"):
        read_jsonl(write(tmp_path, "b.jsonl", whole.replace("\\ude00", "")))


def test_what_cant_be_opened_is_named(tmp_path):
    write(tmp_path, "a.tsv", "a\tO\n")
    for path in (tmp_path / "a.tsv" / "b.tsv", tmp_path / ("a" * 300), tmp_path):
        with pytest.raises(DataError, match="can't be read: "):
            read_conll(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1\t90\t99\tx\tGene", "offsets 90-99"),
        ("2\t0\t4\tLoss\tGene", "neither"),
        ("1\t0\tx\tLoss\tGene", "separated by tabs"),
        ("1\t0\t4\tLoss\tGenes", "unknown label 'Genes'"),
    ],
)
def test_pubtator_errors_name_file_and_line(tmp_path, line, said):
    with pytest.raises(DataError, match=rf"a.txt:3: .*{said}"):
        read_pubtator(write(tmp_path, "a.txt", f"1|t|Loss of TP53.\n1|a|Here.\n{line}\n"), labels={"Gene": "Gene"})


def test_bioc_xml_and_json_agree(tmp_path):
    import bioc
    from bioc import biocjson, biocxml

    collection, document, passage = bioc.BioCCollection(), bioc.BioCDocument(), bioc.BioCPassage()
    document.id, passage.offset, passage.text = "1", 10, "Loss of TP53."
    annotation = bioc.BioCAnnotation()
    annotation.id, annotation.text, annotation.infons = "a", "TP53", {"type": "Gene"}
    annotation.add_location(bioc.BioCLocation(18, 4))
    passage.add_annotation(annotation), document.add_passage(passage), collection.add_document(document)
    write(tmp_path, "a.xml", biocxml.dumps(collection)), write(tmp_path, "a.json", biocjson.dumps(collection))
    xml, json_ = (read_bioc(tmp_path / name) for name in ("a.xml", "a.json"))
    assert xml.sentences == json_.sentences and xml.sentences[0].spans == [(2, 3, "Gene")] and xml.sentences[0].offsets[2] == (18, 22)
    inner = bioc.BioCSentence()
    inner.offset, inner.text = 10, passage.text
    inner.add_annotation(annotation)
    passage.annotations, passage.sentences = [], [inner]
    assert read_bioc(write(tmp_path, "s.xml", biocxml.dumps(collection))).sentences == xml.sentences
    passage.text = None
    assert read_bioc(write(tmp_path, "s.xml", biocxml.dumps(collection))).sentences == xml.sentences
    annotation.locations[0].offset = 90
    with pytest.raises(DataError, match="document 1, annotation a"):
        read_bioc(write(tmp_path, "b.xml", biocxml.dumps(collection)))
    with pytest.raises(DataError, match="not BioC"):
        read_bioc(write(tmp_path, "c.xml", "<x"))


def bioc_document(passages, identifier="1", annotations=()):
    return {"id": identifier, "infons": {}, "passages": passages, "annotations": list(annotations), "relations": []}


def bioc_annotation(text, *places, type="Gene"):
    where = [{"offset": offset, "length": length} for offset, length in places]
    return {"id": f"a{places[0][0]}", "infons": {"type": type} if type else {}, "text": text, "locations": where}


def bioc_passage(offset, text, annotations=(), sentences=()):
    empty = {"infons": {}, "relations": []}
    inner = [{"offset": at, "text": said, "annotations": [], **empty} for at, said in sentences]
    return {"offset": offset, "text": text, "annotations": list(annotations), "sentences": inner, **empty}


def read_documents(folder, *documents):
    path = write(folder, "a.json", json.dumps({"source": "", "date": "", "key": "", "infons": {}, "documents": documents}))
    reading = read_bioc(path)
    return reading, [(" ".join(s.tokens[a:b]), name) for s in reading.sentences for a, b, name in s.spans]


def test_bioc_annotations_stand_in_documents_passages_and_sentences(tmp_path):
    """The text of the second passage stands in its sentences, its annotations in the passage and in the document."""
    passages = [
        bioc_passage(0, "Loss of TP53.", [bioc_annotation("TP53", (8, 4))]),
        bioc_passage(14, "", [bioc_annotation("p21", (14, 3))], sentences=[(14, "p21 is low."), (27, "OPA1 too.")]),
    ]
    reading, found = read_documents(tmp_path, bioc_document(passages, annotations=[bioc_annotation("OPA1", (27, 4))]))
    assert found == [("TP53", "Gene"), ("p21", "Gene"), ("OPA1", "Gene")]
    assert [s.offsets[0][0] for s in reading.sentences] == [0, 14, 27]
    assert not reading.repairs


def test_bioc_mentions_that_a_tag_sequence_cant_hold_are_counted(tmp_path):
    """Breast and ovarian cancer: breast ... cancer has two places, and its hull would be another mention."""
    annotations = [
        bioc_annotation("breast cancer", (0, 6), (19, 6), type="Disease"),
        bioc_annotation("ovarian cancer", (11, 14), type="Disease "),
        bioc_annotation("breast", (0, 6), type=""),
    ]
    document = bioc_document([bioc_passage(0, "Breast and ovarian cancer.", annotations)])
    reading, found = read_documents(tmp_path, document)
    assert found == [("ovarian cancer", "Disease")]
    assert reading.mentions == {"Disease": 2}
    assert reading.repairs == {"discontinuous mention dropped": 1, "annotation without a type dropped": 1}


def test_bioc_documents_are_read_once(tmp_path):
    one = bioc_document([bioc_passage(0, "Loss of TP53.", [bioc_annotation("TP53", (8, 4))])])
    reading, found = read_documents(tmp_path, one, {**one, "id": "PMID:1"}, {**one, "id": ""})
    assert found == [("TP53", "Gene")] * 2
    assert [s.doc for s in reading.sentences] == ["1", "a-3"]
    assert reading.repairs == {"repeated document dropped": 1, "mentions of repeated documents dropped": 1}
    with pytest.raises(DataError, match="document 1 stands twice with different texts"):
        read_documents(tmp_path, one, bioc_document([bioc_passage(0, "Loss of p21.")]))


def test_bioc_text_is_compared_with_its_offsets(tmp_path):
    """Offsets that are off by four once trained "ovarian cancer in" as a disease."""
    shifted = bioc_document([bioc_passage(0, "In ovarian cancer in women.", [bioc_annotation("ovarian cancer", (7, 14))])])
    with pytest.raises(DataError, match=r"1 of 1 mentions don't stand .* annotation a7: 'ovarian cancer' .* 'ian cancer in '"):
        read_documents(tmp_path, shifted)
    with pytest.raises(DataError, match="is half of a character"):
        read_documents(tmp_path, bioc_document([bioc_passage(0, "Loss \ud83d.")]))


def test_inline_brackets_can_be_plain_text(tmp_path):
    reading = read_inline(write(tmp_path, "a.txt", r"\[3H\](+) binds [\[3H\]DHT](Chemical), [4] \ and C:\\."))
    text = "[ 3H ] ( + ) binds [ 3H ] DHT , [ 4 ] \\ and C : \\ ."
    assert " ".join(reading.sentences[0].tokens) == text
    assert [" ".join(reading.sentences[0].tokens[a:b]) for a, b, _ in reading.sentences[0].spans] == ["[ 3H ] DHT"]
    with pytest.raises(DataError, match=r"broken markup near '\[3H\]\(\+\)'.* as in \\\[3H\\\]"):
        read_inline(write(tmp_path, "b.txt", "[3H](+)"))


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [("BILOU", "B I L U O"), ("BMES", "B M E S O"), ("BMEWO", "B M E W O"), ("IOBES", "B I E S O")],
)
def test_dialects_of_iobes_are_read(tmp_path, scheme, tags):
    rows = [(word, tag if tag == "O" else f"{tag}-Gene") for word, tag in zip("abcde", tags.split(), strict=True)]
    named = read_conll(write(tmp_path, f"{scheme}.tsv", "".join(f"{word}\t{tag}\n" for word, tag in rows)))
    bare = read_conll(write(tmp_path, "bare.tsv", "".join(f"{word}\t{tag[0]}\n" for word, tag in rows)), bare_type="Gene")
    assert named.sentences[0].spans == [(0, 3, "Gene"), (3, 4, "Gene")]
    assert bare.sentences[0].tags == named.sentences[0].tags
    assert not named.repairs


def test_inline(tmp_path):
    path = write(
        tmp_path, "a.txt", "# one\nLoss of [TP53](Gene) in [Li-Fraumeni syndrome](Disease) [12].\nNo name.\n\n# two\n[WAS](Gene)!\n"
    )
    reading = read_inline(path)
    assert reading.sentences[0].tokens == ["Loss", "of", "TP53", "in", "Li", "-", "Fraumeni", "syndrome", "[", "12", "]", "."]
    assert [s.spans for s in reading.sentences] == [[(2, 3, "Gene"), (4, 8, "Disease")], [], [(0, 1, "Gene")]]
    assert [s.doc for s in reading.sentences] == ["one", "one", "two"]
    assert reading.sentences[1].offsets[0][0] == len("Loss of TP53 in Li-Fraumeni syndrome [12].") + 1
    with pytest.raises(DataError, match=r"b.txt:1: unknown label 'Gen'"):
        read_inline(write(tmp_path, "b.txt", "[x](Gen)"), labels={"Gene": "Gene"})
    with pytest.raises(DataError, match=r"b.txt:1: broken markup"):
        read_inline(write(tmp_path, "b.txt", "[x](Gene y)"))
    for broken in ("[x] (Gene) y", "[x(Gene) y"):
        with pytest.raises(DataError, match=r"b.txt:1: broken markup"):
            read_inline(write(tmp_path, "b.txt", broken), labels={"Gene": "Gene"})


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("train.txt", "# d\n[x](Gene) y", "inline"), ("train.txt", "1|t|x\n1|a|y", "pubtator"),
        ("train.txt", "a O\nb O", "conll"), ("train.tsv", "a\tO", "conll"),
        ("train.json", '{"tokens": []}\n{"tokens": []}', "jsonl"), ("train.json", '{\n "documents": []}', "bioc"),
        ("train.json", '{"source": "", "documents": []}', "bioc"),
    ],
)  # fmt: skip
def test_reader_is_guessed(tmp_path, name, text, reader):
    assert guess_reader(write(tmp_path, name, text)) == reader


def test_pubtator_mentions_of_some_concepts(tmp_path):
    """A species corpus read as a virus corpus: the identifiers say which mentions are viruses."""
    text = (
        "1|t|Mice with HIV and HSV\n1|a|x\n1\t0\t4\tMice\tSpecies\t10090\n1\t10\t13\tHIV\tSpecies\t12721;11676\n1\t18\t21\tHSV\tSpecies\n"
    )
    (tmp_path / "x.PubTator").write_text(text)
    reading = read_pubtator(tmp_path / "x.PubTator", labels={"Species": "Virus"}, concepts=["11676", "10298"])
    assert [s.spans for s in reading.sentences if s.spans] == [[(2, 3, "Virus")]] and reading.mentions == {"Virus": 1}
