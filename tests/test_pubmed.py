"""Abstracts of a search of PubMed, downloaded in parts and kept in a cache."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from entrez_server import DAYS, FIRST, client, download

from bioner_lib import WorkbookError
from bioner_lib.silver import pubmed
from bioner_lib.silver.pubmed import PubMed


def break_off(ncbi, folder):
    """A download that stops after seven records: its next request fails three times."""
    ncbi.plan = [None, None, 500, 500, 500]
    message = r"can't be reached .500 .*3 tries.; what was fetched is kept in .*call again to go on"
    with pytest.raises(WorkbookError, match=message):
        download(folder)
    ncbi.log.clear()


def test_records_come_newest_first_and_skipped_ones_are_counted(ncbi, tmp_path):
    entrez = client(tmp_path)
    found = list(entrez.abstracts("OPA1", **DAYS, exclude={f"{FIRST}0"}))
    newest_first = range(FIRST * 10 + 19, FIRST * 10, -1)
    usable = [n for n in newest_first if n % 10 < 9 and n % 100 not in (57, 58)]
    assert [a.pmid for a in found] == list(map(str, usable))
    assert entrez.dropped == {
        "without an abstract": 2,
        "of an evaluation corpus": 1,
        "malformed": 2,
    }
    assert entrez.malformed == [f"{FIRST}8", f"{FIRST}7"]
    assert found[0].year == 2020
    assert found[0].document == (found[0].pmid, f"About OPA1 {found[0].pmid} OPA1 causes x.")


def test_a_limit_downloads_no_more_than_a_batch(ncbi, tmp_path):
    found = list(client(tmp_path).abstracts("OPA1", **DAYS, exclude={f"{FIRST}0"}))
    ncbi.log.clear()
    assert list(client(tmp_path / "b").abstracts("OPA1", **DAYS, limit=5)) == found[:5]
    assert ncbi.fetched() == 7


def test_a_download_that_broke_off_goes_on(ncbi, tmp_path):
    break_off(ncbi, tmp_path)
    assert len(download(tmp_path)) == 16
    assert ncbi.fetched() == 13
    assert not ncbi.asked("esearch"), "the rest only"


def test_a_download_is_read_from_the_cache(ncbi, tmp_path):
    break_off(ncbi, tmp_path)
    whole = download(tmp_path)
    ncbi.log.clear()
    assert download(tmp_path) == whole
    assert [query["id"] for _, query in ncbi.log] == [f"{FIRST}7"], "only the truncated record"


def test_another_thread_reads_the_cache_too(ncbi, tmp_path):
    whole = download(tmp_path)
    again = client(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: list(again.abstracts("OPA1", **DAYS))).result() == whole


def test_another_search_fetches_its_own_records_only(ncbi, tmp_path):
    whole = download(tmp_path)
    ncbi.log.clear()
    later = list(client(tmp_path).abstracts("optic OR OPA1", "2020-01-01", "2020-01-03"))
    assert later[-16:] == whole
    assert ncbi.fetched() == 10 + 1, "the third day's, and the truncated record"


def test_records_that_vanish_after_the_search_are_counted(ncbi, tmp_path):
    break_off(ncbi, tmp_path)
    ncbi.gone = {f"{FIRST}3"}
    entrez = client(tmp_path)
    assert len(list(entrez.abstracts("OPA1", **DAYS))) == 15
    assert entrez.dropped["not handed out"] == 1


def test_records_that_are_listed_and_not_handed_out_are_counted(ncbi, tmp_path):
    ncbi.deleted = {f"{FIRST}4", f"{FIRST}5"}
    entrez = client(tmp_path)
    assert len(list(entrez.abstracts("OPA1", **DAYS))) == 14
    assert entrez.dropped["not handed out"] == 2


def test_a_search_that_may_still_grow_is_made_again(ncbi, tmp_path):
    until = date.today()
    for _ in range(2):
        assert client(tmp_path).count("OPA1", until.isoformat()) == 10
        assert client(tmp_path).count("OPA1", **DAYS) == 20
    assert len(ncbi.log) == 3


def test_searches_beyond_the_cap_are_cut_by_date(ncbi, tmp_path, monkeypatch):
    monkeypatch.setattr(pubmed, "MOST", 25)
    entrez = client(tmp_path)
    found = list(entrez.abstracts("OPA1", "2020-01-30", "2020-02-03"))
    assert len(found) + sum(entrez.dropped.values()) == 50
    searches = ncbi.asked("esearch")
    assert [(query["mindate"][5:], query["maxdate"][5:]) for query in searches] == [
        ("01/30", "02/03"),
        ("02/01", "02/03"),
        ("02/03", "02/03"),
        ("02/02", "02/02"),
        ("02/01", "02/01"),
        ("01/30", "01/31"),
    ]


def test_a_day_beyond_the_cap_is_cut_and_counted(ncbi, tmp_path, monkeypatch):
    monkeypatch.setattr(pubmed, "MOST", 8)
    entrez = client(tmp_path)
    list(entrez.abstracts("OPA1", "2020-01-01", "2020-01-01"))
    assert entrez.dropped["beyond what Entrez hands out of one day"] == 2
    assert client(tmp_path).count("OPA1", **DAYS) == 20, "a count has no cap"


def parts(first, last):
    ranges = pubmed._parts(date.fromisoformat(first), date.fromisoformat(last))
    return [(start.isoformat(), end.isoformat()) for start, end in ranges]


def test_date_ranges_are_split_by_year_month_and_day():
    assert parts("2018-03-05", "2020-02-01") == [
        ("2018-03-05", "2018-12-31"),
        ("2019-01-01", "2019-12-31"),
        ("2020-01-01", "2020-02-01"),
    ]
    assert parts("2020-12-31", "2021-01-01") == [
        ("2020-12-31", "2020-12-31"),
        ("2021-01-01", "2021-01-01"),
    ]
    assert len(parts("2020-02-03", "2020-12-20")) == 11
    assert len(parts("2020-02-01", "2020-02-29")) == 29


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ("x", {"since": "1.1.2020"}, r"since='1.1.2020', until='': .*; expected YYYY-MM-DD"),
        ("x", {"since": "2020-02-01", "until": "2020-01-01"}, "lies after"),
        ("x", {"limit": -3}, "limit=-3; expected a number of abstracts"),
        ("((", DAYS, r"doesn't understand '\(\(': unbalanced"),
        (
            "nothing",
            DAYS,
            "finds nothing for 'nothing' from 2020-01-01 to 2020-01-02; it doesn't know 'nothing'",
        ),
    ],
    ids=["no date", "no days", "negative limit", "no query", "nothing found"],
)
def test_a_search_that_is_refused_is_named(ncbi, tmp_path, query, options, message):
    with pytest.raises(WorkbookError, match=message):
        list(client(tmp_path).abstracts(query, **options))


def test_a_count_of_nothing_is_explained_every_time(ncbi, tmp_path):
    for _ in range(3):
        with pytest.raises(WorkbookError, match="it doesn't know 'nothing'"):
            client(tmp_path).count("nothing", **DAYS)


def test_a_damaged_cache_is_named(tmp_path):
    (tmp_path / "pubmed.sqlite").write_text("rubbish " * 1000)
    with pytest.raises(WorkbookError, match=r"pubmed.sqlite: file is not a database; delete it"):
        PubMed("someone@example.org", tmp_path)
