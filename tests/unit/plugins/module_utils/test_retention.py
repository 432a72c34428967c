from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _retention
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._retention import Snapshot, Within
from hypothesis import given
from hypothesis import strategies as st

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


def kept(moments: list[datetime], time_zone: str = "UTC", **keep: Any) -> list[datetime]:
    """Return which moments stay, the newest first."""
    shots = [Snapshot(str(number), moment) for number, moment in enumerate(moments)]
    found = _retention.reasons(shots, _retention.parse_policy(keep, time_zone))
    return sorted((moments[int(name)] for name in found), reverse=True)


def hours(*back: float) -> list[datetime]:
    return [START - timedelta(hours=number) for number in back]


def days(*back: float) -> list[datetime]:
    return hours(*(24 * number for number in back))


# What the words mean.


def test_last_counts_snapshots() -> None:
    assert kept(hours(0, 1, 2, 3), last=2) == hours(0, 1)


def test_of_each_hour_the_newest_stays() -> None:
    moments = hours(0, 0.1, 0.2, 1, 1.1, 2, 30)
    # 12:00, 11:54, 11:48, 11:00, 10:54: three hours of the day, and two of them have two.
    assert kept(moments, hourly=3) == hours(0, 0.1, 1.1)


def test_of_each_day_the_newest_stays() -> None:
    assert kept([*days(0, 1, 2, 3), *hours(1, 25)], daily=3) == days(0, 1, 2)


def test_periods_without_a_snapshot_do_not_count() -> None:
    assert kept(days(0, 10, 20, 30), daily=3) == days(0, 10, 20)


def test_a_week_begins_on_monday() -> None:
    # 2026-03-01 is a Sunday: the six days before are of its week.
    assert kept(days(*range(15)), weekly=2) == days(0, 7)


def test_the_first_days_of_a_year_are_of_the_last_week_of_the_one_before() -> None:
    # ISO week 53 of 2026 is from 28 December to 3 January.
    moments = [datetime(2027, 1, 2, tzinfo=UTC), datetime(2026, 12, 29, tzinfo=UTC), datetime(2026, 12, 27, tzinfo=UTC)]
    assert kept(moments, weekly=1) == moments[:1]
    assert kept(moments, weekly=2) == [moments[0], moments[2]]


def test_months_and_years() -> None:
    moments = [datetime(year, month, 15, tzinfo=UTC) for year in (2026, 2025) for month in (3, 2, 1)]
    assert kept(moments, monthly=2) == moments[:2]
    assert kept(moments, yearly=2) == [moments[0], moments[3]]


def test_the_oldest_stays_while_there_is_a_count_left() -> None:
    # As restic does: all of one year, and two years are to be kept.
    assert kept(days(0, 1, 2), yearly=2) == days(0, 2)
    assert kept(days(0, 1, 2), yearly=1) == days(0)


def test_words_add_up() -> None:
    assert kept(days(*range(40)), daily=2, monthly=2) == days(0, 1)
    assert kept(days(*range(70)), daily=2, monthly=3) == days(0, 1, 29)


@pytest.mark.parametrize("word", WORDS)
def test_minus_one_keeps_all_of_a_word(word: str) -> None:
    moments = [START.replace(year=2026 - number) for number in range(5)]
    assert kept(moments, **{word: -1}) == moments


def test_within_counts_from_the_newest_and_not_from_now() -> None:
    assert kept(days(0, 6, 7, 8), within="7d") == days(0, 6)
    assert kept(hours(0, 1, 3), within="2h") == hours(0, 1)


@pytest.mark.parametrize(
    ("span", "before"),
    [
        (Within(days=1), datetime(2026, 3, 30)),
        (Within(hours=25), datetime(2026, 3, 29, 23)),
        # February has no 31st: three days into March.
        (Within(months=1), datetime(2026, 3, 3)),
        (Within(years=2, months=3), datetime(2023, 12, 31)),
        (Within(years=5000), datetime.min),
        (Within(days=10**6), datetime.min),
    ],
)
def test_a_span_is_of_the_calendar(span: Within, before: datetime) -> None:
    assert span.before(datetime(2026, 3, 31)) == before


# Time zones.


def test_a_day_is_that_of_the_course() -> None:
    # 23:30 and 00:30 in Berlin are of two days there, and of one in UTC.
    moments = [datetime(2026, 3, 10, 23, 30, tzinfo=UTC), datetime(2026, 3, 10, 22, 30, tzinfo=UTC)]
    assert len(kept(moments, "UTC", daily=1)) == 1
    assert kept(moments, "Europe/Berlin", daily=2) == moments
    assert len(kept(moments, "Europe/Berlin", daily=1)) == 1


def test_the_hour_that_comes_twice_in_autumn_is_one_hour() -> None:
    # 02:30 summer time and 02:30 winter time, on 2026-10-25 in Berlin.
    moments = [datetime(2026, 10, 25, 1, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    assert {moment.astimezone(ZoneInfo("Europe/Berlin")).hour for moment in moments} == {2}
    assert kept([*moments, moments[1] - timedelta(hours=5)], "Europe/Berlin", hourly=1) == moments[:1]


# What may never go.


@pytest.mark.parametrize(
    ("good", "pending", "stays"), [(True, False, True), (False, False, False), (False, True, True)]
)
def test_failed_snapshots_may_go_and_pending_ones_stay(good: bool, pending: bool, stays: bool) -> None:
    policy = _retention.parse_policy({"last": 1}, "UTC")
    found = _retention.reasons([Snapshot("good", START), Snapshot("x", START + timedelta(1), good, pending)], policy)
    assert ("x" in found) == stays
    # One that failed takes no good one's place.
    assert ("good" in found) == (not good)


def test_a_disk_without_a_snapshot() -> None:
    assert _retention.reasons([], _retention.parse_policy({"last": 1}, "UTC")) == {}


# Bad input.


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ({}, "keep would keep nothing: set at least one of its counts, or within"),
        ({"daily": 0, "last": 0}, "keep would keep nothing"),
        ({"days": 7}, "keep has 'days': it may have last, hourly, daily, weekly, monthly, yearly, within"),
        ({"daily": "seven"}, "keep.daily is 'seven': write how many to keep, or -1 for all"),
        ({"daily": -2}, "keep.daily is '-2'"),
        ({"daily": 1.5}, "keep.daily is '1.5'"),
        ({"within": "a week"}, "keep.within is 'a week': write it as in 1y5m7d2h"),
        ({"within": "7"}, "keep.within is '7'"),
        ({"within": "1h1d"}, "keep.within is '1h1d'"),
    ],
)
def test_a_policy_that_is_none(keep: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CoursehubError) as refused:
        _retention.parse_policy(keep, "UTC")
    assert sentence in str(refused.value)


@pytest.mark.parametrize("name", ["Europe/Berln", "", "../../etc/passwd", "/etc/localtime"])
def test_a_time_zone_that_is_none(name: str) -> None:
    with pytest.raises(CoursehubError, match="there is no time zone"):
        _retention.parse_policy({"last": 1}, name)


# Properties, for any history.

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))
HISTORIES = st.lists(
    st.builds(Snapshot, st.uuids().map(str), MOMENTS, good=st.booleans(), pending=st.booleans()),
    max_size=40,
    unique_by=lambda one: one.name,
)
KEEPS = st.fixed_dictionaries(
    {},
    optional={
        **{word: st.integers(-1, 12) for word in WORDS},
        "within": st.builds("{}y{}m{}d{}h".format, *[st.integers(0, 40)] * 4),
    },
).filter(lambda keep: any(keep.values()))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "Pacific/Chatham"])


def stays(history: list[Snapshot], keep: dict[str, Any], zone: str) -> set[str]:
    return set(_retention.reasons(history, _retention.parse_policy(keep, zone)))


@given(HISTORIES, KEEPS, ZONES)
def test_a_history_is_never_emptied(history: list[Snapshot], keep: dict[str, Any], zone: str) -> None:
    good = [one for one in history if one.good and not one.pending]
    if good:
        assert max(good, key=lambda one: (one.taken, one.name)).name in stays(history, keep, zone)


@given(HISTORIES, KEEPS, ZONES)
def test_thinning_out_twice_removes_no_more(history: list[Snapshot], keep: dict[str, Any], zone: str) -> None:
    first = stays(history, keep, zone)
    assert stays([one for one in history if one.name in first], keep, zone) == first


@given(HISTORIES, KEEPS, ZONES, st.sampled_from(WORDS), st.integers(1, 5))
def test_a_larger_count_keeps_no_less(
    history: list[Snapshot], keep: dict[str, Any], zone: str, word: str, more: int
) -> None:
    count = keep.get(word, 0)
    larger = {**keep, word: -1 if count == -1 else count + more}
    assert stays(history, keep, zone) <= stays(history, larger, zone)


@given(HISTORIES, KEEPS, ZONES, st.randoms())
def test_the_order_makes_no_difference(history: list[Snapshot], keep: dict[str, Any], zone: str, random: Any) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)
    policy = _retention.parse_policy(keep, zone)
    assert _retention.reasons(shuffled, policy) == _retention.reasons(history, policy)


@given(HISTORIES, KEEPS, ZONES)
def test_a_snapshot_that_failed_never_stays(history: list[Snapshot], keep: dict[str, Any], zone: str) -> None:
    failed = {one.name for one in history if not one.good and not one.pending}
    assert stays(history, keep, zone).isdisjoint(failed)
