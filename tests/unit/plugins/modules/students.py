"""What the tests of the modules for disks share: Ann and Bob, and a stand-in for the storage."""

from __future__ import annotations

from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._course import Course
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from tests.unit.plugins.api import Api
from tests.unit.plugins.disks import NAMESPACE, claim
from tests.unit.plugins.storage import CLAIMS, Storage

Object = dict[str, Any]
# What every module for disks is told.
CHOICE = {"students": None, "roster": None, "pattern": None, "selector": None, "all_students": False}
SERVERS = {"stop_servers": False, "hub_url": None, "hub_namespace": None}
LAST_START = "2026-11-22T10:00:00+00:00"


class Students:
    """Ann and Bob have a disk each, with ``work`` on it."""

    def __init__(self, api: Api, kube: Kube) -> None:
        self.api = api
        self.kube = kube
        self.course = Course(kube, NAMESPACE)
        self.storage = Storage(api)
        conditions = [{"type": "Ready", "status": "True"}]
        api.put("/api/v1/nodes/n", {"metadata": {"name": "n"}, "spec": {}, "status": {"conditions": conditions}})
        api.put(
            f"/api/v1/namespaces/{NAMESPACE}/configmaps/disk-tools",
            {"metadata": {"name": "disk-tools"}, "data": {"image": "tools:1"}},
        )
        for student in ("ann", "bob"):
            self.storage.add(claim(student, last_start=LAST_START), f"work of {student}")

    def claim(self, student: str) -> Object:
        return self.api.objects[f"{CLAIMS}/disk-{student}"]

    def left_over(self) -> list[str]:
        """Return workers and scratch disks that are there."""
        return [path for path in self.api.objects if "/pods/" in path or "/scratch-" in path]
