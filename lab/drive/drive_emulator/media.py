"""Content over HTTP: the three kinds of uploads, and downloads with ranges.

https://developers.google.com/workspace/drive/api/guides/manage-uploads and .../manage-downloads
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from . import drafts, wire
from .accounts import Caller
from .contents import Writer
from .discovery import Call, Discovery
from .errors import DriveError, bad_request, forbidden
from .faults import Plan
from .limits import check_size
from .methods import METHODS
from .multipart import Multipart
from .service import Request, Service
from .uploads import Session, parse_chunk

CHUNK_METHOD = "media.chunk"
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


class Media:
    """Uploads and downloads of one service."""

    def __init__(self, service: Service, discovery: Discovery) -> None:
        self.service = service
        self.discovery = discovery

    async def upload(self, http: web.Request, caller: Caller, call: Call, plan: Plan) -> web.Response:
        """Take an upload in one request, or begin one that is resumable."""
        kind = call.parameters.get("uploadType") or "media"
        if kind == "resumable":
            return await self._begin(http, caller, call)
        if kind == "media":
            body: dict[str, Any] = {}
            content_type, chunks = http.headers.get("Content-Type"), wire.body_chunks(http)
        elif kind == "multipart":
            parts = Multipart(http.headers.get("Content-Type", ""), wire.body_chunks(http))
            metadata, content_type = await parts.open(wire.JSON_BYTES)
            body, chunks = wire.parse_json(metadata), parts.chunks()
        else:
            raise bad_request(f"Invalid upload type: {kind}", "uploadType")
        self.discovery.check_body(call.method.request, body)
        # Refused before the content is read where it would be refused anyway.
        self._check(call, Request(caller, call.parameters, body, content_type=content_type), 0)
        writer = self.service.contents.writer()
        try:
            await self._receive(writer, chunks, caller, plan)
        except BaseException:
            writer.abandon()
            raise
        return wire.answer(self._commit(call, caller, body, content_type, writer))

    def _check(self, call: Call, request: Request, size: int) -> None:
        """Refuse what will not be taken; nothing is changed."""
        if call.method.id == "drive.files.create":
            drafts.new_file(self.service, request, size)
        else:
            drafts.changed_file(self.service, request, size)

    async def _receive(
        self, writer: Writer, chunks: AsyncIterator[bytes], caller: Caller, plan: Plan, skip: int = 0
    ) -> None:
        """Write content but for its first bytes, which are there already; Cut where a fault wants it."""
        received = 0
        async for chunk in chunks:
            if plan.cut_after_bytes is not None and received + len(chunk) > plan.cut_after_bytes:
                self._take(writer, chunk[: plan.cut_after_bytes - received], received, skip, caller)
                raise wire.Cut
            self._take(writer, chunk, received, skip, caller)
            received += len(chunk)

    def _take(self, writer: Writer, chunk: bytes, received: int, skip: int, caller: Caller) -> None:
        self.service.counters.uploaded[caller.user] += len(chunk)
        writer.write(chunk[max(0, skip - received) :])
        check_size(self.service.limits, writer.received)

    def _commit(
        self, call: Call, caller: Caller, body: dict[str, Any], content_type: str | None, writer: Writer
    ) -> dict[str, Any]:
        content = writer.finish()
        try:
            answer = METHODS[call.method.id](
                self.service, Request(caller, call.parameters, body, content, content_type)
            )
        except BaseException:
            self.service.contents.delete(content.key)
            raise
        return answer or {}

    async def _begin(self, http: web.Request, caller: Caller, call: Call) -> web.Response:
        body = await wire.read_json(http)
        self.discovery.check_body(call.method.request, body)
        total = wire.content_length(http, "X-Upload-Content-Length")
        content_type = http.headers.get("X-Upload-Content-Type")
        self._check(call, Request(caller, call.parameters, body, content_type=content_type), total or 0)
        session = self.service.sessions.open(
            caller,
            call,
            body,
            mime_type=content_type,
            total=total,
            lifetime_s=self.service.limits.upload_session_s,
            writer=self.service.contents.writer(),
        )
        where = f"{http.scheme}://{http.host}{http.rel_url.raw_path}?uploadType=resumable&upload_id={session.id}"
        return web.Response(status=200, headers={"Location": where, "X-GUploader-UploadID": session.id})

    async def chunk(self, http: web.Request, session: Session, plan: Plan) -> web.Response:
        """Take a chunk of a resumable upload, or tell how far it is; whole blocks stay when the connection is lost."""
        chunk = parse_chunk(http.headers.get("Content-Range"), wire.content_length(http))
        if session.answer is not None:
            return wire.answer(session.answer)
        if not chunk.asks:
            turn = session.begin()
            skip = session.check(chunk)
            await self._receive(session.writer, _in_turn(session, turn, http), session.caller, plan, skip)
        if not session.complete(chunk):
            return web.Response(status=308, headers=session.headers())
        try:
            answer = self._commit(session.call, session.caller, session.metadata, session.mime_type, session.writer)
        except BaseException:
            self.service.sessions.expire(session.id)
            raise
        self.service.sessions.done(session, answer)
        return wire.answer(answer)

    async def download(self, http: web.Request, caller: Caller, call: Call, plan: Plan) -> web.StreamResponse:
        """Send a file's content, or the range of it that is asked for."""
        # Content comes without supportsAllDrives, too: rclone downloads from shared drives and never sends it.
        access = Request(caller, call.parameters).access(self.service)
        file = access.find(call.parameters["fileId"], all_drives=True)
        if file.content is None:
            raise forbidden(
                "fileNotDownloadable",
                "Only files with binary content can be downloaded. Use Export with Docs Editors files.",
            )
        size = file.content.size
        start, end = parse_range(http.headers.get("Range"), size)
        partial = http.headers.get("Range") is not None and (start, end) != (0, size)
        headers = {"Content-Type": file.mime_type, "Content-Length": str(end - start), "Accept-Ranges": "bytes"}
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        response = web.StreamResponse(status=206 if partial else 200, headers=headers)
        await response.prepare(http)
        left = plan.cut_after_bytes
        for data in self.service.contents.read(file.content, start, end):
            if left is not None and len(data) > left:
                await response.write(data[:left])
                raise wire.Cut
            await response.write(data)
            self.service.counters.downloaded[caller.user] += len(data)
            left = None if left is None else left - len(data)
        await response.write_eof()
        return response


async def _in_turn(session: Session, turn: int, http: web.Request) -> AsyncIterator[bytes]:
    """Yield a request's body for as long as no later request has taken over the upload."""
    async for data in wire.body_chunks(http):
        if session.turn != turn:
            raise DriveError(503, "backendError", "A later request goes on with this upload.")
        yield data


def parse_range(text: str | None, size: int) -> tuple[int, int]:
    """Return the first byte that a Range header asks for and the one after the last; DriveError where there is none.

    A header that is not understood asks for everything, as RFC 9110 has it.
    """
    match = _RANGE.fullmatch(text.strip()) if text is not None else None
    if match is None or match[0] == "bytes=-":
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size or start >= end:
        raise DriveError(
            416,
            "requestedRangeNotSatisfiable",
            "Request range not satisfiable",
            location="Range",
            location_type="header",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end
