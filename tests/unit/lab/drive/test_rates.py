"""Rates are as the limits say, for each identity and each project."""

from __future__ import annotations

import pytest
from drive_emulator.errors import DriveError
from drive_emulator.limits import Limits
from drive_emulator.rates import Rates, units
from hypothesis import given
from hypothesis import strategies as st


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(
    rates: Rates, limits: Limits, user: str = "ada", app: str = "app", cost: int = 50, write: bool = False
) -> str:
    try:
        rates.call(limits, user, app, cost, write=write)
    except DriveError as error:
        return f"{error.status} {error.reason}"
    return "yes"


def test_units() -> None:
    limits = Limits()
    found = {
        name: units(limits, name, download=False)
        for name in ("drive.files.get", "drive.files.list", "drive.files.create", "drive.permissions.delete")
    }
    assert list(found.values()) == [5, 100, 50, 50]
    assert units(limits, "drive.files.get", download=True) == 200


def test_an_identity_has_its_units_a_minute() -> None:
    time, limits = Time(), Limits(user_units_per_minute=100)
    rates = Rates(time)
    assert [admitted(rates, limits) for _turn in range(3)] == ["yes", "yes", "403 userRateLimitExceeded"]
    assert admitted(rates, limits, "ben") == "yes"
    assert admitted(rates, limits, app="other") == "yes"
    time.now += 30
    assert [admitted(rates, limits) for _turn in range(2)] == ["yes", "403 userRateLimitExceeded"]
    time.now += 3600
    assert [admitted(rates, limits) for _turn in range(3)] == ["yes", "yes", "403 userRateLimitExceeded"]


def test_a_project_has_its_units_a_minute() -> None:
    rates, limits = Rates(Time()), Limits(project_units_per_minute=100, rate_status=429)
    found = [admitted(rates, limits, user) for user in ("ada", "ben", "cyd")]
    assert found == ["yes", "yes", "429 rateLimitExceeded"]
    assert admitted(rates, limits, app="other") == "yes"


def test_a_refused_call_costs_nothing() -> None:
    time, limits = Time(), Limits(user_units_per_minute=60)
    rates = Rates(time)
    assert admitted(rates, limits) == "yes"
    for _turn in range(100):
        assert admitted(rates, limits) != "yes"
    time.now += 40
    assert admitted(rates, limits) == "yes"


def test_writes_a_second() -> None:
    time, limits = Time(), Limits(user_writes_per_second=2)
    rates = Rates(time)
    found = [admitted(rates, limits, write=write) for write in (True, True, True, False)]
    assert found == ["yes", "yes", "403 userRateLimitExceeded", "yes"]
    time.now += 0.5
    assert [admitted(rates, limits, write=True) for _turn in range(2)] == ["yes", "403 userRateLimitExceeded"]


def test_less_than_a_write_a_second() -> None:
    time, limits = Time(), Limits(user_writes_per_second=0.1)
    rates = Rates(time)
    assert [admitted(rates, limits, write=True) for _turn in range(2)] == ["yes", "403 userRateLimitExceeded"]
    time.now += 9
    assert admitted(rates, limits, write=True) == "403 userRateLimitExceeded"
    time.now += 1.1
    assert admitted(rates, limits, write=True) == "yes"


@given(st.lists(st.floats(0, 20), max_size=60))
def test_no_minute_has_more_than_twice_its_units(waits: list[float]) -> None:
    time, limits = Time(), Limits(user_units_per_minute=200)
    rates, when = Rates(time), []
    for wait in waits:
        time.now += wait
        if admitted(rates, limits) == "yes":
            when.append(time.now)
    assert all(sum(50 for other in when if start <= other < start + 60) <= 400 for start in when)
    # And over all, not more than the rate and the first allowance.
    assert 50 * len(when) <= 200 + (time.now - 1000) / 60 * 200 + 1e-6


@pytest.mark.parametrize(
    "values", [{"typo": 1}, {"depth": -1}, {"depth": "many"}, {"rate_status": 500}, {"depth": True}]
)
def test_wrong_limits_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Limits().changed(values)
