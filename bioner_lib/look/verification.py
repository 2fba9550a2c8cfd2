"""Checking silver labels by hand: sentences of a silver corpus become a small gold corpus.

Every mention is accepted, corrected or rejected. Each answer is saved at once; the folder is a
corpus of its own, whose test split holds the sentences that are finished.
"""

import itertools
import json
from bisect import bisect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path

import numpy as np

from ..board.plots import colours_of
from ..corpora.corpus import Corpus
from ..corpora.schemes import Span, to_tags
from ..errors import WorkbookError
from ..home import replace_text
from .highlighting import words_html

KEYS = """a accept · r reject · [ ] move its start · { } move its end · t next type
n a mention is missing here: mark the next unmarked word · s sentence is finished · b back"""
_PRESSED = "ar[]{}tnsb"  # the keys that KEYS explains


class _OtherSentences(WorkbookError):
    """A folder has answers about other sentences than those that are asked about."""


class Verification:
    """Which sentences are asked about, which answers were given, and where they are kept.

    corpus      its train split is drawn from; `count` sentences, by `seed`
    folder      gets .answers.json, test.jsonl and corpus.toml; an unfinished one is continued, and
                sentences whose silver labels have changed since are asked about again

    Raises WorkbookError for a folder that holds another corpus, or answers about other sentences.
    """

    def __init__(self, corpus: Corpus, folder: str | Path, count: int = 100, seed: int = 13):
        self.folder, self.types = Path(folder), list(corpus.types)
        self.documented = corpus.documented
        split = corpus.train
        drawn = np.random.default_rng(seed).permutation(len(split))[:count]
        self.sentences = [split[int(i)] for i in sorted(drawn)]
        self.answers = [[list(span) for span in s.spans] for s in self.sentences]
        self.finished = 0  # sentences, from the first on
        self.at = 0  # the mention that is asked about
        self.accepted: list[bool] = []  # the mentions of its sentence
        self._ask(accepted=False)
        self._read()

    @property
    def is_done(self) -> bool:
        return self.finished == len(self.sentences)

    @property
    def mentions(self) -> list[list]:
        """The mentions of the sentence that is asked about: [start word, end word, type]."""
        return self.answers[self.finished]

    def _ask(self, accepted: bool) -> None:
        """Take up the sentence that is now to be finished, all its mentions accepted or none."""
        self.accepted = [] if self.is_done else [accepted] * len(self.mentions)
        self.at = len(self.accepted) if accepted else 0

    def press(self, key: str) -> None:
        """Carry out one key of KEYS, and save; other keys do nothing."""
        if key not in _PRESSED:
            return
        if key == "b":
            self._back()
        elif self.is_done:
            return
        elif key == "s" or (key == "a" and self.at >= len(self.mentions)):
            self._finish()
        elif key == "n":
            self._add()
        elif self.at < len(self.mentions):
            self._change(key)
        self._save()

    def _change(self, key: str) -> None:
        mention = self.mentions[self.at]
        start, end, type = mention
        length = len(self.sentences[self.finished].tokens)
        moved = {"[": (-1, 0), "]": (1, 0), "{": (0, -1), "}": (0, 1)}
        if key == "a":
            self.accepted[self.at] = True
            self.at += 1
        elif key == "r":
            del self.mentions[self.at], self.accepted[self.at]
        elif key == "t":
            mention[2] = self.types[(self.types.index(type) + 1) % len(self.types)]
        elif key in moved:
            start, end = start + moved[key][0], end + moved[key][1]
            if 0 <= start < end <= length and self._is_free(start, end):
                mention[:2] = start, end

    def _is_free(self, start: int, end: int) -> bool:
        others = [m for i, m in enumerate(self.mentions) if i != self.at]
        return all(end <= other[0] or other[1] <= start for other in others)

    def _add(self) -> None:
        """A mention of the next word that no mention holds; it is asked about in its turn."""
        reached = self.mentions[self.at - 1][1] if self.at else 0
        taken = {word for start, end, _ in self.mentions for word in range(start, end)}
        for word in range(reached, len(self.sentences[self.finished].tokens)):
            if word not in taken:
                mention = [word, word + 1, self.types[0]]
                place = bisect(self.mentions, mention)
                self.mentions.insert(place, mention)
                self.accepted.insert(place, False)
                return

    def _finish(self) -> None:
        self.mentions[:] = itertools.compress(self.mentions, self.accepted)
        self.finished += 1
        self._ask(accepted=False)

    def _back(self) -> None:
        """To the mention before, or behind all mentions of the sentence before."""
        if self.at:
            self.at -= 1
        elif self.finished:
            self.finished -= 1
            self._ask(accepted=True)

    def _save(self) -> None:
        """The answers so far, and the finished sentences as a corpus."""
        place = {"finished": self.finished, "at": self.at, "accepted": self.accepted}
        state, lines = [place], []
        for i, (sentence, mentions) in enumerate(zip(self.sentences, self.answers, strict=True)):
            silver = [list(span) for span in sentence.spans]
            state.append({"tokens": sentence.tokens, "silver": silver, "mentions": mentions})
            if i < self.finished:
                tags = to_tags([Span(*mention) for mention in mentions], len(sentence.tokens))
                line = {"tokens": sentence.tokens, "tags": tags}
                line |= {"doc": sentence.doc} if self.documented else {}
                lines.append(f"{json.dumps(line)}\n")
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_text(self.folder / ".answers.json", json.dumps(state))
        replace_text(self.folder / "test.jsonl", "".join(lines))
        replace_text(self.folder / "corpus.toml", f"types = {json.dumps(self.types)}\n")

    def _read(self) -> None:
        path = self.folder / ".answers.json"
        if not path.exists():
            for name in ("test.jsonl", "corpus.toml"):
                if (self.folder / name).exists():
                    raise WorkbookError(
                        f"{self.folder} holds a {name}, and no answers that it was made from; name "
                        "another folder"
                    )
            return
        state, *records = json.loads(path.read_text(encoding="utf-8"))
        if [record["tokens"] for record in records] != [s.tokens for s in self.sentences]:
            raise _OtherSentences(
                f"{self.folder} holds answers about other sentences (another corpus, count or "
                "seed); name another folder"
            )
        self.finished = state["finished"]
        is_same = True
        for i, record in enumerate(records):
            # text that was labelled again since: only what is finished stays answered
            if i < self.finished or record.get("silver", self.answers[i]) == self.answers[i]:
                self.answers[i] = record["mentions"]
            elif i == self.finished:
                is_same = False
        self._ask(accepted=False)
        if is_same and not self.is_done:
            self.at = state["at"]
            before = [i < self.at for i in range(len(self.mentions))]
            self.accepted = state.get("accepted", before)

    def html(self) -> str:
        """The sentence that is asked about, its mention in question framed."""
        if self.is_done:
            return f"<p>All {len(self.sentences)} sentences are verified: {self.folder}</p>"
        sentence, colours = self.sentences[self.finished], colours_of(self.types)
        head = f"<p>sentence {self.finished + 1} of {len(self.sentences)}"
        if self.at < len(self.mentions):
            start, end, type = self.mentions[self.at]
            asked = words_html(sentence.tokens[start:end], [(0, end - start, type)], colours)
            head += f", mention {self.at + 1} of {len(self.mentions)}: is {asked} right?"
        else:
            head += ": all its mentions are answered; s finishes it, n adds one"
        return f"{head}</p><p>{self._sentence_html(sentence.tokens, colours)}</p>"

    def _sentence_html(self, tokens: Sequence[str], colours: Mapping[str, str]) -> str:
        html = words_html(tokens, self.mentions, colours)
        if self.at >= len(self.mentions):
            return html
        before, *marks = html.split('<mark style="')
        marks[self.at] = f"outline:2px solid #000;{marks[self.at]}"
        return '<mark style="'.join([before, *marks])


def verify(corpus: Corpus, folder: str | Path, count: int = 100, seed: int = 13):
    """The widget: click into its box and press keys. It needs a running kernel.

    A folder with answers about other sentences stays as it is; `folder`-2 or -3 … is taken then.
    """
    import ipywidgets as widgets

    folder = Path(folder)
    for number in itertools.count(1):
        own = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        with suppress(_OtherSentences):
            state = Verification(corpus, own, count, seed)
            break
    box = widgets.Text(placeholder="click here, then press a key", description="key")
    view = widgets.HTML(state.html())
    keys = widgets.HTML(f"<pre>{KEYS}</pre>")

    def typed(change: Mapping) -> None:
        for key in change["new"]:
            state.press(key)
        if change["new"]:
            box.value = ""
            view.value = state.html()

    box.observe(typed, "value")
    place = widgets.HTML(f"<p>The answers are kept in {escape(str(state.folder))}</p>")
    return widgets.VBox([view, box, keys, place])
