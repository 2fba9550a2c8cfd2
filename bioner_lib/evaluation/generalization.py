"""Does a tagger find new names, or the names that it was taught?

Everything is read from stored predictions (`read_predictions`) and the corpus that they were made
on. Nothing is trained or predicted again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..corpora.concepts import Concepts, NoIdentifiers, concepts, concepts_of
from ..corpora.corpus import Corpus
from ..corpora.names import is_abbreviation, surface
from ..corpora.overlap import LONG
from ..corpora.schemes import Span
from ..corpora.text import Sentence
from ..errors import WorkbookError, unknown
from .scoring import Score, score

Predictions = Sequence[Mapping]  # of one split: doc, tokens, gold, predicted


class GoldMention(NamedTuple):
    """A gold mention of a scored split, and what was known of it from training text.

    sentence      its index in the split
    text          its words, joined by blanks
    found         whether a prediction has its start, end and type
    familiarity   memorized: its surface (`surface`) is a mention of its type in train
                  synonym: its surface isn't, but one of its identifiers is
                  new concept: neither is
                  no identifier: its surface isn't, and the corpus names no concept for it
                  seen, unseen: its surface is or isn't, in a corpus without identifiers
    frequency     how often its surface is a mention of its type in train
    """

    sentence: int
    text: str
    type: str
    found: bool
    familiarity: str
    frequency: int


def gold_mentions(
    corpus: Corpus,
    predictions: Predictions,
    role: str = "test",
    trained_on: Sequence[Corpus] = (),
) -> list[GoldMention]:
    """The gold mentions of a split of `corpus`, with what the train text told of them.

    The train text is that of `trained_on`; by default that of the corpus itself. Of a type that it
    annotates without identifiers, unseen names aren't divided into synonyms and new concepts.

    Raises WorkbookError where the predictions are of other sentences than the split holds.

    The three abilities (memorization, synonyms, new concepts): Kim and Kang 2022,
    doi:10.1109/ACCESS.2022.3157854.
    """
    _same_sentences(corpus, predictions, role)
    sources = trained_on or (corpus,)
    identifiers = _identifiers(corpus)
    surfaces, taught = _train_text(sources)
    # a train text without identifiers may have shown any concept of its types
    nameless = {type for source in sources if not _identifiers(source) for type in source.types}
    found = []
    pairs = zip(corpus.split(role), predictions, strict=True)
    for i, (sentence, prediction) in enumerate(pairs):
        predicted = {tuple(span[:3]) for span in prediction["predicted"]}
        for start, end, type in map(tuple, prediction["gold"]):
            words = prediction["tokens"][start:end]
            frequency = surfaces[type, surface(" ".join(words))]
            own = _concepts(sentence, Span(start, end, type), identifiers)
            is_taught = any((type, concept) in taught for concept in own)
            has_concepts = bool(identifiers) and type not in nameless
            familiarity = _familiarity(frequency, has_concepts, own, is_taught)
            is_found = (start, end, type) in predicted
            found.append(GoldMention(i, " ".join(words), type, is_found, familiarity, frequency))
    return found


def _same_sentences(corpus: Corpus, predictions: Predictions, role: str) -> None:
    split = corpus.split(role)
    tokens = [sentence.tokens for sentence in split]
    if [prediction["tokens"] for prediction in predictions] != tokens:
        raise WorkbookError(
            f"the {len(predictions)} predictions are of other sentences than the {len(split)} of "
            f"{corpus.name!r} {role}; load the corpus with the limit that the run had"
        )


def _train_text(corpora: Sequence[Corpus]) -> tuple[Counter, set[tuple[str, str]]]:
    """(type, surface) -> mentions in train; and (type, identifier) of all mentions in train.

    Corpora may be views of one text: a type counts once in a sentence that several of them hold.
    """
    surfaces: Counter = Counter()
    taught: set[tuple[str, str]] = set()
    counted: set[tuple] = set()  # type and sentence, of the corpora before
    for corpus in corpora:
        identifiers, own_text = _identifiers(corpus), set()
        for sentence in corpus.train:
            for span in sentence.spans:
                own = _concepts(sentence, span, identifiers)
                taught.update((span.type, concept) for concept in own)
                place = (span.type, sentence.doc, tuple(sentence.tokens))
                own_text.add(place)
                if place not in counted:
                    name = " ".join(sentence.tokens[span.start : span.end])
                    surfaces[span.type, surface(name)] += 1
        counted |= own_text
    return surfaces, taught


def _identifiers(corpus: Corpus) -> Concepts:
    """The identifiers of a corpus's mentions; empty where it has no files, or none with them."""
    try:
        return concepts(corpus.base) if corpus.base else {}
    except NoIdentifiers:
        return {}


def _concepts(sentence: Sentence, span: Span, identifiers: Concepts) -> tuple[str, ...]:
    return concepts_of(sentence, span, identifiers) if identifiers else ()


def _familiarity(
    frequency: int, has_concepts: bool, concepts: Sequence[str], is_taught: bool
) -> str:
    if not has_concepts:
        return "seen" if frequency else "unseen"
    if frequency:
        return "memorized"
    if not concepts:
        return "no identifier"
    return "synonym" if is_taught else "new concept"


def frequency_group(count: int) -> str:
    """How often a name was seen: 0, 1, 2-5, 6+."""
    if count < 2:
        return str(count)
    return "2-5" if count <= 5 else "6+"


def length_group(text: str) -> str:
    """How many words (signs count as words): 1, 2, 3, 4+."""
    words = len(text.split(" "))
    return str(words) if words < 4 else "4+"


def case_group(text: str) -> str:
    """with digit, lower, UPPER, Title (capitals start words, the first one included) or mixed."""
    if any(sign.isdigit() for sign in text):
        return "with digit"
    if text == text.lower():
        return "lower"
    if text == text.upper():
        return "UPPER"
    words = [word for word in text.split() if word.lower() != word.upper()]
    is_title = words[0][0].isupper() and all(word[1:] == word[1:].lower() for word in words)
    return "Title" if is_title else "mixed"


def abbreviation_group(text: str) -> str:
    """abbreviation or other name, by the rule of `corpora.names.is_abbreviation`.

    Definitions in the text aren't looked for (`tagging.abbreviations` does that).
    """
    return "abbreviation" if is_abbreviation(text) else "other name"


_GROUPS: dict[str, tuple[Callable[[GoldMention], str], tuple[str, ...]]] = {
    "familiarity": (
        lambda mention: mention.familiarity,
        ("memorized", "synonym", "new concept", "no identifier", "seen", "unseen"),
    ),
    "frequency": (lambda mention: frequency_group(mention.frequency), ("0", "1", "2-5", "6+")),
    "length": (lambda mention: length_group(mention.text), ("1", "2", "3", "4+")),
    "case": (
        lambda mention: case_group(mention.text),
        ("lower", "Title", "UPPER", "mixed", "with digit"),
    ),
    "abbreviation": (
        lambda mention: abbreviation_group(mention.text),
        ("abbreviation", "other name"),
    ),
}
# grouping -> its groups, in their order
GROUPINGS = {by: order for by, (_, order) in _GROUPS.items()}


def recall_by(mentions: Sequence[GoldMention], by: str) -> dict[str, dict[str, float | int]]:
    """Group -> support, found, and strict recall (0 to 1); groups without a mention are left out.

    by   familiarity, frequency (in train), length (words), case (letters), or abbreviation

    Recall only: which group a wrong prediction belongs to isn't known.

    Raises WorkbookError for another grouping.
    """
    if by not in _GROUPS:
        raise unknown("grouping", by, _GROUPS)
    group_of, order = _GROUPS[by]
    support = Counter(map(group_of, mentions))
    found = Counter(group_of(mention) for mention in mentions if mention.found)
    return {
        group: {
            "support": support[group],
            "found": found[group],
            "recall": found[group] / support[group],
        }
        for group in order
        if support[group]
    }


def leak_free(
    corpus: Corpus,
    predictions: Predictions,
    types: Sequence[str],
    role: str = "test",
    words: int = LONG,
    trained_on: Sequence[Corpus] = (),
) -> dict[str, dict[str, Score] | int]:
    """Strict scores of a split with and without the sentences that train holds word for word.

    Returns `official` and `leak_free`, each type -> precision, recall, F1 …, `sentences`, and
    `leaked`: how many sentences of `words` words or more are left out of `leak_free`. Shorter ones
    ("Results :") occur everywhere and stay. The official score is the one to publish; this one
    says how much of it could be learned by heart.

    Raises WorkbookError where the predictions are of other sentences than the split holds.
    """
    _same_sentences(corpus, predictions, role)
    taught, elsewhere = set(), set()
    for source in trained_on or (corpus,):
        texts = [s.tokens for s in source.train if len(s.tokens) >= words]
        if source.name == corpus.name:
            taught.update(map(tuple, texts))
        else:  # files cut words differently
            elsewhere.update(map("".join, texts))
    fresh = []
    for one in predictions:
        if tuple(one["tokens"]) not in taught and "".join(one["tokens"]) not in elsewhere:
            fresh.append(one)
    return {
        "official": _scores(predictions, types),
        "leak_free": _scores(fresh, types),
        "sentences": len(predictions),
        "leaked": len(predictions) - len(fresh),
    }


def _scores(predictions: Predictions, types: Sequence[str]) -> dict[str, Score]:
    gold = [prediction["gold"] for prediction in predictions]
    return score(gold, [prediction["predicted"] for prediction in predictions], types)
