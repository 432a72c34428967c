"""An HTTP proxy that knows only CONNECT, and leads all of Google's names to one port of the emulator.

For clients that have no option for Drive's address: they are sent here by HTTPS_PROXY.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from fnmatch import fnmatchcase

from .certificates import HOSTS

LOG = logging.getLogger("drive_emulator")
_CHUNK = 1 << 16
_HEAD_S = 10


class Tunnel:
    """Leads connections to `port` on loopback, where TLS is served with a certificate for those names."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def serve(self, address: str, port: int) -> asyncio.Server:
        """Begin to listen; OSError where that can't be."""
        return await asyncio.start_server(self._handle, address, port)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection that ends in the middle is no error here: both sides see it.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            target = await asyncio.wait_for(_target(reader), _HEAD_S)
            if target is None or not allowed(target):
                LOG.warning("the proxy refuses %s", target or "what is not CONNECT")
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            else:
                await self._lead(reader, writer)
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = [asyncio.create_task(_pipe(reader, inner_writer)), asyncio.create_task(_pipe(inner_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            inner_writer.close()


async def _target(reader: asyncio.StreamReader) -> str | None:
    """Return the host and port that a CONNECT names, or None for another request."""
    head = await reader.readuntil(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return words[1] if len(words) == 3 and words[0] == "CONNECT" else None


def allowed(target: str) -> bool:
    """Tell whether the proxy leads to a target: one of Google's names, and the port of HTTPS."""
    host, _colon, port = target.rpartition(":")
    return port == "443" and any(fnmatchcase(host.lower(), pattern) for pattern in HOSTS)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
