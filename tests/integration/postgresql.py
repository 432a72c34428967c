"""A real PostgreSQL on loopback, as the database's image runs it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.ports import free_port

# Debian's place of the version that the image has; it is in nobody's PATH.
DEBIAN = "/usr/lib/postgresql/15/bin"


@contextmanager
def serving() -> Iterator[int]:
    """Run an empty one, which lets everybody in; yield its port."""
    if shutil.which("initdb", path=path()) is None:
        pytest.fail("this test needs postgresql-15 (Debian's name): install it", pytrace=False)
    # It refuses to run as root.
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    # pytest's own folders are root's alone.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    port = free_port()
    account = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    more = {"cwd": folder, "env": {**os.environ, "PATH": path(), "LC_ALL": "C.UTF-8"}, **account}
    try:
        subprocess.run(
            ["initdb", f"--pgdata={folder}/data", "--username=hub", "--auth=trust", "--encoding=UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            **more,
        )
        server = ["postgres", "-D", f"{folder}/data", "-p", str(port), "-c", f"unix_socket_directories={folder}"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(server, stdout=log, stderr=log, **more)
        try:
            _await(url(port))
            yield port
        finally:
            process.terminate()
            process.wait(120)
    finally:
        shutil.rmtree(folder)


def path() -> str:
    """Return where PostgreSQL's programs are looked for."""
    return f"{os.environ.get('PATH', '')}:{DEBIAN}"


def url(port: int) -> str:
    return f"postgresql://hub@127.0.0.1:{port}/postgres"


def _await(address: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.1)
        else:
            return
