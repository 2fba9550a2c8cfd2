from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.data.schemes import tag_names, to_spans, to_tags
from bioner_lib.models.heads import allowed_transitions, heads_for, plan_heads, viterbi


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_allowed_transitions_are_those_of_the_scheme(scheme):
    """A pair is allowed if and only if it stands in the tags of some spans."""
    tags = tag_names(["X", "Y"], scheme)
    seen = set()
    spans = [(start, end, name) for start in range(4) for end in range(start + 1, 5) for name in "XY"]
    for chosen in [(), *((s,) for s in spans), *((a, b) for a, b in product(spans, spans) if a[1] <= b[0])]:
        sequence = to_tags(chosen, 4, scheme)
        seen |= {("start", sequence[0]), *pairwise(sequence)}
    table = allowed_transitions(tags)
    for i, before in enumerate([*tags, "start"]):
        for j, after in enumerate(tags):
            assert (table[i, j] == 0) == ((before, after) in seen), (before, after)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 5), st.sampled_from(["IOB2", "IOBES"]))
def test_viterbi_equals_brute_force(seed, length, scheme):
    tags = tag_names(["X"], scheme)
    scores = torch.randn(1, 5, len(tags), generator=torch.Generator().manual_seed(seed))
    table = allowed_transitions(tags)
    valid = torch.arange(5)[None] < length
    found = viterbi(scores, table[:-1], table[-1:], valid)[0, :length].tolist()

    def total(path):
        steps = table[-1, path[0]] + sum(table[a, b] for a, b in pairwise(path))
        return (steps + sum(scores[0, i, t] for i, t in enumerate(path))).item()

    assert total(found) == pytest.approx(max(map(total, product(range(len(tags)), repeat=length))), abs=1e-5)


def test_decoding_never_needs_repair():
    from collections import Counter

    from bioner_lib.models.heads import SoftmaxHead

    torch.manual_seed(0)
    head, repairs = SoftmaxHead(4, ["X", "Y"], "IOB2"), Counter()
    tags, scores = head.decode(torch.randn(20, 9, 5), torch.ones(20, 9, dtype=torch.bool), torch.ones(20, dtype=torch.bool))
    for row, probabilities in zip(tags.tolist(), scores.tolist(), strict=True):
        spans = head.spans(row, probabilities, repairs)
        assert [span[:3] for span in spans] == to_spans([head.tags[t] for t in row])
        assert all(0 < span[3] <= 1 for span in spans)
    assert not repairs


def test_layouts():
    corpora = [load_corpus("sample-gene"), load_corpus("sample:Gene+Virus")]
    assert [(p.name, p.types, p.corpora) for p in plan_heads("per-type", corpora)] == [
        ("Gene", ("Gene",), ("sample-gene", "sample:Gene+Virus")),
        ("Virus", ("Virus",), ("sample:Gene+Virus",)),
    ]
    assert [p.types for p in plan_heads("joint", corpora)] == [("Gene", "Virus")]
    own = plan_heads("per-corpus", corpora)
    assert heads_for(own, "sample-gene", ["Gene"]) == ["sample-gene"]
    assert heads_for(own, "elsewhere", ["Virus"]) == ["sample:Gene+Virus"]
    with pytest.raises(WorkbookError, match="no head knows any of"):
        heads_for(own, "elsewhere", ["Species"])
    with pytest.raises(WorkbookError, match="unknown heads 'per-tipe'; did you mean 'per-type'"):
        plan_heads("per-tipe", corpora)
