"""A local server in place of NCBI's, which fails, throttles and truncates as a test plans."""

import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from bioner_lib.silver import entrez, pubmed
from bioner_lib.silver.pubmed import PubMed

DAYS = {"since": "2020-01-01", "until": "2020-01-02"}  # twenty records, 16 of them usable
FIRST = date(2020, 1, 1).toordinal()  # the first day's PMIDs are 7374250 to 7374259


def record(pmid, abstract="OPA1 causes optic atrophy.") -> str:
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


class EntrezServer(BaseHTTPRequestHandler):
    """Ten records per day; `plan` says how the next requests fail.

    Each is a status, "truncate", "empty", a text, or seconds without an answer.
    Records that end in 9 have no abstract; those that end in 57 and 58 are malformed.
    """

    plan: ClassVar[list] = []
    log: ClassVar[list] = []  # service and query of each request
    gone: ClassVar[set] = set()  # from searches too
    deleted: ClassVar[set] = set()  # listed, and never handed out
    retry_after = "0"
    per_day = 10

    @classmethod
    def reset(cls) -> None:
        cls.plan, cls.log, cls.gone, cls.deleted = [], [], set(), set()
        cls.retry_after = "0"

    @classmethod
    def asked(cls, service) -> list[dict]:
        """The queries of a service, esearch or efetch."""
        return [query for name, query in cls.log if name == service]

    @classmethod
    def fetched(cls) -> int:
        """How many records were asked for."""
        return sum(len(query["id"].split(",")) for query in cls.asked("efetch"))

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        service = "efetch" if "efetch" in self.path else "esearch"
        self.log.append((service, query))
        how = self.plan.pop(0) if self.plan else None
        if isinstance(how, float):
            time.sleep(how)
        if isinstance(how, int):
            self.send_response(how)
            self.send_header("Retry-After", self.retry_after)
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

    def search(self, query) -> str:
        if query["term"] == "((":
            return "<eSearchResult><ERROR>unbalanced</ERROR></eSearchResult>"
        if query["term"] == "nothing":
            errors = "<ErrorList><PhraseNotFound>nothing</PhraseNotFound></ErrorList>"
            return f"<eSearchResult><Count>0</Count>{errors}</eSearchResult>"
        first, last = (date(*map(int, query[name].split("/"))) for name in ("mindate", "maxdate"))
        days = range(first.toordinal(), last.toordinal() + 1)
        pmids = [f"{day}{k}" for day in days for k in range(self.per_day)]
        count = len(pmids) - len(self.gone & set(pmids))
        listed = [pmid for pmid in pmids[: int(query["retmax"])] if pmid not in self.gone]
        ids = "".join(f"<Id>{pmid}</Id>" for pmid in listed)
        return f"<eSearchResult><Count>{count}</Count><IdList>{ids}</IdList></eSearchResult>"

    def fetch(self, query) -> str:
        handed_out = set(query["id"].split(",")) - self.gone - self.deleted
        records = [self.one(pmid) for pmid in query["id"].split(",") if pmid in handed_out]
        deleted = "<DeleteCitation><PMID>1</PMID></DeleteCitation>"
        return f"<PubmedArticleSet>{''.join(records)}{deleted}</PubmedArticleSet>"

    def one(self, pmid) -> str:
        text = record(pmid, "" if pmid.endswith("9") else "OPA1 causes x.")
        if pmid.endswith("58"):
            return text.replace("</ArticleTitle>", "")
        if pmid.endswith("57"):
            return text.replace("</PubmedArticle>", "")
        return text

    def log_message(self, *_):
        pass


@contextmanager
def serving(monkeypatch):
    """Requests to NCBI go to a running `EntrezServer`, in batches of seven; yields the class."""
    EntrezServer.reset()
    running = ThreadingHTTPServer(("127.0.0.1", 0), EntrezServer)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()

    def open_here(request):
        parts = urllib.parse.urlsplit(request.full_url)
        query = "&".join(filter(None, [parts.query, (request.data or b"").decode()]))
        address = f"http://127.0.0.1:{running.server_port}{parts.path}?{query}"
        return urllib.request.urlopen(address, timeout=entrez.TIMEOUT)

    monkeypatch.setattr(entrez, "_open", open_here)
    monkeypatch.setattr(pubmed, "BATCH", 7)
    yield EntrezServer
    running.shutdown()
    running.server_close()
    thread.join()


def client(folder, **options) -> PubMed:
    """A client that doesn't pause, with a cache of its own."""
    options = {"pause": 0.0, "tries": 3, "api_key": "k"} | options
    return PubMed("someone@example.org", Path(folder) / "cache", **options)


def download(folder, **options) -> list:
    """The abstracts of the two days."""
    return list(client(folder, **options).abstracts("OPA1", **DAYS))
