"""Contents on their way to Drive: small ones in one call, large ones in chunks that a new process can go on with.

https://developers.google.com/workspace/drive/api/guides/manage-uploads
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from googleapiclient.http import MediaIoBaseUpload

from .client import LostError, RefusedError, refusal
from .objects import Drive, Fact, content_type, fact_of
from .rows import Row
from .scan import ChangedError
from .state import Session, State
from .steps import Digest

# What Google's documents call small enough for one call.
SMALL = 5 << 20
# A multiple of 256 KiB. Four uploads at a time have 32 MiB in memory.
CHUNK = 8 << 20
_BLOCK = 1 << 20


class ExpiredError(Exception):
    """An upload's session is not there any more."""


@dataclass(frozen=True)
class Content:
    """An open file as it is to be in Drive: its row has its size and time. ``check`` raises ChangedError."""

    file: int
    row: Row
    check: Callable[[], None]

    def read(self, start: int, end: int) -> bytes:
        """Return these bytes. Raises OSError, ChangedError where there are fewer."""
        parts = []
        while start < end:
            part = os.pread(self.file, end - start, start)
            if not part:
                raise ChangedError("it became shorter while it was exported: export from a snapshot")
            parts.append(part)
            start += len(part)
        return b"".join(parts)


class Measure:
    """Checksums of what has gone by, in order."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self.at = 0

    def add(self, data: bytes) -> None:
        self._md5.update(data)
        self._sha256.update(data)
        self.at += len(data)

    def catch_up(self, content: Content, end: int) -> None:
        """Read what went by before this process began, or what Drive has more of than was known."""
        while self.at < end:
            self.add(content.read(self.at, min(end, self.at + _BLOCK)))

    @property
    def digest(self) -> Digest:
        return Digest(self._md5.hexdigest(), self._sha256.hexdigest())


def digest(content: Content) -> Digest:
    """Return the checksums of a whole content. Raises OSError, ChangedError."""
    measure = Measure()
    measure.catch_up(content, content.row.size)
    content.check()
    return measure.digest


def send(drive: Drive, state: State, content: Content, body: dict[str, Any]) -> tuple[Fact, Digest]:
    """Send a content; return what Drive has then, and the checksums of what was sent.

    Its id is in the journal already. Raises RefusedError, OSError, ChangedError.
    """
    drive.client.spend(content.row.size)
    if content.row.size <= SMALL:
        return _send_small(drive, content, body)
    measure = Measure()
    fact = drive.made(content.row.id, lambda: _send_large(drive, state, content, body, measure))
    measure.catch_up(content, content.row.size)
    content.check()
    return fact, measure.digest


def _send_small(drive: Drive, content: Content, body: dict[str, Any]) -> tuple[Fact, Digest]:
    data = content.read(0, content.row.size)
    content.check()
    measure = Measure()
    measure.add(data)
    kind = content_type(content.row)
    row = content.row

    def call() -> Fact:
        media = MediaIoBaseUpload(io.BytesIO(data), kind, resumable=False)
        return drive.create(body, media) if "id" in body else drive.update(row.id, body, media)

    return drive.made(row.id, call), measure.digest


def _send_large(drive: Drive, state: State, content: Content, body: dict[str, Any], measure: Measure) -> Fact:
    want = state.wants.get(content.row.id)
    session = want.session if want else None
    if session is not None and (session.size, session.mtime_ns) != (content.row.size, content.row.mtime_ns):
        session = None
    while True:
        if session is None:
            session = Session(_begin(drive, content, body), content.row.size, content.row.mtime_ns)
            state.session(content.row.id, session)
        try:
            return _Upload(drive, session.uri, content, measure).run()
        except ExpiredError:
            session = None


def _begin(drive: Drive, content: Content, body: dict[str, Any]) -> str:
    """Begin a session; return its address."""
    kind = content_type(content.row)
    request = drive.begin_upload(content.row, body, MediaIoBaseUpload(io.BytesIO(b""), kind, resumable=True))
    headers = {
        **request.headers,
        "x-upload-content-type": kind,
        "x-upload-content-length": str(content.row.size),
        "content-length": str(len(request.body or "")),
    }

    def ask() -> str:
        answer = drive.client.send(request.method, request.uri, headers, request.body, units=50, write=True)
        if answer.status != 200 or "location" not in answer.headers:
            raise refusal(answer.status, answer.headers, answer.content)
        return str(answer.headers["location"])

    return str(drive.client.persist(ask))


class _Upload:
    """One content through one session."""

    def __init__(self, drive: Drive, uri: str, content: Content, measure: Measure) -> None:
        self._drive = drive
        self._uri = uri
        self._content = content
        self._measure = measure
        self._size = content.row.size
        # Where to go on; None where only Drive knows.
        self._at: int | None = None

    def run(self) -> Fact:
        while True:
            fact: Fact | None = self._drive.client.persist(self._step)
            if fact is not None:
                return fact

    def _step(self) -> Fact | None:
        if self._at is None:
            return self._judge({"content-range": f"bytes */{self._size}"}, b"")
        self._content.check()
        end = min(self._at + CHUNK, self._size)
        data = self._content.read(self._at, end)
        self._measure.catch_up(self._content, self._at)
        self._measure.add(data[self._measure.at - self._at :])
        headers = {"content-range": f"bytes {self._at}-{end - 1}/{self._size}"}
        try:
            return self._judge(headers, data)
        except RefusedError:
            self._at = None
            raise

    def _judge(self, headers: dict[str, str], data: bytes) -> Fact | None:
        headers["content-length"] = str(len(data))
        answer = self._drive.client.send("PUT", self._uri, headers, data)
        if answer.status in (200, 201):
            try:
                return fact_of(json.loads(answer.content))
            except (ValueError, KeyError) as error:
                raise LostError(error) from None
        if answer.status == 308:
            # "bytes=0-N"; nothing is kept where there is none.
            last = answer.headers.get("range", "").rpartition("-")[2]
            self._at = int(last) + 1 if last.isdecimal() else 0
            return None
        if answer.status in (404, 410):
            raise ExpiredError
        raise refusal(answer.status, answer.headers, answer.content)
