"""A search for hyper-parameters by dev F1 (library: Optuna).

It can be resumed, and several processes share it through one journal file. Trials train and look at
dev; no test split is scored. The best configuration is then a run like any other.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..config import FIELDS, RunConfig, default_learning_rate
from ..config_checks import number_hint
from ..corpora.corpus import Corpus
from ..errors import WorkbookError, unknown
from ..home import outputs
from ..models.heads import plan_heads
from ..training.fitting import fit
from .provenance import changes, digests_of_choices, made_from
from .run import check_names, corpora_of

Space = Mapping[str, Sequence]
_STARTUP = 5  # trials before pruning starts
# fields that say what is trained on and judged: all trials share them, or they can't be compared
_SHARED = ("corpora", "also_test", "chosen_on", "limit", "seed")


@dataclass(frozen=True)
class Found:
    """The best configuration, the values in it that were searched for, its mean dev F1 (0 to 1),
    and all trials.

    The table has one line per trial: values, dev F1 of its best epoch, state, epochs.
    """

    config: RunConfig
    values: Mapping[str, object]
    dev: float
    trials: pd.DataFrame


def search(base: RunConfig, space: Space, trials: int, worker: int = 0) -> Found:
    """Try values of the fields in `space` until the search has so many finished trials.

    A field has [low, high], [low, high, "log"], or a list of choices (two numbers are a range).
    "loss_weights.Disease" is the weight of one head. Trials of earlier calls count. After five
    trials, a trial is pruned if it is below the median of the earlier ones at the same epoch.
    Processes that are given the same arguments, and a `worker` number each, share one search.

    An `encoder` brings its own learning rate, unless base or space give one.

    Raises WorkbookError for a field that RunConfig doesn't have or whose values it refuses, for one
    that says what is trained on and judged (corpora, also_test, chosen_on, limit, seed), where no
    trial was trained to its end, and where Optuna isn't installed.
    """
    try:
        import optuna
    except ImportError:
        raise WorkbookError(
            "a search needs Optuna, which isn't installed: "
            "pip install -c constraints.txt -e '.[search]'"
        ) from None
    if trials < 1:
        raise WorkbookError(f"trials={trials}; expected 1 or more")
    corpora, also = corpora_of(base)
    check_names([*corpora, *also])
    _check_space(base, space, corpora)
    made = made_from(base, [*corpora, *also]) | {"choices": digests_of_choices(space)}
    study = _study(base, space, worker, made)

    def objective(trial) -> float:
        chosen = {name: _suggest(trial, name, values) for name, values in space.items()}

        def after(epoch: int, dev: float) -> None:
            trial.report(dev, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            config = _with(base, chosen)
            history = fit(config, corpora, progress=False, also=also, after=after).history
        except WorkbookError as error:
            trial.set_user_attr("error", str(error))
            raise
        return max(record["dev"]["mean"] for record in history)

    # a trial that failed is made good by another one: what stopped it may be mended since
    failed_before = _in_state(study, "FAIL")
    while _in_state(study, "COMPLETE", "PRUNED") < trials:
        if _in_state(study, "FAIL") - failed_before >= trials:
            break
        # a loss that isn't finite ends a trial, not the search
        study.optimize(objective, n_trials=1, catch=(WorkbookError,))
    table = _table(study)
    if not (table["state"] == "complete").any():
        failed = [t.user_attrs["error"] for t in study.trials if "error" in t.user_attrs]
        ended = table["state"].value_counts().to_dict()
        last = f"; the last error: {failed[-1]}" if failed else ""
        raise WorkbookError(f"none of {len(table)} trials was trained to its end: {ended}{last}")
    return Found(_with(base, study.best_params), study.best_params, study.best_value, table)


def _in_state(study, *states: str) -> int:
    """How many trials ended in one of these states."""
    return sum(trial.state.name in states for trial in study.get_trials(deepcopy=False))


def _check_space(base: RunConfig, space: Space, corpora: Sequence[Corpus]) -> None:
    """Raises WorkbookError now rather than in the tenth trial."""
    if base.system != "tagger" or "system" in space:
        raise WorkbookError(f"system={base.system!r}: a search trains taggers; leave out system")
    for name, values in space.items():
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise WorkbookError(
                f"search {name}={values!r}; expected [low, high], [low, high, log], or a list of "
                "choices"
            )
    layouts = (base.heads, *space.get("heads", ()))
    heads = {plan.name for layout in layouts for plan in plan_heads(layout, corpora)}
    for name, values in space.items():
        if name.partition(".")[0] in _SHARED:
            raise WorkbookError(
                f"search {name}={list(values)}: all trials share corpora, sentences and seed, so "
                f"that their dev F1 can be compared; a sweep's grid varies {name}"
            )
        head = name.removeprefix("loss_weights.")
        if head != name and head not in heads:
            raise unknown("head in loss_weights", head, heads)
        for hint in map(number_hint, values):
            if hint:
                raise WorkbookError(f"search {name}={list(values)} holds text{hint}")
        tried = values
        if _is_range(values):
            low, high, *scale = values
            if low >= high or (scale and low <= 0):
                above = ", and above 0 for log" if scale else ""
                raise WorkbookError(
                    f"search {name}={list(values)}: low has to be below high{above}"
                )
            tried = (low, high)
        for value in tried:
            _with(base, {name: value})


def _study(base: RunConfig, space: Space, worker: int, made: Mapping):
    """The search's trials so far, in outputs/searches."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import (
        JournalFileBackend,
        JournalFileOpenLock,
        JournalFileSymlinkLock,
    )

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = outputs(write=True) / "searches"
    folder.mkdir(exist_ok=True)
    asked = [base.digest(), {name: list(values) for name, values in space.items()}]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    name = f"{base.slug}"[:80].strip("-") + f"-s{base.seed}-{digest}"
    journal = folder / f"{name}.journal"
    lock = (JournalFileOpenLock if os.name == "nt" else JournalFileSymlinkLock)(str(journal))
    _drop_half_a_line(journal, lock)
    try:
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal), lock_obj=lock)),
            study_name=name,
            direction="maximize",
            load_if_exists=True,
        )
    except ValueError as error:
        raise WorkbookError(
            f"{journal} is damaged ({error}); delete it, and the search starts anew"
        ) from None
    if changed := changes(study.user_attrs.get("made_from", made), made):
        raise WorkbookError(
            f"what the trials of this search were made from has changed since: "
            f"{'; '.join(changed)}; delete {journal}, and the search starts anew"
        )
    study.set_user_attr("made_from", made)
    # each worker samples different trials
    seed = base.seed + len(study.trials) + 10_007 * worker
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP)
    return study


def _drop_half_a_line(journal: Path, lock) -> None:
    """Delete an unfinished last entry, which a full disk or a power cut may leave."""
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
    if not _is_range(values):
        return trial.suggest_categorical(name, list(values))
    low, high, *scale = values
    if name in FIELDS and FIELDS[name].type is int:
        return trial.suggest_int(name, low, high, log=bool(scale))
    return trial.suggest_float(name, low, high, log=bool(scale))


def _is_range(values: Sequence) -> bool:
    if len(values) not in (2, 3) or list(values[2:]) not in ([], ["log"]):
        return False
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values[:2])


def _with(base: RunConfig, values: Mapping[str, object]) -> RunConfig:
    """The configuration with these values; "a.b" is the entry b of the field a."""
    fields = base.as_dict()
    if "encoder" in values and base.learning_rate == default_learning_rate(base.encoder):
        fields["learning_rate"] = 0.0
    for name, value in values.items():
        outer, _, inner = name.partition(".")
        if not inner:
            fields[name] = value
            continue
        entries = fields.get(outer)
        fields[outer] = {**(entries if isinstance(entries, dict) else {}), inner: value}
    return RunConfig(**fields)


def _table(study) -> pd.DataFrame:
    lines = []
    for trial in study.trials:
        if trial.state.is_finished():
            scores = trial.intermediate_values
            line = {
                **trial.params,
                "dev F1": max(scores.values(), default=float("nan")),
                "state": trial.state.name.lower(),
                "epochs": len(scores),
            }
            lines.append(line)
    return pd.DataFrame(lines)
