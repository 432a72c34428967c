from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kind import not_ready, plan_absent, plan_present
from hypothesis import given
from hypothesis import strategies as st

WANTED = {"kind": "Cluster", "nodes": [{"role": "control-plane"}], "image_source": "lab"}


@pytest.mark.parametrize(
    ("nodes", "recorded", "action"),
    [
        ({}, None, "create"),
        # A record without a cluster: someone removed the containers by hand.
        ({}, WANTED, "create"),
        ({"a": "running"}, None, "recreate"),
        ({"a": "running"}, WANTED, "none"),
        ({"a": "exited", "b": "running"}, WANTED, "start"),
        ({"a": "dead"}, WANTED, "start"),
    ],
)
def test_what_a_cluster_needs(nodes: dict[str, str], recorded: dict[str, Any] | None, action: str) -> None:
    plan = plan_present(nodes, recorded, WANTED)
    assert plan.action == action
    assert plan.changes == (action != "none")


def test_stopped_nodes_are_named() -> None:
    assert plan_present({"b": "exited", "a": "dead", "c": "running"}, WANTED, WANTED).reason == "stopped: a, b"


def test_a_living_cluster_with_other_settings_is_left_to_a_person() -> None:
    recorded = {**WANTED, "nodes": [], "gone": 1}
    with pytest.raises(CoursehubError, match=r"\(gone, nodes differ\)") as refused:
        plan_present({"a": "running"}, recorded, WANTED)
    assert "remove the cluster with its disks" in str(refused.value)


@given(st.dictionaries(st.text(max_size=3), st.sampled_from(["running", "exited", "dead", "created"]), min_size=1))
def test_a_complete_cluster_is_never_made_anew(nodes: dict[str, str]) -> None:
    assert plan_present(nodes, WANTED, WANTED).action in ("none", "start")


def test_what_is_left_to_remove() -> None:
    assert plan_absent({}).action == "none"
    assert plan_absent({"a": "dead"}).action == "delete"


def node(name: str, status: str = "True", heartbeat: str = "2026-01-01T00:00:10Z") -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat}
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, ready]}}


def test_nodes_that_are_ready() -> None:
    assert not_ready([node("a"), node("b")], 2) == ""


def test_nodes_that_have_not_joined() -> None:
    assert not_ready([node("a")], 2) == "1 of 2 nodes have joined"


def test_nodes_that_are_not_ready_are_named() -> None:
    silent = {"metadata": {"name": "c"}, "status": {}}
    assert not_ready([node("b", "Unknown"), node("a"), silent], 3) == "not ready: b, c"


def test_what_a_node_said_before_its_machine_died_does_not_count() -> None:
    assert not_ready([node("a")], 1, since="2026-01-01T00:00:11Z") == "not ready: a"
    assert not_ready([node("a")], 1, since="2026-01-01T00:00:10Z") == ""
