from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _manifests
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

Object = dict[str, Any]
# All that deletes a student's files when it is deleted.
PRECIOUS = (
    ("v1", "PersistentVolumeClaim"),
    ("v1", "PersistentVolume"),
    ("v1", "Namespace"),
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshot"),
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshotContent"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
)


def item(kind: str, name: str = "a", api_version: str = "v1", namespace: str | None = "ns", **more: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def test_objects_are_labelled_as_ours_and_the_given_ones_stay_as_they_are() -> None:
    given_ = item("ConfigMap")
    (prepared,) = _manifests.prepare([given_], "hub")
    assert prepared["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "coursehub",
        "coursehub.jupyterhub/part": "hub",
    }
    assert "labels" not in given_["metadata"]


def test_a_namespace_belongs_to_no_part() -> None:
    (prepared,) = _manifests.prepare([item("Namespace", namespace=None)], "hub")
    assert prepared["metadata"]["labels"] == _manifests.MANAGED_BY


def test_what_others_need_is_applied_first() -> None:
    kinds = ["Deployment", "Service", "ConfigMap", "Namespace", "CustomResourceDefinition", "Secret", "ServiceAccount"]
    prepared = _manifests.prepare([item(kind) for kind in kinds], "hub")
    assert [one["kind"] for one in prepared] == [
        *("CustomResourceDefinition", "Namespace", "ServiceAccount", "Secret", "ConfigMap", "Service", "Deployment")
    ]


@given(st.permutations([item(kind, name) for kind in ("Deployment", "Service", "Secret") for name in "ab"]))
def test_the_same_objects_are_applied_in_whatever_order_they_are_given(items: list[Object]) -> None:
    prepared = _manifests.prepare(items, "hub")
    assert [one["kind"] for one in prepared] == ["Secret", "Secret", "Service", "Service", "Deployment", "Deployment"]


def test_the_same_object_twice() -> None:
    with pytest.raises(CoursehubError, match=r"^Service ns/a is declared twice$"):
        _manifests.prepare([item("Service"), item("Service")], "hub")


@pytest.mark.parametrize("broken", [{}, {"kind": "Pod"}, {"apiVersion": "v1", "kind": "Pod", "metadata": None}, "text"])
def test_something_that_is_no_object(broken: Any) -> None:
    with pytest.raises(CoursehubError, match=r"^manifest 2 has no apiVersion, kind or metadata\.name$"):
        _manifests.prepare([item("Service"), broken], "hub")


def test_the_selector_names_the_owner_and_the_part() -> None:
    assert _manifests.selector("hub") == "app.kubernetes.io/managed-by=coursehub,coursehub.jupyterhub/part=hub"


def test_only_what_is_no_longer_declared_is_pruned() -> None:
    live = [item("Service", name) for name in "ab"]
    assert _manifests.to_prune([item("Service", "a")], live) == [live[1]]


@pytest.mark.parametrize(("api_version", "kind"), PRECIOUS)
def test_disks_snapshots_namespaces_and_definitions_are_never_pruned(api_version: str, kind: str) -> None:
    assert (api_version, kind) not in _manifests.PRUNABLE
    assert _manifests.to_prune([], [item(kind, api_version=api_version)]) == []


def test_what_something_else_owns_goes_with_its_owner() -> None:
    owned = item("ConfigMap")
    owned["metadata"]["ownerReferences"] = [{"kind": "Deployment"}]
    assert _manifests.to_prune([], [owned]) == []


def test_a_kind_of_the_same_name_in_another_group_is_not_ours_to_prune() -> None:
    assert _manifests.to_prune([], [item("Service", api_version="serving.knative.dev/v1")]) == []


def test_what_the_server_writes_makes_no_difference() -> None:
    before = item("Service", spec={"a": 1})
    after = item("Service", spec={"a": 1}, status={"b": 2})
    after["metadata"].update(resourceVersion="2", generation=3, uid="u", managedFields=[], creationTimestamp="t")
    assert _manifests.comparable(before) == _manifests.comparable(after)
    assert _manifests.comparable(None) == {}


def test_a_diff_shows_no_value_of_a_secret() -> None:
    secret = item("Secret", data={"key": "c2VjcmV0"}, stringData={"other": "secret"})
    assert "secret" not in str(_manifests.shown(secret)).replace("Secret", "").lower()
    assert _manifests.shown(secret)["data"] == {"key": "<not shown>"}
    assert secret["data"] == {"key": "c2VjcmV0"}


def workload(kind: str, replicas: int = 2, generation: int = 1, **status: int) -> Object:
    result = item(kind, api_version="apps/v1", spec={"replicas": replicas}, status={"observedGeneration": 1, **status})
    result["metadata"]["generation"] = generation
    return result


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (workload("Deployment", replicas=2, updatedReplicas=2, availableReplicas=2, generation=2), "not seen by its"),
        (workload("Deployment", updatedReplicas=1, availableReplicas=2), "1 of 2 pods are of the new version"),
        (workload("Deployment", updatedReplicas=2, availableReplicas=1), "1 of 2 pods are ready"),
        (workload("Deployment", replicas=2, updatedReplicas=2, availableReplicas=2) | {}, ""),
        (workload("Deployment", replicas=0), ""),
        (workload("StatefulSet", updatedReplicas=2, readyReplicas=1), "1 of 2 pods are ready"),
        (workload("StatefulSet", updatedReplicas=2, readyReplicas=2), ""),
        (workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=2), "2 of 3 pods"),
        (workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=3), ""),
        (item("Service"), ""),
        (item("CustomResourceDefinition"), "not established"),
        # As the API has it in the first moment.
        (item("CustomResourceDefinition", status={"conditions": None}), "not established"),
        (
            item("CustomResourceDefinition", status={"conditions": [{"type": "Established", "status": "True"}]}),
            "",
        ),
    ],
)
def test_why_a_workload_is_not_rolled_out(one: Object, reason: str) -> None:
    found = _manifests.not_ready(one)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_a_deployment_whose_old_pods_are_still_there_is_not_rolled_out() -> None:
    one = workload("Deployment", updatedReplicas=2, availableReplicas=2, replicas_=0)
    one["status"]["replicas"] = 3
    assert _manifests.not_ready(one) == "1 old pods are still there"


def waiting(reason: str, **more: Any) -> Object:
    return {"status": {"containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason}}, **more}]}}


@pytest.mark.parametrize(
    ("pod", "trouble"),
    [
        ({}, ""),
        (waiting("ContainerCreating"), ""),
        (waiting("ImagePullBackOff"), "main: ImagePullBackOff"),
        (
            waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 137, "message": "out of memory"}}),
            "main: CrashLoopBackOff out of memory (exit code 137)",
        ),
        (
            {"status": {"initContainerStatuses": [{"name": "init", "state": {"terminated": {"reason": "Completed"}}}]}},
            "",
        ),
        (
            {
                "status": {
                    "conditions": [
                        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
                    ]
                }
            },
            "Unschedulable: no room",
        ),
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, ""),
    ],
)
def test_what_keeps_a_pod_from_being_ready(pod: Object, trouble: str) -> None:
    assert _manifests.pod_trouble(pod) == trouble


def claim(size: str) -> Object:
    return item(
        "PersistentVolumeClaim", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    )


@pytest.mark.parametrize(
    ("asked", "live", "size"),
    [("1Gi", "3Gi", "3Gi"), ("3Gi", "1Gi", "3Gi"), ("1024Mi", "1Gi", "1024Mi"), ("2Gi", "900Mi", "2Gi")],
)
def test_a_claim_that_someone_has_grown_keeps_its_size(asked: str, live: str, size: str) -> None:
    result = _manifests.never_smaller(claim(asked), claim(live))
    assert result == claim(size)


def test_what_is_new_or_no_claim_is_as_it_was_declared() -> None:
    assert _manifests.never_smaller(claim("1Gi"), None) == claim("1Gi")
    assert _manifests.never_smaller(item("ConfigMap"), item("ConfigMap")) == item("ConfigMap")
