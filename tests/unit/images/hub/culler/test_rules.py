"""When a server is over its limit."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from coursehub_hub.culler import notice, rules
from coursehub_hub.culler.rules import NEVER, Limit, Night, Rules
from hypothesis import given
from hypothesis import strategies as st

ZURICH = ZoneInfo("Europe/Zurich")
DAY = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = 3600.0

seconds = st.floats(0, 1e6)
limits = st.builds(Limit, st.sampled_from([0.0, 900.0, HOUR]), st.sampled_from([0.0, HOUR, 8 * HOUR]))
clock = st.times(timezones=st.none())
nights = st.builds(Night, clock, clock, st.just(ZURICH), st.sampled_from([0.0, 900.0]), st.booleans())
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


def test_by_day() -> None:
    limit = Rules(Limit(HOUR, 8 * HOUR))
    assert not limit.ended([], HOUR - 1, 2 * HOUR, DAY)
    assert limit.ended([], HOUR, 2 * HOUR, DAY)
    assert limit.ended([], 0, 8 * HOUR, DAY), "too old, whatever it does"


def test_groups() -> None:
    all_of_them = Rules(Limit(HOUR), {"staff": Limit(4 * HOUR), "lab": Limit(2 * HOUR, 6 * HOUR), "gpu": Limit(900)})
    assert all_of_them.limit_for([]) == Limit(HOUR)
    assert all_of_them.limit_for(["others"]) == Limit(HOUR)
    # One of one's own counts, also where it is shorter.
    assert all_of_them.limit_for(["gpu"]) == Limit(900)
    assert all_of_them.limit_for(["lab", "staff"]) == Limit(4 * HOUR, NEVER)


@pytest.mark.parametrize(
    ("local", "begun"),
    [
        ("2026-11-24T22:59", None),
        ("2026-11-24T23:00", "2026-11-24T23:00"),
        ("2026-11-25T05:59", "2026-11-24T23:00"),
        ("2026-11-25T06:00", None),
        # The clocks go back in this one.
        ("2026-10-25T02:30", "2026-10-24T23:00"),
    ],
)
def test_a_night_over_midnight(local: str, begun: str | None) -> None:
    night = Night(time(23), time(6), ZURICH, 900)
    now = datetime.fromisoformat(local).replace(tzinfo=ZURICH)
    expected = datetime.fromisoformat(begun).replace(tzinfo=ZURICH) if begun else None
    assert night.begun(now.astimezone(UTC)) == expected


def test_at_night_fewer_are_left_and_none_where_that_is_asked_for() -> None:
    at_one = datetime(2026, 11, 24, 1, tzinfo=ZURICH)
    later = at_one + timedelta(minutes=10)
    night = Night(time(1), time(6), ZURICH, 900)
    some = Rules(Limit(NEVER), {"staff": Limit(NEVER)}, night)
    assert some.ended(["staff"], 900, 9000, later)
    # A kernel that computes is not idle.
    assert not some.ended([], 10, 9000, later)
    everything = Rules(Limit(HOUR), {}, Night(time(1), time(6), ZURICH, 900, everything=True))
    assert everything.ended([], 10, 9000, later)
    # Who comes back in the night has come to work.
    assert not everything.ended([], 10, 300, later)
    assert not everything.ended([], 10, 9000, at_one - timedelta(minutes=1))


@given(st.builds(Rules, limits, st.dictionaries(st.sampled_from("abc"), limits), st.none() | nights), moments)
def test_no_rules_end_nothing(all_of_them: Rules, now: datetime) -> None:
    if all_of_them.empty:
        assert not all_of_them.ended(["a"], 1e9, 1e9, now)
        assert notice.for_all(all_of_them) == ""


@given(
    st.builds(Rules, limits, st.dictionaries(st.sampled_from("abc"), limits), st.none() | nights),
    st.sets(st.sampled_from("abcd")),
    seconds,
    seconds,
    moments,
)
def test_who_works_longer_is_not_ended_sooner(
    all_of_them: Rules, groups: set[str], idle_s: float, age_s: float, now: datetime
) -> None:
    if not all_of_them.ended(groups, idle_s, age_s, now):
        assert not all_of_them.ended(groups, idle_s / 2, age_s, now)
    if all_of_them.night is None and all_of_them.limit_for(groups) == Limit():
        assert not all_of_them.ended(groups, idle_s, age_s, now)


@given(nights, moments)
def test_it_is_night_so_long_as_it_says(night: Night, now: datetime) -> None:
    begun = night.begun(now)
    if begun is not None:
        assert begun <= now
        assert begun.timetz().replace(tzinfo=None) == night.begin
        assert now - begun <= timedelta(hours=25)


VALUES: dict[str, Any] = {
    "idle": 3600,
    "max_age": 0,
    "groups": {"staff": {"idle": 14400}, "lab": {"idle": 5400, "max_age": 86400}},
    "night": {"from": "01:00", "until": "06:00", "time_zone": "Europe/Zurich", "idle": 900, "everything": True},
}


def test_what_the_role_writes() -> None:
    assert rules.parse(VALUES) == Rules(
        Limit(3600), {"staff": Limit(14400), "lab": Limit(5400, 86400)}, Night(time(1), time(6), ZURICH, 900, True)
    )
    assert rules.parse({**VALUES, "idle": 0, "groups": {}, "night": {}}).empty


def test_what_students_are_told() -> None:
    told = notice.for_all(rules.parse(VALUES))
    assert told.startswith(
        "Your server is stopped after 1 hour in which nothing happens in it. For lab: after 90 minutes"
    )
    assert "1440 minutes" not in told
    assert "24 hours after its start, whatever it does" in told
    assert "At night, from 01:00 to 06:00 (Europe/Zurich), 15 minutes are enough." in told
    assert "At 01:00 (Europe/Zurich) all servers are stopped" in told
    assert told.endswith(notice.KEEP)
    assert notice.for_one(rules.parse(VALUES), ["staff"]).startswith("Your server is stopped after 4 hours")
    assert notice.for_one(rules.parse({**VALUES, "idle": 0, "night": {}}), []) == ""
