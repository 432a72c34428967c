"""A tiny write to PostgreSQL, by a connection of its own."""

from __future__ import annotations

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
