"""A widget over sentences: what corpora mark, and what runs predict beside it."""

from collections.abc import Callable, Mapping, Sequence

from ..board.plots import colours_of
from ..corpora.corpus import Corpus
from ..errors import WorkbookError
from ..runs.rows import predicted_splits
from .pages import KINDS, PAGE, page_html
from .records import Records

_MOST = 8  # opened splits that are kept

# name -> split -> what opens it
Sources = Mapping[str, Mapping[str, Callable[[], Records]]]


def explore(corpora: Sequence[Corpus]):
    """A widget over corpora: corpus, split, type, search, page. It needs a running kernel."""
    sources = {}
    for corpus in corpora:
        sources[corpus.name] = {
            role: lambda split=split: Records.of_split(split)
            for role, split in corpus.splits.items()
        }
    types = {corpus.name: list(corpus.types) for corpus in corpora}
    return Explorer(sources, types).widget


def explore_runs(run_id: str, beside: str = ""):
    """A widget over a run's predictions: gold and predicted side by side, by kind of error.

    `beside` is a second run. Raises WorkbookError where the runs share no split.
    """
    runs = [run_id, *([beside] if beside else [])]
    splits = [predicted_splits(run) for run in runs]
    shared = [split for split in splits[0] if all(split in other for other in splits)]
    if not shared:
        raise WorkbookError(f"{runs} have no predictions for the same split")
    sources: dict[str, dict[str, Callable[[], Records]]] = {}
    for corpus, role in shared:
        sources.setdefault(corpus, {})[role] = lambda c=corpus, r=role: Records.of_runs(runs, c, r)
    return Explorer(sources, {}).widget


class Explorer:
    """The controls, and the page that they show."""

    def __init__(self, sources: Sources, types: Mapping[str, list[str]]):
        import ipywidgets as widgets

        self.sources, self.types = sources, types
        self._opened: dict[tuple[str, str], Records] = {}
        first = next(iter(sources))
        self.name = widgets.Dropdown(options=list(sources), description="corpus")
        self.role = widgets.Dropdown(options=list(sources[first]), description="split")
        self.type = widgets.Dropdown(options=_any_of([]), description="type")
        self.kind = widgets.Dropdown(options=_any_of(KINDS), description="error")
        self.text = widgets.Text(placeholder="words to look for", description="search")
        self.page = widgets.BoundedIntText(value=1, min=1, max=10**6, description="page")
        self.view = widgets.HTML()
        self._controls = (self.name, self.role, self.type, self.kind, self.text, self.page)
        self._change_source()
        for control in self._controls:
            control.observe(self._follow, "value")
        self._show()
        second = [self.text, self.page]
        if len(self._records().sides) > 1:
            second = [self.kind, *second]
        self.widget = widgets.VBox(
            [widgets.HBox([self.name, self.role, self.type]), widgets.HBox(second), self.view]
        )

    def _follow(self, change: Mapping) -> None:
        for control in self._controls:
            control.unobserve(self._follow, "value")
        if change["owner"] in (self.name, self.role):
            self._change_source()
        if change["owner"] is not self.page:
            self.page.value = 1
        self._show()
        for control in self._controls:
            control.observe(self._follow, "value")

    def _change_source(self) -> None:
        roles = list(self.sources[self.name.value])
        if list(self.role.options) != roles:
            self.role.options = roles
        known = self.types.get(self.name.value) or self._records().types
        if list(self.type.options) != _any_of(known):
            self.type.options = _any_of(known)

    def _records(self) -> Records:
        key = (self.name.value, self.role.value)
        if key not in self._opened:
            while len(self._opened) >= _MOST:
                del self._opened[next(iter(self._opened))]
            self._opened[key] = self.sources[key[0]][key[1]]()
        return self._opened[key]

    def _show(self) -> None:
        records = self._records()
        found = records.find(self.text.value, self.type.value, self.kind.value)
        self.page.value = min(self.page.value, max(1, -(-len(found) // PAGE)))
        title = f"{self.name.value} {self.role.value}"
        types = self.types.get(self.name.value) or records.types
        self.view.value = page_html(
            records, found, colours_of(types), title, self.page.value - 1, self.type.value
        )


def _any_of(names: Sequence[str]) -> list[tuple[str, str]]:
    """The options of a list: any of these names, or one."""
    return [("any", ""), *((name, name) for name in names)]
