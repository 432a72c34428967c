"""What stands behind the proxies in the benchmark: answers requests with 1 KiB, and sends websocket messages back.

``python bench/echo.py STATUS PORT [PORT …]``, on loopback: each port is a server. Not more than what the
benchmark's own client sends is understood.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys

BODY = b"x" * 1024
ANSWER = b"HTTP/1.1 %d Status\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"
# RFC 6455, 1.3.
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT_FRAME = 0x81
MASKED = 0x80
MASK_BYTES = 4


def accept(key: bytes) -> bytes:
    """Return the answer to a websocket's key."""
    return base64.b64encode(hashlib.sha1(key + MAGIC).digest())  # noqa: S324 - the protocol has it so


def masked(payload: bytes, mask: bytes) -> bytes:
    """Return a payload under a mask, or one that was under it without."""
    whole = (mask * (len(payload) // MASK_BYTES + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(payload), "big")


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self, status: int) -> None:
        self._answer = ANSWER % (status, len(BODY), BODY)
        self._buffer = b""
        self._websocket = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server's
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._frame() if self._websocket else self._request():
            pass

    def _request(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        self._buffer = rest
        lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
        headers = {name.lower(): value.strip() for name, _colon, value in lines}
        key = headers.get(b"sec-websocket-key")
        if key is None:
            self._transport.write(self._answer)
        else:
            self._websocket = True
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept(key)
            )
        return True

    def _frame(self) -> bool:
        """Send one short masked frame back. Any other ends the connection."""
        if len(self._buffer) < 2:
            return False
        length = self._buffer[1] & ~MASKED
        end = 2 + MASK_BYTES + length
        if self._buffer[0] != TEXT_FRAME or length > 125:
            self._transport.close()
            return False
        if len(self._buffer) < end:
            return False
        payload = masked(self._buffer[2 + MASK_BYTES : end], self._buffer[2 : 2 + MASK_BYTES])
        self._buffer = self._buffer[end:]
        self._transport.write(bytes((TEXT_FRAME, length)) + payload)
        return True


async def serve(status: int, *ports: int) -> None:
    """Serve until the process ends."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: Echo(status), "127.0.0.1", port, backlog=2048) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:])))
