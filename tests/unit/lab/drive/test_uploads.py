"""Resumable uploads keep whole blocks, and know what is theirs."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from drive_emulator.accounts import Caller
from drive_emulator.clock import Clock
from drive_emulator.contents import BLOCK, Contents
from drive_emulator.errors import DriveError
from drive_emulator.media import parse_range
from drive_emulator.uploads import Chunk, Session, Sessions, parse_chunk
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lab.drive.services import ADA, DISCOVERY

CALLER = Caller(ADA, "app", frozenset())
CALL = DISCOVERY.call("POST", "/upload/drive/v3/files", [])


def opened(sessions: Sessions, folder: Path, total: int | None = None) -> Session:
    writer = Contents(folder).writer()
    return sessions.open(CALLER, CALL, {}, mime_type=None, total=total, lifetime_s=7 * 86400, writer=writer)


@pytest.mark.parametrize(
    ("header", "length", "chunk"),
    [
        (None, 10, Chunk(0, 10, 10)),
        (None, None, Chunk(0, None, None)),
        ("bytes 0-9/10", 10, Chunk(0, 10, 10)),
        ("bytes 5-9/*", None, Chunk(5, 5, None)),
        ("bytes */*", 0, Chunk(0, 0, None, asks=True)),
        ("bytes */10", None, Chunk(0, 0, 10, asks=True)),
    ],
)
def test_ranges(header: str | None, length: int | None, chunk: Chunk) -> None:
    assert parse_chunk(header, length) == chunk


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("bytes 0-9/9", 10),
        ("bytes 9-0/10", None),
        ("bytes 0-9/10", 9),
        ("0-9/10", 10),
        ("bytes a-b/c", 1),
        ("bytes */*", 5),
    ],
)
def test_wrong_ranges_are_refused(header: str, length: int | None) -> None:
    with pytest.raises(DriveError):
        parse_chunk(header, length)


@pytest.mark.parametrize(
    ("kept", "total", "chunk", "skip"),
    [
        (0, 2 * BLOCK + 1, Chunk(0, BLOCK, 2 * BLOCK + 1), 0),
        (BLOCK, 2 * BLOCK, Chunk(BLOCK, BLOCK, 2 * BLOCK), 0),
        (BLOCK, BLOCK + 1, Chunk(0, BLOCK + 1, BLOCK + 1), BLOCK),
        (0, None, Chunk(0, BLOCK, None), 0),
        (0, None, Chunk(0, 5, 5), 0),
        (BLOCK, 9 * BLOCK, Chunk(0, 0, None, asks=True), 0),
        # Neither multiples nor the end.
        (0, 2 * BLOCK, Chunk(0, BLOCK + 1, 2 * BLOCK), None),
        (0, None, Chunk(0, 5, None), None),
        # A gap, too much, and another size.
        (0, 2 * BLOCK, Chunk(BLOCK, BLOCK, 2 * BLOCK), None),
        (0, 5, Chunk(0, BLOCK, None), None),
        (0, 5, Chunk(0, 6, 6), None),
    ],
)
def test_chunks(tmp_path: Path, kept: int, total: int | None, chunk: Chunk, skip: int | None) -> None:
    session = opened(Sessions(Clock()), tmp_path, total)
    session.writer.write(bytes(kept))
    if skip is None:
        with pytest.raises(DriveError) as caught:
            session.check(chunk)
        assert caught.value.status == 400
    else:
        assert session.check(chunk) == skip


@given(
    size=st.integers(0, 3 * BLOCK + 5),
    cuts=st.lists(st.integers(0, 3 * BLOCK), max_size=5),
)
def test_an_upload_that_is_cut_and_resumed_has_all_its_bytes(size: int, cuts: list[int]) -> None:
    data = hashlib.shake_128(str(size).encode()).digest(size)
    with tempfile.TemporaryDirectory() as folder:
        session = opened(Sessions(Clock()), Path(folder), size)
        for cut in cuts:
            session.writer.write(data[session.writer.kept :][:cut][:size])
            session.writer.interrupt()
            assert session.writer.kept % BLOCK == 0
            assert session.headers() == ({"Range": f"bytes=0-{session.writer.kept - 1}"} if session.writer.kept else {})
        start = session.writer.kept
        chunk = Chunk(start, size - start, size)
        assert session.check(chunk) == 0
        session.writer.write(data[start:])
        assert session.complete(chunk)
        content = session.writer.finish()
        assert (content.size, content.md5) == (size, hashlib.md5(data).hexdigest())
        assert (Path(folder) / content.key).read_bytes() == data


def test_a_question_does_not_end_an_upload(tmp_path: Path) -> None:
    session = opened(Sessions(Clock()), tmp_path, 0)
    assert not session.complete(Chunk(0, 0, None, asks=True))
    assert session.complete(Chunk(0, 0, 0))


def test_a_session_lives_a_week(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(clock)
    session = opened(sessions, tmp_path)
    clock.advance(7 * 86400 - 60)
    assert sessions.find(session.id) is session
    clock.advance(61)
    for session_id in (session.id, "unknown"):
        with pytest.raises(DriveError) as caught:
            sessions.find(session_id)
        assert caught.value.status == 404
    assert list(tmp_path.iterdir()) == []


def test_a_shorter_life_ends_earlier(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(clock)
    opened(sessions, tmp_path / "long")
    writer = Contents(tmp_path / "short").writer()
    short = sessions.open(CALLER, CALL, {}, mime_type=None, total=None, lifetime_s=60, writer=writer)
    clock.advance(61)
    with pytest.raises(DriveError):
        sessions.find(short.id)


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        (None, 10, (0, 10)),
        ("bytes=0-3", 10, (0, 4)),
        ("bytes=4-", 10, (4, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-30", 10, (0, 10)),
        ("bytes=8-99", 10, (8, 10)),
        ("lines=1-2", 10, (0, 10)),
        ("bytes=0-1,3-4", 10, (0, 10)),
        ("bytes=-", 10, (0, 10)),
        (None, 0, (0, 0)),
        ("bytes=10-", 10, None),
        ("bytes=0-0", 0, None),
        ("bytes=-0", 10, None),
        ("bytes=3-2", 10, None),
    ],
)
def test_ranges_of_downloads(text: str | None, size: int, expected: Any) -> None:
    if expected is None:
        with pytest.raises(DriveError) as caught:
            parse_range(text, size)
        assert caught.value.headers()["Content-Range"] == f"bytes */{size}"
    else:
        assert parse_range(text, size) == expected
