"""The time of the emulated Drive: a test can move it a week on."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?)?(Z|z|[+-]\d\d:\d\d)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Seconds since 1970, moved by `advance`."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the time on by seconds; back is refused with ValueError."""
        if seconds < 0:
            raise ValueError("time goes on, not back")
        self.offset += seconds


def parse_ms(text: str) -> int:
    """Return an RFC 3339 time as milliseconds since 1970, cut and not rounded; ValueError where it is none.

    Drive keeps milliseconds. A time without a zone is UTC, and one without hours is midnight.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
    if zone and zone not in "Zz":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        try:
            moment = moment - offset if zone[0] == "+" else moment + offset
        except OverflowError:
            raise ValueError(f"out of range: {text}") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "").ljust(3, "0")[:3])


def format_ms(milliseconds: int) -> str:
    """Return milliseconds since 1970 as Drive writes a time."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
