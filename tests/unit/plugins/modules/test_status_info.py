from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _manifests, _packing, _warm
from ansible_collections.coursehub.jupyterhub.plugins.modules import status_info
from coursehub_hub.database_watch import verdict

from tests.unit.plugins.api import Answer, Api, now, refused


@pytest.fixture
def hub(api: Api, kubeconfig: Path) -> dict[str, Any]:
    """A node, a workload of ours and one of others; returns the module's parameters."""
    node_info = {"kubeletVersion": "v1.36.3"}
    ready = [{"type": "Ready", "status": "True"}]
    api.put("/api/v1/nodes/n", {"metadata": {"name": "n"}, "status": {"conditions": ready, "nodeInfo": node_info}})
    for name, labels in (("hub", _manifests.MANAGED_BY), ("theirs", {})):
        workload = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "ns", "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
            "status": {"updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1},
        }
        api.put(f"/apis/apps/v1/namespaces/ns/deployments/{name}", workload)
    return {"kubeconfig": str(kubeconfig), "context": "kind-test", "students_namespace": "students", "url": ""}


def test_our_own_things_are_told_and_no_others(hub: dict[str, Any]) -> None:
    result = status_info.run(hub)
    assert result["well"]
    assert [thing["name"] for thing in result["things"]] == [
        "cluster",
        "ns/hub",
        "students' servers",
        "students' disks",
    ]


@pytest.mark.parametrize(("used", "well"), [(2**29, True), (2**30 * 84 // 100, True), (2**30 * 97 // 100, False)])
def test_a_database_whose_disk_is_nearly_full_is_told(hub: dict[str, Any], api: Api, used: int, well: bool) -> None:
    for namespace, labels in (("ns", _manifests.MANAGED_BY), ("students", _manifests.MANAGED_BY), ("theirs", {})):
        api.put(
            f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data",
            {
                "metadata": {"name": "data", "namespace": namespace, "labels": labels},
                "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
            },
        )
    volumes = [
        {"pvcRef": {"name": "data", "namespace": namespace}, "usedBytes": used}
        for namespace in ("ns", "students", "theirs")
    ]
    api.answer_next("GET", "/api/v1/nodes/n/proxy/stats/summary", Answer(body={"pods": [{"volume": volumes}]}))
    result = status_info.run(hub)
    assert result["well"] == well
    (told,) = [thing for thing in result["things"] if thing["name"].endswith("/data")]
    assert told["name"] == "ns/data"
    assert told["detail"].startswith(f"{round(100 * used / 2**30)} % of 1Gi used")
    assert ("coursehub_hub_database_size" in told["detail"]) != well


@pytest.mark.parametrize(
    ("said", "there", "well"),
    [
        (["DatabaseWritable"], True, True),
        (["DatabaseWritable", "DatabaseNotWritable"], True, False),
        (["DatabaseNotWritable", "DatabaseWritable"], True, True),
        # Of a pod that is gone.
        (["DatabaseNotWritable"], False, True),
    ],
)
def test_a_database_that_cant_be_written_to_is_told(
    hub: dict[str, Any], api: Api, said: list[str], there: bool, well: bool
) -> None:
    pod = verdict.Pod("hub-5f", "ns", "u-1")
    if there:
        api.put(
            "/api/v1/namespaces/ns/pods/hub-5f",
            {"metadata": {"name": pod.name, "namespace": "ns", "uid": pod.uid}, "status": {"phase": "Running"}},
        )
    for minute, reason in enumerate(said):
        event = verdict.event(pod, reason, f"{reason} it is", datetime(2026, 3, 1, 8, minute, tzinfo=UTC))
        api.put(f"/api/v1/namespaces/ns/events/{event['metadata']['name']}", event)
    result = status_info.run(hub)
    assert result["well"] == well, result["text"]
    told = [thing["detail"] for thing in result["things"] if thing["name"] == "hub's database"]
    assert told == ([] if well else ["DatabaseNotWritable it is"])


def test_placeholders_that_wait_for_nodes_are_no_workload_that_is_down(hub: dict[str, Any], api: Api) -> None:
    (item,) = _manifests.prepare(
        _warm.placeholder("students", 2, 19, _packing.Guarantee(0.1, 1 << 28), "t"), _warm.PART
    )
    api.put("/apis/apps/v1/namespaces/students/deployments/seats-placeholder", item)
    pod = {"metadata": {**item["spec"]["template"]["metadata"], "name": "a", "namespace": "students"}}
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    made = {"metadata": {**pod["metadata"], "creationTimestamp": now()}}
    status = {"phase": "Pending", "conditions": [waits]}
    api.put("/api/v1/namespaces/students/pods/a", {**made, "status": status})
    record = {"metadata": {"name": "seats"}, "data": {"at": now(), "seats": "38", "said": ""}}
    api.put("/api/v1/namespaces/students/configmaps/seats", record)
    result = status_info.run(hub)
    assert result["well"], result["text"]
    (told,) = [thing for thing in result["things"] if thing["name"] == "warm seats"]
    assert told["detail"] == "38 wanted; 0 of 1 placeholders hold a node"
    assert "seats-placeholder" not in result["text"]


def test_where_disks_are_is_looked_at_while_somebody_waits(hub: dict[str, Any], api: Api) -> None:
    status_info.run(hub)
    assert "/api/v1/persistentvolumes" not in api.asked_for("GET")
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    labels = {"app.kubernetes.io/component": "singleuser-server"}
    path = "/api/v1/namespaces/students"
    home = {"name": "home", "persistentVolumeClaim": {"claimName": "disk-bob"}}
    api.put(
        f"{path}/pods/jupyter-bob",
        {
            "metadata": {"name": "jupyter-bob", "namespace": "students", "labels": labels},
            "spec": {"volumes": [home]},
            "status": {"phase": "Pending", "conditions": [waits]},
        },
    )
    claim = {"metadata": {"name": "disk-bob"}, "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}}
    api.put(f"{path}/persistentvolumeclaims/disk-bob", claim)
    term = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    api.put("/api/v1/persistentvolumes/v", {"metadata": {"name": "v"}, "spec": {"nodeAffinity": affinity}})
    assert "the disk is in b, where no node for it is" in status_info.run(hub)["text"]


def test_the_hub_is_asked_by_the_way_that_students_take(hub: dict[str, Any], api: Api, kubeconfig: Path) -> None:
    api.answer_next("GET", "/hub/health", Answer(body={}))
    url = address(kubeconfig)
    assert status_info.run({**hub, "url": f"{url}/"})["things"][-1] == {
        "name": "address",
        "well": True,
        "detail": f"{url}/ answers",
    }


def test_a_hub_that_is_down_behind_its_proxy(hub: dict[str, Any], api: Api, kubeconfig: Path) -> None:
    api.answer_next("GET", "/hub/health", refused(503, "no hub"))
    result = status_info.run({**hub, "url": address(kubeconfig)})
    assert not result["well"]
    assert result["things"][-1]["detail"].endswith("answers, the hub behind it does not (503)")


def test_an_address_that_nobody_listens_at(hub: dict[str, Any]) -> None:
    result = status_info.run({**hub, "url": "http://127.0.0.1:1"})
    assert result["things"][-1]["detail"] == "http://127.0.0.1:1 does not answer: [Errno 111] Connection refused"


def test_a_cluster_that_is_down_is_told_and_no_failure(hub: dict[str, Any], tmp_path: Path) -> None:
    result = status_info.run({**hub, "kubeconfig": str(tmp_path / "none")})
    assert not result["well"]
    assert result["text"].startswith("DOWN  cluster  the kubeconfig")


def address(kubeconfig: Path) -> str:
    text = kubeconfig.read_text(encoding="utf-8")
    return text.partition('"server": "')[2].partition('"')[0]


def test_the_pods_that_keep_memory_free_are_told_of(hub: dict[str, Any], api: Api) -> None:
    labels = {"app.kubernetes.io/name": "unpacked"}
    metadata = {"name": "unpacked-1", "namespace": "ns", "labels": labels, "creationTimestamp": now()}
    api.put("/api/v1/namespaces/ns/pods/unpacked-1", {"metadata": metadata, "status": {"phase": "Running"}})
    (told,) = [thing for thing in status_info.run(hub)["things"] if thing["name"] == "memory kept free"]
    assert (told["well"], told["detail"]) == (True, "on 1 of 1 nodes")
