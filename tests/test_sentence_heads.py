"""The head for whole sentences: targets, loss, gate, scores."""

import math

import pytest
import torch

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, load_corpus, run
from bioner_lib.models.batching import IGNORED
from bioner_lib.models.heads import plan_heads
from bioner_lib.models.sentence_heads import SentenceLoss, SentenceTypes, make_sentence_head
from bioner_lib.runs.scored import _sentence_scores


@pytest.fixture
def two():
    return [load_corpus("sample-gene"), load_corpus("sample-disease")]


@pytest.mark.parametrize("layout", ["per-type", "joint", "per-corpus"])
def test_targets_are_the_types_that_a_window_mentions(two, layout):
    head = SentenceTypes(4, plan_heads(layout, two), "IOB2")
    assert head.types == ["Gene", "Disease"]
    if layout == "joint":  # O B-Gene I-Gene B-Disease I-Disease
        tags = {"joint": torch.tensor([[0, 1, 2], [3, 0, IGNORED], [0, IGNORED, IGNORED]])}
    else:
        names = [plan.name for plan in plan_heads(layout, two)]
        gene = torch.tensor([[0, 1, 2], [0, 0, IGNORED], [0, IGNORED, IGNORED]])
        disease = torch.tensor([[0, 0, 0], [1, 0, IGNORED], [0, IGNORED, IGNORED]])
        tags = dict(zip(names, (gene, disease), strict=True))
    assert head.targets(tags).tolist() == [[1, 0], [0, 1], [0, 0]]


def test_only_types_that_the_corpus_annotates_are_learned(two):
    from test_losses import batch_of

    head = SentenceTypes(4, plan_heads("per-type", two), "IOB2")
    scores = torch.tensor([[0.5, -2.0]], requires_grad=True)
    batch = batch_of(0, {"Gene": [0, 1, 2], "Disease": [0, 0, 0]})
    loss = SentenceLoss(head, two, negative=False)(scores, batch)
    assert loss.item() == pytest.approx(-math.log(1 / (1 + math.exp(-0.5))))
    loss.backward()
    assert scores.grad[0, 1] == 0
    half = SentenceLoss(head, two, False, {two[0].name: 0.5})(scores, batch)
    assert half.item() == pytest.approx(loss.item() / 2), "the weight of the window's corpus"
    both = SentenceLoss(head, two, negative=True)(scores, batch)
    assert both.item() == pytest.approx((loss.item() + math.log(1 + math.exp(-2.0))) / 2)


def test_the_gate_multiplies_mentions_by_the_probability_of_their_type(two):
    head = SentenceTypes(4, plan_heads("joint", two), "IOB2")
    logits = torch.randn(1, 2, 5)
    scores = torch.tensor([[math.log(3), -math.log(3)]])  # p = 3/4 and 1/4
    odds = head.gate(logits, scores, "joint").exp() / logits.exp()
    expected = [1, 0.75, 0.75, 0.25, 0.25]
    torch.testing.assert_close(odds, torch.tensor(expected).expand(1, 2, 5))


def test_padding_and_empty_windows_say_nothing(two):
    head = SentenceTypes(4, plan_heads("joint", two), "IOB2")
    hidden = torch.randn(2, 3, 4)
    valid = torch.tensor([[True, True, False], [False, False, False]])
    scores = head(hidden, valid)
    torch.testing.assert_close(scores[0], head(hidden[:1, :2], valid[:1, :2])[0])
    assert scores[1].isfinite().all()


def test_sentence_scores_by_hand():
    gold = [[(0, 1, "Gene"), (2, 3, "Gene")], [(0, 1, "Disease")], []]
    said = [{"Gene": 0.9, "Disease": 0.6}, {"Gene": 0.2, "Disease": 0.5}, {"Gene": 0.1}]
    scores = _sentence_scores(gold, said, ["Gene", "Disease"])
    assert (scores["Gene"]["f1"], scores["Gene"]["support"]) == (1.0, 1)
    assert (scores["Disease"]["precision"], scores["Disease"]["recall"]) == (0.5, 1.0)


def test_a_run_records_the_sentence_scores_and_its_tagger_keeps_the_head(outputs, tiny):
    base = {"corpora": ["sample-gene", "sample-disease"], "encoder": tiny, "epochs": 1, "limit": 24}
    base |= {"max_length": 64, "overlap": 8}
    config = RunConfig(**base, sentence_head="types-router")
    row = run(config, progress=False)
    for corpus, type in (("sample-gene", "Gene"), ("sample-disease", "Disease")):
        said = row["scores"][corpus]["test"]["sentence"]
        with_a_mention = sum(bool(s.spans) for s in load_corpus(corpus, limit=24).test)
        assert said[type]["support"] == with_a_mention
    tagger = MultiTaskTagger.from_pretrained(row["run_id"])
    (probabilities, empty) = tagger.sentence_types([["OPA1", "mutations"], []])
    assert set(probabilities) == {"Gene", "Disease"}
    assert all(0 < p < 1 for p in probabilities.values())
    assert empty == {"Gene": 0.0, "Disease": 0.0}
    plain = run(RunConfig(**base), progress=False)
    assert "sentence" not in plain["scores"]["sample-gene"]["test"]
    with pytest.raises(WorkbookError, match="has no sentence head; train it with"):
        MultiTaskTagger.from_pretrained(plain["run_id"]).sentence_types([["a"]])


def test_an_unknown_head_is_refused(two):
    with pytest.raises(WorkbookError, match="unknown sentence_head 'types-gate'"):
        RunConfig(corpora="sample", sentence_head="types-gate")
    with pytest.raises(WorkbookError, match="unknown sentence_head 'types-gate'"):
        make_sentence_head("types-gate", 4, plan_heads("joint", two), "IOB2")
    plain, router = (
        make_sentence_head(name, 4, plan_heads("joint", two), "IOB2")
        for name in ("types", "types-router")
    )
    assert (plain.is_router, router.is_router) == (False, True)
