"""The benchmark's client: many connections, each of which asks again as soon as it is answered.

``python bench/proxy_load.py KIND SERVERS CONNECTIONS SECONDS PORT [PORT …]`` with the kind ``requests`` or
``websocket``; prints a JSON object. The connections go to so many servers, and to the ports, in turn.
On loopback alone.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

if __package__:
    from .echo import MASK_BYTES, MASKED, TEXT_FRAME, masked
else:
    from echo import MASK_BYTES, MASKED, TEXT_FRAME, masked  # type: ignore[import-not-found,no-redef]

MESSAGE = b"m" * 120
CONNECT_S = 30


@dataclass
class Seen:
    """What the connections saw: answers a second, their times in milliseconds, and connections that failed."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


class Connection(asyncio.Protocol):
    """One connection: an HTTP request after the other, or one message after the other."""

    def __init__(self, port: int, path: str, websocket: bool, times: list[float]) -> None:
        more = ""
        if websocket:
            more = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            more += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        self._hello = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n".encode()
        mask = os.urandom(MASK_BYTES)
        self._message = bytes((TEXT_FRAME, MASKED | len(MESSAGE))) + mask + masked(MESSAGE, mask)
        self._websocket, self._times = websocket, times
        self._open = False
        self._buffer = b""
        self.failed = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.working = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP client's
        self._transport = transport
        self._ask(self._hello)

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed = self.failed or self.working
        if not self.ready.done():
            self.failed = True
            self.ready.set_result(None)

    def begin(self) -> None:
        """Ask from now on."""
        self.working = True
        self._ask(self._message if self._websocket else self._hello)

    def end(self) -> None:
        self.working = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        size = self._complete()
        if size is None:
            return
        self._buffer = self._buffer[size:]
        if not self.ready.done():
            self.ready.set_result(None)
        elif self.working:
            self._times.append(time.perf_counter() - self._asked)
            self._ask(self._message if self._websocket else self._hello)

    def _ask(self, content: bytes) -> None:
        self._asked = time.perf_counter()
        self._transport.write(content)

    def _complete(self) -> int | None:
        """Return the size of the answer that is at the buffer's beginning, None where it is not whole yet."""
        if self._open:
            size = 2 + len(MESSAGE)
            return size if len(self._buffer) >= size else None
        head, end, _rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        status = head.split(b" ", 2)[1]
        if status != (b"101" if self._websocket else b"200"):
            self.failed = True
            self._transport.abort()
            return None
        self._open = self._websocket
        length = 0
        for line in head.split(b"\r\n"):
            name, _colon, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        size = len(head) + len(end) + length
        return size if len(self._buffer) >= size else None


def path_of(number: int) -> str:
    """Return the path of a student's server."""
    return f"/user/bench-{number:03}/"


async def load(kind: str, servers: int, connections: int, seconds: float, ports: Sequence[int]) -> Seen:
    """Open all connections, let them ask for so many seconds, and return what they saw."""
    times: list[float] = []
    loop = asyncio.get_running_loop()
    every: list[Connection] = []
    for number in range(connections):
        port, path = ports[number % len(ports)], path_of(number % servers)
        one = Connection(port, path, kind == "websocket", times)
        await loop.create_connection(functools.partial(_same, one), "127.0.0.1", port)
        every.append(one)
    async with asyncio.timeout(CONNECT_S):
        await asyncio.gather(*(one.ready for one in every))
    begun = time.perf_counter()
    for one in every:
        if not one.failed:
            one.begin()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - begun
    # What comes from here on does not count.
    counted = sorted(times)
    for one in every:
        one.end()
    if not counted:
        return Seen(0.0, 0.0, 0.0, connections)
    return Seen(
        per_second=round(len(counted) / took, 1),
        p50_ms=round(counted[len(counted) // 2] * 1000, 2),
        p99_ms=round(counted[len(counted) * 99 // 100] * 1000, 2),
        failed=sum(one.failed for one in every),
    )


def _same(one: Connection) -> Connection:
    return one


if __name__ == "__main__":
    kind_, servers_, connections_, seconds_, *ports_ = sys.argv[1:]
    seen = asyncio.run(load(kind_, int(servers_), int(connections_), float(seconds_), [int(port) for port in ports_]))
    print(json.dumps(asdict(seen)))
