"""Model cards say what rows and registry record."""

import json
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard
from small_corpora import own_corpus
from small_runs import small

from bioner_lib import (
    MultiTaskTagger,
    RunConfig,
    WorkbookError,
    load_corpus,
    model_card,
    read_rows,
    run,
)


def lines_with(card, *words) -> list[str]:
    return [line for line in str(card).splitlines() if all(word in line for word in words)]


@pytest.fixture
def config(tiny, outputs):
    """A finished run over two views, that is also scored on the whole sample."""
    chosen = small(tiny, ["sample-gene", "sample-disease"], also_test=("sample",), limit=16)
    run(chosen, progress=False)
    return chosen


def with_scores(outputs, row, f1, **config):
    """Leave a row on disk whose genes on the sample have this F1; gives its run id."""
    config = RunConfig(**row["config"] | config)
    row = json.loads(json.dumps(row | {"run_id": config.run_id, "config": config.as_dict()}))
    row["scores"]["sample"]["test"]["types"]["Gene"]["f1"] = f1
    folder = outputs / "runs" / config.run_id
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(row))
    return config.run_id


def test_a_card_gives_types_corpora_and_licences(config):
    card = model_card(config.run_id)
    assert isinstance(card, ModelCard)
    assert "# Tagger of Gene and Disease" in str(card)
    for type in ("Gene", "Disease"):
        assert lines_with(card, f"sample-{type.lower()}", "CC0", "data/sample/README.md", "16")
    assert card.data.language == "en"
    assert card.data.library_name == "bioner-workbook"
    assert card.data.base_model is None, "a folder has no name on the hub"
    assert config.encoder not in str(card), "a folder on this machine is nobody's business"


def test_a_card_gives_mean_and_spread_over_the_seeds_on_disk(config, outputs):
    (row,) = read_rows()
    with_scores(outputs, row, 0.5)
    assert lines_with(model_card(config.run_id), "One seed (13)")
    assert lines_with(model_card(config.run_id), "| sample | Gene |", "50.0 |")
    with_scores(outputs, row, 0.6, seed=42)
    with_scores(outputs, row, 0.9, seed=42, epochs=2)
    card = model_card(config.run_id)
    assert lines_with(card, "over the seeds 13 and 42")
    assert lines_with(card, "| sample | Gene |", "55.0 ± 7.1 |"), "two epochs are another setting"


def test_a_row_of_another_version_stops_no_card(config, outputs):
    (row,) = read_rows()
    other = row | {"run_id": "newer", "config": row["config"] | {"new_field": 1}}
    (outputs / "runs" / "newer").mkdir()
    (outputs / "runs" / "newer" / "run.json").write_text(json.dumps(other))
    assert lines_with(model_card(config.run_id), "One seed (13)")


def test_a_card_says_what_the_tagger_did_not_learn(config):
    card = model_card(config.run_id)
    assert lines_with(card, "no types but Gene and Disease")
    assert lines_with(card, "`sample-gene` annotates Gene only", "nothing about other types")
    assert lines_with(card, "`sample` annotates Chemical and Virus too")
    assert lines_with(card, "in English")


def test_a_card_gives_leaks_and_costs(config, outputs):
    (row,) = read_rows()
    row["shared_documents"] = {"sample-gene": {"sample": 1_234}}
    row["not_compared"] = ["gone"]
    row["cost"] |= {"seconds": 61.2, "peak_memory_bytes": 3 * 2**30, "joules": 2_500.0}
    with_scores(outputs, row, 0.5)
    card = model_card(config.run_id)
    assert lines_with(card, "1,234 documents of `sample-gene`", "of `sample`")
    assert lines_with(card, "Whether `gone` shares documents")
    assert lines_with(card, "61 seconds")
    assert lines_with(card, "3.0 GiB")
    assert lines_with(card, "2,500 joules")


def test_a_card_of_one_head_is_for_stock_pipelines(config, tmp_path):
    card = model_card(config.run_id, "Gene")
    assert card.data.library_name == "transformers"
    assert "# Tagger of Gene\n" in str(card)
    assert not lines_with(card, "| sample | Disease |")
    assert lines_with(card, 'pipeline("token-classification", model=folder')
    assert lines_with(card, "finds some other spans, and usually scores lower")
    tagger = MultiTaskTagger.from_pretrained(config.run_id)
    tagger.export_head("Gene", tmp_path / "gene", card=card)
    assert ModelCard.load(tmp_path / "gene" / "README.md").data.to_dict() == card.data.to_dict()


def test_earlier_phases_and_corpora_of_ones_own(tiny, outputs, tmp_path):
    sentences = list(load_corpus("sample-gene").train[:20])
    mine = own_corpus(tmp_path / "mine", sentences, ["Gene"])
    first = small(tiny, mine, limit=16)
    run(first, progress=False)
    second = replace(small(tiny, "sample-gene", limit=16), start_from=first.run_id)
    run(second, progress=False)
    card = model_card(second.run_id)
    assert lines_with(card, first.run_id, "`start_from`")
    assert lines_with(card, "| mine | not recorded |")
    assert lines_with(card, "language", "isn't recorded")
    assert card.data.language is None
    assert str(tmp_path) not in str(card)


def test_what_has_no_card_is_refused(tiny, outputs):
    dictionary = RunConfig(corpora="sample", system="dictionary")
    run(dictionary, progress=False)
    with pytest.raises(WorkbookError, match="left no tagger"):
        model_card(dictionary.run_id)
    with pytest.raises(WorkbookError, match="unknown run 'nothing'"):
        model_card("nothing")
    config = small(tiny, "sample-gene", limit=8)
    run(config, progress=False)
    with pytest.raises(WorkbookError, match="unknown head 'gene'; did you mean 'Gene'"):
        model_card(config.run_id, "gene")


def test_a_card_tells_of_teachers_and_ensembles(tiny, outputs):
    halves = ["sample@1/2:Gene", "sample@2/2:Disease"]
    teacher = small(tiny, halves)
    run(teacher, progress=False)
    pupil = small(tiny, halves, teacher=teacher.run_id, confidence=0.0)
    run(pupil, progress=False)
    assert lines_with(model_card(pupil.run_id), "a teacher labelled the other types in 22 of its")
    later = small(tiny, halves, start_from=pupil.run_id)
    run(later, progress=False)
    assert lines_with(model_card(later.run_id), f"Its teacher was `{teacher.run_id}`")
    first = small(tiny, "sample-gene")
    run(first, progress=False)
    together = small(
        tiny, "sample-disease", start_from=first.run_id, system="ensemble", seeds=(13, 42)
    )
    run(together, progress=False)
    card = model_card(together.run_id)
    assert lines_with(card, "The seeds 13 and 42 tag together")
    assert lines_with(card, "| sample-gene |"), "what the first phase learned from"
