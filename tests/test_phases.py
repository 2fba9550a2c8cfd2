"""Second phases, which start from an earlier run: heads, arms, budgets, refusals."""

import shutil

import pytest
import torch
from small_corpora import own_corpus
from small_runs import environment, quiet, small

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, load_corpus, run
from bioner_lib.board.budgets import check_budgets
from bioner_lib.board.comparison import repetitions
from bioner_lib.board.tables import results
from bioner_lib.choices import SHARING
from bioner_lib.models.heads import plan_heads
from bioner_lib.runs.leaks import trained_before
from bioner_lib.runs.rows import arm
from bioner_lib.training.building import build
from bioner_lib.training.loop import Loop

BOTH = ["sample-gene", "sample-disease"]


def trained(tiny, corpora="sample", **changes):
    """The configuration of a small run that has finished."""
    config = small(tiny, corpora, **changes)
    quiet(config)
    return config


def learning(config) -> dict[str, bool]:
    """Head -> whether a run would train it, with what is its own in the sharing."""
    loop = Loop(config, [load_corpus(name).limit(40) for name in config.corpora], progress=False)
    found = {}
    for i, (name, head) in enumerate(loop.tagger.named_heads):
        parameters = [*head.parameters(), *loop.tagger.sharing.own(i)]
        (found[name],) = {p.requires_grad for p in parameters}
    return found


def saved(outputs, config) -> MultiTaskTagger:
    return MultiTaskTagger.from_pretrained(outputs / "runs" / config.run_id / "model")


@pytest.mark.parametrize("taught", ["Gene", "Disease"])
@pytest.mark.parametrize("sharing", ["moe", "cross"])
def test_heads_that_nothing_teaches_are_frozen_wherever_they_stand(tiny, outputs, sharing, taught):
    """A second phase that teaches the first head only, or the last one only."""
    first = trained(tiny, BOTH, sharing=sharing)
    corpus = f"sample-{taught.lower()}"
    second = small(tiny, [corpus], sharing=sharing, start_from=first.run_id)
    assert learning(second) == {"Gene": taught == "Gene", "Disease": taught == "Disease"}


@pytest.mark.parametrize("sharing", ["moe", "cross", "adversarial"])
def test_a_head_of_weight_0_stays_as_the_first_phase_left_it(tiny, outputs, sharing):
    first = trained(tiny, BOTH, sharing=sharing)
    weights = {"loss_weights": {"Gene": 0}}
    second = small(tiny, BOTH, sharing=sharing, start_from=first.run_id, **weights)
    assert learning(second) == {"Gene": False, "Disease": True}


def test_a_new_head_with_weight_0_is_refused(tiny, outputs):
    given = {"start_from": trained(tiny, "sample-gene").run_id}
    with pytest.raises(WorkbookError, match=r"\weight 0, and start_from=.*nothing"):
        quiet(small(tiny, BOTH, loss_weights={"Disease": 0}, **given))
    assert quiet(small(tiny, BOTH, loss_weights={"Gene": 0}, **given))["scores"]


@pytest.mark.parametrize("sharing", SHARING)
def test_old_heads_stay_new_heads_come(tiny, outputs, sharing):
    """Gene and Disease, then Disease and Virus: Gene keeps its weights, Disease goes on."""
    first = trained(tiny, BOTH, sharing=sharing)
    then = ["sample-disease", "sample-virus"]
    second = small(tiny, then, sharing=sharing, start_from=first.run_id)
    corpora = [load_corpus(name).limit(40) for name in then]
    begun = build(second, plan_heads(second.heads, corpora))
    before = saved(outputs, first)
    assert [plan.name for plan in begun.plans] == ["Gene", "Disease", "Virus"]
    for i in range(2):
        assert torch.equal(begun.heads[i].linear.weight, before.heads[i].linear.weight)
    tokens = [s.tokens for s in corpora[0].test]
    if sharing != "cross":  # there a new head's view opens the old ones' gates
        assert before.predict(tokens, types=["Gene"]) == begun.predict(tokens, types=["Gene"])

    row = quiet(second)
    after = saved(outputs, second)
    gene, disease = (head.linear.weight for head in after.heads[:2])
    assert torch.equal(gene, before.heads[0].linear.weight), "nothing taught it"
    assert not torch.equal(disease, before.heads[1].linear.weight)
    for now, old in zip(after.sharing.own(0), before.sharing.own(0), strict=True):
        part = tuple(map(slice, old.shape))  # a gate has a row for each new head
        assert torch.equal(now[part], old), "nor its view, gate or route"
    assert row["parents"]["start_from"]["run_id"] == first.run_id
    assert row["parents"]["start_from"]["phases"] == [first.as_dict()]


def test_forgetting_is_told_of_the_same_mentions_only(tiny, outputs):
    """The second phase adds types: its micro average is of other mentions."""
    given = {"also_test": ["sample"]}
    first = trained(tiny, "sample-gene", **given)
    given["start_from"] = first.run_id
    second = small(tiny, ["sample-disease"], learning_rate=1e-9, **given)
    assert set(quiet(second)["forgotten"]["sample"]) == {"Gene"}
    shorter = small(tiny, "sample-gene", limit=20, **given)
    assert not quiet(shorter)["forgotten"], "other sentences"


def test_seeds_of_a_second_phase_are_repetitions_of_one_arm(tiny, outputs):
    rows = []
    for seed in (1, 2):
        first = trained(tiny, "sample-gene", seed=seed)
        second = small(tiny, "sample-disease", seed=seed, start_from=first.run_id)
        rows.append(quiet(second))
    assert [row["config"]["seed"] for row in repetitions(second)] == [1, 2]
    frame = results(rows)
    assert frame["arm"].nunique() == 1
    assert frame["name"].nunique() == 1
    assert "start_from=sample-gene" in frame["name"].iloc[0]


def test_the_first_phase_is_part_of_the_budget(tiny, outputs):
    def after(first):
        return quiet(small(tiny, "sample-disease", start_from=first.run_id))

    row = after(trained(tiny, "sample-gene"))
    with pytest.raises(WorkbookError, match=r"epochs differs \(1, 2\)"):
        check_budgets([row, quiet(small(tiny, "sample-disease"))])
    check_budgets([row, quiet(small(tiny, "sample-disease", epochs=2))])
    with pytest.raises(WorkbookError, match=r"batch_size differs \(4, 8\)"):
        check_budgets([row, after(trained(tiny, "sample-gene", batch_size=4))])


def test_a_parent_and_a_teacher_make_different_arms(tiny, outputs):
    parent = trained(tiny, ["sample@1/2:Gene", "sample@2/2:Disease"])
    after = quiet(small(tiny, parent.corpora, start_from=parent.run_id))
    taught = quiet(small(tiny, parent.corpora, teacher=parent.run_id))
    assert results([after, taught])["arm"].nunique() == 2
    assert [row["run_id"] for row in repetitions(RunConfig(**after["config"]))] == [after["run_id"]]


def test_saved_taggers_that_teach_or_start_make_arms_of_their_own():
    given = [{}] + [{name: f"/a/{of}"} for name in ("start_from", "teacher") for of in "bc"]
    configs = [RunConfig(corpora="sample", **fields) for fields in given]
    assert len({arm(config, {}, "fp32") for config in configs}) == len(given)
    _, missing = trained_before(configs[-1], {})
    assert missing == ["what taught /a/c"]


@pytest.fixture(scope="module")
def first_phases(tiny, tmp_path_factory):
    """An outputs folder with one run on sample-gene per kind of heads; their ids."""
    folder = tmp_path_factory.mktemp("outputs")
    with environment(BIONER_OUTPUTS=folder):
        kinds = ("per-type", "joint", "per-corpus")
        return folder, {heads: trained(tiny, "sample-gene", heads=heads).run_id for heads in kinds}


@pytest.fixture
def second_phase(tiny, first_phases, monkeypatch):
    """Makes the configuration of a run that starts from the first phase with such heads."""
    folder, run_ids = first_phases
    monkeypatch.setenv("BIONER_OUTPUTS", str(folder))

    def made(first_heads, corpora="sample-gene", **changes):
        return small(tiny, corpora, start_from=run_ids[first_heads], **changes)

    return made


@pytest.mark.parametrize(
    ("first_heads", "changes", "message"),
    [
        ("per-type", {"encoder": "minilm"}, r"trained encoder .* this run says 'minilm'"),
        ("per-type", {"scheme": "IOB2"}, "scheme='IOBES', this run says 'IOB2'"),
        ("per-type", {"sharing": "private"}, "sharing='hard', this run says 'private'"),
        ("per-type", {"decoder": "crf"}, "decoder='softmax', this run says 'crf'"),
        ("joint", {}, "heads='joint', this run says 'per-type'"),
        ("per-corpus", {}, "heads='per-corpus', this run says 'per-type'"),
        (
            "joint",
            {"corpora": "sample-disease", "heads": "joint"},
            r"head 'joint' knows \['Gene'\] in the first phase and \['Disease'\]",
        ),
    ],
)
def test_a_second_phase_of_another_design_is_refused(second_phase, first_heads, changes, message):
    with pytest.raises(WorkbookError, match=message):
        quiet(second_phase(first_heads, **changes))


@pytest.mark.parametrize(
    ("first_heads", "changes"),
    [("per-corpus", {"heads": "per-corpus"}), ("per-type", {"experts": 3})],
    ids=["same heads", "experts, which hard sharing has none of"],
)
def test_a_second_phase_of_the_same_design_goes_on(second_phase, first_heads, changes):
    config = second_phase(first_heads, **changes)
    row = quiet(config)
    assert row["scores"]
    assert row["parents"]["start_from"]["run_id"] == config.start_from


def test_an_unknown_first_phase_is_named(tiny, outputs):
    with pytest.raises(WorkbookError, match=r"start_from='nothing': no finished run"):
        quiet(small(tiny, "sample-gene", start_from="nothing"))


def test_a_first_phase_without_a_tagger_is_refused(tiny, outputs):
    without = small(tiny, "sample-disease")
    run(without, progress=False, keep_model=False)
    message = rf"left no tagger .*forget\('{without.run_id}'\), and make it again"
    with pytest.raises(WorkbookError, match=message):
        quiet(small(tiny, "sample-disease", start_from=without.run_id))


@pytest.mark.parametrize("field", ["start_from", "teacher"])
def test_a_dictionary_neither_starts_nor_teaches(tiny, outputs, field):
    dictionary = quiet(RunConfig(corpora="sample-gene", system="dictionary"))
    with pytest.raises(WorkbookError, match=f"{field}=.* is a dictionary, which has no tagger"):
        quiet(small(tiny, ["sample-gene"], **{field: dictionary["run_id"]}))


def test_another_tokenizer_is_refused(tiny, outputs, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "encoder")
    first = trained(folder, "sample-gene")
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"the"', '"thx"'))
    model = outputs / "runs" / first.run_id / "model"
    with pytest.raises(WorkbookError, match="has another tokenizer"):
        quiet(small(folder, "sample-gene", start_from=str(model)))
    with pytest.raises(WorkbookError, match="made from has changed since: encoder"):
        quiet(small(folder, "sample-gene", start_from=first.run_id))


def test_a_stale_parent_is_refused_before_training(tiny, outputs, tmp_path):
    sentences = load_corpus("sample-gene").train[:35]
    first = trained(tiny, [own_corpus(tmp_path / "mine", sentences[:30])])
    own_corpus(tmp_path / "mine", sentences)
    second = small(tiny, ["sample-gene"], start_from=first.run_id)
    with pytest.raises(WorkbookError, match=rf"{first.run_id} was made from has changed"):
        quiet(second)
    assert not list((outputs / "runs" / f".working-{second.run_id}").glob("*.pt"))
