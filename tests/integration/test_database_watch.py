"""A real SQLite and a real PostgreSQL, on file systems that are full or can only be read."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from coursehub_hub.database_watch import postgresql, sqlite
from coursehub_hub.database_watch.verdict import Kind, Problem, UnknownError

from tests.conftest import ROOT
from tests.integration import postgresql as server
from tests.integration.real_hub import Browser, RealHub
from tests.ports import free_port

# A machine without root has namespaces of its own for it.
UNSHARE = ["unshare", "--map-root-user", "--mount"]
SMALL = """
import sqlite3, subprocess, sys
from pathlib import Path
from coursehub_hub.database_watch import sqlite

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
file = folder / "hub.sqlite"
hub = sqlite3.connect(file, isolation_level=None)
hub.execute("CREATE TABLE users (name TEXT)")
before = file.read_bytes()

def tell(*also):
    problem = sqlite.write(file)
    print(problem.kind.name if problem else "well", *also)

def log_in():
    try:
        hub.execute("INSERT INTO users VALUES ('ann')")
    except sqlite3.Error:
        return "refused"
    return "in"

tell(file.read_bytes() == before)
with (folder / "filler").open("wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
tell(log_in())
(folder / "filler").unlink()
tell(log_in())
hub.close()
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
tell()
print(sorted(path.name for path in folder.iterdir()))
"""


def test_sqlite_on_a_disk_that_is_full_then_has_room_then_can_only_be_read(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "images/hub"), "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(
        [*UNSHARE, sys.executable, "-c", SMALL, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.splitlines() == [
        "well True",
        "FULL refused",
        "well in",
        "READ_ONLY",
        "['hub.sqlite']",
    ], said


def test_sqlite_that_somebody_writes_to_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "hub.sqlite"
    with pytest.raises(UnknownError):
        sqlite.write(file)
    assert not file.exists(), "the hub makes it"
    hub = sqlite3.connect(file, isolation_level=None)
    hub.execute("CREATE TABLE users (name TEXT)")
    hub.execute("BEGIN IMMEDIATE")
    hub.execute("INSERT INTO users VALUES ('ann')")
    with pytest.raises(UnknownError):
        sqlite.write(file)
    hub.execute("COMMIT")
    assert sqlite.write(file) is None
    assert hub.execute("SELECT name FROM sqlite_master").fetchall() == [("users",)]
    hub.close()


def test_a_hub_notices_nothing_of_it(tmp_path: Path) -> None:
    """A thousand times as often as it is: each login writes, and none waits so long that it fails.

    How often the watch comes through in that time is the machine's affair (17 times on a busy one), so
    it goes on until it has, and the logins with it.
    """
    ended = threading.Event()
    told: list[object] = []

    def watch(file: Path) -> None:
        while not ended.wait(0.01):
            with contextlib.suppress(UnknownError):
                told.append(sqlite.write(file))

    with RealHub(tmp_path).running() as real:
        thread = threading.Thread(target=watch, args=(tmp_path / "hub.sqlite",))
        thread.start()
        try:
            deadline = time.monotonic() + 60
            number = 0
            while number < 20 or (len(told) < 20 and time.monotonic() < deadline):
                Browser(real, f"student-{number}")
                number += 1
        finally:
            ended.set()
            thread.join(10)
        assert len(told) >= 20
        assert set(told) == {None}
        assert "OperationalError" not in real.said()


def fill(file: Path, step: int) -> None:
    """Write until there is no room."""
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(step))


# As the image's serve has it, but for the size of a disk: a mount of its own, which ends with the server.
SERVE = """
set -eu
mount -t tmpfs -o size=100m tmpfs "$1"
chown 65534 "$1"
as() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }
as initdb --pgdata="$1/15" --username=hub --auth=trust --no-sync > /dev/null
cd "$1/15"
exec setpriv --reuid=65534 --regid=65534 --clear-groups -- postgres -D "$1/15" -p "$2" -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories= -c shared_buffers=16MB -c fsync=off
"""


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run a server with a disk of 100 MB; return its address, and where its disk is seen from here."""
    port = free_port()
    path = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", SERVE, "sh", str(folder), str(port)],
            env={**os.environ, "PATH": path},
            stdout=log,
            stderr=log,
        )
        try:
            url = f"postgresql://hub@127.0.0.1:{port}/postgres"
            deadline = time.monotonic() + 120
            while True:
                try:
                    psycopg.connect(url, connect_timeout=2).close()
                    break
                except psycopg.OperationalError:
                    assert server.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.2)
            yield url, Path(f"/proc/{server.pid}/root{folder}")
        finally:
            server.terminate()
            server.wait(120)


def change(url: str, setting: str, value: str) -> None:
    """Set something for the whole server, and wait until it goes by that."""
    with psycopg.connect(url, autocommit=True) as one:
        one.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
        one.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 120
        while one.execute(f"SHOW {setting}").fetchone() != (value,):
            assert time.monotonic() < deadline, f"{setting} did not become {value}"
            time.sleep(0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives PostgreSQL a disk and a user of its own")
@pytest.mark.skipif(
    not (shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), reason="needs PostgreSQL"
)
def test_postgresql_that_is_full_then_has_room_then_can_only_be_read_then_is_away(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for folder in list(tmp_path.parents)[:3]:
        folder.chmod(folder.stat().st_mode | 0o011)
    with served(tmp_path) as (url, disk):
        for _time in range(3):
            assert postgresql.write(url) is None
        with psycopg.connect(url) as one:
            assert one.execute("SELECT count(*) FROM coursehub_write_probe").fetchone() == (1,)
        fill(disk / "filler", 1 << 16)
        fill(disk / "rest", 4096)
        full = postgresql.write(url)
        assert full is not None
        assert full.kind is Kind.FULL, full
        (disk / "filler").unlink()
        assert postgresql.write(url) is None
        change(url, "default_transaction_read_only", "on")
        only_read = postgresql.write(url)
        assert only_read is not None
        assert only_read.kind is Kind.READ_ONLY, only_read
    away = postgresql.write(url)
    assert away is not None
    assert away.kind is Kind.AWAY, away


def test_postgresql_whose_replica_does_not_acknowledge_is_noticed() -> None:
    """The commit waits for it, which no limit of the server's ends, and the watch would wait too, and say nothing."""
    told: list[Problem | None] = []
    with server.serving() as port:
        url = server.url(port)
        assert postgresql.write(url) is None
        change(url, "synchronous_standby_names", "replica")
        thread = threading.Thread(target=lambda: told.append(postgresql.write(url)), daemon=True)
        thread.start()
        thread.join(120)
    assert [problem and problem.kind for problem in told] == [Kind.AWAY], told
