"""A local server that fails, throttles and truncates, in place of NCBI's."""

import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from bioner_lib import WorkbookError
from bioner_lib.silver import entrez as requests
from bioner_lib.silver import pubmed
from bioner_lib.silver.pubmed import PubMed
from bioner_lib.silver.pubmed_records import Abstract, parse_record


def record(pmid, abstract="OPA1 causes optic atrophy."):
    body = (
        f"<Abstract><AbstractText Label='AIM'>{abstract}</AbstractText></Abstract>"
        if abstract
        else ""
    )
    return (
        f"<PubmedArticle><MedlineCitation><PMID Version='1'>{pmid}</PMID><Article>"
        "<Journal><JournalIssue><PubDate><Year>2020</Year></PubDate></JournalIssue></Journal>"
        f"<ArticleTitle>About <i>OPA1</i> {pmid}</ArticleTitle>{body}"
        "</Article></MedlineCitation></PubmedArticle>"
    )


class Server(BaseHTTPRequestHandler):
    """Ten records per day; `plan` says how the next requests fail.

    Each is a status, "truncate", "empty", a text, or seconds without an answer.
    """

    plan: ClassVar[list] = []
    log: ClassVar[list] = []
    gone: ClassVar[set] = set()  # from searches too
    deleted: ClassVar[set] = set()  # listed, and never handed out
    retry_after = "0"
    per_day = 10

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        service = "efetch" if "efetch" in self.path else "esearch"
        Server.log.append((service, query))
        how = Server.plan.pop(0) if Server.plan else None
        if isinstance(how, float):
            time.sleep(how)
        if isinstance(how, int):
            self.send_response(how)
            self.send_header("Retry-After", Server.retry_after)
            self.end_headers()
            return
        text = self.search(query) if service == "esearch" else self.fetch(query)
        if how == "empty":
            text = "<PubmedArticleSet></PubmedArticleSet>"
        elif isinstance(how, str) and how.startswith("<"):
            text = how
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.end_headers()
        with suppress(BrokenPipeError):  # nobody waited for it
            self.wfile.write(text.encode()[: 200 if how == "truncate" else None])

    do_POST = do_GET

    def search(self, query):
        if query["term"] == "((":
            return "<eSearchResult><ERROR>unbalanced</ERROR></eSearchResult>"
        first, last = (date(*map(int, query[name].split("/"))) for name in ("mindate", "maxdate"))
        pmids = [
            f"{day}{k}"
            for day in range(first.toordinal(), last.toordinal() + 1)
            for k in range(self.per_day)
        ]
        if query["term"] == "nothing":
            errors = "<ErrorList><PhraseNotFound>nothing</PhraseNotFound></ErrorList>"
            return f"<eSearchResult><Count>0</Count>{errors}</eSearchResult>"
        listed = "".join(
            f"<Id>{pmid}</Id>" for pmid in pmids[: int(query["retmax"])] if pmid not in Server.gone
        )
        count = len(pmids) - len(Server.gone & set(pmids))
        return f"<eSearchResult><Count>{count}</Count><IdList>{listed}</IdList></eSearchResult>"

    def fetch(self, query):
        records = []
        for pmid in query["id"].split(","):
            text = record(pmid, "" if pmid.endswith("9") else "OPA1 causes x.")
            if pmid.endswith("58"):
                text = text.replace("</ArticleTitle>", "")
            if pmid.endswith("57"):
                text = text.replace("</PubmedArticle>", "")
            records += [text] if pmid not in Server.gone | Server.deleted else []
        return (
            "<PubmedArticleSet>"
            + "".join(records)
            + "<DeleteCitation><PMID>1</PMID></DeleteCitation></PubmedArticleSet>"
        )

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    Server.plan = []
    Server.log = []
    Server.gone = set()
    Server.deleted = set()
    Server.retry_after = "0"
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()

    def here(request):
        parts = urllib.parse.urlsplit(request.full_url)
        query = "&".join(filter(None, [parts.query, (request.data or b"").decode()]))
        return urllib.request.urlopen(
            f"http://127.0.0.1:{running.server_port}{parts.path}?{query}", timeout=requests.TIMEOUT
        )

    monkeypatch.setattr(requests, "_open", here)
    monkeypatch.setattr(pubmed, "BATCH", 7)
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


DAYS = {"since": "2020-01-01", "until": "2020-01-02"}  # twenty records
FIRST = date(2020, 1, 1).toordinal()  # the first day's are 7374250 to 7374259


def client(tmp_path, **options):
    return PubMed(
        "someone@example.org",
        tmp_path / "cache",
        **{"pause": 0.0, "tries": 3, "api_key": "k"} | options,
    )


def fetched():
    """How many records were asked for."""
    return sum(len(query["id"].split(",")) for service, query in Server.log if service == "efetch")


def test_records_come_newest_first_and_skipped_ones_are_counted(server, tmp_path):
    entrez = client(tmp_path)
    found = list(entrez.abstracts("OPA1", **DAYS, exclude={f"{FIRST}0"}))
    assert [a.pmid for a in found] == [
        str(n)
        for n in range(FIRST * 10 + 19, FIRST * 10, -1)
        if n % 10 < 9 and n % 100 not in (57, 58)
    ]
    assert entrez.dropped == {
        "without an abstract": 2,
        "of an evaluation corpus": 1,
        "malformed": 2,
    }
    assert entrez.malformed == [f"{FIRST}8", f"{FIRST}7"]
    assert found[0].year == 2020
    assert found[0].document == (found[0].pmid, f"About OPA1 {found[0].pmid} OPA1 causes x.")
    assert all(
        query["email"] == "someone@example.org" and query["tool"] == "bioner_lib"
        for _, query in Server.log
    )
    Server.log.clear()
    assert list(client(tmp_path / "b").abstracts("OPA1", **DAYS, limit=5)) == found[:5]
    assert fetched() == 7


def test_failures_are_retried_and_no_partial_file_is_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(requests, "TIMEOUT", 0.5)
    backend = "<eSearchResult><ERROR>Search Backend failed: timed out</ERROR></eSearchResult>"
    lost = "<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>"
    Server.plan = [429, backend, None, "empty", 500, "truncate", None, 503, lost, None, 1.5]
    found = list(client(tmp_path, tries=5).abstracts("OPA1", **DAYS))
    assert not Server.plan
    assert found == list(client(tmp_path / "undisturbed").abstracts("OPA1", **DAYS))


def test_a_server_says_how_long_to_wait(server, tmp_path):
    waits = [
        requests.seconds(header)
        for header in (
            "7",
            "Fri, 20 Nov 2099 10:00:00 GMT",
            "Fri, 20 Nov 2020 10:00:00 GMT",
            "soon",
            None,
            "-1",
        )
    ]
    assert waits == [7.0, 600.0, 0.0, 0.0, 0.0, 0.0]
    Server.plan = [429]
    Server.retry_after = "0.5"
    began = time.monotonic()
    assert len(list(client(tmp_path).abstracts("OPA1", **DAYS))) == 16
    assert time.monotonic() - began >= 0.5


def test_a_download_that_broke_off_goes_on(server, tmp_path):
    Server.plan = [None, None, 500, 500, 500]
    broken = client(tmp_path)
    with pytest.raises(
        WorkbookError,
        match=r"can't be reached .500 .*3 tries.; "
        r"what was fetched is kept in .*call again to go on",
    ):
        list(broken.abstracts("OPA1", **DAYS))
    Server.log.clear()
    whole = list(client(tmp_path).abstracts("OPA1", **DAYS))
    assert len(whole) == 16
    assert fetched() == 13
    assert not [s for s, _ in Server.log if s == "esearch"], "the rest only"
    Server.log.clear()
    assert list(client(tmp_path).abstracts("OPA1", **DAYS)) == whole, "all from the cache"
    assert [query["id"] for _, query in Server.log] == [f"{FIRST}7"], (
        "but for the record that broke off"
    )
    Server.log.clear()
    with ThreadPoolExecutor(1) as pool:
        again = client(tmp_path)
        assert pool.submit(lambda: list(again.abstracts("OPA1", **DAYS))).result() == whole
    later = list(
        client(tmp_path).abstracts("optic OR OPA1", "2020-01-01", "2020-01-03")
    )  # another search over other days
    assert later[-16:] == whole
    assert fetched() == 10 + 2


def test_records_that_pubmed_withdrew(server, tmp_path):
    """Records may vanish after the search: the others arrive, the missing are counted."""
    Server.plan = [None, None, 500, 500, 500]
    with pytest.raises(WorkbookError):
        list(client(tmp_path).abstracts("OPA1", **DAYS))
    Server.gone = {f"{FIRST}3"}
    entrez = client(tmp_path)
    assert len(list(entrez.abstracts("OPA1", **DAYS))) == 15
    assert entrez.dropped["not handed out"] == 1
    Server.gone = set()
    Server.deleted = {f"{FIRST}4", f"{FIRST}5"}
    entrez = client(tmp_path / "b")
    assert len(list(entrez.abstracts("OPA1", **DAYS))) == 14
    assert entrez.dropped["not handed out"] == 2


def test_a_list_that_is_too_short_is_asked_for_again(server, tmp_path):
    short = f"<eSearchResult><Count>20</Count><IdList><Id>{FIRST}0</Id></IdList></eSearchResult>"
    Server.plan = [short]
    assert len(list(client(tmp_path).abstracts("OPA1", **DAYS))) == 16
    Server.plan = [short, short]
    entrez = client(tmp_path / "b")
    assert len(list(entrez.abstracts("OPA1", **DAYS))) == 1, "believed the second time"


def test_a_search_that_may_still_grow_is_made_again(server, tmp_path):
    until = date.today()
    for _ in range(2):
        assert client(tmp_path).count("OPA1", until.isoformat()) == 10
        assert client(tmp_path).count("OPA1", **DAYS) == 20
    assert len(Server.log) == 3


def test_searches_beyond_the_cap_are_cut_by_date(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pubmed, "MOST", 25)
    entrez = client(tmp_path)
    assert (
        len(list(entrez.abstracts("OPA1", "2020-01-30", "2020-02-03")))
        + sum(entrez.dropped.values())
        == 50
    )
    asked = [
        (query["mindate"][5:], query["maxdate"][5:])
        for service, query in Server.log
        if service == "esearch"
    ]
    assert asked == [
        ("01/30", "02/03"),
        ("02/01", "02/03"),
        ("02/03", "02/03"),
        ("02/02", "02/02"),
        ("02/01", "02/01"),
        ("01/30", "01/31"),
    ]
    monkeypatch.setattr(pubmed, "MOST", 8)
    one_day = client(tmp_path / "b")
    list(one_day.abstracts("OPA1", "2020-01-01", "2020-01-01"))
    assert one_day.dropped["beyond what Entrez hands out of one day"] == 2
    assert client(tmp_path).count("OPA1", **DAYS) == 20


def test_date_ranges_are_split_by_year_month_and_day():
    day = date.fromisoformat
    assert [(str(a), str(b)) for a, b in pubmed._parts(day("2018-03-05"), day("2020-02-01"))] == [
        ("2018-03-05", "2018-12-31"),
        ("2019-01-01", "2019-12-31"),
        ("2020-01-01", "2020-02-01"),
    ]
    assert pubmed._parts(day("2020-12-31"), day("2021-01-01")) == [
        (day("2020-12-31"),) * 2,
        (day("2021-01-01"),) * 2,
    ]
    assert len(pubmed._parts(day("2020-02-03"), day("2020-12-20"))) == 11
    assert len(pubmed._parts(day("2020-02-01"), day("2020-02-29"))) == 29


def test_mistakes_are_named(server, tmp_path):
    with pytest.raises(WorkbookError, match="NCBI wants an e-mail address"):
        PubMed("", tmp_path)
    with pytest.raises(WorkbookError, match=r"since='1.1.2020', until='': .*; expected YYYY-MM-DD"):
        list(client(tmp_path).abstracts("x", since="1.1.2020"))
    with pytest.raises(WorkbookError, match="lies after"):
        list(client(tmp_path).abstracts("x", since="2020-02-01", until="2020-01-01"))
    with pytest.raises(WorkbookError, match="doesn't understand '\\(\\(': unbalanced"):
        list(client(tmp_path).abstracts("((", **DAYS))
    with pytest.raises(
        WorkbookError,
        match="finds nothing for 'nothing' from 2020-01-01 to 2020-01-02; "
        "it doesn't know 'nothing'",
    ):
        list(client(tmp_path).abstracts("nothing", **DAYS))
    with pytest.raises(WorkbookError, match="limit=-3; expected a number of abstracts"):
        list(client(tmp_path).abstracts("x", limit=-3))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "pubmed.sqlite").write_text("rubbish " * 1000)
    for _ in range(2):
        with pytest.raises(WorkbookError, match="it doesn't know 'nothing'"):
            client(tmp_path).count("nothing", **DAYS)
    with pytest.raises(WorkbookError, match=r"pubmed.sqlite: file is not a database; delete it"):
        PubMed("someone@example.org", tmp_path / "damaged")
    Server.plan = [400]
    with pytest.raises(WorkbookError, match="refused a request: 400"):
        list(client(tmp_path).abstracts("y", **DAYS))


def test_a_record_by_hand():
    medline = record("7").replace(
        "<Year>2020</Year>", "<MedlineDate>1998 Dec-1999 Jan</MedlineDate>"
    )
    assert parse_record(medline) == Abstract(
        "7", "About OPA1 7", "OPA1 causes optic atrophy.", 1998
    )


def test_a_book_by_hand():
    book = (
        "<PubmedBookArticle><BookDocument><PMID>8</PMID><ArticleTitle>Optic atrophy</ArticleTitle>"
        "<Book><PubDate><Year>2011</Year></PubDate></Book><Abstract><AbstractText>OPA1.</AbstractText></Abstract></BookDocument></PubmedBookArticle>"
    )
    assert parse_record(book) == Abstract("8", "Optic atrophy", "OPA1.", 2011)
