"""How many nodes the students' pool may have now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _warm
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import pool_limit_info

from tests.unit.plugins.api import Api

TEN = datetime(2026, 9, 1, 10, tzinfo=UTC)
PARAMETERS: dict[str, Any] = {
    "namespace": "students",
    "machine": {"type": "small", "cpu": "1900m", "memory": "13Gi", "disks": 127},
    "prices": {"small": 0.5},
    "core_nodes": 2,
    "limit_nodes": 60,
    "limit_spend": 100.0,
}


def run(kube: Kube, minutes: float = 0, **changed: Any) -> int:
    told = pool_limit_info.run(kube, {**PARAMETERS, **changed}, TEN + timedelta(minutes=minutes))
    assert not told["changed"]
    return int(told["nodes"])


def test_a_pool_is_opened_by_a_new_day_or_a_raised_limit_alone(kube: Kube, api: Api) -> None:
    for name, labels in (("a", _warm.POOL), ("b", _warm.POOL), ("core", {})):
        made = {"creationTimestamp": (TEN - timedelta(hours=1)).isoformat()}
        api.put(f"/api/v1/nodes/{name}", {"metadata": {"name": name, "labels": dict(labels), **made}})
    # Nobody has counted yet.
    assert run(kube) == 58
    record = {"metadata": {"name": "seats"}, "data": {"at": TEN.isoformat(), "spent": "99.9"}}
    api.put("/api/v1/namespaces/students/configmaps/seats", record)
    assert run(kube) == 58
    # Four nodes for six minutes are what was left, also where no run has counted them.
    assert run(kube, 6) == 2
    assert run(kube, 7) == 2
    assert run(kube, 7, limit_spend=200.0) == 58
    assert run(kube, 15 * 60) == 58
    assert not api.asked_for("PATCH")
