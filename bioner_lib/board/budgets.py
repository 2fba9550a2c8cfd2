"""Only arms with one budget are compared: epochs, batch size, learning rate and the rest."""

import json
from collections.abc import Mapping, Sequence

from ..config import BUDGET, RunConfig
from ..errors import WorkbookError
from ..runs.rows import phases


def check_budgets(rows: Sequence[Mapping]) -> None:
    """Raises WorkbookError unless all taggers were trained with the same budget.

    An encoder may vary, and brings its own learning rate. Of several phases the epochs are added,
    and all else must be the same. Steps follow from epochs and corpora, which may vary.
    """
    taggers = []
    for row in rows:
        chain = [RunConfig(**config).as_dict() for config in phases(row)]
        if chain[0]["system"] != "dictionary":
            epochs = sum(config["epochs"] for config in chain)
            taggers += [config | {"epochs": epochs} for config in chain]
    for field in BUDGET:
        by_encoder: dict[str, set[str]] = {}
        for config in taggers:
            group = config["encoder"] if field == "learning_rate" else ""
            by_encoder.setdefault(group, set()).add(json.dumps(config[field]))
        values = {value for group in by_encoder.values() for value in group}
        if any(len(group) > 1 for group in by_encoder.values()):
            raise WorkbookError(
                f"these runs can't be compared: {field} differs ({', '.join(sorted(values))}); run "
                "both arms with one budget"
            )


def equal_budgets(rows: Sequence[Mapping]) -> bool:
    """Whether `check_budgets` accepts these rows."""
    try:
        check_budgets(rows)
    except WorkbookError:
        return False
    return True
