# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A worker: a pod that does one thing with one student's files; without I/O.

What it does is a command of ``coursehub_tools`` in the tools image. It tells its result by its termination message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import MANAGED_BY

Object = dict[str, Any]

# On a worker's pod: its command. The network policies and the next run find it by this.
WORKER_LABEL = "coursehub.jupyterhub/worker"
# The user to whom all students' disks belong, as in every image of this collection.
UID = 1000
# Why a container waits that will not start by waiting longer.
HOPELESS = ("ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "ImagePullBackOff")


@dataclass(frozen=True)
class Target:
    """Where archives go: a folder in a claim, or what rclone calls a remote, whose settings are in a Secret.

    ``path`` is a folder of the claim or ``remote:bucket/folder``; ``secret`` holds a file ``rclone.conf``.
    """

    path: str
    claim: str = ""
    secret: str = ""

    @property
    def inside(self) -> str:
        """The path as the worker sees it."""
        return f"/target/{self.path.strip('/')}".rstrip("/") if self.claim else self.path


@dataclass(frozen=True)
class Task:
    """What a worker does: a command, its request, and the claims that it has at ``/disk`` and ``/source``."""

    command: str
    request: Object
    disk: str = ""
    disk_read_only: bool = False
    source: str = ""
    node: str = ""
    target: Target | None = None
    labels: Object = field(default_factory=dict)


def pod_name(command: str, claim: str) -> str:
    """Return the name of the pod that does a command for a student's disk: one at a time."""
    return f"{command}-{claim}"


def pod(task: Task, name: str, namespace: str, image: str) -> Object:
    """Return the pod. It satisfies Pod Security "restricted", and has no right in the cluster."""
    mounts, volumes = _disks(task)
    variables = [{"name": "COURSEHUB_REQUEST", "value": json.dumps(task.request, sort_keys=True)}]
    if task.target is not None and task.target.secret:
        variables.append({"name": "RCLONE_CONFIG", "value": "/rclone/rclone.conf"})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**MANAGED_BY, **task.labels, WORKER_LABEL: task.command},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # A worker that was asked to end has nothing to say: what it began is put right by the next run.
            "terminationGracePeriodSeconds": 1,
            **({"nodeSelector": {"kubernetes.io/hostname": task.node}} if task.node else {}),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": UID,
                "runAsGroup": UID,
                "fsGroup": UID,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "worker",
                    "image": image,
                    "args": ["python", "-m", "coursehub_tools", task.command],
                    "env": variables,
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"},
                        "limits": {"memory": "512Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [*mounts, {"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108 - the pod's own
                }
            ],
            "volumes": [*volumes, {"name": "scratch", "emptyDir": {}}],
        },
    }


def _disks(task: Task) -> tuple[list[Object], list[Object]]:
    mounts: list[Object] = []
    volumes: list[Object] = []
    claims = [("disk", task.disk), ("source", task.source), ("target", task.target.claim if task.target else "")]
    for name, claim in claims:
        if claim:
            read_only = {"readOnly": True} if name == "disk" and task.disk_read_only else {}
            mounts.append({"name": name, "mountPath": f"/{name}", **read_only})
            volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
    if task.target is not None and task.target.secret:
        mounts.append({"name": "rclone", "mountPath": "/rclone", "readOnly": True})
        volumes.append({"name": "rclone", "secret": {"secretName": task.target.secret, "defaultMode": 0o440}})
    return mounts, volumes


def outcome(item: Object) -> Object | None:
    """Return what a worker told, with ``failed``; None while it is at work.

    One that ended without a word, as by the memory's end or a node's, has failed.
    """
    status = item.get("status", {})
    containers: list[Object] = status.get("containerStatuses") or [{}]
    state: Object = containers[0].get("state", {})
    waiting = state.get("waiting", {})
    if waiting.get("reason") in HOPELESS:
        return {"failed": f"its worker can't start: {waiting.get('message') or waiting['reason']}"}
    if status.get("phase") not in ("Succeeded", "Failed"):
        return None
    terminated = state.get("terminated", {})
    told = _told(terminated.get("message") or "")
    if told is not None:
        return told
    reason = status.get("message") or terminated.get("reason") or status.get("reason") or "no reason is known"
    said = (terminated.get("message") or "").strip().splitlines()
    return {"failed": f"its worker ended without a result: {reason}{': ' + said[-1] if said else ''}"}


def _told(text: str) -> Object | None:
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "failed" in told else None


def why_waiting(item: Object | None) -> str:
    """Return what keeps a worker from its start, as far as its pod tells."""
    if item is None:
        return "its pod is gone"
    status = item.get("status", {})
    for one in status.get("conditions") or []:
        if one["type"] == "PodScheduled" and one["status"] != "True":
            return f"its pod has no node: {one.get('message', 'no reason is known')}"
    if status.get("phase") == "Pending":
        return "its pod waits for its disks or its image"
    return "it was still at work"
