"""Nodes stop without a word: the hub's, the database's, a proxy's, a student's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.cluster import HUB, STORAGE, STUDENTS, Cluster
from tests.e2e.faults.conftest import active_hubs
from tests.e2e.faults.load import Load
from tests.e2e.faults.nodes import (
    CONTROL_PLANE,
    STORAGE_CONTROLLER,
    bring_to,
    move_away_from,
    node_of,
    students_on,
    well_again,
)
from tests.e2e.faults.waits import can_log_in, hub_answers, seconds_until, start_again, works
from tests.e2e.outages import stopped
from tests.e2e.student import Student

DATABASE, REDIS = "app.kubernetes.io/name=hub-postgresql", "app.kubernetes.io/name=proxy-redis"
HUB_PARTS = (DATABASE, REDIS, "app.kubernetes.io/name=hub")


@pytest.fixture(autouse=True)
def _all_is_well_again(load: Load, cluster: Cluster) -> Iterator[None]:
    """Wait for what comes back by itself; then those who were on the node start their servers again."""
    yield
    seconds_until(well_again(cluster, HUB), 240)
    for student in load.students:
        if not works(student):
            start_again(student, time.monotonic() + 120)


def test_the_hubs_node_stops(load: Load, cluster: Cluster, url: str) -> None:
    # Neither the database nor Redis on it: a hub whose database moves ends, and the other one, elsewhere, works.
    bring_to(cluster, CONTROL_PLANE, HUB, DATABASE, REDIS)
    move_away_from(cluster, CONTROL_PLANE, HUB, "app.kubernetes.io/name=hub")
    seconds_until(lambda: hub_answers(url) and len(active_hubs(cluster)) == 1, 60)
    (active,) = active_hubs(cluster)
    node = node_of(cluster, HUB, active)
    seen: list[list[str]] = []
    with load.case("hub_node_stopped", ignoring=students_on(cluster, node, STUDENTS)) as case:
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


@pytest.mark.slow
def test_the_databases_node_stops(load: Load, cluster: Cluster, url: str) -> None:
    move_away_from(cluster, CONTROL_PLANE, HUB, DATABASE)
    (pod,) = cluster.pods(HUB, DATABASE)
    node = pod["spec"]["nodeName"]
    move_away_from(cluster, node, HUB, REDIS)
    move_away_from(cluster, node, STORAGE, STORAGE_CONTROLLER)
    seconds_until(lambda: can_log_in(url), 60)
    before = Student(url, f"before-{time.time_ns():x}").login()
    with load.case("database_node_stopped", ignoring=students_on(cluster, node, STUDENTS)) as case:
        with stopped(node):
            begun = time.monotonic()
            seconds_until(lambda: not can_log_in(url), 30)
            seconds_until(lambda: can_log_in(url), 180)
            case.recovery_s = time.monotonic() - begun
            after = Student(url, f"after-{time.time_ns():x}").login()
        # The database that was frozen wakes up, and would write on where it was. A server looks once a minute whether
        # its files are its own.
        time.sleep(75)
    for student in (before, after):
        assert student.get("/hub/home").status_code == 200, student.name
    assert case.failed == 0, case
    assert case.recovery_s <= 120, case


def test_a_proxys_node_stops(load: Load, cluster: Cluster) -> None:
    proxies = {
        pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in cluster.pods(HUB, "app.kubernetes.io/name=proxy")
    }
    node = next(node for node in sorted(proxies) if node != CONTROL_PLANE)
    move_away_from(cluster, node, HUB, *HUB_PARTS)
    with load.case("proxy_node_stopped", ignoring=students_on(cluster, node, STUDENTS)) as case, stopped(node):
        # Until Kubernetes has noticed, which takes it most of a minute, and a while longer.
        time.sleep(60)
    case.recovery_s = case.longest_gap_s
    assert case.failed == 0, case


def test_a_students_node_stops(load: Load, cluster: Cluster) -> None:
    node = next(
        one for one in sorted({student_node(cluster, student) for student in load.students}) if one != CONTROL_PLANE
    )
    move_away_from(cluster, node, HUB, *HUB_PARTS)
    move_away_from(cluster, node, STORAGE, STORAGE_CONTROLLER)
    there = students_on(cluster, node, STUDENTS)
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
