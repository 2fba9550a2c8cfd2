"""One run: train, choose on dev, score test once, leave what `rows` reads.

A run is made in `.working-<run id>` and renamed last, so a `run.json` means a finished run. A lock lets one process work on it.
"""

import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ..config import RunConfig
from ..corpora.corpus import Corpus, Split
from ..corpora.loading import load_corpus
from ..corpora.schemes import Span, flat
from ..errors import WorkbookError
from ..evaluation.scoring import check_referee, errors, score, seqeval_f1, token_accuracy
from ..home import outputs as outputs_folder
from ..home import replace_text
from ..models.encoders import autocast_dtype, load_tokenizer
from ..models.heads import HeadPlan, heads_for, plan_heads
from ..models.tagger import MultiTaskTagger, read_description
from ..silver.lexicons import Lexicon
from ..training import processes
from ..training.progress import add_run
from .leaks import shared_documents, trained_before
from .provenance import check_unchanged, compare_made_from, made_earlier, made_from
from .rows import file_name, parents_of, read_json_of_run, read_row

FORMAT = 2  # 2: rows say what they were made from
_TRAIN = "train"  # what the first of several processes tells the others
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

    Where another process works on the same run this one waits for it. Started in several processes, by torchrun or accelerate launch,
    they train together, gradients averaged, and the first one leaves the row. `track` names a tracker of accelerate's: "tensorboard"
    writes to outputs/tensorboard. Raises WorkbookError where outputs can't be written, and where what a finished run was made from
    (data, encoder, parents, precision, library) has changed since.
    """
    folder = outputs_folder(outputs, write=True) / "runs" / config.run_id
    working = folder.with_name(f".working-{config.run_id}")
    processes.join()
    if processes.rank() > 0:
        return _take_part(config, working, mirror)
    if (row := read_row(folder)) is None:
        try:
            with _locked(folder):
                if (row := read_row(folder)) is None:
                    row = _make(config, working, mirror, progress, keep_model, track)
                    if folder.exists():  # somebody deleted its row
                        folder.rename(
                            folder.with_name(f".without-row-{time.time_ns()}-{folder.name}")
                        )
                    for leftover in working.glob("*.pt"):
                        leftover.unlink()
                    working.replace(folder)
        except OSError as error:
            raise WorkbookError(
                f"run {config.run_id} stopped: {error.strerror or error} ({error.filename or folder}); what was reached is kept: "
                "mend that (make room, or name another folder with BIONER_OUTPUTS) and start the same run again"
            ) from error
    else:
        check_unchanged(row, folder.parent, mirror)
    add_run(config.run_id)
    if progress:
        print(f"row: {folder.parent.name}/{folder.name}/run.json")
    return processes.tell(row)


def corpora_of(
    config: RunConfig, mirror: str | Path | None = None
) -> tuple[list[Corpus], list[Corpus]]:
    """What a run trains on and what else it is scored on; the same sentences for every seed, so that runs can be paired."""
    return tuple(
        [load_corpus(n, mirror=mirror, limit=config.limit) for n in names]
        for names in (config.corpora, config.also_test)
    )


def _take_part(config: RunConfig, working: Path, mirror) -> dict:
    """What the other processes of a run do: train where the first one trains, and return its row."""
    if (said := processes.tell()) == _TRAIN:
        from ..training.loop import fit

        corpora, also = corpora_of(config, mirror)
        fit(config, corpora, working, progress=False, also=also)
        said = processes.tell()
    return said


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time works on a run; the operating system frees the lock of a killed one."""
    from filelock import FileLock, Timeout

    path = folder.parent / ".locks" / f"{folder.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another process works on {folder.name}; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def read_tagger(run_id: str, outputs: str | Path | None = None) -> MultiTaskTagger:
    """The tagger that a run left, ready to predict, on a GPU where there is one."""
    import torch

    tagger = MultiTaskTagger.load(outputs_folder(outputs) / "runs" / run_id / "model")
    return tagger.to("cuda") if torch.cuda.is_available() else tagger


def evaluate(
    run_id: str,
    corpus: str,
    role: str = "test",
    *,
    outputs: str | Path | None = None,
    mirror: str | Path | None = None,
    limit: int = 0,
) -> dict[str, dict]:
    """A finished run's tagger on another corpus; its row stays as it is.

    Returns `types`: type, `micro`, `macro` -> precision, recall, F1 (0 to 1), support; and `not_asked`: the corpus's types that
    no head knows, which count in none of these. Raises WorkbookError where the run left no tagger and where none of its heads
    knows a type of the corpus.
    """
    tagger, loaded = read_tagger(run_id, outputs), load_corpus(corpus, mirror=mirror, limit=limit)
    row, split = read_row(outputs_folder(outputs) / "runs" / run_id), loaded.splits[role]
    asked = asked_types(tagger.plans, loaded)
    autocast = autocast_dtype(row["config"]["precision"])
    found = tagger.predict([s.tokens for s in split], loaded.name, asked, autocast=autocast)
    return {
        "types": score([s.spans for s in split], found, asked),
        "not_asked": _rest(loaded, asked),
    }


def asked_types(plans: Sequence[HeadPlan], corpus: Corpus) -> list[str]:
    """The types of a corpus that the heads which read it know; raises WorkbookError where there is none."""
    reading = heads_for(plans, corpus.name, corpus.types)
    known = {name for plan in plans if plan.name in reading for name in plan.types}
    return [name for name in corpus.types if name in known]


def _rest(corpus: Corpus, asked: Sequence[str]) -> list[str]:
    return [name for name in corpus.types if name not in asked]


def _make(
    config: RunConfig, working: Path, mirror, progress: bool, keep_model: bool, track: str
) -> dict:
    if row := read_row(working):  # killed between its last two steps
        return row
    started = time.perf_counter()
    corpora, also = corpora_of(config, mirror)
    names = [corpus.name for corpus in corpora + also]
    if len(set(names)) < len(names):
        raise WorkbookError(f"two corpora of this run have one name: {names}; rename a folder")
    parents = parents_of(config, working.parent)
    if config.system == "tagger":
        load_tokenizer(
            config.encoder
        )  # so that a hub's encoder is on this machine, and its commit is known
    made, begun = made_from(config, corpora + also, working.parent), working / "made_from.json"
    working.mkdir(parents=True, exist_ok=True)
    if begun.exists():
        compare_made_from(config.run_id, read_json_of_run(begun), made)
    elif (working / "last.pt").exists():
        raise made_earlier(config.run_id)
    else:
        replace_text(begun, json.dumps(made))
    # a dictionary has no heads, but knows types as a tagger with one head a type would
    plans = plan_heads(config.heads if config.system == "tagger" else "per-type", corpora)
    if config.start_from and (model := working.parent / config.start_from / "model").is_dir():
        plans += read_description(model)[1]
    asked = {
        corpus.name: asked_types(plans, corpus) for corpus in corpora + also
    }  # refused now rather than after training
    repairs: Counter = Counter()
    before, gone = trained_before(config, parents, working.parent, mirror)
    shared, trained = shared_documents(corpora, also, mirror, before), [*corpora, *before]
    if not config.allow_shared_documents and (
        leaks := {c.name: shared[c.name] for c in trained if c.silver and c.name in shared}
    ):
        raise WorkbookError(
            f"silver text shares documents with test splits: {leaks}; leave them out when the text is fetched, or say "
            "allow_shared_documents=True, and the row will tell"
        )
    make = _tagger if config.system == "tagger" else _dictionary
    predictor, history, cost, device, more = make(
        config, corpora, also, working, progress, keep_model, track, repairs
    )
    scores = {}
    for corpus, roles in [(corpus, ("dev", "test")) for corpus in corpora] + [
        (corpus, ("test",)) for corpus in also
    ]:
        scores[corpus.name] = {
            role: _score(predictor, corpus, role, asked[corpus.name], working)
            for role in roles
            if role in corpus.splits
        }
    row = {
        "format": FORMAT, "run_id": config.run_id, "config": config.as_dict(), "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "scores": scores, "history": history, "repairs": dict(repairs),
        "data": {corpus.name: _about(corpus) for corpus in corpora + also}, "made_from": made,
        "cost": cost | {"total_seconds": time.perf_counter() - started, "peak_memory_bytes": _peak_memory()},
        "device": device, "versions": _versions(), "parents": parents, "shared_documents": shared,
        **({"not_compared": gone} if gone else {}), **more,
    }  # fmt: skip
    begun.unlink()
    replace_text(working / "run.json", json.dumps(row, indent=1))
    return row


def _about(corpus: Corpus) -> dict:
    about = {
        "types": list(corpus.types),
        "official": corpus.official,
        "documented": corpus.documented,
        "repairs": dict(corpus.repairs),
    }
    about |= {"note": corpus.note} if corpus.note else {}
    return about | {
        "fingerprint": corpus.fingerprint,
        "sentences": {role: len(split) for role, split in corpus.splits.items()},
    }


def _tagger(
    config,
    corpora: Sequence[Corpus],
    also,
    working: Path,
    progress: bool,
    keep_model: bool,
    track: str,
    repairs: Counter,
):
    import torch

    from ..training.loop import fit

    processes.tell(_TRAIN)
    fitted = fit(config, corpora, working, progress, track, also)
    autocast = autocast_dtype(config.precision)
    if keep_model:
        fitted.tagger.save(working / "model")

    def predict(split: Split, corpus: Corpus) -> list[list[tuple]]:
        return fitted.tagger.predict(
            [s.tokens for s in split], corpus.name, corpus.types, autocast=autocast, repairs=repairs
        )

    name = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else platform.processor() or platform.machine()
    )
    device = {"name": name, "threads": torch.get_num_threads(), "processes": processes.count()}
    device["precision"] = "bf16" if autocast else "fp32"
    parts = {
        "encoder": fitted.tagger.encoder,
        "sharing": fitted.tagger.sharing,
        "heads": fitted.tagger.heads,
    }
    parameters = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    return (
        predict,
        fitted.history,
        fitted.cost,
        device,
        {"parameters": parameters, "self_labelled": fitted.labelled},
    )


def _dictionary(
    config,
    corpora: Sequence[Corpus],
    also,
    working: Path,
    progress: bool,
    keep_model: bool,
    track: str,
    repairs: Counter,
):
    started, cpu = time.perf_counter(), time.process_time()
    lexicons = {corpus.name: Lexicon.from_mentions(corpus.train) for corpus in corpora}
    cost = {"seconds": time.perf_counter() - started, "process_seconds": time.process_time() - cpu}

    def predict(split: Split, corpus: Corpus) -> list[list[tuple]]:
        own = lexicons.get(corpus.name)
        asked = (
            [own] if own else list(lexicons.values())
        )  # a corpus that wasn't trained on: all that the others know
        return [
            [(*span, 1.0) for span in _found(asked, sentence.tokens, corpus.types)]
            for sentence in split
        ]

    return (
        predict,
        [],
        cost,
        {"name": platform.processor() or platform.machine(), "threads": 1, "precision": "none"},
        {},
    )


def _found(lexicons: Sequence[Lexicon], tokens: Sequence[str], types: Sequence[str]) -> list[Span]:
    """The spans of these types that any of the lexicons finds; of those that overlap the leftmost, then the longest."""
    return flat(
        sorted({span for lexicon in lexicons for span in lexicon.tag(tokens) if span[2] in types})
    )


def _score(
    predictor: Predictor, corpus: Corpus, role: str, asked: Sequence[str], working: Path
) -> dict:
    """Score one split for the types that were asked for, let the referee check it, write its predictions."""
    split = corpus.splits[role]
    whole, lengths = [s.spans for s in split], [len(s.tokens) for s in split]
    gold, found = (
        [[span for span in spans if span[2] in asked] for spans in side]
        for side in (whole, predictor(split, corpus))
    )
    scores = score(gold, found, asked)
    check_referee(scores, seqeval_f1(gold, found, lengths, asked))
    path = working / "predictions" / f"{file_name(corpus.name)}.{role}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for sentence, right, spans in zip(split, whole, found, strict=True):
            predicted = [[start, end, name, round(float(p), 4)] for start, end, name, p in spans]
            record = {
                "doc": sentence.doc,
                "tokens": sentence.tokens,
                "gold": right,
                "predicted": predicted,
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    kinds = sum((errors(a, b) for a, b in zip(gold, found, strict=True)), Counter())
    accuracy = token_accuracy(gold, found, lengths)
    return {
        "types": scores,
        "errors": dict(kinds),
        "token_accuracy": accuracy,
        "not_asked": _rest(corpus, asked),
    }


def _peak_memory() -> int:
    """Bytes; on a CPU the peak of the whole process so far, earlier runs in the same kernel included."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: version(name) for name in ("bioner-workbook", "torch", "transformers", "seqeval")
    }
