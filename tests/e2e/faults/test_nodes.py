"""Nodes stop without a word: the hub's, a proxy's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.cluster import HUB, STORAGE, STUDENTS, Cluster, Object, says_ready
from tests.e2e.faults.conftest import active_hubs, hub_answers, seconds_until, start_again
from tests.e2e.faults.load import Load
from tests.e2e.outages import stopped
from tests.e2e.student import Student


def node_of(cluster: Cluster, namespace: str, name: str) -> str:
    pod = cluster.kube.get("v1", "Pod", name, namespace)
    assert pod is not None
    return str(pod["spec"]["nodeName"])


def students_on(cluster: Cluster, node: str) -> set[str]:
    """Return those whose servers are on a node: they stop with it."""
    pods = cluster.pods(STUDENTS, "app.kubernetes.io/component=singleuser-server")
    return {pod["metadata"]["name"].removeprefix("jupyter-") for pod in pods if pod["spec"].get("nodeName") == node}


def well_again(cluster: Cluster) -> Callable[[], bool]:
    """Return whether all nodes are ready and in service, and every pod of the hub's namespace is ready."""

    def condition() -> bool:
        nodes = cluster.kube.list("v1", "Node")
        return all(says_ready(one) and not out_of_service(one) for one in nodes) and all(
            says_ready(pod)
            for pod in cluster.kube.list("v1", "Pod", HUB)
            if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") != "Succeeded"
        )

    return condition


def move_away_from(cluster: Cluster, node: str, *selectors: str, namespace: str = HUB) -> None:
    """Let pods run on other nodes than this one, as if chance had put them there."""
    path = cluster.kube.path("v1", "Node", None, node)
    cluster.kube.merge(path, {"spec": {"unschedulable": True}})
    try:
        for selector in selectors:
            for pod in cluster.pods(namespace, selector):
                if pod["spec"].get("nodeName") == node:
                    cluster.delete("v1", "Pod", pod["metadata"]["name"], namespace)
        seconds_until(
            lambda: all(
                says_ready(pod) and pod["spec"].get("nodeName") != node
                for selector in selectors
                for pod in cluster.pods(namespace, selector)
            ),
            180,
        )
    finally:
        cluster.kube.merge(path, {"spec": {"unschedulable": False}})


HUB_PARTS = (
    "app.kubernetes.io/name=hub-postgresql",
    "app.kubernetes.io/name=proxy-redis",
    "app.kubernetes.io/name=hub",
)
CONTROL_PLANE = f"{os.environ.get('COURSEHUB_NAME', '')}-control-plane"


@pytest.fixture(autouse=True)
def _all_is_well_again(load: Load, cluster: Cluster) -> Iterator[None]:
    """Wait for what comes back by itself; then those who were on the node start their servers again."""
    yield
    seconds_until(well_again(cluster), 240)
    for student in load.students:
        if not works(student):
            start_again(student, time.monotonic() + 120)


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
        with stopped(node):
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


def test_a_proxys_node_stops(load: Load, cluster: Cluster) -> None:
    proxies = {
        pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in cluster.pods(HUB, "app.kubernetes.io/name=proxy")
    }
    node = next(node for node in sorted(proxies) if node != CONTROL_PLANE)
    move_away_from(cluster, node, *HUB_PARTS)
    with load.case("proxy_node_stopped", ignoring=students_on(cluster, node)) as case, stopped(node):
        # Until Kubernetes has noticed, which takes it most of a minute, and a while longer.
        time.sleep(60)
    case.recovery_s = case.longest_gap_s
    assert case.failed == 0, case


def test_a_students_node_stops(load: Load, cluster: Cluster) -> None:
    node = next(
        one for one in sorted({student_node(cluster, student) for student in load.students}) if one != CONTROL_PLANE
    )
    move_away_from(cluster, node, *HUB_PARTS)
    # In a cloud this is not on students' nodes.
    move_away_from(cluster, node, "app.kubernetes.io/name=storage-controller", namespace=STORAGE)
    there = students_on(cluster, node)
    students = [student for student in load.students if student.name in there]
    for student in students:
        student.ask("PUT", "contents/before.txt", {"type": "file", "format": "text", "content": student.name})
    with load.case("student_node_stopped", ignoring=there) as case, stopped(node):
        begun = time.monotonic()
        with ThreadPoolExecutor(len(students)) as pool:
            list(pool.map(lambda student: start_again(student, begun + 180), students))
        case.recovery_s = time.monotonic() - begun
    for student in students:
        assert student_node(cluster, student) != node
        assert student.ask("GET", "contents/before.txt")["content"] == student.name
    assert case.failed == 0, case
    assert case.recovery_s <= 90, case


def student_node(cluster: Cluster, student: Student) -> str:
    return str(cluster.pod_of(student.name)["spec"]["nodeName"])


def out_of_service(node: Object) -> bool:
    return any(taint["key"] == "node.kubernetes.io/out-of-service" for taint in node["spec"].get("taints", []))


def works(student: Student) -> bool:
    return student.get(f"/user/{student.name}/api/contents/").status_code == 200
