"""Which of a corpus's names a lexicon holds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from ..corpora.corpus import Corpus
from ..errors import unknown
from ..home import outputs
from .disagreement import cut_like_running_text
from .lexicons import Lexicon

HELD, OTHER, MISSING = "held", "as another type", "missing"


def named_lexicon(name: str) -> Lexicon:
    """The lexicon that 70_lexicons made under this name.

    Raises WorkbookError for a name that isn't in outputs/lexicons.
    """
    known = {path.stem: path for path in (outputs() / "lexicons").glob("*.gz")}
    if name not in known:
        raise unknown("lexicon in outputs/lexicons, made by 70_lexicons:", name, known)
    return Lexicon.load(known[name])


def lexicon_coverage(
    lexicons: Mapping[str, Lexicon], corpora: Sequence[Corpus], role: str = "train"
) -> pd.DataFrame:
    """One line per lexicon, corpus and type: how many mentions the lexicon holds by name.

    mentions                  in the split; a corpus without the split has no line
    held (%)                  the lexicon finds all the mention's words, with this type
    as another type (%)       it finds them with another type

    Without a lexicon the frame is empty.
    """
    columns = ["lexicon", "corpus", "type", "mentions", "held (%)", "as another type (%)"]
    lines = []
    for (name, lexicon), corpus in product(lexicons.items(), corpora):
        if role in corpus.splits:
            for type, own in _counts(lexicon, corpus, role).items():
                share = 100 / own.total() if own.total() else float("nan")
                shares = (share * own[HELD], share * own[OTHER])
                lines.append((name, corpus.name, type, own.total(), *shares))
    return pd.DataFrame(lines, columns=columns)


def _counts(lexicon: Lexicon, corpus: Corpus, role: str) -> dict[str, Counter]:
    """Type -> how many of its mentions are held, held as another type, missing."""
    counts: dict[str, Counter] = {type: Counter() for type in corpus.types}
    known: dict[tuple[str, ...], str] = {}  # words -> the lexicon's type, "" for none
    for sentence in cut_like_running_text(corpus.split(role)):
        for start, end, type in sentence.spans:
            words = tuple(sentence.tokens[start:end])
            if words not in known:
                whole = [match for match in lexicon.find(words) if match[:2] == (0, len(words))]
                known[words] = whole[0].type if whole else ""
            found = known[words]
            counts[type][HELD if found == type else OTHER if found else MISSING] += 1
    return counts
