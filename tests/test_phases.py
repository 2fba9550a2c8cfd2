"""Runs that build on earlier runs: second phases and self-labelling."""

import shutil
from dataclasses import replace

import pytest
import torch
from conftest import own_corpus, small

from bioner_lib import MultiTaskTagger, RunConfig, WorkbookError, evaluate, load_corpus, run
from bioner_lib.board.budgets import check_budgets
from bioner_lib.board.comparison import repetitions
from bioner_lib.board.tables import results
from bioner_lib.choices import SHARING
from bioner_lib.corpora.schemes import to_tags
from bioner_lib.corpora.splits import Split
from bioner_lib.errors import SelectionError
from bioner_lib.evaluation.scoring import score
from bioner_lib.models.encoders import load_encoder
from bioner_lib.models.heads import plan_heads
from bioner_lib.runs.leaks import trained_before
from bioner_lib.runs.rows import arm
from bioner_lib.runs.scored import read_tagger
from bioner_lib.silver.denoising import denoise
from bioner_lib.training.building import build
from bioner_lib.training.loop import Loop
from bioner_lib.training.self_labels import label_hidden


def quiet(config):
    return run(config, progress=False)


@pytest.mark.parametrize("taught", ["sample-gene", "sample-disease"])
@pytest.mark.parametrize("sharing", ["moe", "cross"])
def test_heads_that_nothing_teaches_are_frozen_wherever_they_stand(tiny, outputs, sharing, taught):
    """A second phase that teaches the first head only, or the last one only."""
    first = small(tiny, ["sample-gene", "sample-disease"], sharing=sharing)
    quiet(first)
    second = small(tiny, [taught], sharing=sharing, start_from=first.run_id)
    loop = Loop(second, [load_corpus(taught).limit(40)], progress=False)
    (learning,) = (plan.name for plan in loop.plans)
    for i, (name, head) in enumerate(loop.tagger.named_heads):
        parameters = [*head.parameters(), *loop.tagger.sharing.own(i)]
        assert {p.requires_grad for p in parameters} == {name == learning}, name


@pytest.mark.parametrize("sharing", ["moe", "cross", "adversarial"])
def test_a_head_of_weight_0_stays_as_the_first_phase_left_it(tiny, outputs, sharing):
    both = ["sample-gene", "sample-disease"]
    first = small(tiny, both, sharing=sharing)
    quiet(first)
    weights = {"loss_weights": {"Gene": 0}}
    second = small(tiny, both, sharing=sharing, start_from=first.run_id, **weights)
    loop = Loop(second, [load_corpus(name).limit(40) for name in both], progress=False)
    for i, (name, head) in enumerate(loop.tagger.named_heads):
        parameters = [*head.parameters(), *loop.tagger.sharing.own(i)]
        assert {p.requires_grad for p in parameters} == {name != "Gene"}


@pytest.mark.parametrize("sharing", SHARING)
def test_old_heads_stay_new_heads_come(tiny, outputs, sharing):
    """Gene and Disease, then Disease and Virus: Gene keeps its weights, Disease goes on."""
    first = small(tiny, ["sample-gene", "sample-disease"], sharing=sharing)
    quiet(first)
    second = small(
        tiny, ["sample-disease", "sample-virus"], sharing=sharing, start_from=first.run_id
    )
    corpora = [load_corpus(name).limit(40) for name in second.corpora]
    begun = build(second, plan_heads(second.heads, corpora))
    before = MultiTaskTagger.from_pretrained(outputs / "runs" / first.run_id / "model")
    assert [plan.name for plan in begun.plans] == ["Gene", "Disease", "Virus"]
    for i in range(2):
        assert torch.equal(begun.heads[i].linear.weight, before.heads[i].linear.weight)
    tokens = [s.tokens for s in corpora[0].test]
    if sharing != "cross":  # there a new head's view opens the old ones' gates
        assert before.predict(tokens, types=["Gene"]) == begun.predict(tokens, types=["Gene"])
    row = quiet(second)
    after = MultiTaskTagger.from_pretrained(outputs / "runs" / second.run_id / "model")
    assert torch.equal(after.heads[0].linear.weight, before.heads[0].linear.weight), (
        "nothing taught it"
    )
    for now, then in zip(after.sharing.own(0), before.sharing.own(0), strict=True):
        old = tuple(map(slice, then.shape))  # a gate has a row for each new head
        assert torch.equal(now[old], then), "nor its view, gate or route"
    assert not torch.equal(after.heads[1].linear.weight, before.heads[1].linear.weight)
    assert row["parents"]["start_from"]["run_id"] == first.run_id
    assert row["parents"]["start_from"]["phases"] == [first.as_dict()]


def test_a_second_phase_is_refused_where_it_cant_go_on(tiny, outputs, tmp_path):
    first = small(tiny, "sample-gene")
    with pytest.raises(WorkbookError, match=r"start_from='nothing': no finished run"):
        quiet(small(tiny, "sample-gene", start_from="nothing"))
    quiet(first)
    for change, message in (
        ({"encoder": "minilm"}, r"trained encoder .* this run says 'minilm'"),
        ({"scheme": "IOB2"}, "scheme='IOBES', this run says 'IOB2'"),
        ({"sharing": "private"}, "sharing='hard', this run says 'private'"),
        ({"decoder": "crf"}, "decoder='softmax', this run says 'crf'"),
    ):
        with pytest.raises(WorkbookError, match=message):
            quiet(small(tiny, "sample-gene", start_from=first.run_id, **change))
    joint = small(tiny, "sample-gene", heads="joint")
    quiet(joint)
    with pytest.raises(WorkbookError, match="heads='joint', this run says 'per-type'"):
        quiet(small(tiny, "sample-gene", start_from=joint.run_id))
    own = small(tiny, "sample-gene", heads="per-corpus")
    quiet(own)
    with pytest.raises(WorkbookError, match="heads='per-corpus', this run says 'per-type'"):
        quiet(small(tiny, "sample-gene", start_from=own.run_id))
    assert quiet(small(tiny, "sample-gene", heads="per-corpus", start_from=own.run_id))["scores"]
    again = small(
        tiny, "sample-gene", start_from=first.run_id, experts=3
    )  # which hard sharing has none of
    assert quiet(again)["parents"]["start_from"]["run_id"] == first.run_id
    with pytest.raises(
        WorkbookError, match=r"head 'joint' knows \['Gene'\] in the first phase and \['Disease'\]"
    ):
        quiet(small(tiny, "sample-disease", heads="joint", start_from=joint.run_id))
    without = small(tiny, "sample-disease")
    run(without, progress=False, keep_model=False)
    with pytest.raises(
        WorkbookError, match=rf"left no tagger .*forget\('{without.run_id}'\), and make it again"
    ):
        quiet(small(tiny, "sample-disease", start_from=without.run_id))


def test_another_tokenizer_is_refused(tiny, outputs, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "encoder")
    first = small(str(folder), "sample-gene")
    quiet(first)
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"the"', '"thx"'))
    saved = outputs / "runs" / first.run_id / "model"
    with pytest.raises(WorkbookError, match="has another tokenizer"):
        quiet(small(str(folder), "sample-gene", start_from=str(saved)))
    with pytest.raises(WorkbookError, match="made from has changed since: encoder"):
        quiet(small(str(folder), "sample-gene", start_from=first.run_id))


def test_seeds_of_a_second_phase_are_repetitions_of_one_arm(tiny, outputs):
    rows = []
    for seed in (1, 2):
        first = small(tiny, "sample-gene", seed=seed)
        quiet(first)
        second = small(tiny, "sample-disease", seed=seed, start_from=first.run_id)
        rows.append(quiet(second))
    assert [row["config"]["seed"] for row in repetitions(second)] == [1, 2]
    frame = results(rows)
    assert frame["arm"].nunique() == 1
    assert frame["name"].nunique() == 1
    assert "start_from=sample-gene" in frame["name"].iloc[0]
    alone = quiet(small(tiny, "sample-disease"))
    with pytest.raises(WorkbookError, match=r"epochs differs \(1, 2\)"):
        check_budgets([rows[0], alone])
    check_budgets([rows[0], quiet(small(tiny, "sample-disease", epochs=2))])
    other = small(tiny, "sample-gene", batch_size=4)
    quiet(other)
    with pytest.raises(WorkbookError, match=r"batch_size differs \(4, 8\)"):
        check_budgets([rows[0], quiet(small(tiny, "sample-disease", start_from=other.run_id))])


def test_a_parent_and_a_teacher_make_different_arms(tiny, outputs):
    parent = small(tiny, ["sample@1/2:Gene", "sample@2/2:Disease"])
    quiet(parent)
    after, taught = (
        quiet(small(tiny, parent.corpora, **{name: parent.run_id}))
        for name in ("start_from", "teacher")
    )
    assert results([after, taught])["arm"].nunique() == 2
    assert [row["run_id"] for row in repetitions(RunConfig(**after["config"]))] == [after["run_id"]]


def test_saved_taggers_that_teach_or_start_make_arms_of_their_own():
    given = [{}] + [{name: f"/a/{of}"} for name in ("start_from", "teacher") for of in "bc"]
    configs = [RunConfig(corpora="sample", **fields) for fields in given]
    assert len({arm(config, {}, "fp32") for config in configs}) == len(given)
    _, missing = trained_before(configs[-1], {})
    assert missing == ["what taught /a/c"]


class Oracle(MultiTaskTagger):
    """A teacher that knows the truth, and has the confidence that it is given."""

    def knows(self, corpus, sure):
        self.truth = {tuple(s.tokens): s.spans for s in corpus.train}
        self.sure = sure
        return self

    def predictions(self, sentences, types, **_):
        for tokens in (sentence.tokens for sentence in sentences):
            yield (
                [(*span, 0.9) for span in self.truth[tuple(tokens)] if span[2] in types],
                self.sure(tokens),
            )


def oracle(tiny, corpus, sure=lambda tokens: 1.0):
    encoder, tokenizer = load_encoder(tiny)
    return Oracle(encoder, tokenizer, plan_heads("per-type", [corpus]), max_length=128).knows(
        corpus, sure
    )


def test_a_perfect_teacher_restores_what_was_hidden(tiny):
    full = load_corpus("sample").only("Gene", "Disease")
    halves = [load_corpus("sample@1/2:Gene"), load_corpus("sample@2/2:Disease")]
    rest, labelled = label_hidden(oracle(tiny, full), halves, 0.5)
    assert [len(corpus.train) for corpus in rest] == [0, 0]
    truth = {tuple(s.tokens): s.tags for s in full.train}
    for corpus in labelled.values():
        assert set(corpus.types) == {"Gene", "Disease"}
        assert all(s.tags == truth[tuple(s.tokens)] for s in corpus.train)
    assert sum(len(corpus.train) for corpus in labelled.values()) == len(full.train)
    assert all(corpus.dev == half.dev for corpus, half in zip(rest, halves, strict=True))


def test_a_teacher_reads_each_sentence_once(tiny, monkeypatch):
    encoder, tokenizer = load_encoder(tiny)
    half = load_corpus("sample:Gene").limit(30)
    teacher = MultiTaskTagger(
        encoder, tokenizer, plan_heads("per-type", [load_corpus("sample-virus")]), max_length=128
    )
    seen = []
    inner = teacher.aligner.pieces

    def watched(sentences):
        seen.extend(sentences)
        return inner(sentences)

    monkeypatch.setattr(teacher.aligner, "pieces", watched)
    label_hidden(teacher, [half, load_corpus("sample-virus").limit(5)], 0.5)
    assert len(seen) == len(half.train)
    seen.clear()
    denoise(teacher, replace(load_corpus("sample-virus").limit(30), silver=True), "drop", 0.5)
    assert len(seen) == len(load_corpus("sample-virus").limit(30).train)


def test_unsure_sentences_stay_hidden_and_people_are_never_overruled(tiny):
    full = load_corpus("sample").only("Gene", "Disease")
    half = load_corpus("sample:Gene")
    teacher = oracle(tiny, full, sure=lambda tokens: 0.4 if len(tokens) > 12 else 0.95)
    other = load_corpus("sample-disease")
    rest, labelled = label_hidden(teacher, [half, other], 0.9)
    assert all(len(s.tokens) > 12 for s in rest[0].train)
    assert all(len(s.tokens) <= 12 for s in labelled["sample:Gene"].train)
    assert rest[0].types == ("Gene",)
    assert len(rest[0].train) + len(labelled["sample:Gene"].train) == len(half.train)
    clash = {
        tuple(s.tokens): [(start, end, "Disease") for start, end, _ in s.spans] for s in half.train
    }
    teacher.truth, teacher.sure = clash | teacher.truth | clash, lambda tokens: 1.0
    _, labelled = label_hidden(teacher, [half, other], 0.9)
    assert [s.tags for s in labelled["sample:Gene"].train] == [
        to_tags(s.spans, len(s.tokens)) for s in half.train
    ]


def test_self_labelling_sees_train_only_and_says_when_it_can_do_nothing(tiny):
    full = load_corpus("sample").only("Gene", "Disease")
    teacher = oracle(tiny, full)
    with pytest.raises(WorkbookError, match="none of these is hidden"):
        label_hidden(teacher, [full], 0.5)
    with pytest.raises(SelectionError):
        cheating = replace(load_corpus("sample:Gene"), splits={"train": full.test})
        label_hidden(teacher, [cheating, load_corpus("sample-disease")], 0.5)


def test_a_stale_parent_is_refused_before_training(tiny, outputs, tmp_path):
    sentences = load_corpus("sample-gene").train[:30]
    mine = own_corpus(tmp_path / "mine", sentences)
    first = small(tiny, [str(mine)])
    quiet(first)
    own_corpus(tmp_path / "mine", [*sentences, *load_corpus("sample-gene").train[30:35]])
    second = small(tiny, ["sample-gene"], start_from=first.run_id)
    with pytest.raises(WorkbookError, match=rf"{first.run_id} was made from has changed"):
        quiet(second)
    assert not list((outputs / "runs" / f".working-{second.run_id}").glob("*.pt"))


def test_a_dictionary_is_no_teacher(tiny, outputs):
    dictionary = run(RunConfig(corpora="sample-gene", system="dictionary"), progress=False)
    for field in ("start_from", "teacher"):
        with pytest.raises(WorkbookError, match=f"{field}=.* is a dictionary, which has no tagger"):
            quiet(small(tiny, ["sample-gene"], **{field: dictionary["run_id"]}))


def test_a_run_with_a_teacher(tiny, outputs):
    halves = ["sample@1/2:Gene", "sample@2/2:Disease"]
    teacher = small(tiny, halves)
    quiet(teacher)
    row = quiet(small(tiny, halves, teacher=teacher.run_id, confidence=0.0))
    assert row["self_labelled"] == {
        name: row["data"][name]["sentences"]["train"] for name in ("sample:Gene", "sample:Disease")
    }
    assert set(row["history"][0]["dev"]) == {"sample:Gene", "sample:Disease", "mean"}
    loop = Loop(
        small(
            tiny, halves, teacher=teacher.run_id, confidence=0.0, corpus_weights={halves[0]: 0.5}
        ),
        [load_corpus(name).limit(40) for name in halves],
        progress=False,
    )
    assert [head.weights.tolist() for head in loop.loss_of.heads] == [
        [0.5, 0.0, 0.5, 1.0],
        [0.0, 1.0, 0.5, 1.0],
    ]
    mixed = small(tiny, halves, teacher=teacher.run_id, confidence=0.0, sampling="main")
    main = Loop(
        mixed,
        [load_corpus(name).limit(40) for name in halves],
        progress=False,
    )
    assert sum(map(len, main.batches(0))) == sum(map(len, main.train))
    assert all(main.train), "labelled sentences stay with their corpus"
    with pytest.raises(WorkbookError, match="with 'per-corpus' no head would"):
        small(tiny, halves, teacher=teacher.run_id, heads="per-corpus")
    with pytest.raises(WorkbookError, match=r"teacher='nobody': no finished run"):
        quiet(small(tiny, halves, teacher="nobody"))


def test_a_finished_tagger_is_scored_elsewhere(tiny, outputs):
    config = small(tiny, "sample")
    row = run(config, progress=False)
    assert (
        evaluate(config.run_id, "sample", limit=40)["types"]
        == row["scores"]["sample"]["test"]["types"]
    )
    assert set(evaluate(config.run_id, "sample-gene", "dev", limit=40)["types"]) == {
        "Gene",
        "micro",
        "macro",
    }
    with pytest.raises(WorkbookError, match=r"unknown run \(evaluate takes run ids\) 'nothing'"):
        evaluate("nothing", "sample")


def test_a_run_with_neighbouring_sentences(tiny, outputs):
    """Training, dev, test, scoring elsewhere and a second phase all show the neighbours."""
    config = small(tiny, "sample", context=24, epochs=30)
    row = quiet(config)
    scores = row["scores"]["sample"]["test"]["types"]
    assert scores["micro"]["tp"] > 0
    assert evaluate(config.run_id, "sample", limit=40)["types"] == scores
    tagger, split = read_tagger(config.run_id), load_corpus("sample").limit(40).test
    alone = tagger.predict([sentence.tokens for sentence in split])
    assert score([s.spans for s in split], alone, load_corpus("sample").types) != scores
    plans = plan_heads("per-type", [load_corpus("sample")])
    for context in (0, 12):
        second = build(small(tiny, "sample", context=context, start_from=config.run_id), plans)
        assert second.aligner.context == second.settings["context"] == context


def test_neighbouring_sentences_need_documents(tiny, outputs, tmp_path):
    (tmp_path / "train.tsv").write_text("Aspirin\tB-Chemical\nhelps\tO\n\nIt\tO\ndoes\tO\n")
    (tmp_path / "dev.tsv").write_text("Aspirin\tB-Chemical\n")
    with pytest.raises(WorkbookError, match=r"context=8 shows.*\['.*'\] don't say.*context=0"):
        quiet(small(tiny, str(tmp_path), context=8))


def test_types_that_no_head_knows_are_not_scored(tiny, outputs):
    """In training's own row, and when a finished tagger is scored elsewhere."""
    config = small(tiny, ["sample-gene", "sample-disease"], also_test=("sample",))
    row = quiet(config)
    whole = load_corpus("sample").limit(40)
    support = sum(whole.counts("test")[name] for name in ("Gene", "Disease"))
    for scored in (row["scores"]["sample"]["test"], evaluate(config.run_id, "sample", limit=40)):
        assert set(scored["types"]) == {"Gene", "Disease", "micro", "macro"}
        assert scored["types"]["micro"]["support"] == support
        assert scored["not_asked"] == ["Chemical", "Virus"]
    assert row["scores"]["sample"]["test"]["errors"].get("missed", 0) <= support
    assert row["scores"]["sample-gene"]["test"]["not_asked"] == []
    frame = results([row])
    assert set(frame[frame["corpus"] == "sample"]["type"]) == {"Gene", "Disease"}, (
        "a micro figure over some types is no micro figure"
    )


def test_what_a_teacher_relabels_keeps_labels_beside_its_own(tiny):
    """Of types that it doesn't know, where they share no word with its spans."""
    sentence = replace(
        load_corpus("sample").train[0],
        tokens=list("abcdef"),
        tags=["B-Virus", "I-Virus", "O", "B-Gene", "B-Virus", "O"],
    )
    silver = replace(
        load_corpus("sample").only("Gene", "Virus"),
        silver=True,
        splits={"train": Split([sentence], "train", "sample")},
    )
    teacher = oracle(tiny, load_corpus("sample-gene"))
    for spans, tags in (
        ([(2, 4, "Gene")], ["B-Virus", "I-Virus", "B-Gene", "I-Gene", "B-Virus", "O"]),
        ([(1, 3, "Gene")], ["O", "B-Gene", "I-Gene", "O", "B-Virus", "O"]),
        ([(4, 6, "Gene")], ["B-Virus", "I-Virus", "O", "O", "B-Gene", "I-Gene"]),
    ):
        teacher.truth = {tuple(sentence.tokens): spans}
        (kept,), counts = denoise(teacher, silver, "relabel", 0.5)
        assert kept.tags == tags
        assert counts == {"agreed": 0, "unsure": 0, "contradicted": 1}


def test_forgetting_is_told_of_the_same_mentions_only(tiny, outputs):
    """The second phase adds types: its micro average is of other mentions."""
    first = small(tiny, "sample-gene", also_test=["sample"])
    quiet(first)
    second = small(
        tiny, ["sample-disease"], also_test=["sample"], start_from=first.run_id, learning_rate=1e-9
    )
    assert set(quiet(second)["forgotten"]["sample"]) == {"Gene"}
    shorter = small(tiny, "sample-gene", also_test=["sample"], start_from=first.run_id, limit=20)
    assert not quiet(shorter)["forgotten"], "other sentences"


def test_a_corpus_of_which_nothing_would_be_scored_is_refused(tiny, outputs, tmp_path):
    mine = own_corpus(tmp_path / "mine", list(load_corpus("sample-gene").train[:20]), ["Gene"])
    with pytest.raises(WorkbookError, match=r"also_test: '.*mine' has no test split, only"):
        quiet(small(tiny, "sample-gene", also_test=[mine]))
    row = quiet(small(tiny, "sample-gene", also_test=[mine], chosen_on=[mine]))
    assert set(row["history"][0]["dev"]) == {"mine", "mean"}


def test_a_new_head_with_weight_0_is_refused(tiny, outputs):
    first = small(tiny, "sample-gene")
    quiet(first)
    both, given = ["sample-gene", "sample-disease"], {"start_from": first.run_id}
    with pytest.raises(WorkbookError, match=r"\weight 0, and start_from=.*nothing"):
        quiet(small(tiny, both, loss_weights={"Disease": 0}, **given))
    assert quiet(small(tiny, both, loss_weights={"Gene": 0}, **given))["scores"]
