"""A tiny write to a database in a file, by a connection of its own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from .verdict import Kind, Problem, UnknownError

# The hub may be writing just now; it is not to wait for this one.
BUSY_S = 0.2


def write(file: Path) -> Problem | None:
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
            connection.execute("CREATE TABLE coursehub_write_probe (number INTEGER)")
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
