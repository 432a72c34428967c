"""Students at work while things break."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import HUB, Cluster, says_ready
from tests.e2e.conftest import REPORTS
from tests.e2e.faults.balancer import Balancer
from tests.e2e.faults.load import Load, at_work
from tests.e2e.faults.nodes import addresses

# As the scenario's converge has it.
SCENARIO = {
    "coursehub_database": "postgresql",
    "coursehub_proxy_replicas": 3,
    "coursehub_proxy_service_type": "LoadBalancer",
    "coursehub_proxy_leave_seconds": 8,
    "coursehub_hub_public_url": "http://127.0.0.1:18002",
}


@pytest.fixture(scope="session")
def url(cluster: Cluster) -> Iterator[str]:
    """The way that students take: a balancer before all nodes, as a cloud has it."""
    service = cluster.kube.get("v1", "Service", "proxy-public", HUB)
    assert service is not None
    port, health_port = service["spec"]["ports"][0]["nodePort"], service["spec"]["healthCheckNodePort"]
    config = cluster.kube.get("v1", "ConfigMap", "hub", HUB)
    assert config is not None
    # The hub sends students there, so it must be before all nodes.
    address = str(json.loads(config["data"]["values.json"])["public_url"])
    balancer = Balancer(int(address.rpartition(":")[2]), addresses(cluster), port, health_port).start()
    yield address
    balancer.stop()
    print(f"\nconnections that the balancer closed: {dict(balancer.refused)}")


@pytest.fixture(scope="session")
def load(url: str) -> Iterator[Load]:
    with at_work(url, REPORTS / "faults.json") as working:
        yield working


def active_hubs(cluster: Cluster) -> list[str]:
    """Return the pods to which the Service hub goes, by the label of the one that works."""
    pods = cluster.pods(HUB, "app.kubernetes.io/name=hub,coursehub.jupyterhub/hub=active")
    return [pod["metadata"]["name"] for pod in pods]


def both_hubs_are_well(cluster: Cluster) -> bool:
    """Tell whether one works and the other one stands by: where the database has moved, both begin anew."""
    pods = cluster.pods(HUB, "app.kubernetes.io/name=hub")
    return len(active_hubs(cluster)) == 1 and len(pods) > 1 and all(map(says_ready, pods))


def in_office_since(cluster: Cluster) -> str:
    """Return since when the hub that works does, as its Lease says."""
    lease = cluster.kube.get("coordination.k8s.io/v1", "Lease", "hub", HUB)
    assert lease is not None
    return str(lease["spec"]["acquireTime"])
