"""What a cluster was used for, and the page of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost, _cost_page
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import cluster_usage_info
from hypothesis import given
from hypothesis import strategies as st

TEN = datetime(2026, 9, 1, 10, tzinfo=UTC)
PRICES = {"small": 1.0, "large": 4.0}
BERLIN = ZoneInfo("Europe/Berlin")
FILE = {"since": "", "until": "", "time_zone": "UTC"}


def sample(minutes: float, nodes: dict[str, int], seats: int, *students: str, waits: tuple[float, ...] = ()) -> Any:
    servers = {one: "data" if one < "m" else "maths" for one in students}
    return _cost.Sample(TEN + timedelta(minutes=minutes), nodes, seats, servers, waits)


DAY = [
    sample(0, {"small": 1}, 4, "alice", "zoe", waits=(10.0,)),
    sample(15, {"small": 2}, 8, "alice", waits=(20.0, 30.0)),
    sample(30, {"large": 1}, 16),
    sample(45, {}, 0),
]


def test_hours_and_costs_are_of_what_was_until_the_next_sample() -> None:
    told = _cost.usage(DAY, PRICES)
    assert told.node_hours == {"small": 0.75, "large": 0.25}
    assert told.server_hours == 0.75
    assert told.seat_hours == 7
    assert told.cost == pytest.approx(0.25 * 1 + 0.25 * 2 + 0.25 * 4)
    assert told.by_student == {"alice": pytest.approx(0.0625 + 0.0625), "zoe": pytest.approx(0.0625)}
    assert told.by_course == {"data": pytest.approx(0.125), "maths": pytest.approx(0.0625)}
    assert told.waste == pytest.approx(told.cost - 0.1875)
    assert told.static_cost == pytest.approx(0.75 * 4)


def test_of_a_gap_nothing_is_counted() -> None:
    gap = [DAY[0], sample(60, {"small": 1}, 4)]
    told = _cost.usage(gap, PRICES)
    assert (told.cost, told.unseen_hours, told.static_cost) == (0, 1, 0)


def test_a_type_without_a_price_is_named() -> None:
    with pytest.raises(CoursehubError, match=r"lacks large, which was used \(it has small\)"):
        _cost.usage(DAY, {"small": 1.0})


GOOD = '{"at": "2026-09-01T10:00:00Z", "nodes": {"small": 1}, "seats": 4, "servers": {"alice": "data"}}'


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        GOOD.replace("Z", ""),
        GOOD.replace('"seats": 4', '"seats": -4'),
        GOOD.replace('"small": 1', '"small": "many"'),
        GOOD.replace('"seats": 4', '"seats": 4, "asked_mib": -1'),
        GOOD.replace('"seats": 4', '"seats": 4, "used_mib": "much"'),
        GOOD.replace('{"alice": "data"}', '["alice"]'),
    ],
)
def test_a_line_that_is_no_sample_is_named(line: str) -> None:
    with pytest.raises(CoursehubError, match="line 2 is no sample"):
        _cost.parse_samples(f"{GOOD}\n{line}\n{GOOD}")


def test_samples_are_put_in_order_and_one_is_too_few() -> None:
    late = GOOD.replace("10:00", "11:00")
    assert [one.at.hour for one in _cost.parse_samples(f"{late}\n\n{GOOD}\n")] == [10, 11]
    with pytest.raises(CoursehubError, match="there are 1 samples, and hours"):
        _cost.usage(_cost.parse_samples(GOOD), PRICES)


def test_what_was_before_a_day_does_not_count() -> None:
    days = [GOOD.replace("-01T", f"-0{day}T") for day in (1, 2, 3)]
    utc = ZoneInfo("UTC")
    for since, until, counted in (
        ("", "", [1, 2, 3]),
        ("2026-09-02", "", [2, 3]),
        ("", "2026-09-02", [1, 2]),
        ("2026-09-02", "2026-09-02", [2]),
    ):
        span = cluster_usage_info.span_of(since, until, utc)
        assert [one.at.day for one in _cost.parse_samples("\n".join(days), *span)] == counted
    with pytest.raises(CoursehubError, match="since is '1st of May': write a day"):
        cluster_usage_info.span_of("1st of May", "", utc)
    for day in ("2026-09-31", "9999-12-31"):
        with pytest.raises(CoursehubError, match=f"until is '{day}': write a day"):
            cluster_usage_info.span_of("", day, utc)
    with pytest.raises(CoursehubError, match="since is '2026-09-02' and until is '2026-09-01', which is before it"):
        cluster_usage_info.span_of("2026-09-02", "2026-09-01", utc)


def test_days_are_the_courses() -> None:
    # Clocks go back on that day, which has 25 hours.
    first, last = cluster_usage_info.span_of("2026-11-01", "2026-11-01", ZoneInfo("America/Los_Angeles"))
    assert first == datetime(2026, 11, 1, 7, tzinfo=UTC)
    assert last == datetime(2026, 11, 2, 8, tzinfo=UTC)


students = st.lists(st.sampled_from(["alice", "bob", "zoe"]), unique=True)
looks = st.tuples(st.floats(0, 40), st.integers(0, 9), st.integers(0, 20), students)


def in_order(found: list[tuple[float, int, int, list[str]]]) -> list[_cost.Sample]:
    return [sample(at, {"small": nodes}, seats, *who) for at, nodes, seats, who in sorted(found)]


lists = st.lists(looks, min_size=2, max_size=20).map(in_order)


@given(lists)
def test_what_is_paid_is_somebodys_or_nobodys(samples: list[_cost.Sample]) -> None:
    told = _cost.usage(samples, PRICES)
    assert sum(told.by_student.values()) + told.waste == pytest.approx(told.cost)
    assert sum(told.by_course.values()) == pytest.approx(sum(told.by_student.values()))
    assert told.static_cost >= told.cost - 1e-9


@given(lists)
def test_a_sample_is_the_same_when_it_is_read_again(samples: list[_cost.Sample]) -> None:
    whole = [replace(one, at=one.at.replace(microsecond=0), asked_mib=7, used_mib=one.seats or None) for one in samples]
    assert _cost.parse_samples("\n".join(_cost.as_line(one) for one in whole)) == whole


def page_of(samples: list[_cost.Sample]) -> str:
    told = _cost.usage(samples, PRICES)
    return _cost_page.page(told, _cost.as_result(told), BERLIN)


def test_the_page_has_nodes_beside_seats_by_the_clock_of_the_course() -> None:
    page = page_of(DAY)
    plot = page.split("<svg")[1].split("</svg>")[0]
    words = re.findall(r">([^<>]+)</text>", plot)
    # Ten is noon there; 16 seats and two nodes at most.
    assert words == ["09-01 12:00", "0", "16", "seats", "servers", "2", "nodes"]
    assert "by the clock of Europe/Berlin" in page
    lines = [[tuple(map(float, at.split(","))) for at in one.split()] for one in re.findall(r'points="([^"]+)"', plot)]
    top, bottom = _cost_page.MARGIN, _cost_page.HEIGHT - _cost_page.MARGIN
    # One node, two, one, none, each until the next sample, by their own scale.
    heights = [(bottom - y) / (bottom - top) for _x, y in lines[2]]
    assert heights == pytest.approx([0.5, 0.5, 1, 1, 0.5, 0.5, 0])


@pytest.mark.parametrize(
    ("hours", "labels"),
    [
        (0.5, ["10-24 12:05"]),
        (3, ["10-24 13:00", "10-24 14:00", "10-24 15:00"]),
        # On the 25th clocks go back.
        (24, ["10-24 15:00", "10-24 18:00", "10-24 21:00", "10-25 00:00", "10-25 03:00", "10-25 06:00", "10-25 09:00"]),
        (48, ["10-24 18:00", "10-25 00:00", "10-25 06:00", "10-25 12:00", "10-25 18:00", "10-26 00:00", "10-26 06:00"]),
        (120, [f"2026-10-{day}" for day in range(25, 30)]),
        (24 * 20, ["2026-10-31", "2026-11-07"]),
    ],
)
def test_times_are_whole_ones_of_the_clock(hours: float, labels: list[str]) -> None:
    first = datetime(2026, 10, 24, 10, 5, tzinfo=UTC)
    found = _cost_page.ticks(first, first + timedelta(hours=hours), BERLIN)
    assert [label for _at, label in found] == labels
    midnights = [at for at, label in found if label in ("10-25 00:00", "2026-10-25")]
    assert midnights in ([], [pytest.approx(12 - 5 / 60)])
    assert [at for at, label in found if label in ("10-26 00:00", "2026-10-26")] in ([], [pytest.approx(37 - 5 / 60)])


def test_an_hour_that_is_left_out_is_not_written() -> None:
    first = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    found = _cost_page.ticks(first, first + timedelta(hours=2), BERLIN)
    assert sorted(set(found)) == [(0.5, "03-29 03:00"), (1.5, "03-29 04:00")]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)), st.floats(0, 24 * 200))
def test_there_is_room_for_all_times(first: datetime, hours: float) -> None:
    found = _cost_page.ticks(first, first + timedelta(hours=hours), BERLIN)
    assert 1 <= len(found) <= _cost_page.LABELS
    assert all(0 <= at <= hours + 1e-6 for at, _label in found)


def test_the_page_loads_nothing_and_shows_names_as_they_are() -> None:
    evil = _cost.Sample(TEN, {"small": 1}, 4, {"alice": "<script>alert(1)</script>"})
    page = page_of([evil, *DAY[1:]])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert page.count("<svg") == 4
    for svg in page.split("<svg")[1:]:
        ElementTree.fromstring(f"<svg{svg.split('</svg>')[0]}</svg>")


def test_a_long_time_makes_no_large_page_and_no_peak_is_lost() -> None:
    line = [(float(at), 5.0 if at == 7777 else 1.0) for at in range(10000)]
    thin = _cost_page.thinned(line)
    assert len(thin) <= _cost_page.POINTS + 1
    assert (7777.0, 5.0) in thin
    assert thin[-1] == line[-1]


def test_a_page_looks_at_each_cost_once() -> None:
    compared = 0

    class Cost(float):
        def __gt__(self, other: float) -> bool:
            nonlocal compared
            compared += 1
            return float(self) > other

    # Of half a year there are 52,000 points: each compared with all others took 22 s.
    told = _cost.usage([sample(minute, {"small": 1}, 4) for minute in range(300)], PRICES)
    told.points = [one._replace(cost_an_hour=Cost(one.cost_an_hour)) for one in told.points]
    _cost_page.page(told, _cost.as_result(told), BERLIN)
    assert 0 < compared < 3 * len(told.points)


def test_the_module_returns_both(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    later = {**json.loads(GOOD), "at": "2026-09-01T10:15:00Z", "waits": [1, 2]}
    path.write_text(f"{GOOD}\n{json.dumps(later)}\n", encoding="utf-8")
    result = cluster_usage_info.run({**FILE, "samples": str(path), "prices": {"small": "2"}})
    assert result["usage"]["cost"] == 0.5
    assert result["usage"]["wait_p95_s"] == 2
    assert result["html"].startswith("<!doctype html>")
    assert not result["changed"]


@pytest.mark.parametrize("price", ["free", -1, None, float("nan")])
def test_a_price_that_is_none(price: object) -> None:
    with pytest.raises(CoursehubError, match="the price of small is"):
        cluster_usage_info.run({**FILE, "samples": "/nowhere", "prices": {"small": price}})


def test_samples_that_cant_be_read() -> None:
    with pytest.raises(CoursehubError, match="the samples /nowhere can't be read"):
        cluster_usage_info.run({**FILE, "samples": "/nowhere", "prices": {}})
