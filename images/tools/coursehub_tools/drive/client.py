"""Drive, asked through Google's own library: paced, tried again where that helps, and refused with a reason."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import google_auth_httplib2
import googleapiclient
import httplib2
from google.auth.exceptions import GoogleAuthError, OAuthError, RefreshError, TransportError
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import build_http

from ..result import shown
from . import awake, federation, reasons
from . import pacer as pace
from .pacer import Pacer
from .reasons import Rule, Treatment

# Google's documents: 32 or 64 s is as long as it makes sense to wait at a time.
MOST_WAIT_S = 64.0
# Longer than a few minutes without Drive, which nobody needs to hear of.
PATIENCE_S = 900.0
TIMEOUT_S = 60.0
# The day's bytes have the reason of the rate and a sentence of their own, with a small letter and a full stop; rclone
# goes by that as well. A few tries, in case it was the rate.
DAY_SAID = "User rate limit exceeded."
_DAY_TRIES = 3
# That does not pass: somebody between us and Drive reads what is sent, or the machine lacks authorities.
_UNTRUSTED = Rule(
    Treatment.DRIVE,
    "what answers in Drive's place has a certificate that is not trusted: look at the proxy and the authorities",
)
# Of our own count of the day's bytes, of which this process has a share. A hundredth of it (2 GB of a fourth of 750) is
# a lot for a file: where one has no room that is smaller, the day is over. A larger one says nothing of the others: any
# student makes a file of 200 GB by one word (truncate), also on a disk of 10.
OUR_COUNT = "dayShareSpent"
_SMALL_OF_A_DAY = 0.01
_SPENT = Rule(Treatment.DAY, "this run's share of the bytes that Drive takes in a day is used up: run this tomorrow")
NOT_TODAY = Rule(Treatment.FILE, "it is sent by a later run, on a day that has so much left")
_NEVER = Rule(
    Treatment.FILE,
    "it is more than this run's share of the bytes of a whole day: have it made smaller or left out (exclude), or let"
    " fewer Jobs share the day (concurrency)",
)
_LOST = (OSError, httplib2.HttpLib2Error, http.client.HTTPException, TransportError)


class RefusedError(Exception):
    """Drive doesn't do what it was asked: a reason, what it said, and what is to be done about it."""

    def __init__(self, rule: Rule, status: int, reason: str, said: str, wait_s: float | None = None) -> None:
        super().__init__(
            f"Drive refuses with {status} {reason}" + (f" ({shown(said, 160)})" if said not in ("", reason) else "")
        )
        self.rule = rule
        self.said = said
        self.status = status
        self.reason = reason
        self.wait_s = wait_s

    @property
    def treatment(self) -> Treatment:
        return self.rule.treatment


class LostError(RefusedError):
    """There was no answer, or none that is one."""

    def __init__(self, error: Exception) -> None:
        # Messages of the library may have an address in them, and a session's is a secret.
        super().__init__(reasons.LOST, 0, type(error).__name__, "")
        self.args = (f"Drive does not answer ({type(error).__name__})",)


class SpentError(RefusedError):
    """So many bytes have no room in our own count of the day: Drive was not asked."""

    def __init__(self, rule: Rule, size: int) -> None:
        super().__init__(rule, 0, OUR_COUNT, "")
        self.args = (f"{size} bytes are more than is left of the day by our own count",)


def refusal(status: int, headers: Any, content: bytes) -> RefusedError:
    """Return the refusal that an answer is."""
    reason, said = reasons.read(content)
    rule = reasons.rule(status, reason)
    return RefusedError(rule, status, reason, said, reasons.retry_after(headers.get("retry-after"), time.time()))


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Any
    content: bytes


class Client:
    """One identity. Threads share it: each has a connection of its own, as httplib2 wants it.

    ``address`` is for tests: where Drive is, other than at Google. ``calls`` counts what was asked.
    """

    def __init__(
        self,
        credentials: Any,
        pacer: Pacer,
        *,
        address: str = "",
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._credentials = credentials
        self._pacer = pacer
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        self._threads = threading.local()
        self._lock = threading.Lock()
        self.calls = 0
        self.files = _files(address)

    def _http(self) -> Any:
        if not hasattr(self._threads, "http"):
            # The library's own takes a 308 for what it is here: no redirection.
            plain = build_http()
            plain.timeout = self._timeout_s
            self._threads.http = google_auth_httplib2.AuthorizedHttp(self._credentials, http=plain)
        return self._threads.http

    def read(self, request: Any) -> Any:
        """Execute a request that looks at one thing. Raises RefusedError."""
        return self.persist(lambda: self._execute(request, pace.READ))

    def listed(self, request: Any) -> Any:
        """Execute a request for a list. Raises RefusedError."""
        return self.persist(lambda: self._execute(request, pace.LIST))

    def edit(self, request: Any) -> Any:
        """Execute a request that makes or changes something. Raises RefusedError."""
        return self.persist(lambda: self._execute(request, pace.EDIT, write=True))

    def download(self, request: Any, start: int, end: int) -> bytes:
        """Return these bytes of a file's content. Raises RefusedError."""
        headers = {"range": f"bytes={start}-{end - 1}"}

        def ask() -> bytes:
            answer = self.send("GET", request.uri, headers, None, units=pace.DOWNLOAD)
            if answer.status not in (200, 206):
                raise refusal(answer.status, answer.headers, answer.content)
            return answer.content

        content: bytes = self.persist(ask)
        return content

    def spend(self, size: int) -> None:
        """Count the bytes of a file that is to be sent. Raises SpentError where the day has not so many left."""
        if self._pacer.spend(size):
            return
        day = self._pacer.bytes_per_day
        if size > day:
            raise SpentError(_NEVER, size)
        raise SpentError(_SPENT if size <= day * _SMALL_OF_A_DAY else NOT_TODAY, size)

    def send(
        self, method: str, uri: str, headers: dict[str, str], body: Any, *, units: int = 0, write: bool = False
    ) -> Answer:
        """Send one request as it is, once, and return whatever comes. Raises LostError, RefusedError for no token."""

        def ask() -> Answer:
            response, content = self._http().request(uri, method=method, headers=headers, body=body)
            return Answer(response.status, response, content)

        answer: Answer = self._once(ask, units, write)
        return answer

    def _execute(self, request: Any, units: int, write: bool = False) -> Any:
        def ask() -> Any:
            try:
                return request.execute(http=self._http())
            except HttpError as error:
                raise refusal(error.resp.status, error.resp, error.content) from None

        return self._once(ask, units, write)

    def _once(self, ask: Callable[[], Any], units: int, write: bool) -> Any:
        self._pacer.wait(units, write=write)
        with self._lock:
            self.calls += 1
        # Last of all: of what is asked for when it is frozen after this, the id was in the journal before.
        awake.WATCH.see()
        try:
            return ask()
        except (RefreshError, OAuthError) as error:
            raise _no_token(error) from None
        except _LOST as error:
            if _is_untrusted(error):
                raise RefusedError(_UNTRUSTED, 0, "certificate", "") from None
            self._threads.__dict__.pop("http", None)
            raise LostError(error) from None

    def persist(self, ask: Callable[[], Any]) -> Any:
        """Do something until it is done, or refused for good, or has failed for longer than there is patience."""
        began, tries = self._clock(), 0
        while True:
            try:
                return ask()
            except RefusedError as error:
                tries += 1
                waited = self._clock() - began
                if tries > _DAY_TRIES and error.said == DAY_SAID:
                    raise RefusedError(
                        reasons.REASONS["uploadLimitExceeded"], error.status, error.reason, DAY_SAID
                    ) from None
                if error.treatment is not Treatment.RETRY or waited >= self._patience_s:
                    raise
                seconds = backoff(tries, error.wait_s)
                if error.status in (403, 429):
                    # It is the identity that was too fast, not this thread.
                    self._pacer.hold(seconds)
                self._sleep(seconds)


def _is_untrusted(error: BaseException | None) -> bool:
    """Tell whether a connection came to nothing for its certificate; google-auth wraps what it meets."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__ or next((a for a in error.args if isinstance(a, Exception)), None)
    return False


def backoff(tries: int, wanted: float | None) -> float:
    """Return how many seconds to wait after so many failures, or what the answer wanted."""
    if wanted is not None:
        return min(wanted, PATIENCE_S)
    # A different time for each thread, or all come back at once.
    return float(min(MOST_WAIT_S, 2.0 ** min(tries - 1, 10)) * random.uniform(0.5, 1.0))  # noqa: S311


def _no_token(error: GoogleAuthError) -> RefusedError:
    refused = federation.refusal(error)
    if refused is not None:
        return LostError(error) if refused[1] == 429 or refused[1] >= 500 else RefusedError(*refused)
    details = next((one for one in error.args if isinstance(one, dict)), {})
    reason = str(details.get("error") or str(error).partition(":")[0])
    if error.retryable:
        return LostError(error)
    # What stands behind the reason may have the account's name in it, but no secret.
    return RefusedError(reasons.rule(401, reason), 401, reason, str(details.get("error_description") or ""))


@cache
def _files(address: str) -> Any:
    """Return what makes requests for files; it sends none itself, and threads share it. To build it takes 10 ms."""
    path = Path(googleapiclient.__file__).parent / "discovery_cache/documents/drive.v3.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    if address:
        # An `api_endpoint` is not enough: the library takes the address for uploads from the description's rootUrl.
        document["rootUrl"] = f"{address.rstrip('/')}/"
    return build_from_document(document, http=build_http()).files()
