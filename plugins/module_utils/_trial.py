# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A trial of a single-user image: a student's server without a student; without I/O."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import MANAGED_BY, pod_trouble

Object = dict[str, Any]

NAME = "server-trial"
# As the hub's configuration has them, in images/hub/coursehub_hub/server.py.
SERVER = "/opt/coursehub/server"
HOME = "/home/student"
ANSWERS = "/opt/coursehub/answers"
ANSWERS_VOLUME = {"medium": "Memory", "sizeLimit": "1Mi"}
UID = 1000
PORT = 8888
PREFIX = "/user/trial/"
# On nodes that are for students alone, as a label and as a taint; in the same file.
POOL = "coursehub.jupyterhub/pool"
# On the ConfigMap with the server's program: the key of what was tried last, and did well.
TRIED_ANNOTATION = "coursehub.jupyterhub/tried"
# How often a container may end before that is the verdict.
ENDS = 2
# For how long a pull may fail. A registry has hiccups; the kubelet tries again 10, 20 and 40 s after the last try.
PULL_S = 60
# A try to pull has just failed; between two tries the reason is ImagePullBackOff, also while the next one goes on.
PULL_FAILED = ("ErrImagePull", "RegistryUnavailable")
PULLING = (*PULL_FAILED, "ImagePullBackOff")
# What another try does not mend.
HOPELESS = (
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)


def pod(namespace: str, server: Mapping[str, str]) -> Object:
    """Return the pod: what a student's server is, but for the disk and for whom it lets in, which is nobody.

    ``server`` has the image, what a student's server is promised and may take (memory, memory_limit, cpu, cpu_limit),
    and where it runs: pool and scheduler, empty for any node and the cluster's own.
    """
    environment = {
        "HOME": HOME,
        "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{PORT}{PREFIX}",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        # Where nobody is: a server starts without the hub.
        "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
        "JUPYTERHUB_API_TOKEN": "trial",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-trial",
        "JUPYTERHUB_USER": "trial",
        "JUPYTERHUB_ACTIVITY_URL": "",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": "[]",
        "JUPYTERHUB_DEFAULT_URL": "/lab",
        "JUPYTERHUB_DISABLE_USER_CONFIG": "1",
        "COURSEHUB_ANSWERS": f"{ANSWERS}/answers.json",
        "JUPYTER_RUNTIME_DIR": "/tmp/jupyter-runtime",  # noqa: S108 - the pod's own
        "JUPYTER_CONFIG_DIR": "/tmp/jupyter-config",  # noqa: S108
    }
    place: Object = {}
    if server["pool"]:
        place["nodeSelector"] = {POOL: server["pool"]}
        place["tolerations"] = [
            {"key": POOL, "operator": "Equal", "value": server["pool"], "effect": "NoSchedule"},
        ]
    if server["scheduler"]:
        place["schedulerName"] = server["scheduler"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {**MANAGED_BY, "app.kubernetes.io/name": NAME}},
        "spec": {
            **place,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": UID,
                "runAsGroup": UID,
                "fsGroup": UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "notebook",
                    "image": server["image"],
                    "imagePullPolicy": "IfNotPresent",
                    "args": ["python3", SERVER, "--KernelManager.transport=ipc"],
                    "workingDir": HOME,
                    "env": [{"name": name, "value": value} for name, value in environment.items()],
                    "ports": [{"name": "http", "containerPort": PORT}],
                    # Answered without a login.
                    "readinessProbe": {
                        "httpGet": {"path": f"{PREFIX}api", "port": "http"},
                        "periodSeconds": 1,
                        "timeoutSeconds": 5,
                    },
                    "resources": {
                        "requests": {"cpu": server["cpu"], "memory": server["memory"]},
                        "limits": {"cpu": server["cpu_limit"], "memory": server["memory_limit"]},
                    },
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [
                        {"name": "home", "mountPath": HOME},
                        {"name": "server", "mountPath": SERVER, "readOnly": True},
                        {"name": "answers", "mountPath": ANSWERS},
                    ],
                }
            ],
            "volumes": [
                {"name": "home", "emptyDir": {}},
                {"name": "server", "configMap": {"name": "server"}},
                {"name": "answers", "emptyDir": ANSWERS_VOLUME},
            ],
        },
    }


def key(made: Object, program: Object) -> str:
    """Return what a trial is known by: a hash of its pod (image, resources and place) and of the server's program."""
    text = json.dumps([made, program], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Judge:
    """What a pod comes to, for one who sees it change."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When its image could not be pulled first, in the clock's seconds.
        self._failing_since: float | None = None

    def __call__(self, found: Object) -> str | None:
        """Return empty for a server that answers, why it never will, None while it may."""
        status = found.get("status", {})
        if any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or []):
            return ""
        for container in status.get("containerStatuses") or []:
            reason = container.get("state", {}).get("waiting", {}).get("reason", "")
            ended = container.get("restartCount", 0) >= ENDS
            if ended or reason in HOPELESS or self._pulls_in_vain(reason):
                return pod_trouble(found) or "its container ends again and again"
        return None

    def _pulls_in_vain(self, reason: str) -> bool:
        """Tell whether one more try to pull has failed, after ``PULL_S`` seconds of such tries."""
        if reason not in PULLING:
            self._failing_since = None
            return False
        if self._failing_since is None:
            self._failing_since = self._clock()
        return reason in PULL_FAILED and self._clock() - self._failing_since >= PULL_S
