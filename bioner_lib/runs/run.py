"""One run: train, choose on dev, score test once, and leave a row.

A run is made in `.working-<run id>`, which is renamed last: a `run.json` means a finished run. A
lock lets one process work on it.
"""

import json
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ..config import RunConfig, is_tagger
from ..corpora.corpus import Corpus, same_but_for_case
from ..corpora.loading import load_corpus
from ..errors import DataError, WorkbookError
from ..home import outputs, replace_text, runs_folder
from ..models.encoders import load_tokenizer
from ..models.heads import asked_types, plan_heads
from ..models.saving import read_description
from ..training import processes
from ..training.progress import add_run
from .leaks import refuse_leaks, shared_documents, trained_before
from .provenance import check_unchanged, compare_made_from, made_by_earlier_version, made_from
from .rows import file_name, lock_path, parents_of, read_json_of_run, read_row
from .scored import forgotten, scored
from .systems import SYSTEMS, TRAIN, Making

FORMAT = 2  # 2: rows record what they were made from


def run(
    config: RunConfig, *, progress: bool = True, keep_model: bool = True, track: str = ""
) -> dict:
    """Train, choose on dev, score test once, leave a row in outputs/runs, and return it.

    A finished run is only read, and a killed one continues from its last epoch. If another process
    works on the same run, this one waits. Processes that torchrun or accelerate launch started
    train together, and the first one leaves the row.

    An ensemble's members are made first, those that are missing.

    `track` names a tracker of accelerate's; "tensorboard" writes to outputs/tensorboard.

    Raises WorkbookError where outputs can't be written, and where what a finished run was made
    from (data, encoder, earlier runs, precision, library) has changed since.
    """
    outputs(write=True)
    folder = runs_folder() / config.run_id
    working = folder.with_name(f".working-{config.run_id}")
    for member in config.members.values():
        run(member, progress=progress, track=track)
    processes.join()
    if processes.rank() > 0:
        return _take_part(config, working)
    row = read_row(folder)
    if row is not None:
        check_unchanged(row)
    else:
        row = _make_once(_Maker(config, working, progress, keep_model, track), folder)
    add_run(config.run_id)
    if progress:
        print(f"row: {folder.parent.name}/{folder.name}/run.json")
    return processes.tell(row)


def corpora_of(config: RunConfig) -> tuple[list[Corpus], list[Corpus]]:
    """What a run trains on, and what else it is scored on.

    Every seed gets the same sentences, so that runs can be paired.
    """
    trained = [load_corpus(name, limit=config.limit) for name in config.corpora]
    also = [load_corpus(name, limit=config.limit) for name in config.also_test]
    return trained, also


def check_names(corpora: Sequence[Corpus]) -> None:
    """Raises WorkbookError for two corpora of one run with one name, and for two types of them
    that differ in case only."""
    names = [corpus.name for corpus in corpora]
    if len(set(names)) < len(names):
        raise WorkbookError(
            f"two corpora of this run have one name: {names}; rename a folder, or take one part "
            "only"
        )
    homes = {type: corpus.name for corpus in corpora for type in corpus.types}
    for one, other in same_but_for_case(homes):
        raise WorkbookError(
            f"the types {one!r} of {homes[one]} and {other!r} of {homes[other]} differ in case "
            f'only, so they would be two types; write labels = {{ {other} = "{one}" }} into the '
            "corpus.toml of your own corpus, or the other way round"
        )


def _take_part(config: RunConfig, working: Path) -> dict:
    """What all processes but the first do: train with it, and return its row."""
    message = processes.tell()
    if message == TRAIN:
        from ..training.fitting import fit

        corpora, also = corpora_of(config)
        fit(config, corpora, working, progress=False, also=also)
        message = processes.tell()
    return message


def _make_once(maker: "_Maker", folder: Path) -> dict:
    """The row of a run that another process may be making too."""
    try:
        with _locked(folder):
            if (row := read_row(folder)) is not None:
                return row
            row = maker.make()
            if folder.exists():  # somebody deleted its row
                folder.rename(folder.with_name(f".without-row-{time.time_ns()}-{folder.name}"))
            for leftover in (*maker.working.glob("*.pt"), maker.working / "made_from.json"):
                leftover.unlink(missing_ok=True)
            maker.working.replace(folder)
            return row
    except OSError as error:
        raise WorkbookError(
            f"run {folder.name} stopped: {error.strerror or error} ({error.filename or folder}); "
            "what was reached is kept: solve that (make room, or name another folder with "
            "BIONER_OUTPUTS) and start the same run again"
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time works on a run; the system frees the lock of a killed one."""
    from filelock import FileLock, Timeout

    lock = FileLock(lock_path(folder.name))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another process works on {folder.name}; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Maker(Making):
    """Makes one run in its working folder."""

    def make(self) -> dict:
        """Train, score, and write the row."""
        if row := read_row(self.working):  # killed between its last two steps
            check_unchanged(row)
            return row
        started = time.perf_counter()
        config = self.config
        self.corpora, self.also = corpora_of(config)
        self.all = self.corpora + self.also
        check_names(self.all)
        self._check_also_test()
        parents = parents_of(config)
        for parent in parents.values():  # refused now rather than when this run is read
            with suppress(DataError):  # data that is gone can't be compared; the row names it
                check_unchanged(read_row(runs_folder() / parent["run_id"]))
        made = self._begin()
        asked = self._asked()  # refused now rather than after training
        before, missing = trained_before(config, parents)
        shared = shared_documents(self.corpora, self.also, before)
        refuse_leaks(config, [*self.corpora, *before], shared)
        system = SYSTEMS[config.system](self)
        scores = self._scores(system, asked)
        row = {
            "format": FORMAT,
            "run_id": config.run_id,
            "config": config.as_dict(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "scores": scores,
            "history": system.history,
            "repairs": dict(self.repairs),
            "data": {corpus.name: _about(corpus) for corpus in self.all},
            "made_from": made,
            "cost": {
                **system.cost,
                "total_seconds": time.perf_counter() - started + system.restored,
                "peak_memory_bytes": _peak_memory(),
            },
            "device": system.device,
            "versions": _versions(),
            "parents": parents,
            "shared_documents": shared,
            **({"not_compared": missing} if missing else {}),
            **({"forgotten": forgotten(scores, parents)} if "start_from" in parents else {}),
            **system.more,
        }
        replace_text(self.working / "run.json", json.dumps(row, indent=1))
        return row

    def _check_also_test(self) -> None:
        """Raises WorkbookError for a corpus of which nothing would be scored."""
        chosen_on = self.config.chosen_on
        if not chosen_on and all(corpus.silver for corpus in self.corpora):
            chosen_on = self.config.also_test
        for name, corpus in zip(self.config.also_test, self.also, strict=True):
            if "test" not in corpus.splits and name not in chosen_on:
                raise WorkbookError(
                    f"also_test: {name!r} has no test split, only {list(corpus.splits)}; give a "
                    "folder with a test file, or evaluate the finished run on another split"
                )

    def _begin(self) -> dict:
        """What the run is made from; raises WorkbookError if it has changed since it was begun."""
        config = self.config
        if config.system != "dictionary":
            # loads a hub's encoder onto this machine, so that its commit is known
            load_tokenizer(config.encoder)
        made, begun = made_from(config, self.all), self.working / "made_from.json"
        self.working.mkdir(parents=True, exist_ok=True)
        if begun.exists():
            compare_made_from(config.run_id, read_json_of_run(begun), made)
        elif (self.working / "last.pt").exists():
            raise made_by_earlier_version(config.run_id)
        replace_text(begun, json.dumps(made))
        return made

    def _asked(self) -> dict[str, list[str]]:
        """Corpus -> the types that are scored on it."""
        config = self.config
        # a dictionary has no heads, but knows types as a tagger with one head per type would
        layout = "per-type" if config.system == "dictionary" else config.heads
        plans = plan_heads(layout, self.corpora, config.types)
        first = config.start_from
        model = Path(first) if is_tagger(first) else runs_folder() / first / "model"
        if first and model.is_dir():
            plans += read_description(model)[1]
        return {corpus.name: asked_types(plans, corpus) for corpus in self.all}

    def _scores(self, system, asked: dict[str, list[str]]) -> dict[str, dict[str, dict]]:
        """Corpus -> split -> scores; only the test split of what wasn't trained on."""
        scores: dict[str, dict[str, dict]] = {}
        for i, corpus in enumerate(self.all):
            roles = ("dev", "test") if i < len(self.corpora) else ("test",)
            scores[corpus.name] = {}
            for role in roles:
                if role in corpus.splits:
                    scored = self._score(system, corpus, role, asked[corpus.name])
                    scores[corpus.name][role] = scored
        return scores

    def _score(self, system, corpus: Corpus, role: str, asked: Sequence[str]) -> dict:
        """Score a split, let the referee check the scores, and write the predictions."""
        found = system.predict(corpus.splits[role], corpus)
        path = self.working / "predictions" / f"{file_name(corpus.name)}.{role}.jsonl"
        sentences = system.sentence_types(corpus.splits[role])
        return scored(corpus, role, asked, found, path, sentences)


def _about(corpus: Corpus) -> dict:
    """What a row records of a corpus."""
    about = {
        "types": list(corpus.types),
        "official": corpus.official,
        "documented": corpus.documented,
        "repairs": dict(corpus.repairs),
        "fingerprint": corpus.fingerprint,
        "sentences": {role: len(split) for role, split in corpus.splits.items()},
    }
    if corpus.source:
        about["source"] = dict(corpus.source)
    return about | ({"note": corpus.note} if corpus.note else {})


def _peak_memory() -> int:
    """Bytes. On a CPU it is the peak of the whole process, earlier runs included."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _versions() -> dict[str, str]:
    packages = ("bioner-workbook", "torch", "transformers", "seqeval")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
