"""The end of this process at a given moment, for which nothing in it has to run.

The kernel's timer, whose signal nobody handles: it ends the whole process also while a thread keeps Python's lock, and
one that was frozen before it runs again at all. It writes no line: what is behind it is said before. Under ``tini`` the
container ends with status 142 (128 + SIGALRM).
"""

from __future__ import annotations

import signal
import time

SOON_S = 0.001


def end_at(moment: float) -> None:
    """End the process then, and not at the moment that was set before; ``moment`` is in ``time.monotonic`` seconds."""
    # Zero would take the timer away.
    signal.setitimer(signal.ITIMER_REAL, max(moment - time.monotonic(), SOON_S))


def off() -> None:
    """Let the process live."""
    signal.setitimer(signal.ITIMER_REAL, 0)
