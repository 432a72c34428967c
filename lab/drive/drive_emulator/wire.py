"""Requests and answers on the wire: bodies read with a bound, JSON written, connections cut."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web

from .errors import DriveError, bad_request

# Metadata is small: 124 bytes a property, and a name.
JSON_BYTES = 1 << 20
_CHUNK = 1 << 16
# What reading raises when the client is gone.
GONE = (ConnectionError, web.RequestPayloadError, aiohttp.ClientPayloadError)


class Cut(Exception):  # noqa: N818
    """The connection ends here, by command."""


async def read_json(request: web.Request) -> dict[str, Any]:
    """Return a request's JSON object, an empty one where there is no body; DriveError where it is none."""
    data = b""
    async for chunk in request.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > JSON_BYTES:
            raise DriveError(413, "uploadTooLarge", "The request is too large.")
    return parse_json(data)


def parse_json(data: bytes) -> dict[str, Any]:
    """Return the JSON object in some bytes; DriveError where there is none."""
    if not data.strip():
        return {}
    try:
        value = json.loads(data, parse_constant=_no_constant)
        # A lone surrogate is no text, and could not be written again.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise DriveError(400, "parseError", "Parse Error") from None
    if not isinstance(value, dict):
        raise bad_request("The body is an object.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return an answer with JSON, or without where there is nothing to say."""
    if value is None:
        return web.Response(status=204, headers=headers)
    return web.json_response(value, status=status, headers=headers)


def content_length(request: web.Request, header: str = "Content-Length") -> int | None:
    """Return a length that a header gives in bytes, or None; DriveError where it gives none."""
    text = request.headers.get(header)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise bad_request(f"{header} is a number of bytes.")
    return int(text)


async def body_chunks(request: web.Request) -> AsyncIterator[bytes]:
    """Yield a request's body as it comes."""
    async for chunk in request.content.iter_chunked(_CHUNK):
        yield chunk
