# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept of a cluster outside of it, so that another one can serve the same students; without I/O.

The disks and snapshots lie in the storage and outlive a cluster; which of them is whose, and the secrets, do not. A
state holds just that, as objects that another cluster takes as they are. Taken of a cluster that was recovered by it,
it is the same again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _exporter, _manifests, _restore, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

VERSION = 1
PARTS = ("secrets", "disks", "snapshots")

SECRET, CLAIM, VOLUME = ("v1", "Secret"), ("v1", "PersistentVolumeClaim"), ("v1", "PersistentVolume")
SNAPSHOT = (_snapshots.API_VERSION, _snapshots.KIND)
CONTENT = (_snapshots.API_VERSION, "VolumeSnapshotContent")

CONTENT_PREFIX = "recovered-"
# What controllers write when something is made and read when it is removed. A volume that doesn't say who made it is
# never removed by anyone: the one of an archived disk, or the old one after a restore.
_KEPT_ANNOTATIONS = (
    "pv.kubernetes.io/provisioned-by",
    "volume.kubernetes.io/provisioner-deletion-secret-name",
    "volume.kubernetes.io/provisioner-deletion-secret-namespace",
    "snapshot.storage.kubernetes.io/deletion-secret-name",
    "snapshot.storage.kubernetes.io/deletion-secret-namespace",
)
_CLAIM_FIELDS = ("accessModes", "storageClassName", "volumeMode", "volumeAttributesClassName", "resources")
_VOLUME_FIELDS = (
    "accessModes",
    "capacity",
    "csi",
    "mountOptions",
    "nodeAffinity",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
)
_CONTENT_FIELDS = ("driver", "deletionPolicy", "sourceVolumeMode", "volumeSnapshotClassName")


@dataclass(frozen=True)
class Found:
    """What a cluster has of all that a state is taken from, as the API lists it."""

    secrets: Iterable[Object]
    claims: Iterable[Object]
    volumes: Iterable[Object]
    snapshots: Iterable[Object]
    contents: Iterable[Object]


def take(found: Found, namespaces: Iterable[str], moment: str) -> tuple[Object, list[str]]:
    """Return the state, and one sentence for each thing that can't be in it: what isn't whole can't be recovered."""
    skipped: list[str] = []
    volumes = {item["metadata"]["name"]: item for item in found.volumes}
    contents = {item["metadata"]["name"]: item for item in found.contents}
    disks, snapshots = [], []
    for claim in sorted(found.claims, key=_place):
        # A scratch disk is a copy that goes by itself; what the exporter knows, Drive knows too.
        if {_restore.SCRATCH_LABEL, _exporter.CLAIM_LABEL} & set(claim["metadata"].get("labels") or {}):
            continue
        volume = volumes.get(claim["spec"].get("volumeName") or "")
        reason = _lacks_volume(claim, volume)
        if reason or volume is None:
            skipped.append(f"{_manifests.describe(claim)}: {reason}")
        else:
            disks.append({"claim": claim_manifest(claim), "volume": volume_manifest(volume, claim)})
    for snapshot in sorted(found.snapshots, key=_place):
        status = snapshot.get("status") or {}
        content = contents.get(status.get("boundVolumeSnapshotContentName") or "")
        if not status.get("readyToUse") or content is None or not handle_of(content):
            skipped.append(f"{_manifests.describe(snapshot)}: it is not ready")
        elif not snapshot["metadata"].get("deletionTimestamp"):
            snapshots.append({"snapshot": snapshot_manifest(snapshot), "content": content_manifest(content, snapshot)})
    state = {
        "version": VERSION,
        "taken_at": moment,
        "namespaces": list(namespaces),
        "secrets": [secret_manifest(item) for item in sorted(found.secrets, key=_place)],
        "disks": disks,
        "snapshots": snapshots,
    }
    return state, skipped


def _lacks_volume(claim: Object, volume: Object | None) -> str:
    phase = claim.get("status", {}).get("phase", "Pending")
    if claim["metadata"].get("deletionTimestamp"):
        return "it is being removed"
    if phase != "Bound":
        return f"it is {phase.lower()}"
    if volume is None:
        return "its volume is gone"
    return "" if "csi" in volume["spec"] else "its volume is of no CSI driver"


def _place(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def secret_manifest(item: Object) -> Object:
    """Return a Secret as another cluster takes it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(item),
        "type": item.get("type", "Opaque"),
        "data": dict(item.get("data") or {}),
    }


def claim_manifest(claim: Object) -> Object:
    """Return a claim as another cluster takes it: on the volume that it has."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(claim),
        "spec": {**_fields(claim["spec"], _CLAIM_FIELDS), "volumeName": claim["spec"]["volumeName"]},
    }


def volume_manifest(volume: Object, claim: Object) -> Object:
    """Return a volume as another cluster takes it: held for its claim, and kept whatever becomes of that."""
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **_name(claim)}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": _metadata(volume),
        "spec": {
            **_fields(volume["spec"], _VOLUME_FIELDS),
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": reference,
        },
    }


def snapshot_manifest(snapshot: Object) -> Object:
    """Return a snapshot as another cluster takes it: one that the storage has already."""
    metadata = _metadata(snapshot)
    notes = {
        _snapshots.CLAIM_ANNOTATION: _snapshots.claim_of(snapshot),
        _snapshots.TAKEN_ANNOTATION: _snapshots.taken_at(snapshot),
    }
    return {
        "apiVersion": _snapshots.API_VERSION,
        "kind": _snapshots.KIND,
        "metadata": {**metadata, "annotations": {**metadata["annotations"], **notes}},
        "spec": {
            **_fields(snapshot["spec"], ("volumeSnapshotClassName",)),
            "source": {"volumeSnapshotContentName": content_name(snapshot)},
        },
    }


def content_manifest(content: Object, snapshot: Object) -> Object:
    """Return a snapshot's content as another cluster takes it: by the handle that the storage knows it by."""
    reference = {"apiVersion": _snapshots.API_VERSION, "kind": _snapshots.KIND, **_name(snapshot)}
    return {
        "apiVersion": _snapshots.API_VERSION,
        "kind": "VolumeSnapshotContent",
        "metadata": {**_metadata(content), "name": content_name(snapshot)},
        "spec": {
            **_fields(content["spec"], _CONTENT_FIELDS),
            "source": {"snapshotHandle": handle_of(content)},
            "volumeSnapshotRef": reference,
        },
    }


def content_name(snapshot: Object) -> str:
    """Return the name that a snapshot's content has in another cluster. Contents are in no namespace."""
    return f"{CONTENT_PREFIX}{snapshot['metadata']['namespace']}-{snapshot['metadata']['name']}"


def handle_of(content: Object) -> str:
    """Return by what the storage knows a snapshot, an empty string while it doesn't."""
    source = content["spec"].get("source", {})
    return (content.get("status") or {}).get("snapshotHandle") or source.get("snapshotHandle") or ""


def disk_of(volume: Object) -> tuple[str, str]:
    """Return by what the storage knows a volume: driver and handle; empty strings for one of no CSI driver."""
    csi = volume["spec"].get("csi") or {}
    return csi.get("driver", ""), csi.get("volumeHandle", "")


def _metadata(item: Object) -> Object:
    annotations = item["metadata"].get("annotations") or {}
    return {
        **_name(item),
        "labels": dict(item["metadata"].get("labels") or {}),
        "annotations": {**_manifests.lasting_annotations(item), **_fields(annotations, _KEPT_ANNOTATIONS)},
    }


def _name(item: Object) -> Object:
    return _fields(item["metadata"], ("name", "namespace"))


def _fields(item: Mapping[str, Any], names: Iterable[str]) -> Object:
    return {name: item[name] for name in names if item.get(name) is not None}


def opened(text: str) -> Object:
    """Return the state that a text is. Raises CoursehubError for one that is none, or of another version."""
    try:
        state = json.loads(text)
        version = state["version"]
        if version == VERSION:
            whole = all(isinstance(state[part], list) for part in (*PARTS, "namespaces"))
            if not whole or not isinstance(state["taken_at"], str):
                raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise CoursehubError("it is damaged: what is in it is no state of a cluster") from error
    if version != VERSION:
        raise CoursehubError(
            f"it is of version {version}, and this collection reads version {VERSION}: use the collection that wrote it"
        )
    return dict(state)
