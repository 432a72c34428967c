"""A tiny write to PostgreSQL, by a connection of its own."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psycopg

from coursehub_hub.settings import PATIENCE

from .verdict import Kind, Problem

STATEMENT_TIMEOUT_S = 5
NAME = "coursehub-watch"
# What the kernel says of a file system; PostgreSQL has no code for each.
_FULL = ("no space left", "quota exceeded")
_READ_ONLY = ("read-only file system",)


def write(url: str) -> Problem | None:
    """Try to write to PostgreSQL; return what is wrong.

    One row goes into a table that was emptied: that is a new file, which needs room, where a row that is changed in its
    place needs none for days. It is committed, since that is what a replica that must acknowledge holds up.
    JupyterHub asks for its own tables alone, and does not mind one more.
    """
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={STATEMENT_TIMEOUT_S}s"
    try:
        with psycopg.connect(url, application_name=NAME, options=options, **PATIENCE) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS coursehub_write_probe (number integer)")
            connection.execute("TRUNCATE coursehub_write_probe")
            connection.execute("INSERT INTO coursehub_write_probe VALUES (1)")
            if not _commit(connection):
                return Problem(Kind.AWAY, f"a write was not acknowledged within {STATEMENT_TIMEOUT_S} s")
    except psycopg.Error as error:
        return Problem(_kind(error), str(error) or type(error).__name__)
    return None


def _commit(connection: psycopg.Connection) -> bool:
    """Tell whether a commit was acknowledged in time.

    The server's own limit ends before that: with a replica that must acknowledge and does not, a commit waits for ever.
    One that is cancelled is done all the same, and says so in a notice alone.
    """
    late = threading.Timer(STATEMENT_TIMEOUT_S, _cancel, (connection,))
    late.daemon = True
    begun = time.monotonic()
    late.start()
    try:
        connection.commit()
    finally:
        late.cancel()
    return time.monotonic() - begun < STATEMENT_TIMEOUT_S


def _cancel(connection: psycopg.Connection) -> None:
    # Of a server that is gone the connection's own patience tells.
    with suppress(psycopg.Error):
        connection.cancel_safe(timeout=STATEMENT_TIMEOUT_S)


def _kind(error: psycopg.Error) -> Kind:
    said = str(error).lower()
    if error.sqlstate == "53100" or any(words in said for words in _FULL):
        return Kind.FULL
    if error.sqlstate == "25006" or any(words in said for words in _READ_ONLY):
        return Kind.READ_ONLY
    # Those of class 57 are of one that ends or begins.
    if isinstance(error, psycopg.OperationalError) and (error.sqlstate is None or error.sqlstate.startswith("57P")):
        return Kind.AWAY
    return Kind.OTHER
