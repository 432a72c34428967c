# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to apply, what to remove and what is ready: decisions about manifests, without I/O."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]
Identity = tuple[str, str, str, str]

MANAGED_BY = {"app.kubernetes.io/managed-by": "coursehub"}
PART_LABEL = "coursehub.jupyterhub/part"

# What is applied before what; all other kinds come between.
_FIRST = ("CustomResourceDefinition", "Namespace", "ServiceAccount", "Secret", "ConfigMap")
_LAST = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")

# The kinds that a role may remove when it no longer declares them. Disks, snapshots, namespaces and
# definitions are not among them and never will be: to delete one of those deletes students' files.
PRUNABLE = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("karpenter.sh/v1", "NodePool"),
    ("karpenter.kwok.sh/v1alpha1", "KWOKNodeClass"),
    ("autoscaling.x-k8s.io/v1beta1", "CapacityBuffer"),
    ("v1", "PodTemplate"),
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("storage.k8s.io/v1", "CSIDriver"),
)

_SERVER_FIELDS = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")
# What the scheduler and the controllers of volumes and snapshots write on an object; a new one gets its own.
_CONTROLLERS_ANNOTATIONS = (
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "volume.beta.kubernetes.io/",
    "snapshot.storage.kubernetes.io/",
)


WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
WAITED_FOR = (*WORKLOADS, "CustomResourceDefinition", "VolumeSnapshot")


def identity(item: Object) -> Identity:
    """Return (apiVersion, kind, namespace, name)."""
    metadata = item["metadata"]
    return item["apiVersion"], item["kind"], metadata.get("namespace") or "", metadata["name"]


def describe(item: Object) -> str:
    """Return how a person would name an object: ``Deployment coursehub/hub``."""
    _version, kind, namespace, name = identity(item)
    return f"{kind} {namespace + '/' if namespace else ''}{name}"


def prepare(items: Iterable[Object], part: str) -> list[Object]:
    """Label the objects as ours and put them in the order of application.

    Raises CoursehubError for something that is no object, or two of one name.
    """
    labelled: dict[Identity, Object] = {}
    for number, item in enumerate(items, 1):
        try:
            key = identity(item)
        except (AttributeError, KeyError, TypeError) as error:
            raise CoursehubError(f"manifest {number} has no apiVersion, kind or metadata.name") from error
        if key in labelled:
            raise CoursehubError(f"{describe(item)} is declared twice")
        fresh = copy.deepcopy(item)
        labels = fresh["metadata"].setdefault("labels", {})
        # A namespace belongs to all parts in it, and is never pruned.
        labels.update(MANAGED_BY if fresh["kind"] == "Namespace" else {**MANAGED_BY, PART_LABEL: part})
        labelled[key] = fresh
    return sorted(labelled.values(), key=lambda item: _rank(item["kind"]))


def _rank(kind: str) -> int:
    if kind in _FIRST:
        return _FIRST.index(kind)
    return len(_FIRST) + (1 if kind in _LAST else 0)


def selector(part: str) -> str:
    """Return the label selector of all that a part owns."""
    return ",".join(f"{key}={value}" for key, value in {**MANAGED_BY, PART_LABEL: part}.items())


def to_prune(declared: Sequence[Object], live: Iterable[Object]) -> list[Object]:
    """Return the owned objects that are no longer declared, workloads first.

    Never one of a kind that is not prunable, nor one that something else owns: those go
    with their owner.
    """
    kept = {identity(item) for item in declared}
    return [
        item
        for item in live
        if identity(item) not in kept
        and (item["apiVersion"], item["kind"]) in PRUNABLE
        and not item["metadata"].get("ownerReferences")
    ]


def never_smaller(item: Object, live: Object | None) -> Object:
    """Return a claim with the size that it has where that is more than is asked for; any other object as it is.

    A disk can't shrink. One that someone has grown, since it was full, must not fail each run from then on.
    """
    if item["kind"] != "PersistentVolumeClaim" or live is None:
        return item
    sizes = [one["spec"].get("resources", {}).get("requests", {}).get("storage", "0") for one in (item, live)]
    largest = max(sizes, key=parse_quantity)
    resources = {**item["spec"].get("resources", {}), "requests": {"storage": largest}}
    return {**item, "spec": {**item["spec"], "resources": resources}}


def comparable(item: Object | None) -> Object:
    """Return an object without what the server writes."""
    if item is None:
        return {}
    result = {key: value for key, value in item.items() if key != "status"}
    result["metadata"] = {key: value for key, value in item["metadata"].items() if key not in _SERVER_FIELDS}
    return result


def lasting_annotations(item: Object) -> dict[str, str]:
    """Return an object's annotations without those that its controllers write."""
    annotations = item["metadata"].get("annotations") or {}
    return {key: value for key, value in annotations.items() if not key.startswith(_CONTROLLERS_ANNOTATIONS)}


def again(item: Object) -> Object:
    """Return a live object as it can be applied again: without what the server and the controllers write."""
    result = comparable(item)
    annotations = result["metadata"].pop("annotations", None) or {}
    kept = {key: value for key, value in annotations.items() if not key.startswith("deployment.kubernetes.io/")}
    if kept:
        result["metadata"]["annotations"] = kept
    return result


def shown(item: Object | None) -> Object:
    """Return an object as a diff may show it: a Secret without its values."""
    result = comparable(item)
    if result.get("kind") == "Secret":
        for field in ("data", "stringData"):
            if field in result:
                result[field] = dict.fromkeys(result[field], "<not shown>")
    return result


def not_ready(item: Object) -> str:
    """Return why a workload is not rolled out, or an empty string."""
    kind = item["kind"]
    spec, status = item.get("spec", {}), item.get("status", {})
    if kind == "CustomResourceDefinition":
        met = {c["type"] for c in status.get("conditions") or [] if c["status"] == "True"}
        return "" if "Established" in met else "not established"
    if kind == "VolumeSnapshot":
        error = (status.get("error") or {}).get("message", "its controller says nothing about it")
        return "" if status.get("readyToUse") else f"not ready: {error}"
    if kind not in WORKLOADS:
        return ""
    if status.get("observedGeneration", 0) < item["metadata"].get("generation", 0):
        return "not seen by its controller yet"
    if kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        updated, ready = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    else:
        wanted = spec.get("replicas", 1)
        updated = status.get("updatedReplicas", 0)
        ready = status.get("availableReplicas", 0) if kind == "Deployment" else status.get("readyReplicas", 0)
        if status.get("replicas", 0) > wanted:
            return f"{status['replicas'] - wanted} old pods are still there"
    if updated < wanted:
        return f"{updated} of {wanted} pods are of the new version"
    if ready < wanted:
        return f"{ready} of {wanted} pods are ready"
    return ""


def pod_trouble(pod: Object) -> str:
    """Return what keeps a pod from being ready, as the API tells it, or an empty string."""
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        for state in ("waiting", "terminated"):
            detail = container.get("state", {}).get(state)
            if detail and detail.get("reason") not in ("Completed", "PodInitializing", "ContainerCreating"):
                last = container.get("lastState", {}).get("terminated", {})
                more = detail.get("message") or last.get("message") or ""
                code = detail.get("exitCode", last.get("exitCode"))
                return f"{container['name']}: {detail.get('reason')} {more}".strip() + (
                    f" (exit code {code})" if code else ""
                )
    for condition in status.get("conditions") or []:
        if condition["status"] == "False" and condition["type"] in ("PodScheduled", "Ready"):
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""
