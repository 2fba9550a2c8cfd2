"""Gene and GENE are one type in two spellings: as two types they would teach two heads."""

import pytest
from small_corpora import own_corpus

from bioner_lib import RunConfig, WorkbookError, load_corpus, run
from bioner_lib.corpora.text import Sentence
from bioner_lib.errors import DataError


def sentences(*types):
    return [Sentence(["TP53", "x"], [f"B-{type}", "O"], f"d{k}") for k, type in enumerate(types)]


def test_one_corpus_with_two_spellings_is_refused(tmp_path):
    folder = own_corpus(tmp_path, sentences("Gene", *["gene"] * 9))
    with pytest.raises(DataError, match=r"types 'Gene' and 'gene' differ in case only.*labels = "):
        load_corpus(folder)


def test_two_corpora_of_a_run_with_two_spellings_are_refused(tmp_path, outputs):
    folder = own_corpus(tmp_path, sentences(*["GENE"] * 9))
    config = RunConfig(corpora=["sample-gene", folder], system="dictionary")
    match = r"'Gene' of sample-gene and 'GENE' of .* labels = \{ GENE = \"Gene\" \}"
    with pytest.raises(WorkbookError, match=match):
        run(config, progress=False)
