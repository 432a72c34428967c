"""Whether this hub knows the schema of the database that it finds."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import jupyterhub
import psycopg
from alembic.script import ScriptDirectory
from jupyterhub import dbutil

FILE = Path("/srv/hub/jupyterhub.sqlite")
# Kubernetes shows in the pod's status what a container leaves here.
TERMINATION_LOG = Path("/dev/termination-log")
CONNECT_TIMEOUT_S = 5
REVISION = "SELECT version_num FROM alembic_version"
# The playbook upgrade knows by these words why the hub of before does not start.
NEWER = "the hub's database has a newer schema"


def check(url: str) -> None:
    """End the process, and leave the reason in the pod's status, where a newer hub has upgraded the database.

    JupyterHub ends then too, with a trace of alembic's that nobody finds. ``url`` is the address of a PostgreSQL
    database, empty for the file. One that does not answer, or is empty, is left to the hub.
    """
    found = _in_postgresql(url) if url else _in_file()
    if found is None or found in _known():
        return
    message = f"{NEWER}, {found}, which JupyterHub {jupyterhub.__version__} does not know"
    with suppress(OSError):
        TERMINATION_LOG.write_text(message, encoding="utf-8")
    raise SystemExit(message)


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory(dbutil.ALEMBIC_DIR).walk_revisions()}


def _in_file() -> str | None:
    if not FILE.exists():
        return None
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(FILE)) as database:
        row = database.execute(REVISION).fetchone()
        return str(row[0]) if row else None
    return None


def _in_postgresql(url: str) -> str | None:
    with suppress(psycopg.Error), psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as database:
        row = database.execute(REVISION).fetchone()
        return str(row[0]) if row else None
    return None
