"""Which kernels compute, by what they tell."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from coursehub_kernels import ASK_S, Kernels, Requests
from hypothesis import given
from hypothesis import strategies as st


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
