"""Seats that are kept warm, against a small API server."""

from __future__ import annotations

import importlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost, _manifests, _packing, _samples, _warm
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import cluster_usage_info, seats

from tests.unit.paths import ROOT
from tests.unit.plugins import api as api_module
from tests.unit.plugins.api import RESOURCES, Answer, Api, refused

TEN = datetime(2026, 9, 1, 10, tzinfo=UTC)
STUDENTS = "/api/v1/namespaces/students"
BUFFERS = "/apis/autoscaling.x-k8s.io/v1beta1"
BUFFER = f"{BUFFERS}/namespaces/students/capacitybuffers/seats"
PLACEHOLDER = "/apis/apps/v1/namespaces/students/deployments/seats-placeholder"
CLASSES = [{"name": "Data", "start": "2026-09-01T10:00", "end": "2026-09-01T11:30", "seats": 450}]
PARAMETERS: dict[str, Any] = {
    "namespace": "students",
    "calendar": "",
    "classes": CLASSES,
    "time_zone": "UTC",
    "class_seats": 0,
    "memory": "256Mi",
    "cpu": "100m",
    "machine": {"type": "small", "cpu": "1900m", "memory": "13Gi", "disks": 127},
    "prices": {"small": 0.5},
    "boot_s": 90,
    "early_s": 300,
    "peak_s": 900,
    "share": 1.0,
    "core_nodes": 2,
    "limit_nodes": 60,
    "limit_spend": 1000.0,
    "mechanism": "auto",
    "scheduler": "",
    "course": "data",
    "node_pool": "",
    "image": "tools",
}


def run(kube: Kube, minutes: float = 0, check_mode: bool = False, **changed: Any) -> dict[str, Any]:
    return seats.Run(kube, {**PARAMETERS, **changed}, check_mode)(TEN + timedelta(minutes=minutes))


@pytest.fixture(autouse=True)
def core(api: Api) -> list[str]:
    """The nodes of the core pool, by path."""
    paths = [f"/api/v1/nodes/core-{number}" for number in range(PARAMETERS["core_nodes"])]
    for path in paths:
        # Hub and proxy are there, and nobody looks at more of it.
        api.put(path, {"metadata": {"name": path.rpartition("/")[2], "labels": {}}, "spec": {}, "status": {}})
    return paths


def node(
    api: Api,
    name: str,
    ready: str = "True",
    pods: str = "110",
    taint: str = "",
    made: datetime = TEN - timedelta(days=1),
) -> None:
    taints = [{"key": key, "effect": "NoSchedule"} for key in (_warm.TOLERATION["key"], taint) if key]
    api.put(
        f"/api/v1/nodes/{name}",
        {
            "metadata": {"name": name, "labels": dict(_warm.POOL), "creationTimestamp": made.isoformat()},
            "spec": {"taints": taints},
            "status": {
                "allocatable": {"cpu": "1900m", "memory": "13Gi", "pods": pods},
                "conditions": [{"type": "Ready", "status": ready}],
            },
        },
    )


def server(api: Api, name: str, node_name: str, made: datetime, cpu: str = "100m") -> None:
    requests = {"cpu": cpu, "memory": "256Mi"}
    api.put(
        f"{STUDENTS}/pods/{name}",
        {
            "metadata": {
                "name": name,
                "namespace": "students",
                "creationTimestamp": made.isoformat(),
                "annotations": {"hub.jupyter.org/username": name.removeprefix("jupyter-")},
                "labels": {"app.kubernetes.io/component": "singleuser-server"},
            },
            "spec": {"nodeName": node_name, "containers": [{"resources": {"requests": requests}}]},
            "status": {"phase": "Running"},
        },
    )


def test_a_buffer_is_filled_before_class_and_a_second_run_changes_nothing(kube: Kube, api: Api) -> None:
    first = run(kube, -6)
    assert (first["seats"], first["mechanism"], first["changed"]) == (450, "buffer", True)
    assert api.objects[BUFFER]["spec"]["replicas"] == 450
    template = api.objects[f"{STUDENTS}/podtemplates/seats"]["template"]["spec"]["containers"][0]
    assert template["resources"]["requests"] == {"cpu": "100m", "memory": str(256 << 20)}
    read(api)
    assert not run(kube, -5)["changed"]


def test_it_is_let_go_after_the_peak_and_who_came_is_taken_off(kube: Kube, api: Api) -> None:
    server(api, "jupyter-alice", "a", TEN - timedelta(minutes=1))
    assert run(kube)["seats"] == 449
    read(api)
    assert run(kube, 40)["seats"] == 0
    assert api.objects[BUFFER]["spec"]["replicas"] == 0


def test_a_class_that_is_over_is_no_rate_that_goes_on(kube: Kube, api: Api) -> None:
    quiz = [{**CLASSES[0], "end": "2026-09-01T10:08", "seats": 30}]
    for number in range(30):
        server(api, f"jupyter-{number}", "a", TEN)
    assert run(kube, 7, classes=quiz)["seats"] == 0
    assert run(kube, 9, classes=quiz)["seats"] == 0


def test_who_came_and_went_has_come(kube: Kube, api: Api) -> None:
    for number, second in enumerate((0, 0, 1)):
        server(api, f"jupyter-{number}", "a", TEN - timedelta(seconds=60 - second))
    assert run(kube)["seats"] == 447
    # Two of one second, of whom one goes; another one comes then.
    del api.objects[f"{STUDENTS}/pods/jupyter-0"], api.objects[f"{STUDENTS}/pods/jupyter-2"]
    server(api, "jupyter-3", "a", TEN + timedelta(seconds=30))
    assert run(kube, 1)["seats"] == 446
    kept = api.objects[f"{STUDENTS}/configmaps/seats"]["data"]
    assert len(kept["came"].split()) == 4
    # After an hour only who is there is remembered.
    assert len(_warm.came(kept, [], TEN + timedelta(minutes=58))) == 4
    assert len(_warm.came(kept, [], TEN + timedelta(minutes=60))) == 1


def groups(api: Api, name: str, *told: str, **status: Any) -> None:
    """Let the hub say in which groups a server's student is."""
    pod = api.objects[f"{STUDENTS}/pods/{name}"]
    pod["metadata"]["annotations"]["coursehub.jupyterhub/groups"] = json.dumps(told)
    pod["status"].update(status)


def test_students_who_are_there_from_the_class_before_need_no_seat(kube: Kube, api: Api) -> None:
    lab = [{**CLASSES[0], "seats": 3, "groups": ["lab1"]}]
    for name in ("alice", "bob", "cid"):
        server(api, f"jupyter-{name}", "a", TEN - timedelta(hours=2))
    assert run(kube, classes=lab)["seats"] == 3
    groups(api, "jupyter-alice", "lab1", "data")
    groups(api, "jupyter-bob", "data")
    # It ends, and its student comes anew.
    groups(api, "jupyter-cid", "lab1", phase="Failed")
    assert run(kube, classes=lab)["seats"] == 2
    # As does what is kept of the calendar.
    told = run(kube, calendar="/nowhere.ics", classes=[])
    assert (told["seats"], told["calendar_problem"][:22]) == (2, "the last good calendar")
    api.objects[f"{STUDENTS}/pods/jupyter-alice"]["metadata"]["deletionTimestamp"] = TEN.isoformat()
    assert run(kube, classes=lab)["seats"] == 3
    # Somebody wrote it by hand.
    api.objects[f"{STUDENTS}/pods/jupyter-bob"]["metadata"]["annotations"]["coursehub.jupyterhub/groups"] = "lab1"
    assert run(kube, classes=lab)["seats"] == 3


def test_a_class_with_fewer_seats_than_its_groups_have_servers_is_told(kube: Kube, api: Api) -> None:
    for name in ("alice", "bob"):
        server(api, f"jupyter-{name}", "a", TEN - timedelta(hours=2))
        groups(api, f"jupyter-{name}", "data")
    told = run(kube, classes=[{**CLASSES[0], "seats": 1, "groups": ["data"]}])
    assert told["seats"] == 1
    assert told["warned"][0].startswith("Data has 1 seats, and 2 of its groups (data) have a server already")


def test_servers_of_another_hub_take_no_seat(kube: Kube, api: Api) -> None:
    server(api, "jupyter-alice", "a", TEN - timedelta(minutes=1))
    pod = api.objects.pop(f"{STUDENTS}/pods/jupyter-alice")
    api.put(
        "/api/v1/namespaces/other/pods/jupyter-alice", {**pod, "metadata": {**pod["metadata"], "namespace": "other"}}
    )
    assert run(kube)["seats"] == 450


def test_without_the_api_pods_of_a_nodes_size_hold_nodes(kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RESOURCES, BUFFERS)
    node(api, "a")
    node(api, "b")
    server(api, "jupyter-alice", "b", TEN - timedelta(hours=2))
    told = run(kube)
    # 19 seats a node. Beside Alice 18 are free; the empty node is held too, or it would go before the class.
    assert (told["mechanism"], told["placeholders"]) == ("placeholder", 23)
    assert told["seats"] == 450
    pod = api.objects[PLACEHOLDER]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "1900m", "memory": str(19 * 256 << 20)}
    assert pod["priorityClassName"] == _warm.PRIORITY_CLASS
    assert not any(path.startswith(BUFFERS) for path in api.objects)
    with pytest.raises(CoursehubError, match="the cluster has no CapacityBuffer"):
        run(kube, mechanism="buffer")


def read(api: Api, status: str = "True") -> None:
    """Let an engine say of the buffer that it reads it."""
    item = api.objects[BUFFER]
    api.put(BUFFER, {**item, "status": {"conditions": [{"type": "ReadyForProvisioning", "status": status}]}})


def test_a_buffer_that_nobody_reads_is_no_seat(kube: Kube, api: Api) -> None:
    # The first run makes it; nobody can have read it yet.
    assert (run(kube)["mechanism"], run(kube, mechanism="buffer")["mechanism"]) == ("buffer", "buffer")
    told = run(kube)
    assert (told["mechanism"], told["placeholders"]) == ("placeholder", 24)
    assert "no engine reads the CapacityBuffer" in told["warned"][0]
    assert "warning: no engine reads" in api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["said"]
    assert "no seat is warm" in run(kube, mechanism="buffer")["warned"][0]
    read(api, "False")
    assert run(kube)["mechanism"] == "placeholder"


def test_the_other_mechanism_is_let_go(kube: Kube, api: Api) -> None:
    run(kube)
    run(kube)
    sizes = [api.objects[path]["spec"]["replicas"] for path in (BUFFER, PLACEHOLDER)]
    assert sizes == [0, 24]
    # Switched on after all.
    read(api)
    assert run(kube)["mechanism"] == "buffer"
    assert [api.objects[path]["spec"]["replicas"] for path in (BUFFER, PLACEHOLDER)] == [450, 0]
    assert not run(kube)["changed"]


def test_placeholders_have_the_servers_scheduler(kube: Kube, api: Api) -> None:
    run(kube, mechanism="placeholder", scheduler="coursehub-packing")
    assert api.objects[PLACEHOLDER]["spec"]["template"]["spec"]["schedulerName"] == "coursehub-packing"
    run(kube, mechanism="placeholder")
    assert "schedulerName" not in api.objects[PLACEHOLDER]["spec"]["template"]["spec"]


def test_a_broken_calendar_keeps_the_last_good_one(kube: Kube, api: Api, tmp_path: Path) -> None:
    path = tmp_path / "course.ics"
    path.write_text("no calendar", encoding="utf-8")
    # The first run of all: who comes by chance has seats all the same.
    told = run(kube, calendar=str(path), classes=[])
    assert (told["seats"], told["mechanism"]) == (0, "buffer")
    assert told["calendar_problem"].startswith("no seat is kept for a class, since: the calendar is no iCalendar")
    assert "leave one of them out" in run(kube, calendar=str(path))["calendar_problem"]
    run(kube, -60)
    told = run(kube, calendar=str(path), classes=[])
    assert told["seats"] == 450
    assert "the last good calendar (1 classes" in told["calendar_problem"]
    # Whoever is on duty finds it without the log of a job that is gone.
    assert api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["said"].startswith("calendar: the last good calendar")
    assert "can't be had" in run(kube, calendar=str(tmp_path / "gone"), classes=[])["calendar_problem"]


def test_check_mode_writes_nothing(kube: Kube, api: Api, core: list[str]) -> None:
    told = run(kube, check_mode=True)
    assert (told["changed"], told["seats"]) == (True, 450)
    assert list(api.objects) == core


def test_a_core_pool_that_is_smaller_than_said_is_warned_of(kube: Kube, api: Api, core: list[str]) -> None:
    # The students' nodes are none of it, whatever else is.
    node(api, "a")
    api.put("/api/v1/nodes/gpu", {"metadata": {"name": "gpu", "labels": {"pool": "gpu"}}, "spec": {}, "status": {}})
    assert run(kube)["warned"] == []
    for path in core:
        del api.objects[path]
    (told,) = run(kube, mechanism="placeholder")["warned"]
    assert told.startswith("1 nodes are not of the students' pool, and core_nodes is 2")
    assert f"warning: {told}" in api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["said"]
    assert run(kube, mechanism="placeholder", core_nodes=1)["warned"] == []


def test_money_is_counted_from_run_to_run_and_a_limit_ends_growth(kube: Kube, api: Api) -> None:
    run(kube, -60)
    node(api, "a")
    # Twelve minutes of two core nodes and one for students.
    assert run(kube, -48)["spent"] == 0.3
    told = run(kube, limit_nodes=5)
    assert told["seats"] == 3 * 19
    assert told["alerts"]
    assert "alert: growth ends at a limit" in api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["said"]


def events(api: Api) -> list[tuple[str, str, str]]:
    """Take the Events that there are."""
    paths = [path for path in api.objects if path.startswith(f"{STUDENTS}/events/")]
    found = [api.objects.pop(path) for path in paths]
    assert {one["involvedObject"]["name"] for one in found} <= {_warm.NAME}
    return [(one["type"], one["reason"], one["message"]) for one in found]


def test_an_alert_is_an_event_when_it_begins_and_when_it_is_over(kube: Kube, api: Api) -> None:
    run(kube, -10, limit_nodes=5, check_mode=True)
    assert events(api) == []
    (told,) = run(kube, -1, limit_nodes=5)["alerts"]
    assert events(api) == [("Warning", "Alert", f"alert: {told}")]
    read(api)
    server(api, "jupyter-alice", "a", TEN - timedelta(seconds=90))
    # Of 449 seats now, for who is there.
    assert run(kube, limit_nodes=5)["alerts"] not in ([], [told])
    assert events(api) == []
    assert run(kube, 40)["alerts"] == []
    assert events(api) == [("Normal", "Well", "what was said of seats is over")]
    run(kube, 41)
    assert events(api) == []


def test_a_run_that_may_make_no_event_keeps_seats_and_says_so(kube: Kube, api: Api) -> None:
    api.answer_next("POST", f"{STUDENTS}/events", refused(403, "may not"))
    told = run(kube, limit_nodes=5)
    assert told["warned"] == ["no Event could be made of what is said: may not"]
    assert "no Event" in api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["said"]
    # The next one makes up for it.
    read(api)
    (alert,) = run(kube, 1, limit_nodes=5)["alerts"]
    assert events(api) == [("Warning", "Alert", f"alert: {alert}")]
    run(kube, 2, limit_nodes=5)
    assert events(api) == []


def test_of_what_could_not_be_told_the_end_is(kube: Kube, api: Api) -> None:
    api.answer_next("POST", f"{STUDENTS}/events", refused(403, "may not"))
    run(kube, limit_nodes=5)
    read(api)
    assert run(kube, 40)["alerts"] == []
    assert events(api) == [("Normal", "Well", "what was said of seats is over")]


def test_what_is_said_in_two_lines_is_said_once(kube: Kube, api: Api) -> None:
    node(api, "a")
    server(api, "jupyter-alice", "", TEN - timedelta(minutes=9))
    waits = {"type": "PodScheduled", "status": "False", "message": "no room:\n1 node(s) were full"}
    api.objects[f"{STUDENTS}/pods/jupyter-alice"]["status"] = {"phase": "Pending", "conditions": [waits]}
    run(kube)
    assert len(events(api)) == 1
    read(api)
    run(kube, 1)
    assert events(api) == []


POOL = "/apis/karpenter.sh/v1/nodepools/coursehub-students"


@pytest.fixture
def pool(api: Api, monkeypatch: pytest.MonkeyPatch) -> str:
    """The role's pool, on a cluster with Karpenter."""
    monkeypatch.setitem(RESOURCES, "/apis/karpenter.sh/v1", ["NodePool"])
    monkeypatch.setattr(api_module, "CLUSTER_WIDE", (*api_module.CLUSTER_WIDE, "NodePool"))
    (item,) = _manifests.prepare(
        [
            {
                "apiVersion": "karpenter.sh/v1",
                "kind": "NodePool",
                "metadata": {"name": "coursehub-students"},
                "spec": {"limits": {"nodes": 58, "cpu": 116}, "template": {}},
            }
        ],
        "autoscaler",
    )
    api.put(POOL, item)
    return "coursehub-students"


def test_a_day_whose_money_is_spent_adds_no_node_and_the_next_one_does(kube: Kube, api: Api, pool: str) -> None:
    node(api, "a")
    server(api, "jupyter-alice", "a", TEN - timedelta(hours=2))
    assert run(kube, 60, node_pool=pool)["alerts"] == []
    assert POOL not in api.asked_for("PATCH")
    # Two nodes of the core and one for students, for ten minutes each: 0.25.
    assert run(kube, 70, check_mode=True, node_pool=pool, limit_spend=24.2)["alerts"] == []
    api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["spent"] = "30"
    told = run(kube, 70, check_mode=True, node_pool=pool, limit_spend=30.0)
    assert told["changed"]
    assert POOL not in api.asked_for("PATCH")
    told = run(kube, 70, node_pool=pool, limit_spend=30.0)
    assert "30.25 of 30 are spent today: no node is added to the 1" in told["alerts"][0]
    assert "alert: 30.25 of 30" in api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["said"]
    spec = api.objects[POOL]["spec"]
    assert spec == {"limits": {"nodes": 1, "cpu": 2}, "template": {}}
    assert told["diff"]["after"]["objects"][0]["spec"] == spec
    assert not run(kube, 71, node_pool=pool, limit_spend=30.0)["changed"]
    # Whoever takes the limits back, as the role does: the next run sets them again.
    spec["limits"] = {"nodes": 58, "cpu": 116}
    run(kube, 72, node_pool=pool, limit_spend=30.0)
    assert api.objects[POOL]["spec"]["limits"]["nodes"] == 1
    # Somebody's own limit stays, and is no reason to set ours again.
    api.objects[POOL]["spec"]["limits"] = {"nodes": 1, "cpu": 2, "memory": "64Gi"}
    assert not run(kube, 72, node_pool=pool, limit_spend=30.0)["changed"]
    told = run(kube, 72, node_pool=pool)
    assert told["diff"]["after"]["objects"][0]["spec"]["limits"] == {"nodes": 58, "cpu": 116, "memory": "64Gi"}
    del api.objects[POOL]["spec"]["limits"]["memory"]
    run(kube, 72, node_pool=pool, limit_spend=30.0)
    # The limit is raised, or the day is new, also where no run has been since.
    run(kube, 73, node_pool=pool)
    assert api.objects[POOL]["spec"]["limits"] == {"nodes": 58, "cpu": 116}
    run(kube, 74, node_pool=pool, limit_spend=30.0)
    assert run(kube, 24 * 60, node_pool=pool, limit_spend=30.0)["alerts"] == []
    assert api.objects[POOL]["spec"]["limits"] == {"nodes": 58, "cpu": 116}


def test_a_lost_record_or_a_run_that_died_leaves_no_pool_shut(kube: Kube, api: Api, pool: str) -> None:
    api.objects[POOL]["spec"]["limits"] = {"nodes": 0, "cpu": 0}
    run(kube, node_pool=pool)
    assert api.objects[POOL]["spec"]["limits"] == {"nodes": 58, "cpu": 116}


def test_a_run_that_keeps_no_seat_opens_the_pool_and_counts_the_money(kube: Kube, api: Api, pool: str) -> None:
    run(kube, -10)
    api.objects[POOL]["spec"]["limits"] = {"nodes": 0, "cpu": 0}
    api.answer_next("PATCH", BUFFER, refused(403, "may not"))
    with pytest.raises(CoursehubError, match="CapacityBuffer students/seats was refused: may not"):
        run(kube, node_pool=pool)
    assert api.objects[POOL]["spec"]["limits"] == {"nodes": 58, "cpu": 116}
    # Ten minutes of the core's two nodes.
    kept = api.objects[f"{STUDENTS}/configmaps/seats"]["data"]
    assert (kept["at"], kept["spent"]) == (TEN.isoformat(), "0.1667")
    assert "alert: seats can't be kept warm: CapacityBuffer students/seats was refused: may not" in kept["said"]
    # What can't be read can't be set either, and all else is done.
    api.answer_next("GET", POOL, refused(403, "may not look"))
    told = run(kube, 1, node_pool=pool)
    assert told["alerts"] == ["the limits of NodePool coursehub-students could not be set to 58 nodes: may not look"]
    assert (told["seats"], api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["seats"]) == (450, "450")


def test_a_pool_of_others_is_left_alone_and_one_that_cant_be_set_is_told(kube: Kube, api: Api, pool: str) -> None:
    run(kube)
    api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["spent"] = "2000"
    api.answer_next("PATCH", POOL, refused(403, "may not"))
    told = run(kube, node_pool=pool)
    assert told["alerts"][-1] == "the limits of NodePool coursehub-students could not be set to 0 nodes: may not"
    del api.objects[POOL]["metadata"]["labels"]["app.kubernetes.io/managed-by"]
    told = run(kube, node_pool=pool)
    assert "students' servers start all the same" in told["alerts"][-1]
    assert api.objects[POOL]["spec"]["limits"]["nodes"] == 58
    # Without Karpenter, as on GKE.
    assert "students' servers start all the same" in run(kube)["alerts"][-1]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"prices": {"large": 1}}, "the price list lacks the type small"),
        ({"memory": "14Gi"}, "the machine small can't hold one student"),
        ({"limit_nodes": 2}, "no student could ever start"),
        ({"share": 0.0}, "share is 0"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(
    kube: Kube, api: Api, changed: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        run(kube, **changed)
    assert not api.asked


def test_room_is_counted_as_the_scheduler_does(kube: Kube, api: Api) -> None:
    for name, ready in (("a", "True"), ("b", "False"), ("c", "True"), ("empty", "True")):
        node(api, name, ready)
    node(api, "few-pods", pods="4")
    node(api, "goes", taint="karpenter.sh/disrupted")
    server(api, "jupyter-alice", "a", TEN, cpu="1800m")
    for number, name in enumerate(("b", "few-pods", "goes")):
        server(api, f"jupyter-{number}", name, TEN)
    server(api, "jupyter-bob", "c", TEN, cpu="2")
    nodes, pods = kube.list("v1", "Node"), kube.list("v1", "Pod")
    size = _packing.Guarantee(0.1, 256 << 20)
    assert _warm.free(nodes, pods, size, 127) == 1 + 3
    assert _warm.free(nodes, pods, size, 3) == 1 + 2
    assert _warm.in_use(nodes, pods) == 5


def test_students_who_wait_too_long_for_a_node_are_told_of(kube: Kube, api: Api) -> None:
    node(api, "a")
    for number in range(2):
        server(api, f"jupyter-{number}", "", TEN - timedelta(minutes=2, seconds=number))
        waits = {"type": "PodScheduled", "status": "False", "message": "1 node(s) had volume node affinity conflict"}
        api.objects[f"{STUDENTS}/pods/jupyter-{number}"]["status"] = {"phase": "Pending", "conditions": [waits]}
    assert run(kube)["alerts"] == []
    (told,) = run(kube, 2)["alerts"]
    assert told == (
        "2 students have waited for a node for more than 3 minutes, the first is jupyter-1: 1 node(s) had volume node"
        " affinity conflict"
    )
    assert f"alert: {told}" in api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["said"]


def booted(api: Api, name: str, made: datetime, seconds: float | None) -> None:
    """Put a node that became ready so many seconds after it registered, or is not yet."""
    node(api, name, ready="False" if seconds is None else "True", made=made)
    (condition,) = api.objects[f"/api/v1/nodes/{name}"]["status"]["conditions"]
    condition["lastTransitionTime"] = (made + timedelta(seconds=seconds or 0)).isoformat()


def test_nodes_that_take_longer_than_said_are_told_of(kube: Kube, api: Api) -> None:
    def said(minutes: float = 0, boot_s: int = 90) -> Any:
        return run(kube, minutes, mechanism="placeholder", boot_s=boot_s)["warned"]

    half = TEN - timedelta(minutes=30)
    # As fast as said; one that was away since; and one whose machine has only just started.
    booted(api, "a", half, 90)
    booted(api, "b", half, 1200)
    booted(api, "c", TEN - timedelta(seconds=80), None)
    assert said() == []
    booted(api, "d", half, 91)
    (told,) = said()
    assert told.startswith("of 3 nodes that came within the last hour half took 91 s or more")
    assert "boot_s is 90" in told
    assert said(boot_s=91) == []
    # It is late by now.
    del api.objects["/api/v1/nodes/d"]
    (told,) = said(1)
    assert told.startswith("of 3 nodes that came within the last hour half took 140 s")
    # A day later nobody can tell a boot from a node that was away.
    assert said(24 * 60) == []


def test_a_machine_that_is_smaller_than_said_is_told(kube: Kube, api: Api) -> None:
    node(api, "a")
    assert run(kube, 60)["warned"] == []
    agent = {"requests": {"cpu": "150m", "memory": "100Mi"}}
    spec = {"nodeName": "a", "containers": [{"resources": agent}]}
    api.put(
        "/api/v1/namespaces/kube-system/pods/agent",
        {"metadata": {"name": "agent", "namespace": "kube-system"}, "spec": spec},
    )
    (warned,) = run(kube, 60, mechanism="placeholder")["warned"]
    assert "a has room for 17 servers, not for 19, for want of cpu: set cpu to 1900m and system_cpu to 150m" in warned
    # What the role keeps free is not to be set once more.
    labels = {"app.kubernetes.io/name": "unpacked"}
    kept = {"nodeName": "a", "containers": [{"resources": {"requests": {"memory": "10Gi"}}}]}
    path = "/api/v1/namespaces/coursehub/pods/unpacked"
    api.put(path, {"metadata": {"name": "unpacked", "namespace": "coursehub", "labels": labels}, "spec": kept})
    (warned,) = run(kube, 60, mechanism="placeholder")["warned"]
    assert "11 servers, not for 19, for want of memory: set memory to 13Gi and system_memory to 100Mi" in warned
    del api.objects[path]
    system = {**PARAMETERS["machine"], "system_cpu": "150m"}
    assert run(kube, 60, mechanism="placeholder", machine=system)["warned"] == []
    # A kubelet that takes fewer pods.
    node(api, "a", pods="15")
    (warned,) = run(kube, 60, mechanism="placeholder", machine=system)["warned"]
    assert "14 servers, not for 17, for want of pods: set pods to 14 of the machine" in warned


def test_what_keeps_a_part_of_a_node_free_takes_no_seat_that_is_counted(kube: Kube, api: Api) -> None:
    # Cores and pods are what runs out first, and both are used up.
    machine = {**PARAMETERS["machine"], "unpacked": 0.1, "pods": 20}
    node(api, "a", pods="20")
    template = (ROOT / "roles/autoscaler/templates/unpacked.yaml.j2").read_text(encoding="utf-8")
    checked = {"unpacked_memory": _packing.unpacked_of(machine)}
    text = jinja2.Environment(autoescape=True).from_string(template).render(_autoscaler_checked=checked)
    pod = yaml.safe_load(text)["spec"]["template"]
    metadata = {"name": "unpacked-1", "namespace": "coursehub", **pod["metadata"]}
    path = "/api/v1/namespaces/coursehub/pods/unpacked-1"
    api.put(path, {"metadata": metadata, "spec": {**pod["spec"], "nodeName": "a"}})
    assert run(kube, 60, mechanism="placeholder", machine=machine)["warned"] == []
    assert _packing.seats_of(_packing.parse_machine(machine, PARAMETERS["prices"]), _packing.Guarantee(0.1, 1)) == 19


def test_money_of_yesterday_is_not_of_today() -> None:
    kept = {"at": "2026-08-31T23:50:00+00:00", "spent": "100"}
    midnight = datetime(2026, 9, 1, 0, 6, tzinfo=UTC)
    assert _warm.spent(kept, midnight, [], 10, 1.0) == pytest.approx(1.0)
    assert _warm.spent({}, midnight, [], 10, 1.0) == 0
    assert _warm.spent({**kept, "at": "2026-09-01T00:00:00+00:00"}, midnight, [], 10, 1.0) == pytest.approx(101.0)


def test_hours_without_a_run_cost_what_is_there_as_long_as_it_is(kube: Kube, api: Api) -> None:
    run(kube)
    for number in range(20):
        node(api, f"old-{number}")
    node(api, "new", made=TEN + timedelta(hours=7))
    # Of a clock that is ahead.
    node(api, "next", made=TEN + timedelta(hours=9))
    # The schedule was broken for eight hours: two nodes of the core and twenty for all of them, one for the last.
    assert run(kube, 8 * 60)["spent"] == (8 * 22 + 1) * 0.5
    # And of another day for what is of that.
    assert run(kube, 16 * 60)["spent"] == 2 * (22 + 2) * 0.5


def test_a_sample_is_kept_every_five_minutes_and_can_be_read_again(kube: Kube, api: Api, kubeconfig: Path) -> None:
    node(api, "a")
    server(api, "jupyter-alice", "a", TEN - timedelta(seconds=70))
    begun = (TEN - timedelta(seconds=58)).isoformat()
    status = {"phase": "Running", "containerStatuses": [{"state": {"running": {"startedAt": begun}}}]}
    api.objects[f"{STUDENTS}/pods/jupyter-alice"]["status"] = status
    for minutes in range(11):
        # What is used, of a run that resized a minute ago, and then of none that was.
        resized = {"at": (TEN + timedelta(minutes=min(minutes, 4))).isoformat(), "used_mib": "200"}
        api.put(f"{STUDENTS}/configmaps/resize", {"metadata": {"name": "resize"}, "data": resized})
        run(kube, minutes)
    (name,) = [path for path in api.objects if "/configmaps/usage-" in path]
    assert name.endswith(_samples.name_of(TEN.date()))
    samples = _cost.parse_samples(_samples.lines(api.objects[name]))
    assert [one.at - TEN for one in samples] == [timedelta(minutes=minutes) for minutes in (0, 5, 10)]
    assert [one.servers for one in samples] == [{"alice": "data"}] * 3
    # The start is told of once.
    assert [list(one.waits) for one in samples] == [[12.0], [], []]
    assert [one.used_mib for one in samples] == [200, 200, None]
    first = samples[0]
    assert (first.nodes, first.seats, first.asked_mib) == ({"small": 3}, 19, 256)
    told = cluster_usage_info.run(
        {
            "kubeconfig": str(kubeconfig),
            "context": "kind-test",
            "namespace": "students",
            "samples": None,
            "since": "2026-09-01",
            "until": "2026-09-01",
            "time_zone": "UTC",
            "prices": {"small": 0.5},
        }
    )
    # Ten minutes of three nodes.
    assert told["usage"]["cost"] == 0.25
    assert list(told["usage"]["by_student"]) == ["alice"]
    assert told["usage"]["used_gib_hours"] == round(200 / 1024 / 6, 2)


def test_seats_are_kept_where_no_sample_can_be(kube: Kube, api: Api) -> None:
    path = f"{STUDENTS}/configmaps/{_samples.name_of(TEN.date())}"
    api.put(path, {"metadata": {"name": "x"}, "data": {"day": "2026-09-01"}, "binaryData": {"samples.xz": "AAAA"}})
    told = run(kube)
    assert told["seats"] == 450
    assert "no sample of the cluster's use was kept: ConfigMap" in told["warned"][0]
    # It is tried again, and goes on where the object is removed.
    del api.objects[path]
    assert not any("sample" in sentence for sentence in run(kube, 1)["warned"])
    assert path in api.objects


def test_a_run_that_died_after_its_sample_has_taken_it(kube: Kube, api: Api) -> None:
    run(kube, -5)
    noted = dict(api.objects[f"{STUDENTS}/configmaps/seats"])
    run(kube)
    api.put(f"{STUDENTS}/configmaps/seats", noted)
    path = f"{STUDENTS}/configmaps/{_samples.name_of(TEN.date())}"
    run(kube, 1)
    assert len(_samples.lines(api.objects[path]).splitlines()) == 2
    assert api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["sampled"] == TEN.isoformat()


def test_a_run_by_hand_beside_the_schedule_loses_no_sample(kube: Kube, api: Api) -> None:
    run(kube, -5)
    path = f"{STUDENTS}/configmaps/{_samples.name_of(TEN.date())}"
    before = api.objects[path]
    run(kube)
    # Of two at the same moment, the one that has looked before the other wrote.
    del api.objects[f"{STUDENTS}/configmaps/seats"]["data"]["sampled"]
    api.answer_next("GET", path, Answer(body=before))
    assert run(kube)["warned"][-1].endswith("was refused: the object has been modified")
    assert len(_samples.lines(api.objects[path]).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "noon", "2026-09-01T10:00:00", "{", "[1, {}]", "1e999", "-5", "nan", "ä"])
def test_what_of_the_last_run_cant_be_read_is_absent(kube: Kube, api: Api, text: str) -> None:
    run(kube, -1)
    good = dict(api.objects[f"{STUDENTS}/configmaps/seats"]["data"])
    for word in good:
        record = {"metadata": {"name": "seats"}, "data": {**good, word: text}}
        api.put(f"{STUDENTS}/configmaps/seats", record)
        api.put(
            f"{STUDENTS}/configmaps/resize", {"metadata": {"name": "resize"}, "data": {"at": text, "used_mib": text}}
        )
        assert run(kube)["seats"] == 450


def test_seats_are_kept_by_a_python_that_has_no_lzma(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lzma", None)
    # As one imports it, and nobody else's copy of it.
    assert importlib.reload(_samples).HAS_LZMA is False
    try:
        told = run(kube)
        assert told["seats"] == 450
        assert any("was built without lzma" in sentence for sentence in told["warned"])
    finally:
        monkeypatch.undo()
        importlib.reload(_samples)
