"""Published systems as ordinary runs: a name -> the RunConfigs that reproduce it. The recipes are `recipes.toml`."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from ..config import RunConfig
from ..corpora.registry import split_name
from ..errors import WorkbookError, unknown

_TABLES: dict[str, dict] = tomllib.loads(
    (Path(__file__).parent / "recipes.toml").read_text(encoding="utf-8")
)


def _whole(name: str) -> dict:
    table = _TABLES[name]
    return (_whole(table["like"]) if "like" in table else {}) | {
        key: value for key, value in table.items() if key != "like"
    }


RECIPES: dict[str, dict] = {name: _whole(name) for name in _TABLES}
ORDERS = ("together", "apart", "together-then-alone", "alone-then-added")
_SAID = (
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
    """The runs of a recipe in the order in which they are made; what a second phase starts from stands before it.

    What is given replaces what the recipe says: other `corpora` take the place of what it is also tested on too, another `encoder`
    brings its own learning rate, `epochs` is one number for all phases or one each, `added` is its general-domain or silver corpus
    (nothing to a recipe that has none), `fields` any other field of RunConfig. Raises WorkbookError for an unknown recipe, for one that
    needs `added`, and for a wrong number of `epochs`.

    >>> [config.sharing for config in recipe("cross-sharing", encoder="minilm")]
    ['cross']
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    said = RECIPES[name]
    order, own = said.get("order", "together"), not corpora
    corpora, added = _listed(corpora) or said["corpora"], _listed(added)
    if "needs" in said and not added:
        raise WorkbookError(f"recipe {name!r} needs added=, {said['needs']}: a name or folder")
    added = added or said.get("added", []) if "needs" in said or said.get("added") else []
    common = {key: value for key, value in said.items() if key not in _SAID}
    if encoder and encoder != said["encoder"]:
        common.pop("learning_rate", None)
    scored = {
        split_name(corpus)[::2] for corpus in corpora + added
    }  # whatever part of it is trained on
    also = [
        c
        for c in _listed(fields.pop("also_test", said.get("also_test", []) if own else []))
        if split_name(c)[::2] not in scored
    ]
    common |= {"seed": seed, "encoder": encoder or said["encoder"], "also_test": also} | fields
    lengths = epochs or said.get("epochs", 0)
    lengths = [lengths] * 2 if isinstance(lengths, int) else list(lengths)
    if len(lengths) != 2:
        raise WorkbookError(f"epochs={lengths}; expected one number, or two for the two phases")
    weights = common.pop(
        "corpus_weights",
        dict.fromkeys(added, said["added_weight"]) if "added_weight" in said else {},
    )

    def config(trained_on: Sequence[str], length: int, **more) -> RunConfig:
        here = {corpus: weight for corpus, weight in weights.items() if corpus in trained_on}
        return RunConfig(
            **common | {"corpora": trained_on, "epochs": length, "corpus_weights": here} | more
        )

    if order == "apart":
        return [config([corpus], lengths[0]) for corpus in corpora]
    gold_first = (
        order == "alone-then-added"
    )  # whose heads can't be asked about types that come later
    first = (
        config(corpora, lengths[0], also_test=[])
        if gold_first
        else config(corpora + added, lengths[0])
    )
    if order == "together":
        return [first]
    then = added if gold_first else corpora
    # the first corpora are scored again, so that what the second phase cost them can be seen
    also = [*also, *(corpus for corpus in corpora if corpus not in then and corpus not in also)]
    return [first, config(then, lengths[1], also_test=also, start_from=first.run_id)]


def family(name: str, **given) -> dict[str, list[RunConfig]]:
    """The recipes of the same system (what stands before the first "-") and their runs, this one first; what is the same run as one
    before it, or needs a corpus that isn't given, is left out."""
    names = [
        name,
        *(
            other
            for other in RECIPES
            if other != name and other.split("-")[0] == name.split("-")[0]
        ),
    ]
    found: dict[str, list[RunConfig]] = {}
    for other in names:
        if other == name or given.get("added") or "needs" not in RECIPES[other]:
            configs = recipe(other, **given)
            if configs not in found.values():
                found[other] = configs
    return found


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) and names else list(names)
