"""The storage's controllers on the benchmark's cluster: how many requests they may make, and how they are stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from .report import fail

Object = dict[str, Any]
NAMESPACE = "coursehub-storage"
CONTROLLER = ("apps/v1", "Deployment", "storage-controller")
# Controls volumes and claims, with an account of its own.
BINDER = ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "system:controller:persistent-volume-binder")
QPS, BURST = "--kube-api-qps", "--kube-api-burst"
# What the sidecars take where nobody says otherwise.
DEFAULTS = (5, 10)
ROLLOUT_S = 180


def throttle_of(containers: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the requests a second and the burst that the sidecars are given."""
    words = [word for one in containers for word in one.get("args", [])]
    given = [
        next((int(word.partition("=")[2]) for word in words if word.startswith(f"{flag}=")), default)
        for flag, default in zip((QPS, BURST), DEFAULTS, strict=True)
    ]
    return given[0], given[1]


def with_throttle(containers: Sequence[Mapping[str, Any]], qps: int, burst: int) -> list[Object]:
    """Return the containers with another throttle, those that have one: the driver makes no requests."""

    values = {QPS: qps, BURST: burst}

    def other(word: str) -> str:
        flag = word.partition("=")[0]
        return f"{flag}={values[flag]}" if flag in values else word

    return [{**one, "args": [other(word) for word in one.get("args", [])]} for one in containers]


def containers(kube: Kube) -> list[Object]:
    """Return the containers of the storage's controllers."""
    found = kube.get(*CONTROLLER, NAMESPACE)
    if found is None:
        fail(f"there is no {CONTROLLER[2]}")
    return list(found["spec"]["template"]["spec"]["containers"])


def set_throttle(kube: Kube, qps: int, burst: int) -> None:
    """Give the sidecars another throttle, and wait until they run with it."""
    wanted = with_throttle(containers(kube), qps, burst)
    _change(kube, {"template": {"spec": {"containers": wanted}}}, _rolled_out)


def hold_back(kube: Kube) -> None:
    """Stop all that works on claims and snapshots, for good: of the cluster's own controller its rights are taken."""
    _change(kube, {"replicas": 0}, lambda one: not one["status"].get("replicas"))
    # One that was told to end works on until it does.
    left = kube.wait("v1", "Pod", NAMESPACE, _no_controller, time.monotonic() + ROLLOUT_S)
    if not _no_controller(left):
        fail(f"{CONTROLLER[2]} did not end within {ROLLOUT_S} s")
    kube.merge(kube.path(*BINDER[:2], None, BINDER[2]), {"subjects": []})


def _no_controller(pods: list[Object]) -> bool:
    return all(pod["metadata"]["labels"].get("app.kubernetes.io/name") != CONTROLLER[2] for pod in pods)


def _rolled_out(one: Object) -> bool:
    status = one["status"]
    return all(status.get(word) == 1 for word in ("replicas", "updatedReplicas", "availableReplicas"))


def _change(kube: Kube, spec: Object, done: Callable[[Object], bool]) -> None:
    path = kube.path(*CONTROLLER[:2], NAMESPACE, CONTROLLER[2])
    generation = kube.merge(path, {"spec": spec})["metadata"]["generation"]

    def changed(found: list[Object]) -> bool:
        return any(one["status"].get("observedGeneration", 0) >= generation and done(one) for one in found)

    selector = f"metadata.name={CONTROLLER[2]}"
    found = kube.wait(*CONTROLLER[:2], NAMESPACE, changed, time.monotonic() + ROLLOUT_S, fieldSelector=selector)
    if not changed(found):
        fail(f"{CONTROLLER[2]} did not take its change within {ROLLOUT_S} s")
