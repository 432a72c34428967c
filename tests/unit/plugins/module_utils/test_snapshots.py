from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _retention, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

from tests.unit.plugins.disks import claim, snapshot

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATIENCE_S = 600


def at(hours_ago: float) -> str:
    return (NOW - timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def shot(hours_ago: float = 1, **more: Any) -> _snapshots.Shot:
    return _snapshots.shot(snapshot("ann", at(hours_ago), **more), NOW, PATIENCE_S)


def disk(started_hours_ago: float | None = None, **more: Any) -> _disks.Disk:
    last_start = at(started_hours_ago) if started_hours_ago is not None else None
    return _disks.disk(claim("ann", last_start=last_start, **more))


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (shot(), "ready"),
        (shot(0.1, ready=False), "pending"),
        (shot(0.1, ready=False, error="busy"), "pending"),
        (shot(0.2, ready=False), "failed"),
        (shot(ready=False, error="no room"), "failed"),
        (shot(going=True), "going"),
    ],
)
def test_the_state_of_a_snapshot(given: _snapshots.Shot, state: str) -> None:
    assert given.state == state
    assert given.good == (state == "ready")


def test_what_a_snapshot_tells() -> None:
    given = shot(error="")
    assert (given.student, given.claim, given.size) == ("ann", "disk-ann", 2**30)
    assert given.taken == NOW - timedelta(hours=1)


def test_a_snapshot_without_a_status_yet() -> None:
    item = snapshot("ann", at(0))
    del item["status"]
    assert _snapshots.shot(item, NOW, PATIENCE_S).state == "pending"


def test_a_recovered_snapshot_says_what_it_is_of_and_when_it_was_taken() -> None:
    item = snapshot("ann", at(0))
    item["spec"]["source"] = {"volumeSnapshotContentName": "recovered"}
    # Nobody says what it is of: it belongs to no disk, and no policy removes it.
    assert _snapshots.shot(item, NOW, PATIENCE_S).claim == ""
    item["metadata"]["annotations"][_snapshots.CLAIM_ANNOTATION] = "disk-ann"
    item["metadata"]["annotations"][_snapshots.TAKEN_ANNOTATION] = at(5)
    given = _snapshots.shot(item, NOW, PATIENCE_S)
    assert (given.claim, given.taken) == ("disk-ann", NOW - timedelta(hours=5))


@pytest.mark.parametrize(
    "labels", [None, {}, {_disks.STUDENT_LABEL: "ann"}, {"app.kubernetes.io/managed-by": "coursehub"}]
)
def test_a_snapshot_that_someone_else_made_is_not_owned(labels: dict[str, str] | None) -> None:
    item = snapshot("ann", at(0))
    assert _snapshots.owned(item)
    item["metadata"]["labels"] = labels
    assert not _snapshots.owned(item)


def test_what_asks_for_a_snapshot() -> None:
    item = _snapshots.manifest(disk(), "fast", NOW, in_use=False)
    assert item["metadata"]["name"] == "disk-ann-20261124-120000"
    assert item["spec"] == {
        "volumeSnapshotClassName": "fast",
        "source": {"persistentVolumeClaimName": "disk-ann"},
    }
    assert _snapshots.owned(item)
    item["metadata"]["creationTimestamp"] = at(0)
    assert _snapshots.shot(item, NOW, PATIENCE_S).idle_at == NOW


def test_a_snapshot_of_a_disk_in_use_does_not_say_that_it_was_idle() -> None:
    item = _snapshots.manifest(disk(), "fast", NOW, in_use=True)
    assert _snapshots.IDLE_ANNOTATION not in item["metadata"]["annotations"]


# Whether a disk needs one.


@pytest.mark.parametrize(
    ("started", "newest", "same"),
    [
        # Started, stopped, then snapshotted while nobody had it.
        (5, shot(1, idle_at=at(1)), True),
        # Started since.
        (0.5, shot(1, idle_at=at(1)), False),
        # Started at nearly the same time: the clocks may be apart.
        (1.01, shot(1, idle_at=at(1)), False),
        # In use while the snapshot was taken: it may have been written to afterwards.
        (5, shot(1), False),
        # Never seen to start: it isn't known.
        (None, shot(1, idle_at=at(1)), False),
        (5, None, False),
    ],
)
def test_whether_a_disk_is_unchanged(started: float | None, newest: _snapshots.Shot | None, same: bool) -> None:
    assert _snapshots.unchanged(disk(started), newest) == same
    shots = [newest] if newest else []
    assert _snapshots.why_not(disk(started), shots, in_use=False, skip_unchanged=True) == ("unchanged" if same else "")
    assert _snapshots.why_not(disk(started), shots, in_use=True, skip_unchanged=True) == ""
    assert _snapshots.why_not(disk(started), shots, in_use=False, skip_unchanged=False) == ""


def test_a_failed_snapshot_does_not_make_a_disk_unchanged() -> None:
    shots = [shot(9, idle_at=at(9)), shot(1, ready=False, idle_at=at(1))]
    assert _snapshots.why_not(disk(5), shots, in_use=False, skip_unchanged=True) == ""


def test_what_can_not_be_snapshotted_now() -> None:
    pending = [shot(0.1, ready=False)]
    assert _snapshots.why_not(disk(), pending, in_use=False, skip_unchanged=False) == "a snapshot is being made"
    assert _snapshots.why_not(disk(phase="Lost"), [], in_use=False, skip_unchanged=False) == "the disk is lost"


# What goes.


def removed(*shots: _snapshots.Shot, **keep: int) -> list[str]:
    return _snapshots.to_remove(shots, _retention.parse_policy(keep or {"last": 1}, "UTC"), NOW)


def test_the_oldest_goes_first() -> None:
    shots = [shot(1), shot(3), shot(2)]
    assert removed(*shots) == [shots[1].name, shots[2].name]


def test_failed_ones_go_and_those_on_their_way_are_left() -> None:
    failed, pending, going = shot(2, ready=False), shot(0.1, ready=False), shot(4, going=True)
    assert removed(shot(3), failed, pending, going) == [failed.name]


def test_one_that_is_being_deleted_is_not_what_is_left_of_a_history() -> None:
    # Else the newest one would be on its way out, and the other removed for it.
    assert removed(shot(1, going=True), shot(5)) == []


def test_the_newest_that_can_be_restored() -> None:
    shots = [shot(3), shot(2), shot(1, ready=False)]
    assert _snapshots.newest_good(shots) == shots[1]
    assert _snapshots.newest_good([]) is None
    assert _snapshots.by_claim(shots) == {"disk-ann": shots}


# After a restore.


def test_a_restored_disk_is_changed_though_nobody_started_it() -> None:
    item = claim("ann", last_start=at(9))
    item["metadata"]["annotations"][_disks.RESTORED_AT_ANNOTATION] = at(2)
    assert not _snapshots.unchanged(_disks.disk(item), shot(5, idle_at=at(5)))
    assert _snapshots.unchanged(_disks.disk(item), shot(1, idle_at=at(1)))


def test_what_a_restore_replaced_is_kept_for_a_month_and_takes_no_place() -> None:
    young, old = (_snapshots.shot(snapshot("ann", at(24 * days), safety=True), NOW, PATIENCE_S) for days in (29, 31))
    newest, other = shot(1), shot(24 * 40)
    assert removed(newest, young, old, other, last=2) == [other.name]
    assert removed(newest, young, old, other, last=1) == [other.name, old.name]


# Which one to restore.

SHOTS = [
    shot(1, ready=False),
    _snapshots.shot(snapshot("ann", at(2), safety=True), NOW, PATIENCE_S),
    shot(3),
    shot(30),
]


@pytest.mark.parametrize(
    ("snapshot_name", "moment", "number"),
    [
        ("latest", None, 2),
        ("", NOW, 2),
        ("", NOW - timedelta(hours=3), 2),
        ("", NOW - timedelta(hours=4), 3),
        (SHOTS[1].name, None, 1),
        (SHOTS[3].name, None, 3),
    ],
)
def test_which_snapshot_is_restored(snapshot_name: str, moment: datetime | None, number: int) -> None:
    assert _snapshots.choose(SHOTS, snapshot_name, moment) == SHOTS[number]


@pytest.mark.parametrize(
    ("snapshot_name", "moment", "sentence"),
    [
        ("other", None, "there is no snapshot other of this student's disk"),
        (SHOTS[0].name, None, f"the snapshot {SHOTS[0].name} can't be restored: it is failed"),
        ("", NOW - timedelta(hours=31), "there is no snapshot from before 2026-11-23T05:00:00"),
    ],
)
def test_there_is_none_to_restore(snapshot_name: str, moment: datetime | None, sentence: str) -> None:
    with pytest.raises(CoursehubError) as refused:
        _snapshots.choose(SHOTS, snapshot_name, moment)
    assert sentence in str(refused.value)
