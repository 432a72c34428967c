"""Which kernels compute: those of which a request is not over.

Jupyter Server keeps the last state that a kernel told, of whatever request. ipykernel answers those of its control
channel and of subshells beside the cell that runs, each with busy and idle: after the first of them the cell counts as
over. JupyterLab makes one by itself, for a subshell, at a notebook's first widget or progress bar; a panel that shows
memory makes one every few seconds. So the requests are kept apart here, by their ids.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import time
from typing import Any

from jupyter_client.session import Session

BUSY, IDLE = "busy", "idle"
# A kernel that is at a request for so long is asked whether it still is, and again each time that this has doubled.
ASK_S = 600.0
# The most that telling whether a kernel's process lives may take: some are on other machines.
ALIVE_S = 10.0


class Requests:
    """The requests that a kernel has begun and not ended, by what it tells; without I/O."""

    def __init__(self, ask_s: float = ASK_S) -> None:
        self._ask_s = ask_s
        # When each began and in which shell, None for the main one, by its id.
        self._open: dict[str, tuple[float, str | None]] = {}
        self._due = math.inf
        # Which process tells: each has a session of its own.
        self._process = ""

    def __bool__(self) -> bool:
        return bool(self._open)

    def told(self, header: dict[str, Any], parent: dict[str, Any], state: str, now: float) -> None:
        """Take in a state, the header of its message, and the one of the request that it is of."""
        session = header.get("session", "")
        # Some kernels tell with the session of whoever asked.
        if session != parent.get("session") and session != self._process:
            # What another process was at has ended with it, also where nothing tells of that.
            self._process = session
            self.clear()
        request = parent.get("msg_id", "")
        if state == BUSY:
            if not self._open:
                self._due = now + self._ask_s
            self._open[request] = now, parent.get("subshell_id")
        elif state == IDLE:
            self._open.pop(request, None)
        else:
            # It starts, or ends.
            self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._open.clear()

    def to_ask(self, now: float) -> set[str | None]:
        """Return the shells that are to be asked whether they are free, when it is time for that."""
        if not self._open or now < self._due:
            return set()
        self._due = now + max(self._ask_s, now - min(began for began, _shell in self._open.values()))
        return {shell for _began, shell in self._open.values()}

    def free(self, shell: str | None, asked: float) -> None:
        """Forget what a shell was at when it was asked, since it has answered: it does one thing after the other."""
        self._open = {name: one for name, one in self._open.items() if one[1] != shell or one[0] > asked}


class Hearing:
    """Whether all is heard that a kernel's process tells; without I/O.

    ZeroMQ drops what a kernel tells before it knows of the listener, of whom it learns a fifth of a second after it is
    there itself, and later on a machine that is busy: of 40 cells that were sent at once, 8 were not heard of there.
    But its main shell answers a question behind all that it was asked before. So a kernel counts as at something until
    it is heard how it takes one.
    """

    def __init__(self, ask_s: float = ASK_S) -> None:
        self._ask_s = ask_s
        self.begin()

    def begin(self) -> None:
        """Know nothing: there is another process."""
        self.whole = False
        self._since, self._due = math.inf, -math.inf

    def to_ask(self, now: float) -> bool:
        """Tell whether the kernel is to be asked, now and not only later."""
        return not self.whole and now >= self._due

    def asked(self, now: float) -> None:
        """Note a question. It may be lost, with the process that it was for."""
        self._since = min(self._since, now)
        self._due = now + max(self._ask_s, now - self._since)

    def answered(self) -> None:
        """Note an answer. Where that is all that came of the question, it is to be asked again."""
        self._due = -math.inf


class Kernels:
    """What all kernels of a server are at."""

    def __init__(self, ask_s: float = ASK_S) -> None:
        self._ask_s = ask_s
        self._lines: dict[str, _Line] = {}

    def watch(self, manager_class: Any) -> None:
        """Listen to each kernel from when a class of managers does so itself, which is before it has a request."""
        original = manager_class.start_watching_activity

        @functools.wraps(original)
        def start_watching_activity(manager: Any, kernel_id: str) -> None:
            original(manager, kernel_id)
            self._drop(kernel_id)
            self._lines[kernel_id] = _Line(manager.get_kernel(kernel_id), self._ask_s)

        manager_class.start_watching_activity = start_watching_activity

    async def compute(self, manager: Any) -> bool:
        """Tell whether one is at a request; ask those that are for long."""
        there = list(manager.list_kernel_ids())
        for kernel_id in set(self._lines).difference(there):
            self._drop(kernel_id)
        found = False
        for kernel_id in there:
            line = self._lines.get(kernel_id)
            if line is None:
                # On a gateway, which is not listened to from here.
                found |= getattr(manager.get_kernel(kernel_id), "execution_state", "") == BUSY
            else:
                found |= await line.busy()
        return found

    def _drop(self, kernel_id: str) -> None:
        line = self._lines.pop(kernel_id, None)
        if line:
            line.close()


class _Line:
    """Hears one kernel, and asks it."""

    def __init__(self, kernel: Any, ask_s: float) -> None:
        self._kernel = kernel
        self._requests = Requests(ask_s)
        self._hearing = Hearing(ask_s)
        self._process = self._pid()
        # One's own: what was signed is taken once by each.
        self._session = Session(config=kernel.session.config, key=kernel.session.key)
        # When each question was asked, and of which shell, by its id.
        self._asked: dict[str, tuple[str | None, float]] = {}
        self._shell: Any = None
        self._told = kernel.connect_iopub()
        self._told.on_recv(self._hear)

    def _hear(self, frames: list[bytes]) -> None:
        _identities, parts = self._session.feed_identities(frames)
        message = self._session.deserialize(parts, content=False)
        if message["header"]["msg_type"] == "status":
            state = self._session.unpack(message["content"])["execution_state"]
            self._requests.told(message["header"], message["parent_header"], state, time.monotonic())
            if message["parent_header"].get("session") == self._session.session:
                self._hearing.whole = True

    async def busy(self) -> bool:
        """Tell whether it is at one. The end of one is lost where a kernel dies, or shows more than is taken in."""
        if self._process != (process := self._pid()):
            self._process = process
            self._hearing.begin()
        now = time.monotonic()
        shells = self._requests.to_ask(now)
        if self._hearing.to_ask(now):
            shells.add(None)
        if shells and not await self._lives():
            self._requests.clear()
            return False
        for shell in shells:
            self._ask(shell)
        if None in shells:
            self._hearing.asked(now)
        return bool(self._requests) or not self._hearing.whole

    def _pid(self) -> int | None:
        """Return the kernel's process; None for one of another machine."""
        return getattr(getattr(self._kernel, "provisioner", None), "pid", None)

    async def _lives(self) -> bool:
        answer = self._kernel.is_alive()
        return bool(await asyncio.wait_for(answer, ALIVE_S) if inspect.isawaitable(answer) else answer)

    def _ask(self, shell: str | None) -> None:
        """Ask what every kernel answers. One that computes does so when it is through."""
        if self._shell is None:
            self._shell = self._kernel.connect_shell()
            self._shell.on_recv(self._answer)
        question = self._session.msg("kernel_info_request")
        if shell is not None:
            question["header"]["subshell_id"] = shell
        self._asked[question["header"]["msg_id"]] = shell, time.monotonic()
        self._session.send(self._shell, question)

    def _answer(self, frames: list[bytes]) -> None:
        _identities, parts = self._session.feed_identities(frames)
        message = self._session.deserialize(parts, content=False)
        question = self._asked.pop(message["parent_header"].get("msg_id", ""), None)
        if question:
            self._requests.free(*question)
            self._hearing.answered()

    def close(self) -> None:
        """Hear no more."""
        for stream in (self._told, self._shell):
            if stream is not None and not stream.closed():
                stream.close()
