"""Pods that use a disk behind the hub's back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.cluster import STUDENTS, Cluster


def tools_image(cluster: Cluster) -> str:
    found = cluster.kube.get("v1", "ConfigMap", "disk-tools", STUDENTS)
    assert found is not None
    return str(found["data"]["image"])


@contextmanager
def pod_with(cluster: Cluster, claim: str, *command: str) -> Iterator[str]:
    """Run a pod that has a disk at ``/disk``, and a command or nothing; give its name; remove it at the end."""
    name = f"use-{claim}"
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": STUDENTS, "labels": {"tests": name}},
            "spec": {
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "fsGroup": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "user",
                        "image": tools_image(cluster),
                        "args": list(command) or ["sleep", "600"],
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                        "volumeMounts": [{"name": "disk", "mountPath": "/disk"}],
                    }
                ],
                "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": claim}}],
            },
        }
    )

    def running(pods: list[dict[str, Any]]) -> bool:
        return any(p["metadata"]["name"] == name and p["status"].get("phase") == "Running" for p in pods)

    try:
        cluster.wait("v1", "Pod", STUDENTS, running, 90)
        yield name
    finally:
        cluster.delete("v1", "Pod", name, STUDENTS)
        cluster.wait("v1", "Pod", STUDENTS, lambda pods: all(p["metadata"]["name"] != name for p in pods), 60)


def nothing_left_over(cluster: Cluster) -> None:
    """Check that no worker and no scratch disk is there, with no volume of one."""
    assert cluster.pods(STUDENTS, "coursehub.jupyterhub/worker") == []
    claims = cluster.kube.list("v1", "PersistentVolumeClaim", STUDENTS, labelSelector="coursehub.jupyterhub/scratch")
    assert claims == []

    def gone(volumes: list[dict[str, Any]]) -> bool:
        return all(not v["spec"].get("claimRef", {}).get("name", "").startswith("scratch-") for v in volumes)

    cluster.wait("v1", "PersistentVolume", None, gone, 60)
