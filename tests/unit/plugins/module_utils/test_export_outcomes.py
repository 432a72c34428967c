"""What becomes of students in a run of exports, from what the exporter tells of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _exports, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._accounts import Account
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._export_outcomes import (
    EXPORTED,
    OUR_COUNT,
    VERIFIED,
    Outcomes,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.paths import ROOT
from tests.unit.plugins.disks import claim, snapshot

Object = dict[str, Any]
NOW = _disks.parse_time("2026-11-25T10:00:00Z")
NAMES = ("ann", "bob", "cleo")
PARAMETERS: Object = {
    "owner": "shared_drive",
    "folder": "0A",
    "exclude": [],
    "bundle": "auto",
    "prune": False,
    "look": False,
    "checksum": False,
    "verify": True,
}
GOOD: Object = {"outcome": "complete", "files": 3, "bytes": 30, "calls": 5, "failed": ""}


def shot(name: str) -> _snapshots.Shot:
    return _snapshots.shot(snapshot(name, "2026-11-24T10:00:00Z"), NOW, 0)


def disk(name: str, record: _exports.Record | None = None) -> _disks.Disk:
    item = claim(name)
    if record is not None:
        item["metadata"]["annotations"] |= record.annotation()["metadata"]["annotations"]
    return _disks.disk(item)


def planned(*, disks: dict[str, _disks.Disk] | None = None, **more: Any) -> Outcomes:
    there = disks or {f"disk-{name}": disk(name) for name in NAMES}
    accounts = {f"disk-{name}": Account(name, "secret", "", name) for name in NAMES}
    made = Outcomes({**PARAMETERS, **more}, accounts)
    made.plan(there, {one: shot(disk.student) for one, disk in there.items()})
    return made


def test_what_a_proof_could_not_read_is_named_and_the_proof_stands() -> None:
    made = planned()
    made.exported(disk("ann"), shot("ann"), {**GOOD, "problems": ["'a': b"], "problems_count": 1}, NOW)
    told = {"failed": "", "calls": 2, "problems": ["'c': d"], "problems_count": 1}
    assert made.verified(disk("ann"), told)
    outcome = made["disk-ann"]
    assert (outcome.problems, outcome.problems_count, outcome.failed) == (["'a': b", "'c': d"], 2, "")


def test_a_file_that_waits_for_a_day_with_room_is_tried_each_night() -> None:
    """Other problems have one more try: those of a second night are taken for those that stay."""
    record = None
    problem = {"problems": ["'a': too large for today"], "problems_count": 1}
    for _night in range(3):
        before = disk("ann", record)
        record = planned(disks={"disk-ann": before}).exported(before, shot("ann"), GOOD | problem, NOW)
        assert record is not None
    assert record.snapshot != ""
    record = planned().exported(disk("ann", record), shot("ann"), GOOD | problem | {"put_off_files": 1}, NOW)
    assert record is not None
    assert record.snapshot == ""


@pytest.mark.parametrize(
    ("owner", "reason", "treatment", "closed"),
    [
        # A day's calls are the project's, and so is the API: each student would be refused, after a clone each.
        ("delegation", "dailyLimitExceeded", "day", True),
        ("consent", "accessNotConfigured", "drive", True),
        # The day's bytes are an account's.
        ("delegation", "uploadLimitExceeded", "day", False),
        ("shared_drive", "uploadLimitExceeded", "day", True),
    ],
)
def test_what_is_said_of_the_project_is_said_to_all(owner: str, reason: str, treatment: str, closed: bool) -> None:
    made = planned(owner=owner, folder="0A" if owner == "shared_drive" else "")
    made.exported(disk("ann"), shot("ann"), refused(reason=reason, treatment=treatment), NOW)
    assert made.leave_out(["disk-bob"]) is closed


def refused(**more: Any) -> Object:
    return {**GOOD, "outcome": "stopped", "failed": "ann: no", **more}


def test_an_export_becomes_a_record_of_its_snapshot() -> None:
    made = planned()
    record = made.exported(disk("ann"), shot("ann"), GOOD, NOW)
    assert record is not None
    assert (record.snapshot, record.files, record.bytes, record.folder) == ("disk-ann-20261124-100000", 3, 30, "0A")
    assert (record.exported_at, record.verified_at) == ("2026-11-25T10:00:00+00:00", "")
    assert made.to_do(VERIFIED, ["disk-ann"]) == ["disk-ann"]
    assert made.verified(disk("ann"), {"failed": "", "calls": 2})
    assert made["disk-ann"].calls == 7


PROVEN = "then"


@pytest.mark.parametrize(
    ("look", "was", "told", "carried"),
    [
        (False, "f00d", "f00d", True),
        (True, "f00d", "f00d", False),
        # Another export came to its end between the two, and what it told was lost.
        (False, "f00d", "beef", False),
        # No proof is of a list that nobody knows.
        (False, "", "", False),
        (False, "f00d", None, False),
        (False, "", None, False),
    ],
)
def test_a_proof_is_kept_with_the_list_that_it_is_of(look: bool, was: str, told: str | None, carried: bool) -> None:
    first = planned().exported(disk("ann"), shot("ann"), {**GOOD, "list_md5": was}, NOW)
    assert first is not None
    assert first.list_md5 == was
    proven = disk("ann", replace(first, verified_at=PROVEN, snapshot="an older one"))
    made = planned(look=look, disks={"disk-ann": proven})
    record = made.exported(proven, shot("ann"), {**GOOD, "outcome": "unchanged", "list_md5": told}, NOW)
    assert record is not None
    assert record.verified_at == (PROVEN if carried else "")
    assert made["disk-ann"].done == ([] if carried else [VERIFIED])


def test_a_new_list_is_not_proven_by_what_the_last_one_was() -> None:
    first = planned().exported(disk("ann"), shot("ann"), {**GOOD, "list_md5": "f00d"}, NOW)
    assert first is not None
    proven = disk("ann", replace(first, verified_at=PROVEN, snapshot="an older one"))
    record = planned(disks={"disk-ann": proven}).exported(proven, shot("ann"), {**GOOD, "list_md5": "f00d"}, NOW)
    assert record is not None
    assert record.verified_at == ""


@pytest.mark.parametrize(
    ("told", "more", "closed"),
    [
        (refused(treatment="student"), {}, False),
        (refused(treatment="drive"), {}, True),
        (
            refused(treatment="drive", reason="activeItemCreationLimitExceeded"),
            {"owner": "consent", "folder": ""},
            False,
        ),
        (refused(treatment="drive", reason="accessNotConfigured"), {"owner": "consent", "folder": ""}, True),
        (refused(treatment="day", until="tomorrow"), {}, True),
        (refused(treatment="day", until="tomorrow"), {"owner": "delegation"}, False),
    ],
)
def test_what_drive_would_say_to_all_leaves_the_others_out(told: Object, more: Object, closed: bool) -> None:
    made = planned(**more)
    assert made.exported(disk("ann"), shot("ann"), told, NOW) is None
    assert (made["disk-ann"].failed, made["disk-ann"].done) == ("no", [])
    assert made.leave_out(["disk-bob"]) is closed
    assert (made["disk-bob"].failed, made["disk-bob"].until) == (("no", told.get("until", "")) if closed else ("", ""))
    assert made["disk-cleo"].failed == ""


@pytest.mark.parametrize(("owner", "closed"), [("shared_drive", True), ("consent", False)])
def test_a_share_of_the_day_that_is_used_up_is_a_slots(owner: str, closed: bool) -> None:
    made = planned(owner=owner, folder="0A" if owner == "shared_drive" else "")
    told = refused(treatment="day", reason=OUR_COUNT, until="tomorrow")
    assert made.exported(disk("ann"), shot("ann"), told, NOW) is None
    # Another slot has a share of its own, and Drive has said nothing.
    assert made.leave_out(["disk-bob"], ["disk-bob"]) is False
    assert made.leave_out(["disk-cleo"], ["disk-ann", "disk-cleo"]) is closed
    assert (made["disk-cleo"].failed, made["disk-cleo"].until) == (("no", "tomorrow") if closed else ("", ""))


def test_the_exporter_has_the_same_word_for_its_own_count() -> None:
    assert (ROOT / "images/tools/coursehub_tools/drive/client.py").read_text("utf-8").count(f'"{OUR_COUNT}"') == 1


def test_an_error_of_a_batch_is_of_those_that_have_none_of_their_own() -> None:
    made = planned()
    made.fail({"disk-bob": "full"})
    made.fail_others(["disk-ann", "disk-bob"], CoursehubError("the time is over"))
    assert [one.failed for one in made.all()] == ["the time is over", "full", ""]
    assert made.good([f"disk-{name}" for name in NAMES]) == ["disk-cleo"]


@given(
    tells=st.lists(
        st.fixed_dictionaries(
            {
                "failed": st.sampled_from(["", "no"]),
                "outcome": st.sampled_from(["complete", "unchanged", "stopped"]),
                "treatment": st.sampled_from(["", "student", "drive", "day"]),
            }
        ),
        min_size=len(NAMES),
        max_size=len(NAMES),
    )
)
def test_who_failed_has_nothing_left_to_do_and_no_record(tells: list[Object]) -> None:
    made = planned()
    for name, told in zip(NAMES, tells, strict=True):
        record = made.exported(disk(name), shot(name), told, NOW)
        assert (record is None) == bool(told["failed"])
    for one in made.all():
        assert not (one.failed and one.done)
        assert one.failed or (EXPORTED in one.done) == (one.student in changed(tells))


def changed(tells: list[Object]) -> set[str]:
    return {name for name, told in zip(NAMES, tells, strict=True) if told["outcome"] != "unchanged"}
