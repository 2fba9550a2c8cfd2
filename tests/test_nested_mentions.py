"""Nested mentions of a user's own corpus: tags hold the longest, and nobody is left to guess it."""

import pytest

from bioner_lib import load_corpus
from bioner_lib.errors import DataError

TEXT = "lung cancer with EGFR"


@pytest.fixture
def nested(tmp_path):
    """Three documents with a Disease around an Organ, and a Gene, as PubTator files."""
    for role in ("train", "dev", "test"):
        lines = [f"1{role}|t|{TEXT}", f"1{role}|a|"]
        for start, end, type in ((0, 11, "Disease"), (0, 4, "Organ"), (17, 21, "Gene")):
            lines.append(f"1{role}\t{start}\t{end}\t{TEXT[start:end]}\t{type}")
        (tmp_path / f"{role}.pubtator").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_corpus_says_how_many_mentions_it_lacks(nested):
    corpus = load_corpus(nested)
    assert corpus.counts("test") == {"Disease": 1, "Gene": 1}
    assert corpus.note.endswith("2 of 3 annotated mentions of test are kept")
    assert load_corpus(f"{nested}:Disease").note == corpus.note


def test_a_view_of_a_type_that_lost_all_its_mentions_is_refused(nested):
    """Its tagger would learn that no organ is one, and right predictions would count as wrong."""
    with pytest.raises(DataError, match=r"holds no mention of 'Organ'.* labels = \{ Organ = "):
        load_corpus(f"{nested}:Organ")
    labels = 'labels = { Organ = "Organ", Disease = "", Gene = "" }\n'
    (nested / "corpus.toml").write_text(labels)
    alone = load_corpus(nested)
    assert (alone.counts("test"), alone.note) == ({"Organ": 1}, "")
