"""The lock in PostgreSQL that makes a hub the only one."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import psycopg

from coursehub_hub.settings import APPLICATION

from . import fence

# Any number does that is the same for all hubs of a database: 63 bits of the SHA-256 of "coursehub hub".
LOCK = 0x68835B10DC470C5B
# Not the hub's own name: what has that is ended when another one takes over.
STANDBY = "coursehub-standby"
# The server takes a client for dead that acknowledges nothing for so long, and gives its lock free.
SERVER_PATIENCE_S = 9
# So long after it asked what was answered last, a hub ends: the server counts from when it answered, which was later.
OWN_PATIENCE_S = 6
BEAT_S = 1
CONNECT_TIMEOUT_S = 3


class LostError(Exception):
    """The lock is lost, or will be."""


class Lock:
    """One connection, which holds the lock as long as it lives."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def stand_by(self) -> None:
        """Have a connection, and let it live: who takes over needs none then, by a name that may not be answered.

        With the node of the hub that worked, pods of the cluster's DNS may be gone. Raises psycopg.Error where the
        database does not answer.
        """
        connection = await self._connect()
        await connection.execute("SELECT 1")

    def address(self) -> dict[str, str]:
        """Return the variable by which libpq goes where the lock is, whatever the name says; nothing without one.

        Where the database moves, the lock's connection ends, and this process with it. Of several hosts in an address
        libpq would want as many: those are left to it.
        """
        found = self._connection.info.hostaddr if self._connection is not None else ""
        several = "," in urlsplit(self._url).netloc
        return {"PGHOSTADDR": found} if found and not several else {}

    async def take(self) -> bool:
        """Try to take the lock; once it is taken, end what another hub may have left open in the database.

        Raises psycopg.Error where the database does not answer.
        """
        connection = await self._connect()
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
        row = await cursor.fetchone()
        if row is None or not row[0]:
            return False
        # A hub that was frozen and wakes up must not write any more.
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND usename = current_user AND datname = current_database()",
            (APPLICATION,),
        )
        return True

    async def beat(self) -> None:
        """Make sure that the lock is still held, and have the process end where the next answer does not come in time.

        Waits as long as the database is silent: a time limit would be none, since psycopg takes 10 s more to cancel
        what it asked. Raises LostError where the lock is not held any more.
        """
        if self._connection is None:
            raise LostError("it was given back")
        asked = time.monotonic()
        try:
            cursor = await self._connection.execute("SELECT pg_is_in_recovery()")
            row = await cursor.fetchone()
        except psycopg.Error as error:
            raise LostError(f"the connection that held the lock ended: {error}") from error
        # A primary that was replaced while its connections lived on: they can only read from then on.
        if row is not None and row[0]:
            raise LostError("the database has become a replica, which can't be written to")
        fence.end_at(asked + OWN_PATIENCE_S)

    async def close(self) -> None:
        """Give the lock back."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
            fence.off()

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name=STANDBY,
                # One that stands by has no timer, and would wait 15 minutes for a database whose node stopped.
                tcp_user_timeout=OWN_PATIENCE_S * 1000,
                # What the server does for this connection: three probes, two seconds apart, after three of silence. And
                # where the process is frozen, whose kernel still answers those, it ends a session that does not beat:
                # such a hub kept the lock for 88 s, until it woke up.
                options=(
                    "-c tcp_keepalives_idle=3 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
                    f" -c tcp_user_timeout={SERVER_PATIENCE_S}s -c idle_session_timeout={SERVER_PATIENCE_S}s"
                ),
            )
        return self._connection
