"""Servers that ask for what they use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import server_resize

from tests.unit.plugins.api import Answer, Api, Request, refused

MIB = 1 << 20
PODS = "/api/v1/namespaces/students/pods"
PARAMETERS = {
    "namespace": "students",
    "source": "kubelet",
    "floor": "256Mi",
    "ceiling": "1Gi",
    "cpu": "100m",
    "idle_cpu": "20m",
    "idle_s": 300,
}
TEN = datetime(2026, 9, 1, 10, tzinfo=UTC)


def pod(api: Api, name: str, memory: str = "512Mi", cpu: str = "100m", **status: Any) -> None:
    resources = {"requests": {"memory": memory, "cpu": cpu}, "limits": {"memory": "1Gi"}}
    item = {
        "metadata": {"name": name, "labels": {"app.kubernetes.io/component": "singleuser-server"}},
        "spec": {"nodeName": "a", "containers": [{"name": "notebook", "image": "course", "resources": resources}]},
        "status": {"phase": "Running", **status},
    }
    api.put(f"{PODS}/{name}", item)


def told(api: Api, *found: tuple[str, int, float]) -> None:
    """Let the node's kubelet tell memory in MiB and cores, and the API grant every resize."""
    summary = {
        "pods": [
            {
                "podRef": {"namespace": "students", "name": name},
                "memory": {"workingSetBytes": used * MIB},
                "cpu": {"usageNanoCores": int(cores * 1e9)},
            }
            for name, used, cores in found
        ]
    }
    api.answer_next("GET", "/api/v1/nodes/a/proxy/stats/summary", Answer(body=summary))


def grant(api: Api, *names: str) -> None:
    for name in names:
        api.answer_next("PATCH", f"{PODS}/{name}/resize", Answer(body={}))


def run(kube: Kube, check_mode: bool = False, minutes: float = 0, **changed: Any) -> dict[str, Any]:
    return server_resize.run(kube, {**PARAMETERS, **changed}, check_mode, TEN + timedelta(minutes=minutes))


def sent(api: Api) -> list[Request]:
    return [request for request in api.asked if request.method == "PATCH" and "/pods/" in request.path]


def test_an_idle_server_shrinks_and_a_busy_one_grows(kube: Kube, api: Api) -> None:
    pod(api, "idle")
    pod(api, "busy")
    told(api, ("idle", 300, 0.003), ("busy", 700, 0.9))
    grant(api, "idle", "busy")
    assert run(kube, idle_s=0)["resized"] == {
        "busy": {"memory": str(896 * MIB), "cpu": "100m"},
        "idle": {"memory": str(384 * MIB), "cpu": "20m"},
    }
    (body,) = (request.body for request in sent(api) if "/idle/" in request.path)
    assert body
    (container,) = body["spec"]["containers"]
    # A merge patch replaces the list: all else of the container goes along, its limits too.
    assert (container["image"], container["resources"]["limits"]) == ("course", {"memory": "1Gi"})


def test_who_reads_for_a_minute_is_not_idle(kube: Kube, api: Api) -> None:
    pod(api, "a")
    looks = [(0, 0.003), (3, 0.9), (4, 0.003), (8, 0.003)]
    for minutes, cores in looks:
        told(api, ("a", 300, cores))
        assert run(kube, minutes=minutes)["resized"] == {}
    # Five minutes after the last computing that was seen.
    told(api, ("a", 300, 0.003))
    grant(api, "a")
    assert run(kube, minutes=9)["resized"] == {"a": {"memory": str(384 * MIB), "cpu": "20m"}}


def test_a_new_server_of_an_idle_student_is_not_idle(kube: Kube, api: Api) -> None:
    pod(api, "a")
    told(api, ("a", 300, 0.003))
    run(kube)
    api.objects[f"{PODS}/a"]["metadata"]["uid"] = "another"
    told(api, ("a", 300, 0.003))
    assert run(kube, minutes=9)["resized"] == {}


def test_a_silent_node_is_told_and_only_silent_ones_are_a_failure(kube: Kube, api: Api) -> None:
    pod(api, "a")
    pod(api, "b")
    api.objects[f"{PODS}/b"]["spec"]["nodeName"] = "b"
    told(api, ("a", 700, 0.9))
    silent = refused(503, "the kubelet is away")
    api.answer_next("GET", "/api/v1/nodes/b/proxy/stats/summary", silent)
    grant(api, "a")
    result = run(kube)
    assert (list(result["resized"]), result["silent"]) == (["a"], {"b": "the kubelet is away"})
    for node in ("a", "b"):
        api.answer_next("GET", f"/api/v1/nodes/{node}/proxy/stats/summary", silent)
    with pytest.raises(CoursehubError, match="none of 2 nodes tells what its servers use"):
        run(kube)


def test_a_check_without_a_server_asks_the_nodes(kube: Kube, api: Api) -> None:
    for node in ("a", "b"):
        api.put(f"/api/v1/nodes/{node}", {"metadata": {"name": node}})
    # The schedule, whose account may see no nodes, has nothing to do.
    assert run(kube)["changed"] is False
    assert not any("/nodes" in request.path for request in api.asked)
    silent = refused(403, "may not")
    api.answer_next("GET", "/api/v1/nodes/b/proxy/stats/summary", silent)
    told(api)
    assert run(kube, check_mode=True)["silent"] == {"b": "may not"}
    for node in ("a", "b"):
        api.answer_next("GET", f"/api/v1/nodes/{node}/proxy/stats/summary", silent)
    with pytest.raises(CoursehubError, match="none of 2 nodes tells what its servers use, a says: may not"):
        run(kube, check_mode=True)


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({}, []),
        ({"phase": "Pending"}, [("a", 700, 0.9)]),
        ({"conditions": [{"type": "PodResizeInProgress", "status": "True"}]}, [("a", 700, 0.9)]),
        # As it should be already.
        ({}, [("a", 400, 0.9)]),
    ],
)
def test_what_is_not_known_or_not_done_or_well_is_left_alone(
    kube: Kube, api: Api, status: dict[str, Any], found: list[tuple[str, int, float]]
) -> None:
    pod(api, "a", **status)
    told(api, *found)
    assert run(kube)["changed"] is False
    assert not sent(api)


def test_never_above_the_limit_nor_below_what_is_in_use(kube: Kube, api: Api) -> None:
    pod(api, "a")
    told(api, ("a", 1010, 0.9))
    grant(api, "a")
    assert run(kube)["resized"]["a"]["memory"] == str(1024 * MIB)


def test_one_that_is_refused_is_told_and_the_others_are_done(kube: Kube, api: Api) -> None:
    pod(api, "a")
    pod(api, "b")
    told(api, ("a", 700, 0.9), ("b", 700, 0.9))
    api.answer_next("PATCH", f"{PODS}/a/resize", refused(422, "not now"))
    grant(api, "b")
    result = run(kube)
    assert list(result["resized"]) == ["b"]
    assert result["failed"] == {"a": "not now"}


def test_check_mode_tells_and_changes_nothing(kube: Kube, api: Api) -> None:
    pod(api, "a")
    told(api, ("a", 700, 0.9))
    assert run(kube, check_mode=True)["changed"] is True
    assert not sent(api)


METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/students/pods"


def test_the_metrics_api_tells_the_same(kube: Kube, api: Api) -> None:
    pod(api, "idle")
    pod(api, "busy")
    pod(api, "unknown")
    usage = {"idle": ("300Mi", "3m"), "busy": (f"{700 * 1024}Ki", "900000000n")}
    items = [
        {"metadata": {"name": name}, "containers": [{"name": "notebook", "usage": {"memory": memory, "cpu": cpu}}]}
        for name, (memory, cpu) in usage.items()
    ]
    # One that it knows nothing of yet.
    api.answer_next(
        "GET", METRICS, Answer(body={"items": [*items, {"metadata": {"name": "unknown"}, "containers": []}]})
    )
    grant(api, "idle", "busy")
    assert run(kube, idle_s=0, source="metrics")["resized"] == {
        "busy": {"memory": str(896 * MIB), "cpu": "100m"},
        "idle": {"memory": str(384 * MIB), "cpu": "20m"},
    }
    (asked,) = [request for request in api.asked if request.path == METRICS]
    assert asked.query == {"labelSelector": "app.kubernetes.io/component=singleuser-server"}
    assert not any("/nodes" in request.path for request in api.asked)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, "the cluster has no metrics API: install metrics-server, or set the source"),
        (503, "the metrics API does not tell what servers use: it says so"),
    ],
)
def test_without_metrics_nothing_is_changed(kube: Kube, api: Api, status: int, sentence: str) -> None:
    pod(api, "a")
    api.answer_next("GET", METRICS, refused(status, "it says so"))
    with pytest.raises(CoursehubError, match=sentence):
        run(kube, source="metrics")
    assert not sent(api)


def test_what_all_use_is_kept_for_samples(kube: Kube, api: Api) -> None:
    pod(api, "a", memory="896Mi")
    # A pod that is no student's is none of theirs.
    told(api, ("a", 700, 0.9), ("export", 999, 0.9))
    run(kube)
    assert api.objects["/api/v1/namespaces/students/configmaps/resize"]["data"]["used_mib"] == "700"


def test_bounds_that_are_none(kube: Kube) -> None:
    with pytest.raises(CoursehubError, match="exchange them"):
        run(kube, floor="2Gi")


@pytest.mark.parametrize("quiet", ["", "{", "[]", '{"/api/v1/namespaces/students/pods/a": "noon"}', '{"a": 1}'])
def test_what_of_the_last_run_cant_be_read_is_absent(kube: Kube, api: Api, quiet: str) -> None:
    pod(api, "a")
    api.put("/api/v1/namespaces/students/configmaps/resize", {"metadata": {"name": "resize"}, "data": {"quiet": quiet}})
    told(api, ("a", 300, 0.003))
    assert run(kube)["resized"] == {}
    # Idle since then.
    told(api, ("a", 300, 0.003))
    grant(api, "a")
    assert list(run(kube, minutes=5)["resized"]) == ["a"]
