"""Nodes stop without a word: the hub's, a proxy's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tests.e2e.cluster import HUB, STUDENTS, Cluster, says_ready
from tests.e2e.faults.conftest import active_hubs, hub_answers, seconds_until
from tests.e2e.faults.load import Load
from tests.e2e.outages import frozen


def node_of(cluster: Cluster, namespace: str, name: str) -> str:
    pod = cluster.kube.get("v1", "Pod", name, namespace)
    assert pod is not None
    return str(pod["spec"]["nodeName"])


def students_on(cluster: Cluster, node: str) -> set[str]:
    """Return those whose servers are on a node: they stop with it."""
    pods = cluster.pods(STUDENTS, "app.kubernetes.io/component=singleuser-server")
    return {pod["metadata"]["name"].removeprefix("jupyter-") for pod in pods if pod["spec"].get("nodeName") == node}


def well_again(cluster: Cluster) -> Callable[[], bool]:
    """Return whether all nodes are ready and every pod of the hub's namespace is."""

    def condition() -> bool:
        nodes = cluster.kube.list("v1", "Node")
        return all(map(says_ready, nodes)) and all(
            says_ready(pod) for pod in cluster.kube.list("v1", "Pod", HUB) if "deletionTimestamp" not in pod["metadata"]
        )

    return condition


def move_away_from(cluster: Cluster, node: str, *selectors: str) -> None:
    """Let pods run on other nodes than this one, as if chance had put them there."""
    path = cluster.kube.path("v1", "Node", None, node)
    cluster.kube.merge(path, {"spec": {"unschedulable": True}})
    try:
        for selector in selectors:
            for pod in cluster.pods(HUB, selector):
                if pod["spec"].get("nodeName") == node:
                    cluster.delete("v1", "Pod", pod["metadata"]["name"], HUB)
        seconds_until(
            lambda: all(
                says_ready(pod) and pod["spec"].get("nodeName") != node
                for selector in selectors
                for pod in cluster.pods(HUB, selector)
            ),
            180,
        )
    finally:
        cluster.kube.merge(path, {"spec": {"unschedulable": False}})


CONTROL_PLANE = f"{os.environ.get('COURSEHUB_NAME', '')}-control-plane"


def test_the_hubs_node_stops(load: Load, cluster: Cluster, url: str) -> None:
    # The node of the control plane can't be stopped: nobody would start anything.
    move_away_from(cluster, CONTROL_PLANE, "app.kubernetes.io/name=hub")
    (active,) = active_hubs(cluster)
    node = node_of(cluster, HUB, active)
    move_away_from(cluster, node, "app.kubernetes.io/name=hub-postgresql", "app.kubernetes.io/name=proxy-redis")
    seconds_until(lambda: hub_answers(url) and len(active_hubs(cluster)) == 1, 60)
    (active,) = active_hubs(cluster)
    node = node_of(cluster, HUB, active)
    seen: list[list[str]] = []
    with load.case("hub_node_stopped", ignoring=students_on(cluster, node)) as case:
        with frozen(node):
            begun = time.monotonic()
            seconds_until(lambda: active not in active_hubs(cluster) and hub_answers(url), 90)
            case.recovery_s = time.monotonic() - begun
            seen.append(active_hubs(cluster))
        # It wakes up and believes for a moment that it is the one.
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            seen.append(active_hubs(cluster))
            time.sleep(0.2)
    assert all(len(hubs) <= 1 and active not in hubs for hubs in seen), seen
    assert case.recovery_s <= 60, case
    assert case.failed == 0, case
    log = cluster.log_before(active, HUB)
    assert "This hub ends" in log, log[-2000:]
    seconds_until(well_again(cluster), 180)


def test_a_proxys_node_stops(load: Load, cluster: Cluster) -> None:
    proxies = {
        pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in cluster.pods(HUB, "app.kubernetes.io/name=proxy")
    }
    node = next(node for node in sorted(proxies) if node != CONTROL_PLANE)
    move_away_from(
        cluster,
        node,
        *("app.kubernetes.io/name=hub-postgresql", "app.kubernetes.io/name=proxy-redis", "app.kubernetes.io/name=hub"),
    )
    with load.case("proxy_node_stopped", ignoring=students_on(cluster, node)) as case, frozen(node):
        # Until Kubernetes has noticed, which takes it most of a minute, and a while longer.
        time.sleep(60)
    case.recovery_s = case.longest_gap_s
    assert case.failed == 0, case
    seconds_until(well_again(cluster), 180)
