"""Terms: names with a type, and which of them are fit to look for."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..corpora.text import words
from ..errors import DataError, unknown

_UNNAMED = re.compile(
    r"\b(?:sp|spp|cf|aff|nr)\.|uncultured|unclassified|unidentified|environmental"
)
_MOST_TYPES = 255


@dataclass(frozen=True, slots=True)
class Term:
    """A name, its type, the source's identifier; a symbol is matched with its case."""

    name: str
    type: str
    id: str = ""
    symbol: bool = False


def looks_like_a_symbol(name: str) -> bool:
    """Whether a name is short and in capitals, as OPA1 is: then its case matters."""
    is_upper = name.upper() == name and any(sign.isalpha() for sign in name)
    return is_upper and len(name) <= 6


Filter = Callable[[Term, list[str]], bool]


def _frequency(word: str) -> float:
    """How common an English word is (Zipf scale, 0 to 8; library: wordfreq)."""
    from wordfreq import zipf_frequency

    return zipf_frequency(word, "en")


def _is_stop_word(term: Term, tokens: list[str]) -> bool:
    return len(tokens) == 1 and not term.symbol and _frequency(tokens[0]) >= 5.5


def _is_english_word(term: Term, tokens: list[str]) -> bool:
    """Of genes: MET and KIT are symbols, met and kit are words."""
    if len(tokens) != 1 or term.type != "Gene":
        return False
    [word] = tokens
    if term.symbol:
        return word.islower() and _frequency(word) >= 3
    return _frequency(word) >= 4


def _is_unnamed_organism(term: Term, tokens: list[str]) -> bool:
    return term.id.startswith("NCBITaxon:") and _UNNAMED.search(term.name) is not None


# name -> whether a term (and its words) is dropped; the first filter that drops it is counted
FILTERS: dict[str, Filter] = {
    "empty": lambda term, tokens: not tokens,
    "one or two characters": lambda term, tokens: sum(map(len, tokens)) <= 2,
    "no letter": lambda term, tokens: not any(sign.isalpha() for sign in term.name),
    "unnamed organism": _is_unnamed_organism,
    "more than ten words": lambda term, tokens: len(tokens) > 10,
    "stop word": _is_stop_word,
    "English word": _is_english_word,
}


@dataclass
class Selection:
    """The terms to look for, and those that were dropped.

    entries    (words, type, id, symbol)
    dropped    (filter, type) -> count
    examples   filter -> a few names
    """

    entries: list[tuple[list[str], str, str, bool]] = field(default_factory=list)
    dropped: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def table(self):
        """A DataFrame with a line per filter: dropped terms per type, and a few examples."""
        import pandas as pd

        table = pd.DataFrame()
        if self.dropped:
            table = pd.Series(dict(self.dropped), dtype=int).unstack(fill_value=0)
        return table.assign(examples=[", ".join(self.examples[why][:4]) for why in table.index])

    def drop(self, why: str, term: Term) -> None:
        self.dropped[why, term.type] += 1
        if len(self.examples[why]) < 10 and term.name not in self.examples[why]:
            self.examples[why].append(term.name)


Found = tuple[list[str], Term]  # a term's words, and the term


def select(
    terms: Iterable[Term],
    filters: Mapping[str, Filter] = FILTERS,
    priority: tuple[str, ...] = (),
) -> Selection:
    """The terms that pass every filter, each form once.

    A form that belongs to two types is dropped ("ambiguous between types"), or goes to the type
    that `priority` names first (the other terms: "form of a type with priority"). A name is matched
    in any case, so it shares its form with a symbol in the same letters. Every term is an entry or
    counted once as dropped. Raises DataError for more than 255 types, and WorkbookError for a type
    in `priority` that no term has.
    """
    selection, types = Selection(), set()
    # case-folded letters -> the forms: symbols as they are written, and "" for names
    by_letters: dict[str, dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for term in terms:
        types.add(term.type)
        tokens = [term.name[start:end] for start, end in words(term.name)]
        why = next((name for name, drops in filters.items() if drops(term, tokens)), None)
        if why:
            selection.drop(why, term)
        else:
            written = " ".join(tokens)
            form = written if term.symbol else ""
            by_letters[written.casefold()][form].append((tokens, term))
    if len(types) > _MOST_TYPES:
        raise DataError(
            f"{len(types)} types, such as {sorted(types)[:3]}; have name and type changed places?"
        )
    for type in priority:
        if type not in types:
            raise unknown("type in priority", type, types)
    for forms in by_letters.values():
        _select_forms(forms, priority, selection)
    return selection


def _select_forms(
    forms: Mapping[str, list[Found]], priority: tuple[str, ...], selection: Selection
) -> None:
    """Choose a type for each form of the same letters."""
    types = {form: {term.type for _, term in found} for form, found in forms.items()}
    names = types.get("", set())
    chosen_symbols: set[str] = set()
    undecided: set[str] = set()
    # case-insensitive names last, so that case-sensitive symbols match first
    for form in sorted(forms, reverse=True):
        if form:
            type = _chosen(types[form] | names, priority)
        else:
            type = _chosen(names | chosen_symbols | undecided, priority)
            if type in chosen_symbols - names:  # the name may still match other spellings
                type = _chosen(names | undecided, priority)
        if type:
            chosen_symbols.add(type)
        else:
            undecided |= types[form]
        if type not in types[form]:
            for _, term in forms[form]:
                selection.drop("ambiguous between types", term)
            continue
        same = [found for found in forms[form] if found[1].type == type]
        with_id = [found for found in same if found[1].id]
        tokens, term = (with_id or same)[0]
        selection.entries.append((tokens, term.type, term.id, term.symbol))
        selection.dropped["same form again", type] += len(same) - 1
        for _, term in forms[form]:
            if term.type != type:
                selection.drop("form of a type with priority", term)


def _chosen(types: set[str], priority: tuple[str, ...]) -> str | None:
    """The only type, or the one that comes first in `priority`."""
    if len(types) == 1:
        return next(iter(types))
    return next((type for type in priority if type in types), None)
