"""What a published table is checked against: its sweep, its rows and its counts."""

from made_rows import answers, predicted, row

from bioner_lib import RunConfig
from bioner_lib.board.published_files import (
    jobs_of,
    published_counts,
    published_jobs,
    published_rows,
    table_folder,
)
from bioner_lib.board.publishing import named_by_sweep
from bioner_lib.config import FIELDS

DEVICE = {"name": "a CPU", "precision": "fp32"}


def run_that_finds(outputs, right, seed, **config) -> dict:
    """A finished run that found the first `right` of 40 genes, with its counts in its row."""
    made = row(seed, 2 * right / (40 + right), **config) | {"device": DEVICE}
    made["scores"]["sample"]["test"]["types"]["Gene"] |= {"tp": right, "fp": 0, "fn": 40 - right}
    return predicted(outputs, made, answers(right))


def check_table(table) -> None:
    """A table is what its sweep makes: the same jobs, rows that are named, counted and scored."""
    jobs = published_jobs(table)
    rows = {made["run_id"]: made for made in published_rows(table)}
    assert set(jobs) <= set(jobs_of(table)), "the sweep has other jobs: publish it again"
    assert {run for job in jobs.values() for run in job["runs"]} == set(rows)
    whole = set(jobs) == set(jobs_of(table))
    for made in named_by_sweep(table, list(rows.values()), whole):
        assert made.get("name") == rows[made["run_id"]].get("name"), "publish it again"
    counts = published_counts(table)
    assert set(counts) == set(rows)
    for run_id, made in rows.items():
        assert RunConfig(**made["config"]).run_id == run_id
        check_counts(made, counts[run_id])
    for job in jobs.values():
        if job["runs"]:  # the others made a lexicon or a silver corpus for the next jobs
            check_parameters(job, [rows[run_id]["config"] for run_id in job["runs"]])


def check_counts(made, counts) -> None:
    """The counts of documents add up to the row's true and false positives and negatives."""
    for corpus, splits in made["scores"].items():
        if "test" in splits:
            for type, own in counts[corpus].types.items():
                scored = splits["test"]["types"][type]
                assert own.sum(0).tolist() == [scored[kind] for kind in ("tp", "fp", "fn")]


def check_parameters(job, configs) -> None:
    """A job's runs have the fields and the corpora that its parameters ask for."""
    parameters = job["parameters"]
    own = FIELDS.keys() - {"corpora", "also_test", "types"}  # notebooks take them as words
    if job["notebook"] == "45_published_systems":  # there it is a recipe's name
        own -= {"system"}
    fields = {name: value for name, value in parameters.items() if name in own}
    assert any(fields.items() <= config.items() for config in configs), job
    if corpora := parameters.get("corpora", "").split():
        # a recipe's arm trains on them alone, or with the silver text beside them
        together = corpora + parameters.get("added", "").split()
        assert any(config["corpora"] in (corpora, together) for config in configs), job
    if corpus := parameters.get("corpus"):
        trained_on = {name for config in configs for name in config["corpora"]}
        whole = {name.partition("@")[0].partition(":")[0] for name in trained_on}
        assert whole - {parameters.get("general")} == {corpus}, job


def committed_page(table) -> str:
    """A table's page; test_committed_tables.py compares it with the table's rows."""
    return (table_folder(table) / "README.md").read_text(encoding="utf-8")
