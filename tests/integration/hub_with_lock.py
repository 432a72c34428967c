"""A hub as far as the election goes: ``python hub_with_lock.py <database's url> <file>``. Its cluster is always well.

While it works it writes a letter after the other into the file. Told ``hang`` on its standard input, its main thread
keeps Python's lock for longer than any test waits.
"""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path

import psycopg
from coursehub_hub.standby import database, election, lease
from coursehub_hub.standby.guard import Guard


class Cluster:
    """A Lease that is there, and nothing else."""

    def __init__(self) -> None:
        self._lease: lease.Object | None = None
        self._version = 0

    async def read(self) -> lease.Object | None:
        return self._lease

    async def write(self, body: lease.Object) -> None:
        self._version += 1
        self._lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._version)}}

    async def show(self, *, active: bool) -> None:
        pass


def work(file: Path) -> None:
    with file.open("ab", buffering=0) as sign:
        while True:
            sign.write(b"w")


def main() -> None:
    def take_part() -> election.Election:
        lock = database.Lock(sys.argv[1])
        return election.Election(Cluster(), lock, "a", "coursehub", (psycopg.Error, OSError))

    guard = Guard(take_part)
    guard.start()
    guard.won.wait()
    threading.Thread(target=work, args=(Path(sys.argv[2]),), daemon=True).start()
    if "hang" in sys.stdin.readline():
        re.match(r"(a+)+b", "a" * 64)
    guard.stop()


main()
