# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A disk put back from a snapshot, in place: which step comes next; without I/O.

The disk is swapped, not copied: a new volume is made from the snapshot under a claim of its own, then the student's
claim is made anew on that volume. What is to be done is written on the new claim and on the new volume before anything
of the old is touched, so a run that was killed at any step is finished by the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import (
    LAST_START_ANNOTATION,
    RESTORED_ANNOTATION,
    RESTORED_AT_ANNOTATION,
    RESTORED_START_ANNOTATION,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import (
    MANAGED_BY,
    lasting_annotations,
)

Object = dict[str, Any]

# On the new claim and the new volume: the claim, as it is to be made anew, and where its files come from.
JOURNAL_ANNOTATION = "coursehub.jupyterhub/restore"
# On the new claim alone, to find it by.
RESTORING_LABEL = "coursehub.jupyterhub/restoring"
PREFIX = "restore-"
# On a claim that lives only as long as something is read from it.
SCRATCH_LABEL = "coursehub.jupyterhub/scratch"
SCRATCH_PREFIX = "scratch-"

SELECTED_NODE = "volume.kubernetes.io/selected-node"


@dataclass(frozen=True)
class Journal:
    """What a restore is to do: the claim as it will be, the snapshot, the safety snapshot, the volume that goes."""

    claim: Object
    snapshot: str
    safety: str
    old_volume: str

    def text(self) -> str:
        """Return the journal as an annotation holds it."""
        return json.dumps(vars(self), sort_keys=True)


def journal_of(item: Object | None) -> Journal | None:
    """Return the journal that a claim or a volume carries. Raises ValueError or TypeError for one that is damaged."""
    text = ((item or {}).get("metadata", {}).get("annotations") or {}).get(JOURNAL_ANNOTATION)
    return Journal(**json.loads(text)) if text else None


def claims_away(temporary: Iterable[Object], present: Iterable[Object]) -> list[Object]:
    """Return the students' claims, as they will be, that an interrupted restore has removed and not yet made anew."""
    names = {one["metadata"]["name"] for one in present}
    journals = [journal for one in temporary if (journal := journal_of(one)) is not None]
    return [journal.claim for journal in journals if journal.claim["metadata"]["name"] not in names]


def temporary_name(claim: str) -> str:
    """Return the name of the claim under which the new volume is made."""
    return f"{PREFIX}{claim}"


@dataclass(frozen=True)
class View:
    """What is there. Each is as the API has it, None where it is absent.

    ``claim`` is the student's, ``temporary`` the one that the new volume is made under, ``fresh`` the new volume,
    ``old`` the volume that goes.
    """

    claim: Object | None
    temporary: Object | None
    fresh: Object | None
    old: Object | None


def fresh_volume_name(claim: Object | None, temporary: Object | None) -> str:
    """Return the name that the new volume has if there is one: at every step one of both claims is on it."""
    return (temporary or claim or {}).get("spec", {}).get("volumeName") or ""


def next_step(view: View) -> str:
    """Return what is to be done next for a restore that has begun, and ``done`` where nothing is.

    The order is the safety of it: the old claim goes when the new volume is there and knows what it is for, and the
    old volume when the student's claim has the new one. From before the old claim goes until the end there is always a
    claim that says that a restore is on its way, so that the hub starts no server on an empty disk meanwhile.
    """
    if view.fresh is None:
        return "await volume" if view.temporary is not None else "done"
    fresh = view.fresh["metadata"]["name"]
    journal = journal_of(view.fresh)
    if journal is None:
        return "write journal" if journal_of(view.temporary) else "done"
    if view.claim is None:
        return "make claim"
    volume = view.claim["spec"].get("volumeName")
    if volume != fresh:
        if volume != journal.old_volume:
            return "refuse"
        return "remove claim" if journal_of(view.claim) else "mark claim"
    if view.temporary is not None:
        return "remove temporary claim"
    if (view.fresh["spec"].get("claimRef") or {}).get("uid") != view.claim["metadata"]["uid"]:
        return "give volume to claim"
    if view.claim.get("status", {}).get("phase") != "Bound":
        return "await claim"
    if view.old is not None and not _going(view.old):
        return "remove old volume"
    return "clear journal"


def _going(volume: Object) -> bool:
    return "deletionTimestamp" in volume["metadata"] or volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"


def claim_again(claim: Object, volume_size: str, snapshot: str, moment: str) -> Object:
    """Return the student's claim as it is to be made anew, but for the volume's name."""
    metadata = claim["metadata"]
    annotations = lasting_annotations(claim)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": dict(metadata.get("labels") or {}),
            "annotations": {
                **annotations,
                RESTORED_ANNOTATION: snapshot,
                RESTORED_AT_ANNOTATION: moment,
                RESTORED_START_ANNOTATION: annotations.get(LAST_START_ANNOTATION, ""),
            },
        },
        "spec": {
            "accessModes": list(claim["spec"]["accessModes"]),
            "storageClassName": claim["spec"].get("storageClassName"),
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
            "resources": {"requests": {"storage": volume_size}},
        },
    }


def temporary_claim(journal: Journal, node: str) -> Object:
    """Return the claim that the new volume is made under, on a node that it can be used on.

    The node is named as the scheduler would: a class that waits for a first consumer makes the volume then.
    """
    item = _from_snapshot(journal.claim, temporary_name(journal.claim["metadata"]["name"]), journal.snapshot, node)
    item["metadata"]["annotations"][JOURNAL_ANNOTATION] = journal.text()
    item["metadata"]["labels"][RESTORING_LABEL] = "true"
    return item


def scratch_name(claim: str) -> str:
    """Return the name of the claim of a student's scratch disk: one at a time."""
    return f"{SCRATCH_PREFIX}{claim}"


def scratch_claim(claim: Object, volume_size: str, snapshot: str, node: str) -> Object:
    """Return the claim of a scratch disk, made from a snapshot of a student's."""
    item = copy_of(claim, scratch_name(claim["metadata"]["name"]), volume_size, snapshot, node)
    item["metadata"]["labels"][SCRATCH_LABEL] = "true"
    return item


def source_of(claim: Object) -> str:
    """Return the snapshot that a claim's volume is made from, an empty string where it is from none."""
    return str((claim["spec"].get("dataSource") or {}).get("name", ""))


def copy_of(claim: Object, new_name: str, volume_size: str, snapshot: str, node: str) -> Object:
    """Return a claim of its own, like a student's, on a new volume from a snapshot."""
    return _from_snapshot(claim_again(claim, volume_size, snapshot, ""), new_name, snapshot, node)


def _from_snapshot(wanted: Object, new_name: str, snapshot: str, node: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": new_name,
            "namespace": wanted["metadata"]["namespace"],
            "labels": dict(MANAGED_BY),
            "annotations": {SELECTED_NODE: node},
        },
        "spec": {
            **wanted["spec"],
            "dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": snapshot},
        },
    }


def choose_node(nodes: Iterable[Object], volume: Object | None) -> str:
    """Return a node that is ready and that the volume can be used on; an empty string where there is none."""
    terms = (volume or {}).get("spec", {}).get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms")
    for node in sorted(nodes, key=lambda one: str(one["metadata"]["name"])):
        conditions = node.get("status", {}).get("conditions", [])
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        fits = terms is None or any(_matches(node, term) for term in terms)
        if ready and fits and not node["spec"].get("unschedulable"):
            return str(node["metadata"]["name"])
    return ""


def _matches(node: Object, term: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    # The only operator that drivers' volumes have.
    return all(
        one["operator"] == "In" and labels.get(one["key"]) in one["values"] for one in term.get("matchExpressions", [])
    )
