"""Rates: units a minute for a project and for an identity in it, writes a second, and bytes a day.

https://developers.google.com/workspace/drive/api/guides/limits
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import DriveError
from .limits import Limits

_LISTS = ("drive.files.list", "drive.changes.list", "drive.permissions.list", "drive.drives.list")
_READS = (
    "drive.files.get",
    "drive.files.generateIds",
    "drive.permissions.get",
    "drive.drives.get",
    "drive.about.get",
    "drive.changes.getStartPageToken",
)
_DAY_S = 24 * 3600


@dataclass
class _Bucket:
    """What is left of an allowance that fills up again evenly."""

    left: float
    at: float


class Buckets:
    """An allowance for each of many names: so many units for a period of so many seconds, all at once if need be."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def _filled(self, name: str, size: float, period_s: float) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(name, _Bucket(size, now))
        bucket.left = min(size, bucket.left + (now - bucket.at) * size / period_s)
        bucket.at = now
        return bucket

    def room(self, name: str, units: float, size: float, period_s: float) -> bool:
        """Tell whether so many units are left; a size of 0 is no limit."""
        return size == 0 or self._filled(name, size, period_s).left >= units

    def take(self, name: str, units: float, size: float, period_s: float) -> None:
        """Take units that there is room for."""
        if size:
            self._filled(name, size, period_s).left -= units


def units(limits: Limits, method: str, *, download: bool) -> int:
    """Return what a call costs, in units."""
    if download:
        return limits.download_units
    if method in _LISTS:
        return limits.list_units
    return limits.read_units if method in _READS else limits.edit_units


class Rates:
    """The rates of all identities and projects."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._minutes = Buckets(clock)
        self._seconds = Buckets(clock)
        # Identity -> when its day began, and the bytes since.
        self._days: dict[str, tuple[float, int]] = {}

    def refill(self) -> None:
        """Give everybody a full allowance again; what was uploaded today stays counted."""
        self._minutes = Buckets(self._clock)
        self._seconds = Buckets(self._clock)

    def call(self, limits: Limits, user: str, app: str, cost: int, *, write: bool) -> None:
        """Count a call; DriveError where a rate is exceeded, and then nothing is counted."""
        mine, all_of_app = limits.user_units_per_minute, limits.project_units_per_minute
        if not self._minutes.room(f"app:{app}", cost, all_of_app, 60):
            raise DriveError(limits.rate_status, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")
        # A second's allowance must hold one whole write.
        per_second = limits.user_writes_per_second
        size, period = max(1.0, per_second), max(1.0, per_second) / per_second if per_second else 1.0
        slow = write and per_second and not self._seconds.room(user, 1, size, period)
        if slow or not self._minutes.room(f"user:{app}:{user}", cost, mine, 60):
            raise DriveError(
                limits.rate_status, "userRateLimitExceeded", "User Rate Limit Exceeded", domain="usageLimits"
            )
        self._minutes.take(f"app:{app}", cost, all_of_app, 60)
        self._minutes.take(f"user:{app}:{user}", cost, mine, 60)
        if write and per_second:
            self._seconds.take(user, 1, size, period)

    def check_day(self, limits: Limits, user: str, more: int) -> None:
        """Refuse more bytes than a user may upload a day."""
        began, done = self._days.get(user, (self._clock(), 0))
        if self._clock() < began + _DAY_S and done + more > limits.day_upload_bytes:
            raise DriveError(403, "userRateLimitExceeded", "User rate limit exceeded.", domain="usageLimits")

    def uploaded(self, user: str, size: int) -> None:
        """Count bytes of a file that is there now."""
        now = self._clock()
        began, done = self._days.get(user, (now, 0))
        self._days[user] = (now, size) if now >= began + _DAY_S else (began, done + size)
