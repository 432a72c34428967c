"""What is at work in a student's server though nobody touches it, besides kernels: terminals, jobs, downloads.

JupyterHub's cullers go by the last activity that a server reports. Jupyter Server counts a kernel as active when it
says something, and a terminal when something is typed or shown: a cell that computes for two hours is idle to it after
its first moment.
"""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROC = Path("/proc")
# Of /proc/<pid>/stat, counted behind the name, which may have anything in it.
STATE, SESSION, BEGAN = 0, 3, 19
# What the process has used, and what those of its children have that ended.
TIMES = slice(11, 15)
ENDED = ("Z", "X")
TICKS_A_S = os.sysconf("SC_CLK_TCK")
# Over how long jobs are measured: what wakes up now and then is no job, as a language server is not, or an idle tmux.
JOBS_S = 60.0
# The part of a core from which on it is one. An idle kernel was measured at 0.0000; a server on a full node gets 0.05,
# and just 0.02 where it was idle and is resized (server_resize, idle_cpu), until the next run sees that it computes.
JOBS_CORE = 0.02


def terminal_works(manager: Any, proc: Path = PROC) -> bool:
    """Tell whether anything but its shell runs in a terminal, before or behind it.

    A program that waits for its user counts too, as an editor does: what it waits for can't be seen from outside.
    """
    shells = {terminal.ptyproc.pid for terminal in getattr(manager, "terminals", {}).values()}
    if not shells:
        return False
    return any(int(words[SESSION]) in shells and pid not in shells for pid, words in _living(proc))


class Jobs:
    """What computes in a server, whoever has begun it: a job that was detached from its terminal, or a thread that a
    cell left behind. One that only waits is none: nothing tells it from what was left over.
    """

    def __init__(
        self, mark: str, every_s: float = JOBS_S, proc: Path = PROC, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # A variable of the server's, which all have inherited that were begun in it.
        self._mark = mark.encode()
        self._every_s, self._proc, self._clock = every_s, proc, clock
        self._since, self._used = clock(), self._seconds()

    def compute(self) -> bool:
        """Tell whether anything but the server itself has computed since the last time that this was measured."""
        now = self._clock()
        if now - self._since < self._every_s:
            return False
        used = self._seconds()
        spent = sum(seconds - self._used.get(one, 0.0) for one, seconds in used.items())
        share = spent / (now - self._since)
        self._since, self._used = now, used
        return share >= JOBS_CORE

    def _seconds(self) -> dict[tuple[int, str], float]:
        """Return what each process has used, and its children that ended: a script may run many short programs."""
        return {
            (pid, words[BEGAN]): sum(map(int, words[TIMES])) / TICKS_A_S
            for pid, words in _living(self._proc)
            if pid != os.getpid() and self._belongs(pid)
        }

    def _belongs(self, pid: int) -> bool:
        try:
            return self._mark in (self._proc / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            return False


def _living(proc: Path) -> list[tuple[int, list[str]]]:
    """Return the processes that live, with what their ``stat`` says behind the name."""
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
            found.append((int(folder.name), words))
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
