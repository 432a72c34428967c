# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs that run the exporter (``coursehub_tools.drive``) for some students, and their disks; without I/O.

A Job and not a pod, since a pod that is killed has to be followed by another one, which goes on. What it tells of each
student is a line of its log: a termination message has room for one or two.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts, _names, _restore, _slots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import MANAGED_BY
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._worker import UID

Object = dict[str, Any]

# On Jobs and their pods: the exporter's command. The network policy and the next run find them by this. It is not the
# label of other workers: a drill that runs meanwhile would take them for what a killed run has left.
LABEL = "coursehub.jupyterhub/exporter"
# On the claims that are made for exports: ``clone`` of one that goes with its Job, ``state`` of one that stays.
CLAIM_LABEL = "coursehub.jupyterhub/drive"
CLONE, STATE = "clone", "state"
CLONE_PREFIX = "export-"
# What the names of all of them begin with: a disk's name is the hub's.
CLONES = f"{CLONE_PREFIX}{_names.PREFIX}"
STATE_SIZE = "1Gi"
MEMORY = "512Mi"
# The exporter's own limits, which a test compares: students who have accounts of their own are side by side, so many
# files are on their way at a time, and each may be a bundle on the node's disk, of at most so much (MiB).
SIDE_BY_SIDE = 8
FILES_OF_ONE = 4
FILES_AT_A_TIME = 16
BUNDLE_MIB = 256
# Exports' lists, and the log, of which a kubelet keeps 50 MiB.
OTHER_MIB = 1024
# Seconds without an answer of Drive after which a check is over.
ASKING_S = "60"
# The ResourceQuota that the role makes for the Jobs' pods.
QUOTA = "drive-export"
# The account that the pods have where a token of the cluster stands for a key. It has no right in the cluster.
ACCOUNT = "drive-exporter"
# Where Google's documents have that token, and the exporter looks for it. The kubelet writes it anew in good time.
TOKEN_FOLDER, TOKEN_S = "/var/run/service-account", 3600
# The ConfigMap with the rates of each Job of the run that there is, and the file that the pods have it as.
PACE, PACE_FILE = "drive-pace", "rates.json"
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
CONTAINER = "exporter"
# How often a pod that died is followed by another one, after 10 s, 20 s, 40 s and so on.
TRIES = 6
# A Job whose run was killed goes by itself at last, where no other run sweeps it.
KEPT_S = 86400
# Students of one Job: the request is one variable, which Linux lets have 128 KiB.
MOST_TOGETHER = 100

ARGUMENTS: dict[str, dict[str, Any]] = {
    "students_per_job": {"type": "int", "default": 5},
    "concurrency": {"type": "int", "default": 4},
    "priority_class": {"type": "str", "default": ""},
    "wait_timeout": {"type": "int", "default": 14400},
}


@dataclass(frozen=True)
class Person:
    """One student's part in a Job. ``claim`` is the disk to read from or to write to, empty where none is needed."""

    account: _accounts.Account
    claim: str = ""
    # The id of the student's disk where that says of no export.
    new: str | None = None


@dataclass(frozen=True)
class Task:
    """What a Job does: a command for some students, with what they have in common, and a claim for their states."""

    name: str
    command: str
    people: Sequence[Person]
    common: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""
    api_address: str = ""
    priority_class: str = ""
    # What in the ConfigMap is of this run. What an earlier run has left there is no pace of this one.
    pace: str = ""
    # Whom the token of the cluster is for that the pod has in the place of a key, empty where there is a key.
    audience: str = ""


def check(parameters: Mapping[str, Any]) -> None:
    """Raise CoursehubError for numbers of Jobs, or of students in them, that can't be."""
    for name in ("concurrency", "students_per_job"):
        if parameters[name] < 1:
            raise CoursehubError(f"{name} is {parameters[name]}: set it to 1 at least")
    if parameters["students_per_job"] > MOST_TOGETHER:
        raise CoursehubError(f"students_per_job is {parameters['students_per_job']}: set it to {MOST_TOGETHER} at most")


def common(parameters: Mapping[str, Any], rates: _slots.Rates) -> Object:
    """Return what all students' requests have in common."""
    told = {name: parameters[name] for name in ("folder", "exclude", "bundle", "prune", "look", "checksum")}
    return {**told, **asdict(rates)}


def request(task: Task) -> Object:
    """Return what the exporter is asked."""
    keys = key_files(task)
    place = {"import": "disk"}.get(task.command, "source")
    students = [
        {
            "student": person.account.student,
            "credentials": f"/keys/{keys[person.account.secret]}",
            "subject": person.account.subject,
            "name": person.account.name,
            **({place: f"/homes/{number}"} if person.claim else {}),
            **({"new": True, "disk_uid": person.new} if person.new is not None and task.command == "export" else {}),
        }
        for number, person in enumerate(task.people)
    ]
    pace = {"pace": f"/pace/{PACE_FILE}"} if task.pace else {}
    return {**task.common, **({"state": "/state"} if task.state else {}), **pace, "students": students}


def key_files(task: Task) -> dict[str, str]:
    """Return the file that each Secret's key is in, by Secret."""
    secrets = dict.fromkeys(person.account.secret for person in task.people)
    return {secret: f"{number}.json" for number, secret in enumerate(secrets)}


def job(task: Task, namespace: str, image: str, seconds: int) -> Object:
    """Return the Job, which ends after so many seconds. It satisfies Pod Security "restricted", and has no right in the
    cluster. Credentials are files of a volume: none is in the manifest.
    """
    metadata: Object = {"labels": {**MANAGED_BY, LABEL: task.command}}
    words = ["python", "-m", "coursehub_tools.drive", task.command]
    if task.api_address:
        words += ["--drive-address", task.api_address]
    if task.command in ("check", "count"):
        # They ask before anything is begun: that there is no way out is to be known now, and not in an hour.
        words += ["--drive-patience", ASKING_S]
    scratch = f"{scratch_mib(task)}Mi"
    mounts, volumes = _volumes(task, scratch)
    container = {
        "name": CONTAINER,
        "image": image,
        "args": words,
        "env": [
            {"name": "COURSEHUB_REQUEST", "value": json.dumps(request(task), sort_keys=True)},
            {"name": "COURSEHUB_RESULT", "value": "/dev/termination-log"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the pod's own
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": scratch},
            "limits": {"memory": MEMORY, "ephemeral-storage": scratch},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    pod = {
        "restartPolicy": "Never",
        **({"serviceAccountName": ACCOUNT} if task.audience else {}),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        **({"priorityClassName": task.priority_class} if task.priority_class else {}),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": task.name, "namespace": namespace, **metadata},
        "spec": {
            "backoffLimit": TRIES,
            "activeDeadlineSeconds": max(1, seconds),
            "ttlSecondsAfterFinished": KEPT_S,
            "podFailurePolicy": {
                "rules": [
                    # A node that was drained or lost: that is no try. A pod that is evicted for being over its own
                    # limit of disk gets no such condition from the kubelet, and is counted.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                    # It came to its end and told what failed for whom. Trying again would fail again.
                    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}},
                ]
            },
            "template": {"metadata": metadata, "spec": pod},
        },
    }


def _volumes(task: Task, scratch: str) -> tuple[list[Object], list[Object]]:
    sources = [
        {"secret": {"name": secret, "items": [{"key": _accounts.KEY, "path": path}]}}
        for secret, path in key_files(task).items()
    ]
    mounts: list[Object] = [
        {"name": "keys", "mountPath": "/keys", "readOnly": True},
        {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
    ]
    volumes: list[Object] = [
        {"name": "keys", "projected": {"defaultMode": 0o440, "sources": sources}},
        {"name": "scratch", "emptyDir": {"sizeLimit": scratch}},
    ]
    for number, person in enumerate(task.people):
        if person.claim:
            # A clone is scratch: files that their owner can't read are read by changing their mode for the moment.
            mounts.append({"name": f"home-{number}", "mountPath": f"/homes/{number}"})
            volumes.append({"name": f"home-{number}", "persistentVolumeClaim": {"claimName": person.claim}})
    if task.state:
        mounts.append({"name": "state", "mountPath": "/state"})
        volumes.append({"name": "state", "persistentVolumeClaim": {"claimName": task.state}})
    if task.audience:
        source = {"audience": task.audience, "expirationSeconds": TOKEN_S, "path": "token"}
        mounts.append({"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True})
        volumes.append({"name": "token", "projected": {"sources": [{"serviceAccountToken": source}]}})
    if task.pace:
        # Optional: without it the Job has its share of the request, and need not wait for anything.
        items = [{"key": task.pace, "path": PACE_FILE}]
        mounts.append({"name": "pace", "mountPath": "/pace", "readOnly": True})
        volumes.append({"name": "pace", "configMap": {"name": PACE, "items": items, "optional": True}})
    return mounts, volumes


def scratch_mib(task: Task) -> int:
    """Return what a pod may have on its node's disk at a time, in MiB, and be evicted beyond.

    It is asked for as well: what is not would be taken from servers of students when the disk is full.
    """
    if task.command not in ("export", "import"):
        return OTHER_MIB
    lanes = max(1, min(SIDE_BY_SIDE, len({person.account.identity for person in task.people})))
    return OTHER_MIB + lanes * min(FILES_OF_ONE, FILES_AT_A_TIME // lanes) * BUNDLE_MIB


def claims_of(item: Object) -> list[str]:
    """Return the claims that a Job's pods have."""
    volumes = item["spec"]["template"]["spec"].get("volumes") or []
    return [one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one]


def clone(claim: Object, volume_size: str, snapshot: str, node: str) -> Object:
    """Return the claim of a scratch disk, made from a snapshot of a student's."""
    item = _restore.copy_of(claim, clone_name(claim["metadata"]["name"]), volume_size, snapshot, node)
    item["metadata"]["labels"][CLAIM_LABEL] = CLONE
    return item


def clone_name(claim: str) -> str:
    """Return the name of a student's scratch disk for exports. A drill's has another, and both may be there."""
    return f"{CLONE_PREFIX}{claim}"


def is_clone(item: Object) -> bool:
    """Tell whether a claim is a scratch disk for exports: of others only the name may be alike."""
    return bool((item["metadata"].get("labels") or {}).get(CLAIM_LABEL) == CLONE)


def without_claim(volumes: Iterable[Object], namespace: str, claims: Collection[str]) -> list[str]:
    """Return the volumes that were made for scratch disks which are gone. ``claims`` has the ids of those there."""
    found = []
    for item in volumes:
        holder = item["spec"].get("claimRef") or {}
        ours = holder.get("namespace") == namespace and str(holder.get("name", "")).startswith(CLONES)
        kept = item["spec"].get("persistentVolumeReclaimPolicy") == "Retain"
        if ours and kept and holder.get("uid") not in claims:
            found.append(str(item["metadata"]["name"]))
    return found


def pace_map(namespace: str, key: str, rates: _slots.Rates) -> Object:
    """Return the ConfigMap with what each Job may ask Drive for. Not of the day's bytes: some are sent already."""
    told = {name: value for name, value in asdict(rates).items() if name != "bytes_per_day"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": PACE, "namespace": namespace, "labels": {**MANAGED_BY}},
        "data": {key: json.dumps(told, sort_keys=True)},
    }


def state_claim(slot: _slots.Slot, namespace: str, storage_class: str, node: str) -> Object:
    """Return the claim for what the exporter knows of the students of a slot."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": slot.claim,
            "namespace": namespace,
            "labels": {**MANAGED_BY, CLAIM_LABEL: STATE},
            "annotations": {_restore.SELECTED_NODE: node},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": STATE_SIZE}},
        },
    }
