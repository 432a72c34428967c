"""What a disk says of its last export, and what is to be done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _exports, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._accounts import Account
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.disks import claim, snapshot

MOMENT = "2026-11-24T10:00:00+00:00"
NOW = _disks.parse_time("2026-11-25T10:00:00+00:00")
RECORD = _exports.Record("shot", MOMENT, MOMENT, "a", "ann", "0A", 3, 30, 0, "shape")
ANN = Account("ann", "secret", "", "ann")
PARAMETERS: dict[str, Any] = {"owner": "shared_drive", "folder": "0A", "exclude": [], "bundle": "auto", "prune": False}


def disk(record: _exports.Record | None = None) -> _disks.Disk:
    item = claim("ann")
    if record is not None:
        item["metadata"]["annotations"] |= record.annotation()["metadata"]["annotations"]
    return _disks.disk(item)


RECORDS = st.builds(
    _exports.Record,
    snapshot=st.text(),
    taken=st.just(MOMENT),
    exported_at=st.just(MOMENT),
    account=st.text(),
    name=st.text(),
    folder=st.text(),
    files=st.integers(0),
    bytes=st.integers(0),
    problems=st.integers(0),
    shape=st.text(),
    verified_at=st.sampled_from(["", MOMENT]),
    list_md5=st.text(),
)


@given(record=RECORDS)
def test_what_is_written_on_a_disk_is_read_again(record: _exports.Record) -> None:
    assert _exports.record_of(disk(record)) == record


def test_a_record_that_was_written_before_lists_were_told_is_read() -> None:
    item = claim("ann")
    told = {name: value for name, value in vars(RECORD).items() if name != "list_md5"}
    item["metadata"]["annotations"][_disks.DRIVE_EXPORT_ANNOTATION] = json.dumps(told)
    assert _exports.record_of(_disks.disk(item)) == RECORD


@given(text=st.text())
def test_a_damaged_record_is_none(text: str) -> None:
    item = claim("ann")
    item["metadata"]["annotations"][_disks.DRIVE_EXPORT_ANNOTATION] = text
    assert _exports.record_of(_disks.disk(item)) is None


@given(record=RECORDS, again=st.booleans(), verify=st.booleans())
def test_what_was_done_is_not_to_be_done_again(record: _exports.Record, again: bool, verify: bool) -> None:
    todo = _exports.steps(disk(record), record.snapshot, record.shape, again=again, verify=verify)
    # A record whose snapshot was taken out is of none, also not of one that is still to be taken.
    again = again or not record.snapshot
    assert ("exported" in todo) == again
    assert ("verified" in todo) == (verify and (again or not record.verified_at))
    # Another snapshot, or other parameters, are another export.
    assert "exported" in _exports.steps(disk(record), record.snapshot + "x", record.shape, again=again, verify=verify)
    assert "exported" in _exports.steps(disk(record), record.snapshot, record.shape + "x", again=again, verify=verify)


def test_one_without_a_record_is_exported() -> None:
    assert _exports.steps(disk(), "", "shape", again=False, verify=True) == ["exported", "verified"]


@pytest.mark.parametrize(
    "more", [{"owner": "consent"}, {"folder": "0B"}, {"exclude": ["*.csv"]}, {"bundle": "never"}, {"prune": True}]
)
def test_what_shapes_an_export_makes_another_one(more: dict[str, Any]) -> None:
    usual = _exports.shape(PARAMETERS, ANN)
    assert _exports.shape({**PARAMETERS, "concurrency": 9}, ANN) == usual
    assert _exports.shape({**PARAMETERS, **more}, ANN) != usual
    assert _exports.shape(PARAMETERS, Account("ann", "secret", "ann@uni.example", "ann")) != usual


def shots(*taken: str, **more: Any) -> dict[str, list[_snapshots.Shot]]:
    return _snapshots.by_claim(_snapshots.shot(snapshot("ann", one, **more), NOW, 0) for one in taken)


def test_the_newest_snapshot_is_taken_and_never_what_a_restore_replaced() -> None:
    there = shots("2026-11-23T10:00:00Z", "2026-11-24T10:00:00Z")
    there["disk-ann"] += shots("2026-11-24T20:00:00Z", safety=True)["disk-ann"]
    chosen, fresh, problems = _exports.choose([disk()], there, {}, "latest")
    assert (chosen["disk-ann"].name, fresh, problems) == ("disk-ann-20261124-100000", [], {})
    chosen, *_others = _exports.choose([disk()], there, {}, "disk-ann-20261123-100000")
    assert chosen["disk-ann"].name == "disk-ann-20261123-100000"


def test_a_fresh_one_is_only_taken_of_what_may_have_changed() -> None:
    idle = shots("2026-11-24T10:00:00Z", idle_at=MOMENT)
    same = _disks.disk(claim("ann", last_start="2026-11-22T10:00:00+00:00"))
    assert _exports.choose([same], idle, {}, "fresh")[1] == []
    assert _exports.choose([same], idle, {"disk-ann": "pod"}, "fresh")[1] == [same]
    later = _disks.disk(claim("ann", last_start="2026-11-24T12:00:00+00:00"))
    assert _exports.choose([later], idle, {}, "fresh")[1] == [later]


@pytest.mark.parametrize("snapshot_name", ["latest", "fresh", "monday"])
def test_one_with_nothing_to_export_is_named(snapshot_name: str) -> None:
    pending = _disks.disk(claim("bob", phase="Pending"))
    _chosen, fresh, problems = _exports.choose([pending], {}, {}, snapshot_name)
    assert (fresh, problems) == ([], {"disk-bob": "the disk is pending, there is nothing on it to export"})


def test_what_is_told_is_short_and_counts_all() -> None:
    outcomes = [_exports.Outcome(f"s{number}", "d", done=["exported"], problems_count=1) for number in range(2000)]
    outcomes += [_exports.Outcome("bad", "d", failed="full", until="tomorrow"), _exports.Outcome("same", "d")]
    told = _exports.result(outcomes)
    assert (told["total"], told["exported"], told["unchanged"]) == (2002, 2000, 1)
    assert told["failures"] == [{"student": "bad", "failed": "full", "until": "tomorrow"}]
    assert (len(told["problems"]), told["students_with_problems"]) == (20, 2000)


def test_room_in_a_shared_drive_is_for_new_exports_alone() -> None:
    _exports.see_room(0, 0)
    _exports.see_room(2, 1)
    with pytest.raises(CoursehubError, match="has room for 3 items, and 2 students have no export in it yet"):
        _exports.see_room(3, 2)


def test_few_items_left_are_said() -> None:
    assert _exports.few(None) == _exports.few(50_000) == []
    assert "takes only 49999 more items" in _exports.few(49_999)[0]


def test_a_run_fails_where_a_student_does() -> None:
    assert _exports.failure({"total": 2, "failures": []}) == ""
    sentence = _exports.failure({"total": 2, "failures": [{"student": "ann", "failed": "full"}]})
    assert sentence.startswith("1 of 2 students failed: ann: full")
