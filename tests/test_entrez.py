"""Requests to NCBI's Entrez that fail: which are made again, and how long that waits."""

import time

import pytest
from entrez_server import DAYS, FIRST, client, download

from bioner_lib import WorkbookError
from bioner_lib.silver import entrez
from bioner_lib.silver.pubmed import PubMed


def test_failures_are_retried_and_no_partial_file_is_kept(ncbi, tmp_path, monkeypatch):
    monkeypatch.setattr(entrez, "TIMEOUT", 0.5)
    backend = "<eSearchResult><ERROR>Search Backend failed: timed out</ERROR></eSearchResult>"
    lost = "<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>"
    ncbi.plan = [429, backend, None, "empty", 500, "truncate", None, 503, lost, None, 1.5]
    found = download(tmp_path, tries=5)
    assert not ncbi.plan
    assert found == download(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7.0),
        ("Fri, 20 Nov 2099 10:00:00 GMT", 600.0),
        ("Fri, 20 Nov 2020 10:00:00 GMT", 0.0),
        ("soon", 0.0),
        (None, 0.0),
        ("-1", 0.0),
    ],
)
def test_seconds_of_a_retry_after(header, wait):
    assert entrez.seconds(header) == wait


def test_a_server_says_how_long_to_wait(ncbi, tmp_path):
    ncbi.plan = [429]
    ncbi.retry_after = "0.5"
    began = time.monotonic()
    assert len(download(tmp_path)) == 16
    assert time.monotonic() - began >= 0.5


def test_a_list_that_is_too_short_is_asked_for_again(ncbi, tmp_path):
    short = f"<eSearchResult><Count>20</Count><IdList><Id>{FIRST}0</Id></IdList></eSearchResult>"
    ncbi.plan = [short]
    assert len(download(tmp_path)) == 16
    ncbi.plan = [short, short]
    assert len(download(tmp_path / "b")) == 1, "believed the second time"


def test_requests_say_who_asks(ncbi, tmp_path):
    download(tmp_path)
    asking = {(query["email"], query["tool"]) for _, query in ncbi.log}
    assert asking == {("someone@example.org", "bioner_lib")}


def test_without_an_address_nothing_is_asked(tmp_path):
    with pytest.raises(WorkbookError, match="NCBI wants an e-mail address"):
        PubMed("", tmp_path)


def test_a_refused_request_is_named(ncbi, tmp_path):
    ncbi.plan = [400]
    with pytest.raises(WorkbookError, match="refused a request: 400"):
        list(client(tmp_path).abstracts("y", **DAYS))
