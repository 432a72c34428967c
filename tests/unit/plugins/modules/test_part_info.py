from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _manifests
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import manifests, part_info

from tests.unit.plugins.api import Api

Object = dict[str, Any]
DEPLOYMENTS = "/apis/apps/v1/namespaces/coursehub/deployments"


def item(kind: str, name: str, api_version: str = "v1", **more: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "coursehub"}, **more}


def run(kube: Kube, *objects: Object) -> Object:
    parameters = {"part": "hub", "objects": list(objects), "wait": False, "prune": True}
    return manifests.run(kube, parameters, check_mode=False)


@pytest.fixture
def old() -> list[Object]:
    config = item("ConfigMap", "hub", data={"values.json": "{}"})
    hub = item("Deployment", "hub", "apps/v1", spec={"replicas": 1, "image": "hub:1"})
    return [config, hub]


def test_what_was_there_can_be_had_again(kube: Kube, api: Api, old: list[Object]) -> None:
    run(kube, *old)
    controlled = api.objects[f"{DEPLOYMENTS}/hub"]
    controlled["status"] = {"replicas": 1}
    controlled["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "3", "kept": "yes"}
    before = part_info.objects(kube, "hub")
    assert [_manifests.describe(one) for one in before] == ["Deployment coursehub/hub", "ConfigMap coursehub/hub"]
    assert "status" not in before[0]
    assert before[0]["metadata"]["annotations"] == {"kept": "yes"}
    assert not set(before[0]["metadata"]) & {"uid", "resourceVersion", "managedFields"}

    new = copy.deepcopy(old)
    new[1]["spec"]["image"] = "hub:2"
    run(kube, *new, item("Service", "hub"))
    done = run(kube, *before)
    assert done["removed"] == ["Service coursehub/hub"]
    assert api.objects[f"{DEPLOYMENTS}/hub"]["spec"]["image"] == "hub:1"


def test_other_parts_secrets_and_what_controllers_made_are_left_out(kube: Kube, api: Api, old: list[Object]) -> None:
    run(kube, *old)
    labels = dict(api.objects[f"{DEPLOYMENTS}/hub"]["metadata"]["labels"])
    made = item("ConfigMap", "made")
    made["metadata"].update(labels=labels, ownerReferences=[{"name": "hub"}])
    api.put("/api/v1/namespaces/coursehub/configmaps/made", made)
    secret = item("Secret", "hub", data={"password": "c2VjcmV0"})
    secret["metadata"]["labels"] = labels
    api.put("/api/v1/namespaces/coursehub/secrets/hub", secret)
    assert part_info.objects(kube, "proxy") == []
    assert {one["metadata"]["name"] for one in part_info.objects(kube, "hub")} == {"hub"}
    assert "Secret" not in {one["kind"] for one in part_info.objects(kube, "hub")}
