"""Tiny random encoders of each family, made here so that no test needs a network."""

from pathlib import Path

FAMILIES = ("bert", "roberta", "deberta-v2", "electra", "modernbert")


def sample_text() -> list[str]:
    from bioner_lib import load_corpus

    return [" ".join(sentence.tokens) for sentence in load_corpus("sample").train]


BRACKETED = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
}


def _tokenizer(family: str):
    from tokenizers import (
        ByteLevelBPETokenizer,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    text = sample_text()
    if family in ("bert", "electra", "distilbert", "funnel"):
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.train_from_iterator(
            text,
            trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False),
        )
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        names = BRACKETED
    elif family in ("deberta-v2", "xlnet"):
        special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=400, special_tokens=special, unk_token="[UNK]", show_progress=False
        )
        tokenizer.train_from_iterator(text, trainer)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        names = BRACKETED
    else:
        bpe = ByteLevelBPETokenizer(
            add_prefix_space=family != "modernbert"
        )  # whose tokenizer.json says false
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        bpe.train_from_iterator(text, vocab_size=500, special_tokens=special, show_progress=False)
        tokenizer = bpe._tokenizer
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
        names = {
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "cls_token": "<s>",
            "sep_token": "</s>",
        }
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def make_encoder(family: str, folder: Path) -> Path:
    """Save a random encoder of a family, with a few thousand weights, as a model folder."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    tokenizer = _tokenizer(family)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 130,
    }
    if family == "modernbert":
        sizes |= {
            "global_attn_every_n_layers": 2,
            "local_attention": 16,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "cls_token_id": 0,
            "sep_token_id": 2,
        }
    if family == "roberta":
        sizes |= {"pad_token_id": 1}
    if family == "distilbert":  # the same sizes by other names
        sizes = {
            "dim": 32,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 64,
            "max_position_embeddings": 130,
        }
    if family == "xlnet":
        sizes = {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64}
    if family == "funnel":
        sizes = {
            "d_model": 32,
            "block_sizes": [1, 1],
            "n_head": 2,
            "d_head": 16,
            "d_inner": 64,
            "architectures": ["FunnelModel"],
        }
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **sizes)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
