"""A search for hyper-parameters by dev F1 (library: Optuna), resumable and shared by several processes through one journal file.

Trials train and look at dev; no test split is scored. What is found is then a run like any other.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..config import RunConfig, number_hint
from ..errors import WorkbookError, unknown
from ..home import outputs as outputs_folder
from ..models.heads import plan_heads
from ..training.loop import fit
from .provenance import changes, made_from
from .run import corpora_of

Space = Mapping[str, Sequence]


@dataclass(frozen=True)
class Found:
    """The best configuration, its mean dev F1 (0 to 1), and one line a trial: values, dev F1 of its best epoch, state, epochs."""

    config: RunConfig
    dev: float
    trials: pd.DataFrame


def search(
    base: RunConfig,
    space: Space,
    trials: int,
    worker: int = 0,
    outputs: str | Path | None = None,
    mirror: str | Path | None = None,
) -> Found:
    """Try values of the fields in `space` until this search has so many finished trials; earlier calls' trials count.

    A field has [low, high], [low, high, "log"], or a list of choices (two numbers are a range); "loss_weights.Disease" is one
    head's weight. After five trials those that are below the median of the earlier ones at the same epoch are pruned. Processes that are
    given the same, and a number `worker` of their own, share one search.

    Raises WorkbookError for a field that RunConfig doesn't have or whose values it refuses, where no trial was trained to its end, and
    where Optuna isn't installed.
    """
    try:
        import optuna
    except ImportError:
        raise WorkbookError(
            "a search needs Optuna, which isn't installed: pip install -c constraints.txt -e '.[search]'"
        ) from None
    if trials < 1:
        raise WorkbookError(f"trials={trials}; expected 1 or more")
    corpora, also = corpora_of(base, mirror)
    heads = {
        plan.name
        for layout in (base.heads, *space.get("heads", ()))
        for plan in plan_heads(layout, corpora)
    }
    for name, values in space.items():  # refused now rather than in the tenth trial
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise WorkbookError(
                f"search {name}={values!r}; expected [low, high], [low, high, log], or a list of choices"
            )
        if (head := name.removeprefix("loss_weights.")) != name and head not in heads:
            raise unknown("head in loss_weights", head, heads)
        if _is_range(values) and (values[0] >= values[1] or (values[2:] and values[0] <= 0)):
            raise WorkbookError(
                f"search {name}={list(values)}: low has to be below high{', and above 0 for log' if values[2:] else ''}"
            )
        if hints := [hint for value in values if (hint := number_hint(value))]:
            raise WorkbookError(f"search {name}={list(values)} holds text{hints[0]}")
        for value in values[:2] if _is_range(values) else values:
            _with(base, {name: value})
    study = _study(
        base,
        space,
        worker,
        outputs,
        made_from(base, [*corpora, *also], outputs_folder(outputs) / "runs"),
    )

    def objective(trial) -> float:
        config = _with(
            base, {name: _suggest(trial, name, values) for name, values in space.items()}
        )

        def after(epoch: int, dev: float) -> None:
            trial.report(dev, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            history = fit(config, corpora, progress=False, also=also, after=after).history
        except WorkbookError as error:
            trial.set_user_attr("error", str(error))
            raise
        return max(record["dev"]["mean"] for record in history)

    while sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)) < trials:
        study.optimize(
            objective, n_trials=1, catch=(WorkbookError,)
        )  # a loss that isn't finite ends a trial, not the search
    table = _table(study)
    if not (table["state"] == "complete").any():
        said = next(
            (
                trial.user_attrs["error"]
                for trial in reversed(study.trials)
                if "error" in trial.user_attrs
            ),
            "",
        )
        ended = table["state"].value_counts().to_dict()
        raise WorkbookError(
            f"none of {len(table)} trials was trained to its end: {ended}{said and f'; the last error: {said}'}"
        )
    return Found(_with(base, study.best_params), study.best_value, table)


def _study(base: RunConfig, space: Space, worker: int, outputs: str | Path | None, made: Mapping):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import (
        JournalFileBackend,
        JournalFileOpenLock,
        JournalFileSymlinkLock,
    )

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = outputs_folder(outputs, write=True) / "searches"
    folder.mkdir(exist_ok=True)
    told = json.dumps(
        [base.digest(), {name: list(values) for name, values in space.items()}], sort_keys=True
    )
    name = f"{base.slug}-s{base.seed}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    journal = folder / f"{name}.journal"
    lock = (JournalFileOpenLock if os.name == "nt" else JournalFileSymlinkLock)(str(journal))
    _drop_half_a_line(journal, lock)
    try:
        storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
    except ValueError as error:
        raise WorkbookError(
            f"{journal} is damaged ({error}); delete it, and the search starts anew"
        ) from None
    if changed := changes(study.user_attrs.get("made_from", made), made):
        raise WorkbookError(
            f"what the trials of this search were made from has changed since: {'; '.join(changed)}; "
            f"delete {journal}, and the search starts anew"
        )
    study.set_user_attr("made_from", made)
    study.sampler = optuna.samplers.TPESampler(
        seed=base.seed + len(study.trials) + 10_007 * worker
    )  # others draw others
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    return study


def _drop_half_a_line(journal: Path, lock) -> None:
    """What a full disk or a power cut left of the last entry, while nobody else writes."""
    if not journal.exists():
        return
    lock.acquire()
    try:
        content = journal.read_bytes()
        if content and not content.endswith(b"\n"):
            with journal.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _suggest(trial, name: str, values: Sequence) -> object:
    low, high, *how = values if _is_range(values) else (None, None)
    if low is None:
        return trial.suggest_categorical(name, list(values))
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=bool(how))
    return trial.suggest_float(name, low, high, log=bool(how))


def _is_range(values: Sequence) -> bool:
    numbers = len(values) in (2, 3) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values[:2]
    )
    return numbers and list(values[2:]) in ([], ["log"])


def _with(base: RunConfig, values: Mapping[str, object]) -> RunConfig:
    """The configuration with these values; "a.b" is b of the mapping a."""
    fields = base.as_dict()
    for name, value in values.items():
        outer, _, inner = name.partition(".")
        if inner:
            held = fields.get(outer)
            fields[outer] = {**(held if isinstance(held, dict) else {}), inner: value}
        else:
            fields[name] = value
    return RunConfig(**fields)


def _table(study) -> pd.DataFrame:
    lines = [
        {**trial.params, "dev F1": max(trial.intermediate_values.values(), default=float("nan")), "state": trial.state.name.lower(),
         "epochs": len(trial.intermediate_values)}
        for trial in study.trials
        if trial.state.is_finished()
    ]  # fmt: skip
    return pd.DataFrame(lines)
