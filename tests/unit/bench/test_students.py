from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _restore, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from bench import students
from tests.unit.plugins.api import Api, now
from tests.unit.plugins.disks import snapshot

NAMESPACE = "bench"
CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
SHOTS = f"/apis/snapshot.storage.k8s.io/v1/namespaces/{NAMESPACE}/volumesnapshots"
CONTENTS = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents"
NODE = {
    "metadata": {"name": "n1"},
    "spec": {},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


def test_a_claim_is_a_students_disk_that_was_left_an_hour_ago() -> None:
    item = students.claim(7, NAMESPACE, "coursehub-disk", "n1")
    assert _disks.is_disk(item)
    disk = _disks.disk(item)
    assert (disk.student, disk.claim, disk.namespace) == ("bench-00007", "disk-bench-00007", NAMESPACE)
    assert item["metadata"]["annotations"][_restore.SELECTED_NODE] == "n1"
    # One snapshot of it, and the next run leaves it out.
    shot = _snapshots.shot(snapshot("bench-00007", now(), idle_at=now()), _disks.parse_time(now()), 600)
    assert _snapshots.unchanged(disk, shot)


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (100, [100]), (250, [100, 100, 50])])
def test_batches(count: int, sizes: list[int]) -> None:
    names = [str(number) for number in range(count)]
    cut = list(students.batches(names))
    assert [len(batch) for batch in cut] == sizes
    assert [name for batch in cut for name in batch] == names


def test_progress_is_told_at_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    progress = students.Progress("disks are there", 20, bool)
    assert not progress([{"a": 1}])
    assert not progress([{"a": 1}] * 2)
    assert not progress([{"a": 1}] * 3)
    assert progress([{"a": 1}] * 20)
    assert capsys.readouterr().out.splitlines() == [
        "bench: 2 of 20 disks are there",
        "bench: 20 of 20 disks are there",
    ]


def bind(api: Api) -> None:
    def control(path: str, item: dict[str, Any]) -> None:
        if path.startswith(CLAIMS):
            api.put(path, {**item, "status": {"phase": "Bound"}})

    api.on_create = control


def test_disks_are_made_in_a_namespace_of_their_own(kube: Kube, api: Api) -> None:
    api.put("/api/v1/nodes/n1", NODE)
    bind(api)
    claims = students.make(kube, NAMESPACE, 3, "coursehub-disk")
    assert claims == [f"disk-bench-0000{number}" for number in range(3)]
    assert f"/api/v1/namespaces/{NAMESPACE}" in api.objects
    assert api.objects[f"{CLAIMS}/{claims[0]}"]["metadata"]["annotations"][_restore.SELECTED_NODE] == "n1"


def test_disks_that_nobody_makes_end_the_benchmark(kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(students, "LEAST_SECONDS", 0)
    monkeypatch.setattr(students, "SECONDS_A_CLAIM", 0)
    api.put("/api/v1/nodes/n1", NODE)
    with pytest.raises(SystemExit, match="0 of 3 disks were there after 0 s"):
        students.make(kube, NAMESPACE, 3, "coursehub-disk")


def test_snapshots_are_removed_and_others_stay(kube: Kube, api: Api) -> None:
    names = []
    for number in range(5):
        item = snapshot(f"s{number}", now())
        names.append(item["metadata"]["name"])
        api.put(f"{SHOTS}/{names[-1]}", item)
    content = {"metadata": {"name": "other"}, "spec": {"volumeSnapshotRef": {"namespace": "elsewhere"}}}
    api.put(f"{CONTENTS}/other", content)
    assert students.ready_snapshots(kube, NAMESPACE) == 5
    students.remove_snapshots(kube, NAMESPACE)
    assert list(api.objects) == [f"{CONTENTS}/other"]


def test_a_storage_that_keeps_snapshots_ends_the_benchmark(
    kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(students, "SECONDS_A_BATCH", 0)
    content = {"metadata": {"name": "ours"}, "spec": {"volumeSnapshotRef": {"namespace": NAMESPACE}}}
    api.put(f"{CONTENTS}/ours", content)
    with pytest.raises(SystemExit, match="snapshots are still in the storage 0 s after they were removed"):
        students.remove_snapshots(kube, NAMESPACE)


def test_the_stand_in_makes_snapshots_ready(kube: Kube, api: Api) -> None:
    api.put(f"{SHOTS}/one", {"metadata": {"name": "one"}, "spec": {}})
    # The small server knows no subresources: what is written to one stands beside the object.
    with students.stand_in(kube, NAMESPACE, 120):
        deadline = time.monotonic() + 120
        path = f"{SHOTS}/one/status"
        while path not in [request.path for request in api.asked] and time.monotonic() < deadline:
            time.sleep(0.01)
    written = next(request.body for request in api.asked if request.path == path)
    assert written is not None
    assert written["status"]["readyToUse"] is True
