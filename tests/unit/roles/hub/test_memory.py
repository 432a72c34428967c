"""How long what the hub said counts, with it and without."""

from __future__ import annotations

from typing import Any

import pytest
from coursehub_memory import Answers, Line
from hypothesis import given
from hypothesis import strategies as st

ALICE = {"name": "alice"}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def answers(clock: Clock) -> Answers:
    return Answers(300, 3600, clock)


def user(answer: Any) -> Any:
    return answer and answer.user


def test_an_answer_counts_for_a_while_and_stands_for_longer(answers: Answers, clock: Clock) -> None:
    answers.keep("alice", ALICE)
    clock.now += 299
    assert user(answers.fresh("alice")) == ALICE
    clock.now += 1
    assert answers.fresh("alice") is None
    assert user(answers.stale("alice")) == ALICE
    clock.now += 3299
    assert user(answers.stale("alice")) == ALICE
    clock.now += 1
    assert answers.stale("alice") is None


def test_a_refusal_counts_but_never_stands(answers: Answers, clock: Clock) -> None:
    answers.keep("nobody", None)
    fresh = answers.fresh("nobody")
    assert fresh is not None
    assert fresh.user is None
    assert answers.stale("nobody") is None
    clock.now += 300
    assert answers.fresh("nobody") is None


def test_who_is_refused_later_has_nothing_that_stands(answers: Answers, clock: Clock) -> None:
    answers.keep("alice", ALICE)
    clock.now += 300
    answers.keep("alice", None)
    clock.now += 300
    assert answers.stale("alice") is None


def test_what_nobody_asked_about(answers: Answers) -> None:
    assert answers.fresh("alice") is None
    assert answers.stale("alice") is None


def test_a_limit_below_the_usual_time_takes_nothing_from_it(clock: Clock) -> None:
    answers = Answers(300, 0, clock)
    answers.keep("alice", ALICE)
    clock.now += 200
    assert user(answers.fresh("alice")) == ALICE
    assert answers.stale("alice") is None


def test_a_flood_of_wrong_tokens_is_forgotten(answers: Answers, clock: Clock) -> None:
    answers.keep("alice", ALICE)
    for number in range(1000):
        answers.keep(f"wrong-{number}", None)
    clock.now += 301
    answers.keep("another", None)
    assert len(answers) == 2
    assert user(answers.stale("alice")) == ALICE


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0, 2000)), max_size=40), st.floats(0, 8000))
def test_what_stands_is_the_last_word_and_within_the_limit(said: list[tuple[str, bool, float]], later: float) -> None:
    clock = Clock()
    answers = Answers(300, 3600, clock)
    last: dict[str, tuple[bool, float]] = {}
    for key, good, pause in said:
        answers.keep(key, {"name": key} if good else None)
        last[key] = (good, clock.now)
        clock.now += pause
    clock.now += later
    for key in "ab":
        good, at = last.get(key, (False, 0.0))
        assert (answers.stale(key) is not None) == (good and clock.now - at < 3600)
        assert (answers.fresh(key) is not None) == (key in last and clock.now - at < 300)


def test_the_hub_goes_away_once_and_comes_back_once(clock: Clock) -> None:
    line = Line(10, clock)
    assert not line.away
    assert line.answered() is None
    assert line.failed()
    assert line.away
    clock.now += 30
    assert not line.failed()
    clock.now += 15
    assert line.answered() == 45
    assert line.answered() is None
    assert not line.away


def test_a_hub_that_is_away_is_asked_by_one_at_a_time(clock: Clock) -> None:
    line = Line(10, clock)
    line.failed()
    assert [line.take_turn() for _student in range(3)] == [False] * 3
    clock.now += 10
    assert [line.take_turn() for _student in range(3)] == [True, False, False]
