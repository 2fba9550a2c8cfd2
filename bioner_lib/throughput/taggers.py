"""Tagging text, from strings to spans: this library, the stock pipeline, and a plain loop."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
import torch

from ..corpora.schemes import to_spans
from ..models.encoders import (
    encoder_path,
    load_encoder,
    load_tokenizer,
    loading,
    longest_window,
)
from ..models.heads import HeadPlan
from ..models.quantization import quantized
from ..models.tagger import MultiTaskTagger
from .measuring import Arm, timed

_LOOP = 32  # sentences per batch of the plain loop


def tagging_arms(
    encoder: str, sentences: Sequence[Sequence[str]], autocast: torch.dtype | None, heads: int = 5
) -> dict[str, Arm]:
    """name -> Arm; items are sentences. The heads are not trained: their speed is the same.

    In fp32 on a CPU one arm is quantized to int8.
    """
    texts = [" ".join(words) for words in sentences]
    arms = {
        "this library, 1 head": _ours([_tagger(encoder, 1)], texts, autocast),
        f"this library, {heads} heads": _ours([_tagger(encoder, heads)], texts, autocast),
        f"this library, {heads} taggers": _ours(
            [_tagger(encoder, 1) for _ in range(heads)], texts, autocast
        ),
    }
    if autocast is None and not torch.cuda.is_available():
        arms["this library, int8"] = _ours([quantized(_tagger(encoder, 1))], texts, autocast)
    for size in (1, 8, 32):
        arms[f"pipeline, batch {size}"] = _pipeline(encoder, texts, size)
    arms["plain sorted loop"] = _sorted_loop(encoder, texts, autocast)
    return arms


def growth(
    encoder: str, autocast: torch.dtype | None, heads: Sequence[int] = (1, 2, 4, 8)
) -> pd.DataFrame:
    """What tagging costs by length of a sentence, number of heads, and number of sentences.

    One row per measurement: `what`, `value`, `seconds`, `microseconds_per_word`. A sentence is one
    word repeated; where the number of sentences doesn't grow, about 8,000 words are tagged.
    """
    rows = []
    tagger = _tagger(encoder, 1)
    for length in (8, 16, 32, 64, 128, 250):
        rows.append({"what": "words per sentence", "value": length})
        rows[-1]["seconds"] = _seconds(tagger, [["of"] * length] * (8000 // length), autocast)
    for count in heads:
        rows.append({"what": "heads", "value": count})
        tagger = _tagger(encoder, count)
        rows[-1]["seconds"] = _seconds(tagger, [["of"] * 32] * 250, autocast)
    for count in (125, 250, 500, 1000):
        rows.append({"what": "sentences", "value": count})
        rows[-1]["seconds"] = _seconds(tagger, [["of"] * 32] * count, autocast)
    table = pd.DataFrame(rows)
    words = table["value"].where(table["what"] == "sentences", 250) * 32
    return table.assign(microseconds_per_word=1e6 * table["seconds"] / words)


def _seconds(tagger: MultiTaskTagger, sentences, autocast) -> float:
    tagger.predict(sentences, autocast=autocast)
    return min(timed(lambda: tagger.predict(sentences, autocast=autocast)) for _ in range(3))


def _tagger(encoder: str, heads: int) -> MultiTaskTagger:
    plans = [HeadPlan(f"type {i}", (f"type {i}",), ()) for i in range(heads)]
    loaded = load_encoder(encoder)
    longest = min(256, longest_window(loaded[0]) or 256)
    tagger = MultiTaskTagger(*loaded, plans, scheme="IOBES", max_length=longest)
    for head in tagger.heads:
        head.linear.bias.data[0] = 2.0  # mostly O, as in text
    return tagger.eval()


def _ours(taggers: Sequence[MultiTaskTagger], texts: Sequence[str], autocast) -> Arm:
    def tag() -> None:
        for tagger in taggers:
            tagger.predict([text.split() for text in texts], autocast=autocast)

    return lambda: (len(texts), timed(tag))


def _classifier(encoder: str):
    from transformers import AutoModelForTokenClassification

    path = encoder_path(encoder)
    with loading(encoder, path):
        model = AutoModelForTokenClassification.from_pretrained(path, num_labels=5)
    names = dict(enumerate(("O", "B-X", "I-X", "E-X", "S-X")))
    model.config.id2label = names
    model.classifier.bias.data[0] = 2.0
    return model.eval(), load_tokenizer(encoder), names


def _pipeline(encoder: str, texts: Sequence[str], batch: int) -> Arm:
    from transformers import pipeline

    model, tokenizer, _ = _classifier(encoder)
    tag = pipeline(
        "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="first"
    )
    return lambda: (len(texts), timed(lambda: tag(list(texts), batch_size=batch)))


def _sorted_loop(encoder: str, texts: Sequence[str], autocast: torch.dtype | None) -> Arm:
    """What somebody writes by hand: sorted by length, padded, the most probable tags."""
    model, tokenizer, names = _classifier(encoder)

    @torch.inference_mode()
    def tag() -> None:
        encoded = tokenizer(list(texts), truncation=True)
        order = sorted(range(len(texts)), key=lambda i: len(encoded["input_ids"][i]))
        for start in range(0, len(order), _LOOP):
            chosen = order[start : start + _LOOP]
            rows = [{"input_ids": encoded["input_ids"][i]} for i in chosen]
            batch = tokenizer.pad(rows, return_tensors="pt").to(model.device)
            device = model.device.type
            with torch.autocast(device, dtype=autocast, enabled=autocast is not None):
                tags = model(**batch).logits.argmax(-1).tolist()
            for row, i in zip(tags, chosen, strict=True):
                pairs = enumerate(pairwise([None, *encoded.word_ids(i)]))
                first = [k for k, (last, word) in pairs if word is not None and word != last]
                to_spans([names[row[k]] for k in first], "IOBES")

    return lambda: (len(texts), timed(tag))
