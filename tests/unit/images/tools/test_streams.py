from __future__ import annotations

import hashlib
import io
import os

import pytest
from coursehub_tools import streams
from coursehub_tools.result import FailedError

DATA = os.urandom(3 << 20)


def compressed() -> tuple[bytes, streams.Measure]:
    out, measure = io.BytesIO(), streams.Measure()
    with streams.compressing(out.write, measure) as stream:
        stream.write(DATA)
    return out.getvalue(), measure


def test_there_and_back() -> None:
    archive, written = compressed()
    assert (written.bytes, written.sha256) == (len(archive), hashlib.sha256(archive).hexdigest())
    read = streams.Measure()
    with streams.decompressing("x", io.BytesIO(archive), read) as stream:
        # What isn't read is measured all the same.
        assert stream.read(10) == DATA[:10]
    assert (read.bytes, read.sha256) == (written.bytes, written.sha256)


def failing(archive: io.BytesIO, size: int, sentence: str) -> None:
    """Read some of an archive, then fail."""
    with streams.decompressing("x", archive, streams.Measure()) as stream:
        assert stream.read(size) is not None
        if sentence:
            raise FailedError(sentence)


@pytest.mark.parametrize("sentence", ["", "something is missing"])
def test_why_a_stream_came_to_its_end_too_soon_is_what_is_told(sentence: str) -> None:
    archive, _measure = compressed()
    with pytest.raises(FailedError, match="x is damaged"):
        failing(io.BytesIO(archive[: -(1 << 20)]), -1, sentence)


def test_what_failed_before_the_end_is_told_at_once() -> None:
    archive, _measure = compressed()
    with pytest.raises(FailedError, match="it differs"):
        failing(io.BytesIO(archive), 1, "it differs")


def test_a_source_that_can_not_be_read() -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(FailedError, match="x can't be read"):
        failing(Broken(), -1, "")
