"""Times are kept to the millisecond, in any zone."""

from __future__ import annotations

import pytest
from drive_emulator.clock import Clock, format_ms, parse_ms
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_time_that_is_written_is_read_as_it_was(milliseconds: int) -> None:
    assert parse_ms(format_ms(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2020-01-02T03:04:05Z", "2020-01-02T03:04:05.000Z"),
        ("2020-01-02T03:04:05.987654321Z", "2020-01-02T03:04:05.987Z"),
        ("2020-01-02T03:04:05.1+02:30", "2020-01-02T00:34:05.100Z"),
        ("1969-12-31T23:59:59.500Z", "1969-12-31T23:59:59.500Z"),
        ("2020-01-02", "2020-01-02T00:00:00.000Z"),
    ],
)
def test_times(text: str, shown: str) -> None:
    assert format_ms(parse_ms(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "now", "2020-13-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "2020-01-01T25:00:00Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_ms(text)


def test_the_clock_goes_on() -> None:
    clock = Clock()
    before = clock()
    clock.advance(3600)
    assert clock() >= before + 3600
    with pytest.raises(ValueError, match="not back"):
        clock.advance(-1)
