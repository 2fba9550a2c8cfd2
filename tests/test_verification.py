"""Silver mentions are accepted, corrected and rejected, and become a gold corpus."""

from dataclasses import replace

import pytest

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.corpora.corpus import Corpus
from bioner_lib.corpora.splits import Split
from bioner_lib.corpora.text import Sentence
from bioner_lib.look.verification import Verification, verify

TEXT = [
    Sentence(["the", "BRCA1", "gene"], ["O", "B-Gene", "O"], "d1"),
    Sentence(
        ["flu", "is", "not", "a", "gene", "here"], ["B-Gene", "O", "O", "O", "B-Gene", "O"], "d2"
    ),
]


def silver():
    split = Split(TEXT, "train", "silver")
    return Corpus("silver", ("Gene", "Disease"), {"train": split}, documented=True, silver=True)


def press(state, keys):
    for key in keys:
        state.press(key)


def test_accepted_corrected_and_rejected_mentions_become_gold(tmp_path):
    state = Verification(silver(), tmp_path / "gold", count=2)
    press(state, "}as")  # "BRCA1 gene"
    press(state, "tars")  # "flu" is a disease, "gene" is none
    assert state.is_done
    gold = load_corpus(tmp_path / "gold")
    assert [s.spans for s in gold.test] == [[(1, 3, "Gene")], [(0, 1, "Disease")]]
    assert gold.types == ("Gene", "Disease")
    assert [s.doc for s in gold.test] == ["d1", "d2"]


def test_text_that_was_labelled_again_is_asked_about_again(tmp_path):
    press(Verification(silver(), tmp_path / "gold", count=2), "as")  # the first is finished
    again = [replace(TEXT[0], tags=["O"] * 3), replace(TEXT[1], tags=["O"] * 4 + ["B-Gene", "O"])]
    corpus = replace(silver(), splits={"train": Split(again, "train", "silver")})
    state = Verification(corpus, tmp_path / "gold", count=2)
    assert state.answers[0] == [[1, 2, "Gene"]], "finished"
    assert state.mentions == [[4, 5, "Gene"]] and state.at == 0
    press(state, "rn")
    assert Verification(corpus, tmp_path / "gold", count=2).mentions == state.mentions


def test_a_missing_mention_is_added_and_moved(tmp_path):
    state = Verification(silver(), tmp_path / "gold", count=2)
    press(state, "an")
    assert state.mentions == [[1, 2, "Gene"], [2, 3, "Gene"]]
    press(state, "[")
    assert state.mentions[1] == [2, 3, "Gene"], "it would overlap the first one"
    press(state, "tas")
    assert state.answers[0] == [[1, 2, "Gene"], [2, 3, "Disease"]]


def test_every_answer_is_kept_and_a_later_session_continues(tmp_path):
    press(Verification(silver(), tmp_path / "gold", count=2), "asa")
    later = Verification(silver(), tmp_path / "gold", count=2)
    assert (later.finished, later.at) == (1, 1)
    press(later, "bbb")
    assert (later.finished, later.at) == (0, 0)
    with pytest.raises(WorkbookError, match="answers about other sentences"):
        Verification(silver(), tmp_path / "gold", count=1)


def test_what_was_accepted_stays_when_one_goes_back(tmp_path):
    state = Verification(silver(), tmp_path / "gold", count=2)
    press(state, "as" + "aa" + "s")
    assert state.is_done
    press(state, "bs")
    assert state.answers == [[[1, 2, "Gene"]], [[0, 1, "Gene"], [4, 5, "Gene"]]]
    press(state, "bbb")
    assert state.at == 0
    press(Verification(silver(), tmp_path / "gold", count=2), "s")
    gold = load_corpus(tmp_path / "gold")
    assert [len(s.spans) for s in gold.test] == [1, 2]


def test_an_added_mention_and_those_before_it_are_asked_about(tmp_path):
    words = ["OPA1", "and", "TP53", "bind"]
    split = Split([Sentence(words, ["B-Gene", "O", "B-Gene", "O"], "d")], "train", "s")
    corpus = Corpus("s", ("Gene",), {"train": split}, silver=True)
    state = Verification(corpus, tmp_path / "gold")
    press(state, "nas")
    gold = load_corpus(tmp_path / "gold")
    assert [s.spans for s in gold.test] == [[(0, 1, "Gene")]], "only what was accepted"
    assert not gold.documented, "the silver corpus names no documents"


def test_unanswered_mentions_are_not_gold(tmp_path):
    state = Verification(silver(), tmp_path / "gold", count=2)
    press(state, "s")
    assert state.answers[0] == []
    press(state, "xy?")
    assert state.finished == 1


def test_the_page_escapes_and_frames_the_mention_in_question(tmp_path):
    evil = Sentence(["<i>", "a"], ["B-Gene", "O"], "d")
    corpus = Corpus("s", ("Gene",), {"train": Split([evil], "train", "s")}, silver=True)
    state = Verification(corpus, tmp_path / "gold")
    assert "<i>" not in state.html()
    assert "outline:2px" in state.html()


def test_keys_typed_into_the_box_are_answers(tmp_path):
    widget = verify(silver(), tmp_path / "gold", count=2)
    view, box, _, place = widget.children
    assert str(tmp_path / "gold") in place.value
    assert "sentence 1 of 2" in view.value
    box.value = "as"
    assert box.value == ""
    assert "sentence 2 of 2" in view.value
    box.value = "aas"
    assert "All 2 sentences are verified" in view.value


def test_another_corpus_is_left_alone(tmp_path):
    (tmp_path / "test.jsonl").write_text("a week of work")
    with pytest.raises(WorkbookError, match=r"holds a test\.jsonl, and no answers"):
        Verification(silver(), tmp_path, count=2)
    Verification(silver(), tmp_path / "new", count=2).press("x")
    Verification(silver(), tmp_path / "old", count=2).press("a")
    with pytest.raises(WorkbookError, match="answers about other sentences"):
        Verification(silver(), tmp_path / "old", count=1)
    verify(silver(), tmp_path / "old", count=1).children[1].value = "a"
    assert (tmp_path / "old-2" / ".answers.json").exists()
    assert not (tmp_path / "new").exists()
