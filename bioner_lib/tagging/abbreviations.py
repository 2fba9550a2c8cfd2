"""Abbreviations that a text explains: long form (SF), and SF (long form).

The algorithm of Schwartz and Hearst 2003, "A simple algorithm for identifying abbreviation
definitions in biomedical text": each letter of the short form is looked for in the words before the
parenthesis, from right to left, and the first one has to start a word.
"""

import re
from collections.abc import Iterator

_BRACKETS = re.compile(r"\(([^()]{2,})\)")
_WORD = re.compile(r"\S+")


def abbreviations(text: str) -> dict[str, str]:
    """Short form -> long form, as the text writes them; of two definitions the first counts."""
    found: dict[str, str] = {}
    for short, long in _definitions(text):
        found.setdefault(short, long)
    return found


def _definitions(text: str) -> Iterator[tuple[str, str]]:
    for match in _BRACKETS.finditer(text):
        before = text[: match.start()].rstrip()
        inside = re.split(r"[;,]\s", match[1])[0].strip()
        last = before.split()[-1] if before else ""
        if is_short_form(inside):
            long = long_form(inside, _last_words(before, _most_words(inside)))
            if long:
                yield inside, long
        elif is_short_form(last) and long_form(last, inside) == inside:
            yield last, inside  # the other order: SF (long form)


def is_short_form(text: str) -> bool:
    """2 to 10 characters, at most two words, starts with a letter or digit, holds a letter."""
    return (
        2 <= len(text) <= 10
        and len(text.split()) <= 2
        and text[0].isalnum()
        and any(sign.isalpha() for sign in text)
    )


def long_form(short: str, text: str) -> str:
    """The shortest end of `text` that explains every letter and digit of `short`; "" for none."""
    at = len(text)
    for position in range(len(short) - 1, -1, -1):
        sign = short[position].lower()
        if not sign.isalnum():
            continue
        at -= 1
        while at >= 0 and not _fits(text, at, sign, starts_a_word=position == 0):
            at -= 1
        if at < 0:
            return ""
    while at > 0 and not text[at - 1].isspace():
        at -= 1
    found = " ".join(text[at:].split())
    is_longer = len(found) > len(short) and short not in found.split()
    return found if is_longer and len(found.split()) <= _most_words(short) else ""


def _fits(text: str, at: int, sign: str, starts_a_word: bool) -> bool:
    if text[at].lower() != sign:
        return False
    return not (starts_a_word and at > 0 and text[at - 1].isalnum())


def _most_words(short: str) -> int:
    return min(len(short) + 5, 2 * len(short))


def _last_words(text: str, count: int) -> str:
    starts = [match.start() for match in _WORD.finditer(text[-50 * count :])][-count:]
    return text[-50 * count :][starts[0] :] if starts else ""
