"""Resumable uploads: sessions, and what a Content-Range means to one.

https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .accounts import Caller
from .contents import BLOCK, Writer
from .discovery import Call
from .errors import DriveError, bad_request

# Uploads that are done and whose answer can be asked for again; the oldest are forgotten first.
_DONE = 10_000
_RANGE = re.compile(r"bytes (?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)", re.ASCII)


@dataclass(frozen=True)
class Chunk:
    """What a request brings: bytes from `start` on, `size` of them, None for an unknown number, of `total` in all.

    One that `asks` brings nothing, and wants to know how far the upload is.
    """

    start: int
    size: int | None
    total: int | None
    asks: bool = False


def parse_chunk(content_range: str | None, length: int | None) -> Chunk:
    """Return the chunk that a request brings.

    `length` is the request's Content-Length. DriveError where the range is none, or is not as long as the content.
    """
    if content_range is None:
        return Chunk(0, length, length)
    match = _RANGE.fullmatch(content_range.strip())
    if match is None:
        raise bad_request(f"Failed to parse Content-Range header: {content_range[:80]}")
    first, last, all_of_it = match.groups()
    total = None if all_of_it == "*" else int(all_of_it)
    if first is None:
        if length:
            raise bad_request("A question for an upload's status brings no content.")
        return Chunk(0, 0, total, asks=True)
    start, size = int(first), int(last) - int(first) + 1
    if size <= 0 or (total is not None and int(last) >= total) or (length is not None and length != size):
        raise bad_request(f"The Content-Range {content_range[:80]} does not fit the content.")
    return Chunk(start, size, total)


@dataclass
class Session:
    """An upload that goes on over several requests. `until` is in seconds since 1970."""

    id: str
    caller: Caller
    call: Call
    metadata: dict[str, Any]
    mime_type: str | None
    total: int | None
    until: float
    writer: Writer
    answer: dict[str, Any] | None = None
    turn: int = 0

    def begin(self) -> int:
        """Let a new request bring the next bytes, and return its number. One that still brings some has lost its turn.

        A client that has lost its connection comes back before the emulator has seen that the old one is dead.
        """
        self.writer.interrupt()
        self.turn += 1
        return self.turn

    def check(self, chunk: Chunk) -> int:
        """Return how many bytes at the chunk's beginning are there already; DriveError for a chunk that can't be taken.

        All chunks but the last one are multiples of 256 KiB.
        """
        if chunk.total is not None and self.total is not None and chunk.total != self.total:
            raise bad_request(f"The upload has {self.total} bytes, and not {chunk.total}.")
        kept = self.writer.kept
        if chunk.asks:
            return 0
        if chunk.start > kept:
            raise bad_request(f"The chunk begins at {chunk.start}, and {kept} bytes are there.")
        total = chunk.total if chunk.total is not None else self.total
        if chunk.size is None:
            return kept - chunk.start
        end = chunk.start + chunk.size
        if total is not None and end > total:
            raise bad_request(f"The upload has {total} bytes, and the chunk ends at {end}.")
        if end != total and chunk.size % BLOCK:
            raise bad_request(f"A chunk that is not the last one is a multiple of {BLOCK} bytes, and not {chunk.size}.")
        return kept - chunk.start

    def complete(self, chunk: Chunk) -> bool:
        """Tell whether all is there after a chunk; one that is sent as a whole ends the upload itself."""
        if self.total is None:
            self.total = chunk.total if chunk.size is not None or chunk.total is not None else self.writer.received
        return self.writer.received == self.total and not (chunk.asks and chunk.total is None)

    def headers(self) -> dict[str, str]:
        """Return the header that says how far the upload is; nothing where nothing is kept."""
        return {"Range": f"bytes=0-{self.writer.kept - 1}"} if self.writer.kept else {}


class Sessions:
    """All sessions that have not expired."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # In the order in which they began.
        self._sessions: dict[str, Session] = {}
        self._done: deque[str] = deque()

    def open(
        self,
        caller: Caller,
        call: Call,
        metadata: dict[str, Any],
        *,
        mime_type: str | None,
        total: int | None,
        lifetime_s: float,
        writer: Writer,
    ) -> Session:
        """Begin an upload."""
        self._sweep()
        until = self._clock() + lifetime_s
        session = Session(secrets.token_urlsafe(48), caller, call, metadata, mime_type, total, until, writer)
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str) -> Session:
        """Return a session; DriveError 404 where it is unknown or has expired: the upload begins anew."""
        self._sweep()
        session = self._sessions.get(session_id)
        if session is None or session.until <= self._clock():
            raise DriveError(404, "notFound", "The upload session is not there: begin the upload anew.")
        return session

    def done(self, session: Session, answer: dict[str, Any]) -> None:
        """Keep the answer of an upload that is done."""
        session.answer = answer
        self._done.append(session.id)
        while len(self._done) > _DONE:
            self.expire(self._done.popleft())

    def expire(self, session_id: str) -> None:
        """Forget a session and what it holds."""
        session = self._sessions.pop(session_id, None)
        if session is not None and session.answer is None:
            session.writer.abandon()

    def expire_all(self) -> int:
        """Forget all sessions, and tell how many there were."""
        count = len(self._sessions)
        for session_id in list(self._sessions):
            self.expire(session_id)
        return count

    def _sweep(self) -> None:
        while self._sessions and next(iter(self._sessions.values())).until <= self._clock():
            self.expire(next(iter(self._sessions)))
