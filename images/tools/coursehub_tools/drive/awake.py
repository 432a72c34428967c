"""Whether this process has been frozen, as with its node: by then another one may be at its work.

A machine that was given up and comes back goes on where it was, beside the one that took over. Its disks were taken
from it. Where a write fails then, nothing more is made in Drive, since the journal comes first; but not every storage
lets it fail, and ids that are not in the journal that the other one has would make files twice.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from ..result import TOLD_TO_END, say

BEAT_S = 1.0
# Nobody gives a silent node up sooner: a kubelet's Lease holds for 40 s.
FROZEN_S = 30.0


def _now() -> float:
    # Unlike the monotonic clock it goes on while the machine is suspended.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Watch:
    """A beat, and how long ago it was. A thread that waits for Drive is not frozen, so there is one for this alone."""

    def __init__(self, clock: Callable[[], float] = _now, end: Callable[[int], object] = os._exit) -> None:
        self._clock = clock
        self._end = end
        self._beat: float | None = None

    def start(self) -> None:
        """Begin to watch, for as long as the process is there."""
        self.beat()
        threading.Thread(target=self._go_on, daemon=True).start()

    def _go_on(self) -> None:
        while True:
            time.sleep(BEAT_S)
            self.beat()

    def beat(self) -> None:
        # The clock is read once: where it is frozen in here, the beat is from before.
        now = self._clock()
        self._see(now)
        self._beat = now

    def see(self) -> None:
        """End the process at once where it was frozen: the Job has another one follow, which asks Drive first."""
        self._see(self._clock())

    def _see(self, now: float) -> None:
        if self._beat is not None and now - self._beat > FROZEN_S:
            say("this was frozen for a while, and something else may be at work in its place: it ends")
            self._end(TOLD_TO_END)


WATCH = Watch()
