"""Faults strike the calls that they are for."""

from __future__ import annotations

from typing import Any

import pytest
from drive_emulator.faults import Faults, Plan, parse

ERROR = {"status": 503, "reason": "backendError"}


def struck(rule: dict[str, Any], calls: int = 6) -> list[bool]:
    faults = Faults()
    faults.rules.append(parse(rule))
    return [faults.plan("drive.files.create", "ada@example.org") != Plan() for _turn in range(calls)]


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        ({}, "100000"),
        ({"nth": 3}, "001000"),
        ({"nth": 2, "times": 3}, "011100"),
        ({"nth": 2, "times": 0}, "011111"),
        ({"method": "drive.files.*"}, "100000"),
        ({"method": "drive.files.get"}, "000000"),
        ({"identity": "*@example.org"}, "100000"),
        ({"identity": "ben@*"}, "000000"),
        ({"probability": 0, "times": 0}, "000000"),
        ({"probability": 1, "times": 2}, "110000"),
    ],
)
def test_rules_strike_by_place(rule: dict[str, Any], hits: str) -> None:
    assert struck({"error": ERROR, **rule}) == [hit == "1" for hit in hits]


def test_chance_is_the_same_each_time() -> None:
    rule = {"error": ERROR, "probability": 0.5, "times": 0, "seed": 7}
    hits = struck(rule, 200)
    assert hits == struck(rule, 200)
    assert 60 < sum(hits) < 140
    assert hits != struck(rule | {"seed": 8}, 200)


def test_what_a_fault_does() -> None:
    faults = Faults()
    for rule in (
        {"error": {"status": 429, "reason": "rateLimitExceeded", "domain": "usageLimits", "retry_after": 7}},
        {"error": ERROR, "after": True},
        {"delay_s": 1.5},
        {"delay_s": 1},
        {"cut_after_bytes": 100},
        {"cut_after_bytes": 10, "expire_session": True},
    ):
        faults.rules.append(parse(rule))
    plan = faults.plan("drive.files.get", "ada")
    assert (plan.delay_s, plan.cut_after_bytes, plan.expire_session) == (2.5, 10, True)
    assert plan.before is not None
    assert (plan.before.status, plan.before.headers()) == (429, {"Retry-After": "7"})
    assert plan.before.body()["error"]["errors"][0]["domain"] == "usageLimits"
    assert plan.after is not None
    assert (plan.after.status, plan.after.reason) == (503, "backendError")


@pytest.mark.parametrize(
    "rule",
    [
        [],
        {},
        {"nth": 1},
        {"error": ERROR, "nth": 0},
        {"error": ERROR, "nth": True},
        {"error": ERROR, "times": -1},
        {"error": ERROR, "method": 7},
        {"error": ERROR, "probability": "often"},
        {"error": ERROR, "typo": 1},
        {"error": {"status": 200, "reason": "a"}},
        {"error": {"status": 500}},
        {"error": {"status": 500, "reason": "a", "more": "b"}},
        {"error": {"status": 500, "reason": 1}},
        {"error": "backendError"},
        {"delay_s": -1},
        {"cut_after_bytes": 1.5},
    ],
)
def test_wrong_rules_are_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(rule)
