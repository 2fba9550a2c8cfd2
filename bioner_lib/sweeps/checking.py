"""The values of a sweep's jobs, checked before anything starts."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..choices import DENOISING, check_encoder
from ..config import BOUND, FIELDS, RunConfig, check_alone
from ..corpora.loading import check_name, silver_corpora
from ..corpora.registry import CORPORA
from ..errors import WorkbookError, unknown
from ..home import exists, home
from ..runs.recipes import RECIPES, recipe
from ..silver.corpus_folders import derived_name, silver_folder
from ..silver.labelled_gold import labelled_name
from .jobs import Job
from .parameters import default_of

# parameters that name corpora
_CORPORA = ("corpus", "corpora", "gold", "also_test", "general", "silver", "added")
# notebooks whose `corpora` are names on the board
_ELSEWHERE = ("90_leaderboard",)
# notebooks that train nothing: their limit, overlap … are no fields of a run
_NOT_OF_A_RUN = (
    "10_explore_corpora",
    "20_align_words",
    "70_lexicons",
    "71_silver_text",
    "72_second_opinion",
)


def check_values(jobs: Sequence[Job], path: Path) -> None:
    """Raises WorkbookError for values that the workbook's own notebooks would refuse later.

    Corpora that an earlier job makes exist by then. Two jobs that make one silver corpus are
    refused; two that label one gold text with one lexicon are not.
    """
    known = dict.fromkeys([*CORPORA, *silver_corpora()])
    makers: dict[str, dict] = {}
    for job in jobs:
        if job.notebook.parent != home() / "notebooks" or job.notebook.stem in _ELSEWHERE:
            continue
        try:
            _check_job(job, known)
        except WorkbookError as error:
            raise WorkbookError(f"{path}: {job.notebook.stem}: {error}") from None
        labelled = _labelled_by(job)
        for name in [*_made_by(job), *labelled]:
            if name in makers and not makers[name] == labelled.get(name):
                raise WorkbookError(
                    f"{path}: two jobs of {job.notebook.stem} make one corpus, {name!r}: "
                    f"{makers[name]} and {dict(job.parameters)}; give each a name"
                )
            makers[name] = labelled.get(name, dict(job.parameters))
            known[name] = None


def _labelled_by(job: Job) -> dict[str, dict]:
    """The gold texts that a job labels, by the name of the result: gold corpus and lexicon."""
    if job.notebook.stem != "71_silver_text":
        return {}
    lexicon = _value(job, "lexicon")
    golds = str(_value(job, "gold")).split()
    return {labelled_name(gold): {"gold": gold, "lexicon": lexicon} for gold in golds}


def _value(job: Job, parameter: str) -> object:
    return job.parameters.get(parameter, default_of(job.notebook, parameter))


def _made_by(job: Job) -> list[str]:
    """The silver corpora that a job makes."""
    if job.notebook.stem == "71_silver_text":
        silver_folder(_value(job, "name"))  # refuses what can't be a corpus's name
        return [_value(job, "name")]
    if job.notebook.stem == "72_second_opinion":
        return [derived_name(str(_value(job, "silver")), str(_value(job, "denoising")))]
    return []


def _check_job(job: Job, known: Iterable[str]) -> None:
    """One job's parameters, each by what the library does with a value of that name."""
    parameters, folder = job.parameters, job.notebook.parent
    for source in (parameters, parameters.get("options", {})):
        for key in _CORPORA:
            for name in _names(source.get(key, ""), folder):
                check_name(name, known, folder)
        if source.get("encoder"):
            check_encoder(source["encoder"], folder)
    if parameters.get("system") and parameters["system"] not in RECIPES:
        raise unknown("system", parameters["system"], RECIPES)
    if parameters.get("denoising", DENOISING[0]) not in DENOISING:
        raise unknown("denoising", parameters["denoising"], DENOISING)
    for name in _of_recipes(job):
        check_name(name, known, folder)
    if job.notebook.stem not in _NOT_OF_A_RUN:
        free = FIELDS.keys() - {*BOUND, "system"}
        values = {name: value for name, value in parameters.items() if name in free}
        RunConfig(**{"corpora": "sample"} | values)
        if "epochs" in parameters:
            check_alone("epochs", parameters["epochs"])
    for place in ("factors", "search"):
        _check_lists(place, parameters.get(place) or {}, parameters.get("options") or {})


def _of_recipes(job: Job) -> Iterator[str]:
    """The corpora of the recipes that a job of 45 runs, labelled texts included."""
    if job.notebook.stem != "45_published_systems":
        return
    lists = {name: str(_value(job, name)).split() for name in ("corpora", "added", "also_test")}
    for system in (_value(job, "system"), *str(_value(job, "rivals")).split()):
        for config in recipe(system, **lists):
            yield from (*config.corpora, *config.also_test)


def _names(value: object, folder: Path) -> list[str]:
    """The corpora that a parameter names: a list, one path, or names with blanks between."""
    if isinstance(value, list):
        return [str(name) for name in value]
    return [value] if exists(folder / str(value)) else str(value).split()


def _check_lists(place: str, lists: dict, options: dict) -> None:
    """Fields of RunConfig with the values that they take in turn, beside the job's options."""
    beside = {name: options[name] for name in ("teacher", "confidence") if name in options}
    for name, values in lists.items():
        if str(name).split(".")[0] not in FIELDS:
            raise unknown(f"RunConfig field in {place}:", name, FIELDS)
        if not isinstance(values, list):
            raise WorkbookError(f"{place} {name}={values!r}; expected a list of values")
        if place == "factors" and name not in BOUND:
            for value in values:
                RunConfig(**{"corpora": "sample"} | beside | {name: value})
