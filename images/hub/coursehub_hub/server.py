"""A student's server: its pod and its disk."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

from .patience import REQUEST_TIMEOUT_S, patiently

HOME = "/home/student"
# Where the program that goes on without the hub is mounted.
SERVER = "/opt/coursehub/server"
# Where a server keeps what the hub said, for its container that is started anew.
ANSWERS = "/opt/coursehub/answers"
# In memory, so that no disk ever has it. The limit is the most that a student can fill it with.
ANSWERS_VOLUME = {"medium": "Memory", "sizeLimit": "1Mi"}
# The user in the single-user image. Disks belong to it.
UID = 1000
# On nodes that are for students alone, as a label and as a taint.
POOL = "coursehub.jupyterhub/pool"
# Read by the modules for students' disks.
LAST_START = "coursehub.jupyterhub/last-start"
# Written by a restore, which makes the new volume under a claim with this prefix.
RESTORE = "coursehub.jupyterhub/restore"
RESTORE_PREFIX = "restore-"
# Written before an archived disk is removed.
REMOVAL = "coursehub.jupyterhub/removal"
# Written when a disk is nearly full and as large as it may be.
FULL = "coursehub.jupyterhub/full"
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
FACTORS = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    **{letter: 1000.0**power for power, letter in enumerate("MGTPE", 2)},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", 1)},
}


def apply(c: Any, values: dict[str, Any]) -> None:
    """Configure KubeSpawner."""
    c.JupyterHub.spawner_class = "coursehub_hub.spawner.CourseSpawner"
    c.Spawner.default_url = "/lab"
    # By the interpreter of the course's own image.
    c.Spawner.cmd = ["python3", SERVER]
    c.Spawner.args = [
        # Sockets in the file system instead of ports: another student on the node can't reach a kernel.
        "--KernelManager.transport=ipc",
        # What is deleted makes room: a bin on the same disk does not, and on a full one it can't be made.
        "--FileContentsManager.delete_to_trash=False",
    ]
    # On a full disk the server ended when it made the folder for its configuration, which is not read anyway. What the
    # student sets in the browser stays in the home.
    c.Spawner.environment = {
        "JUPYTER_RUNTIME_DIR": "/tmp/jupyter-runtime",  # noqa: S108 - the pod's own
        "JUPYTER_CONFIG_DIR": "/tmp/jupyter-config",  # noqa: S108
        "JUPYTERLAB_SETTINGS_DIR": f"{HOME}/.jupyter/lab/user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": f"{HOME}/.jupyter/lab/workspaces",
        "COURSEHUB_STALE_IF_ERROR_S": str(values["away_limit"]),
        "COURSEHUB_ANSWERS": f"{ANSWERS}/answers.json",
    }
    # A student's own configuration must not be able to keep the server from starting.
    c.Spawner.disable_user_config = True
    c.Spawner.start_timeout = values["start_timeout"]
    c.Spawner.http_timeout = 60
    # Looks at what the watch of pods knows, and asks nobody. With JupyterHub's 30 s a student whose node was lost was
    # told for up to 20 s more that the server runs.
    c.Spawner.poll_interval = 5
    # It counts one student's failures as it does those of many: see failures.py.
    c.Spawner.consecutive_failure_limit = 0
    c.Spawner.pre_spawn_hook = mark_start
    kube = c.KubeSpawner
    kube.namespace = values["students_namespace"]
    kube.image = values["image"]
    kube.image_pull_policy = "IfNotPresent"
    kube.mem_guarantee = int(quantity(values["memory"]))
    kube.mem_limit = int(quantity(values["memory_limit"]))
    kube.cpu_guarantee = quantity(values["cpu"])
    kube.cpu_limit = quantity(values["cpu_limit"])
    kube.k8s_api_request_timeout = 30
    # A start that was asked for while the API server is away comes through when it is back.
    kube.k8s_api_request_retry_timeout = values["start_timeout"]
    _disk(kube, values)
    _place(kube, values)
    _security(kube)


class BeingRestoredError(Exception):
    """A student's disk is on its way from one volume to another; the text is what the student reads."""

    jupyterhub_message = (
        "Your disk is just being restored from a snapshot. Try again in a minute; if it takes longer, tell the staff."
    )


class BeingRemovedError(Exception):
    """A student's disk was archived and is on its way out; the text is what the student reads."""

    jupyterhub_message = "Your disk was archived at the end of the course and is just being removed. Ask the staff."


async def mark_start(spawner: Any) -> None:
    """Write on the disk when a pod is to have it: snapshots leave out a disk that none has had since the last one.

    A disk that can't be marked isn't started: what is written to it would be in no snapshot. Nor is one that is being
    restored: its claim may be away for a moment, and the hub would make an empty one in its place.
    """
    moment = {LAST_START: datetime.now(UTC).isoformat(timespec="seconds")}
    # For a disk that this start makes.
    spawner.storage_extra_annotations = {**spawner.storage_extra_annotations, **moment}
    spawner.disk_is_full = False
    body = {"metadata": {"annotations": moment}}
    claim = await _unless_absent(
        spawner, spawner.api.patch_namespaced_persistent_volume_claim, spawner.pvc_name, spawner.namespace, body
    )
    if claim is None:
        restoring = await _unless_absent(
            spawner,
            spawner.api.read_namespaced_persistent_volume_claim,
            f"{RESTORE_PREFIX}{spawner.pvc_name}",
            spawner.namespace,
        )
        if restoring is not None:
            raise BeingRestoredError
    else:
        annotations = claim.metadata.annotations or {}
        if RESTORE in annotations:
            raise BeingRestoredError
        if REMOVAL in annotations:
            raise BeingRemovedError
        spawner.disk_is_full = FULL in annotations


async def _unless_absent(spawner: Any, call: Any, *arguments: Any) -> Any:
    """Return the API's answer, None where there is no such object. An API server that is away is waited for."""
    try:
        request = functools.partial(call, _request_timeout=REQUEST_TIMEOUT_S)
        return await patiently(spawner.start_timeout, request, *arguments)
    except Exception as error:
        # The client's own exception, which has the HTTP status.
        if getattr(error, "status", None) != 404:
            raise
    return None


def quantity(text: str) -> float:
    """Return a Kubernetes quantity in bytes or cores, as a number: the hub takes 1G for what Kubernetes calls 1Gi.

    Raises ValueError or KeyError for what is none; the role has refused it before.
    """
    number = text.rstrip("numkKMGTPEi")
    return float(number) * FACTORS[text[len(number) :]]


def _disk(kube: Any, values: dict[str, Any]) -> None:
    kube.storage_pvc_ensure = True
    # From the name alone, so that a hub whose database is lost finds every disk again.
    kube.pvc_name_template = "disk-{username}"
    kube.remember_pvc_name = False
    # A user who is deleted leaves the disk behind; only the archive removes one.
    kube.delete_pvc = False
    kube.storage_class = values["storage_class"]
    kube.storage_capacity = values["disk_size"]
    kube.storage_access_modes = ["ReadWriteOnce"]
    kube.storage_extra_labels = {"coursehub.jupyterhub/student": "{username}"}
    kube.volumes = [
        {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}},
        {"name": "server", "configMap": {"name": "server"}},
        {"name": "answers", "emptyDir": ANSWERS_VOLUME},
    ]
    kube.volume_mounts = [
        {"name": "home", "mountPath": HOME},
        {"name": "server", "mountPath": SERVER, "readOnly": True},
        {"name": "answers", "mountPath": ANSWERS},
    ]
    kube.working_dir = HOME
    kube.notebook_dir = HOME


def _place(kube: Any, values: dict[str, Any]) -> None:
    # Engines make room by moving who runs: Karpenter moved five of five when it replaced a node that was too large.
    kube.extra_annotations = {
        "karpenter.sh/do-not-disrupt": "true",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    }
    if values["pool"]:
        kube.node_selector = {POOL: values["pool"]}
        kube.tolerations = [{"key": POOL, "operator": "Equal", "value": values["pool"], "effect": "NoSchedule"}]
    if values["scheduler"]:
        kube.scheduler_name = values["scheduler"]


def _security(kube: Any) -> None:
    """Satisfy Pod Security "restricted", which the namespace enforces."""
    kube.automount_service_account_token = False
    kube.enable_user_namespaces = False
    kube.uid = UID
    kube.gid = UID
    kube.fs_gid = UID
    kube.allow_privilege_escalation = False
    kube.container_security_context = {"capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    kube.pod_security_context = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        # The disk is given to the student once, not file by file at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
    }
    kube.extra_pod_config = {
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        # As the hub has it: with a node that is lost half of the cluster's DNS may be silent.
        "dnsConfig": {"options": [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "5"}]},
    }
