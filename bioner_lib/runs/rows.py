"""What a run leaves behind, and how it resumes.

    outputs/runs/<run id>/run.json                          the row: config, versions, scores, dev history, cost
    outputs/runs/<run id>/predictions/<corpus>.<split>.jsonl  gold and predicted spans with scores
    outputs/runs/<run id>/model/                            what MultiTaskTagger.load reads

A run is made in `.working-<run id>` and renamed last, so a `run.json` means a finished run. A lock lets one process work on it.
"""

import json
import platform
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ..data.corpora import Corpus, Split, load_corpus
from ..data.lexicons import Lexicon
from ..errors import WorkbookError
from ..evaluation.scoring import check_referee, errors, score, seqeval_f1, token_accuracy
from ..home import outputs as outputs_folder
from .config import RunConfig

FORMAT = 1
Predictor = Callable[[Split, Corpus], list[list[tuple]]]


def run(
    config: RunConfig,
    *,
    outputs: str | Path | None = None,
    mirror: str | Path | None = None,
    progress: bool = True,
    keep_model: bool = True,
    track: str = "",
) -> dict:
    """Train, choose on dev, score test once, leave a row, and return it; a finished run is only read, a killed one goes on.

    Where another process works on the same run this one waits for it. `track` names a tracker of accelerate's, such as "tensorboard",
    which writes to outputs/tensorboard. Raises WorkbookError where outputs can't be written.
    """
    from filelock import FileLock, Timeout

    folder = outputs_folder(outputs) / "runs" / config.run_id
    if row := read_row(folder):
        return _said(folder, row, progress)
    working = folder.with_name(f".working-{config.run_id}")
    try:
        working.mkdir(parents=True, exist_ok=True)
        (folder.parent / ".locks").mkdir(exist_ok=True)
        lock = FileLock(folder.parent / ".locks" / f"{config.run_id}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"another process works on {config.run_id}; waiting for it", file=sys.stderr)
            lock.acquire()
        with lock:
            if row := read_row(folder):
                return _said(folder, row, progress)
            working.mkdir(exist_ok=True)
            row = _make(config, working, mirror, progress, keep_model, track)
            working.replace(folder)
    except OSError as error:
        raise WorkbookError(
            f"run {config.run_id} stopped: {error.strerror or error} ({error.filename or folder}); "
            "what was reached is kept, make room or name another folder with BIONER_OUTPUTS, then start the same run again"
        ) from error
    return _said(folder, row, progress)


def read_row(folder: Path) -> dict | None:
    """A finished run's row, or None."""
    path = Path(folder) / "run.json"
    return json.loads(path.read_text()) if path.exists() else None


def read_rows(outputs: str | Path | None = None) -> list[dict]:
    """The rows of all finished runs, by run id."""
    return [
        json.loads(path.read_text()) for path in sorted((outputs_folder(outputs) / "runs").glob("*/run.json")) if path.parent.name[0] != "."
    ]


def read_predictions(run_id: str, corpus: str, role: str, outputs: str | Path | None = None) -> list[dict]:
    """One dict a sentence: doc, tokens, gold [[start, end, type]], predicted [[start, end, type, score]]."""
    path = outputs_folder(outputs) / "runs" / run_id / "predictions" / f"{file_name(corpus)}.{role}.jsonl"
    if not path.exists():
        held = sorted(p.name for p in path.parent.glob("*.jsonl"))
        raise WorkbookError(f"{path} is missing; the run holds {held}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def file_name(corpus: str) -> str:
    """A corpus's name as part of a file's name."""
    return corpus.replace(":", "_").replace("/", "_")


def _said(folder: Path, row: dict, progress: bool) -> dict:
    if progress:
        print(f"row: {folder.parent.name}/{folder.name}/run.json")
    return row


def _make(config: RunConfig, working: Path, mirror, progress: bool, keep_model: bool, track: str) -> dict:
    started = time.perf_counter()
    # the same sentences for every seed, so that runs can be paired
    corpora, also = ([load_corpus(n, mirror=mirror).limit(config.limit) for n in names] for names in (config.corpora, config.also_test))
    names = [corpus.name for corpus in corpora + also]
    if len(set(names)) < len(names):
        raise WorkbookError(f"two corpora of this run have one name: {names}; rename a folder")
    repairs: Counter = Counter()
    predictor, history, cost, device = (_tagger if config.system == "tagger" else _dictionary)(
        config, corpora, working, progress, keep_model, track, repairs
    )
    scores = {}
    for corpus, roles in [(corpus, ("dev", "test")) for corpus in corpora] + [(corpus, ("test",)) for corpus in also]:
        scores[corpus.name] = {role: _score(predictor, corpus, role, working) for role in roles if role in corpus.splits}
    row = {
        "format": FORMAT, "run_id": config.run_id, "config": config.as_dict(), "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "scores": scores, "history": history, "repairs": dict(repairs),
        "data": {corpus.name: _about(corpus) for corpus in corpora + also},
        "cost": cost | {"total_seconds": time.perf_counter() - started, "peak_memory_bytes": _peak_memory()},
        "device": device, "versions": _versions(),
    }  # fmt: skip
    for leftover in working.glob("*.pt"):
        leftover.unlink()
    aside = working / "run.json.tmp"
    aside.write_text(json.dumps(row, indent=1))
    aside.replace(working / "run.json")
    return row


def _about(corpus: Corpus) -> dict:
    about = {"types": list(corpus.types), "official": corpus.official, "repairs": dict(corpus.repairs)}
    return about | {"fingerprint": corpus.fingerprint, "sentences": {role: len(split) for role, split in corpus.splits.items()}}


def _tagger(config, corpora: Sequence[Corpus], working: Path, progress: bool, keep_model: bool, track: str, repairs: Counter):
    import torch

    from .training import autocast_dtype, fit

    fitted = fit(config, corpora, working, progress, track=track)
    autocast = autocast_dtype(config.precision)
    if keep_model:
        fitted.tagger.save(working / "model")

    def predict(split: Split, corpus: Corpus) -> list[list[tuple]]:
        return fitted.tagger.predict([s.tokens for s in split], corpus.name, corpus.types, autocast=autocast, repairs=repairs)

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    device = {"name": name, "threads": torch.get_num_threads(), "precision": "bf16" if autocast else "fp32"}
    return predict, fitted.history, fitted.cost, device


def _dictionary(config, corpora: Sequence[Corpus], working: Path, progress: bool, keep_model: bool, track: str, repairs: Counter):
    started, cpu = time.perf_counter(), time.process_time()
    lexicons = {corpus.name: Lexicon.from_mentions(corpus.train) for corpus in corpora}
    cost = {"seconds": time.perf_counter() - started, "process_seconds": time.process_time() - cpu}

    def predict(split: Split, corpus: Corpus) -> list[list[tuple]]:
        lexicon = lexicons.get(corpus.name, lexicons[corpora[0].name])
        return [[(*span, 1.0) for span in lexicon.tag(sentence.tokens)] for sentence in split]

    return predict, [], cost, {"name": platform.processor() or platform.machine(), "threads": 1, "precision": "none"}


def _score(predictor: Predictor, corpus: Corpus, role: str, working: Path) -> dict:
    """Score one split, let the referee check it, write its predictions."""
    split = corpus.splits[role]
    gold, lengths = [s.spans for s in split], [len(s.tokens) for s in split]
    found = predictor(split, corpus)
    scores = score(gold, found, corpus.types)
    check_referee(scores, seqeval_f1(gold, found, lengths, corpus.types))
    path = working / "predictions" / f"{file_name(corpus.name)}.{role}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for sentence, right, spans in zip(split, gold, found, strict=True):
            predicted = [[start, end, name, round(float(p), 4)] for start, end, name, p in spans if name in corpus.types]
            file.write(
                json.dumps({"doc": sentence.doc, "tokens": sentence.tokens, "gold": right, "predicted": predicted}, ensure_ascii=False)
                + "\n"
            )
    kinds = sum((errors(a, b) for a, b in zip(gold, found, strict=True)), Counter())
    return {"types": scores, "errors": dict(kinds), "token_accuracy": token_accuracy(gold, found, lengths)}


def _peak_memory() -> int:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in ("bioner-workbook", "torch", "transformers", "seqeval")}


def forget(run_id: str, outputs: str | Path | None = None) -> None:
    """Delete a run, finished or not."""
    runs = outputs_folder(outputs) / "runs"
    for name in (run_id, f".working-{run_id}"):
        shutil.rmtree(runs / name, ignore_errors=True)
