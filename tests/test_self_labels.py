"""Self-labelling: a teacher labels the types that its training text hides."""

from dataclasses import replace

import pytest
from small_runs import environment, quiet, small, tagger_for

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.corpora.schemes import to_tags
from bioner_lib.errors import SelectionError
from bioner_lib.silver.denoising import denoise
from bioner_lib.training.loop import Loop
from bioner_lib.training.self_labels import label_hidden

HALVES = ["sample@1/2:Gene", "sample@2/2:Disease"]


class Oracle:
    """A teacher that knows a corpus's train split; `sure` gives its confidence in a sentence."""

    def __init__(self, corpus, sure=lambda tokens: 1.0):
        self.types = list(corpus.types)
        self.truth = {tuple(s.tokens): s.spans for s in corpus.train}
        self.sure = sure

    def predictions(self, sentences, types, autocast):
        for tokens in (sentence.tokens for sentence in sentences):
            known = self.truth[tuple(tokens)]
            yield [(*span, 0.9) for span in known if span.type in types], self.sure(tokens)


@pytest.fixture
def full():
    """The sample's genes and diseases, before some are hidden."""
    return load_corpus("sample").only("Gene", "Disease")


def test_a_perfect_teacher_restores_what_was_hidden(full):
    halves = [load_corpus(name) for name in HALVES]
    rest, labelled = label_hidden(Oracle(full), halves, 0.5)
    assert [len(corpus.train) for corpus in rest] == [0, 0]
    truth = {tuple(s.tokens): s.tags for s in full.train}
    for corpus in labelled.values():
        assert set(corpus.types) == {"Gene", "Disease"}
        assert all(s.tags == truth[tuple(s.tokens)] for s in corpus.train)
    assert sum(len(corpus.train) for corpus in labelled.values()) == len(full.train)
    assert all(corpus.dev == half.dev for corpus, half in zip(rest, halves, strict=True))


def test_sentences_that_the_teacher_is_unsure_of_stay_as_they_were(full):
    genes = load_corpus("sample:Gene")
    unsure_of_long = Oracle(full, sure=lambda tokens: 0.4 if len(tokens) > 12 else 0.95)
    rest, labelled = label_hidden(unsure_of_long, [genes, load_corpus("sample-disease")], 0.9)
    assert all(len(s.tokens) > 12 for s in rest[0].train)
    assert all(len(s.tokens) <= 12 for s in labelled["sample:Gene"].train)
    assert rest[0].types == ("Gene",)
    assert len(rest[0].train) + len(labelled["sample:Gene"].train) == len(genes.train)


def test_people_are_never_overruled(full):
    """The teacher takes each gene for a disease: all of these overlap a person's label."""
    genes = load_corpus("sample:Gene")
    teacher = Oracle(full)
    for sentence in genes.train:
        diseases = [span._replace(type="Disease") for span in sentence.spans]
        teacher.truth[tuple(sentence.tokens)] = diseases
    _, labelled = label_hidden(teacher, [genes, load_corpus("sample-disease")], 0.9)
    own_tags = [to_tags(s.spans, len(s.tokens)) for s in genes.train]
    assert [s.tags for s in labelled["sample:Gene"].train] == own_tags


def test_a_teacher_that_knows_no_hidden_type_is_refused(full):
    with pytest.raises(WorkbookError, match="none of these is hidden"):
        label_hidden(Oracle(full), [full], 0.5)


def test_self_labelling_sees_train_only(full):
    cheating = replace(load_corpus("sample:Gene"), splits={"train": full.test})
    with pytest.raises(SelectionError):
        label_hidden(Oracle(full), [cheating, load_corpus("sample-disease")], 0.5)


@pytest.fixture
def watched(tiny, monkeypatch):
    """A teacher of viruses, and the sentences that it has read."""
    teacher = tagger_for(tiny, [load_corpus("sample-virus")])
    seen, pieces = [], teacher.aligner.pieces

    def watch(sentences):
        seen.extend(sentences)
        return pieces(sentences)

    monkeypatch.setattr(teacher.aligner, "pieces", watch)
    return teacher, seen


def test_a_teacher_reads_each_sentence_once_while_labelling(watched):
    teacher, seen = watched
    half = load_corpus("sample:Gene").limit(30)
    label_hidden(teacher, [half, load_corpus("sample-virus").limit(5)], 0.5)
    assert len(seen) == len(half.train)


def test_a_teacher_reads_each_sentence_once_while_denoising(watched):
    teacher, seen = watched
    silver = replace(load_corpus("sample-virus").limit(30), silver=True)
    denoise(teacher, silver, "drop", 0.5)
    assert len(seen) == len(silver.train)


@pytest.fixture(scope="module")
def folder_of_teacher(tiny, tmp_path_factory):
    """An outputs folder with a tagger trained on both halves; and its configuration."""
    folder = tmp_path_factory.mktemp("outputs")
    config = small(tiny, HALVES)
    with environment(BIONER_OUTPUTS=folder):
        quiet(config)
    return folder, config


@pytest.fixture
def taught(tiny, folder_of_teacher, monkeypatch):
    """Makes the configuration of a run on both halves, with their teacher."""
    folder, teacher = folder_of_teacher
    monkeypatch.setenv("BIONER_OUTPUTS", str(folder))
    return lambda **changes: small(
        tiny, HALVES, **{"teacher": teacher.run_id, "confidence": 0.0} | changes
    )


def loop_of(config):
    return Loop(config, [load_corpus(name).limit(40) for name in HALVES], progress=False)


def test_a_row_counts_what_the_teacher_labelled(taught):
    row = quiet(taught())
    assert row["self_labelled"] == {
        name: row["data"][name]["sentences"]["train"] for name in ("sample:Gene", "sample:Disease")
    }
    assert set(row["history"][0]["dev"]) == {"sample:Gene", "sample:Disease", "mean"}


def test_labelled_sentences_keep_the_weight_of_their_corpus(taught):
    loop = loop_of(taught(corpus_weights={HALVES[0]: 0.5}))
    assert [head.weights.tolist() for head in loop.loss_of.heads] == [
        [0.5, 0.0, 0.5, 1.0],
        [0.0, 1.0, 0.5, 1.0],
    ]


def test_labelled_sentences_are_sampled_with_their_corpus(taught):
    loop = loop_of(taught(sampling="main"))
    assert sum(map(len, loop.batches(0))) == sum(map(len, loop.train))
    assert all(loop.train)


def test_heads_per_corpus_have_no_use_for_a_teacher(taught):
    with pytest.raises(WorkbookError, match="with 'per-corpus' no head would"):
        taught(heads="per-corpus")


def test_an_unknown_teacher_is_named(taught):
    with pytest.raises(WorkbookError, match=r"teacher='nobody': no finished run"):
        quiet(taught(teacher="nobody"))
