"""Entities of many documents -> a graph: which ones are named in the same sentence, how often.

A node is an identifier where a name could be grounded, else its normalized name. An edge joins two
nodes that one sentence names; it keeps sentences that say so. Its pointwise mutual information,

    PMI = log2( n_ab N / (n_a n_b) )

compares the sentences that name both (n_ab) with what chance would give; n_a and n_b are the
sentences that name one of them, N is the number of all sentences.
"""

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, combinations
from pathlib import Path

from ..corpora.documents import Document, without_halves
from .abbreviations import abbreviations
from .grounding import Grounder, normalized
from .writing import for_xml

_KEPT = 3  # sentences that an edge keeps


@dataclass
class Node:
    """An entity: its type, how it was found in the lexicon, its names, its sentences.

    `ids` has more than one identifier where the name is ambiguous.
    """

    type: str
    how: str
    ids: tuple[str, ...]
    names: Counter = field(default_factory=Counter)
    sentences: int = 0

    @property
    def name(self) -> str:
        """Its most frequent name."""
        return self.names.most_common(1)[0][0]


@dataclass
class Edge:
    """Two entities of one sentence: how many sentences, and some of them as (document, text)."""

    sentences: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


class Graph:
    """Nodes and edges, document by document. `grounder` None: every name stands for itself."""

    def __init__(self, grounder: Grounder | None = None):
        self.grounder = grounder or Grounder([])
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], Edge] = defaultdict(Edge)
        self.sentences = self.documents = 0
        self.counts: Counter = Counter()  # mentions by how they were grounded

    def add(self, document: Document) -> None:
        """Count a document's entities and those that share a sentence.

        A short form that the document explains is looked up by its long form.
        """
        self.documents += 1
        self.sentences += len(document.sentences)
        long_forms = abbreviations(document.text)
        by_sentence: dict[int, set[str]] = defaultdict(set)
        for entity in document.entities:
            key = self._node(entity, long_forms)
            by_sentence[entity["sentence"]].add(key)
        for sentence, keys in by_sentence.items():
            start, end = document.sentences[sentence]
            text = document.text[start:end].strip()
            for key in keys:
                self.nodes[key].sentences += 1
            for pair in combinations(sorted(keys), 2):
                edge = self.edges[pair]
                edge.sentences += 1
                if len(edge.examples) < _KEPT:
                    edge.examples.append((document.id, text))

    def _node(self, entity: Mapping, long_forms: Mapping[str, str]) -> str:
        name, type = entity["word"], entity["entity_group"]
        long = long_forms.get(name, name)
        found = self.grounder.ground(long, type)
        if not found.ids and long != name:
            found = self.grounder.ground(name, type)
        how = "ambiguous" if len(found.ids) > 1 else found.how
        self.counts[how] += 1
        key = "|".join(found.ids) if found.ids else f"{type}:{normalized(long) or long}"
        node = self.nodes.setdefault(key, Node(type, how, found.ids))
        node.names[long] += 1
        return key

    def pmi(self, pair: tuple[str, str]) -> float:
        """Pointwise mutual information of an edge, in bits."""
        one, other = (self.nodes[key].sentences for key in pair)
        return math.log2(self.edges[pair].sentences * self.sentences / (one * other))

    def strongest(self, count: int, least: int = 2) -> list[tuple[str, str]]:
        """The edges with the highest PMI of those that at least so many sentences have."""
        often = [pair for pair, edge in self.edges.items() if edge.sentences >= least]
        return sorted(often, key=lambda pair: (-self.pmi(pair), pair))[:count]

    def to_networkx(self, pairs: Iterable[tuple[str, str]] | None = None):
        """A networkx.Graph of these edges and their nodes; None: of all."""
        import networkx

        graph = networkx.Graph()
        if pairs is None:
            pairs, keys = list(self.edges), list(self.nodes)
        else:
            pairs = list(pairs)
            keys = dict.fromkeys(chain.from_iterable(pairs))
        for key in keys:
            node = self.nodes[key]
            about = {"name": for_xml(node.name), "type": node.type, "ids": " ".join(node.ids)}
            graph.add_node(for_xml(key), **about, grounded=node.how, sentences=node.sentences)
        for pair in pairs:
            edge = self.edges[pair]
            said = " || ".join(f"{document}: {text}" for document, text in edge.examples)
            weights = {"sentences": edge.sentences, "pmi": self.pmi(pair)}
            graph.add_edge(*map(for_xml, pair), **weights, examples=for_xml(said))
        return graph

    def write_graphml(self, path: str | Path) -> None:
        """One GraphML file (library: networkx), for Gephi, Cytoscape and others."""
        import networkx

        networkx.write_graphml(self.to_networkx(), Path(path))

    def write_neo4j(self, folder: str | Path) -> None:
        """nodes.csv and edges.csv, as `neo4j-admin database import` reads them."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        head = ["key:ID", "name", "ids:string[]", "grounded", "sentences:int", ":LABEL"]
        rows = []
        for key, node in self.nodes.items():
            ids = ";".join(node.ids)
            rows.append([key, node.name, ids, node.how, node.sentences, node.type])
        _write_csv(folder / "nodes.csv", head, rows)
        head = [":START_ID", ":END_ID", "sentences:int", "pmi:double", "examples:string[]", ":TYPE"]
        rows = []
        for pair, edge in self.edges.items():
            said = ";".join(text.replace(";", ",") for _, text in edge.examples)
            rows.append([*pair, edge.sentences, f"{self.pmi(pair):.4f}", said, "IN_SENTENCE_WITH"])
        _write_csv(folder / "edges.csv", head, rows)


def _write_csv(path: Path, head: list[str], rows: Iterable[list]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for row in (head, *rows):
            csv.writer(file).writerow([without_halves(str(cell)) for cell in row])
