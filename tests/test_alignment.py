import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioner_lib.errors import WorkbookError
from bioner_lib.models.alignment import Aligner
from bioner_lib.models.encoders import load_tokenizer

word = st.one_of(
    st.sampled_from(["TP53", "a", "β-catenin", "\u200b", "\ufffd", "\x07", "(", "x" * 90]),
    st.text(min_size=1, max_size=12),
)
sentences = st.lists(st.lists(word, min_size=1, max_size=40), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("minilm")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sentences,
    st.sampled_from([(16, 0), (16, 4), (24, 12), (64, 16)]),
    st.sampled_from(["first", "all"]),
)
def test_every_word_is_owned_once_and_round_trips(tokenizer, sentences, sizes, way):
    aligner = Aligner(tokenizer, *sizes, way)
    pieces, owned = aligner.pieces(sentences), [[] for _ in sentences]
    for window in aligner.windows(sentences):
        assert len(window.input_ids) <= sizes[0]
        previous = None
        for position, w in zip(window.positions, window.words, strict=True):
            if w != previous:  # the first labelled piece of a word is its first piece
                assert (
                    window.input_ids[position : position + len(pieces[window.sentence][w])]
                    == pieces[window.sentence][w]
                )
                owned[window.sentence].append(w)
            previous = w
    assert owned == [list(range(len(tokens))) for tokens in sentences]


def test_first_piece_carries_the_word(tokenizer):
    window = Aligner(tokenizer).windows([["ataxia", "-", "telangiectasia"]])[0]
    assert tokenizer.convert_ids_to_tokens([window.input_ids[p] for p in window.positions]) == [
        "ata",
        "-",
        "tel",
    ]
    assert window.input_ids[0] == tokenizer.cls_token_id
    assert window.input_ids[-1] == tokenizer.sep_token_id


def test_label_all_pieces(tokenizer):
    window = Aligner(tokenizer, label_pieces="all").windows([["ataxia", "is"]])[0]
    assert window.words == [0, 0, 1]
    assert window.positions == [1, 2, 3]


def test_words_in_an_overlap_are_owned_where_they_see_more(tokenizer):
    first, second = Aligner(tokenizer, 12, 4).windows([["a"] * 16])
    assert len(first.input_ids) == 12
    assert first.words == list(range(8))
    assert second.words == list(range(8, 16))


def test_words_that_tokenize_to_nothing_survive(tokenizer):
    window = Aligner(tokenizer).windows([["a", "\u200b", "b"]])[0]
    assert window.words == [0, 1, 2]
    assert window.input_ids[2] == tokenizer.unk_token_id


def shown(aligner, sentences, documents):
    """Each window's pieces as text, and the pieces that have labels."""
    found = []
    for window in aligner.windows(sentences, documents):
        text = aligner.tokenizer.convert_ids_to_tokens(window.input_ids)
        found.append((" ".join(text[1:-1]), [text[position] for position in window.positions]))
    return found


def test_a_sentence_shows_its_neighbours_in_the_document(tokenizer):
    sentences = [["a"], ["b", "ataxia"], ["c", "d"], ["e", "f", "g"], ["h"]]
    aligner = Aligner(tokenizer, 32, 4, context=3)
    assert shown(aligner, sentences, ["x", "x", "x", "x", "y"]) == [
        ("a b ata ##xia", ["a"]),
        ("a b ata ##xia c d e", ["b", "ata"]),
        ("b ata ##xia c d e f g", ["c", "d"]),
        ("c d e f g", ["e", "f", "g"]),  # no part of a word: ataxia has two pieces
        ("h", ["h"]),
    ]
    # all of them alone: without documents, with other documents, without context
    for windows in (aligner.windows(sentences), aligner.windows(sentences, list("vwxyz"))):
        assert windows == Aligner(tokenizer, 32, 4).windows(sentences, ["x"] * 5)


def test_neighbours_take_only_the_room_that_a_sentence_leaves(tokenizer):
    sentences = [["a"] * 20, ["b"] * 7, ["c"] * 20]
    narrow = Aligner(tokenizer, 14, 4, context=50)  # 12 pieces of text
    windows = narrow.windows(sentences, ["x"] * 3)
    assert shown(narrow, sentences, ["x"] * 3)[2][0] == "a a b b b b b b b c c"
    assert {len(window.input_ids) for window in windows} == {13, 14}
    # a sentence of several windows shows no neighbour
    assert [w for w in windows if w.sentence != 1] == [
        w for w in Aligner(tokenizer, 14, 4).windows(sentences) if w.sentence != 1
    ]


def test_impossible_windows_are_refused(tokenizer):
    with pytest.raises(WorkbookError, match="overlap of 20"):
        Aligner(tokenizer, 16, 20)
    with pytest.raises(WorkbookError, match="label_pieces 'last'"):
        Aligner(tokenizer, label_pieces="last")
