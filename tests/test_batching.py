from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioner_lib import load_corpus
from bioner_lib.corpora.schemes import tag_names, to_spans
from bioner_lib.errors import WorkbookError
from bioner_lib.models.alignment import Aligner, Window
from bioner_lib.models.batching import (
    IGNORED,
    Example,
    bucket,
    collate,
    draw,
    epoch_batches,
    inference_batches,
    make_examples,
)
from bioner_lib.models.encoders import load_tokenizer


def example(length, corpus=0):
    return Example(
        Window(0, [5] * length, list(range(1, length - 1)), list(range(length - 2))),
        corpus,
        {"Gene": [0] * (length - 2)},
    )


@given(
    st.lists(st.integers(3, 60), min_size=1, max_size=200),
    st.integers(1, 16),
    st.integers(60, 400),
    st.booleans(),
)
def test_buckets_hold_every_window_once_within_bounds(lengths, batch_size, max_pieces, shuffled):
    batches = bucket(
        lengths, batch_size, max_pieces, np.random.default_rng(0) if shuffled else None
    )
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(
        len(batch) <= batch_size
        and max(lengths[i] for i in batch) * len(batch) <= max(max_pieces, max(lengths))
        for batch in batches
    )


def test_batches_follow_seed_and_epoch():
    corpora = [
        [example(n % 30 + 3) for n in range(200)],
        [example(n % 20 + 3, 1) for n in range(50)],
    ]
    arguments = {"batch_size": 8, "max_pieces": 512, "sampling": "proportional", "temperature": 2.0}
    first, again, later = (epoch_batches(corpora, epoch, 13, **arguments) for epoch in (0, 0, 1))
    shape = [[(len(e.window.input_ids), e.corpus) for e in batch] for batch in first]
    assert shape == [[(len(e.window.input_ids), e.corpus) for e in batch] for batch in again]
    assert shape != [[(len(e.window.input_ids), e.corpus) for e in batch] for batch in later]
    assert sum(map(len, first)) == 250
    assert any(len({e.corpus for e in batch}) == 2 for batch in first), (
        "batches are mixed across corpora"
    )


def test_padding_is_small():
    corpora = [[example(int(n)) for n in np.random.default_rng(1).integers(5, 120, 2000)]]
    batches = epoch_batches(corpora, 0, 13, 16, 4096, "proportional", 2.0)
    real = sum(len(e.window.input_ids) for batch in batches for e in batch)
    padded = sum(len(batch) * max(len(e.window.input_ids) for e in batch) for batch in batches)
    assert padded < 1.1 * real


@pytest.mark.parametrize(
    ("policy", "shares"),
    [
        ("proportional", (100, 900)),
        ("sqrt", (250, 750)),
        ("uniform", (500, 500)),
        ("temperature", (250, 750)),
        ("main", (500, 500)),
    ],
)
def test_sampling_policies(policy, shares):
    drawn = draw([100, 900], policy, np.random.default_rng(0))
    assert tuple(map(len, drawn)) == shares
    counts = Counter(drawn[0].tolist())
    assert max(counts.values()) - min(counts.values()) <= 1, "nothing repeats before all were drawn"


def test_half_of_all_is_the_main_corpus():
    drawn = draw([100, 300, 600], "main", np.random.default_rng(0))
    assert tuple(map(len, drawn)) == (500, 167, 333), "the others share the rest by size"
    assert list(map(len, draw([0, 50], "main", np.random.default_rng(0)))) == [0, 50]
    assert list(map(len, draw([100], "main", np.random.default_rng(0)))) == [100], (
        "nothing to share with"
    )


@pytest.mark.parametrize("total", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("sizes", [[20, 20], [20, 20, 20], [7, 0, 1]])
def test_an_epoch_has_the_size_that_was_asked_for(total, sizes):
    for policy in ("proportional", "sqrt", "uniform", "main"):
        drawn = draw(sizes, policy, np.random.default_rng(0), total=total)
        assert sum(map(len, drawn)) == total, policy


@pytest.mark.parametrize("policy", ["proportional", "sqrt", "main"])
def test_a_small_corpus_gets_its_share_over_the_epochs(policy):
    """Also where its share of an epoch is less than one example."""
    rng, sizes = np.random.default_rng(0), [5, 5, 1_000]
    epochs = [[len(own) for own in draw(sizes, policy, rng, total=20)] for _ in range(2_000)]
    mean = np.mean(epochs, 0)
    power = {"sqrt": 0.5}.get(policy, 1.0)
    shares = np.array(sizes) ** power
    if policy == "main":
        shares[0] = shares[1:].sum()
    assert mean == pytest.approx(20 * shares / shares.sum(), abs=0.03)


def test_nothing_is_left_to_chance_where_shares_are_whole():
    one, other = (np.random.default_rng(7) for _ in range(2))
    drawn = draw([4, 6], "proportional", one)
    assert [own.tolist() for own in drawn] == [other.permutation(n).tolist() for n in (4, 6)]


def test_the_bound_counts_what_padding_adds():
    examples = [Example(Window(0, [1] * 9, [], []), 0, {}) for _ in range(40)]
    tagging = [
        [examples[i] for i in group]
        for group in inference_batches([example.window for example in examples], 160)
    ]
    training = epoch_batches([examples], 0, 1, 32, 160, "proportional", 1.0)
    for batch in tagging + training:
        assert collate(batch, 0).input_ids.numel() <= 160


def test_unknown_policy():
    with pytest.raises(WorkbookError, match="unknown sampling 'equal'"):
        draw([1], "equal", np.random.default_rng(0))


def test_collate_pads_and_ignores():
    batch = collate([example(5), example(9, 1)], pad=7)
    assert batch.input_ids.shape == (2, 16)
    assert batch.input_ids[0, 5:].tolist() == [7] * 11
    assert batch.attention_mask.sum(1).tolist() == [5, 9]
    assert batch.valid.sum(1).tolist() == [3, 7]
    assert (batch.tags["Gene"][~batch.valid] == IGNORED).all()
    assert batch.corpus.tolist() == [0, 1]


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
@pytest.mark.parametrize("way", ["first", "all"])
def test_examples_carry_each_heads_tags(scheme, way):
    data = load_corpus("sample")
    aligner = Aligner(load_tokenizer("minilm"), 32, 8, way)
    heads = {"Gene": ("Gene",), "joint": data.types}
    assert len(aligner.windows([s.tokens for s in data.dev])) > 1.2 * len(data.dev), (
        "many sentences need several windows"
    )
    examples = make_examples(aligner, data.dev, 0, heads, scheme)
    stitched: dict[int, list[str]] = {}
    for e in examples:
        assert all(len(tags) == len(e.window.words) for tags in e.tags.values())
        stitched.setdefault(e.window.sentence, []).extend(
            tag_names(data.types, scheme)[tag] for tag in e.tags["joint"]
        )
    repairs = Counter()
    found = Counter(
        name for names in stitched.values() for _, _, name in to_spans(names, scheme, repairs)
    )
    assert found == data.counts("dev")
    assert not repairs, "a mention that a window border crosses is still one mention"
