"""A tiny write, by a connection of its own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg

from coursehub_hub.settings import PATIENCE

from .verdict import Kind, Problem

# The hub may be writing just now; it is not to wait for this one.
BUSY_S = 0.2
STATEMENT_TIMEOUT_S = 5
NAME = "coursehub-watch"
TABLE = "coursehub_write_probe"
# What the kernel says of a file system; not all databases have a code for each.
_FULL = ("no space left", "quota exceeded")
_READ_ONLY = ("read-only file system",)


class UnknownError(Exception):
    """Nothing can be said: somebody else writes just now, or there is no database yet."""


def sqlite(file: Path) -> Problem | None:
    """Try to write to a database in a file; return what is wrong.

    Begins a table, and takes it back. SQLite copies what it is about to change into a journal beside the file, at once:
    a disk that is full or can only be read refuses that. To commit would add nothing but a lock, for as long as the
    disk takes to acknowledge, for which the hub would wait with all that it does. Raises UnknownError.
    """
    if not file.exists():
        raise UnknownError
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"CREATE TABLE {TABLE} (number INTEGER)")
        finally:
            # Closing takes it back.
            connection.close()
    except sqlite3.Error as error:
        # The lower byte is the kind of error, the rest its detail: https://sqlite.org/rescode.html
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UnknownError from error
        kinds = {sqlite3.SQLITE_FULL: Kind.FULL, sqlite3.SQLITE_READONLY: Kind.READ_ONLY}
        return Problem(kinds.get(code, Kind.OTHER), str(error))
    return None


def postgresql(url: str) -> Problem | None:
    """Try to write to PostgreSQL; return what is wrong.

    One row goes into a table that was emptied: that is a new file, which needs room, where a row that is changed in its
    place needs none for days. It is committed, since that is what a replica that must acknowledge holds up.
    JupyterHub asks for its own tables alone, and does not mind one more.
    """
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={STATEMENT_TIMEOUT_S}s"
    try:
        with psycopg.connect(url, application_name=NAME, options=options, **PATIENCE) as connection:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (number integer)")
            connection.execute(f"TRUNCATE {TABLE}")
            connection.execute(f"INSERT INTO {TABLE} VALUES (1)")
    except psycopg.Error as error:
        return Problem(_kind(error), str(error) or type(error).__name__)
    return None


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
