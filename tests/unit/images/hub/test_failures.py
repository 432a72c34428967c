"""When a hub that starts no server ends."""

from __future__ import annotations

from typing import Any

import pytest
from coursehub_hub.failures import LEAST_S, STUDENTS, Failures, has_no_room


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_one_student_who_tries_again_and_again_ends_no_hub() -> None:
    clock = Clock()
    failures = Failures(clock)
    failures.begin()
    clock.now += LEAST_S
    assert not any(failures.failed("ann") for _try in range(10 * STUDENTS))


def test_many_students_in_a_row_do() -> None:
    clock = Clock()
    failures = Failures(clock)
    failures.begin()
    clock.now += LEAST_S
    assert [failures.failed(f"student-{number}") for number in range(STUDENTS)] == [*[False] * (STUDENTS - 1), True]


def test_one_that_comes_through_says_that_the_hub_is_well() -> None:
    clock = Clock()
    failures = Failures(clock)
    failures.begin()
    clock.now += LEAST_S
    for number in range(4 * STUDENTS):
        if number % (STUDENTS - 1) == 0:
            failures.succeeded()
        assert not failures.failed(f"student-{number}")


def test_a_hub_that_has_just_begun_goes_on() -> None:
    """Where it is not the hub's fault, hub after hub would end."""
    clock = Clock()
    failures = Failures(clock)
    failures.begin()
    clock.now += LEAST_S - 1
    assert not any(failures.failed(f"student-{number}") for number in range(100))
    clock.now += 1
    assert failures.failed("another")


def test_the_time_for_which_a_hub_stood_by_does_not_count() -> None:
    clock = Clock()
    failures = Failures(clock)
    clock.now += 10 * LEAST_S
    failures.begin()
    assert not any(failures.failed(f"student-{number}") for number in range(100))
    clock.now += LEAST_S
    failures.begin()
    assert failures.failed("another")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}, True),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]}, False),
        ({"conditions": []}, False),
        ({}, False),
    ],
)
def test_whether_a_pod_finds_no_node_is_the_schedulers_word(status: dict[str, Any], expected: bool) -> None:
    assert has_no_room({"status": status}) == expected
    assert not has_no_room(None)
