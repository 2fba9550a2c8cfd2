"""Term lists and the tagger that finds their terms: whole words, leftmost, then longest."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ..errors import DataError
from .corpora import Split, refuse_test
from .schemes import Span

_SHORT = 4  # terms of so few characters are symbols: matched with their case


def _key(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(words) if sum(map(len, words)) <= _SHORT else tuple(word.casefold() for word in words)


class Lexicon:
    """Terms (word tuples) -> type. Short terms are symbols and match with their case, longer ones without.

    Raises DataError for an empty term.
    """

    def __init__(self, terms: Mapping[tuple[str, ...], str]):
        self.terms: dict[tuple[str, ...], str] = {}
        self._longest: dict[str, int] = {}
        for words, name in terms.items():
            if not words or not all(words):
                raise DataError(f"term {words!r} of type {name!r} is empty or holds an empty word")
            key = _key(words)
            self.terms[key] = name
            first = key[0].casefold()
            self._longest[first] = max(self._longest.get(first, 0), len(key))

    def tag(self, tokens: Sequence[str]) -> list[Span]:
        """Non-overlapping spans (start word, end word, type), the end exclusive."""
        spans, start = [], 0
        while start < len(tokens):
            reach = min(self._longest.get(tokens[start].casefold(), 0), len(tokens) - start)
            for end in range(start + reach, start, -1):
                if name := self.terms.get(_key(tokens[start:end])):
                    spans.append((start, end, name))
                    start = end
                    break
            else:
                start += 1
        return spans

    @classmethod
    def from_mentions(cls, sentences: Split, min_precision: float = 0.5) -> "Lexicon":
        """The dictionary baseline: mentions of a training split, each with its most frequent type.

        A term stays if at least `min_precision` of its matches in the same split were mentions of that type. Raises SelectionError
        for a test split.
        """
        refuse_test(sentences, "a dictionary of mentions")
        seen: dict[tuple[str, ...], Counter] = defaultdict(Counter)
        for sentence in sentences:
            for start, end, name in sentence.spans:
                seen[_key(sentence.tokens[start:end])][name] += 1
        lexicon = cls({words: names.most_common(1)[0][0] for words, names in seen.items()})
        matches, right = Counter(), Counter()
        for sentence in sentences:
            gold = set(sentence.spans)
            for span in lexicon.tag(sentence.tokens):
                words = _key(sentence.tokens[span[0] : span[1]])
                matches[words] += 1
                right[words] += span in gold
        return cls(
            {words: name for words, name in lexicon.terms.items() if matches[words] and right[words] / matches[words] >= min_precision}
        )
