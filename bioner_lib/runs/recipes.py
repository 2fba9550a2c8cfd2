"""Published systems as ordinary runs: a name -> the RunConfigs that reproduce it.

The recipes are in `recipes.toml`.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config import FIELDS, RunConfig, is_checkpoint
from ..corpora.loading import load_corpus
from ..corpora.registry import CORPORA, split_name
from ..errors import WorkbookError, unknown
from ..silver.labelled_gold import labelled_name

_TABLES: dict[str, dict] = tomllib.loads(
    (Path(__file__).parent / "recipes.toml").read_text(encoding="utf-8")
)
_TWO_PHASES = ("together-then-alone", "alone-then-added")
ORDERS = ("together", "apart", *_TWO_PHASES)
# keys of a recipe that are no fields of RunConfig, or that get a meaning of their own here
_OWN_KEYS = (
    "about",
    "changed",
    "cite",
    "order",
    "corpora",
    "added",
    "added_weight",
    "needs",
    "labelled",
    "equal_steps",
    "also_test",
    "chosen_on_tests",
    "encoder",
    "epochs",
    "learning_rate",
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

    corpora     also replace its further test corpora
    encoder     brings its own learning rate, the same for both phases
    epochs      one number for all phases, or one per phase
    added       the general-domain or silver corpus, for a recipe that has one
    start_from  what the first phases start with; a released checkpoint brings its encoder
    fields      any other field of RunConfig

    Raises WorkbookError for an unknown recipe, for one that needs `added`, for a wrong number of
    `epochs`, for a corpus in `corpus_weights` that no run trains on, for a head in `loss_weights`
    that no run has, and for a recipe of two phases as an ensemble or dictionary.

    >>> [config.sharing for config in recipe("cross-sharing", encoder="minilm")]
    ['cross']
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    plan = _Plan(name, _listed(corpora), _listed(added), encoder, epochs, fields | {"seed": seed})
    configs = plan.runs()
    for corpus in fields.get("corpus_weights", {}):
        if corpus not in plan.trained_on:
            raise unknown(f"corpus in corpus_weights of recipe {name!r}", corpus, plan.trained_on)
    for head in plan.loss_weights:
        if head not in plan.heads:
            raise unknown(f"head in loss_weights of recipe {name!r}", head, plan.heads)
    return configs


class _Plan:
    """A recipe and what a caller replaces in it."""

    def __init__(
        self,
        name: str,
        corpora: list[str],
        added: list[str],
        encoder: str,
        epochs: int | Sequence[int],
        fields: dict,
    ):
        table = RECIPES[name]
        if "needs" in table and not added:
            raise WorkbookError(f"recipe {name!r} needs added=, {table['needs']}: a name or folder")
        self.name, self.table, self.has_own_corpora = name, table, not corpora
        self.corpora = corpora or table["corpora"]
        # a recipe without a second corpus ignores `added`, so that a family shares its arguments
        takes_added = "needs" in table or table.get("added")
        self.added = (added or table["added"]) if takes_added else []
        # the corpora whose steps a control makes too
        self.more = (added or table["equal_steps"]) if "equal_steps" in table else []
        start, default = fields.get("start_from", ""), FIELDS["encoder"].default
        brings = start if is_checkpoint(start) and encoder in ("", default) else ""
        self.encoder = brings or encoder or table["encoder"]
        has_phases = table.get("order", "together") in _TWO_PHASES
        self.epochs = _per_phase("epochs", epochs or table.get("epochs", 0), has_phases)
        keeps_encoder = self.encoder in (table["encoder"], brings)
        own_rates = table.get("learning_rate", 0.0) if keeps_encoder else 0.0
        rates = fields.pop("learning_rate", own_rates)
        self.rates = _per_phase("learning_rate", rates, has_phases)
        self.also_test = fields.pop("also_test", None)
        self.trained_on: list[str] = []  # by the runs that were made
        self.heads: list[str] = []  # that they have
        self.fields = {key: value for key, value in table.items() if key not in _OWN_KEYS} | fields
        given = self.fields.get("loss_weights", {})
        self.loss_weights = dict(given) if isinstance(given, Mapping) else {}

    def runs(self) -> list[RunConfig]:
        order = self.table.get("order", "together")
        gold = [labelled_name(corpus) for corpus in self.corpora] if self._is_labelled else None
        if order == "apart":
            return [self._run([corpus], 0) for corpus in self.corpora]
        if order == "together":
            return [self._run((gold or self.corpora) + self.added, 0)]
        if order == "alone-then-added":
            # the heads of the first phase don't know the types that come later
            return self._two_phases(self.corpora, self.added, also_test=[])
        phases = []
        for corpus in self.corpora:
            phases += self._two_phases([corpus, *self.added], [corpus])
        return phases

    @property
    def _is_labelled(self) -> bool:
        return self.table.get("labelled", False)

    def _two_phases(
        self, first: Sequence[str], second: Sequence[str], **of_first
    ) -> list[RunConfig]:
        system = self.fields.get("system", "tagger")
        if system != "tagger":
            raise WorkbookError(
                f"recipe {self.name!r} has two phases, and system={system!r} leaves no single "
                "tagger that the second could start with; make its runs with system='tagger'"
            )
        if self.more and "epoch_size" not in self.fields:
            of_first["epoch_size"] = self._sentences([*first, *self.more])
        begun = self._run(first, 0, **of_first)
        # the first corpora are scored again, to show what the second phase cost them
        again = [corpus for corpus in first if corpus in self.corpora and corpus not in second]
        also = [*self._also_test(second), *again]
        more = {"also_test": list(dict.fromkeys(also)), "start_from": begun.run_id}
        return [begun, self._run(second, 1, **more)]

    def _run(self, trained_on: Sequence[str], phase: int, **more) -> RunConfig:
        weights = self.fields.get("corpus_weights", {})
        if not weights and "added_weight" in self.table:
            weights = dict.fromkeys(self.added, self.table["added_weight"])
        self.trained_on += trained_on
        own = {corpus: weight for corpus, weight in weights.items() if corpus in trained_on}
        values = {
            "corpora": list(trained_on),
            "also_test": self._also_test(trained_on),
            "encoder": self.encoder,
            "epochs": self.epochs[phase],
            "learning_rate": self.rates[phase],
            "corpus_weights": own,
        }
        if self.loss_weights:
            heads = self._heads_of(trained_on)
            self.heads += heads
            kept = {head: value for head, value in self.loss_weights.items() if head in heads}
            values["loss_weights"] = kept
        if self.table.get("chosen_on_tests") and "chosen_on" not in self.fields:
            gold = [corpus for corpus in trained_on if corpus not in self.added]
            values["chosen_on"] = [*gold, *values["also_test"]]
        return RunConfig(**self.fields | values | more)

    def _heads_of(self, trained_on: Sequence[str]) -> list[str]:
        """The heads that learn in a run on these corpora."""
        from ..models.heads import plan_heads

        layout = self.fields.get("heads", FIELDS["heads"].default)
        loaded = [load_corpus(corpus) for corpus in trained_on]
        return [plan.name for plan in plan_heads(layout, loaded, self.fields.get("types", ()))]

    def _also_test(self, trained_on: Sequence[str]) -> list[str]:
        """What else is scored. Of a corpus that is trained on in part, the test split is scored."""
        given = self.also_test
        if given is None:
            given = self.table.get("also_test", []) if self.has_own_corpora else []
        if isinstance(given, Mapping):
            given = [name for corpus in trained_on for name in given.get(corpus, [])]
        if self._is_labelled:
            given = [*self.corpora, *_listed(given)]
        scored = {_without_part(corpus) for corpus in trained_on}
        return [corpus for corpus in _listed(given) if _without_part(corpus) not in scored]

    def _sentences(self, names: Sequence[str]) -> int:
        """How many training sentences these corpora have together."""
        limit = self.fields.get("limit", 0)
        return sum(_train_size(name, limit) for name in names)


def _train_size(name: str, limit: int) -> int:
    """Training sentences of a corpus, from the registry where it says so."""
    base, part, _ = split_name(name)
    entry = CORPORA.get(base, {})
    published = entry.get("counts", {}).get("train", {}).get("sentences")
    if part or published is None or "dev" not in entry["files"]:
        return len(load_corpus(name, limit=limit).train)
    return min(published, limit or published)


def family(name: str, **given) -> dict[str, list[RunConfig]]:
    """The recipes of one system and their runs, the named one first.

    A system's name is what precedes the first "-". Left out are recipes whose runs are already
    there, and those that need a corpus which isn't given. Of `also_test` each recipe takes the
    corpora with a type that it learns.
    """
    also = given.get("also_test") or []
    system = name.split("-")[0]
    others = [other for other in RECIPES if other != name and other.split("-")[0] == system]
    found: dict[str, list[RunConfig]] = {}
    for other in [name, *others]:
        if other != name and "needs" in RECIPES[other] and not given.get("added"):
            continue
        configs = recipe(other, **given)
        if other != name and also and not isinstance(also, Mapping):
            configs = recipe(other, **given | {"also_test": _known_to(configs, _listed(also))})
        if configs not in found.values():
            found[other] = configs
    return found


def _known_to(configs: Sequence[RunConfig], names: Sequence[str]) -> list[str]:
    """Those of these corpora which annotate a type that one of the runs learns."""
    learned: set[str] = set()
    for config in configs:
        learned.update(config.types)
        for name in () if config.types else config.corpora:
            learned.update(load_corpus(name).types)
    return [name for name in names if learned.intersection(load_corpus(name).types)]


def _per_phase(name: str, value: float | Sequence[float], has_phases: bool) -> list[float]:
    """One number for each phase."""
    n = 2 if has_phases else 1
    values = [value] * n if isinstance(value, int | float) else list(value)
    if len(values) != n:
        or_two = ", or two for the two phases" if has_phases else ", since it has one phase"
        raise WorkbookError(f"{name}={values}; expected one number{or_two}")
    return values


def _without_part(name: str) -> tuple[str, str]:
    base, _, types = split_name(name)
    return base, types


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) and names else list(names)
