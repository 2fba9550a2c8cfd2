"""Names are grounded, abbreviations resolved, and sentences joined into a graph."""

import csv
import math
from dataclasses import replace

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioner_lib.corpora.documents import document_of
from bioner_lib.errors import DataError
from bioner_lib.silver.lexicons import Entry, save_entries
from bioner_lib.tagging.abbreviations import abbreviations
from bioner_lib.tagging.graph import Graph
from bioner_lib.tagging.grounding import Grounder, Grounding, normalized

ENTRIES = [
    Entry(["TNF"], "Gene", "HGNC:11892", True),
    Entry(["tumor", "necrosis", "factor", "alpha"], "Gene", "HGNC:11892"),
    Entry(["ovarian", "cancer"], "Disease", "MESH:D010051"),
    Entry(["CAP"], "Gene", "HGNC:1"),
    Entry(["CAP"], "Gene", "HGNC:2"),
    Entry(["nameless"], "Gene", ""),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the human immunodeficiency virus (HIV) spreads", {"HIV": "human immunodeficiency virus"}),
        ("HIV (human immunodeficiency virus) spreads", {"HIV": "human immunodeficiency virus"}),
        ("heat shock protein 70 (HSP70)", {"HSP70": "heat shock protein 70"}),
        ("a patient (see Table 1) died (n = 12)", {}),
        (
            "Middle East respiratory syndrome (MERS; n = 2)",
            {"MERS": "Middle East respiratory syndrome"},
        ),
        (
            "in mice\nepidermal growth\tfactor (EGF) rose",
            {"EGF": "epidermal growth factor"},
        ),
        ("cystic fibrosis transmembrane regulator (XYZ)", {}),
        ("(TNF) alone", {}),
        ("", {}),
        ("unclosed (HIV", {}),
    ],
)
def test_abbreviations(text, expected):
    assert abbreviations(text) == expected


@given(st.text(alphabet="aA1 ()-;,\n", max_size=40))
def test_long_forms_stand_in_the_text(text):
    for short, long in abbreviations(text).items():
        assert short in text
        assert long in " ".join(text.split())


def test_grounding_is_exact_then_normalized_and_keeps_what_is_ambiguous():
    grounder = Grounder(ENTRIES)
    assert grounder.ground("TNF", "Gene") == Grounding("exact", ("HGNC:11892",))
    found = grounder.ground("Tumor necrosis factor-α", "Gene")
    assert found == Grounding("normalized", ("HGNC:11892",))
    assert grounder.ground("ovarian cancers", "Disease").ids == ("MESH:D010051",)
    assert grounder.ground("CAP", "Gene").ids == ("HGNC:1", "HGNC:2")
    assert grounder.ground("TNF", "Disease").how == "none"
    assert grounder.ground("nameless", "Gene").how == "none"
    assert normalized("virus") == "virus"
    letters = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"
    spelled = (
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    )
    spelled += "sigma tau upsilon phi chi psi omega"
    assert [normalized(sign) for sign in letters] == spelled.split()
    assert normalized("PKCς") == normalized("PKC sigma")


def test_a_lexicons_file_grounds(tmp_path):
    save_entries(ENTRIES, tmp_path / "x.tsv.gz", [])
    assert Grounder.load(tmp_path / "x.tsv.gz").ground("TNF", "Gene").how == "exact"
    (tmp_path / "y.tsv.gz").write_text("no lexicon")
    with pytest.raises(DataError, match="can't be read as a lexicon"):
        Grounder.load(tmp_path / "y.tsv.gz")


def found(text, *names, id="1"):
    """A document in which each (name, type) is an entity wherever it stands."""
    document, entities = document_of(text, id), []
    for name, type in names:
        start = text.find(name)
        while start >= 0:
            end = start + len(name)
            sentence = next(i for i, (_, stop) in enumerate(document.sentences) if end <= stop)
            entities.append(
                {
                    "entity_group": type,
                    "score": 1.0,
                    "word": name,
                    "start": start,
                    "end": end,
                    "sentence": sentence,
                }
            )
            start = text.find(name, end)
    return replace(document, entities=entities)


@pytest.fixture
def graph():
    graph = Graph(Grounder(ENTRIES))
    text = "Tumor necrosis factor alpha (TNFA) drives ovarian cancer. TNFA binds Foo. Nothing here."
    names = [("Tumor necrosis factor alpha", "Gene"), ("TNFA", "Gene"), ("Foo", "Gene")]
    graph.add(found(text, *names, ("ovarian cancer", "Disease"), id="a"))
    graph.add(
        found("TNF and ovarian cancer.", ("TNF", "Gene"), ("ovarian cancer", "Disease"), id="b")
    )
    return graph


def test_an_abbreviation_counts_as_its_long_form(graph):
    assert set(graph.nodes) == {"HGNC:11892", "MESH:D010051", "Gene:foo"}
    assert graph.nodes["HGNC:11892"].sentences == 3
    assert graph.nodes["Gene:foo"].how == "none"
    assert graph.counts == {"normalized": 3, "exact": 3, "none": 1}


def test_edges_count_sentences_and_keep_them(graph):
    edge = graph.edges["HGNC:11892", "MESH:D010051"]
    assert edge.sentences == 2
    assert edge.examples[1] == ("b", "TNF and ovarian cancer.")
    assert graph.pmi(("HGNC:11892", "MESH:D010051")) == pytest.approx(math.log2(2 * 4 / (3 * 2)))
    assert graph.strongest(5) == [("HGNC:11892", "MESH:D010051")]
    assert len(graph.strongest(5, least=1)) == 2


def test_ambiguous_names_are_kept_and_counted():
    graph = Graph(Grounder(ENTRIES))
    graph.add(found("CAP.", ("CAP", "Gene")))
    assert graph.counts == {"ambiguous": 1}
    assert graph.nodes["HGNC:1|HGNC:2"].ids == ("HGNC:1", "HGNC:2")


def test_some_edges_have_their_nodes_only(graph):
    pair = next(iter(graph.edges))
    graph.edges = {pair: graph.edges[pair]}
    assert set(graph.to_networkx([pair])) == set(pair)
    assert len(graph.to_networkx()) == len(graph.nodes) > 2


def test_half_a_character_is_no_reason_to_lose_the_graph(tmp_path):
    graph = Graph(Grounder(ENTRIES))
    graph.add(found("TP53 \ud800 and Foo.", ("TP53", "Gene"), ("Foo", "Gene")))
    graph.write_neo4j(tmp_path)
    assert "TP53 \ufffd and Foo." in (tmp_path / "edges.csv").read_text()


def test_graphml_and_csv_hold_the_graph(graph, tmp_path):
    graph.add(found("A\x00B and Foo.", ("A\x00B", "Disease"), ("Foo", "Gene"), id="c"))
    graph.write_graphml(tmp_path / "graph.graphml")
    again = networkx.read_graphml(tmp_path / "graph.graphml")
    assert len(again) == len(graph.nodes)
    edge = again.edges["HGNC:11892", "MESH:D010051"]
    assert edge["sentences"] == 2
    assert "TNF and ovarian cancer." in edge["examples"]
    graph.write_neo4j(tmp_path)
    with (tmp_path / "edges.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(graph.edges)
    with (tmp_path / "nodes.csv").open(newline="") as file:
        assert {row["key:ID"] for row in csv.DictReader(file)} == set(graph.nodes)


def test_the_picture_shows_every_node_and_edge(graph):
    import matplotlib.pyplot as plt

    from bioner_lib.board.plots import entity_graph

    figure, ax = plt.subplots()
    drawn = graph.to_networkx()
    next(iter(drawn.nodes.values()))["name"] = "a$$b$$"  # as full texts have it, no formula
    entity_graph(drawn, ax)
    figure.canvas.draw()
    drawn = graph.to_networkx()
    _, ax = plt.subplots()
    entity_graph(drawn, ax)
    assert {text.get_text() for text in ax.texts} == {node.name for node in graph.nodes.values()}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Disease", "Gene"]
    _, empty = plt.subplots()
    assert entity_graph(Graph().to_networkx(), empty).get_legend() is None
