"""Published systems as ordinary runs: a name -> the RunConfigs that reproduce it.

The recipes are in `recipes.toml`.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from ..config import RunConfig
from ..corpora.registry import split_name
from ..errors import WorkbookError, unknown

_TABLES: dict[str, dict] = tomllib.loads(
    (Path(__file__).parent / "recipes.toml").read_text(encoding="utf-8")
)
ORDERS = ("together", "apart", "together-then-alone", "alone-then-added")
# keys of a recipe that are no fields of RunConfig, or that get a meaning of their own here
_OWN_KEYS = (
    "about",
    "changed",
    "order",
    "corpora",
    "added",
    "added_weight",
    "needs",
    "also_test",
    "encoder",
    "epochs",
)


def _complete(name: str) -> dict:
    """A recipe with the values that it takes from the one it is `like`."""
    table = dict(_TABLES[name])
    base = table.pop("like", None)
    return (_complete(base) if base else {}) | table


RECIPES: dict[str, dict] = {name: _complete(name) for name in _TABLES}


def recipe(
    name: str,
    *,
    seed: int = 13,
    encoder: str = "",
    corpora: str | Sequence[str] = (),
    added: str | Sequence[str] = (),
    epochs: int | Sequence[int] = 0,
    **fields,
) -> list[RunConfig]:
    """The runs of a recipe, in the order in which they are made.

    Arguments replace what the recipe says:

    corpora   also replace its further test corpora
    encoder   brings its own learning rate
    epochs    one number for all phases, or one per phase
    added     the general-domain or silver corpus, for a recipe that has one
    fields    any other field of RunConfig

    Raises WorkbookError for an unknown recipe, for one that needs `added`, and for a wrong number
    of `epochs`.

    >>> [config.sharing for config in recipe("cross-sharing", encoder="minilm")]
    ['cross']
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    table = RECIPES[name]
    keeps_corpora = not corpora
    corpora = _listed(corpora) or table["corpora"]
    added = _listed(added)
    if "needs" in table and not added:
        raise WorkbookError(f"recipe {name!r} needs added=, {table['needs']}: a name or folder")
    if "needs" not in table:
        added = (added or table["added"]) if table.get("added") else []
    phases = _phase_lengths(epochs or table.get("epochs", 0))
    common = {key: value for key, value in table.items() if key not in _OWN_KEYS}
    if encoder and encoder != table["encoder"]:
        common.pop("learning_rate", None)
    also_test = fields.pop("also_test", table.get("also_test", []) if keeps_corpora else [])
    # whatever part of a corpus is trained on, its test split is scored
    scored = {_without_part(corpus) for corpus in [*corpora, *added]}
    also = [corpus for corpus in _listed(also_test) if _without_part(corpus) not in scored]
    common |= {"seed": seed, "encoder": encoder or table["encoder"], "also_test": also} | fields
    weights = common.pop("corpus_weights", {})
    if not weights and "added_weight" in table:
        weights = dict.fromkeys(added, table["added_weight"])

    def config(trained_on: Sequence[str], length: int, **more) -> RunConfig:
        own = {corpus: weight for corpus, weight in weights.items() if corpus in trained_on}
        values = {"corpora": trained_on, "epochs": length, "corpus_weights": own}
        return RunConfig(**common | values | more)

    order = table.get("order", "together")
    if order == "apart":
        return [config([corpus], phases[0]) for corpus in corpora]
    if order == "together":
        return [config(corpora + added, phases[0])]
    if order == "alone-then-added":
        # the heads of the first phase don't know the types that come later
        first, second = config(corpora, phases[0], also_test=[]), added
    else:
        first, second = config(corpora + added, phases[0]), corpora
    # the first corpora are scored again, to show what the second phase cost them
    again = [corpus for corpus in corpora if corpus not in second and corpus not in also]
    last = config(second, phases[1], also_test=[*also, *again], start_from=first.run_id)
    return [first, last]


def family(name: str, **given) -> dict[str, list[RunConfig]]:
    """The recipes of one system and their runs, the named one first.

    A system's name is what precedes the first "-". Left out are recipes whose runs are already
    there, and those that need a corpus which isn't given.
    """
    system = name.split("-")[0]
    others = [other for other in RECIPES if other != name and other.split("-")[0] == system]
    found: dict[str, list[RunConfig]] = {}
    for other in [name, *others]:
        if other != name and "needs" in RECIPES[other] and not given.get("added"):
            continue
        configs = recipe(other, **given)
        if configs not in found.values():
            found[other] = configs
    return found


def _phase_lengths(epochs: int | Sequence[int]) -> list[int]:
    lengths = [epochs] * 2 if isinstance(epochs, int) else list(epochs)
    if len(lengths) != 2:
        raise WorkbookError(f"epochs={lengths}; expected one number, or two for the two phases")
    return lengths


def _without_part(name: str) -> tuple[str, str]:
    base, _, types = split_name(name)
    return base, types


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) and names else list(names)
