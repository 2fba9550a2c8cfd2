"""Only arms with one budget are compared: epochs, batch size, learning rate and the rest."""

import json
from collections.abc import Iterable, Mapping, Sequence

from ..config import BUDGET, RunConfig
from ..errors import WorkbookError
from ..runs.rows import phases


def check_budgets(rows: Sequence[Mapping]) -> None:
    """Raises WorkbookError unless all taggers were trained with the same budget.

    An encoder may vary, and brings its own learning rate. Of several phases the epochs are added,
    and all else must be the same. Steps follow from epochs and corpora, which may vary: arms of
    other corpora may be given as many steps by `epoch_size`. Arms of the same corpora must agree in
    `epoch_size`, and in the corpora that choose the epoch.
    """
    chains = [[_whole(config) for config in phases(row)] for row in rows]
    chains = [chain for chain in chains if chain[0]["system"] != "dictionary"]
    taggers = []
    for chain in chains:
        epochs = sum(config["epochs"] for config in chain)
        taggers += [config | {"epochs": epochs} for config in chain]
    for field in BUDGET:
        by_encoder: dict[str, set[str]] = {}
        for config in taggers:
            group = config["encoder"] if field == "learning_rate" else ""
            by_encoder.setdefault(group, set()).add(json.dumps(config[field]))
        values = {value for group in by_encoder.values() for value in group}
        if any(len(group) > 1 for group in by_encoder.values()):
            raise _differs(field, values)
    for field in ("epoch_size", "chosen_on"):
        by_corpora: dict[str, set[str]] = {}
        for chain in chains:
            corpora = json.dumps([sorted(config["corpora"]) for config in chain])
            value = json.dumps([config[field] for config in chain])
            by_corpora.setdefault(corpora, set()).add(value)
        for values in by_corpora.values():
            if len(values) > 1:
                raise _differs(field, values)


def _whole(config: Mapping) -> dict:
    """All fields, and the corpora that choose the epoch by their names."""
    fields = RunConfig(**config).as_dict()
    return fields | {"chosen_on": sorted(fields["chosen_on"] or fields["corpora"])}


def _differs(field: str, values: Iterable[str]) -> WorkbookError:
    return WorkbookError(
        f"these runs can't be compared: {field} differs ({', '.join(sorted(values))}); run both "
        "arms with one budget"
    )


def equal_budgets(rows: Sequence[Mapping]) -> bool:
    """Whether `check_budgets` accepts these rows."""
    try:
        check_budgets(rows)
    except WorkbookError:
        return False
    return True
