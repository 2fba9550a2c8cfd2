"""Several seeds as one tagger: what it computes, and that it is a run as any other."""

import json

import pytest
import torch
from small_runs import small, tagger_for

from bioner_lib import (
    MultiTaskTagger,
    RunConfig,
    WorkbookError,
    calibrate,
    evaluate,
    forget,
    load_corpus,
    model_card,
    read_tagger,
    run,
)
from bioner_lib.board import board_table, cost_table
from bioner_lib.board.comparison import repetitions
from bioner_lib.models.batching import Example, collate
from bioner_lib.models.ensemble import Ensemble
from bioner_lib.models.quantization import quantized
from bioner_lib.models.span_scores import Calibration
from bioner_lib.runs.evaluations import cross_corpus

SAMPLE = load_corpus("sample").limit(8)
WORDS = [sentence.tokens for sentence in SAMPLE.test]


def members(tiny, count=2, **options):
    """Taggers with random weights, which differ."""
    made = []
    for seed in range(count):
        tagger = tagger_for(tiny, [SAMPLE], **options).eval()
        torch.manual_seed(seed)
        for parameter in tagger.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
        made.append(tagger)
    return made


def batch_of(tagger):
    examples = [Example(window, 0, {}) for window in tagger.aligner.windows(WORDS)]
    return collate(examples, 0)


@pytest.mark.parametrize("options", [{}, {"decoder": "crf"}, {"sentence_head": "types-router"}])
def test_scores_are_the_mean_of_the_members(tiny, options):
    own = members(tiny, **options)
    ensemble, inputs = Ensemble(own), batch_of(own[0]).inputs
    with torch.inference_mode():
        together = ensemble(**inputs)
        apart = [member(**inputs) for member in own]
    for name, logits in together.logits.items():
        mean = (apart[0].logits[name] + apart[1].logits[name]) / 2
        torch.testing.assert_close(logits, mean)
    for name, table in together.tables.items():
        mean = (apart[0].tables[name] + apart[1].tables[name]) / 2
        torch.testing.assert_close(table, mean)
        torch.testing.assert_close(dict(ensemble.named_heads)[name].table(), mean)
    if "sentence_head" in options:
        mean = (apart[0].sentence + apart[1].sentence) / 2
        torch.testing.assert_close(together.sentence, mean)
        assert len(ensemble.sentence_types(WORDS)) == len(WORDS)
    assert ensemble.predict(WORDS) != own[0].predict(WORDS)
    twins = Ensemble([own[0], own[0]])
    assert [[mention[:3] for mention in mentions] for mentions in twins.predict(WORDS)] == [
        [mention[:3] for mention in mentions] for mentions in own[0].predict(WORDS)
    ]


def test_members_must_give_the_same_tags(tiny):
    (first,) = members(tiny, 1)
    with pytest.raises(WorkbookError, match="two members or more, not 1"):
        Ensemble([first])
    (other,) = members(tiny, 1, scheme="IOBES" if first.scheme == "IOB2" else "IOB2")
    with pytest.raises(WorkbookError, match=r"the same scheme.*number 2 has"):
        Ensemble([first, other])
    (other,) = members(tiny, 1, context=8)
    with pytest.raises(WorkbookError, match=r"the same context.*has 0, number 2 has 8"):
        Ensemble([first, other])
    fewer = tagger_for(tiny, [load_corpus("sample:Gene").limit(8)])
    with pytest.raises(WorkbookError, match=r"the same heads.*number 3 has"):
        Ensemble([first, first, fewer])


def test_transitions_belong_to_their_heads_whatever_the_order(tiny):
    corpora = [load_corpus(f"sample:{type}").limit(8) for type in ("Gene", "Disease")]
    pair = [tagger_for(tiny, own, decoder="crf") for own in (corpora, corpora[::-1])]
    for member in pair:
        for name, head in member.named_heads:
            head.transitions.data.fill_(1.0 if name == "Gene" else 5.0)
    for name, head in Ensemble(pair).named_heads:
        assert (head.transitions == (1.0 if name == "Gene" else 5.0)).all()


def test_sentence_scores_belong_to_their_types_whatever_the_order(tiny):
    corpora = [load_corpus(f"sample:{type}").limit(8) for type in ("Gene", "Disease")]
    pair = [tagger_for(tiny, own, sentence_head="types") for own in (corpora, corpora[::-1])]
    for member in pair:
        head = member.sentence_head
        head.linear.weight.data.zero_()
        head.linear.bias.data = torch.tensor([5.0 if t == "Gene" else -5.0 for t in head.types])
    both = Ensemble(pair)
    assert both.sentence_head.types == ["Gene", "Disease"]
    batch = collate([Example(both.aligner.windows([["OPA1"]])[0], 0, {})], 0)
    assert both(**batch.inputs).sentence[0].tolist() == [5.0, -5.0]
    with pytest.raises(WorkbookError, match="no sharing weights of its own"):
        both.sharing_weights([["OPA1"]])


def test_an_ensemble_is_saved_with_its_calibration_only(tiny, tmp_path):
    ensemble = Ensemble(members(tiny))
    about = {"types": {"Gene": {"exponent": 2.0, "threshold": 0.5}}}
    ensemble.calibration = Calibration({"Gene": 2.0}, {"Gene": 0.5}, about)
    ensemble.save_pretrained(tmp_path / "a")
    assert read_tagger(tmp_path / "a").calibration.exponents == ensemble.calibration.exponents
    ensemble.calibration = None
    ensemble.save_pretrained(tmp_path / "a")
    assert read_tagger(tmp_path / "a").calibration is None
    with pytest.raises(WorkbookError, match="an int8 copy can't be saved"):
        quantized(ensemble).save_pretrained(tmp_path / "b")


def test_a_saved_ensemble_holds_its_members(tiny, tmp_path):
    ensemble = Ensemble(members(tiny))
    ensemble.save_pretrained(tmp_path / "three", card="# A card")
    again = read_tagger(tmp_path / "three")
    assert again.predict(WORDS) == ensemble.predict(WORDS)
    assert len(quantized(again).predict(WORDS)) == len(WORDS)
    assert (tmp_path / "three" / "README.md").read_text() == "# A card"
    again.save_pretrained(tmp_path / "three")
    assert not (tmp_path / "three" / "README.md").exists(), "it was the earlier one's"
    with pytest.raises(WorkbookError, match=r"is an ensemble.*take one of its members"):
        MultiTaskTagger.from_pretrained(tmp_path / "three")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [1, 2]}, "an ensemble takes two seeds or more"),
        ({"system": "ensemble"}, "an ensemble takes two seeds or more"),
        ({"system": "ensemble", "seeds": [1, 1]}, "an ensemble takes two seeds or more"),
        ({"system": "ensemble", "seeds": ["1", 2]}, "expected numbers such as"),
        ({"system": "ensemble", "seeds": 3}, "expected numbers such as"),
        ({"system": "ensemble", "seeds": [1, -2]}, "seed=-2; expected 0"),
    ],
)
def test_impossible_ensembles_are_refused(changes, message):
    with pytest.raises(WorkbookError, match=message):
        RunConfig(corpora="sample", **changes).members  # noqa: B018


def test_the_order_of_seeds_changes_nothing(tiny):
    one, other = (small(tiny, system="ensemble", seeds=seeds) for seeds in ([2, 1], [1, 2, 2]))
    assert one.run_id == other.run_id
    assert small(tiny, seed=2).run_id == one.members[2].run_id


def test_an_ensemble_is_a_run(tiny, outputs):
    config = small(tiny, "sample:Gene", system="ensemble", seeds=[1, 2])
    row = run(config, progress=False)
    assert {parent["run_id"] for parent in row["parents"].values()} == {
        member.run_id for member in config.members.values()
    }
    found = row["scores"]["sample:Gene"]["test"]
    assert evaluate(config.run_id, "sample:Gene", limit=40)["types"] == found["types"]
    calibrate(config.run_id)
    assert read_tagger(config.run_id).calibration is not None
    card = str(model_card(config.run_id))
    assert "an ensemble of the seeds 1, 2" in card
    assert "to load 2 members, whose training other runs paid" in card
    (line,) = cross_corpus([config.run_id], ["sample-gene"], limit=40)
    assert line["types"] == ["Gene"]
    rows = [row, *(run(member, progress=False) for member in config.members.values())]
    assert repetitions(config) == [row]
    table = board_table(rows)
    (name,) = {name for name in table["name"] if name.startswith("ensemble of 2 ")}
    assert "seeds" not in name and "seed " not in name
    assert len(cost_table(rows)) == 1, "only what was trained"

    student = small(tiny, ["sample:Gene", "sample-disease"], teacher=config.run_id, confidence=0.0)
    assert run(student, progress=False)["self_labelled"], "it labels as a tagger does"
    again = small(tiny, "sample:Gene", start_from=config.run_id)
    with pytest.raises(WorkbookError, match=r"is an ensemble, which can only tag"):
        run(again, progress=False)


def test_a_changed_or_missing_member_is_named(tiny, outputs):
    config = small(tiny, "sample:Gene", system="ensemble", seeds=[1, 2])
    run(config, progress=False)
    first, second = config.members.values()
    path = outputs / "runs" / first.run_id / "run.json"
    made = json.loads(path.read_text())
    made["scores"]["sample:Gene"]["test"]["types"]["Gene"]["tp"] += 1
    path.write_text(json.dumps(made))
    with pytest.raises(WorkbookError, match="changed since: parents / seed 1"):
        run(config, progress=False)
    forget(second.run_id)
    with pytest.raises(WorkbookError, match=f"no tagger '{second.run_id}'"):
        read_tagger(config.run_id)
    assert repetitions(config) == []
