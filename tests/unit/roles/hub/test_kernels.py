"""Which kernels compute, by what they tell."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from coursehub_kernels import ASK_S, Hearing, Kernels, Requests
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session


class Kernel:
    """What one told, second by second."""

    def __init__(self) -> None:
        self.requests = Requests()
        self.now = 0.0

    def tells(self, state: str, request: str = "", *, process: str = "kernel", shell: str | None = None) -> Kernel:
        self.now += 1
        parent = {"msg_id": request, "session": "browser"} if request else {}
        if shell:
            parent["subshell_id"] = shell
        self.requests.told({"session": process}, parent, state, self.now)
        return self

    @property
    def busy(self) -> bool:
        return bool(self.requests)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel().tells("starting")


def test_a_cell(kernel: Kernel) -> None:
    assert not kernel.busy
    assert kernel.tells("busy", "cell").busy
    assert not kernel.tells("idle", "cell").busy


@pytest.mark.parametrize("shell", [None, "widgets"])
def test_a_request_beside_a_cell_does_not_hide_it(kernel: Kernel, shell: str | None) -> None:
    kernel.tells("busy", "cell").tells("busy", "other", shell=shell).tells("idle", "other", shell=shell)
    assert kernel.busy
    # One that was begun first may end last.
    kernel.tells("busy", "another").tells("idle", "cell")
    assert kernel.busy
    assert not kernel.tells("idle", "another").busy


def test_an_end_of_what_was_never_begun(kernel: Kernel) -> None:
    assert not kernel.tells("idle", "cell").busy
    assert not kernel.tells("idle").busy


@pytest.mark.parametrize("state", ["starting", "restarting", "dead"])
def test_a_kernel_that_starts_anew_computes_nothing(kernel: Kernel, state: str) -> None:
    assert not kernel.tells("busy", "cell").tells(state).busy


def test_another_process_computes_nothing_of_what_the_last_one_did(kernel: Kernel) -> None:
    # That it starts was not heard.
    kernel.tells("busy", "cell").tells("busy", "info", process="second")
    assert kernel.busy
    assert not kernel.tells("idle", "info", process="second").busy


def test_kernels_that_tell_with_the_session_of_who_asks() -> None:
    kernel = Kernel().tells("busy", "cell", process="browser")
    kernel.requests.told({"session": "server"}, {"session": "server", "msg_id": "info"}, "busy", 5)
    kernel.requests.told({"session": "server"}, {"session": "server", "msg_id": "info"}, "idle", 6)
    assert kernel.busy
    assert not kernel.tells("idle", "cell", process="browser").busy


def test_one_that_is_busy_for_long_is_asked_ever_more_rarely(kernel: Kernel) -> None:
    kernel.tells("busy", "cell")
    begun, asked = int(kernel.now), []
    for now in range(begun, begun + 24 * 3600, 5):
        if kernel.requests.to_ask(now):
            asked.append(now - begun)
    assert asked == [600, 1200, 2400, 4800, 9600, 19200, 38400, 76800]
    assert asked[0] == ASK_S


def test_an_answer_ends_what_was_begun_before_the_question(kernel: Kernel) -> None:
    kernel.tells("busy", "lost").tells("busy", "widget", shell="widgets")
    asked = kernel.now + ASK_S
    assert kernel.requests.to_ask(asked) == {None, "widgets"}
    kernel.now = asked
    kernel.tells("busy", "cell")
    kernel.requests.free(None, asked)
    # The subshell has not answered, and the cell was begun later.
    kernel.tells("idle", "cell")
    assert kernel.busy
    kernel.requests.free("widgets", asked)
    assert not kernel.busy
    assert not kernel.requests.to_ask(asked * 10)


told = st.lists(
    st.tuples(st.sampled_from(["busy", "idle"]), st.sampled_from("abcd"), st.sampled_from([None, "x"])), max_size=30
)


@given(told)
def test_it_is_busy_while_any_of_its_requests_is(messages: list[tuple[str, str, str | None]]) -> None:
    kernel, last = Kernel().tells("starting"), {}
    for state, request, shell in messages:
        kernel.tells(state, request, shell=shell)
        last[request] = state
    assert kernel.busy == ("busy" in last.values())


@given(told)
def test_no_lost_end_keeps_it_busy_for_ever(messages: list[tuple[str, str, str | None]]) -> None:
    kernel = Kernel().tells("starting")
    for state, request, shell in messages:
        kernel.tells(state, request, shell=shell)
    now = kernel.now + 2 * ASK_S
    for shell in kernel.requests.to_ask(now):
        kernel.requests.free(shell, now)
    assert not kernel.busy


@pytest.mark.parametrize(
    ("states", "computes"),
    [
        ((), False),
        (("idle",), False),
        (("starting",), False),
        (("idle", "busy"), True),
        (("dead",), False),
        ((None,), False),
    ],
)
def test_kernels_of_a_gateway_by_their_state(states: tuple[str | None, ...], computes: bool) -> None:
    found: dict[str, Any] = {
        str(number): SimpleNamespace(execution_state=state) if state else SimpleNamespace()
        for number, state in enumerate(states)
    }
    manager = SimpleNamespace(list_kernel_ids=lambda: list(found), get_kernel=found.__getitem__)
    assert asyncio.run(Kernels().compute(manager)) is computes


def test_one_whose_question_was_lost_is_asked_again_ever_more_rarely() -> None:
    hearing, asked = Hearing(), []
    for now in range(1000, 1000 + 24 * 3600, 5):
        if hearing.to_ask(now):
            hearing.asked(now)
            asked.append(now - 1000)
    assert asked == [0, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800]
    hearing.whole = True
    assert not hearing.to_ask(10**6)
    hearing.begin()
    assert hearing.to_ask(0)


class Stream:
    """An end of a line to a kernel."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.take: Any = None

    def on_recv(self, take: Any) -> None:
        self.take = take

    def send_multipart(self, frames: list[bytes], **_more: Any) -> None:
        self.sent.append(frames)

    def closed(self) -> bool:
        return False

    def close(self) -> None:
        """Hear no more."""


class Process:
    """A kernel that runs, with a manager that has it alone, and what it is asked by those who watch it."""

    def __init__(self) -> None:
        self.session = Session(key=b"secret")
        self.shell, self.told = Stream(), Stream()
        self.provisioner = SimpleNamespace(pid=1)
        self.alive = True
        self.kernels = Kernels()
        base = type("Manager", (), {"start_watching_activity": lambda *_words: None})
        self.kernels.watch(base)
        self._manager: Any = base()
        self._manager.list_kernel_ids = lambda: ["one"]
        self._manager.get_kernel = lambda _kernel: self
        self._manager.start_watching_activity("one")

    def connect_iopub(self) -> Stream:
        return self.told

    def connect_shell(self) -> Stream:
        return self.shell

    def is_alive(self) -> bool:
        return self.alive

    def computes(self) -> bool:
        return asyncio.run(self.kernels.compute(self._manager))

    def tell(self, state: str, parent: dict[str, Any]) -> None:
        message = self.session.msg("status", {"execution_state": state}, parent)
        self.told.take(self.session.serialize(message, b"status"))

    def answer(self, *, heard: bool) -> None:
        """Take the question that came first, as a kernel does, which is heard to or not yet."""
        _identities, parts = self.session.feed_identities(self.shell.sent.pop(0))
        question = self.session.deserialize(parts)["header"]
        for state in ("busy", "idle") if heard else ():
            self.tell(state, question)
        self.shell.take(self.session.serialize(self.session.msg("kernel_info_reply", {}, question), b"reply"))


def test_a_cell_that_began_before_anything_was_heard_is_one() -> None:
    kernel = Process()
    assert kernel.computes()
    # Nobody could say when it takes the question: a cell may be before it.
    assert kernel.computes()
    assert len(kernel.shell.sent) == 1
    kernel.answer(heard=False)
    # There may be one behind it.
    assert kernel.computes()
    kernel.answer(heard=True)
    assert not kernel.computes()
    assert kernel.shell.sent == []
    cell = kernel.session.msg("execute_request")["header"]
    kernel.tell("busy", cell)
    assert kernel.computes()
    kernel.tell("idle", cell)
    assert not kernel.computes()


def test_another_process_has_to_be_heard_anew() -> None:
    kernel = Process()
    kernel.computes()
    kernel.answer(heard=True)
    assert not kernel.computes()
    kernel.provisioner.pid = 2
    assert kernel.computes()
    kernel.answer(heard=True)
    assert not kernel.computes()


def test_one_that_died_before_it_was_heard_computes_nothing() -> None:
    kernel = Process()
    kernel.alive = False
    assert not kernel.computes()
    assert not kernel.computes()
    assert kernel.shell.sent == []
