"""The pace at which Drive may be asked, kept before it says no.

Units and figures: https://developers.google.com/workspace/drive/api/guides/limits. They are for an identity and for a
project; pods that share one get their share each, so these are figures of this process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

READ = 5
LIST = 100
DOWNLOAD = 200
EDIT = 50


@dataclass(frozen=True)
class Rates:
    """Units a minute; new or changed files a second, which no document has: people see about two an identity; and bytes
    a day, https://support.google.com/a/answer/172541.
    """

    identity_units_per_minute: float = 325_000
    project_units_per_minute: float = 1_000_000
    writes_per_second: float = 2.0
    bytes_per_day: float = 750 * 2**30


class Bucket:
    """An allowance that fills up evenly, and holds so much at most."""

    def __init__(self, per_second: float, size: float, clock: Callable[[], float]) -> None:
        self._rate = per_second
        self._size = size
        self._clock = clock
        self._left = self._size
        self._at = clock()

    def take(self, amount: float) -> float:
        """Take an amount, and return the seconds until it is really there: who comes later waits longer."""
        self._fill()
        self._left -= amount
        return max(0.0, -self._left / self._rate)

    def change(self, per_second: float, size: float) -> None:
        """Go on at another rate. What has come in so far has come in at the one before."""
        self._fill()
        self._rate, self._size = per_second, size

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._size, self._left + (now - self._at) * self._rate)
        self._at = now


class Pacer:
    """Lets the threads of one identity go at its pace, and of one project at that of all of its identities.

    ``share`` tells the rates as they are now, where they may become others.
    """

    def __init__(
        self,
        rates: Rates,
        project: Bucket | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        share: Callable[[], Rates] | None = None,
    ) -> None:
        self._rates = rates
        self._share = share or (lambda: rates)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._units = _units(rates.identity_units_per_minute, clock)
        self._project = project or project_bucket(rates, clock)
        # No burst: what Drive lets pass beside is for answers that come closer together than they were asked for.
        self._writes = Bucket(rates.writes_per_second, 1, clock)
        self._until = clock()
        self.bytes_per_day = rates.bytes_per_day
        self._bytes_left = rates.bytes_per_day

    def spend(self, size: int) -> bool:
        """Count bytes that are to be sent; False, and not counted, where they are more than are left of the day.

        A process that is at work for longer than a day is told by Drive when there are more again.
        """
        with self._lock:
            if size > self._bytes_left:
                return False
            self._bytes_left -= size
            return True

    def wait(self, units: int, *, write: bool) -> None:
        """Wait until a call may be made that costs so many units, and that writes or doesn't."""
        with self._lock, _PROJECT_LOCK:
            self._keep_up()
            waits = [self._units.take(units), self._project.take(units), self._until - self._clock()]
            if write:
                waits.append(self._writes.take(1))
        seconds = max(waits)
        if seconds > 0:
            self._sleep(seconds)

    def _keep_up(self) -> None:
        rates = self._share()
        if rates != self._rates:
            self._rates = rates
            self._units.change(*_units_rate(rates.identity_units_per_minute))
            self._project.change(*_units_rate(rates.project_units_per_minute))
            self._writes.change(rates.writes_per_second, 1)

    def hold(self, seconds: float) -> None:
        """Let nobody of this identity begin for so long: Drive has told one of them to wait."""
        with self._lock:
            self._until = max(self._until, self._clock() + seconds)


# A project's bucket belongs to several pacers.
_PROJECT_LOCK = threading.Lock()


def project_bucket(rates: Rates, clock: Callable[[], float] = time.monotonic) -> Bucket:
    """Return the allowance of a project, which all of its pacers take from."""
    return _units(rates.project_units_per_minute, clock)


def _units(per_minute: float, clock: Callable[[], float]) -> Bucket:
    return Bucket(*_units_rate(per_minute), clock)


def _units_rate(per_minute: float) -> tuple[float, float]:
    """What comes in a second can be used at once, so that a minute never has more than 1/60 too many."""
    return per_minute / 60, max(per_minute / 60, DOWNLOAD)
