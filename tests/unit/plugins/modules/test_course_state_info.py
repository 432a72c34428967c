from __future__ import annotations

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _manifests
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.course_state_info import run

from tests.unit.plugins.api import Api
from tests.unit.plugins.modules.clusters import NAMESPACES, Lost


def test_all_that_another_cluster_would_need_is_told(api: Api, kube: Kube) -> None:
    Lost(api, kube)
    api.asked.clear()
    result = run(kube, NAMESPACES)
    assert {request.method for request in api.asked} == {"GET"}
    state = result["state"]
    assert (result["changed"], result["skipped"]) == (False, [])
    assert (state["version"], state["namespaces"]) == (1, NAMESPACES)
    assert [one["claim"]["metadata"]["name"] for one in state["disks"]] == ["hub-database", "disk-ann", "disk-bob"]
    assert {one["volume"]["spec"]["csi"]["volumeHandle"] for one in state["disks"]} == {
        "handle-pvc-hub",
        "handle-pvc-ann",
        "handle-pvc-bob",
    }
    assert len(state["snapshots"]) == 2
    assert [(one["metadata"]["name"], sorted(one["data"])) for one in state["secrets"]] == [
        ("hub", ["cookie-secret"]),
        ("proxy", ["api-password"]),
    ]


def test_a_secret_of_someone_else_is_not_ours_to_take_away(api: Api, kube: Kube) -> None:
    Lost(api, kube)
    api.put("/api/v1/namespaces/hub/secrets/theirs", {"metadata": {"name": "theirs", "namespace": "hub"}, "data": {}})
    assert "theirs" not in str(run(kube, NAMESPACES)["state"])
    # A control: with the label it is.
    labels = dict(_manifests.MANAGED_BY)
    mine = {"metadata": {"name": "mine", "namespace": "hub", "labels": labels}, "data": {}}
    api.put("/api/v1/namespaces/hub/secrets/mine", mine)
    assert "mine" in str(run(kube, NAMESPACES)["state"])


def test_a_disk_that_is_not_bound_is_named(api: Api, kube: Kube) -> None:
    lost = Lost(api, kube)
    lost.claim("ann")["status"] = {"phase": "Pending"}
    result = run(kube, NAMESPACES)
    assert result["skipped"] == ["PersistentVolumeClaim students/disk-ann: it is pending"]
    assert len(result["state"]["disks"]) == 2


def test_the_wrong_cluster_does_not_look_like_a_course_without_students(api: Api, kube: Kube) -> None:
    Lost(api, kube)
    with pytest.raises(CoursehubError, match="there is no namespace pupils: is it the right cluster"):
        run(kube, ["hub", "pupils"])
