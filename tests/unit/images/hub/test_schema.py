"""A hub ends before a database that a newer one has upgraded, and says so."""

from __future__ import annotations

import runpy
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from coursehub_hub import schema
from jupyterhub import orm

from tests.unit.paths import ROOT


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(schema, "FILE", tmp_path / "jupyterhub.sqlite")
    monkeypatch.setattr(schema, "TERMINATION_LOG", tmp_path / "termination-log")
    return tmp_path / "jupyterhub.sqlite"


def make(file: Path) -> None:
    orm.new_session_factory(f"sqlite:///{file}")().close()


def upgrade(file: Path, revision: str) -> None:
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    database.close()


def test_its_own_database_and_older_ones_are_taken(file: Path) -> None:
    make(file)
    schema.check("")
    # Of JupyterHub 0.5.
    upgrade(file, "19c0846f6344")
    schema.check("")


def test_a_newer_one_is_not_and_the_pod_says_why(file: Path) -> None:
    make(file)
    upgrade(file, "ffff00001111")
    with pytest.raises(SystemExit) as ended:
        schema.check("")
    said = schema.TERMINATION_LOG.read_text(encoding="utf-8")
    assert said == str(ended.value)
    assert said.startswith(schema.NEWER)
    assert "ffff00001111" in said


def test_each_start_of_a_hub_looks_for_that_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSEHUB_DATABASE_URL", raising=False)
    make(file)
    upgrade(file, "ffff00001111")
    with pytest.raises(SystemExit, match=schema.NEWER):
        runpy.run_path(str(ROOT / "images/hub/jupyterhub_config.py"))


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_what_is_no_database_is_left_to_the_hub(file: Path, content: bytes | None) -> None:
    if content is not None:
        file.write_bytes(content)
    schema.check("")
    assert file.exists() == (content is not None)


def test_a_file_that_can_not_be_opened_is_left_to_the_hub(file: Path) -> None:
    file.mkdir()
    schema.check("")


class Postgresql:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __enter__(self) -> Postgresql:
        return self

    def __exit__(self, *_error: object) -> None: ...

    def execute(self, _query: str) -> Postgresql:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self

    def fetchone(self) -> Any:
        return self._answer


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (("ffff00001111",), True),
        (("19c0846f6344",), False),
        (None, False),
        (psycopg.errors.UndefinedTable(), False),
        (psycopg.OperationalError("connection refused"), False),
    ],
)
def test_in_postgresql(file: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, refused: bool) -> None:
    monkeypatch.setattr(schema.psycopg, "connect", lambda _url, **_options: Postgresql(answer))
    try:
        schema.check("postgresql://hub@db/hub")
    except SystemExit:
        assert refused
    else:
        assert not refused
    assert not file.exists()
