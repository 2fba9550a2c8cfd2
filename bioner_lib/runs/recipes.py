"""Published systems as ordinary runs: a name -> the RunConfigs that reproduce it. The recipes are `recipes.toml`."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from ..errors import WorkbookError, unknown
from .config import RunConfig

RECIPES: dict[str, dict] = tomllib.loads((Path(__file__).parent / "recipes.toml").read_text(encoding="utf-8"))
ORDERS = ("together", "apart", "together-then-alone", "alone-then-added")
_SAID = ("about", "changed", "order", "corpora", "added", "added_weight", "also_test", "encoder", "epochs")


def recipe(
    name: str,
    *,
    seed: int = 13,
    encoder: str = "",
    corpora: Sequence[str] = (),
    added: Sequence[str] = (),
    epochs: int | Sequence[int] = 0,
    **fields,
) -> list[RunConfig]:
    """The runs of a recipe in the order in which they are made; what a second phase starts from stands before it.

    What is given replaces what the recipe says: another `encoder` brings its own learning rate, `epochs` is one number for
    all phases or one each, `added` is its general-domain or silver corpus, `fields` any other field of RunConfig.
    Raises WorkbookError for an unknown recipe, and for one that needs `added`.

    >>> [config.sharing for config in recipe("cross-sharing", encoder="minilm")]
    ['cross']
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    said = RECIPES[name]
    order, corpora, own_added = said.get("order", "together"), list(corpora or said["corpora"]), said.get("added", [])
    if not added and isinstance(own_added, str):
        raise WorkbookError(f"recipe {name!r} needs added=, {own_added}: a name or folder")
    added = list(added or own_added)
    common = {key: value for key, value in said.items() if key not in _SAID}
    if encoder and encoder != said["encoder"]:
        common.pop("learning_rate", None)
    also = [corpus for corpus in fields.pop("also_test", said.get("also_test", [])) if corpus not in corpora + added]
    common |= {"seed": seed, "encoder": encoder or said["encoder"], "also_test": also} | fields
    lengths = epochs or said.get("epochs", 0)
    lengths = [lengths] * 2 if isinstance(lengths, int) else list(lengths)
    weights = {"corpus_weights": dict.fromkeys(added, said["added_weight"])} if "added_weight" in said else {}
    if order == "apart":
        return [RunConfig(**common | {"corpora": corpus, "epochs": lengths[0]}) for corpus in corpora]
    first = RunConfig(**weights | common | {"corpora": corpora if order == "alone-then-added" else corpora + added, "epochs": lengths[0]})
    if order == "together":
        return [first]
    then = added if order == "alone-then-added" else corpora
    # the first corpora are scored again, so that what the second phase cost them can be seen
    also = [*also, *(corpus for corpus in corpora if corpus not in then and corpus not in also)]
    second = {"corpora": then, "also_test": also, "epochs": lengths[1], "start_from": first.run_id}
    return [first, RunConfig(**common | second)]
