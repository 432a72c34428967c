from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _restore
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._restore import View, next_step
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.disks import claim as made_claim

Object = dict[str, Any]
JOURNAL = _restore.Journal(
    claim=_restore.claim_again(
        made_claim("ann") | {"spec": {"accessModes": ["ReadWriteOnce"]}}, "1Gi", "monday", "now"
    ),
    snapshot="monday",
    safety="before",
    old_volume="old",
)
NOTE = {_restore.JOURNAL_ANNOTATION: JOURNAL.text()}


def claim(volume: str, uid: str, *, bound: bool = True, journal: bool = False) -> Object:
    return {
        "metadata": {"name": "disk-ann", "uid": uid, "annotations": dict(NOTE) if journal else {}},
        "spec": {"volumeName": volume},
        "status": {"phase": "Bound" if bound else "Pending"},
    }


def volume(name: str, holder: str, *, journal: bool = False, policy: str = "Delete") -> Object:
    return {
        "metadata": {"name": name, "annotations": dict(NOTE) if journal else {}},
        "spec": {"claimRef": {"uid": holder}, "persistentVolumeReclaimPolicy": policy},
    }


class World:
    """A cluster with one student's disk, as Kubernetes would treat it; each step changes it as the real one does."""

    def __init__(self) -> None:
        self.claim: Object | None = claim("old", "1")
        self.temporary: Object | None = {"metadata": {"uid": "2", "annotations": dict(NOTE)}, "spec": {}, "status": {}}
        self.volumes = {"old": volume("old", "1")}

    def view(self) -> View:
        fresh = self.volumes.get(_restore.fresh_volume_name(self.claim, self.temporary))
        if self.temporary is None and _restore.journal_of(fresh) is None:
            fresh = None
        journal = _restore.journal_of(fresh) or _restore.journal_of(self.temporary)
        return View(self.claim, self.temporary, fresh, self.volumes.get(journal.old_volume) if journal else None)

    def released(self, name: str) -> None:
        """Do what the controller does with a volume whose claim is gone."""
        if self.volumes[name]["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            del self.volumes[name]

    def do(self, step: str) -> None:
        getattr(self, step.replace(" ", "_"))()

    def await_volume(self) -> None:
        assert self.temporary is not None
        self.volumes["fresh"] = volume("fresh", "2")
        self.temporary["spec"]["volumeName"] = "fresh"

    def write_journal(self) -> None:
        self.volumes["old"]["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
        self.volumes["fresh"] = volume("fresh", "2", journal=True, policy="Retain")

    def mark_claim(self) -> None:
        assert self.claim is not None
        self.claim["metadata"]["annotations"] = dict(NOTE)

    def remove_claim(self) -> None:
        self.claim = None
        self.released("old")

    def make_claim(self) -> None:
        self.claim = claim("fresh", "3", bound=False, journal=True)

    def remove_temporary_claim(self) -> None:
        self.temporary = None
        self.released("fresh")

    def give_volume_to_claim(self) -> None:
        self.volumes["fresh"]["spec"]["claimRef"]["uid"] = "3"

    def await_claim(self) -> None:
        assert self.claim is not None
        assert self.volumes["fresh"]["spec"]["claimRef"]["uid"] == self.claim["metadata"]["uid"]
        self.claim["status"]["phase"] = "Bound"

    def remove_old_volume(self) -> None:
        self.volumes["old"]["spec"]["persistentVolumeReclaimPolicy"] = "Delete"
        self.released("old")

    def clear_journal(self) -> None:
        assert self.claim is not None
        self.claim["metadata"]["annotations"] = {}
        self.volumes["fresh"]["metadata"]["annotations"] = {}


def steps_to_the_end(world: World) -> list[str]:
    steps = []
    while (step := next_step(world.view())) != "done":
        steps.append(step)
        world.do(step)
        check(world)
        assert len(steps) < 20, steps
    return steps


def check(world: World) -> None:
    """What holds after every step: no file is lost, and no server can start on an empty disk."""
    bound = world.claim is not None and world.claim["status"]["phase"] == "Bound"
    # The old files are on their volume until the student has the new one.
    assert "old" in world.volumes or bound
    # Either the student's claim is on a whole disk, or some claim says that a restore is on its way.
    says_so = any(_restore.journal_of(one) for one in (world.claim, world.temporary))
    assert says_so or bound


def test_the_whole_way() -> None:
    world = World()
    assert steps_to_the_end(world) == [
        "await volume",
        "write journal",
        "mark claim",
        "remove claim",
        "make claim",
        "remove temporary claim",
        "give volume to claim",
        "await claim",
        "remove old volume",
        "clear journal",
    ]
    assert list(world.volumes) == ["fresh"]
    assert world.claim == claim("fresh", "3")
    assert world.temporary is None


@pytest.mark.parametrize("killed_after", range(11))
def test_a_run_that_was_killed_at_any_step_is_finished_by_the_next(killed_after: int) -> None:
    world = World()
    for _step in range(killed_after):
        step = next_step(world.view())
        if step != "done":
            world.do(step)
    steps_to_the_end(world)
    assert list(world.volumes) == ["fresh"]
    assert world.claim == claim("fresh", "3")


def test_an_interrupted_clearing_is_done_again() -> None:
    world = World()
    while next_step(world.view()) != "clear journal":
        world.do(next_step(world.view()))
    assert world.claim is not None
    world.claim["metadata"]["annotations"] = {}
    assert steps_to_the_end(world) == ["clear journal"]


def test_a_claim_that_someone_made_anew_meanwhile_is_not_touched() -> None:
    world = World()
    while next_step(world.view()) != "make claim":
        world.do(next_step(world.view()))
    world.claim = claim("of the hub", "4")
    assert next_step(world.view()) == "refuse"


def test_where_nothing_was_begun_nothing_is_to_be_done() -> None:
    assert next_step(View(claim("old", "1"), None, None, None)) == "done"
    # A claim of the temporary name that is none of ours.
    assert next_step(View(claim("old", "1"), {"metadata": {}, "spec": {}}, volume("x", "9"), None)) == "done"


def test_the_journal_comes_back_as_it_was_written() -> None:
    assert _restore.journal_of({"metadata": {"annotations": NOTE}}) == JOURNAL
    assert _restore.journal_of({"metadata": {}}) is None
    assert _restore.journal_of(None) is None


# The claims.


def test_a_claim_made_again_has_what_the_hub_wrote_and_not_what_the_controllers_did() -> None:
    old = made_claim("ann", last_start="2026-11-24T10:00:00+00:00")
    old["spec"]["accessModes"] = ["ReadWriteOnce"]
    old["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = "yes"
    old["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = "n"
    old["metadata"]["uid"] = "1"
    again = _restore.claim_again(old, "3Gi", "monday", "now")
    assert again["metadata"]["labels"] == old["metadata"]["labels"]
    assert again["metadata"]["annotations"] == {
        "hub.jupyter.org/username": "ann",
        "coursehub.jupyterhub/last-start": "2026-11-24T10:00:00+00:00",
        _disks.RESTORED_ANNOTATION: "monday",
        _disks.RESTORED_AT_ANNOTATION: "now",
        _disks.RESTORED_START_ANNOTATION: "2026-11-24T10:00:00+00:00",
    }
    assert "uid" not in again["metadata"]
    assert again["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "coursehub-disk",
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": "3Gi"}},
    }


def test_a_start_after_a_restore_is_seen_without_a_clock() -> None:
    old = made_claim("ann", last_start="2026-11-24T10:00:00+00:00")
    old["spec"]["accessModes"] = ["ReadWriteOnce"]
    again = {**_restore.claim_again(old, "1Gi", "monday", "2026-11-24T10:00:01+00:00"), "status": {}}
    assert not _disks.disk(again).started_since_restore
    again["metadata"]["annotations"][_disks.LAST_START_ANNOTATION] = "2026-11-24T10:00:02+00:00"
    assert _disks.disk(again).started_since_restore
    never = {**_restore.claim_again({**old, "metadata": {**old["metadata"], "annotations": {}}}, "1Gi", "m", "x")}
    assert not _disks.disk(never).started_since_restore
    assert _disks.disk(old).started_since_restore


def test_the_new_volume_is_made_from_the_snapshot_on_the_chosen_node() -> None:
    item = _restore.temporary_claim(JOURNAL, "node-1")
    assert item["metadata"]["name"] == "restore-disk-ann"
    assert item["metadata"]["annotations"][_restore.SELECTED_NODE] == "node-1"
    assert item["spec"]["dataSource"]["name"] == "monday"
    assert _restore.journal_of(item) == JOURNAL
    # It is no student's disk: no run over all disks takes a snapshot of it.
    assert "coursehub.jupyterhub/student" not in item["metadata"]["labels"]


def test_a_claim_that_is_away_is_known_by_its_restore() -> None:
    temporary = _restore.temporary_claim(JOURNAL, "node-1")
    assert _restore.RESTORING_LABEL in temporary["metadata"]["labels"]
    (away,) = _restore.claims_away([temporary, made_claim("bob")], [made_claim("bob")])
    assert _disks.disk(away).student == "ann"
    assert _restore.claims_away([temporary], [made_claim("ann")]) == []


def node(name: str, zone: str = "a", ready: str = "True", **spec: Any) -> Object:
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": name, "labels": {"zone": zone}}, "spec": spec, "status": {"conditions": conditions}}


def in_zone(*zones: str) -> Object:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": list(zones)}]}
    return {"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}}


@pytest.mark.parametrize(
    ("nodes", "old", "chosen"),
    [
        ([node("b"), node("a")], None, "a"),
        ([node("a"), node("b")], {"spec": {}}, "a"),
        ([node("a", ready="False"), node("b")], None, "b"),
        ([node("a", unschedulable=True), node("b")], None, "b"),
        ([node("a"), node("b", zone="b")], in_zone("b"), "b"),
        ([node("a"), node("b", zone="b")], in_zone("c"), ""),
        ([], None, ""),
    ],
)
def test_the_node_is_one_that_the_disk_can_be_used_on(nodes: list[Object], old: Object | None, chosen: str) -> None:
    assert _restore.choose_node(nodes, old) == chosen


@given(st.lists(st.booleans(), min_size=30, max_size=30))
def test_any_pattern_of_kills_ends_with_the_disk_restored(kills: list[bool]) -> None:
    world = World()
    for killed in kills:
        step = next_step(world.view())
        if step == "done":
            break
        # Killed before the step had any effect: the next run looks again.
        if not killed:
            world.do(step)
            check(world)
    steps_to_the_end(world)
    assert list(world.volumes) == ["fresh"]
