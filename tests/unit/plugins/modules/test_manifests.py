from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _manifests
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import manifests

from tests.unit.plugins.api import Answer, Api, refused

Object = dict[str, Any]
CONFIG_MAPS = "/api/v1/namespaces/ns/configmaps"
DEPLOYMENT = "/apis/apps/v1/namespaces/ns/deployments/hub"


def config_map(name: str = "values", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ns"}, "data": data}


def deployment() -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "hub", "namespace": "ns"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "hub"}}},
    }


def parameters(*objects: Object, **more: Any) -> dict[str, Any]:
    return {"part": "hub", "objects": list(objects), "prune": True, "wait": True, "wait_timeout": 0, **more}


def test_what_is_new_is_applied_and_the_second_run_changes_nothing(kube: Kube, api: Api) -> None:
    first = manifests.run(kube, parameters(config_map(key="a")), False)
    assert first["applied"] == ["ConfigMap ns/values"]
    assert first["changed"]
    assert api.objects[f"{CONFIG_MAPS}/values"]["metadata"]["labels"]["coursehub.jupyterhub/part"] == "hub"
    second = manifests.run(kube, parameters(config_map(key="a")), False)
    assert not second["changed"]
    assert second["diff"] == {"before": {"objects": []}, "after": {"objects": []}}


def test_what_differs_is_shown_before_and_after(kube: Kube) -> None:
    manifests.run(kube, parameters(config_map(key="a")), False)
    result = manifests.run(kube, parameters(config_map(key="b")), False)
    assert [side["objects"][0]["data"] for side in result["diff"].values()] == [{"key": "a"}, {"key": "b"}]


def test_a_dry_run_asks_the_server_and_changes_nothing(kube: Kube, api: Api) -> None:
    manifests.run(kube, parameters(config_map("old"), config_map(key="a")), False)
    before = dict(api.objects)
    result = manifests.run(kube, parameters(config_map(key="b")), True)
    assert (result["applied"], result["removed"]) == (["ConfigMap ns/values"], ["ConfigMap ns/old"])
    assert api.asked[-1].method != "DELETE"
    assert {request.query["dryRun"] for request in api.asked if "dryRun" in request.query} == {"All"}
    assert api.objects == before


def test_a_dry_run_where_the_namespace_does_not_exist_yet(kube: Kube, api: Api) -> None:
    api.answer_next("PATCH", f"{CONFIG_MAPS}/values", refused(404, "namespaces ns not found"))
    assert manifests.run(kube, parameters(config_map()), True)["applied"] == ["ConfigMap ns/values"]


def test_what_the_server_refuses_is_named(kube: Kube, api: Api) -> None:
    api.answer_next("PATCH", f"{CONFIG_MAPS}/values", refused(422, "data.key: Invalid value"))
    with pytest.raises(CoursehubError, match=r"^ConfigMap ns/values was refused: data\.key: Invalid value$"):
        manifests.run(kube, parameters(config_map()), False)


def test_what_is_no_longer_declared_is_removed(kube: Kube, api: Api) -> None:
    manifests.run(kube, parameters(config_map("old"), config_map()), False)
    result = manifests.run(kube, parameters(config_map()), False)
    assert (result["applied"], result["removed"]) == ([], ["ConfigMap ns/old"])
    assert f"{CONFIG_MAPS}/old" not in api.objects


def test_what_another_part_or_person_made_is_left(kube: Kube, api: Api) -> None:
    api.put(f"{CONFIG_MAPS}/by-hand", config_map("by-hand"))
    manifests.run(kube, parameters(config_map("of-the-proxy"), part="proxy"), False)
    disk = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk", "namespace": "ns"}}
    disk["metadata"]["labels"] = {**_manifests.MANAGED_BY, _manifests.PART_LABEL: "hub"}  # type: ignore[index]
    api.put("/api/v1/namespaces/ns/persistentvolumeclaims/disk", disk)
    assert manifests.run(kube, parameters(), False)["removed"] == []
    assert len(api.objects) == 3


def test_nothing_is_removed_without_prune(kube: Kube, api: Api) -> None:
    manifests.run(kube, parameters(config_map("old")), False)
    assert manifests.run(kube, parameters(prune=False), False)["removed"] == []
    assert f"{CONFIG_MAPS}/old" in api.objects


def test_what_is_gone_when_it_is_to_be_removed(kube: Kube, api: Api) -> None:
    manifests.run(kube, parameters(config_map("old")), False)
    api.answer_next("DELETE", f"{CONFIG_MAPS}/old", refused(404, "not found"))
    assert manifests.run(kube, parameters(), False)["removed"] == ["ConfigMap ns/old"]


def test_what_can_not_be_removed_is_named(kube: Kube, api: Api) -> None:
    manifests.run(kube, parameters(config_map("old")), False)
    api.answer_next("DELETE", f"{CONFIG_MAPS}/old", refused(403, "forbidden"))
    with pytest.raises(CoursehubError, match=r"^ConfigMap ns/old can't be removed: forbidden$"):
        manifests.run(kube, parameters(), False)


def test_a_rollout_is_waited_for(kube: Kube, api: Api) -> None:
    rolled_out = {**deployment(), "status": {"updatedReplicas": 1, "availableReplicas": 1}}
    rolled_out["metadata"] = {**rolled_out["metadata"], "uid": "1"}
    collection = DEPLOYMENT.rpartition("/")[0]
    starting = Answer(body={"items": [{**rolled_out, "status": {}}], "metadata": {"resourceVersion": "1"}})
    api.answer_next("GET", collection, starting, Answer(lines=({"type": "MODIFIED", "object": rolled_out},)))
    assert manifests.run(kube, parameters(deployment(), wait_timeout=10), False)["changed"]


def test_a_rollout_that_takes_too_long_is_explained_and_nothing_old_is_removed(kube: Kube, api: Api) -> None:
    manifests.run(kube, parameters(config_map("old")), False)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hub-1", "namespace": "ns", "labels": {"app": "hub"}},
        "status": {"containerStatuses": [{"name": "hub", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
    }
    api.put("/api/v1/namespaces/ns/pods/hub-1", pod)
    with pytest.raises(CoursehubError) as refusal:
        manifests.run(kube, parameters(deployment()), False)
    assert str(refusal.value) == (
        "not rolled out in time: Deployment ns/hub: 0 of 1 pods are of the new version (hub-1 hub: ImagePullBackOff)"
    )
    assert f"{CONFIG_MAPS}/old" in api.objects


def test_a_rollout_is_not_waited_for_where_that_is_not_wanted(kube: Kube) -> None:
    assert manifests.run(kube, parameters(deployment(), wait=False), False)["changed"]
