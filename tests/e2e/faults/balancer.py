"""What a cloud's load balancer does, on loopback: sends connections to nodes that answer, and tries each every second.

A connection is bytes to it, and one that is open stays where it is. Each node has a port for it where Kubernetes says
whether a proxy on that node takes new connections.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

CHECK_S = 1
CHECK_TIMEOUT_S = 1
CONNECT_TIMEOUT_S = 2
# As clouds have it: one lost answer is no reason.
MISSES = 2


class Balancer:
    """Listens on a port of loopback."""

    def __init__(self, listen: int, nodes: Sequence[str], port: int, health_port: int) -> None:
        self._listen = listen
        # None is known to answer before it has.
        self._misses = dict.fromkeys(nodes, MISSES)
        self._port, self._health_port = port, health_port
        self._turn = itertools.count()
        # What became of connections that led nowhere.
        self.refused: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._ended = asyncio.Event()

    def start(self) -> Balancer:
        """Begin, and wait until a node answers."""
        self._thread.start()
        assert self._listening.wait(10)
        deadline = time.monotonic() + 10
        while not self._well():
            assert time.monotonic() < deadline, f"none of {list(self._misses)} answers"
            time.sleep(0.1)
        # Each has been asked once by then.
        time.sleep(CHECK_TIMEOUT_S)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    async def _run(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self._listen)
        checks = [asyncio.ensure_future(self._check(node)) for node in self._misses]
        self._listening.set()
        await self._ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    async def _check(self, node: str) -> None:
        while True:
            try:
                async with asyncio.timeout(CHECK_TIMEOUT_S):
                    reader, writer = await asyncio.open_connection(node, self._health_port)
                    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
                    well = b" 200 " in await reader.readline()
                    writer.close()
            except OSError:
                well = False
            self._misses[node] = 0 if well else self._misses[node] + 1
            await asyncio.sleep(CHECK_S)

    def _well(self) -> list[str]:
        return [node for node, misses in self._misses.items() if misses < MISSES]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        well = self._well()
        if not well:
            self.refused["no node is well"] += 1
            writer.close()
            return
        node = well[next(self._turn) % len(well)]
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                there, back = await asyncio.open_connection(node, self._port)
        except OSError as error:
            self.refused[f"{node}: {type(error).__name__} {error}"] += 1
            writer.close()
            return
        await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(65536):
            target.write(chunk)
            await target.drain()
    with suppress(OSError, RuntimeError):
        target.close()
