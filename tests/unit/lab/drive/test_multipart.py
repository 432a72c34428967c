"""Multipart bodies are read whatever pieces they come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from drive_emulator.errors import DriveError
from drive_emulator.multipart import Multipart
from hypothesis import given
from hypothesis import strategies as st

TYPE = 'multipart/related; boundary="==x=="'
LIMIT = 10_000


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read(data: bytes, size: int = 7, content_type: str = TYPE) -> tuple[bytes, str | None, bytes]:
    async def work() -> tuple[bytes, str | None, bytes]:
        body = Multipart(content_type, pieces(data, size))
        metadata, kind = await body.open(LIMIT)
        return metadata, kind, b"".join([chunk async for chunk in body.chunks()])

    return asyncio.run(work())


def body(content: bytes, eol: bytes = b"\r\n") -> bytes:
    lines = [
        b"--==x==",
        b"Content-Type: application/json",
        b"",
        b'{"name": "a"}',
        b"--==x==",
        b"Content-Type: text/csv",
    ]
    return eol.join([*lines, b"", content, b"--==x==--", b""])


@given(
    content=st.binary(max_size=50) | st.sampled_from([b"\r\n--==x=", b"--==x==", b"\n--==x=\n", b"\r", b"\n", b"\r\n"]),
    size=st.integers(1, 200),
)
def test_the_content_comes_as_it_was_sent(content: bytes, size: int) -> None:
    assert read(body(content), size) == (b'{"name": "a"}', "text/csv", content)


@given(content=st.binary(max_size=50).filter(lambda data: b"\n--==x==" not in data), size=st.integers(1, 200))
def test_lines_may_end_as_googles_python_client_ends_them(content: bytes, size: int) -> None:
    assert read(body(content, b"\n"), size) == (b'{"name": "a"}', "text/csv", content)


@given(st.integers(0, len(body(b"content")) - len(b"--\r\n") - 1))
def test_a_body_that_is_cut_is_refused(length: int) -> None:
    with pytest.raises(DriveError):
        read(body(b"content")[:length])


@pytest.mark.parametrize("data", [b"", b"hello\n", b"--==x==--\r\n", b"--==x==\r\n\r\n{}\r\n--==x==--\r\n"])
def test_other_bodies_are_refused(data: bytes) -> None:
    with pytest.raises(DriveError):
        read(data)


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/related"])
def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(DriveError):
        read(body(b""), content_type=content_type)


def test_metadata_that_is_too_large_is_refused() -> None:
    with pytest.raises(DriveError) as caught:
        read(body(b"").replace(b'{"name"', b" " * (LIMIT + 1) + b'{"name"'))
    assert caught.value.status == 413
