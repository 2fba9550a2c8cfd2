"""Mistakes in a sweep file are found before anything is executed."""

import pytest
from small_sweeps import sweep

from bioner_lib import WorkbookError
from bioner_lib.sweeps.reading import read_sweep


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "steps: [{notebook: 30_single_task, parameters: {corpsu: sample}}]",
            "of 30_single_task: 'corpsu'; did you mean 'corpus'",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {seed: thirteen}}]",
            "seed='thirteen' of 30_single_task is str; expected int",
        ),
        (
            "steps: [{notebook: 30_single_task, grid: {heads: []}}]",
            "expected a list that isn't empty",
        ),
        ("steps: [{notebook: 30_single_taks}]", "did you mean '30_single_task'"),
        (
            "steps: [{notebook: 30_single_task, seed: [1]}]",
            "unknown key of a step 'seed'; did you mean 'seeds'",
        ),
        ("steps: [{notebook: 30_single_task}, {notebook: 30_single_task}]", "stands twice"),
        (
            "steps: [{notebook: 45_published_systems, parameters: {system: bionerds-5, "
            "corpora: 'sample@1/2', added: sample-virus}}]",
            "unknown corpus 'sample-1-2-labelled'.*71_silver_text makes it",
        ),
        ("steps: []", "a sweep holds a list of steps"),
        ("steps: {notebook: 30_single_task}", "a sweep holds a list of steps"),
        ("steps: [30_single_task]", "a step is '30_single_task'; expected keys"),
        ("steps: [", "not YAML"),
        ("steps: [{notebook: 30_single_task, seeds: 13}]", "seeds is 13; expected a list"),
        (
            "steps: [{notebook: 30_single_task, grid: [corpus]}]",
            r"grid is \['corpus'\]; expected names with their values",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {learning_rate: '3e-5'}}]",
            "expected float; in YAML write it with a point",
        ),
        ("steps: [{notebook: 30_single_task, always: 'no'}]", "always is 'no'; expected true or"),
        (
            "steps: [{notebook: 30_single_task, parameters: {epochs: 99999}}]",
            "epochs=99999; expected 0 to 1000",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {types: 3}}}]",
            "options of 30_single_task: types=3; expected a name",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {also_test: [1]}}}]",
            r"options of 30_single_task: also_test=\[1\]; expected names",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {start_from: 5}}}]",
            "options of 30_single_task: start_from=5 is int; expected str",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {loss_weights: 5}}}]",
            "options of 30_single_task: loss_weights=5; expected a list, or fields",
        ),
        (
            "steps: [{notebook: 30_single_task, name: a}, {notebook: 30_single_task, "
            "start_from: a, grid: {options: [null, {decoder: crf}]}}]",
            "parameter options=None of 30_single_task is NoneType; expected dict",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {decodr: crf}}}]",
            "'decodr'; did you mean 'decoder'",
        ),
        (
            "steps: [{notebook: 30_single_task, seeds: []}]",
            r"seeds is \[\]; expected a list that isn't empty",
        ),
        ("steps: [{notebook: 30_single_task, grid: {}}]", r"grid is \{\}; expected names"),
        (
            "steps: [{notebook: 30_single_task, grid: {seed: [1]}, seeds: [2]}]",
            r"seeds \[2\] and the grid's seed \[1\]; leave one out",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {seed: 1}, seeds: [2]}]",
            "'seed' stands in parameters and varies too",
        ),
        (
            "{seeds: [1], steps: [{notebook: 30_single_task}]}",
            "'seeds' stands beside the steps; it belongs into one",
        ),
        (
            "steps: [{notebook: 30_single_task, seeds: [1], seeds: [2]}]",
            "key 'seeds' stands twice in one place",
        ),
        (
            "steps: [{notebook: 30_single_task, start_from: [a]}]",
            r"start_from is \['a'\]; expected one step's name",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {seed: 42}}}]",
            "options of 30_single_task: seed is a parameter of its own",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: x}}]",
            "options is 'x'; expected fields of RunConfig",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {decoder: crff}}}]",
            "options of 30_.*: unknown decoder 'crff'",
        ),
        (
            "steps: [{notebook: 30_single_task, parameters: {options: {learning_rate: '3e-5'}}}]",
            "options of 30_single_task: learning_rate",
        ),
        (
            "steps: [{notebook: 30_single_task, "
            "parameters: {options: {loss_weights: {1: 2, a: 3}}}}]",
            "can't be handed to a notebook",
        ),
        (
            "steps: [{notebook: 30_single_task, grid: {corpus: [sample, sampel]}}]",
            "unknown corpus 'sampel'; did you mean 'sample'",
        ),
        ("steps: [{notebook: mine.ipynb}]", "unknown notebook 'mine.ipynb'"),
        (
            "steps: [{notebook: 30_single_task, name: a}, {notebook: 40_multi_task, name: a}]",
            "two steps are called 'a'",
        ),
    ],
)
def test_mistakes_in_a_sweep_file_are_named(tmp_path, text, message):
    with pytest.raises(WorkbookError, match=message):
        read_sweep(sweep(tmp_path, text))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            "{notebook: 60_general_domain, parameters: {general: wnut}}",
            "unknown corpus 'wnut'; did you mean 'wnut17'",
        ),
        (
            "{notebook: 75_silver_ratio, parameters: {silver: sampel}}",
            "unknown corpus 'sampel'; did you mean 'sample'",
        ),
        (
            "{notebook: 45_published_systems, parameters: {added: wnut}}",
            "unknown corpus 'wnut'; did you mean 'wnut17'",
        ),
        (
            "{notebook: 45_published_systems, parameters: {system: gerberra}}",
            "unknown system 'gerberra'; did you mean 'gerbera'",
        ),
        (
            "{notebook: 40_multi_task, parameters: {heads: per-types}}",
            "unknown heads 'per-types'; did you mean 'per-type'",
        ),
        (
            "{notebook: 40_multi_task, parameters: {sharing: cros}}",
            "unknown sharing 'cros'; did you mean 'cross'",
        ),
        (
            "{notebook: 30_single_task, parameters: {encoder: minilmm}}",
            "unknown encoder 'minilmm'; did you mean 'minilm'",
        ),
        (
            "{notebook: 72_second_opinion, parameters: {options: {encoder: minilmm}}}",
            "unknown encoder 'minilmm'",
        ),
        (
            "{notebook: 30_single_task, parameters: {options: {also_test: sampel}}}",
            "unknown corpus 'sampel'",
        ),
        (
            "{notebook: 30_single_task, parameters: {options: {also_test: [sample, sampel]}}}",
            "unknown corpus 'sampel'",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: 'sample:Gen'}}",
            "unknown type for corpus 'sample': 'Gen'; did you mean 'Gene'",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: 'sample-gene:Virus'}}",
            "unknown type for corpus 'sample-gene': 'Virus'",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: sample@9/2}}",
            "part '9/2' of 'sample': expected a percentage",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: sample@101%}}",
            "part '101%' of 'sample'",
        ),
        (
            "{notebook: 50_ablations, parameters: {factors: {decodr: [crf]}}}",
            "field in factors: 'decodr'; did you mean 'decoder'",
        ),
        (
            "{notebook: 50_ablations, parameters: {factors: {decoder: [crff]}}}",
            "unknown decoder 'crff'; did you mean 'crf'",
        ),
        (
            "{notebook: 52_search, parameters: {search: {learning_rat: [1, 2]}}}",
            "unknown RunConfig field in search: 'learning_rat'",
        ),
        (
            "{notebook: 52_search, parameters: {search: {1: [1]}}}",
            "unknown RunConfig field in search: 1",
        ),
        (
            "{notebook: 50_ablations, parameters: {factors: {1: [1]}}}",
            "unknown RunConfig field in factors: 1",
        ),
        (
            "{notebook: 50_ablations, parameters: {factors: {sharing: moe}}}",
            "factors sharing='moe'; expected a list of values",
        ),
        (
            "{notebook: 30_single_task, parameters: {corpus: ~nobody1/x}}",
            "no such file or folder: .*~nobody1/x",
        ),
        (
            "{notebook: 72_second_opinion, parameters: {denoising: dropp}}",
            "unknown denoising 'dropp'; did you mean 'drop'",
        ),
        (
            "{notebook: 71_silver_text, parameters: {name: a}}, "
            "{notebook: 72_second_opinion, parameters: {silver: a, denoising: drop}}, "
            "{notebook: 71_silver_text, parameters: {name: a-drop}}",
            "make one corpus, 'a-drop'",
        ),
        (
            "{notebook: 71_silver_text, parameters: {name: a/b}}",
            "'a/b' can't be a silver corpus's name",
        ),
        (
            "{notebook: 71_silver_text, parameters: {text: a.txt}}, "
            "{notebook: 71_silver_text, parameters: {text: b.txt}}",
            "two jobs of 71_silver_text make one corpus, 'sample-silver': .* give each a name",
        ),
    ],
)
def test_mistakes_in_parameters_are_named(tmp_path, step, message):
    with pytest.raises(WorkbookError, match=message):
        read_sweep(sweep(tmp_path, f"steps: [{step}]"))


@pytest.mark.parametrize(
    "step",
    [
        "{notebook: 30_single_task, "
        "parameters: {corpus: 'bc5cdr@25%:Disease', encoder: biolinkbert}}",
        "{notebook: 30_single_task, parameters: {corpus: 'sample-gene:Gene', encoder: owner/name}}",
        "{notebook: 50_ablations, parameters: {factors: {loss_weights: [{Gene: 0.5}]}}}",
        "{notebook: 52_search, parameters: {search: {loss_weights.Gene: [0.5, 2.0]}}}",
        "{notebook: 71_silver_text, parameters: {name: a}}, "
        "{notebook: 71_silver_text, parameters: {name: b}}",
        "{notebook: 20_align_words, parameters: {max_length: 20, overlap: 16}}",
    ],
)
def test_sound_steps_pass(tmp_path, step):
    assert read_sweep(sweep(tmp_path, f"steps: [{step}]"))


@pytest.mark.parametrize(
    "text", ["steps: [{notebook: 30_single_task, parameters: {corpus: 2026-13-45}}]", "[" * 5_000]
)
def test_yaml_that_breaks_the_reader_is_named(tmp_path, text):
    with pytest.raises(WorkbookError, match=r"mine\.yaml: not YAML"):
        read_sweep(sweep(tmp_path, text))


def test_corpora_are_found_where_notebooks_find_them(tmp_path, monkeypatch):
    """Corpora are found in the outputs folder, beside the notebooks, and among earlier steps."""
    for folder in (tmp_path / "runs" / "silver" / "mine", tmp_path / "my data"):
        folder.mkdir(parents=True)
        (folder / "corpus.toml").touch()
    made = tmp_path / "runs" / "silver" / "mine"
    text = f"""
steps:
- {{notebook: 30_single_task, parameters: {{corpus: "mine@50:Gene"}}}}
- {{notebook: 30_single_task, parameters: {{corpus: "{tmp_path}/my data"}}}}
- {{notebook: 40_multi_task, parameters: {{corpora: "sample {made} ../data/sample"}}}}
- {{notebook: 71_silver_text}}
- {{notebook: 40_multi_task, parameters: {{corpora: sample sample-silver}}}}
- {{notebook: 90_leaderboard, parameters: {{corpora: my data}}, always: true}}
"""
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path / "runs"))
    assert len(read_sweep(sweep(tmp_path, text))) == 6
    monkeypatch.setenv("BIONER_OUTPUTS", str(tmp_path / "elsewhere"))
    with pytest.raises(WorkbookError, match="unknown corpus 'mine'"):
        read_sweep(sweep(tmp_path, text))


def test_options_are_checked_together(tmp_path):
    steps = [
        "{system: gerbera, options: {epochs: [2, 1]}}",
        "{system: gerbera, options: {max_pieces: 200, overlap: 100}}",
    ]
    text = "steps: [{{notebook: 45_published_systems, parameters: {}}}]"
    for parameters in steps:
        assert read_sweep(sweep(tmp_path, text.format(parameters)))
    wrong = text.format("{options: {max_length: 64, overlap: 100}}")
    with pytest.raises(WorkbookError, match="options of 45_published_systems: overlap=100"):
        read_sweep(sweep(tmp_path, wrong))


def test_unknown_sweep(tmp_path):
    with pytest.raises(
        WorkbookError, match=r"nowhere.yaml: no such file; a YAML file, or one of \['ablations'"
    ):
        read_sweep(tmp_path / "nowhere.yaml")
    with pytest.raises(WorkbookError, match="unknown sweep 'quik'; did you mean 'quick'"):
        read_sweep("quik")


def test_two_jobs_label_one_gold_text_with_one_lexicon_only(tmp_path):
    step = "{{notebook: 71_silver_text, parameters: {{name: {}, lexicon: {}, gold: sample-gene}}}}"
    same = f"steps: [{step.format('a', 'x')}, {step.format('b', 'x')}]"
    assert sum(map(len, read_sweep(sweep(tmp_path, same)))) == 2
    other = f"steps: [{step.format('a', 'x')}, {step.format('b', 'y')}]"
    with pytest.raises(WorkbookError, match="make one corpus, 'sample-gene-labelled'"):
        read_sweep(sweep(tmp_path, other))
