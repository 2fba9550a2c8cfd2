"""A released token classifier as the start of a training: its encoder and, where it fits, its head.

Any encoder's name may be that of a stock token classifier: its encoder is loaded and its classifier
left out. Here the classifier is kept too.
"""

import re

import torch

from ..corpora.schemes import tag_names
from ..errors import WorkbookError
from .encoders import SAFE, encoder_path, loading
from .exporting import linear_classifier
from .heads import Head


def take_classifier(tagger, name: str) -> str:
    """Copy the classifier of a stock model into the head that has its tags; returns that head.

    `name` is a folder, or owner/name on the hub. Labels such as B-Disease name their type; bare
    labels (B, I, O) fit a tagger with a single type. Raises WorkbookError where the folder holds no
    linear token classifier, and where no head has its tags.
    """
    from transformers import AutoModelForTokenClassification

    path = encoder_path(name)
    with loading(name, path):
        model, report = AutoModelForTokenClassification.from_pretrained(
            path, dtype=torch.float32, output_loading_info=True, **SAFE
        )
    linear = linear_classifier(model, tagger.encoder)
    if linear is None or any("classifier" in key for key in report["missing_keys"]):
        raise WorkbookError(
            f"{name!r} holds no linear token classifier to start from; to take its encoder only, "
            f"write encoder={name!r} and leave start_from out"
        )
    labels = [model.config.id2label[i] for i in range(linear.out_features)]
    for head_name, head in tagger.named_heads:
        order = _order(labels, head)
        if not order:
            continue
        if head.linear.in_features != linear.in_features:
            raise WorkbookError(
                f"head {head_name!r} reads {head.linear.in_features} values of a word, and the "
                f"classifier of {name!r} reads {linear.in_features}; write characters='none' and "
                f"sharing='hard', or take its encoder only: encoder={name!r} without start_from"
            )
        with torch.no_grad():
            head.linear.weight.copy_(linear.weight[order])
            head.linear.bias.copy_(linear.bias[order])
        return head_name
    expected = {head_name: head.tags for head_name, head in tagger.named_heads}
    raise WorkbookError(
        f"no head has the labels of {name!r}, {labels}; the heads of this run have {expected}. "
        "Choose scheme, heads and corpora that fit, or take its encoder only: "
        f"encoder={name!r} without start_from"
    )


def _order(labels: list[str], head: Head) -> list[int]:
    """For each tag of a head the index of its label; [] where the labels are others."""
    types = list(dict.fromkeys(tag[2:] for tag in head.tags if tag != "O"))
    if len(types) == 1 and all(re.fullmatch("[BIESO]", label) for label in labels):
        labels = [label if label == "O" else f"{label}-{types[0]}" for label in labels]
    if sorted(labels) != sorted(tag_names(types, head.scheme)):
        return []
    return [labels.index(tag) for tag in head.tags]
