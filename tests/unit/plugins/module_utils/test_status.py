from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _status

Object = dict[str, Any]


def node(ready: str = "True") -> Object:
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": "n"}, "status": {"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1.36.3"}}}


def deployment(name: str, available: int) -> Object:
    return {
        "kind": "Deployment",
        "metadata": {"namespace": "coursehub", "name": name, "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
        "status": {
            "observedGeneration": 1,
            "updatedReplicas": 1,
            "availableReplicas": available,
            "readyReplicas": available,
        },
    }


def pod(app: str, namespace: str = "coursehub", phase: str = "Running", reason: str = "") -> Object:
    state = {"waiting": {"reason": reason}} if reason else {"running": {}}
    return {
        "metadata": {"namespace": namespace, "name": f"{app}-1", "labels": {"app": app}},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
    }


def test_a_cluster_that_is_well() -> None:
    report = _status.Report()
    _status.add_nodes(report, [node()])
    assert report.lines == [_status.Line("cluster", True, "1 of 1 nodes ready, Kubernetes v1.36.3")]


def test_a_cluster_with_a_node_that_is_not_ready() -> None:
    report = _status.Report()
    _status.add_nodes(report, [node("Unknown")])
    assert not report.well
    assert report.lines[0].detail == "not ready: n"


def test_workloads_in_the_order_of_their_names() -> None:
    report = _status.Report()
    _status.add_workloads(report, [deployment("proxy", 1), deployment("hub", 1)], [])
    assert [(line.name, line.detail) for line in report.lines] == [
        ("coursehub/hub", "1 ready"),
        ("coursehub/proxy", "1 ready"),
    ]


def test_a_workload_that_is_down_tells_what_its_own_pods_say() -> None:
    report = _status.Report()
    pods = [pod("hub", reason="ImagePullBackOff"), pod("proxy", reason="Evicted"), pod("hub", "other", reason="Lost")]
    _status.add_workloads(report, [deployment("hub", 0)], pods)
    assert report.lines == [_status.Line("coursehub/hub", False, "0 of 1 pods are ready: main: ImagePullBackOff")]


def test_no_student_is_logged_in() -> None:
    report = _status.Report()
    _status.add_students(report, [], [], [], [])
    assert report.well
    assert [line.detail for line in report.lines] == ["none", "0 of 0 bound"]


def test_students_servers_and_disks_are_counted_and_trouble_is_named() -> None:
    report = _status.Report()
    servers = [pod("ann"), pod("bob"), pod("cid", phase="Pending", reason="ErrImagePull")]
    disks = [
        {"metadata": {"name": f"disk-{name}"}, "status": {"phase": phase}}
        for name, phase in (("ann", "Bound"), ("bob", "Lost"))
    ]
    _status.add_students(report, servers, disks, [], [])
    assert report.lines == [
        _status.Line("students' servers", False, "1 pending, 2 running; cid-1: main: ErrImagePull"),
        _status.Line("students' disks", False, "1 of 2 bound, lost: disk-bob"),
    ]


ZONE = "topology.kubernetes.io/zone"


def pool_node(zone: str, pool: str = "students") -> Object:
    return {"metadata": {"name": zone, "labels": {ZONE: zone, "pool": pool}}}


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            [pool_node("a"), pool_node("b", "core")],
            "the disk is in b, where no node for it is: see whether the engine gets machines there, and"
            " coursehub_autoscaler_zones",
        ),
        ([pool_node("a"), pool_node("b")], "the disk is in b, where 1 nodes for it have no room yet"),
    ],
)
@pytest.mark.parametrize("key", [ZONE, "topology.ebs.csi.aws.com/zone"])
def test_where_a_disk_is_whose_student_waits_for_a_node(nodes: list[Object], said: str, key: str) -> None:
    report = _status.Report()
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}
    bob = {
        "metadata": {"name": "jupyter-bob"},
        "spec": {
            "nodeSelector": {"pool": "students"},
            "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "disk-bob"}}, {"configMap": {}}],
        },
        "status": {"phase": "Pending", "conditions": [waits]},
    }
    disks = [
        {"metadata": {"name": f"disk-{name}"}, "spec": {"volumeName": f"v-{name}"}, "status": {"phase": "Bound"}}
        for name in ("ann", "bob")
    ]
    volumes = [
        {"metadata": {"name": f"v-{name}"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}}
        for name, zone in (("ann", "a"), ("bob", "b"))
        for term in [{"matchExpressions": [{"key": key, "operator": "In", "values": [zone]}]}]
    ]
    _status.add_students(report, [bob], disks, volumes, nodes)
    assert report.lines[0].detail == f"1 pending; jupyter-bob: Unschedulable: 0/2 nodes; {said}"
    assert not report.lines[0].well
    # A disk that can be attached everywhere says nothing of where it is.
    report = _status.Report()
    _status.add_students(report, [bob], disks, [{"metadata": {"name": "v-bob"}, "spec": {}}], nodes)
    assert report.lines[0].detail == "1 pending; jupyter-bob: Unschedulable: 0/2 nodes"


@pytest.mark.parametrize(
    ("minutes", "said", "line"),
    [
        (1, "", _status.Line("warm seats", True, "450 wanted")),
        (1, "warning: near", _status.Line("warm seats", True, "450 wanted; warning: near")),
        (1, "alert: at the limit", _status.Line("warm seats", False, "450 wanted; alert: at the limit")),
        (1, "calendar: broken", _status.Line("warm seats", False, "450 wanted; calendar: broken")),
        (11, "", _status.Line("warm seats", False, "450 wanted; nobody has counted them for 11 minutes")),
    ],
)
def test_warm_seats_are_well_when_they_are_counted_and_within_limits(
    minutes: int, said: str, line: _status.Line
) -> None:
    report, ten = _status.Report(), datetime(2026, 9, 1, 10, tzinfo=UTC)
    _status.add_seats(report, None, [], ten)
    assert report.lines == []
    record = {"data": {"at": ten.isoformat(), "seats": "450", "said": said}}
    _status.add_seats(report, record, [], ten + timedelta(minutes=minutes))
    assert report.lines == [line]
    report = _status.Report()
    _status.add_seats(report, {"data": {"at": "noon"}}, [], ten)
    assert report.lines == [_status.Line("warm seats", False, "? wanted; nobody has counted them")]


@pytest.mark.parametrize(
    ("minutes", "well", "detail"),
    [
        (2, True, "450 wanted; 1 of 2 placeholders hold a node"),
        (
            16,
            False,
            "450 wanted; 1 of 2 placeholders hold a node; 1 of them have waited for more than 15 minutes:"
            " Unschedulable: no machine",
        ),
    ],
)
def test_a_placeholder_that_waits_for_a_node_is_well_unless_it_lasts(minutes: int, well: bool, detail: str) -> None:
    report, ten = _status.Report(), datetime(2026, 9, 1, 10, tzinfo=UTC)
    now = ten + timedelta(minutes=minutes)
    placeholders = [pod("seats-placeholder"), pod("seats-placeholder", phase="Pending")]
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no machine"}
    placeholders[1]["status"] = {"phase": "Pending", "conditions": [waits]}
    for one in placeholders:
        one["metadata"]["creationTimestamp"] = ten.isoformat()
    record = {"data": {"at": now.isoformat(), "seats": "450", "said": ""}}
    _status.add_seats(report, record, placeholders, now)
    assert report.lines == [_status.Line("warm seats", well, detail)]


def test_what_keeps_memory_free_may_wait_for_room_and_must_run_where_it_has_it() -> None:
    report, ten = _status.Report(), datetime(2026, 9, 1, 10, tzinfo=UTC)
    _status.add_unpacked(report, [], ten)
    assert report.lines == []
    pods = [pod("a"), pod("b", phase="Pending"), pod("c", phase="Pending", reason="ErrImagePull")]
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
    pods[1]["status"] = {"phase": "Pending", "conditions": [waits]}
    for one in pods:
        one["metadata"]["creationTimestamp"] = (ten - timedelta(hours=3)).isoformat()
    # It waited for hours, and its image is fetched now.
    pods[2]["status"]["startTime"] = (ten - timedelta(minutes=1)).isoformat()
    _status.add_unpacked(report, pods, ten)
    _status.add_unpacked(report, pods, ten + timedelta(minutes=10))
    assert report.lines == [
        _status.Line("memory kept free", True, "on 1 of 3 nodes; 1 wait for room"),
        _status.Line("memory kept free", False, "on 1 of 3 nodes; 1 wait for room; c-1: main: ErrImagePull"),
    ]


def test_nodes_that_servers_have_kept_over_a_night_are_told_of() -> None:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)

    def server(name: str, node: str, hours: float, phase: str = "Running") -> Object:
        begun = (now - timedelta(hours=hours)).isoformat()
        metadata = {"name": f"jupyter-{name}", "creationTimestamp": begun}
        return {"metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase, "startTime": begun}}

    report = _status.Report()
    waits = {"metadata": server("tom", "", 48)["metadata"], "spec": {}, "status": {"phase": "Pending"}}
    _status.add_held(report, [server("ann", "a", 24), server("eve", "b", 90, "Succeeded"), waits], now)
    assert not report.lines
    _status.add_held(report, [server("ann", "a", 25), server("bob", "a", 73.5), server("eve", "b", 3)], now)
    servers = "jupyter-bob on a for 73 hours, jupyter-ann on a for 25 hours"
    settings = "coursehub_hub_cull_night_everything, coursehub_hub_cull_max_age"
    detail = f"1, by 2 servers that run for more than a day ({servers}): see {settings}"
    assert report.lines == [_status.Line("nodes held", True, detail)]
    _status.add_held(report, [server(name, name, 30) for name in "abcd"], now)
    assert report.lines[1].detail.startswith("4, by 4 servers")
    assert "jupyter-c on c for 30 hours, ...)" in report.lines[1].detail


def test_what_is_down_is_marked() -> None:
    report = _status.Report()
    report.add("cluster", True, "well")
    report.add("hub", False, "not there")
    assert report.text() == "  ok  cluster  well\nDOWN  hub      not there"
    assert _status.Report().text() == ""


@pytest.mark.parametrize(
    ("places", "nodes", "said"),
    [
        ([("a", "True"), ("b", "True")], 3, []),
        ([("a", "True"), ("a", "True")], 3, [(True, "it is on a alone")]),
        # A node whose kubelet is silent: its pods run, and nobody is led to them.
        ([("a", "True"), ("b", "False")], 3, [(True, "it is on a alone")]),
        ([("a", "False"), ("a", "False")], 3, [(False, "none of its pods is ready")]),
        # There is no other node, and of a DNS that is called otherwise nobody here knows.
        ([("a", "True")], 1, []),
        ([], 3, []),
    ],
)
def test_a_dns_that_goes_with_one_node_is_told_of(
    places: list[tuple[str, str]], nodes: int, said: list[tuple[bool, str]]
) -> None:
    dns = [
        {
            "metadata": {"labels": {"k8s-app": "kube-dns", "pod-template-hash": "1"}},
            "spec": {"nodeName": node},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }
        for node, ready in places
    ]
    other = {"metadata": {}, "spec": {}, "status": {}}
    report = _status.Report()
    _status.add_dns(report, [*dns, other], [{}] * nodes)
    assert [line.well for line in report.lines] == [well for well, _words in said]
    assert all(line.detail.startswith(words) for line, (_well, words) in zip(report.lines, said, strict=True))
