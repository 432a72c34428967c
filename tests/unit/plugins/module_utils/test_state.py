from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _disks,
    _manifests,
    _restore,
    _snapshots,
    _state,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins import disks

Object = dict[str, Any]
NAMESPACES = ["hub", disks.NAMESPACE]
MOMENT, TAKEN = "2026-11-25T02:00:00Z", "2026-11-24T02:00:00Z"


def claim(student: str = "ann", **more: Any) -> Object:
    item = disks.claim(student, **more)
    item["spec"]["accessModes"] = ["ReadWriteOnce"]
    return item


def volume(of: Object, **annotations: str) -> Object:
    metadata = of["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": of["spec"]["volumeName"], "annotations": annotations},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": "Delete",
            "csi": {"driver": "d", "volumeHandle": f"handle-{metadata['name']}", "volumeAttributes": {"a": "b"}},
            "claimRef": {"namespace": metadata["namespace"], "name": metadata["name"], "uid": "1"},
        },
    }


def snapshot(student: str = "ann", **more: Any) -> tuple[Object, Object]:
    """Return a snapshot that was taken, and its content."""
    item = disks.snapshot(student, TAKEN, **more)
    name = f"snapcontent-{item['metadata']['name']}"
    item["status"]["boundVolumeSnapshotContentName"] = name
    item["spec"]["volumeSnapshotClassName"] = "fast"
    content = {
        "apiVersion": _snapshots.API_VERSION,
        "kind": "VolumeSnapshotContent",
        "metadata": {"name": name},
        "spec": {
            "driver": "d",
            "deletionPolicy": "Delete",
            "volumeSnapshotClassName": "fast",
            "sourceVolumeMode": "Filesystem",
            "source": {"volumeHandle": "handle-of-the-disk"},
        },
        "status": {"snapshotHandle": f"handle-{item['metadata']['name']}", "readyToUse": True},
    }
    return item, content


def secret(name: str = "hub") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "hub", "labels": dict(_manifests.MANAGED_BY)},
        "type": "Opaque",
        "data": {"key": "dmFsdWU="},
    }


def take(
    claims: list[Object] | None = None,
    volumes: list[Object] | None = None,
    pairs: list[tuple[Object, Object]] | None = None,
    secrets: list[Object] | None = None,
) -> tuple[Object, list[str]]:
    claims, pairs = claims or [], pairs or []
    volumes = [volume(one) for one in claims if "volumeName" in one["spec"]] if volumes is None else volumes
    snapshots, contents = [one for one, _content in pairs], [one for _snapshot, one in pairs]
    found = _state.Found(secrets or [], claims, volumes, snapshots, contents)
    return _state.take(found, NAMESPACES, MOMENT)


def served(state: Object) -> _state.Found:
    """Return what an API lists once a cluster has taken a state: all that the server and the controllers write."""
    state = copy.deepcopy(state)
    claims, volumes, snapshots, contents = [], [], [], []
    for one in [
        *state["secrets"],
        *(item for part in ("disks", "snapshots") for d in state[part] for item in d.values()),
    ]:
        one["metadata"].update(uid="new", resourceVersion="7", creationTimestamp=MOMENT, finalizers=["a/b"])
        one["metadata"]["managedFields"] = [{"manager": "coursehub"}]
    for one in state["disks"]:
        for annotation in ("pv.kubernetes.io/bind-completed", "volume.kubernetes.io/selected-node"):
            one["claim"]["metadata"]["annotations"][annotation] = "yes"
        one["claim"]["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
        one["volume"]["spec"]["claimRef"].update(uid="new", resourceVersion="9")
        one["volume"]["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] = "yes"
        one["volume"]["status"] = {"phase": "Bound"}
        claims.append(one["claim"])
        volumes.append(one["volume"])
    for one in state["snapshots"]:
        snapshot, content = one["snapshot"], one["content"]
        content["spec"]["volumeSnapshotRef"]["uid"] = "new"
        content["status"] = {"snapshotHandle": content["spec"]["source"]["snapshotHandle"], "readyToUse": True}
        # Of a driver that can't tell of a snapshot that it is shown, the sidecar says that it was taken now.
        snapshot["status"] = {
            "readyToUse": True,
            "creationTime": MOMENT,
            "boundVolumeSnapshotContentName": snapshot["spec"]["source"]["volumeSnapshotContentName"],
        }
        snapshots.append(snapshot)
        contents.append(content)
    return _state.Found(state["secrets"], claims, volumes, snapshots, contents)


keys = st.sampled_from(
    [
        _disks.STUDENT_ANNOTATION,
        _disks.LAST_START_ANNOTATION,
        _snapshots.IDLE_ANNOTATION,
        "example.org/note",
        "pv.kubernetes.io/provisioned-by",
        "pv.kubernetes.io/bind-completed",
        "volume.kubernetes.io/selected-node",
        "volume.beta.kubernetes.io/storage-provisioner",
        "snapshot.storage.kubernetes.io/deletion-secret-name",
        "snapshot.storage.kubernetes.io/volumesnapshot-being-created",
    ]
)
notes = st.none() | st.dictionaries(keys, st.text(max_size=5))
students = st.lists(st.sampled_from(["ann", "bob", "cem"]), unique=True)


@given(data=st.data(), names=students)
def test_a_state_of_a_cluster_that_was_recovered_by_it_is_the_same(data: st.DataObject, names: list[str]) -> None:
    claims = [claim(name) for name in names]
    volumes = [volume(one) for one in claims]
    pairs = [snapshot(name) for name in names]
    for item in [*claims, *volumes, *(one for pair in pairs for one in pair)]:
        item["metadata"]["annotations"] = data.draw(notes)
    state, skipped = take(claims, volumes, pairs, [secret()])
    assert skipped == []
    again, skipped = _state.take(served(state), NAMESPACES, MOMENT)
    assert (again, skipped) == (state, [])
    # And it is what a file holds.
    assert _state.opened(json.dumps(state)) == state


def test_a_claim_is_on_its_volume_and_the_volume_is_held_for_it() -> None:
    state, _skipped = take([claim(last_start=TAKEN)])
    (disk,) = state["disks"]
    assert disk["claim"]["spec"]["volumeName"] == disk["volume"]["metadata"]["name"] == "pvc-ann"
    assert disk["claim"]["metadata"]["annotations"][_disks.LAST_START_ANNOTATION] == TAKEN
    assert disk["claim"]["metadata"]["labels"] == {_disks.STUDENT_LABEL: "ann"}
    spec = disk["volume"]["spec"]
    assert spec["claimRef"] == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": "disk-ann",
        "namespace": disks.NAMESPACE,
    }
    assert spec["persistentVolumeReclaimPolicy"] == "Retain"
    assert _state.disk_of(disk["volume"]) == ("d", "handle-disk-ann")


def test_a_volume_says_still_who_made_it_or_nobody_would_ever_remove_it() -> None:
    one = claim()
    made_by = {"pv.kubernetes.io/provisioned-by": "d", "volume.kubernetes.io/provisioner-deletion-secret-name": "s"}
    state, _skipped = take([one], [volume(one, **made_by, **{"pv.kubernetes.io/bound-by-controller": "yes"})])
    assert state["disks"][0]["volume"]["metadata"]["annotations"] == made_by


def test_a_claim_that_came_from_a_snapshot_does_not_again() -> None:
    one = claim()
    one["spec"]["dataSource"] = {"kind": "VolumeSnapshot", "name": "gone"}
    state, _skipped = take([one])
    assert "dataSource" not in state["disks"][0]["claim"]["spec"]


def test_a_snapshot_is_one_that_the_storage_has_and_says_what_it_is_of_and_when() -> None:
    state, _skipped = take(pairs=[snapshot(idle_at=TAKEN, safety=True)])
    (one,) = state["snapshots"]
    name = "recovered-students-disk-ann-20261124-020000"
    assert one["snapshot"]["spec"] == {
        "volumeSnapshotClassName": "fast",
        "source": {"volumeSnapshotContentName": name},
    }
    assert one["content"]["metadata"]["name"] == name
    assert one["content"]["spec"] == {
        "driver": "d",
        "deletionPolicy": "Delete",
        "volumeSnapshotClassName": "fast",
        "sourceVolumeMode": "Filesystem",
        "source": {"snapshotHandle": "handle-disk-ann-20261124-020000"},
        "volumeSnapshotRef": {
            "apiVersion": _snapshots.API_VERSION,
            "kind": _snapshots.KIND,
            "name": "disk-ann-20261124-020000",
            "namespace": disks.NAMESPACE,
        },
    }
    (found,) = served(state).snapshots
    before, now = _snapshots.parse_time(TAKEN), _snapshots.parse_time(MOMENT)
    shot = _snapshots.shot(found, now, 0)
    assert (shot.claim, shot.taken, shot.idle_at, shot.safety) == ("disk-ann", before, before, True)
    assert _snapshots.owned(found)


def test_a_secret_has_its_values_and_labels() -> None:
    state, _skipped = take(secrets=[secret()])
    assert state["secrets"] == [{**secret(), "metadata": {**secret()["metadata"], "annotations": {}}}]


# What can't be recovered is named.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one, _volume: one.update(status={"phase": "Pending"}), "it is pending"),
        (lambda one, _volume: one.pop("status"), "it is pending"),
        (lambda one, _volume: one.update(status={"phase": "Lost"}), "it is lost"),
        (lambda one, _volume: one["metadata"].update(deletionTimestamp=MOMENT), "it is being removed"),
        (lambda one, _volume: one["spec"].update(volumeName="other"), "its volume is gone"),
        (lambda _one, volume: volume["spec"].pop("csi"), "its volume is of no CSI driver"),
    ],
)
def test_a_claim_that_is_not_whole(change: Any, reason: str) -> None:
    one = claim()
    its = volume(one)
    change(one, its)
    state, skipped = take([one], [its])
    assert state["disks"] == []
    assert skipped == [f"PersistentVolumeClaim students/disk-ann: {reason}"]


@pytest.mark.parametrize(
    "change",
    [
        lambda one, _content: one["status"].update(readyToUse=False),
        lambda one, _content: one.pop("status"),
        lambda one, _content: one["status"].pop("boundVolumeSnapshotContentName"),
        lambda _one, content: content["metadata"].update(name="other"),
        lambda _one, content: content.pop("status"),
    ],
)
def test_a_snapshot_that_is_not_whole(change: Any) -> None:
    one, content = snapshot()
    change(one, content)
    state, skipped = take(pairs=[(one, content)])
    assert state["snapshots"] == []
    assert skipped == ["VolumeSnapshot students/disk-ann-20261124-020000: it is not ready"]


def test_what_goes_by_itself_is_left_out_without_a_word() -> None:
    scratch = claim()
    scratch["metadata"]["labels"][_restore.SCRATCH_LABEL] = "true"
    assert take([scratch], pairs=[snapshot(going=True)])[1] == []
    assert take([scratch], pairs=[snapshot(going=True)])[0]["disks"] == []
    assert take([scratch], pairs=[snapshot(going=True)])[0]["snapshots"] == []


# Files.


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "7",
        '"version"',
        "null",
        "{}",
        '{"version": 1}',
        '{"version": 1, "namespaces": [], "secrets": {}, "disks": [], "snapshots": [], "taken_at": ""}',
        '{"version": 1, "namespaces": [], "secrets": [], "disks": [], "snapshots": [], "taken_at": null}',
    ],
)
def test_a_text_that_is_no_state(text: str) -> None:
    with pytest.raises(CoursehubError, match="it is damaged: what is in it is no state of a cluster"):
        _state.opened(text)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_state_of_another_version(version: Any) -> None:
    with pytest.raises(CoursehubError, match=f"it is of version {version}, and this collection reads version 1"):
        _state.opened(json.dumps({"version": version}))


@given(text=st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_a_state_or_refused_in_one_sentence(text: str) -> None:
    # None of these is one; what else goes wrong would be another exception.
    with pytest.raises(CoursehubError):
        _state.opened(text)
