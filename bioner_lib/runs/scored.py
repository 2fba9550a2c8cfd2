"""Scores of predictions on one split, and the tagger of a finished run on any corpus."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..corpora.corpus import AVERAGES, Corpus
from ..corpora.loading import load_corpus
from ..corpora.registry import CORPORA
from ..corpora.splits import Split
from ..errors import unknown
from ..evaluation.scoring import check_referee, errors, score, seqeval_f1, token_accuracy
from ..home import check_writable, exists, expanded, replace_text, replacing, runs_folder
from ..models.ensemble import Ensemble, load_tagger
from ..models.hardware import autocast_dtype
from ..models.heads import Prediction, asked_types
from ..models.quantization import quantized
from ..models.tagger import MultiTaskTagger
from .rows import file_name, read_row, read_rows


def read_tagger(name: str | Path) -> MultiTaskTagger | Ensemble:
    """The tagger or ensemble that a run left, ready to predict; on a GPU where there is one.

    `name` is a run id, a folder, or owner/name on the Hugging Face hub.
    """
    import torch

    tagger = load_tagger(name)
    return tagger.to("cuda") if torch.cuda.is_available() else tagger


def evaluate(
    run_id: str, corpus: str, role: str = "test", *, limit: int = 0, int8: bool = False
) -> dict[str, dict]:
    """The scores of a finished run's tagger on any corpus; the run's row doesn't change.

    They are written to `evaluations/<corpus>.<split>.json` in the run's folder, the predictions
    beside them as .jsonl (`evaluation_file`: parts and a user's own corpora have longer names).
    With `limit` so many sentences are read, of documents in random order (`Corpus.limit`); `int8`
    tags with 8-bit products.

    Returns `types`: type, `micro`, `macro` -> precision, recall, F1 (0 to 1), support; `errors`,
    `token_accuracy`; and `not_asked`: the corpus's types that no head knows, which don't count.
    Raises WorkbookError where the run left no tagger, for an unknown split, where no head knows a
    type of the corpus, and where the scores can't be written.
    """
    row = read_row(runs_folder() / run_id)
    if row is None:
        raise unknown(
            "run (evaluate takes run ids)", run_id, [one["run_id"] for one in read_rows()]
        )
    tagger, loaded = read_tagger(run_id), load_corpus(corpus, limit=limit)
    split = loaded.split(role)
    asked = asked_types(tagger.plans, loaded)
    path = evaluation_file(run_id, loaded, role, limit, int8)
    check_writable(path.parent)  # before a tagging that may take an hour
    precision = row["config"]["precision"]
    found = (quantized(tagger.cpu()) if int8 else tagger).predict(
        split,
        loaded.name,
        asked,
        autocast=autocast_dtype(precision),
    )
    result = scored(loaded, role, asked, found, path)
    replace_text(path.with_suffix(".json"), json.dumps(result, indent=1))
    return result


def evaluation_file(
    run_id: str, corpus: Corpus, role: str, limit: int = 0, int8: bool = False
) -> Path:
    """Where `evaluate` leaves its predictions of a loaded corpus; two corpora never share a file.

    The name holds the part of the train split, if one was taken, and for a corpus that isn't
    registered a hash of where it lies, since another folder may have the same name.
    """
    whole = file_name(f"{corpus.name}@{corpus.taken}" if corpus.taken else corpus.name)
    if corpus.base not in CORPORA:
        place = expanded(corpus.base).resolve() if exists(corpus.base) else corpus.base
        whole += f"-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
    parts = [whole, role, f"limit-{limit}" * bool(limit), "int8" * int8]
    name = ".".join(part for part in parts if part)
    return runs_folder() / run_id / "evaluations" / f"{name}.jsonl"


def scored(
    corpus: Corpus,
    role: str,
    asked: Sequence[str],
    predicted: Sequence[Sequence[Prediction]],
    path: Path,
    sentences: Sequence[Mapping[str, float]] | None = None,
) -> dict:
    """Score a split, let the referee check the scores, and write the predictions to `path`.

    `sentences` are what a sentence head says of each sentence (`MultiTaskTagger.sentence_types`);
    they are scored under `sentence`.
    """
    split = corpus.splits[role]
    lengths = [len(sentence.tokens) for sentence in split]
    gold = [[s for s in sentence.spans if s.type in asked] for sentence in split]
    found = [[m for m in mentions if m.type in asked] for mentions in predicted]
    scores = score(gold, found, asked)
    check_referee(scores, seqeval_f1(gold, found, lengths, asked))
    _write_predictions(path, split, found)
    kinds = sum((errors(a, b) for a, b in zip(gold, found, strict=True)), Counter())
    result = {
        "types": scores,
        "errors": dict(kinds),
        "token_accuracy": token_accuracy(gold, found, lengths),
        "not_asked": [type for type in corpus.types if type not in asked],
    }
    if sentences is not None:
        result["sentence"] = _sentence_scores(gold, sentences, asked)
    return result


def _sentence_scores(
    gold: Sequence[Sequence[tuple]], sentences: Sequence[Mapping[str, float]], asked: Sequence[str]
) -> dict[str, dict]:
    """type -> precision, recall, F1, support of "this sentence mentions the type" (p >= 0.5)."""
    # the types of a sentence, written as spans over all of it
    right = [[(0, 1, type) for type in {span[2] for span in spans}] for spans in gold]
    found = []
    for probabilities in sentences:
        found.append([(0, 1, type) for type in asked if probabilities.get(type, 0.0) >= 0.5])
    return score(right, found, asked)


def forgotten(
    scores: Mapping[str, Mapping], parents: Mapping[str, Mapping]
) -> dict[str, dict[str, dict[str, float]]]:
    """What a second phase cost the test corpora that the first one was scored on.

    corpus -> type -> `before`, `after` (strict F1, 0 to 1) and their difference, the forgetting
    score `forgotten`: above 0 where the second phase lost. A type is compared where both phases
    were scored on the same mentions; micro and macro only where they average the same types.
    """
    first = read_row(runs_folder() / parents["start_from"]["run_id"])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for corpus, splits in scores.items():
        then = first["scores"].get(corpus, {}).get("test", {}).get("types", {})
        now = splits.get("test", {}).get("types", {})
        for type in now:
            if _is_comparable(type, then, now):
                before, after = then[type]["f1"], now[type]["f1"]
                values = {"before": before, "after": after, "forgotten": before - after}
                found.setdefault(corpus, {})[type] = values
    return found


def _is_comparable(type: str, then: Mapping[str, Mapping], now: Mapping[str, Mapping]) -> bool:
    """Whether two phases' scores of a type, or of an average, are of the same mentions."""
    if type in AVERAGES and then.keys() != now.keys():
        return False
    asked = then.keys() - set(AVERAGES) if type in AVERAGES else {type} & then.keys()
    return bool(asked) and all(then[t]["support"] == now[t]["support"] for t in asked)


def _write_predictions(path: Path, split: Split, found: Sequence[Sequence[Prediction]]) -> None:
    """One JSON object per sentence: doc, tokens, gold, predicted."""
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as file:
        for sentence, mentions in zip(split, found, strict=True):
            record = {
                "doc": sentence.doc,
                "tokens": sentence.tokens,
                "gold": sentence.spans,
                "predicted": [
                    [*mention[:3], round(float(mention.score), 4)] for mention in mentions
                ],
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
