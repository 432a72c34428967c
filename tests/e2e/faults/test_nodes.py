"""Nodes stop without a word: the hub's, the database's, a proxy's, a student's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.cluster import HUB, STORAGE, STUDENTS, Cluster, says_ready
from tests.e2e.faults.conftest import active_hubs, both_hubs_are_well
from tests.e2e.faults.hubs import (
    DATABASE,
    FENCED,
    address,
    has_ended,
    how_it_ended,
    is_gone,
    never_two,
    restarts,
    watched,
)
from tests.e2e.faults.load import Load
from tests.e2e.faults.nodes import (
    CONTROL_PLANE,
    STORAGE_CONTROLLER,
    bring_to,
    move_away_from,
    node_of,
    out_of_service,
    students_on,
    well_again,
)
from tests.e2e.faults.waits import BACK_OFF_S, can_log_in, hub_answers, seconds_until, start_again, works
from tests.e2e.outages import stopped, without_kubelet
from tests.e2e.student import Student

REDIS = "app.kubernetes.io/name=proxy-redis"
# Two checks that fail, one second apart, and what they take.
BALANCER_S = 5
HUB_PARTS = (DATABASE, REDIS, "app.kubernetes.io/name=hub")


@pytest.fixture(autouse=True)
def _all_is_well_again(load: Load, cluster: Cluster) -> Iterator[None]:
    """Wait for what comes back by itself; then those who were on the node start their servers again."""
    yield
    seconds_until(well_again(cluster, HUB), BACK_OFF_S)
    for student in load.students:
        if not works(student):
            start_again(student, time.monotonic() + 120)


def test_the_hubs_node_stops(load: Load, cluster: Cluster, url: str) -> None:
    # Not the database on it: a hub whose database moves ends, and the other one, elsewhere, works. Redis is below.
    bring_to(cluster, CONTROL_PLANE, HUB, DATABASE, REDIS)
    move_away_from(cluster, CONTROL_PLANE, HUB, "app.kubernetes.io/name=hub")
    seconds_until(lambda: hub_answers(url) and both_hubs_are_well(cluster), BACK_OFF_S)
    (active,) = active_hubs(cluster)
    node = node_of(cluster, HUB, active)
    old, restarted = address(cluster, active), restarts(cluster, active)
    with (
        load.case("hub_node_stopped", ignoring=students_on(cluster, node, STUDENTS)) as case,
        watched(cluster) as looks,
    ):
        with stopped(node):
            begun = time.monotonic()
            seconds_until(lambda: active not in active_hubs(cluster) and hub_answers(url), 90)
            case.recovery_s = time.monotonic() - begun
            (follower,) = active_hubs(cluster)
        # It wakes up and would believe that it is the one. How it ended is told when its kubelet is back, unless the
        # guard has taken its pod away by then, which it does after 40 s of silence.
        seconds_until(lambda: is_gone(cluster, active) or has_ended(cluster, active, restarted), 60)
        assert is_gone(cluster, active) or how_it_ended(cluster, active) == FENCED
        time.sleep(15)
        assert active_hubs(cluster) == [follower]
    never_two(looks, old, address(cluster, follower))
    assert case.recovery_s <= 60, case
    assert case.failed == 0, case


@pytest.mark.slow
def test_the_node_of_the_hub_and_of_redis_stops(load: Load, cluster: Cluster, url: str) -> None:
    """The hub that takes over starts without Redis, and writes its routes into the new one."""
    bring_to(cluster, CONTROL_PLANE, HUB, DATABASE)
    move_away_from(cluster, CONTROL_PLANE, HUB, "app.kubernetes.io/name=hub")
    seconds_until(lambda: hub_answers(url) and both_hubs_are_well(cluster), BACK_OFF_S)
    (active,) = active_hubs(cluster)
    node = node_of(cluster, HUB, active)
    bring_to(cluster, node, HUB, REDIS)
    move_away_from(cluster, node, STORAGE, STORAGE_CONTROLLER)
    assert active_hubs(cluster) == [active], "the hub moved meanwhile"
    there = students_on(cluster, node, STUDENTS)
    new = Student(url, f"new-{time.time_ns():x}")
    with load.case("hub_and_redis_node_stopped", ignoring=there) as case, stopped(node):
        begun = time.monotonic()
        seconds_until(lambda: active not in active_hubs(cluster) and can_log_in(url), 90)
        case.recovery_s = time.monotonic() - begun
        # Redis is elsewhere when the node is out of service.
        start_again(new, begun + 240)
    new.stop()
    assert case.recovery_s <= 60, case
    assert case.failed == 0, case


@pytest.mark.slow
def test_the_kubelet_of_the_hubs_node_stops(load: Load, cluster: Cluster, url: str) -> None:
    """The node itself and all on it go on: nobody may notice, and no other hub may work."""
    # The Services of database and Redis would lose them, as they are not ready either.
    bring_to(cluster, CONTROL_PLANE, HUB, DATABASE, REDIS)
    move_away_from(cluster, CONTROL_PLANE, HUB, "app.kubernetes.io/name=hub")
    seconds_until(lambda: hub_answers(url) and both_hubs_are_well(cluster), BACK_OFF_S)
    (active,) = active_hubs(cluster)
    node, old = node_of(cluster, HUB, active), address(cluster, active)
    with load.case("hub_kubelet_stopped") as case, watched(cluster) as looks:
        with without_kubelet(node):
            # Kubernetes notices after most of a minute; the guard had its say 10 s before.
            seconds_until(lambda: not ready(cluster, active), 120)
            # The balancer notices that the proxy there takes nobody more; until then a browser tries twice, as those
            # do whose requests are counted.
            time.sleep(BALANCER_S)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                assert can_log_in(url)
                assert active_hubs(cluster) == [active]
                time.sleep(1)
            assert not any(out_of_service(one) for one in cluster.kube.list("v1", "Node"))
            assert all(one.holders == {old} for one in looks)
            # Somebody gives the pod up, whose process nobody can end.
            begun = time.monotonic()
            cluster.delete("v1", "Pod", active, HUB, gracePeriodSeconds=0)
            seconds_until(lambda: len(active_hubs(cluster)) == 1 and active not in active_hubs(cluster), 90)
            (follower,) = active_hubs(cluster)
            seconds_until(lambda: can_log_in(url), 30)
            case.recovery_s = time.monotonic() - begun
            time.sleep(15)
        assert active_hubs(cluster) == [follower]
    never_two(looks, old, address(cluster, follower))
    assert case.recovery_s <= 60, case
    assert case.failed == 0, case
    assert case.dropped == 0, case


def ready(cluster: Cluster, pod: str) -> bool:
    found = cluster.kube.get("v1", "Pod", pod, HUB)
    return found is not None and says_ready(found)


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


@pytest.mark.slow
def test_a_proxys_node_stops(load: Load, cluster: Cluster) -> None:
    """Each node that stops in the other tests has a proxy too: this one has nothing else of the hub's."""
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


def test_a_students_node_stops(load: Load, cluster: Cluster, url: str) -> None:
    node = next(
        one for one in sorted({student_node(cluster, student) for student in load.students}) if one != CONTROL_PLANE
    )
    move_away_from(cluster, node, HUB, *HUB_PARTS)
    move_away_from(cluster, node, STORAGE, STORAGE_CONTROLLER)
    seconds_until(lambda: hub_answers(url) and both_hubs_are_well(cluster), BACK_OFF_S)
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
