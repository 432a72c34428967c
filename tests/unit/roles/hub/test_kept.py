"""What stands of the hub's answers when a container is started anew, and what does not."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from coursehub_kept import LIMIT_BYTES, MOST, Kept
from coursehub_memory import Answers
from hypothesis import given
from hypothesis import strategies as st

KEY = "ab" * 32
ALICE = {"name": "alice", "kind": "user", "groups": ["lab1"], "scopes": ["access:servers!server=alice/"]}
NOW = 1_000_000.0


def key(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.json"


def kept(file: Path, later: float = 0.0) -> Kept:
    return Kept(file, lambda: NOW + later)


def test_what_was_written_is_read_with_its_age_by_the_wall_clock(file: Path) -> None:
    kept(file).write([(KEY, ALICE, 40.0)])
    assert kept(file, 60).read() == [(KEY, ALICE, 100.0)]


def test_only_this_user_can_read_it_whatever_was_there(file: Path) -> None:
    file.with_name("answers.json.new").touch(0o666)
    kept(file).write([(KEY, ALICE, 0.0)])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["answers.json"]


def test_a_session_is_not_written_down(file: Path) -> None:
    kept(file).write([(KEY, {**ALICE, "session_id": "secret-1", "auth_state": {"token": "secret-2"}}, 0.0)])
    assert "secret" not in file.read_text(encoding="utf-8")


def test_the_last_who_came_are_kept(file: Path) -> None:
    kept(file).write([(key(number), ALICE, float(number)) for number in range(MOST * 2)])
    assert [one[0] for one in kept(file).read()] == [key(number) for number in range(MOST)]


def test_it_has_a_size(file: Path) -> None:
    large = {**ALICE, "groups": ["group-" * 1000] * 10}
    kept(file).write([(key(number), large, float(number)) for number in range(MOST)])
    assert 0 < file.stat().st_size <= LIMIT_BYTES
    assert kept(file).read()[0] == (key(0), large, 0.0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[{",
        b"{}",
        b"\xff\xfe",
        b"[1]",
        b"[{}]",
        b"[" * 100_000,
        json.dumps([{"key": "alices", "user": ALICE, "at": NOW}]).encode(),
        json.dumps([{"key": 1, "user": ALICE, "at": NOW}]).encode(),
        json.dumps([{"key": KEY, "user": None, "at": NOW}]).encode(),
        json.dumps([{"key": KEY, "user": {"name": 1}, "at": NOW}]).encode(),
        json.dumps([{"key": KEY, "user": ALICE, "at": "yesterday"}]).encode(),
        # It would stand for ever.
        json.dumps([{"key": KEY, "user": ALICE, "at": NOW + 1}]).encode(),
        json.dumps([{"key": KEY, "user": ALICE, "at": float("nan")}]).encode(),
        json.dumps([{"key": KEY, "user": ALICE, "at": 10**400}]).encode(),
        json.dumps([{"key": KEY, "user": ALICE, "at": NOW}]).encode() + b" " * LIMIT_BYTES,
    ],
)
def test_what_is_damaged_is_none(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert kept(file).read() == []


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_content_ends_the_server(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(content)
    assert kept(file).read() == []


def test_without_a_file_or_a_place_for_one_nothing_fails(tmp_path: Path) -> None:
    for path in (None, tmp_path / "absent" / "answers.json", tmp_path):
        one = Kept(path)
        one.write([(KEY, ALICE, 0.0)])
        assert one.read() == []


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


def test_what_is_recalled_stands_for_the_rest_of_its_time_and_is_never_fresh() -> None:
    clock = Clock()
    answers = Answers(300, 3600, clock)
    answers.recall("new", ALICE, 10)
    answers.recall("old", ALICE, 3000)
    assert answers.fresh("new") is None
    for later, stand in ((0, ["new", "old"]), (600, ["new"]), (3299, ["new"]), (3300, [])):
        clock.now = 5 + later
        assert [name for name in ("new", "old") if answers.stale(name)] == stand
        assert [one[0] for one in answers.standing()] == stand


def test_only_what_stands_is_worth_writing() -> None:
    answers = Answers(300, 3600, Clock())
    said: list[Any] = [answers.keep("wrong", None), answers.keep("alice", ALICE), answers.keep("alice", None)]
    assert said == [False, True, True]
    assert answers.standing() == []
