"""Claims, pods and snapshots as the API has them."""

from __future__ import annotations

from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _manifests, _snapshots

Object = dict[str, Any]
NAMESPACE = "students"


def claim(
    student: str, *, size: str = "1Gi", phase: str = "Bound", last_start: str | None = None, label: str = ""
) -> Object:
    """Return a student's claim as KubeSpawner makes it."""
    label = label or student
    annotations = {_disks.STUDENT_ANNOTATION: student}
    if last_start is not None:
        annotations[_disks.LAST_START_ANNOTATION] = last_start
    bound = phase == "Bound"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": f"disk-{label}",
            "namespace": NAMESPACE,
            "labels": {_disks.STUDENT_LABEL: label},
            "annotations": annotations,
        },
        "spec": {
            "storageClassName": "coursehub-disk",
            "resources": {"requests": {"storage": size}},
            **({"volumeName": f"pvc-{label}"} if bound else {}),
        },
        "status": {"phase": phase, **({"capacity": {"storage": size}} if bound else {})},
    }


def pod(name: str, claim_name: str, phase: str = "Running") -> Object:
    """Return a pod that has a claim."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": claim_name}}]},
        "status": {"phase": phase},
    }


def snapshot(
    student: str,
    taken: str,
    *,
    ready: bool = True,
    error: str = "",
    idle_at: str = "",
    going: bool = False,
    safety: bool = False,
) -> Object:
    """Return a snapshot of a student's disk, taken at a moment as the API writes it."""
    name = f"disk-{student}-{taken[:19].replace('-', '').replace(':', '').replace('T', '-')}"
    annotations = {_disks.STUDENT_ANNOTATION: student}
    if idle_at:
        annotations[_snapshots.IDLE_ANNOTATION] = idle_at
    if safety:
        annotations[_snapshots.SAFETY_ANNOTATION] = "true"
    status: Object = {"readyToUse": ready, "restoreSize": "1Gi"}
    if ready:
        status["creationTime"] = taken
    if error:
        status["error"] = {"message": error}
    return {
        "apiVersion": _snapshots.API_VERSION,
        "kind": _snapshots.KIND,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "creationTimestamp": taken,
            "labels": {**_manifests.MANAGED_BY, _disks.STUDENT_LABEL: student},
            "annotations": annotations,
            **({"deletionTimestamp": taken} if going else {}),
        },
        "spec": {"source": {"persistentVolumeClaimName": f"disk-{student}"}},
        "status": status,
    }
