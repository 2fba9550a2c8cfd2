"""Corpora written in a test, small enough to count by hand."""

from bioner_lib import Corpus, Sentence, load_corpus
from bioner_lib.corpora.splits import Split


def sentences(*texts, doc="") -> list[Sentence]:
    """`lead/Chemical ion/Chemical binds p53/Gene`: neighbours of one type are one mention."""
    made = []
    for k, text in enumerate(texts):
        tokens, tags = [], []
        for part in text.split():
            word, _, type = part.partition("/")
            continues = type and tags and tags[-1][2:] == type
            tokens.append(word)
            tags.append(f"{'I' if continues else 'B'}-{type}" if type else "O")
        made.append(Sentence(tokens, tags, doc or str(10_000 + k)))
    return made


def corpus(name="mine", types=("Chemical", "Gene"), documented=True, **splits) -> Corpus:
    splits = {role: Split(own, role, name) for role, own in splits.items()}
    return Corpus(name, types, splits, documented=documented)


HAND = corpus(
    train=sentences(
        "lead/Chemical ion/Chemical binds TP53/Gene",
        "Lead/Chemical and lead/Gene",
        "they lead the way",
        "TP53/Gene is here",
    ),
    test=sentences(
        "LEAD/Chemical or lead/Chemical ion/Chemical",
        "they lead the way",
        "new TP53/Chemical",
        doc="10009",
    ),
)

TRAIN_WITH_CONCEPTS = """1|t|Wilson disease and WD
1|a|
1\t0\t14\tWilson disease\tDisease\tD1
1\t19\t21\tWD\tDisease\tD1

2|t|Gout or gout
2|a|
2\t0\t4\tGout\tDisease\tD2
2\t8\t12\tgout\tDisease\tD3
"""
TEST_WITH_CONCEPTS = """3|t|hepatolenticular degeneration, WD, pain, gout
3|a|
3\t0\t29\thepatolenticular degeneration\tDisease\tD1
3\t31\t33\tWD\tDisease\tD1
3\t35\t39\tpain\tDisease\tD4
3\t41\t45\tgout\tDisease\t-1
"""


def corpus_with_concepts(folder) -> Corpus:
    """A PubTator corpus, `own`, whose mentions have identifiers; dev holds what test holds."""
    own = folder / "own"
    own.mkdir()
    (own / "train.pubtator").write_text(TRAIN_WITH_CONCEPTS)
    for role in ("dev", "test"):
        (own / f"{role}.pubtator").write_text(TEST_WITH_CONCEPTS)
    return load_corpus(own)
