"""Whether what is fast is also as good: dev F1 after whole trainings, with several seeds."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from ..config import RunConfig
from ..corpora.corpus import Corpus
from ..models.hardware import autocast_dtype
from ..models.quantization import quantized
from ..models.tagger import MultiTaskTagger
from ..training.choosing import dev_f1
from ..training.fitting import fit
from ..training.loop import Loop
from .trainers import stock_trainer


def trained_f1(config: RunConfig, corpus: Corpus, seeds: Sequence[int]) -> pd.DataFrame:
    """Best dev F1 of this library and of the Trainer with its best flags; equal epochs.

    One row per arm and seed: `arm`, `seed`, `f1` (0 to 1). The Trainer's model is read by the same
    decoder and the same scorer. "this library, int8" is our tagger, quantized after training.
    """
    rows = []
    for seed in seeds:
        own = replace(config, seed=seed)
        fitted = fit(own, [corpus], progress=False)
        best = max(record["dev"]["mean"] for record in fitted.history)
        small = dev_f1(quantized(fitted.tagger), [corpus.dev], [corpus], None)["mean"]
        scores = {
            "this library": best,
            "this library, int8": small,
            "Trainer, best flags": _trainer_f1(own, corpus),
        }
        rows += [{"arm": arm, "seed": seed, "f1": f1} for arm, f1 in scores.items()]
    return pd.DataFrame(rows)


def _trainer_f1(config: RunConfig, corpus: Corpus) -> float:
    from transformers import TrainerCallback

    loop, found = Loop(config, [corpus], progress=False), []

    class Score(TrainerCallback):
        """Scores dev after each epoch."""

        def on_epoch_end(self, *_, model, **__):
            _copy(model, loop.tagger)
            score = dev_f1(loop.tagger, [corpus.dev], [corpus], loop.autocast, loop.cuts)
            found.append(score["mean"])

    examples = [example for examples in loop.train for example in examples]
    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "num_train_epochs": config.epochs,
            "bf16": autocast_dtype(config.precision) is not None,
            "train_sampling_strategy": "group_by_length",
        }
        stock_trainer(config, examples, folder, [Score()], **flags).train()
    return max(found)


def _copy(model, tagger: MultiTaskTagger) -> None:
    """The weights of a stock token classifier, into a tagger with one head."""
    tagger.encoder.load_state_dict(model.base_model.state_dict())
    (head,) = tagger.heads
    head.linear.load_state_dict(model.classifier.state_dict())
