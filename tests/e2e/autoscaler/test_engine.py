"""Nodes follow students: the real engine and the real schedulers; only the nodes are none."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing, _spend, _warm

from tests.e2e.autoscaler.conftest import (
    CLAIM,
    CORE_NODES,
    LIMIT_NODES,
    MACHINE,
    SCALE_S,
    SEATS_PER_NODE,
    ZONE,
    Course,
    Engine,
    Seats,
    failed_orders,
    out_of_stock,
    within,
)
from tests.e2e.cluster import HUB, STUDENTS, Cluster
from tests.e2e.playbook import module

# For who comes to a seat that is warm: a pod is placed and started, and the machine has other things to do.
AT_ONCE_S = 10
POOL = "coursehub-students"


def test_from_no_node_to_no_node(course: Course) -> None:
    assert course.nodes() == {}
    names = course.come(2)
    nodes = set(course.running(names, SCALE_S).values())
    # Both on one, and nothing of the core on it.
    assert len(nodes) == 1
    taints = course.nodes()[nodes.pop()]["spec"]["taints"]
    assert _warm.TOLERATION in [{**taint, "operator": "Equal"} for taint in taints]
    course.go(*names)
    course.wait_nodes(0, SCALE_S)


def test_a_part_of_a_new_node_is_kept_free_beside_all_its_seats(course: Course, seats: Seats, cluster: Cluster) -> None:
    names = course.come(SEATS_PER_NODE)
    (node,) = set(course.running(names, SCALE_S).values())

    def keepers() -> list[dict[str, Any]]:
        pods = cluster.pods(HUB, "app.kubernetes.io/name=unpacked")
        return [pod for pod in pods if pod["spec"].get("nodeName") == node and pod["status"].get("phase") == "Running"]

    assert within(lambda: len(keepers()) == 1, AT_ONCE_S), cluster.pods(HUB, "app.kubernetes.io/name=unpacked")
    # As the role counts, and no core: the seats take all that others leave.
    machine = {**MACHINE, "unpacked": 0.1}
    (container,) = keepers()[0]["spec"]["containers"]
    assert container["resources"]["requests"] == {"memory": str(_packing.unpacked_of(machine))}
    # And a run finds the node as large as it counts with.
    told = seats(1, machine=machine)
    assert not [sentence for sentence in told["warned"] if "has room for" in sentence]
    assert set(course.running(names, AT_ONCE_S).values()) == {node}


def test_a_class_finds_warm_seats_and_takes_them(course: Course, seats: Seats) -> None:
    told = seats(2 * SEATS_PER_NODE)
    assert (told["mechanism"], told["seats"]) == ("buffer", 2 * SEATS_PER_NODE)
    nodes = set(course.wait_nodes(2, SCALE_S))
    # The class begins: all have a place at once, and no other node is there.
    names = course.come(2 * SEATS_PER_NODE)
    assert set(course.running(names, AT_ONCE_S).values()) == nodes
    # Who came has taken a seat; the buffer is as much smaller, and no node comes for it.
    assert seats(2 * SEATS_PER_NODE)["seats"] < SEATS_PER_NODE
    # Another class right after it fills the buffer up again.
    assert seats(3 * SEATS_PER_NODE)["seats"] == SEATS_PER_NODE
    course.wait_nodes(3, SCALE_S)


def test_a_placeholder_gives_its_node_to_a_student(course: Course, seats: Seats, cluster: Cluster) -> None:
    told = seats(SEATS_PER_NODE, mechanism="placeholder")
    assert told["placeholders"] == 1
    (node,) = course.wait_nodes(1, SCALE_S)

    def held() -> set[str]:
        pods = cluster.pods(STUDENTS, "app.kubernetes.io/name=seats-placeholder")
        return {pod["spec"]["nodeName"] for pod in pods if pod["status"].get("phase") == "Running"}

    assert within(lambda: held() == {node}, AT_ONCE_S)
    assert set(course.running(course.come(1), AT_ONCE_S).values()) == {node}
    # It waits for a node of its own, which the engine makes, and is warm there.
    course.wait_nodes(2, SCALE_S)
    assert within(lambda: held() == set(course.nodes()) - {node}, AT_ONCE_S)


def test_students_fill_nodes_and_nobody_is_moved_when_it_gets_quiet(course: Course) -> None:
    names = course.come(2 * SEATS_PER_NODE)
    by_node: dict[str, list[str]] = {}
    for name, node in course.running(names, SCALE_S).items():
        by_node.setdefault(node, []).append(name)
    assert [len(each) for each in by_node.values()] == [SEATS_PER_NODE, SEATS_PER_NODE]
    quiet, busy = list(by_node)
    stays, *gone = by_node[quiet]
    course.go(*gone, *by_node[busy][:2])
    uid = course.pods()[stays]["metadata"]["uid"]
    # The fuller node is filled first.
    (late,) = course.come(1)
    assert course.running([late], AT_ONCE_S)[late] == busy
    # The busy one could take who is on the quiet one; it is left where it computes, for longer than an empty node has.
    time.sleep(20)
    assert set(course.nodes()) == {quiet, busy}
    # Night: the node that is empty goes, the other stays for the one who still computes.
    course.go(late, *by_node[busy][2:])
    assert set(course.wait_nodes(1, SCALE_S)) == {quiet}
    assert course.pods()[stays]["metadata"]["uid"] == uid
    course.go(stays)
    course.wait_nodes(0, SCALE_S)


def test_growth_is_warned_of_and_ends_at_the_limit(course: Course, seats: Seats, cluster: Cluster) -> None:
    # Of six nodes three are the core's. Two more are five: over four fifths.
    told = seats(2 * SEATS_PER_NODE)
    assert told["warned"] == ["5 of 6 nodes will be there"]
    assert told["alerts"] == []
    course.wait_nodes(2, SCALE_S)
    told = seats(5 * SEATS_PER_NODE)
    assert told["seats"] == 3 * SEATS_PER_NODE
    assert "growth ends at a limit: 20 seats are wanted, 12 can be had" in told["alerts"][0]
    record = cluster.kube.get("v1", "ConfigMap", _warm.NAME, STUDENTS)
    assert record is not None
    assert record["data"]["said"].startswith("alert: growth ends at a limit")
    # The engine has the same limit, whoever comes.
    names = course.come(5 * SEATS_PER_NODE)
    course.wait_nodes(3, SCALE_S)
    assert within(lambda: len(_placed(course)) == 3 * SEATS_PER_NODE, AT_ONCE_S)
    time.sleep(20)
    assert len(cluster.kube.list(*CLAIM)) == 3
    # Who waits has a seat when another goes.
    waiting = sorted(set(names) - _placed(course))
    course.go(*sorted(_placed(course))[: len(waiting)])
    course.running(waiting, SCALE_S)


def test_a_day_whose_money_is_spent_adds_no_node(course: Course, seats: Seats, cluster: Cluster) -> None:
    names = course.come(SEATS_PER_NODE)
    (first,) = set(course.running(names, SCALE_S).values())
    # A run before, with which no node comes for whoever may come next.
    seats(1, limit_nodes=CORE_NODES + 1)
    assert _may_have(cluster, LIMIT_NODES - CORE_NODES)
    try:
        assert "no node is added to the 1" in _of_a_day_that_is_spent(seats, cluster)["alerts"][-1]
        assert _may_have(cluster, 1)
        (late,) = course.come(1)
        time.sleep(20)
        assert (set(course.nodes()), late in _placed(course)) == ({first}, False)
        # Who is there stays, and who comes finds the room of who goes.
        course.go(names[0])
        course.running([late], AT_ONCE_S)
        (last,) = course.come(1)
    finally:
        # A limit that is raised.
        seats(1, node_pool=POOL, limit_spend=1000)
    assert _may_have(cluster, LIMIT_NODES - CORE_NODES)
    course.running([last], SCALE_S)


def _may_have(cluster: Cluster, nodes: int) -> bool:
    pool = cluster.kube.get(*_spend.NODE_POOL, POOL)
    assert pool is not None
    return not _spend.differs(pool, _spend.pool_limits(nodes, str(MACHINE["cpu"])))


def _of_a_day_that_is_spent(seats: Seats, cluster: Cluster) -> dict[str, Any]:
    """Count seats of a day whose money is spent; once more where the day ended meanwhile, and its money with it."""
    path = cluster.kube.path("v1", "ConfigMap", STUDENTS, _warm.NAME)
    while True:
        at = datetime.now(UTC)
        cluster.kube.merge(path, {"data": {"at": at.isoformat(timespec="seconds"), "spent": "200"}})
        told = seats(1, node_pool=POOL)
        if datetime.now(UTC).date() == at.date():
            return told


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    "body",
    [
        {"spec": {"weight": 9}},
        {"spec": {"disruption": {"consolidateAfter": "1h"}}},
        {"spec": {"template": {"spec": {"taints": None}}}},
        {"spec": {"limits": {"nodes": 0}, "weight": 9}},
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody"}}},
    ],
)
def test_runs_of_seats_may_set_the_limits_of_the_pool_alone(cluster: Cluster, body: dict[str, Any]) -> None:
    path = cluster.kube.path("karpenter.sh/v1", "NodePool", None, POOL)
    account = f"system:serviceaccount:{HUB}:seats"
    assert "runs of seats set the limits of the pool alone" in cluster.merge_as(account, path, body)
    # A control: what it is there for, it may.
    told = cluster.merge_as(account, path, {"spec": {"limits": {"nodes": 0, "cpu": 0}}})
    assert told.startswith("200"), told


def _placed(course: Course) -> set[str]:
    return {name for name, pod in course.pods().items() if pod["spec"].get("nodeName")}


def test_a_zone_that_is_no_longer_offered_is_passed_over(course: Course, engine: Engine) -> None:
    names = course.come(SEATS_PER_NODE)
    (first,) = set(course.running(names, SCALE_S).values())
    # The cheaper one, while it has any.
    assert course.nodes()[first]["metadata"]["labels"][ZONE] == "zone-a"
    try:
        engine.offer("zone-b")
        (late,) = course.come(1)
        second = course.running([late], SCALE_S + 30)[late]
    finally:
        engine.offer("zone-a", "zone-b")
    assert course.nodes()[second]["metadata"]["labels"][ZONE] == "zone-b"
    # Who was in the zone before stays there.
    assert set(course.running(names, AT_ONCE_S).values()) == {first}


def test_orders_that_fail_hold_up_nobody_who_can_be_elsewhere(course: Course, cluster: Cluster) -> None:
    disk = course.disk_in("zone-a")
    before = failed_orders(cluster)
    with out_of_stock(cluster, "zone-a"):
        # The cheaper zone has none left, and the same order is filled in the other.
        (alice,) = course.come(1)
        node = course.running([alice], SCALE_S)[alice]
        assert course.nodes()[node]["metadata"]["labels"][ZONE] == "zone-b"
        assert failed_orders(cluster) == before
        # An order for the zone alone fails, is gone, and is made again.
        (bob,) = course.come(1, disk)
        assert within(lambda: len(failed_orders(cluster) - before) >= 2, 2 * SCALE_S), failed_orders(cluster)
        assert bob not in _placed(course)
        assert "the disk is in zone-a, where no node for it is" in _servers_are_not_well()
        # Who can be elsewhere has the room that is there, and who was there stays.
        (carol,) = course.come(1)
        assert course.running([alice, carol], AT_ONCE_S) == {alice: node, carol: node}
        assert set(course.nodes()) == {node}
    # The zone has machines again, and nobody has to do anything.
    last = course.running([bob], SCALE_S + 30)[bob]
    assert course.nodes()[last]["metadata"]["labels"][ZONE] == "zone-a"
    # Of all orders those alone are left that were filled.
    assert within(lambda: len(cluster.kube.list(*CLAIM)) == 2, AT_ONCE_S), cluster.kube.list(*CLAIM)


def test_who_has_a_disk_in_a_zone_waits_for_a_node_there(course: Course, engine: Engine) -> None:
    (first,) = set(course.running(course.come(1), SCALE_S).values())
    assert course.nodes()[first]["metadata"]["labels"][ZONE] == "zone-a"
    disk = course.disk_in("zone-b")
    # There is room on the first, where the disk can't be attached.
    (bob,) = course.come(1, disk)
    second = course.running([bob], SCALE_S)[bob]
    assert course.nodes()[second]["metadata"]["labels"][ZONE] == "zone-b"
    course.go(bob)
    assert set(course.wait_nodes(1, SCALE_S)) == {first}
    try:
        engine.offer("zone-a")
        (bob,) = course.come(1, disk)
        time.sleep(20)
        assert (set(course.nodes()), bob in _placed(course)) == ({first}, False)
        assert "the disk is in zone-b, where no node for it is" in _servers_are_not_well()
    finally:
        engine.offer("zone-a", "zone-b")
    course.running([bob], SCALE_S + 30)


def _servers_are_not_well() -> str:
    """Return what the playbook ``status`` says of servers, of which one is not well."""
    told = module(
        "status_info",
        kubeconfig=os.environ["COURSEHUB_KUBECONFIG"],
        context=os.environ["COURSEHUB_CONTEXT"],
        students_namespace=STUDENTS,
    )
    (servers,) = [thing for thing in told["things"] if thing["name"] == "students' servers"]
    assert not servers["well"]
    return str(servers["detail"])
