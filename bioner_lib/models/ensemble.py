"""Several taggers that tag as one.

The score of a tag is the mean of the members' (logits, and transitions of a CRF), so its
probability is the geometric mean of theirs, made to sum to 1 (a product of experts: Hinton 1999).

B sentences   N labelled pieces   T tags
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from ..errors import WorkbookError
from .heads import HeadPlan, Output
from .hub import find_tagger
from .predicting import Predicting
from .saving import (
    MEMBERS,
    keep_calibration,
    read_description,
    read_members,
    write_card,
    write_stock_config,
)
from .span_scores import read_calibration
from .tagger import MultiTaskTagger

FORMAT = 4  # of an ensemble's tagger.json; versions that know no ensembles name it as too new
_SAME = ("scheme", "decoder", "label_pieces", "max_length", "overlap", "context", "characters")


class Ensemble(Predicting, nn.Module):
    """Taggers with the same heads, tags and pieces; it is only used, never trained.

    Raises WorkbookError for fewer than two members, and where two of them differ.
    """

    def export_head(self, name: str, *_: object) -> None:
        """Raises WorkbookError: a stock model has one encoder."""
        raise WorkbookError(
            f"an ensemble can't export its head {name!r}, since a stock model has one encoder; "
            "export the head of one member"
        )

    def sharing_weights(self, *_: object) -> None:
        """Raises WorkbookError: each member weighs for itself."""
        raise WorkbookError(
            "an ensemble has no sharing weights of its own; ask one of its members, a run's tagger"
        )

    def __init__(self, members: Sequence[MultiTaskTagger]):
        super().__init__()
        if len(members) < 2:
            raise WorkbookError(f"an ensemble has two members or more, not {len(members)}")
        first = members[0]
        for k, other in enumerate(members[1:], 2):
            if differs := difference(first, other):
                name, own, others = differs
                raise WorkbookError(
                    f"members of an ensemble have the same {name}: the first one has {own!r}, "
                    f"number {k} has {others!r}"
                )
        self.members = nn.ModuleList(members)
        self.plans, self.scheme = first.plans, first.scheme
        self.tokenizer, self.aligner, self.encoder_name = (
            first.tokenizer,
            first.aligner,
            first.encoder_name,
        )
        self.heads = copy.deepcopy(first.heads)  # they decode; their linear layers aren't used
        for name, head in self.named_heads:
            if head.transitions is not None:
                own = [dict(member.named_heads)[name] for member in members]
                of_members = [other.transitions.detach() for other in own]
                head.transitions.data = torch.stack(of_members).mean(0)
        self.eval()

    @property
    def sentence_head(self):
        """The first member's, where each has one."""
        heads = [member.sentence_head for member in self.members]
        return None if None in heads else heads[0]

    def forward(self, **inputs: torch.Tensor) -> Output:
        """The mean of the members' outputs; inputs as for `Network`."""
        outputs = [member(**inputs) for member in self.members]
        logits = {
            name: torch.stack([output.logits[name].float() for output in outputs]).mean(0)
            for name, _ in self.named_heads
        }
        tables = {name: head.table() for name, head in self.named_heads}
        tables = {name: table for name, table in tables.items() if table is not None}
        sentence = None
        if self.sentence_head is not None:
            sentence = torch.stack(self._sentences(outputs)).mean(0)
        return Output(logits, tables, sentence=sentence)

    def _sentences(self, outputs: Sequence[Output]) -> list[torch.Tensor]:
        """Each member's sentence scores, with the types in the first member's order.  (B Y) each"""
        types, found = self.sentence_head.types, []
        for member, output in zip(self.members, outputs, strict=True):
            order = [member.sentence_head.types.index(type) for type in types]
            found.append(output.sentence[:, order].float())
        return found

    def save_pretrained(self, folder: str | Path, card: object = "") -> None:
        """Write all members into a folder that `load_tagger` reads, with the calibration.

        Raises WorkbookError for an int8 copy.
        """
        self.refuse_quantized()
        folder = Path(folder)
        is_ours = (folder / "tagger.json").exists()
        names = [f"member-{k + 1}" for k in range(len(self.members))]
        for name, member in zip(names, self.members, strict=True):
            member.save_pretrained(folder / name)
        write_members(names, folder)
        keep_calibration(self.calibration, folder)
        write_card(card, folder, is_ours)


def difference(
    one: MultiTaskTagger, other: MultiTaskTagger | Ensemble
) -> tuple[str, object, object] | None:
    """The first thing (name, values) in which two taggers don't read the same pieces or don't give
    the same tags; None where one may stand in for the other.
    """
    other = getattr(other, "members", [other])[0]
    pairs: dict[str, tuple] = {name: (one.settings[name], other.settings[name]) for name in _SAME}
    heads = ({plan.name: list(plan.types) for plan in tagger.plans} for tagger in (one, other))
    pairs["heads"] = tuple(heads)
    for name, (own, others) in pairs.items():
        if own != others:
            return name, own, others
    own, others = one.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    if len(own) != len(others):
        return "number of pieces (tokenizer, extra_words)", len(own), len(others)
    if own != others:
        return "tokenizer", one.encoder_name, other.encoder_name
    return None


def write_members(names: Sequence[str], folder: Path) -> None:
    """Write what `load_tagger` reads of an ensemble: the names of its members.

    A name is a subfolder, or what `find_tagger` finds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_stock_config(folder)
    description: Mapping = {"format": FORMAT, MEMBERS: list(names)}
    (folder / "tagger.json").write_text(json.dumps(description, indent=1))


def read_plans(folder: Path) -> list[HeadPlan]:
    """The heads of a saved tagger, or of an ensemble; errors as for `read_description`."""
    if members := read_members(folder):
        own = folder / members[0]  # all have the same heads
        folder = own if own.is_dir() else find_tagger(members[0])
    return read_description(folder)[1]


def load_tagger(name: str | Path) -> MultiTaskTagger | Ensemble:
    """A saved tagger or ensemble: a run id, a folder, or owner/name on the Hugging Face hub.

    Raises WorkbookError as `MultiTaskTagger.from_pretrained` does, and for a missing member.
    """
    folder = find_tagger(name)
    names = read_members(folder)
    if not names:
        return MultiTaskTagger.from_pretrained(folder)
    members = []
    for member in names:
        own = folder / member
        members.append(MultiTaskTagger.from_pretrained(own if own.is_dir() else member))
    ensemble = Ensemble(members)
    ensemble.calibration = read_calibration(folder)
    return ensemble
