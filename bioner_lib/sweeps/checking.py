"""Values of a sweep's jobs, checked before anything starts."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from ..choices import DENOISING, check_encoder
from ..corpora.loading import check_name, made_here
from ..corpora.registry import CORPORA
from ..errors import WorkbookError, unknown
from ..home import home, is_there
from ..silver.labelling import silver_folder
from .jobs import Job
from .parameters import BOUND, default_of

_CORPORA = (
    "corpus",
    "corpora",
    "gold",
    "also_test",
    "general",
    "silver",
    "added",
)  # parameters that name some
_ELSEWHERE = ("90_leaderboard",)  # where they are names of the board's
_NOT_OF_A_RUN = (
    "10_explore_corpora",
    "20_align_words",
    "70_lexicons",
    "71_silver_text",
    "72_second_opinion",
)  # whose limit, overlap … are their own


def check_values(jobs: Sequence[Job], path: Path, outputs: str | Path | None) -> None:
    """Raises WorkbookError for values that the workbook's own notebooks would refuse once they run.

    What an earlier job makes is there by then; two jobs that make one silver corpus are refused.
    """
    known, makers = dict.fromkeys([*CORPORA, *made_here(outputs)]), {}
    for job in jobs:
        if job.notebook.parent != home() / "notebooks" or job.notebook.stem in _ELSEWHERE:
            continue
        try:
            _check_job(job, known)
        except WorkbookError as error:
            raise WorkbookError(f"{path}: {job.notebook.stem}: {error}") from None
        if made := _made_by(job):
            silver_folder(made)  # refuses what can't be a corpus's name
            if made in makers:
                raise WorkbookError(
                    f"{path}: two jobs of {job.notebook.stem} make one corpus, {made!r}: "
                    f"{makers[made]} and {dict(job.parameters)}; give each a name"
                )
            makers[made] = dict(job.parameters)
            known[made] = None


def _made_by(job: Job) -> str:
    """The silver corpus that a job makes; "" for none."""

    def value(key: str) -> str:
        return job.parameters.get(key, default_of(job.notebook, key))

    if denoising := value("denoising"):
        return f"{value('silver')}-{denoising}"
    return value("name")


def _check_job(job: Job, known: Iterable[str]) -> None:
    """One job's parameters, each by what the library itself does with a value of that name."""
    from ..config import RunConfig

    for source in (job.parameters, job.parameters.get("options", {})):
        for key in _CORPORA:
            value = source.get(key, "")
            whole = is_there(job.notebook.parent / str(value))
            for name in (
                value if isinstance(value, list) else [value] if whole else str(value).split()
            ):
                check_name(str(name), known, job.notebook.parent)
        if source.get("encoder"):
            check_encoder(source["encoder"], job.notebook.parent)
    if job.parameters.get("system"):
        from ..runs.recipes import RECIPES

        if job.parameters["system"] not in RECIPES:
            raise unknown("system", job.parameters["system"], RECIPES)
    own = {f.name for f in fields(RunConfig)} - {*BOUND, "system"}
    same = {
        name: value
        for name, value in job.parameters.items()
        if name in own and job.notebook.stem not in _NOT_OF_A_RUN
    }
    RunConfig(**{"corpora": "sample"} | same)
    if job.parameters.get("denoising", DENOISING[0]) not in DENOISING:
        raise unknown("denoising", job.parameters["denoising"], DENOISING)
    known_fields = [f.name for f in fields(RunConfig)]
    for place in ("factors", "search"):
        for name, values in (job.parameters.get(place) or {}).items():
            if str(name).split(".")[0] not in known_fields:
                raise unknown(f"RunConfig field in {place}:", name, known_fields)
            if not isinstance(values, list):
                raise WorkbookError(f"{place} {name}={values!r}; expected a list of values")
            for value in values if place == "factors" and name not in BOUND else ():
                RunConfig(**{"corpora": "sample", name: value})
