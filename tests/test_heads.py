from collections import Counter
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.corpora.schemes import tag_names, to_spans, to_tags
from bioner_lib.models.heads import Chain, Head, allowed_transitions, heads_for, plan_heads


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_allowed_transitions_are_those_of_the_scheme(scheme):
    """A pair is allowed if and only if it stands in the tags of some spans."""
    tags = tag_names(["X", "Y"], scheme)
    seen = {("edge", "edge")}
    spans = [
        (start, end, name) for start in range(4) for end in range(start + 1, 5) for name in "XY"
    ]
    for chosen in [
        (),
        *((s,) for s in spans),
        *((a, b) for a, b in product(spans, spans) if a[1] <= b[0]),
    ]:
        seen |= set(pairwise(["edge", *to_tags(chosen, 4, scheme), "edge"]))
    table = allowed_transitions(tags)
    for i, before in enumerate([*tags, "edge"]):
        for j, after in enumerate([*tags, "edge"]):
            assert (table[i, j] == 0) == ((before, after) in seen), (before, after)


def random_chain(seed, scheme):
    """Three rows of up to 4 positions: a whole sentence, a shorter one, and a middle window."""
    generator = torch.Generator().manual_seed(seed)
    tags = tag_names(["X"], scheme)
    table = torch.randn(len(tags) + 1, len(tags) + 1, generator=generator).masked_fill(
        allowed_transitions(tags).isneginf(), -1e4
    )
    lengths = torch.tensor([4, int(torch.randint(1, 4, (1,), generator=generator)), 3])
    edges = torch.tensor([True, True, False])
    chain = Chain(table, torch.arange(4)[None] < lengths[:, None], edges, edges)
    return chain, torch.randn(3, 4, len(tags), generator=generator) * 2, lengths.tolist()


def all_paths(chain, scores, row, length):
    """path -> its score, summed term by term."""
    paths = {}
    for path in product(range(scores.shape[-1]), repeat=length):
        total = sum(scores[row, i, t].item() for i, t in enumerate(path)) + sum(
            chain.table[a, b].item() for a, b in pairwise(path)
        )
        if chain.opens[row]:
            total += chain.table[-1, path[0]].item() + chain.table[path[-1], -1].item()
        paths[path] = total
    return paths


def log_sum(values):
    return torch.tensor(list(values), dtype=torch.float64).logsumexp(0).item()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from(["IOB2", "IOBES"]))
def test_chain_equals_brute_force(seed, scheme):
    """Partition, one path's score, marginals and the best path, over every sequence there is."""
    chain, scores, lengths = random_chain(seed, scheme)
    partition = chain.log_partition(scores)
    marginals = chain.marginals(scores)
    best = chain.best(scores)
    given_path = torch.randint(
        scores.shape[-1], scores.shape[:2], generator=torch.Generator().manual_seed(seed)
    )
    path_scores = chain.path_score(scores, given_path)
    for row, length in enumerate(lengths):
        paths = all_paths(chain, scores, row, length)
        assert partition[row].item() == pytest.approx(log_sum(paths.values()), abs=1e-4)
        assert path_scores[row].item() == pytest.approx(
            paths[tuple(given_path[row, :length].tolist())], rel=1e-5, abs=1e-3
        )
        assert paths[tuple(best[row, :length].tolist())] == pytest.approx(
            max(paths.values()), abs=1e-4
        )
        for i, t in product(range(length), range(scores.shape[-1])):
            share = log_sum(total for path, total in paths.items() if path[i] == t) - log_sum(
                paths.values()
            )
            assert marginals[row, i, t].item() == pytest.approx(
                torch.tensor(share).exp().item(), abs=1e-4
            )


def test_an_empty_row_counts_nothing():
    chain, scores, _ = random_chain(1, "IOB2")
    chain.valid[1] = False
    assert chain.log_partition(scores)[1] == 0.0
    assert chain.path_score(scores, torch.zeros(3, 4, dtype=torch.long))[1] == 0.0


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_decoding_never_needs_repair(decoder, scheme):
    torch.manual_seed(0)
    head = Head(4, ["X", "Y"], scheme, decoder)
    repairs = Counter()
    yes = torch.ones(20, dtype=torch.bool)
    tags, scores = head.decode(
        3 * torch.randn(20, 9, len(head.tags)), torch.ones(20, 9, dtype=torch.bool), yes, yes
    )
    for row, probabilities in zip(tags.tolist(), scores.tolist(), strict=True):
        spans = head.spans([head.tags[t] for t in row], probabilities, repairs)
        assert [span[:3] for span in spans] == to_spans([head.tags[t] for t in row], scheme)
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


def test_repairs_of_a_head_are_counted():
    repairs = Counter()
    assert Head(4, ["X"], "IOB2").spans(["O", "I-X"], [1.0, 0.5], repairs) == [(1, 2, "X", 0.5)]
    assert repairs == {"I- without B-": 1}


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_the_shortcut_finds_what_the_search_finds(scheme):
    """Rows whose best tags are legal are not searched; some rows are empty or cut."""
    torch.manual_seed(0)
    table = allowed_transitions(tag_names(("Gene", "Disease"), scheme))
    lengths = torch.arange(200) % 6
    valid = torch.arange(5) < lengths[:, None]
    opens, closes = torch.rand(200) < 0.5, torch.rand(200) < 0.5
    chain = Chain(table, valid, opens, closes)
    scores = torch.randn(200, 5, len(table) - 1)
    scores[::2, :, 0] += 3  # mostly O: legal
    found, searched = chain.best_of_allowed(scores), chain.best(scores)
    assert torch.equal(found[valid], searched[valid])
    assert (scores.argmax(-1) != searched)[valid].any()


def test_padding_asks_for_no_search(monkeypatch):
    """Tags behind a sentence's end may follow each other in any way."""
    tags = tag_names(["X"], "IOBES")
    table = allowed_transitions(tags)
    scores = torch.zeros(1, 4, len(tags))
    chosen = [tags.index(tag) for tag in ("O", "S-X", "I-X", "B-X")]
    scores[0, range(4), chosen] = 5.0
    both, valid = torch.ones(1, dtype=torch.bool), torch.tensor([[True, True, False, False]])
    chain = Chain(table, valid, both, both)
    monkeypatch.setattr(Chain, "best", lambda *_: pytest.fail("searched"))
    assert chain.best_of_allowed(scores)[0, :2].tolist() == chosen[:2]


def test_a_view_is_read_by_the_head_of_its_corpus():
    corpora = [load_corpus(name) for name in ("sample-disease", "sample")]
    plans = plan_heads("per-corpus", corpora)
    assert heads_for(plans, "sample", ["Disease"]) == ["sample"]
    assert heads_for(plans, "sample:Disease", ["Disease"]) == ["sample"]
    assert heads_for(plans, "elsewhere:Disease", ["Disease"]) == ["sample-disease", "sample"]
