"""Bodies of multipart/related with two parts, metadata and content, read as a stream (RFC 2046, section 5.1).

Google's Python client ends lines with a bare LF, and its server takes that, so both ends of lines are known here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import Message

from .errors import DriveError, bad_request

_HEAD_BYTES = 1 << 14


def boundary(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names; DriveError where it names none."""
    message = Message()
    message["Content-Type"] = content_type
    found = message.get_boundary()
    if message.get_content_maintype() != "multipart" or not found:
        raise bad_request("The Content-Type of a multipart upload names a boundary.")
    return found.encode("latin-1", "replace")


class Multipart:
    """The two parts: `open` reads the first one, then `chunks` gives the second one as it comes."""

    def __init__(self, content_type: str, source: AsyncIterator[bytes]) -> None:
        self._boundary = b"--" + boundary(content_type)
        self._source = source
        self._held = bytearray()
        self._end_of_line = b"\n"

    async def _more(self) -> None:
        try:
            self._held += await anext(self._source)
        except StopAsyncIteration:
            raise bad_request("Malformed multipart body: it ends too early.") from None

    async def _until(self, mark: bytes, limit: int) -> bytes:
        """Return what stands before a mark, and go behind it; DriveError where that is more than `limit` bytes."""
        seen = 0
        while (place := self._held.find(mark, max(0, seen - len(mark)))) < 0:
            seen = len(self._held)
            if seen > limit:
                raise DriveError(413, "uploadTooLarge", "The metadata is too large.")
            await self._more()
        found = bytes(self._held[:place])
        del self._held[: place + len(mark)]
        return found

    async def _headers(self) -> dict[str, str]:
        headers = {}
        while line := (await self._until(b"\n", _HEAD_BYTES)).rstrip(b"\r"):
            name, _colon, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    async def open(self, limit: int) -> tuple[bytes, str | None]:
        """Return the metadata, of at most `limit` bytes, and the content's type; DriveError for another body."""
        while (line := await self._until(b"\n", _HEAD_BYTES)).rstrip() != self._boundary:
            if line.strip():
                raise bad_request("Malformed multipart body: it begins with the boundary.")
        if line.endswith(b"\r"):
            self._end_of_line = b"\r\n"
        await self._headers()
        metadata = await self._until(self._end_of_line + self._boundary, limit)
        if (await self._until(b"\n", _HEAD_BYTES)).strip():
            raise bad_request("Malformed multipart body: it has two parts.")
        return metadata, (await self._headers()).get("content-type")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content; DriveError where it ends without the boundary, as it does when a connection is cut."""
        mark = self._end_of_line + self._boundary
        while (place := self._held.find(mark)) < 0:
            # The mark may have begun at the end of what is here.
            if sure := len(self._held) - len(mark) + 1 if len(self._held) >= len(mark) else 0:
                yield bytes(self._held[:sure])
                del self._held[:sure]
            await self._more()
        if place:
            yield bytes(self._held[:place])
        # What follows means nothing, and is read so that the connection can go on.
        async for _rest in self._source:
            pass
