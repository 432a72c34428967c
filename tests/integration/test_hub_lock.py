"""A hub that lost its lock ends before another one can have it: by a real PostgreSQL and processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from coursehub_hub.settings import APPLICATION
from coursehub_hub.standby import database

from tests.conftest import ROOT
from tests.e2e.faults import hubs
from tests.integration import postgresql
from tests.integration.forwarder import Forwarder

# Longer than all that the database and the hub wait for, on any machine.
LONG_S = 180


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with postgresql.serving() as port:
        yield port


class Hub:
    """A hub's process that works, behind a way to the database that may stop passing anything."""

    def __init__(self, process: subprocess.Popen[str], way: Forwarder, sign: Path) -> None:
        self.process = process
        self.way = way
        self.sign = sign

    def silence_the_database(self) -> None:
        self.way.passing.clear()

    def hang(self) -> None:
        assert self.process.stdin is not None
        print("hang", file=self.process.stdin, flush=True)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)


@contextmanager
def at_work(port: int, folder: Path) -> Iterator[Hub]:
    sign = folder / "works"
    with Forwarder(port).running() as way:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/integration/hub_with_lock.py"), postgresql.url(way.port), str(sign)],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'images/hub'}:{os.environ.get('PYTHONPATH', '')}"},
            stdin=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: sign.exists() and sign.stat().st_size > 0 and process.poll() is None)
            yield Hub(process, way, sign)
        finally:
            process.kill()
            process.wait()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, f"not in {LONG_S} s"
        time.sleep(0.01)


@contextmanager
def standing_by(port: int) -> Iterator[Callable[[], bool]]:
    """Yield what tells whether the lock can be had, by a session that has nothing else to do."""
    with psycopg.connect(postgresql.url(port), autocommit=True) as connection:

        def takes() -> bool:
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (database.LOCK,)).fetchone()
            return bool(row and row[0])

        yield takes


def test_the_cluster_tests_see_who_has_the_lock_and_who_works(port: int, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": postgresql.path(), "PGPORT": str(port), "PASSWORD": "any"}
    with subprocess.Popen(hubs.COMMAND, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        looks = (one for line in program.stdout if (one := hubs.look(line, 0.0)) is not None)
        nobody: frozenset[str] = frozenset()
        here = frozenset({"127.0.0.1"})
        assert next((each.holders, each.sessions) for each in looks) == (nobody, nobody)
        with at_work(port, tmp_path), psycopg.connect(postgresql.url(port), application_name=APPLICATION):
            assert next(each for each in looks if each.holders and each.sessions) == hubs.Look(0.0, here, here)
        assert next(each for each in looks if not each.holders and not each.sessions)
        program.terminate()


def test_a_hub_goes_where_its_lock_is_though_no_name_is_answered(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def address() -> dict[str, str]:
        lock = database.Lock(postgresql.url(port).replace("127.0.0.1", "localhost"))
        assert lock.address() == {}
        await lock.stand_by()
        found = lock.address()
        await lock.close()
        return found

    unknown = postgresql.url(port).replace("127.0.0.1", "hub-postgresql.invalid")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(unknown)
    for name, value in asyncio.run(address()).items():
        monkeypatch.setenv(name, value)
    # As the hub has it, and as the watch over its database.
    engine = sqlalchemy.create_engine(unknown.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
    engine.dispose()
    psycopg.connect(unknown).close()


def test_of_several_hosts_none_is_chosen_for_libpq(port: int) -> None:
    async def address() -> dict[str, str]:
        several = postgresql.url(port).replace(f"127.0.0.1:{port}", f"127.0.0.1:{port},127.0.0.1:{port}")
        lock = database.Lock(several)
        await lock.stand_by()
        found = lock.address()
        await lock.close()
        return found

    assert asyncio.run(address()) == {}


@pytest.mark.parametrize("fault", [Hub.silence_the_database, Hub.hang])
def test_it_has_ended_before_another_one_can_work(port: int, tmp_path: Path, fault: Callable[[Hub], None]) -> None:
    with at_work(port, tmp_path) as hub, standing_by(port) as takes:
        assert not takes()
        fault(hub)
        until(takes)
        # Which signal ends a process is settled when the first one is sent, however long a busy machine takes to end
        # it: had the timer not been first, it would be this one.
        hub.process.kill()
        assert hub.process.wait(LONG_S) == -signal.SIGALRM


def test_one_that_was_frozen_does_nothing_when_it_wakes_up(port: int, tmp_path: Path) -> None:
    with at_work(port, tmp_path) as hub, standing_by(port) as takes:
        hub.freeze()
        until(takes)
        before = hub.sign.stat().st_size
        hub.process.send_signal(signal.SIGCONT)
        assert hub.process.wait(LONG_S) == -signal.SIGALRM
        # Whatever it had begun before it was frozen.
        assert hub.sign.stat().st_size - before <= 1


def test_one_whose_session_was_ended_ends(port: int, tmp_path: Path) -> None:
    with at_work(port, tmp_path) as hub, psycopg.connect(postgresql.url(port), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", (database.STANDBY,)
        )
        assert hub.process.wait(LONG_S) == 1


def test_one_that_works_lives_on_and_gives_it_back_when_told_to(port: int, tmp_path: Path) -> None:
    with at_work(port, tmp_path) as hub, standing_by(port) as takes:
        time.sleep(2 * database.OWN_PATIENCE_S)
        assert hub.process.poll() is None
        assert not takes()
        assert hub.process.stdin is not None
        hub.process.stdin.close()
        assert hub.process.wait(LONG_S) == 0
        assert takes()
