"""What scores mean: reliability, exponents and thresholds from dev, and how tagging uses them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_corpora import own_corpus
from small_runs import run_in, small, tagger_for

from bioner_lib import MultiTaskTagger, WorkbookError, calibrate, load_corpus, read_predictions, run
from bioner_lib.__main__ import MISTAKE, main
from bioner_lib.errors import SelectionError
from bioner_lib.evaluation.calibration import (
    SpanScores,
    at_threshold,
    best_threshold,
    brier,
    expected_calibration_error,
    fit,
    joined,
    reliability,
    selective,
    span_scores,
)
from bioner_lib.models.entities import EntityFilter
from bioner_lib.models.span_scores import (
    Calibration,
    calibrated,
    read_calibration,
    write_calibration,
)


def spans(scores, right, support=0):
    return SpanScores(np.array(scores, float), np.array(right, bool), support or sum(right))


def test_span_scores_by_hand():
    """A span with another border or type is wrong; types that aren't asked for are left out."""
    predictions = [
        {"gold": [[0, 2, "Gene"]], "predicted": [[0, 2, "Gene", 0.9], [0, 2, "Virus", 0.8]]},
        {"gold": [[0, 2, "Gene"], [3, 4, "Disease"]], "predicted": [[0, 1, "Gene", 0.7]]},
    ]
    found = span_scores(predictions, ["Gene", "Disease"])
    assert found["Gene"].scores.tolist() == [0.9, 0.7]
    assert found["Gene"].right.tolist() == [True, False]
    assert (found["Gene"].support, found["Disease"].support) == (2, 1)
    assert len(found["Disease"].scores) == 0
    both = joined([found["Gene"], found["Disease"]])
    assert (len(both.scores), both.support) == (2, 3)


def test_reliability_ece_and_brier_by_hand():
    """Bins 0.6-0.8 (two spans, one right) and 0.8-1 (two spans, both right)."""
    four = spans([0.6, 0.7, 0.8, 1.0], [1, 0, 1, 1])
    assert [(b["low"], b["spans"], b["precision"]) for b in reliability(four, 5)] == [
        (0.6, 2, 0.5),
        (0.8, 2, 1.0),
    ]
    assert [b["score"] for b in reliability(four, 5)] == pytest.approx([0.65, 0.9])
    assert expected_calibration_error(four, 5) == pytest.approx((0.15 + 0.1) / 2)
    assert brier(four) == pytest.approx((0.16 + 0.49 + 0.04 + 0) / 4)
    assert reliability(four, 1)[0]["spans"] == 4
    with pytest.raises(WorkbookError, match="bins=0; expected 1 or more"):
        reliability(four, 0)


@given(st.integers(0, 50), st.integers(1, 50))
def test_a_tagger_that_is_always_sure_has_an_ece_of_one_minus_its_precision(wrong, right):
    n = wrong + right
    sure = spans([1.0] * n, [0] * wrong + [1] * right)
    assert expected_calibration_error(sure) == pytest.approx(1 - right / n)
    assert brier(sure) == pytest.approx(1 - right / n)


@given(st.integers(0, 1_000))
def test_scores_that_are_true_probabilities_have_a_small_ece_and_stay(seed):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.02, 0.98, 4_000)
    honest = spans(scores, rng.random(4_000) < scores)
    assert expected_calibration_error(honest) < 0.04
    assert fit({"Gene": honest}, "dev")["Gene"].exponent == pytest.approx(1, abs=0.12)


@given(st.floats(0.4, 8), st.integers(0, 100))
def test_a_power_of_true_probabilities_is_taken_back(power, seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.05, 0.95, 4_000)
    bent = spans(truth ** (1 / power), rng.random(4_000) < truth)
    fitted = fit({"Gene": bent}, "dev")["Gene"]
    assert fitted.exponent == pytest.approx(power, rel=0.15)
    assert expected_calibration_error(bent.calibrated(fitted.exponent)) < 0.05
    assert brier(bent.calibrated(fitted.exponent)) <= brier(bent) + 1e-3


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=20, max_size=60))
def test_whatever_the_scores_the_map_is_monotone_and_within_0_and_1(drawn):
    scores, right = zip(*drawn, strict=True)
    fitted = fit({"Gene": spans(scores, right)}, "dev")["Gene"]
    mapped = calibrated(np.sort(scores), fitted.exponent)
    assert (np.diff(mapped) >= 0).all()
    assert ((mapped >= 0) & (mapped <= 1)).all()
    assert 0 <= fitted.threshold <= 1


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 5),
)
def test_the_threshold_is_the_best_of_all(drawn, missed):
    scores, right = zip(*drawn, strict=True)
    own = spans(np.array(scores) / 10, right, sum(right) + missed)
    best = at_threshold(own, best_threshold(own))["f1"]
    by_hand = [at_threshold(own, k / 20)["f1"] for k in range(20)]
    assert best == pytest.approx(max(by_hand))


def test_the_threshold_by_hand():
    """Two right, one wrong below them; a gold mention is missed. Half way between 0.6 and 0.4."""
    own = spans([0.9, 0.6, 0.4], [1, 1, 0], support=3)
    assert best_threshold(own) == pytest.approx(0.5)
    assert at_threshold(own, 0.5) == {"precision": 1.0, "recall": 2 / 3, "f1": 0.8}
    assert at_threshold(own, None)["precision"] == pytest.approx(2 / 3)
    assert best_threshold(spans([0.9, 0.4], [1, 1])) == 0.0, "all are right: all stay"
    assert best_threshold(spans([0.5, 0.5], [1, 0])) == 0.0, "one score: all or nothing"


def test_selective_precision_by_hand():
    """The best half is right; at the edge of 75 % two spans share a score, and half of them."""
    four = spans([0.9, 0.8, 0.5, 0.5], [1, 1, 1, 0])
    assert selective(four, (0.5, 0.75, 1.0)) == {
        0.5: 1.0,
        0.75: pytest.approx(2.5 / 3),
        1.0: 0.75,
    }
    assert np.isnan(selective(spans([], []))[0.5])
    with pytest.raises(WorkbookError, match="coverage=95; expected more than 0"):
        selective(four, (95,))


def test_few_spans_keep_their_scores_and_test_is_refused():
    few = fit({"Gene": spans([0.9] * 19, [1] * 19), "Virus": spans([], [])}, "dev")
    assert few["Gene"][:3] == (None, None, 19)
    assert few["Gene"].note == "19 predicted spans, fewer than 20: raw scores, no threshold"
    assert few["Virus"].spans == 0
    with pytest.raises(SelectionError, match="must not see a test split"):
        fit({}, "test")


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """A finished run with a tagger, and its folder of outputs."""
    folder = tmp_path_factory.mktemp("outputs")
    row = run_in(folder, small(tiny, epochs=2, limit=0, heads="joint"))
    return folder, row["run_id"]


@pytest.fixture
def run_id(made, monkeypatch):
    monkeypatch.setenv("BIONER_OUTPUTS", str(made[0]))
    yield made[1]
    (made[0] / "runs" / made[1] / "model" / "calibration.json").unlink(missing_ok=True)


def with_scores(predictions):
    """Predictions in which every gene is predicted: right with 0.9, beside wrong ones with 0.6."""
    changed = []
    for one in predictions:
        genes = [span for span in one["gold"] if span[2] == "Gene"]
        right = [[*span, 0.9] for span in genes]
        wrong = [[start, end + 1, type, 0.6] for start, end, type in genes]
        changed.append(one | {"predicted": right + wrong})
    return changed


@pytest.fixture
def graded(made, run_id):
    """The run with dev and test predictions that are known, and back."""
    folder = made[0] / "runs" / run_id / "predictions"
    before = {path: path.read_text() for path in folder.glob("*.jsonl")}
    for path in before:
        changed = with_scores(read_predictions(run_id, "sample", path.stem.split(".")[-1]))
        path.write_text("\n".join(map(json.dumps, changed)))
    yield folder
    for path, text in before.items():
        path.write_text(text)


def test_a_run_is_calibrated_on_dev_and_reported_on_test(graded, run_id):
    about = calibrate(run_id)
    assert about["fitted_on"] == ["sample"]
    gene = about["types"]["Gene"]
    assert gene["spans"] == 2 * 122
    assert calibrated(0.6, gene["exponent"]) < gene["threshold"] < calibrated(0.9, gene["exponent"])
    assert gene["test"]["all"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3)}
    assert gene["test"]["dev_threshold"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert gene["test"]["brier"]["after"] < gene["test"]["brier"]["before"]
    assert gene["test"]["selective"] == {"0.5": 1.0, "0.8": 0.625, "0.95": pytest.approx(120 / 228)}
    assert about["types"]["Virus"]["note"].startswith("0 predicted spans")
    assert about["types"]["Virus"]["exponent"] is None
    assert calibrate(run_id) == about, "the same again"
    assert about["types"]["Virus"]["dev"]["ece"]["before"] is None, "JSON has no nan"


def test_a_calibrated_tagger_gives_probabilities_and_dev_thresholds(graded, run_id):
    text = " ".join(load_corpus("sample").test[0].tokens)
    raw = MultiTaskTagger.from_pretrained(run_id)
    assert raw.calibration is None
    with pytest.raises(WorkbookError, match=r"needs a calibrated tagger.*calibrate"):
        raw.tag(text, threshold="dev")
    types = calibrate(run_id)["types"]
    tagger = MultiTaskTagger.from_pretrained(run_id)
    assert tagger.predict([["TP53"]]) == raw.predict([["TP53"]]), "predictions stay raw"
    before, after = raw.tag(text), tagger.tag(text)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        exponent = types[one["entity_group"]]["exponent"]
        expected = one["score"] if exponent is None else calibrated(one["score"], exponent)
        assert other["score"] == pytest.approx(float(expected))
    kept = tagger.tag(text, threshold="dev")
    assert kept == [
        e for e in after if e["score"] >= (types[e["entity_group"]]["threshold"] or 0.0)
    ]
    further = MultiTaskTagger.from_pretrained(run_id, dropout=0.1)
    assert further.calibration is None, "further training changes what scores mean"


def test_the_filter_calibrates_before_it_chooses():
    """0.9 of a gene is worth 0.81, 0.85 of a disease stays: the disease is kept."""
    from bioner_lib.corpora.documents import document_of
    from bioner_lib.models.heads import Prediction

    document, known = document_of("TP53 lost"), Calibration({"Gene": 2.0}, {"Gene": 0.8})
    mentions = [[Prediction(0, 1, "Gene", 0.9), Prediction(0, 2, "Disease", 0.85)]]
    types = ["Gene", "Disease"]
    found = list(EntityFilter(types, None, "score", known).entities(document, mentions))
    assert [(e["entity_group"], e["score"]) for e in found] == [("Disease", 0.85)]
    both = list(EntityFilter(types, "dev", None, known).entities(document, mentions))
    assert [e["score"] for e in both] == [pytest.approx(0.81), 0.85]
    weak = [[Prediction(0, 1, "Gene", 0.88), Prediction(1, 2, "Disease", 0.01)]]
    kept = list(EntityFilter(types, "dev", None, known).entities(document, weak))
    assert [e["entity_group"] for e in kept] == ["Disease"], "a type without threshold keeps all"
    genes = EntityFilter(["Disease"], "dev", None, known)
    assert genes.lowest == {}, "thresholds of types that aren't asked for are no mistake"


def test_the_command_takes_dev_thresholds(graded, run_id, tmp_path, capsys):
    (tmp_path / "in.txt").write_text(" ".join(load_corpus("sample").test[0].tokens))
    call = ["tag", run_id, str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.jsonl")]
    assert main([*call, "--threshold", "dev"]) == MISTAKE
    assert "needs a calibrated tagger" in capsys.readouterr().err
    calibrate(run_id)
    from bioner_lib.tagging.tag_files import _loaded

    _loaded.cache_clear()
    assert main([*call, "--threshold", "dev"]) == 0
    assert main([*call, "--threshold", "high"]) == MISTAKE
    assert "'high'; expected 0 to 1, or dev" in capsys.readouterr().err
    main(["tag", "--help"])
    assert "probabilities of being right" in " ".join(capsys.readouterr().out.split())
    _loaded.cache_clear()


def test_a_calibration_travels_with_its_tagger(tiny, tmp_path):
    tagger = tagger_for(tiny, [load_corpus("sample").limit(4)])
    tagger.calibration = Calibration(
        {"Gene": 2.0}, {}, {"types": {"Gene": {"exponent": 2.0, "threshold": None}}}
    )
    tagger.save_pretrained(tmp_path)
    assert MultiTaskTagger.from_pretrained(tmp_path).calibration == tagger.calibration
    tagger.calibration = None
    tagger.save_pretrained(tmp_path)
    assert read_calibration(tmp_path) is None, "other weights, no calibration"


def test_what_cannot_be_calibrated_is_named(made, run_id, tiny):
    with pytest.raises(SelectionError, match="must not see its test split"):
        calibrate(run_id, role="test")
    with pytest.raises(WorkbookError, match="unknown run 'x'"):
        calibrate("x")
    with pytest.raises(WorkbookError, match=r"no train predictions; it has \[\('sample', 'dev'\)"):
        calibrate(run_id, role="train")
    from bioner_lib import RunConfig

    dictionary = run_in(made[0], RunConfig(corpora="sample", system="dictionary"))
    with pytest.raises(WorkbookError, match=r"left no tagger in .*nothing to calibrate"):
        calibrate(dictionary["run_id"])


def test_dev_predictions_of_all_training_corpora_are_joined(tiny, outputs):
    config = small(tiny, corpora=["sample-disease", "sample:Gene+Disease"], epochs=4, limit=0)
    run_id = run(config, progress=False)["run_id"]
    about = calibrate(run_id)
    assert about["fitted_on"] == ["sample-disease", "sample:Gene+Disease"]
    both = 0
    for corpus in about["fitted_on"]:
        lines = read_predictions(run_id, corpus, "dev")
        both += sum(span[2] == "Disease" for line in lines for span in line["predicted"])
    assert about["types"]["Disease"]["spans"] == both > 0
    assert set(about["types"]) == {"Disease", "Gene"}


def test_predictions_that_end_early_are_named(made, run_id):
    path = made[0] / "runs" / run_id / "predictions" / "sample.dev.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    try:
        with pytest.raises(WorkbookError, match=r"sample\.dev\.jsonl has \d+ sentences where the"):
            read_predictions(run_id, "sample", "dev")
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("cut", [b'{"doc": "d1", "tok', '{"doc": "é'.encode()[:-1]])
def test_predictions_that_are_cut_short_are_named(made, run_id, cut):
    path = made[0] / "runs" / run_id / "predictions" / "sample.dev.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + cut)
    try:
        with pytest.raises(WorkbookError, match=r"sample\.dev\.jsonl ends in the middle of a line"):
            calibrate(run_id)
        path.write_bytes(b"{]\n" + whole)
        with pytest.raises(WorkbookError, match=r"sample\.dev\.jsonl is damaged \(line 1: "):
            read_predictions(run_id, "sample", "dev")
        path.write_bytes(b"\xff\n" + whole)
        with pytest.raises(WorkbookError, match=r"is not UTF-8 .*forget\("):
            read_predictions(run_id, "sample", "dev")
    finally:
        path.write_bytes(whole)


def test_damaged_and_newer_calibrations_are_named(tmp_path):
    path = write_calibration({"types": {"Gene": {"exponent": 2, "threshold": 0.5}}}, tmp_path)
    assert read_calibration(tmp_path).thresholds == {"Gene": 0.5}
    whole = path.read_text()
    for text in (whole[:-9], '{"format": 1}', '{"format": 1, "types": {"Gene": 3}}', "[]"):
        path.write_text(text)
        with pytest.raises(WorkbookError, match=r"calibration\.json is damaged .* delete it"):
            read_calibration(tmp_path)
    path.write_text(whole.replace('"format": 1', '"format": 2'))
    with pytest.raises(WorkbookError, match="format 2, which a newer version"):
        read_calibration(tmp_path)


def test_silver_text_calibrates_nothing(tiny, outputs, tmp_path):
    genes = list(load_corpus("sample-gene").train[:40])
    silver = own_corpus(tmp_path / "mine", genes, ["Gene"], silver=True)
    row = run(small(tiny, ["sample-disease", silver], epochs=4, limit=0), progress=False)
    assert calibrate(row["run_id"])["fitted_on"] == ["sample-disease"]
