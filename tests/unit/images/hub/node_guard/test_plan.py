"""What is done about nodes that have fallen silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from coursehub_hub.node_guard.plan import OURS, TAINT, Action, Leave, Remove, Taint, Untaint, look_at, plan, silent
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DRIVER = "disk.example"


def node(
    name: str, ready: str = "True", *, since_s: float = 3600, taint: str = "", added_s: float = 3600
) -> dict[str, Any]:
    since, added = ((NOW - timedelta(seconds=seconds)).isoformat() for seconds in (since_s, added_s))
    ours = {"key": TAINT, "effect": "NoExecute", "timeAdded": added}
    return {
        "metadata": {"name": name},
        "spec": {"taints": [{**ours, "value": taint}]} if taint else {},
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}]},
    }


def pod(name: str, on: str, *, disk: bool = True, phase: str = "Running") -> dict[str, Any]:
    volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": f"disk-{name}"}}] if disk else []
    return {
        "metadata": {
            "name": name,
            "namespace": "students",
            "uid": f"uid-{name}",
            "labels": {"app.kubernetes.io/component": "singleuser-server"},
        },
        "spec": {"nodeName": on, "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}]},
        "status": {"phase": phase, "podIP": f"10.0.0.{len(name)}"},
    }


def planned(
    nodes: list[Any],
    pods: list[Any],
    answering: set[str] | None = None,
    driver: str = DRIVER,
    unrenewed: frozenset[str] = frozenset(),
) -> list[Action]:
    drivers = {("students", f"disk-{one['metadata']['name']}"): driver for one in pods}
    return plan(nodes, silent(nodes, unrenewed), pods, answering or set(), drivers, {DRIVER}, NOW)


THREE = [node("a"), node("b", "Unknown"), node("c")]


def test_a_lost_nodes_pods_and_disks_are_let_go() -> None:
    assert planned(THREE, [pod("ann", "b"), pod("ben", "a")]) == [Taint("b"), Remove("students", "ann", "uid-ann")]


def test_nothing_is_done_while_all_is_well_or_no_pod_of_ours_is_there() -> None:
    assert planned([node("a"), node("b")], [pod("ann", "b")]) == []
    assert planned(THREE, [pod("ben", "a")]) == []
    assert planned(THREE, [pod("job", "b", phase="Succeeded"), pod("broken", "b", phase="Failed")]) == []


def test_a_kubelet_that_says_that_it_is_not_well_is_there() -> None:
    assert silent([node("a"), node("b", "False"), node("c", "Unknown")], set()) == ["c"]
    # One that has just joined has said nothing yet.
    assert silent([{"metadata": {"name": "new"}, "spec": {}, "status": {}}], set()) == []


def test_a_node_whose_servers_answer_stays() -> None:
    (action,) = planned(THREE, [pod("ann", "b")], {"b"})
    assert isinstance(action, Leave)
    assert "servers on it answer" in action.why


@pytest.mark.parametrize("driver", ["nfs.example", ""])
def test_a_disk_that_the_node_could_still_write_to_is_not_taken_from_it(driver: str) -> None:
    (action,) = planned(THREE, [pod("ann", "b")], driver=driver)
    assert isinstance(action, Leave)
    assert "kubectl taint nodes b node.kubernetes.io/out-of-service=off:NoExecute" in action.why


def test_a_claim_that_nobody_knows_is_not_taken_either() -> None:
    (action,) = plan(THREE, ["b"], [pod("ann", "b")], set(), {}, {DRIVER}, NOW)
    assert isinstance(action, Leave)


def test_a_pod_without_a_disk_needs_no_driver() -> None:
    assert planned(THREE, [pod("proxy", "b", disk=False)], driver="") == [
        Taint("b"),
        Remove("students", "proxy", "uid-proxy"),
    ]


def test_when_most_nodes_are_silent_this_side_is_cut_off() -> None:
    nodes = [node("a"), node("b", "Unknown"), node("c", "Unknown")]
    actions = planned(nodes, [pod("ann", "b"), pod("ben", "c")])
    assert [type(action) for action in actions] == [Leave, Leave]
    assert "2 of 3 nodes are silent" in str(actions[0])


def test_what_is_out_of_service_already_is_not_tainted_again() -> None:
    nodes = [node("a"), node("b", "Unknown", taint="off"), node("c")]
    assert planned(nodes, [pod("ann", "b")]) == [Remove("students", "ann", "uid-ann")]


@pytest.mark.parametrize(
    ("ready", "since_s", "taint", "back"),
    [
        ("True", 31, OURS, True),
        ("True", 29, OURS, False),
        ("Unknown", 3600, OURS, False),
        ("False", 3600, OURS, False),
        # Somebody else's decision.
        ("True", 3600, "off", False),
    ],
)
def test_a_node_that_is_back_is_taken_into_service(ready: str, since_s: float, taint: str, back: bool) -> None:
    nodes = [node("a"), node("b", ready, since_s=since_s, taint=taint), node("c")]
    assert planned(nodes, []) == ([Untaint("b")] if back else [])


def test_a_node_is_lost_before_kubernetes_says_so_where_its_lease_has_run_out() -> None:
    nodes = [node("a"), node("b"), node("c")]
    assert planned(nodes, [pod("ann", "b")], unrenewed=frozenset("b"))[0] == Taint("b")
    # Kubernetes has it ready yet: that is no reason to take it into service again.
    nodes[1] = node("b", taint=OURS)
    assert planned(nodes, [pod("ann", "b")], unrenewed=frozenset("b")) == [Remove("students", "ann", "uid-ann")]


def test_a_node_that_kubernetes_never_called_lost_is_back_a_while_after_it_was_put_out_of_service() -> None:
    assert planned([node("a"), node("b", taint=OURS, added_s=29)], []) == []
    assert planned([node("a"), node("b", taint=OURS, added_s=31)], []) == [Untaint("b")]


def test_who_is_asked_are_the_servers_that_run() -> None:
    starting = {**pod("cy", "b"), "status": {"phase": "Pending"}}
    proxy, database = pod("proxy", "b"), pod("database", "b")
    proxy["metadata"]["labels"] = {"app.kubernetes.io/name": "proxy"}
    database["metadata"]["labels"] = {"app.kubernetes.io/name": "hub-postgresql"}
    hub = pod("hub", "c")
    hub["metadata"]["labels"] = {"app.kubernetes.io/name": "hub", "coursehub.jupyterhub/hub": "active"}
    ended = pod("done", "b", phase="Succeeded")
    assert look_at([pod("ann", "a"), pod("benno", "b"), proxy, hub, database, starting, ended]) == {
        "a": ["10.0.0.3:8888"],
        "b": ["10.0.0.5:8888", "10.0.0.5:8000"],
        "c": ["10.0.0.3:8082", "10.0.0.3:8081"],
    }


READY = st.sampled_from(["True", "False", "Unknown"])


@given(
    st.lists(READY, min_size=1, max_size=8),
    st.lists(st.integers(0, 7), max_size=12),
    st.sets(st.integers(0, 7)),
    st.sampled_from([DRIVER, "nfs.example"]),
)
def test_only_pods_of_silent_nodes_are_ever_removed_and_never_most_nodes(
    ready: list[str], places: list[int], there: set[int], driver: str
) -> None:
    nodes = [node(str(number), status) for number, status in enumerate(ready)]
    pods = [pod(f"student-{number}", str(place)) for number, place in enumerate(places)]
    actions = planned(nodes, pods, {str(number) for number in there}, driver)
    lost = {str(number) for number, status in enumerate(ready) if status == "Unknown" and number not in there}
    on = {one["metadata"]["name"]: one["spec"]["nodeName"] for one in pods}
    touched = {action.node for action in actions if isinstance(action, Taint)}
    assert touched <= lost
    assert {on[action.name] for action in actions if isinstance(action, Remove)} <= touched
    assert 2 * len(touched) <= len(nodes)
    if driver != DRIVER:
        assert not touched
