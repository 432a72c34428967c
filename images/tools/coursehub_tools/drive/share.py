"""The share of Drive's pace that this process has of a run's, which becomes more when others have come to their end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .pacer import Rates

# The kubelet brings the file up to date in a minute or so: this is often enough.
READ_S = 5.0
_NAMES = ("identity_units_per_minute", "project_units_per_minute", "writes_per_second")


class Share:
    """Rates out of a file that somebody changes; ``own`` while there is none, or none that can be read.

    The day's bytes stay as they are: what of a share was sent already is known to nobody else.
    """

    def __init__(self, own: Rates, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = self._rates = own
        self._path = path
        self._clock = clock
        self._again = clock()
        self._lock = threading.Lock()

    def __call__(self) -> Rates:
        """Return the rates, which are some seconds old at most."""
        with self._lock:
            now = self._clock()
            if now >= self._again:
                self._again = now + READ_S
                self._rates = self._read()
            return self._rates

    def _read(self) -> Rates:
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
            found = {name: float(told[name]) for name in _NAMES}
        except (OSError, ValueError, TypeError, KeyError):
            return self._own
        return replace(self._own, **found) if all(0 < one < 1e12 for one in found.values()) else self._own
