"""Sentences with mentions from several sides (gold, one run, another run), to be searched."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..corpora.splits import Split
from ..corpora.text import tokenize
from ..errors import WorkbookError
from ..evaluation.scoring import classified
from ..home import runs_folder
from ..runs.rows import read_predictions, read_row

GOLD = "gold"
Kinds = frozenset[tuple[str, str]]  # (kind of error, type)


@dataclass(frozen=True, slots=True)
class Record:
    """A sentence, and for each side its spans (start word, end word, type, perhaps a score)."""

    doc: str
    tokens: Sequence[str]
    sides: Mapping[str, Sequence[tuple]]


class Records:
    """A sequence of records that can be searched; it is read through once, at the first search.

    `sides` are the names of the sides: gold first. `read` gives record i. `not_asked` has the types
    that a side can't know: its errors don't count them.
    """

    def __init__(
        self,
        length: int,
        sides: Sequence[str],
        read: Callable[[int], Record],
        not_asked: Mapping[str, Sequence[str]] | None = None,
    ):
        self.length, self.sides, self.read = length, list(sides), read
        self.not_asked = not_asked or {}
        self._texts: list[str] | None = None
        self._types: list[frozenset[str]] = []
        self._kinds: list[Kinds] = []
        self._counts: list[Counter] = []

    @classmethod
    def of_split(cls, split: Split) -> "Records":
        """The gold sentences of a split; of one that stays on disk, only its texts are kept."""

        def read(i: int) -> Record:
            sentence = split[i]
            return Record(sentence.doc, sentence.tokens, {GOLD: sentence.spans})

        return cls(len(split), [GOLD], read)

    @classmethod
    def of_runs(cls, run_ids: Sequence[str], corpus: str, role: str) -> "Records":
        """Gold and what these runs predict, side by side.

        Raises WorkbookError where a run has no predictions for this split, and where the runs saw
        different sentences.
        """
        by_run = {run_id: read_predictions(run_id, corpus, role) for run_id in run_ids}
        first = by_run[run_ids[0]]
        for run_id, lines in by_run.items():
            if [line["tokens"] for line in lines] != [line["tokens"] for line in first]:
                raise WorkbookError(
                    f"{run_ids[0]} and {run_id} saw different sentences of {corpus} {role}; "
                    "compare runs with the same limit"
                )

        def read(i: int) -> Record:
            sides = {GOLD: [tuple(span) for span in first[i]["gold"]]}
            for run_id, lines in by_run.items():
                sides[run_id] = [tuple(span) for span in lines[i]["predicted"]]
            return Record(first[i]["doc"], first[i]["tokens"], sides)

        not_asked = {run_id: _not_asked(run_id, corpus, role) for run_id in run_ids}
        return cls(len(first), [GOLD, *run_ids], read, not_asked)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Record:
        return self.read(i)

    @property
    def types(self) -> list[str]:
        """The types of all spans, sorted."""
        self._prepare()
        return sorted(frozenset().union(*self._types))

    def find(self, text: str = "", type: str = "", kind: str = "") -> Sequence[int]:
        """The records that hold a text, a mention of a type, and a kind of error.

        Case doesn't count. Of a text with words that a corpus may cut apart, such as SARS-CoV-2,
        blanks don't count either. With `type` and `kind` the error is one of that type.
        """
        if not (text or type or kind):
            return range(len(self))
        self._prepare()
        holds, found = _searched(text), []
        for i, content in enumerate(self._texts):
            if holds(content) and self._matches(i, type, kind):
                found.append(i)
        return found

    def _matches(self, i: int, type: str, kind: str) -> bool:
        if not kind:
            return not type or type in self._types[i]
        return any(kind == own and type in ("", of) for own, of in self._kinds[i])

    def counts(self, indices: Iterable[int], type: str = "") -> dict[str, Counter]:
        """side -> kind of error -> how many spans of these records; of one type where given."""
        self._prepare()
        total: dict[str, Counter] = {side: Counter() for side in self.sides[1:]}
        for i in indices:
            for (side, kind, of), count in self._counts[i].items():
                if type in ("", of):
                    total[side][kind] += count
        return total

    def _prepare(self) -> None:
        if self._texts is not None:
            return
        texts = []
        shared: dict[frozenset, frozenset] = {}  # equal sets are kept once
        for i in range(len(self)):
            record = self.read(i)
            texts.append(" ".join(record.tokens).casefold())
            own = frozenset(span[2] for spans in record.sides.values() for span in spans)
            self._types.append(shared.setdefault(own, own))
            counts: Counter = Counter()
            for side in self.sides[1:]:
                unknown = self.not_asked.get(side, ())
                gold = [span for span in record.sides[GOLD] if span[2] not in unknown]
                for kind, span in classified(gold, record.sides[side]):
                    counts[side, kind, span[2]] += 1
            kinds = frozenset((kind, of) for _, kind, of in counts)
            self._kinds.append(shared.setdefault(kinds, kinds))
            self._counts.append(counts)
        self._texts = texts


def _not_asked(run_id: str, corpus: str, role: str) -> Sequence[str]:
    """The types of a corpus that no head of a run knows, as its row says."""
    row = read_row(runs_folder() / run_id) or {}
    return row.get("scores", {}).get(corpus, {}).get(role, {}).get("not_asked", ())


def _searched(text: str) -> Callable[[str], bool]:
    """Whether a sentence, its words joined by blanks, holds a text."""
    wanted = text.casefold()
    if tokenize(wanted) == wanted.split():
        return lambda content: wanted in content
    joined = "".join(wanted.split())
    return lambda content: joined in content.replace(" ", "")
