"""Samples of what a cluster is used for, as they are taken and kept."""

from __future__ import annotations

import base64
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost, _packing, _samples
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

TEN = datetime(2026, 9, 1, 10, tzinfo=UTC)
MACHINE = _packing.Machine("small", 2.0, 8 << 30, 100, 0.5)


def sample(at: datetime, *students: str) -> _cost.Sample:
    return _cost.Sample(at, {"small": 2}, 8, dict.fromkeys(students, "data"))


def keep(samples: list[_cost.Sample]) -> dict[str, dict[str, Any]]:
    """Keep samples as runs do, one after the other; return the objects by name."""
    objects: dict[str, dict[str, Any]] = {}
    for one in samples:
        item = _samples.added(objects.get(_samples.name_of(_samples.day_of(one.at))), "students", one)
        objects[item["metadata"]["name"]] = item
    return objects


moments = st.lists(st.integers(0, _samples.DAYS * 24 * 12 - 1), min_size=2, max_size=25, unique=True)


@given(moments, st.lists(st.text("abcdefghij-", min_size=1, max_size=40), max_size=9, unique=True))
def test_no_sample_is_lost_within_half_a_year(fives: list[int], students: list[str]) -> None:
    samples = [sample(TEN.replace(hour=0) + five * _samples.EVERY, *students) for five in sorted(fives)]
    objects = keep(samples)
    assert set(objects) <= set(_samples.names())
    read = [_samples.lines(item) for item in _samples.by_day(objects.values())]
    assert [one for text in read for one in _cost.parse_samples(text)] == samples


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=400))
def test_there_are_never_more_objects_than_days_and_the_last_ones_are_kept(days: list[int]) -> None:
    samples = [sample(TEN + timedelta(days=day)) for day in sorted(set(days))]
    objects = keep(samples)
    assert len(objects) <= _samples.DAYS
    # Of what is older, only what nothing has come in the place of.
    recent = [one for one in samples if one.at > samples[-1].at - timedelta(days=_samples.DAYS)]
    kept = "".join(_samples.lines(item) for item in objects.values()).splitlines()
    assert {_cost.as_line(one) for one in recent} <= set(kept)


def test_a_day_of_many_students_is_far_from_what_a_configmap_holds() -> None:
    draw = random.Random(1)
    known = [f"student{number:04}.{draw.getrandbits(40):010x}" for number in range(1000)]
    there, item, largest = set(known[:500]), None, 0
    for five in range(288):
        # One in twelve goes or comes: an hour each.
        for student in draw.sample(known, 80):
            there ^= {student}
        one = sample(TEN.replace(hour=0) + five * _samples.EVERY, *sorted(there))
        item = _samples.added(item, "students", one)
        largest = max(largest, len(base64.b64decode(item["binaryData"]["samples.xz"])))
    assert item is not None
    assert len(_samples.lines(item).splitlines()) == 288
    assert largest < _samples.MOST / 4


def test_more_than_a_configmap_holds_is_refused_and_what_is_kept_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    item = _samples.added(None, "students", sample(TEN, "alice"))
    monkeypatch.setattr(_samples, "MOST", 100)
    with pytest.raises(CoursehubError, match="the samples of 2026-09-01 take more than a ConfigMap holds"):
        _samples.added(item, "students", sample(TEN, "alice"))


def test_an_object_that_is_none_is_named() -> None:
    item = _samples.added(None, "students", sample(TEN, "alice"))
    for broken in ({}, {"samples.xz": "?"}, {"samples.xz": "ä"}, {"samples.xz": "AAAA"}):
        with pytest.raises(CoursehubError, match=r"ConfigMap students/usage-[0-9]{3} holds no samples"):
            _samples.lines({**item, "binaryData": broken})


@pytest.mark.parametrize(
    ("last", "minutes", "due"), [("", 0, True), ("10:00", 4, False), ("10:00", 5, True), ("09:59", 0, True)]
)
def test_it_is_time_once_in_five_minutes(last: str, minutes: float, due: bool) -> None:
    told = datetime.fromisoformat(f"2026-09-01T{last}:00+00:00") if last else None
    assert _samples.due(told, TEN + timedelta(minutes=minutes)) == due


def pod(name: str, phase: str = "Running", restarts: int = 0, ran_s: float = -60, **labels: str) -> dict[str, Any]:
    begun = (TEN + timedelta(seconds=ran_s)).isoformat()
    return {
        "metadata": {
            "name": f"jupyter-{name}",
            "creationTimestamp": (TEN - timedelta(seconds=100)).isoformat(),
            "annotations": {_samples.STUDENT: name},
            "labels": labels,
        },
        "spec": {"containers": [{"resources": {"requests": {"memory": "256Mi"}}}]},
        "status": {
            "phase": phase,
            "containerStatuses": [{"restartCount": restarts, "state": {"running": {"startedAt": begun}}}],
        },
    }


def take(servers: list[dict[str, Any]], nodes: list[dict[str, Any]], last: datetime | None = None) -> _cost.Sample:
    return _samples.take(TEN, last, nodes, servers, MACHINE, 8, 2, "data", 10)


def test_what_is_sampled() -> None:
    nodes = [{"metadata": {"labels": {_samples.TYPE: name}}} for name in ("small", "large")] + [{"metadata": {}}]
    maths = {_samples.COURSE: "maths"}
    servers = [pod("alice"), pod("bob", **maths), pod("cid", "Pending"), pod("dan", restarts=1), pod("eve", ran_s=-311)]
    told = take(servers, nodes)
    # Two of the core, which counts as the same machine.
    assert told.nodes == {"small": 4, "large": 1}
    assert told.seats == 24
    assert told.servers == {"alice": "data", "bob": "maths", "dan": "data", "eve": "data"}
    # Nobody waited for a container that was started anew; one that ran before the last sample has been told of.
    assert told.waits == (40, 40)
    assert (told.asked_mib, told.used_mib) == (1024, 10)
    assert take(servers, nodes, TEN - timedelta(seconds=302)).waits == (40, 40, 0)


def test_a_start_took_from_when_the_student_asked() -> None:
    alice, bob, cid = pod("alice"), pod("bob"), pod("cid")
    # A minute in line, before there was a pod; and what can't be read.
    alice["metadata"]["annotations"][_samples.ASKED] = (TEN - timedelta(seconds=160)).isoformat()
    bob["metadata"]["annotations"][_samples.ASKED] = "noon"
    # The hub's clock may be ahead of the kubelet's.
    cid["metadata"]["annotations"][_samples.ASKED] = (TEN - timedelta(seconds=50)).isoformat()
    assert take([alice, bob, cid], []).waits == (100, 40, 0)


@given(
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 9)), max_size=9),
    st.lists(st.integers(0, 1500), min_size=1, max_size=9, unique=True),
)
def test_a_start_is_told_of_once_as_late_as_its_kubelet_may_be(
    starts: list[tuple[int, int]], moments: list[int]
) -> None:
    last, waits = TEN - timedelta(seconds=1), 0
    for second in [*sorted(moments), 1600]:
        now = TEN + timedelta(seconds=second)
        there = [pod(f"s{ran}", ran_s=ran) for ran, late in starts if ran + late <= second]
        waits += len(_samples.take(now, last, [], there, MACHINE, 8, 2, "data", None).waits)
        last = now
    assert waits == len(starts)


def test_the_last_sample_is_what_its_object_says() -> None:
    item = _samples.added(None, "students", sample(TEN, "alice"))
    item = _samples.added(item, "students", sample(TEN + _samples.EVERY, "alice"))
    assert _samples.last_of(item) == TEN + _samples.EVERY
    packed = base64.b64encode(_samples.lzma.compress(b"{\n")).decode()
    for broken in (None, {**item, "binaryData": {}}, {**item, "binaryData": {"samples.xz": packed}}):
        assert _samples.last_of(broken) is None


def test_an_object_that_somebody_has_changed_since_is_not_written_over() -> None:
    item = _samples.added(None, "students", sample(TEN, "alice"))
    assert "resourceVersion" not in item["metadata"]
    item["metadata"]["resourceVersion"] = "7"
    # Also of one that is begun anew.
    for at in (TEN + _samples.EVERY, TEN + timedelta(days=_samples.DAYS)):
        assert _samples.added(item, "students", sample(at))["metadata"]["resourceVersion"] == "7"


def test_what_is_used_is_known_as_long_as_somebody_looks() -> None:
    kept = {"data": {"at": TEN.isoformat(), "used_mib": "300"}}
    assert _samples.used_of(kept, TEN + timedelta(minutes=5)) == 300
    assert _samples.used_of(kept, TEN + timedelta(minutes=6)) is None
    assert _samples.used_of(None, TEN) is None
    # As runs of before have left it, or somebody's hand.
    for broken in ({"quiet": "{}"}, {"used_mib": "300"}):
        assert _samples.used_of({"data": broken}, TEN) is None
    for word, text in (("at", "noon"), ("at", "2026-09-01T10:00:00"), ("used_mib", "much"), ("used_mib", "-1")):
        assert _samples.used_of({"data": {**kept["data"], word: text}}, TEN) is None


def test_days_are_in_utc_and_half_a_year_has_a_name_each() -> None:
    assert _samples.day_of(datetime.fromisoformat("2026-09-01T23:30:00-07:00")) == date(2026, 9, 2)
    half = {_samples.name_of(date(2026, 9, 1) + timedelta(days=day)) for day in range(_samples.DAYS)}
    assert half == set(_samples.names())
