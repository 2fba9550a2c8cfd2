"""A local server that fails, throttles and truncates, in place of NCBI's."""

import re
import threading
import urllib.parse
import urllib.request
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from bioner_lib import WorkbookError
from bioner_lib.data import pubmed
from bioner_lib.data.pubmed import Abstract, PubMed, parse_record


def record(pmid, abstract="OPA1 causes optic atrophy."):
    body = f"<Abstract><AbstractText Label='AIM'>{abstract}</AbstractText></Abstract>" if abstract else ""
    return (
        f"<PubmedArticle><MedlineCitation><PMID Version='1'>{pmid}</PMID><Article><Journal><JournalIssue><PubDate>"
        f"<Year>2020</Year></PubDate></JournalIssue></Journal><ArticleTitle>About <i>OPA1</i> {pmid}</ArticleTitle>{body}"
        "</Article></MedlineCitation></PubmedArticle>"
    )


class Server(BaseHTTPRequestHandler):
    """Ten records a day; `plan` holds how the next requests fail."""

    plan: ClassVar[list] = []
    log: ClassVar[list] = []
    per_day = 10

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        service = "efetch" if "efetch" in self.path else "esearch"
        Server.log.append((service, query))
        how = Server.plan.pop(0) if Server.plan else None
        if isinstance(how, int):
            self.send_response(how)
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        text = self.search(query) if service == "esearch" else self.fetch(query)
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.end_headers()
        self.wfile.write(text.encode()[: 200 if how == "truncate" else None])

    do_POST = do_GET

    def days(self, query):
        first, last = (date(*map(int, query[name].split("/"))) for name in ("mindate", "maxdate"))
        return range(first.toordinal(), last.toordinal() + 1)

    def search(self, query):
        if query["term"] == "((":
            return "<eSearchResult><ERROR>unbalanced</ERROR></eSearchResult>"
        days = self.days(query)
        env = f"{days.start}-{days.stop}"
        return f"<eSearchResult><Count>{len(days) * self.per_day}</Count><QueryKey>1</QueryKey><WebEnv>{env}</WebEnv></eSearchResult>"

    def fetch(self, query):
        start, stop = map(int, query["WebEnv"].split("-"))
        pmids = [f"{day}{k}" for day in range(start, stop) for k in range(self.per_day)]
        at = int(query["retstart"])
        records = [record(p, "" if p.endswith("9") else "OPA1 causes x.") for p in pmids[at : at + int(query["retmax"])]]
        broken = [re.sub("</ArticleTitle>", "", r) if "58</PMID>" in r else r for r in records]
        return "<PubmedArticleSet>" + "".join(broken) + "</PubmedArticleSet>"

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    Server.plan, Server.log = [], []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()

    def here(request):
        parts = urllib.parse.urlsplit(request.full_url)
        query = "&".join(filter(None, [parts.query, (request.data or b"").decode()]))
        return urllib.request.urlopen(f"http://127.0.0.1:{running.server_port}{parts.path}?{query}", timeout=5)

    from Bio import Entrez

    monkeypatch.setattr(Entrez, "urlopen", here)
    monkeypatch.setattr(pubmed, "BATCH", 7)
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


DAYS = {"since": "2020-01-01", "until": "2020-01-02"}  # twenty records


def client(tmp_path, **options):
    return PubMed("someone@example.org", tmp_path / "cache", **{"pause": 0.0, "tries": 3, "api_key": "k"} | options)


def test_records_come_whole_and_what_isnt_handed_on_is_counted(server, tmp_path):
    entrez = client(tmp_path)
    excluded = f"{date(2020, 1, 1).toordinal()}0"
    found = list(entrez.abstracts("OPA1", **DAYS, exclude={excluded}))
    assert len(found) == 20 - 2 - 1 - 1 and len({a.pmid for a in found}) == len(found)

    assert entrez.dropped == {"without an abstract": 2, "of an evaluation corpus": 1, "malformed": 1}
    assert entrez.malformed == [f"{date(2020, 1, 1).toordinal()}8"] and found[0].year == 2020
    assert found[0].document == (found[0].pmid, f"About OPA1 {found[0].pmid} OPA1 causes x.")
    assert all(query["email"] == "someone@example.org" and query["tool"] == "bioner_lib" for _, query in Server.log)
    assert len(list(client(tmp_path).abstracts("OPA1", **DAYS, limit=5))) == 5


def test_failures_are_waited_out_and_nothing_half_is_kept(server, tmp_path):
    Server.plan = [429, 500, None, None, "truncate", 503]
    found = list(client(tmp_path, tries=4).abstracts("OPA1", **DAYS))
    Server.plan = []
    assert found == list(client(tmp_path / "undisturbed").abstracts("OPA1", **DAYS))


def test_a_download_that_broke_off_goes_on(server, tmp_path):
    Server.plan = [None, None, None, 500, 500, 500]
    broken = client(tmp_path)
    with pytest.raises(WorkbookError, match=r"can't be reached .500 .*3 tries.; what was fetched lies in .*call again to go on"):
        list(broken.abstracts("OPA1", **DAYS))
    asked = len([s for s, _ in Server.log if s == "efetch"])
    Server.log.clear()
    whole = list(client(tmp_path).abstracts("OPA1", **DAYS))
    assert len(whole) >= 16 and asked == 4 and [q["retstart"] for s, q in Server.log if s == "efetch"] == ["7", "14"], "the rest only"
    Server.log.clear()
    assert list(client(tmp_path).abstracts("OPA1", **DAYS)) == whole and not Server.log, "all from the cache"


def test_searches_beyond_the_cap_are_cut_by_date(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pubmed, "MOST", 25)
    entrez = client(tmp_path)
    assert len(list(entrez.abstracts("OPA1", "2020-01-01", "2020-01-08"))) + sum(entrez.dropped.values()) == 80
    monkeypatch.setattr(pubmed, "MOST", 8)
    one_day = client(tmp_path / "b")
    list(one_day.abstracts("OPA1", "2020-01-01", "2020-01-01"))
    assert one_day.dropped["beyond what Entrez hands out of one day"] == 2 and client(tmp_path).count("OPA1", **DAYS) == 20


def test_mistakes_are_named(server, tmp_path):
    with pytest.raises(WorkbookError, match="NCBI wants an e-mail address"):
        PubMed("", tmp_path)
    with pytest.raises(WorkbookError, match="no date; expected YYYY-MM-DD"):
        list(client(tmp_path).abstracts("x", since="1.1.2020"))
    with pytest.raises(WorkbookError, match="lies after"):
        list(client(tmp_path).abstracts("x", since="2020-02-01", until="2020-01-01"))
    with pytest.raises(WorkbookError, match="doesn't understand '\\(\\(': unbalanced"):
        list(client(tmp_path).abstracts("((", **DAYS))
    Server.plan = [400]
    with pytest.raises(WorkbookError, match="refused a request: 400"):
        list(client(tmp_path).abstracts("y", **DAYS))


def test_a_record_by_hand():
    medline = record("7").replace("<Year>2020</Year>", "<MedlineDate>1998 Dec-1999 Jan</MedlineDate>")
    assert parse_record(medline) == Abstract("7", "About OPA1 7", "OPA1 causes optic atrophy.", 1998)
