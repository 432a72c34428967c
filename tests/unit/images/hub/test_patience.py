from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from coursehub_hub import patience
from coursehub_hub.patience import patiently


class RefusedError(Exception):
    """As the client raises it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"({status})")
        self.status = status


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_S", 0.001)


def asked(*answers: Any, seconds: float = 120) -> Any:
    left = list(answers)

    async def call(word: str) -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return f"{word} {answer}"

    return asyncio.run(patiently(seconds, call, "said"))


@pytest.mark.parametrize(
    "problem",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        aiohttp.ServerDisconnectedError(),
        RefusedError(429),
        RefusedError(500),
        RefusedError(503),
    ],
)
def test_a_server_that_is_away_is_waited_for(problem: Exception) -> None:
    assert asked(problem, problem, "yes") == "said yes"


@pytest.mark.parametrize("problem", [RefusedError(403), RefusedError(404), RefusedError(409), KeyError("a defect")])
def test_a_refusal_is_told_at_once(problem: Exception) -> None:
    with pytest.raises(type(problem)):
        asked(problem, "yes")


def test_not_for_ever() -> None:
    with pytest.raises(ConnectionRefusedError):
        asked(*[ConnectionRefusedError()] * 3, seconds=0)


def test_it_is_known_that_somebody_had_to_wait() -> None:
    begun = time.monotonic()
    asked("well")
    assert not patience.waited_since(begun)
    asked(TimeoutError(), "well")
    assert patience.waited_since(begun)
    assert not patience.waited_since(time.monotonic() + 1)
