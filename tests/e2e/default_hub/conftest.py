"""A default JupyterHub on the cluster of the scenario ``faults``, and students at work in it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import HUB, Cluster
from tests.e2e.conftest import REPORTS
from tests.e2e.faults.balancer import Balancer
from tests.e2e.faults.load import Load, at_work
from tests.e2e.faults.nodes import addresses, well_again
from tests.e2e.faults.waits import seconds_until, start_again, works

NAMESPACE = "default-hub"
PORT = 18003
# Where a node says whether its Services work; clouds' balancers ask there.
HEALTH_PORT = 10256


@pytest.fixture(scope="session", autouse=True)
def _without_guard(cluster: Cluster) -> Iterator[None]:
    """Let nobody free the disks of lost nodes: that is this collection's doing."""
    path = cluster.kube.path("apps/v1", "Deployment", HUB, "node-guard")
    before = cluster.kube.request("GET", path)["spec"]["replicas"]
    cluster.kube.merge(path, {"spec": {"replicas": 0}})
    seconds_until(lambda: not cluster.pods(HUB, "app.kubernetes.io/name=node-guard"), 60)
    yield
    cluster.kube.merge(path, {"spec": {"replicas": before}})


@pytest.fixture(scope="session")
def url(cluster: Cluster) -> Iterator[str]:
    """The way that students take: a balancer before all nodes, as a cloud has it."""
    service = cluster.kube.get("v1", "Service", "proxy-public", NAMESPACE)
    assert service is not None
    port = service["spec"]["ports"][0]["nodePort"]
    balancer = Balancer(PORT, addresses(cluster), port, HEALTH_PORT).start()
    yield f"http://127.0.0.1:{PORT}"
    balancer.stop()


@pytest.fixture(scope="session")
def load(url: str) -> Iterator[Load]:
    with at_work(url, REPORTS / "faults_default.json") as working:
        yield working


@pytest.fixture(autouse=True)
def _all_is_well_again(load: Load, cluster: Cluster) -> Iterator[None]:
    """Wait for what comes back by itself; then those whose servers are gone start them again.

    Without routes nobody can: the hub writes them anew within five minutes.
    """
    yield
    seconds_until(well_again(cluster, NAMESPACE), 600)
    for student in load.students:
        if not works(student):
            start_again(student, time.monotonic() + 420)
