"""MultiTaskTagger: a network that tags, and that is saved and loaded.

N labelled pieces   K sources   W words   H heads
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..errors import WorkbookError
from .blocks import Sentences
from .exporting import export_head
from .heads import HeadPlan
from .hub import find_tagger
from .network import Network
from .predicting import Predicting
from .saving import read_description, read_encoder, read_weights, write_tagger
from .span_scores import read_calibration


class MultiTaskTagger(Predicting, Network):
    """A network that tags words and texts, and that is saved and loaded.

    Raises WorkbookError for windows longer than the encoder's positions.
    """

    @torch.inference_mode()
    def sharing_weights(self, sentences: Sentences, max_pieces: int = 0) -> list[np.ndarray]:
        """Each head's weight of each source (moe: expert, cross: other head), word by word.

        One (H K W) array per sentence.
        """
        found: list[np.ndarray] = []
        for block in self.cut(sentences):
            own: list = [None] * len(block.sentences)
            for group, batch in self._batches(block.windows, max_pieces):
                inputs = {key: value for key, value in batch.inputs.items() if key != "corpus"}
                hidden = self.hidden(**inputs)
                weights = self.sharing.weights(hidden).float().cpu().numpy()  # (H K B N)
                for row, window in enumerate(group):
                    k = window.sentence
                    if own[k] is None:
                        own[k] = np.zeros((*weights.shape[:2], len(block.sentences[k])))
                    # of a word with several labelled pieces the first one counts: it is written
                    # last
                    for i in reversed(range(len(window.words))):
                        own[k][:, :, window.words[i]] = weights[:, :, row, i]
            found += own
        return found

    def save_pretrained(self, folder: str | Path, card: object = "") -> None:
        """Write the tagger's folder (see `saving`); a model card becomes its README.md.

        Raises WorkbookError for an int8 copy, here and in `export_head`.
        """
        self.refuse_quantized()
        write_tagger(self, Path(folder), card)

    def export_head(self, name: str, folder: str | Path, card: object = "") -> Path:
        """Write one head as a folder for stock pipelines; see `exporting.export_head`."""
        self.refuse_quantized()
        return export_head(self, name, folder, card)

    @classmethod
    def from_pretrained(cls, name: str | Path, dropout: float | None = None) -> "MultiTaskTagger":
        """A saved tagger: a run id, a folder, or owner/name on the Hugging Face hub.

        `dropout` is for further training, which a calibration doesn't survive. Raises
        WorkbookError for an unknown name, for a format that a newer version wrote, and for damaged
        files.
        """
        folder = find_tagger(name)
        description, plans = read_description(folder)
        if dropout is not None:
            description["dropout"] = dropout
        encoder, tokenizer = read_encoder(folder, description["dropout"])
        encoder_name = description.pop("encoder")
        tagger = cls(encoder, tokenizer, plans, encoder_name=encoder_name, **description)
        read_weights(tagger, folder)
        if dropout is None:
            tagger.calibration = read_calibration(folder)
        return tagger.eval()

    def extended(self, plans: Sequence[HeadPlan]) -> "MultiTaskTagger":
        """A tagger with this one's weights, and with heads for these plans too.

        Heads that exist go on, missing ones are new, and all others stay; but with "cross" every
        head reads the others' views, so a new head moves what the old ones find. Raises
        WorkbookError where a head of the same name knows other types.
        """
        own = {plan.name: plan for plan in self.plans}
        for plan in plans:
            if plan.name in own and plan.types != own[plan.name].types:
                raise WorkbookError(
                    f"head {plan.name!r} knows {list(own[plan.name].types)} in the first phase and "
                    f"{list(plan.types)} in the second; a head goes on with the types it has: take "
                    "heads='per-type', or the same types in both"
                )
        # existing heads first, in their order
        merged = list((own | {plan.name: plan for plan in plans}).values())
        tagger = MultiTaskTagger(
            self.encoder, self.tokenizer, merged, encoder_name=self.encoder_name, **self.settings
        )
        new = tagger.state_dict()
        for name, old in self.state_dict().items():
            # the discriminator starts anew: it guesses among other corpora now
            if not name.startswith("sharing.discriminator"):
                # a gate has more rows than before: one for each new head
                new[name][tuple(map(slice, old.shape))].copy_(old)
        return tagger
