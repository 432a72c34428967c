# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""New disks for what comes back from Google Drive; without I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _names, _restore
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import Disk
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import MANAGED_BY

Object = dict[str, Any]

# On a disk that was made for an import: whose, and when its export was taken, empty until all of it is there.
ANNOTATION = "coursehub.jupyterhub/drive-import"


@dataclass
class Outcome:
    """What was done, or would be, for one student."""

    student: str
    disk: str
    taken: str = ""
    files: int = 0
    bytes: int = 0
    changed: bool = True
    problems: list[str] = field(default_factory=list)
    problems_count: int = 0
    failed: str = ""


def new_name(prefix: str, student: str) -> str:
    """Return the name of the claim that a student's export comes back onto."""
    return f"{prefix}-{_names.claim_name(student)}"


def claim(student: str, prefix: str, namespace: str, like: Disk | None, parameters: Mapping[str, Any]) -> Object:
    """Return the new claim, but for its node: as large as the student's disk and of its class, if nothing else is said.

    Raises CoursehubError where there is no such disk and not both are said.
    """
    size = parameters["size"] or (str(like.size) if like else "")
    storage_class = parameters["storage_class"] or (like.storage_class if like else "")
    if not size or not storage_class:
        raise CoursehubError(
            f"{student} has no disk to take size and storage_class from: set both (with the playbook drive_import"
            " coursehub_drive_export_new_disk_size and coursehub_drive_export_new_disk_storage_class)"
        )
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": new_name(prefix, student),
            "namespace": namespace,
            "labels": dict(MANAGED_BY),
            "annotations": {ANNOTATION: note(student, "")},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": size}},
        },
    }


def on_node(item: Object, node: str) -> Object:
    """Return a claim that is to be bound on a node."""
    metadata = item["metadata"]
    annotations = {**metadata["annotations"], _restore.SELECTED_NODE: node}
    return {**item, "metadata": {**metadata, "annotations": annotations}}


def note(student: str, taken: str) -> str:
    """Return what a disk says of its import."""
    return json.dumps({"student": student, "taken": taken}, sort_keys=True)


def taken_of(item: Object, student: str) -> str:
    """Return when the export was taken that a disk has, empty where it has not all of it yet.

    Raises CoursehubError for a claim that no import of this student has made.
    """
    text = (item["metadata"].get("annotations") or {}).get(ANNOTATION, "")
    try:
        told = json.loads(text)
        if told["student"] == student:
            return str(told["taken"])
    except (ValueError, TypeError, KeyError):
        pass
    raise CoursehubError(
        f"{student}: there is a claim {item['metadata']['name']} that no import has made: set another new_disk"
    )
