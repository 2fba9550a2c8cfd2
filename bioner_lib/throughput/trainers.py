"""Training for one epoch: this library, and transformers' Trainer with several settings.

All arms train the same windows with the same labels, batch size and learning rate.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from ..config import RunConfig
from ..corpora.corpus import Corpus
from ..models.batching import IGNORED, Example
from ..models.encoders import encoder_path, load_tokenizer, loading
from ..models.hardware import autocast_dtype
from ..training.loop import Loop
from .measuring import Arm

_EPOCHS = 1000  # of our schedule: more than a measurement takes


def training_arms(config: RunConfig, corpus: Corpus, padded: Sequence[int] = (128,)) -> dict:
    """name -> Arm; items are pieces without padding.

    `padded` are lengths that published code pads to; longer windows are left out there.

    "Trainer, default" runs as transformers' run_ner.py sets it up; "Trainer, best flags" has length
    grouping, and the precision of `config`.
    """
    loop = Loop(replace(config, epochs=_EPOCHS), [corpus], progress=False)
    examples = [example for examples in loop.train for example in examples]
    half = autocast_dtype(config.precision) is not None
    arms = {
        "this library": _ours(loop),
        "Trainer, default": _trainer(config, examples),
        "Trainer, best flags": _trainer(
            config, examples, bf16=half, train_sampling_strategy="group_by_length"
        ),
    }
    for length in padded:
        arms[f"Trainer, padded to {length}"] = _trainer(config, examples, length)
    return arms


def layer_products(encoder: nn.Module) -> int:
    """Multiplications and additions per piece in the matrix products of the encoder's layers."""
    weights = [module.weight for module in encoder.modules() if isinstance(module, nn.Linear)]
    return 2 * sum(weight.numel() for weight in weights)


def _ours(loop: Loop) -> Arm:
    def arm() -> tuple[int, float]:
        record = loop.one_epoch(0)
        return record["pieces"], record["training_seconds"]

    return arm


def stock_trainer(
    config: RunConfig,
    examples: Sequence[Example],
    folder: str,
    callbacks: Sequence,
    pad_to: int = 0,
    **flags,
):
    """transformers' Trainer over these windows; `flags` are fields of its TrainingArguments.

    `pad_to` pads each batch to that length and leaves longer windows out.
    """
    from transformers import (
        AutoModelForTokenClassification,
        DataCollatorForTokenClassification,
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )

    items = [_labelled(example) for example in examples]
    if pad_to:
        items = [item for item in items if len(item["input_ids"]) <= pad_to]
    labels = 1 + max(max(item["labels"]) for item in items)
    path = encoder_path(config.encoder)
    with loading(config.encoder, path):
        model = AutoModelForTokenClassification.from_pretrained(path, num_labels=labels)
    padding = {"padding": "max_length", "max_length": pad_to} if pad_to else {}
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        **flags,
    )
    collator = DataCollatorForTokenClassification(load_tokenizer(config.encoder), **padding)
    trainer = Trainer(
        model, arguments, data_collator=collator, train_dataset=items, callbacks=list(callbacks)
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _trainer(config: RunConfig, examples: Sequence[Example], pad_to: int = 0, **flags) -> Arm:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """The seconds between the first step and the last one: setting up isn't counted."""

        def on_train_begin(self, *_, **__):
            self.started = time.perf_counter()

        def on_train_end(self, *_, **__):
            self.seconds = time.perf_counter() - self.started

    def arm() -> tuple[int, float]:
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            flags["num_train_epochs"] = 1
            trainer = stock_trainer(config, examples, folder, [clock], pad_to, **flags)
            trainer.train()
        return sum(len(item["input_ids"]) for item in trainer.train_dataset), clock.seconds

    return arm


def _labelled(example: Example) -> dict[str, list[int]]:
    """A window as a token classification model takes it, with the tags of its only head."""
    (tags,) = example.tags.values()
    labels = [IGNORED] * len(example.window.input_ids)
    for position, tag in zip(example.window.positions, tags, strict=True):
        labels[position] = tag
    return {"input_ids": example.window.input_ids, "labels": labels}
