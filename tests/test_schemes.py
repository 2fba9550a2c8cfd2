from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

from bioner_lib.corpora.schemes import detect_scheme, flat, tag_names, to_spans, to_tags

TAGS = [tag for name in ("Gene", "Disease") for tag in tag_names([name], "IOBES")] + ["O"]
spans = st.lists(
    st.tuples(st.integers(0, 14), st.integers(1, 4), st.sampled_from(["Gene", "Disease"]))
).map(lambda raw: flat((start, min(start + size, 15), name) for start, size, name in raw))


@given(spans, st.sampled_from(["IOB2", "IOBES"]))
def test_spans_survive_tags(spans, scheme):
    repairs = Counter()
    assert to_spans(to_tags(spans, 15, scheme), scheme, repairs) == spans
    assert not repairs


@given(spans, st.sampled_from([("IOB2", IOB2), ("IOBES", IOBES)]))
def test_seqeval_reads_our_tags_as_we_do(spans, scheme):
    ours, theirs = scheme
    found = Entities([to_tags(spans, 15, ours)], scheme=theirs).entities[0]
    assert [(entity.start, entity.end, entity.tag) for entity in found] == spans


@given(st.lists(st.sampled_from([t for t in TAGS if t[0] in "OBI"]), max_size=12))
def test_repair_is_what_lenient_seqeval_does(tags):
    assert to_spans(tags) == [(start, end + 1, name) for name, start, end in get_entities(tags)]


def test_repairs_are_counted():
    repairs = Counter()
    assert to_spans(["O", "I-Gene", "I-Gene", "B-Disease", "I-Gene"], "IOB2", repairs) == [
        (1, 3, "Gene"),
        (3, 4, "Disease"),
        (4, 5, "Gene"),
    ]
    assert repairs == {"I- without B-": 2}


def test_touching_mentions_in_every_scheme():
    spans = [(0, 2, "Gene"), (2, 3, "Gene")]
    assert to_tags(spans, 3) == ["B-Gene", "I-Gene", "B-Gene"]
    assert to_tags(spans, 3, "IOBES") == ["B-Gene", "E-Gene", "S-Gene"]
    assert to_spans(["I-Gene", "I-Gene", "B-Gene"], "IOB1") == spans


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-X", "I-X"], "IOB2"),
        (["O", "I-X", "B-X"], "IOB1"),
        (["S-X", "O"], "IOBES"),
        (["O"], "IOB2"),
        (["B-X", "I-Y"], "IOB2"),
    ],
)
def test_scheme_is_found_out(tags, scheme):
    assert detect_scheme([tags]) == scheme


@pytest.mark.parametrize("tag", ["X-Gene", "Gene", "B-", "", "O-Gene"])
def test_unknown_tag_is_named(tag):
    with pytest.raises(ValueError, match="unknown tag"):
        to_spans(["O", tag])


def test_overlap_and_outside_are_refused():
    with pytest.raises(ValueError, match="overlaps"):
        to_tags([(0, 2, "Gene"), (1, 3, "Disease")], 4)
    with pytest.raises(ValueError, match="outside"):
        to_tags([(2, 5, "Gene")], 4)
