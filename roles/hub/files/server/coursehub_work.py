"""What is at work in a student's server though nobody touches it, besides kernels: terminals, downloads.

JupyterHub's cullers go by the last activity that a server reports. Jupyter Server counts a kernel as active when it
says something, and a terminal when something is typed or shown: a cell that computes for two hours is idle to it after
its first moment.
"""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

PROC = Path("/proc")
# Of /proc/<pid>/stat, counted behind the name, which may have anything in it.
STATE, SESSION = 0, 3
ENDED = ("Z", "X")


def terminal_works(manager: Any, proc: Path = PROC) -> bool:
    """Tell whether anything but its shell runs in a terminal, before or behind it.

    A program that waits for its user counts too, as an editor does: what it waits for can't be seen from outside.
    """
    shells = {terminal.ptyproc.pid for terminal in getattr(manager, "terminals", {}).values()}
    if not shells:
        return False
    return any(session in shells and pid not in shells for pid, session in _sessions(proc))


def _sessions(proc: Path) -> list[tuple[int, int]]:
    """Return the processes that live, with the session that each belongs to: of a terminal, its shell's pid."""
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            # It ended meanwhile.
            continue
        if words and words[STATE] not in ENDED:
            found.append((int(folder.name), int(words[SESSION])))
    return found


class Downloads:
    """The downloads that a browser has not got whole yet."""

    def __init__(self) -> None:
        self._open: set[Any] = set()

    def watch(self, handler_class: Any) -> None:
        """Note each request that a class of handlers answers."""
        original = handler_class.prepare
        note = self._open.add

        @functools.wraps(original)
        async def prepare(handler: Any) -> None:
            note(handler)
            result = original(handler)
            if inspect.isawaitable(result):
                await result

        handler_class.prepare = prepare

    def under_way(self) -> bool:
        """Tell whether one is; forget those that have ended."""
        self._open.difference_update([handler for handler in self._open if not _is_open(handler)])
        return bool(self._open)


def _is_open(handler: Any) -> bool:
    """Tell whether an answer is still being made or on its way: one that is made may wait for a slow line."""
    connection = handler.request.connection
    stream = getattr(connection, "stream", None)
    if stream is None or stream.closed():
        return False
    return not handler._finished or bool(stream.writing())
