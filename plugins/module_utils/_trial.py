# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A trial of a single-user image: a student's server without a student; without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import MANAGED_BY, pod_trouble

Object = dict[str, Any]

NAME = "server-trial"
# As the hub's configuration has them, in images/hub/coursehub_hub/server.py.
SERVER = "/opt/coursehub/server"
HOME = "/home/student"
UID = 1000
PORT = 8888
PREFIX = "/user/trial/"
# On the ConfigMap with the server's program: the image that was tried last, and did well.
TRIED_ANNOTATION = "coursehub.jupyterhub/tried-image"
# How often a container may end before that is the verdict.
ENDS = 2


def pod(namespace: str, image: str, resources: Mapping[str, str]) -> Object:
    """Return the pod: what a student's server is, but for the disk and for whom it lets in, which is nobody.

    ``resources`` has what a student's server is promised and may take: memory, memory_limit, cpu and cpu_limit.
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
        "JUPYTER_RUNTIME_DIR": "/tmp/jupyter-runtime",  # noqa: S108 - the pod's own
        "JUPYTER_CONFIG_DIR": "/tmp/jupyter-config",  # noqa: S108
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {**MANAGED_BY, "app.kubernetes.io/name": NAME}},
        "spec": {
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
                    "image": image,
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
                        "requests": {"cpu": resources["cpu"], "memory": resources["memory"]},
                        "limits": {"cpu": resources["cpu_limit"], "memory": resources["memory_limit"]},
                    },
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [
                        {"name": "home", "mountPath": HOME},
                        {"name": "server", "mountPath": SERVER, "readOnly": True},
                    ],
                }
            ],
            "volumes": [
                {"name": "home", "emptyDir": {}},
                {"name": "server", "configMap": {"name": "server"}},
            ],
        },
    }


def verdict(found: Object) -> str | None:
    """Return what a pod has come to: empty for a server that answers, why it never will, None while it may."""
    status = found.get("status", {})
    if any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or []):
        return ""
    for container in status.get("containerStatuses") or []:
        waiting = container.get("state", {}).get("waiting", {})
        if container.get("restartCount", 0) >= ENDS or waiting.get("reason") in (
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
            "ErrImageNeverPull",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
        ):
            return pod_trouble(found) or "its container ends again and again"
    return None
