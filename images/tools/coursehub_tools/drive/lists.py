"""The lists of all exports that one identity sees: asked for once, for all students of a run.

Of those to whom nothing happened this is all that is asked. Drive's lists may be late, on shared drives by an hour,
people say. So this is only for saying that all is as it was: whoever has anything to send asks Drive for the student's
own list first, and that answer never is late.
"""

from __future__ import annotations

import threading

from .objects import Drive


class Lists:
    """MD5s of the lists, and whose turn it is, by Drive's ids, of each shared drive. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, dict[str, tuple[str, str]]] = {}

    def has(self, drive: Drive, shared: str, file_id: str, md5: str) -> bool:
        """Tell whether a shared drive, or one's own (empty), has a list as the state knows it. Raises RefusedError."""
        with self._lock:
            if shared not in self._found:
                self._found[shared] = {fact.id: (fact.md5, fact.turn) for fact in drive.lists(shared)}
            return self._found[shared].get(file_id) == (md5, drive.turn)
