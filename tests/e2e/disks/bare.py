"""Disks of students who have no servers: real claims and volumes, made and removed in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _disks, _restore
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import ApiError

from tests.e2e.cluster import STUDENTS, Cluster

Object = dict[str, Any]
CLAIM, VOLUME = ("v1", "PersistentVolumeClaim"), ("v1", "PersistentVolume")
SNAPSHOT = ("snapshot.storage.k8s.io/v1", "VolumeSnapshot")
# The controller of volumes makes 20 requests a second, four or so a claim; after an outage it takes its time to start.
MADE_S, REMOVED_S = 120, 180


def is_ready(item: Object) -> bool:
    return (item.get("status") or {}).get("readyToUse") is True


class Bare:
    """The disks of some students, ``<prefix>-000`` and so on."""

    def __init__(self, cluster: Cluster, prefix: str, count: int) -> None:
        self.students = [f"{prefix}-{number:03}" for number in range(count)]
        self._cluster = cluster
        self._kube = cluster.kube

    def make(self) -> None:
        """Make the disks, and wait until they have their volumes."""
        node = _restore.choose_node(self._kube.list("v1", "Node"), None)
        path = self._kube.path(*CLAIM, STUDENTS)
        self._each(self.students, lambda student: self._kube.request("POST", path, _claim(student, node)))
        self._cluster.wait(*CLAIM, STUDENTS, lambda found: len(self._of_claims(found)) == len(self.students), MADE_S)

    def _of_claims(self, found: Iterable[Object]) -> list[Object]:
        names = {f"disk-{student}" for student in self.students}
        return [one for one in found if one["metadata"]["name"] in names and one["status"].get("phase") == "Bound"]

    def snapshots(self, students: Iterable[str] | None = None) -> dict[str, list[Object]]:
        """Return the snapshots of these students, all by default, without those that are on their way out."""
        return self.sorted_out(self._kube.list(*SNAPSHOT, STUDENTS), students)

    def sorted_out(self, found: Iterable[Object], students: Iterable[str] | None = None) -> dict[str, list[Object]]:
        """Return student -> those of the snapshots that are the student's, and not on their way out."""
        result: dict[str, list[Object]] = {student: [] for student in students or self.students}
        for item in found:
            student = item["spec"]["source"].get("persistentVolumeClaimName", "").removeprefix("disk-")
            if student in result and "deletionTimestamp" not in item["metadata"]:
                result[student].append(item)
        return result

    def volume_handle(self, student: str) -> str:
        """Return the driver's name of a student's volume."""
        claim = self._kube.get(*CLAIM, f"disk-{student}", STUDENTS)
        assert claim is not None
        volume = self._kube.get(*VOLUME, claim["spec"]["volumeName"])
        assert volume is not None
        return str(volume["spec"]["csi"]["volumeHandle"])

    def remove_snapshots(self) -> None:
        """Have all snapshots removed, and don't wait for it."""
        names = [item["metadata"]["name"] for items in self.snapshots().values() for item in items]
        self._each(names, lambda name: self._delete(SNAPSHOT, name, STUDENTS))

    def remove(self) -> None:
        """Remove the disks with their snapshots and volumes, and wait until nothing of them is left."""
        self.remove_snapshots()
        sources = {f"disk-{student}" for student in self.students}

        def none_left(found: list[Object]) -> bool:
            return not any(item["spec"]["source"].get("persistentVolumeClaimName") in sources for item in found)

        self._cluster.wait(*SNAPSHOT, STUDENTS, none_left, REMOVED_S)
        volumes = [
            one for one in self._kube.list(*VOLUME) if (one["spec"].get("claimRef") or {}).get("name") in sources
        ]
        names = {str(one["metadata"]["name"]) for one in volumes}
        # A volume goes with its claim only where it says so.
        going = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
        self._each(names, lambda name: self._kube.merge(self._kube.path(*VOLUME, None, name), going))
        self._each(sources, lambda name: self._delete(CLAIM, name, STUDENTS))

        def no_volume(found: list[Object]) -> bool:
            return not names & {one["metadata"]["name"] for one in found}

        self._cluster.wait(*VOLUME, None, no_volume, REMOVED_S)

    def _delete(self, kind: tuple[str, str], name: str, namespace: str) -> None:
        try:
            self._cluster.delete(*kind, name, namespace)
        except ApiError as error:
            if error.status != 404:
                raise

    @staticmethod
    def _each(items: Iterable[str], work: Callable[[str], Any]) -> None:
        _results, errors = _bulk.each(items, work)
        assert not errors, errors


def _claim(student: str, node: str) -> Object:
    started = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": f"disk-{student}",
            "namespace": STUDENTS,
            "labels": {_disks.STUDENT_LABEL: student},
            "annotations": {
                _disks.STUDENT_ANNOTATION: student,
                _disks.LAST_START_ANNOTATION: started,
                # As the scheduler writes it: a class that waits for a first consumer makes the volume then.
                _restore.SELECTED_NODE: node,
            },
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "coursehub-disk",
            "resources": {"requests": {"storage": "64Mi"}},
        },
    }


@contextmanager
def bare_disks(cluster: Cluster, prefix: str, count: int) -> Iterator[Bare]:
    """Make disks for students without servers; remove all of them at the end, however that comes."""
    disks = Bare(cluster, prefix, count)
    try:
        disks.make()
        yield disks
    finally:
        disks.remove()
