from __future__ import annotations

from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _usage


def summary(*volumes: dict[str, Any]) -> dict[str, Any]:
    return {"pods": [{"volume": [{"name": "token"}, *volumes]}, {"podRef": {}}]}


def mounted(name: str, namespace: str = "students", **more: Any) -> dict[str, Any]:
    return {"name": "home", "pvcRef": {"name": name, "namespace": namespace}, "usedBytes": 5, **more}


def test_usage_by_namespace_and_claim() -> None:
    told = summary(mounted("disk-ann", inodesUsed=7), mounted("disk-bob", inodesUsed=0), mounted("database", "hub"))
    assert _usage.usages("n", told) == {
        ("students", "disk-ann"): _usage.Usage("n", 5, 7),
        # A driver that doesn't count inodes says 0.
        ("students", "disk-bob"): _usage.Usage("n", 5, None),
        ("hub", "database"): _usage.Usage("n", 5, None),
    }
    assert _usage.usages("n", {}) == {}
