"""What a student's server can reach, and what not; and that the policies are what decides it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import HUB, STUDENTS, Cluster
from tests.e2e.student import Student

# Runs in the student's pod: connects to each target at once, and says which answered. A blocked
# packet is dropped, so a block shows as a timeout.
PROBE = """
import concurrent.futures, json, socket, sys
def reach(target):
    host, port = target
    try:
        with socket.create_connection((host, port), timeout=4):
            return True
    except OSError:
        return False
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    print(json.dumps(dict(zip(targets, pool.map(reach, targets.values())))))
"""


def _allowed() -> dict[str, tuple[str, int]]:
    return {"hub API": (f"hub.{HUB}", 8081), "world outside": ("203.0.113.10", 80)}


def _forbidden(cluster: Cluster) -> dict[str, tuple[str, int]]:
    targets = {
        "metadata address": ("169.254.169.254", 80),
        "API server": ("kubernetes.default", 443),
        "another student's server": (cluster.pod_of("bob")["status"]["podIP"], 8888),
        "Redis": (f"proxy-redis.{HUB}", 6379),
        "the proxy's API": (f"proxy-api.{HUB}", 8099),
    }
    for pod in cluster.pods(HUB, "app.kubernetes.io/name=proxy-redis"):
        targets["Redis, its pod"] = (pod["status"]["podIP"], 6379)
    for pod in cluster.pods(HUB, "app.kubernetes.io/name=proxy"):
        targets[f"the proxy's API, {pod['metadata']['name']}"] = (pod["status"]["podIP"], 8099)
    for node in cluster.kube.list("v1", "Node"):
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        targets[f"kubelet of {node['metadata']['name']}"] = (address, 10250)
        if "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]:
            targets["API server, its node"] = (address, 6443)
    return targets


def _probe(cluster: Cluster, targets: dict[str, tuple[str, int]]) -> dict[str, bool]:
    return dict(json.loads(cluster.run_python("jupyter-alice", PROBE, json.dumps(targets))))


@pytest.fixture
def no_policies(cluster: Cluster) -> Iterator[None]:
    """Take every policy away, and put them back as they were."""
    taken: list[dict[str, Any]] = [
        item
        for namespace in (HUB, STUDENTS)
        for item in cluster.kube.list("networking.k8s.io/v1", "NetworkPolicy", namespace)
    ]
    assert len(taken) >= 5
    for item in taken:
        cluster.delete("networking.k8s.io/v1", "NetworkPolicy", item["metadata"]["name"], item["metadata"]["namespace"])
    yield
    for item in taken:
        path = cluster.kube.path("networking.k8s.io/v1", "NetworkPolicy", item["metadata"]["namespace"])
        metadata = {key: item["metadata"][key] for key in ("name", "namespace", "labels")}
        cluster.kube.request("POST", path, {**item, "metadata": metadata}, fieldManager="coursehub")


@pytest.mark.usefixtures("stand_in")
def test_only_what_a_student_needs_can_be_reached(cluster: Cluster, alice: Student, bob: Student) -> None:
    found = _probe(cluster, {**_allowed(), **_forbidden(cluster)})
    closed = {name for name in _allowed() if not found[name]}
    opened = {name for name in _forbidden(cluster) if found[name]}
    # Names are resolved on the way, so DNS is open when the hub's API is.
    assert not closed, f"a student's server can't reach: {sorted(closed)}"
    assert not opened, f"a student's server reaches: {sorted(opened)}"


@pytest.mark.usefixtures("stand_in", "no_policies")
def test_without_the_policies_all_of_it_is_open(cluster: Cluster, alice: Student, bob: Student) -> None:
    """The positive control: every target of the test above is really there to be reached."""
    targets = {**_allowed(), **_forbidden(cluster)}
    # A change of policies reaches the node's network in a fraction of a second; three tries are ample.
    for _attempt in range(3):
        found = _probe(cluster, targets)
        if all(found.values()):
            break
    assert all(found.values()), f"not there to be reached: {sorted(name for name, ok in found.items() if not ok)}"


def test_the_policy_names_the_networks_of_clouds_and_clusters(cluster: Cluster) -> None:
    """On some networks an address range without exceptions reaches pods and nodes; here it would not show."""
    policy = cluster.kube.get("networking.k8s.io/v1", "NetworkPolicy", "server", STUDENTS)
    assert policy is not None
    blocks = [to["ipBlock"] for rule in policy["spec"]["egress"] for to in rule.get("to", []) if "ipBlock" in to]
    assert [block["cidr"] for block in blocks] == ["0.0.0.0/0"]
    assert {"169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"} <= set(
        blocks[0]["except"]
    )
