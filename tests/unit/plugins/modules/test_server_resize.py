"""Servers that ask for what they use."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import server_resize

from tests.unit.plugins.api import Answer, Api, Request, refused

MIB = 1 << 20
PODS = "/api/v1/namespaces/students/pods"
PARAMETERS = {"namespace": "students", "floor": "256Mi", "ceiling": "1Gi", "cpu": "100m", "idle_cpu": "20m"}


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


def run(kube: Kube, check_mode: bool = False) -> dict[str, Any]:
    return server_resize.run(kube, dict(PARAMETERS), check_mode)


def sent(api: Api) -> list[Request]:
    return [request for request in api.asked if request.method == "PATCH"]


def test_an_idle_server_shrinks_and_a_busy_one_grows(kube: Kube, api: Api) -> None:
    pod(api, "idle")
    pod(api, "busy")
    told(api, ("idle", 300, 0.003), ("busy", 700, 0.9))
    grant(api, "idle", "busy")
    assert run(kube)["resized"] == {
        "busy": {"memory": str(896 * MIB), "cpu": "100m"},
        "idle": {"memory": str(320 * MIB), "cpu": "20m"},
    }
    (body,) = (request.body for request in sent(api) if "/idle/" in request.path)
    assert body
    (container,) = body["spec"]["containers"]
    # A merge patch replaces the list: all else of the container goes along, its limits too.
    assert (container["image"], container["resources"]["limits"]) == ("course", {"memory": "1Gi"})


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


def test_bounds_that_are_none(kube: Kube) -> None:
    with pytest.raises(CoursehubError, match="exchange them"):
        server_resize.run(kube, {**PARAMETERS, "floor": "2Gi"}, False)
