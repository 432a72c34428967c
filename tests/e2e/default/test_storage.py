"""Disks in the cluster: snapshot, restore, clone, grow, through the real controllers."""

from __future__ import annotations

from typing import Any

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.student import Student

SNAPSHOTS = "snapshot.storage.k8s.io/v1"


def _reader(image: str, claim: str) -> dict[str, Any]:
    """A pod that mounts a disk, within what the namespace allows."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": claim, "namespace": STUDENTS},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "reader",
                    "image": image,
                    "command": ["sleep", "600"],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "disk", "mountPath": "/disk"}],
                }
            ],
            "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }


def _claim(name: str, source: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": STUDENTS},
        "spec": {
            "storageClassName": "coursehub-disk",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "dataSource": source,
        },
    }


def test_snapshot_restore_and_grow(cluster: Cluster, alice: Student) -> None:
    alice.ask("PUT", "contents/kept.txt", {"type": "file", "format": "text", "content": "first"})
    snapshot = {
        "apiVersion": SNAPSHOTS,
        "kind": "VolumeSnapshot",
        "metadata": {"name": "of-alice", "namespace": STUDENTS},
        "spec": {
            "volumeSnapshotClassName": "coursehub-snapshot",
            "source": {"persistentVolumeClaimName": "disk-alice"},
        },
    }
    cluster.apply(snapshot)
    cluster.wait(
        SNAPSHOTS,
        "VolumeSnapshot",
        STUDENTS,
        lambda items: any(item.get("status", {}).get("readyToUse") for item in items),
        60,
    )
    alice.ask("PUT", "contents/kept.txt", {"type": "file", "format": "text", "content": "second"})
    image = cluster.pod_of("alice")["spec"]["containers"][0]["image"]
    cluster.apply(
        _claim("restored", {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "of-alice"})
    )
    cluster.apply(_reader(image, "restored"))

    def running(pods: list[dict[str, Any]]) -> bool:
        return any(p["metadata"]["name"] == "restored" and p["status"].get("phase") == "Running" for p in pods)

    cluster.wait("v1", "Pod", STUDENTS, running, 90)
    assert cluster.run_python("restored", "print(open('/disk/kept.txt').read())").strip() == "first"
    assert alice.ask("GET", "contents/kept.txt")["content"] == "second"

    claim = _claim("restored", {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "of-alice"})
    claim["spec"]["resources"]["requests"]["storage"] = "2Gi"
    cluster.apply(claim)
    cluster.wait(
        "v1",
        "PersistentVolumeClaim",
        STUDENTS,
        lambda items: any(
            item["metadata"]["name"] == "restored" and item["status"].get("capacity", {}).get("storage") == "2Gi"
            for item in items
        ),
        60,
    )
    cluster.delete("v1", "Pod", "restored", STUDENTS)
    cluster.delete("v1", "PersistentVolumeClaim", "restored", STUDENTS)
    cluster.delete(SNAPSHOTS, "VolumeSnapshot", "of-alice", STUDENTS)
