"""Requests to NCBI Entrez: each is made again until its answer is whole.

Biopython keeps to NCBI's rate: 3 requests per second, 10 with a key.
"""

import email.utils
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ..errors import WorkbookError

TIMEOUT = 60  # seconds of silence
_LONGEST_WAIT = 600.0  # seconds, whatever a server asks for


@dataclass
class Entrez:
    """Asks Entrez about PubMed.

    email      NCBI asks for one
    kept       the folder of what was fetched, for an error's text
    api_key    optional; by default the environment variable NCBI_API_KEY
    tries      attempts per request; the first waits `pause` seconds, each further one longer

    Raises WorkbookError without an e-mail address.
    """

    email: str
    kept: Path
    api_key: str = field(default_factory=lambda: os.environ.get("NCBI_API_KEY", ""), repr=False)
    tries: int = 6
    pause: float = 1.0

    def __post_init__(self):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.email):
            raise WorkbookError(
                f"email={self.email!r}; NCBI wants an e-mail address with every request, so that "
                "it can write before it blocks"
            )

    def ask(self, service: str, fault: Callable[[str], str], **parameters) -> str:
        """The answer of a service, such as "esearch", in which `fault` finds nothing.

        `fault` returns what is wrong with an answer, or "". Raises WorkbookError for a request that
        the server refuses, and where no try brings a whole answer.
        """
        problem = ""
        for attempt in range(self.tries):
            wait = self.pause * 2**attempt
            try:
                text = self._answer(service, parameters)
                problem = fault(text)
                if not problem:
                    return text
            except urllib.error.HTTPError as error:
                problem = f"{error.code} {error.reason}"
                if error.code // 100 == 4 and error.code != 429:
                    raise WorkbookError(f"PubMed refused a request: {problem}") from None
                wait = max(wait, seconds(error.headers.get("Retry-After")))
            except (http.client.HTTPException, OSError) as error:  # URLError is an OSError
                problem = str(error)
            if attempt + 1 < self.tries:
                time.sleep(wait)
        raise WorkbookError(
            f"PubMed can't be reached ({problem}, {self.tries} tries); what was fetched is kept in "
            f"{self.kept}: call again to go on"
        )

    def _answer(self, service: str, parameters: dict) -> str:
        """The text of one answer, whatever it says."""
        from Bio import Entrez as biopython

        biopython.email, biopython.api_key = self.email, self.api_key or None
        biopython.tool, biopython.max_tries = "bioner_lib", 1
        biopython.urlopen = _open
        with getattr(biopython, service)(db="pubmed", **parameters) as answer:
            content = answer.read()
        return content.decode(errors="replace") if isinstance(content, bytes) else content


def _open(request: urllib.request.Request):
    return urllib.request.urlopen(request, timeout=TIMEOUT)  # Biopython's own waits for ever


def seconds(retry_after: str | None) -> float:
    """What a Retry-After says, which is a number of seconds or a date; at most ten minutes."""
    try:
        wait = float(retry_after or 0)
    except ValueError:
        wait = _seconds_until(retry_after)
    return min(max(wait, 0.0), _LONGEST_WAIT)


def _seconds_until(date: str) -> float:
    """Seconds from now to a date of an HTTP header; 0 for what is no date."""
    try:
        until = email.utils.parsedate_to_datetime(date)
        return (until - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
