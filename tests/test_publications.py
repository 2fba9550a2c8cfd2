"""Years, journals and PMIDs of a corpus, where its source states them."""

import json

from hand_corpora import HAND, corpus_with_concepts

from bioner_lib import load_corpus
from bioner_lib.corpora import metadata


def bioc(*infons) -> str:
    """A BioC collection with one gene per document; `infons` belong to its passage."""
    mention = {"id": "1", "infons": {"type": "Gene"}, "text": "A"}
    mention["locations"] = [{"offset": 0, "length": 1}]
    passage = {"offset": 0, "text": "A b.", "annotations": [mention], "sentences": []}
    documents = [
        {
            "id": str(10_000 + k),
            "infons": {},
            "relations": [],
            "passages": [passage | {"infons": own, "relations": []}],
        }
        for k, own in enumerate(infons)
    ]
    return json.dumps({"source": "", "date": "", "key": "", "infons": {}, "documents": documents})


def test_metadata_is_what_the_source_states(tmp_path):
    stated = bioc({"year": "1999", "journal": "J"}, {"year": "2003"}, {})
    (tmp_path / "train.json").write_text(stated)
    silent = [corpus_with_concepts(tmp_path), load_corpus("sample"), HAND]
    frame = metadata([load_corpus(tmp_path / "train.json"), *silent])
    assert frame["years"].tolist() == ["1999 to 2003 (2 documents)"] + 3 * ["the source has none"]
    assert frame["journals"].tolist() == ["1"] + 3 * ["the source has none"]
    assert frame["with PMID"].tolist() == [3, 0, 0, 5], "own names its documents 1, 2 and 3"
