"""MultiTaskTagger: encoder -> sharing -> heads.

B sentences   P pieces   N labelled pieces   D hidden   T tags
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..corpora.schemes import flat
from ..errors import WorkbookError
from .alignment import Aligner, Window
from .batching import Batch, Example, collate, inference_batches
from .encoders import SAFE, for_words, longest_window, with_dropout, without_pooler
from .heads import Head, HeadPlan, Output, heads_for
from .sharing import make_sharing

BLOCK = 4_096  # sentences that are tagged together, the longest last: bounds memory


class MultiTaskTagger(nn.Module):
    """Any Hugging Face encoder, a sharing design, and one head per plan.

    `sharing_options` are the design's coefficients; `encoder_name` is only remembered. Raises WorkbookError for windows longer than
    the encoder's positions.
    """

    def __init__(
        self, encoder, tokenizer, plans: Sequence[HeadPlan], scheme: str = "IOB2", dropout: float = 0.1,
        max_length: int = 256, overlap: int = 64, label_pieces: str = "first", encoder_name: str = "",
        decoder: str = "softmax", sharing: str = "hard", sharing_options: Mapping[str, float] | None = None,
    ):  # fmt: skip
        super().__init__()
        longest = longest_window(encoder)
        if longest is not None and max_length > longest:
            raise WorkbookError(
                f"max_length={max_length} is too long for {encoder_name or 'this encoder'}: its windows hold at most {longest} pieces"
            )
        self.encoder, self.dropout = encoder, nn.Dropout(dropout)
        corpora = dict.fromkeys(name for plan in plans for name in plan.corpora)
        self.sharing = make_sharing(
            sharing,
            encoder.config.hidden_size,
            [plan.name for plan in plans],
            len(corpora),
            sharing_options,
        )
        self.heads = nn.ModuleList(
            Head(self.sharing.width, plan.types, scheme, decoder) for plan in plans
        )
        self.plans, self.scheme, self.tokenizer, self.encoder_name = (
            list(plans),
            scheme,
            tokenizer,
            encoder_name,
        )
        self.aligner = Aligner(tokenizer, max_length, overlap, label_pieces)
        self.settings = {
            "scheme": scheme, "dropout": dropout, "max_length": max_length, "overlap": overlap, "label_pieces": label_pieces,
            "decoder": decoder, "sharing": sharing, "sharing_options": dict(sharing_options or {}),
        }  # fmt: skip

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, positions: torch.Tensor,
        valid: torch.Tensor | None = None, corpus: torch.Tensor | None = None,
    ) -> Output:  # fmt: skip
        """(B P), (B P), (B N), (B N), (B) -> Output; `valid` and `corpus` are for what the sharing charges in training."""
        hidden = self._hidden(input_ids, attention_mask, positions)
        views, penalty = self.sharing(hidden, *((valid, corpus) if self.training else ()))
        named = list(zip([plan.name for plan in self.plans], self.heads, strict=True))
        logits = {name: head(view) for (name, head), view in zip(named, views, strict=True)}
        return Output(
            logits,
            {name: table for name, head in named if (table := head.table()) is not None},
            penalty,
        )

    def _hidden(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.dropout(
            hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1]))
        )  # (B P D) -> (B N D)

    def predict(
        self, sentences: Iterable[Sequence[str]], corpus: str = "", types: Sequence[str] | None = None, max_pieces: int = 0,
        autocast: torch.dtype | None = None, repairs: Counter | None = None,
    ) -> list[list[tuple[int, int, str, float]]]:  # fmt: skip
        """Spans (start word, end word, type, score) of tokenized sentences; arguments and errors as for `predictions`."""
        return [
            spans
            for spans, _ in self.predictions(
                sentences, corpus, types, max_pieces, autocast, repairs
            )
        ]

    def predictions(
        self, sentences: Iterable[Sequence[str]], corpus: str = "", types: Sequence[str] | None = None, max_pieces: int = 0,
        autocast: torch.dtype | None = None, repairs: Counter | None = None,
    ) -> Iterator[tuple[list[tuple[int, int, str, float]], float]]:  # fmt: skip
        """For each tokenized sentence its spans (start word, end word, type, score) and the confidence in its tags.

        Scores and confidence are probabilities; a sentence's confidence is that of its least probable tag, 1 for no words.
        `types` keeps only spans of these; `corpus` picks that corpus's own head where heads are per corpus. Where several heads
        know one type, overlapping spans of that type are settled in favour of the leftmost, then the longest. `max_pieces` bounds
        a batch (0: what suits the device). Sentences are read block by block, so a long text may be a generator.

        Raises WorkbookError for text that isn't cut into words, and where no head knows one of `types`.
        """
        wanted = list(
            types
            if types is not None
            else dict.fromkeys(name for plan in self.plans for name in plan.types)
        )
        chosen = set(heads_for(self.plans, corpus, wanted))
        if isinstance(sentences, str):
            raise _not_words(sentences)
        sentences = iter(sentences)
        while block := list(islice(sentences, BLOCK)):
            if text := next((sentence for sentence in block if isinstance(sentence, str)), None):
                raise _not_words(text)
            tagged = self._tagged(block, chosen, max_pieces, autocast)
            for k, tokens in enumerate(block):
                words = {name: found[k] for name, found in tagged.items()}
                confidence = min(
                    (p for by_word in words.values() for _, p, _ in by_word.values()), default=1.0
                )
                yield self._spans(words, len(tokens), set(wanted), repairs), confidence

    @torch.inference_mode()
    def sharing_weights(
        self, sentences: Sequence[Sequence[str]], max_pieces: int = 0
    ) -> list[np.ndarray]:
        """What each head takes of each expert (moe) or other head (cross), word by word: one (H K W) a sentence, W its words."""
        found: list[np.ndarray | None] = [None] * len(sentences)
        for windows, batch in self._batches(sentences, max_pieces):
            weights = (
                self.sharing.weights(
                    self._hidden(batch.input_ids, batch.attention_mask, batch.positions)
                )
                .float()
                .cpu()
                .numpy()
            )
            for row, window in enumerate(windows):
                if found[window.sentence] is None:
                    found[window.sentence] = np.zeros(
                        (*weights.shape[:2], len(sentences[window.sentence]))
                    )
                for i, word in reversed(list(enumerate(window.words))):
                    found[window.sentence][:, :, word] = weights[:, :, row, i]
        return found

    def _batches(
        self, sentences: Sequence[Sequence[str]], max_pieces: int
    ) -> Iterator[tuple[list[Window], Batch]]:
        self.eval()
        windows = [
            window for window in self.aligner.windows(sentences) if window.words
        ]  # an empty sentence has an empty one
        device = next(self.parameters()).device
        suits = (
            16_384 if device.type == "cuda" else 1_024
        )  # on a CPU larger batches leave its caches
        for group in inference_batches(windows, max_pieces or suits):
            yield (
                [windows[i] for i in group],
                collate(
                    [Example(windows[i], 0, {}) for i in group], self.tokenizer.pad_token_id or 0
                ).to(device),
            )

    @torch.inference_mode()
    def _tagged(
        self,
        sentences: Sequence[Sequence[str]],
        chosen: set[str],
        max_pieces: int,
        autocast: torch.dtype | None,
    ) -> dict[str, list[dict[int, tuple[int, float, int]]]]:
        """head -> for each sentence word -> tag index of its first piece and its probability, tag index of its last labelled piece."""
        tagged: dict[str, list[dict[int, tuple[int, float, int]]]] = {
            name: [{} for _ in sentences] for name in chosen
        }
        for windows, batch in self._batches(sentences, max_pieces):
            with torch.autocast(
                batch.input_ids.device.type, dtype=autocast, enabled=autocast is not None
            ):
                output = self(**batch.inputs)
            for plan, head in zip(self.plans, self.heads, strict=True):
                if plan.name in chosen:
                    decoded = head.decode(
                        output.logits[plan.name], batch.valid, batch.opens, batch.closes
                    )
                    tags, scores = (values.tolist() for values in decoded)
                    for row, window in enumerate(windows):
                        _collect(window, tags[row], scores[row], tagged[plan.name][window.sentence])
        return tagged

    def _spans(
        self, tagged, length: int, wanted: set[str], repairs: Counter | None
    ) -> list[tuple[int, int, str, float]]:
        """One sentence's spans; `tagged`: head -> word -> what `_tagged` found."""
        repairs = Counter() if repairs is None else repairs
        by_type: dict[str, list[tuple[int, int, str, float]]] = {}
        for plan, head in zip(self.plans, self.heads, strict=True):
            if plan.name in tagged:
                words = [tagged[plan.name][w] for w in range(length)]
                tags = [head.word_tag(first, last) for first, _, last in words]
                for span in head.spans(tags, [p for _, p, _ in words], repairs):
                    if span[2] in wanted:
                        by_type.setdefault(span[2], []).append(span)
        return sorted(span for spans in by_type.values() for span in flat(spans))

    def save(self, folder: str | Path) -> None:
        """model.safetensors, the encoder's config.json, the tokenizer and tagger.json."""
        from safetensors import SafetensorError
        from safetensors.torch import save_model

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            save_model(self, str(folder / "model.safetensors"))
        except SafetensorError as error:
            raise OSError(None, str(error), str(folder)) from error
        self.encoder.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        description = {
            "encoder": self.encoder_name,
            "heads": [asdict(plan) for plan in self.plans],
            **self.settings,
        }
        (folder / "tagger.json").write_text(json.dumps(description, indent=1))

    @classmethod
    def load(cls, folder: str | Path, dropout: float | None = None) -> "MultiTaskTagger":
        """What `save` wrote; no network, no code from outside. `dropout` is for training on."""
        from safetensors.torch import load_model
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        folder = Path(folder)
        description, plans = read_description(folder)
        if dropout is not None:
            description["dropout"] = dropout
        config = with_dropout(AutoConfig.from_pretrained(folder, **SAFE), description["dropout"])
        encoder = AutoModel.from_config(
            config, dtype=torch.float32, **SAFE, **without_pooler(config)
        )
        tokenizer = for_words(AutoTokenizer.from_pretrained(folder, **SAFE), str(folder))
        tagger = cls(
            encoder, tokenizer, plans, encoder_name=description.pop("encoder"), **description
        )
        load_model(tagger, str(folder / "model.safetensors"))
        return tagger.eval()

    def extended(self, plans: Sequence[HeadPlan]) -> "MultiTaskTagger":
        """A tagger with this one's weights and these plans' heads: those it has go on, those it lacks are new, the rest stay as they are.

        Raises WorkbookError where a head of one name knows other types.
        """
        own = {plan.name: plan for plan in self.plans}
        for plan in plans:
            if plan.name in own and plan.types != own[plan.name].types:
                raise WorkbookError(
                    f"head {plan.name!r} knows {list(own[plan.name].types)} in the first phase and {list(plan.types)} in the second; "
                    "a head goes on with the types it has: take heads='per-type', or the same types in both"
                )
        merged = list(
            (own | {plan.name: plan for plan in plans}).values()
        )  # old heads first, in their order
        tagger = MultiTaskTagger(
            self.encoder, self.tokenizer, merged, encoder_name=self.encoder_name, **self.settings
        )
        grown = tagger.state_dict()
        for name, old in self.state_dict().items():
            if not name.startswith(
                "sharing.discriminator"
            ):  # it guesses among corpora, and those are others now
                grown[name][tuple(map(slice, old.shape))].copy_(old)
        return tagger


def read_description(folder: Path) -> tuple[dict, list[HeadPlan]]:
    """A saved tagger's settings and its heads."""
    if not (folder / "tagger.json").exists():
        raise WorkbookError(
            f"{folder} holds no tagger.json; a tagger's folder is a run's model/ folder"
        )
    said = json.loads((folder / "tagger.json").read_text())
    return said, [
        HeadPlan(plan["name"], tuple(plan["types"]), tuple(plan["corpora"]), plan["exclusive"])
        for plan in said.pop("heads")
    ]


def _collect(
    window, tags: list[int], scores: list[float], words: dict[int, tuple[int, float, int]]
) -> None:
    """Keep for each word tag and probability of its first labelled piece, and the tag of its last one."""
    for i, word in enumerate(window.words):
        first, p, _ = words.get(word, (tags[i], scores[i], 0))
        words[word] = first, p, tags[i]


def _not_words(text: str) -> WorkbookError:
    return WorkbookError(
        f"{text[:40]!r} is text; the tagger takes sentences as lists of words: "
        "from bioner_lib.corpora.text import tokenize; tagger.predict([tokenize(text)])"
    )
