"""Which terms enter a lexicon: filters, ambiguous names, symbols beside names."""

from collections import Counter

import pytest
from small_corpora import write

from bioner_lib import Lexicon, WorkbookError
from bioner_lib.errors import DataError
from bioner_lib.silver.term_sources import read_terms
from bioner_lib.silver.terms import Term, select


def test_filters_are_counted_and_shown(tmp_path):
    text = "\n".join(
        [
            "\tGene",
            "q\tGene",
            "42\tChemical",
            "the\tChemical",
            "rest\tGene",
            "REST\tGene",
            "lead\tChemical",
            "lead\tDisease",
            "optic atrophy\tDisease",
            "Optic Atrophy\tDisease",
            "a b c d e f g h i j k\tDisease",
            "TNF\tGene",
        ]
    )
    selection = select(read_terms(write(tmp_path, "own.tsv", text)))
    assert [(" ".join(words), name, symbol) for words, name, _, symbol in selection.entries] == [
        ("REST", "Gene", True),
        ("optic atrophy", "Disease", False),
        ("TNF", "Gene", True),
    ]
    assert selection.dropped == {
        ("empty", "Gene"): 1,
        ("one or two characters", "Gene"): 1,
        ("one or two characters", "Chemical"): 1,
        ("stop word", "Chemical"): 1,
        ("English word", "Gene"): 1,
        ("ambiguous between types", "Chemical"): 1,
        ("ambiguous between types", "Disease"): 1,
        ("same form again", "Disease"): 1,
        ("more than ten words", "Disease"): 1,
        ("same form again", "Gene"): 0,
    }
    assert selection.examples["English word"] == ["rest"]
    assert selection.examples["ambiguous between types"] == ["lead"]
    chosen = select(read_terms(tmp_path / "own.tsv"), priority=("Disease",))
    assert (["lead"], "Disease", "", False) in chosen.entries


def test_what_filters_drop_is_a_table():
    terms = [Term("of", "Disease"), Term("x", "Gene"), Term("TP53", "Gene", "", True)]
    table = select(terms).table()
    assert table.loc["one or two characters", ["Disease", "Gene"]].tolist() == [1, 1]
    assert table.loc["one or two characters", "examples"] == "of, x"
    assert len(select([]).table()) == 0


@pytest.mark.parametrize("priority", [(), ("Gene",)])
def test_every_term_is_an_entry_or_dropped_once_under_its_own_type(priority):
    terms = [
        Term("abc syndrome", "Gene"),
        Term("abc syndrome", "Disease"),
        Term("ABC syndrome", "Disease"),
        Term("cat", "Species"),
        Term("CAT", "Gene", "", True),
    ]
    selection = select(terms, priority=priority)
    counted = Counter(type for _, type, *_ in selection.entries)
    for (_, type), count in selection.dropped.items():
        counted[type] += count
    assert counted == {"Gene": 2, "Disease": 2, "Species": 1}


NAME = Term("cat", "Species", "s")
SYMBOL = Term("CAT", "Gene", "g", True)
OTHER = Term("Cat", "Disease", "d", True)
VIRUS = [Term("CAT", "Virus", "", True), Term("cat", "Virus")]


@pytest.mark.parametrize(
    ("terms", "priority", "types"),
    [
        ([SYMBOL, NAME], (), ["", "", ""]),
        ([SYMBOL, NAME], ("Gene",), ["Species", "Gene", "Species"]),
        ([NAME, SYMBOL], ("Gene", "Species"), ["Species", "Gene", "Species"]),
        ([SYMBOL, NAME], ("Species",), ["Species", "Species", "Species"]),
        ([NAME, SYMBOL], ("Species",), ["Species", "Species", "Species"]),
        # symbols in other letters aren't rivals
        ([SYMBOL, OTHER], (), ["", "Gene", "Disease"]),
        ([SYMBOL, OTHER, NAME], ("Gene", "Disease"), ["Species", "Gene", "Disease"]),
        # no source gives Cat as a species
        ([SYMBOL, OTHER, NAME], ("Gene",), ["", "Gene", ""]),
        (VIRUS, (), ["Virus", "Virus", "Virus"]),
    ],
)
def test_a_symbol_and_a_name_share_a_form(terms, priority, types):
    """A name matches in all letters, the symbol's own too."""
    lexicon = Lexicon(select(terms, priority=priority).entries)
    tagged = [lexicon.tag([word]) for word in ("cat", "CAT", "Cat")]
    assert [spans[0][2] if spans else "" for spans in tagged] == types


def test_a_symbol_and_a_name_of_two_types_are_ambiguous():
    assert select([SYMBOL, NAME]).dropped["ambiguous between types", "Gene"] == 1


def test_an_unknown_type_in_the_priority_is_named():
    with pytest.raises(WorkbookError, match="unknown type in priority 'Gen'; did you mean 'Gene'"):
        select([SYMBOL], priority=("Gen",))


def test_lower_case_symbols_that_are_words():
    terms = [Term(name, "Gene", "", True) for name in ("hole", "MET", "p53")]
    assert [words for words, *_ in select(terms).entries] == [["MET"], ["p53"]]


def test_swapped_name_and_type_are_noticed(tmp_path):
    lines = "\n".join(f"Gene\tOPA{k}" for k in range(256))
    with pytest.raises(DataError, match=r"256 types, such as .*have name and type changed places"):
        select(read_terms(write(tmp_path, "own.tsv", lines)))
