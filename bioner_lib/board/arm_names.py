"""Names of arms: what an arm is, what it was trained on, and what isn't at its default."""

import re
from collections.abc import Iterable, Mapping

from ..config import BUDGET, RunConfig
from ..runs.rows import PARENTS

# fields that an arm's name shows by itself, or not at all
_NAMED = ("system", "seeds", "encoder", "heads", "corpora", "seed", "also_test", *PARENTS)
_BUDGET = {*BUDGET} - {"epochs"}
_FIELD = re.compile(r"(?<= )\w+=[^ ]+")  # of an arm's name, such as epochs=3


def arm_name(
    config: RunConfig, corpus: str, parents: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """The name of an arm where it is scored on `corpus`.

    It says what the arm is, what it was trained on, and every field that isn't at its default. A
    single-task tagger on its own corpus has no corpus in its name, so that the single-task taggers
    of several corpora share one line of a table.
    """
    parts = [config.system]
    if config.system != "dictionary":
        task = "single-task" if len(config.corpora) == 1 else "multi-task"
        parts = [config.encoder.rstrip("/").rsplit("/", 1)[-1], config.heads, task]
    if config.seeds:
        parts.insert(0, f"ensemble of {len(config.seeds)}")
    if config.corpora != (corpus,):
        folders = [name.rsplit("/", 1)[-1] if name[0] == "/" else name for name in config.corpora]
        parts.append(f"({' + '.join(folders)})")
    default = RunConfig(corpora=config.corpora, encoder=config.encoder)
    usual = default.as_dict()
    for key, value in config.as_dict().items():
        if key not in _NAMED and value != usual[key]:
            parts.append(f"{key}={_written(value)}")
    earlier = {key: parent for key, parent in (parents or {}).items() if key in PARENTS}
    parts += [f"{key}={parent['name']}" for key, parent in earlier.items()]
    return " ".join(parts)


def _written(value: object) -> str:
    """A field's value without blanks, since `short_names` cuts a name at them."""
    if isinstance(value, Mapping):
        return "+".join(f"{key}:{one}" for key, one in value.items())
    return "+".join(value) if isinstance(value, list) else str(value)


def short_names(names: Iterable[str]) -> tuple[dict[str, str], str]:
    """Arms' names without the fields that don't tell them apart; the fields that all share.

    Left out are fields that all trained arms share and, where names stay different without them,
    those of the budget (batch size, learning rate …; epochs stay).

    >>> short_names(["a seed=1 epochs=3", "b batch_size=2 epochs=3", "dictionary"])
    ({'a seed=1 epochs=3': 'a seed=1', 'b batch_size=2 epochs=3': 'b', 'dictionary': 'dictionary'},\
 'epochs=3')
    """
    names = list(dict.fromkeys(names))
    fields = {name: _FIELD.findall(name) for name in names}
    # an arm without fields has the default in each, so nothing is shared with it
    given = [set(found) for name, found in fields.items() if not name.startswith("dictionary")]
    shared = set.intersection(*given) if len(given) > 1 else set()
    hidden = {f for found in fields.values() for f in found if f.partition("=")[0] in _BUDGET}
    short = {name: _without(name, shared) for name in names}
    shortest = {name: _without(name, shared | hidden) for name in names}
    for name in names:
        if len([other for other in names if shortest[other] == shortest[name]]) == 1:
            short[name] = shortest[name]
    order = next((found for found in fields.values() if found), [])
    return short, " ".join(field for field in order if field in shared)


def _without(name: str, fields: set[str]) -> str:
    return " ".join(part for part in name.split(" ") if part not in fields)
