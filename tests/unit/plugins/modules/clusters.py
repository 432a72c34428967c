"""A cluster that will be lost, and another one on the same storage."""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _course, _disks, _manifests, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from tests.unit.plugins.api import Api
from tests.unit.plugins.disks import NAMESPACE, claim
from tests.unit.plugins.storage import CLAIMS, Storage

Object = dict[str, Any]
NAMESPACES = ["hub", NAMESPACE]
MONDAY = _disks.parse_time("2026-11-23T10:00:00+00:00")


def namespaces(api: Api) -> None:
    """Make the namespaces, and a node."""
    for name in NAMESPACES:
        api.put(f"/api/v1/namespaces/{name}", {"metadata": {"name": name}})
    conditions = [{"type": "Ready", "status": "True"}]
    api.put("/api/v1/nodes/n", {"metadata": {"name": "n"}, "spec": {}, "status": {"conditions": conditions}})


class Lost:
    """Ann and Bob have a disk and a snapshot of it each, the hub has one with its database, and two Secrets."""

    def __init__(self, api: Api, kube: Kube) -> None:
        self.api = api
        self.storage = Storage(api)
        namespaces(api)
        database = claim("hub")
        database["metadata"].update(name="hub-database", namespace="hub", labels={}, annotations={})
        self.storage.add(database, "users")
        bodies = {}
        for student in ("ann", "bob"):
            item = claim(student, last_start="2026-11-22T10:00:00+00:00")
            self.storage.add(item, f"monday of {student}")
            bodies[f"disk-{student}"] = _snapshots.manifest(_disks.disk(item), "fast", MONDAY, in_use=False)
        self.storage.control()
        taken, failed = _course.Course(kube, NAMESPACE).take(bodies, 0, 0)
        assert (len(taken), failed) == (2, {})
        for student in ("ann", "bob"):
            self.storage.contents[f"pvc-{student}"] = f"today of {student}"
        for name, key in (("hub", "cookie-secret"), ("proxy", "api-password")):
            value = base64.b64encode(f"secret of {name}".encode()).decode()
            metadata = {"name": name, "namespace": "hub", "labels": dict(_manifests.MANAGED_BY)}
            api.put(f"/api/v1/namespaces/hub/secrets/{name}", {"metadata": metadata, "data": {key: value}})

    def claim(self, student: str) -> Object:
        return self.api.objects[f"{CLAIMS}/disk-{student}"]
