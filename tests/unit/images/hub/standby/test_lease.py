from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from coursehub_hub.standby import lease

NOW = datetime(2026, 11, 25, 10, 0, 0, tzinfo=UTC)


def read(body: dict[str, Any], version: str) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}


def test_the_first_one() -> None:
    body = lease.held(None, "hub-a", "coursehub", NOW)
    assert "resourceVersion" not in body["metadata"]
    assert body["spec"]["holderIdentity"] == "hub-a"
    assert body["spec"]["renewTime"] == body["spec"]["acquireTime"] == "2026-11-25T10:00:00.000000Z"


def test_renewed_it_keeps_the_time_since_when_and_the_version_that_was_read() -> None:
    first = read(lease.held(None, "hub-a", "coursehub", NOW), "7")
    later = lease.held(first, "hub-a", "coursehub", NOW.replace(second=5))
    assert later["metadata"]["resourceVersion"] == "7"
    assert later["spec"]["acquireTime"] == first["spec"]["acquireTime"]
    assert later["spec"]["renewTime"] == "2026-11-25T10:00:05.000000Z"
    assert later["spec"]["leaseTransitions"] == first["spec"]["leaseTransitions"]


def test_taken_over_it_counts_one_more() -> None:
    first = read(lease.held(None, "hub-a", "coursehub", NOW), "7")
    taken = lease.held(first, "hub-b", "coursehub", NOW.replace(second=5))
    assert taken["spec"]["acquireTime"] == "2026-11-25T10:00:05.000000Z"
    assert taken["spec"]["leaseTransitions"] == first["spec"]["leaseTransitions"] + 1


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_one_that_nobody_has_is_free_at_once() -> None:
    watched = lease.Watched(Clock())
    assert watched.free(None)
    assert watched.free(read(lease.held(None, "", "coursehub", NOW), "3"))


def test_one_that_is_renewed_is_not_free_however_old_it_calls_itself() -> None:
    clock = Clock()
    watched = lease.Watched(clock)
    for version in range(10):
        assert not watched.free(read(lease.held(None, "hub-a", "coursehub", NOW), str(version)))
        clock.now += lease.DURATION_S - 0.1


def test_one_that_is_not_renewed_while_one_looks_is_free() -> None:
    clock = Clock()
    watched = lease.Watched(clock)
    silent = read(lease.held(None, "hub-a", "coursehub", NOW), "3")
    assert not watched.free(silent)
    clock.now += lease.DURATION_S
    assert watched.free(silent)
