"""A process that was frozen ends before it asks Drive for anything more."""

from __future__ import annotations

from typing import Any

import pytest
from coursehub_tools.drive import awake, client
from coursehub_tools.drive.awake import BEAT_S, FROZEN_S, Watch
from coursehub_tools.drive.pacer import Pacer, Rates
from coursehub_tools.result import TOLD_TO_END


class Ended(BaseException):
    """The process would be gone."""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def end(code: int) -> None:
    raise Ended(code)


def test_one_that_beats_goes_on_for_ever() -> None:
    clock = Clock()
    watch = Watch(clock, end)
    for _second in range(1000):
        watch.beat()
        clock.now += BEAT_S
        watch.see()


@pytest.mark.parametrize("look", [Watch.see, Watch.beat])
def test_one_that_was_frozen_ends_whoever_looks_first(look: Any, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    watch = Watch(clock, end)
    watch.beat()
    clock.now += FROZEN_S + 0.1
    with pytest.raises(Ended) as ended:
        look(watch)
    # A Job has another pod follow one that ends so.
    assert ended.value.args == (TOLD_TO_END,) == (143,)
    assert "frozen" in capsys.readouterr().out


def test_one_that_is_frozen_while_it_beats_is_found_out() -> None:
    clock = Clock()

    def frozen_once_it_was_read() -> float:
        now, clock.now = clock.now, clock.now + FROZEN_S + 1
        return now

    watch = Watch(frozen_once_it_was_read, end)
    watch.beat()
    with pytest.raises(Ended):
        watch.see()


def test_one_that_was_never_started_says_nothing() -> None:
    Watch(Clock(), end).see()


def test_drive_is_asked_for_nothing_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = Clock(), []
    watch = Watch(clock, end)
    watch.beat()
    monkeypatch.setattr(awake, "WATCH", watch)
    one = client.Client(None, Pacer(Rates()))
    one._once(lambda: asked.append("before"), 0, write=True)
    clock.now += FROZEN_S + 1
    with pytest.raises(Ended):
        one._once(lambda: asked.append("after"), 0, write=True)
    assert asked == ["before"]
