# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Students' disks that are to be there: made, grown, labelled."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _claims,
    _course,
    _disks,
    _growth,
    _names,
    _outcomes,
    _restore,
    _sizes,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be done, by claim: those to make, the sizes to grow to in bytes, the labels to write (None: away)."""

    make: dict[str, Object]
    grow: dict[str, int]
    label: dict[str, dict[str, str | None]]


def plan(choice: _disks.Choice, parameters: Mapping[str, Any], namespace: str) -> Plan:
    """Return what is to be done; without I/O.

    Raises CoursehubError for a disk that would have to shrink, for a student whose name is none of the hub's, and
    where a disk is to be made and it isn't said how.
    """
    size = _growth.parse_size("size", parameters["size"]) if parameters["size"] else 0
    labels = {key: str(value) if value not in (None, "") else None for key, value in parameters["labels"].items()}
    larger = [disk for disk in choice.disks if size and disk.size > size]
    if larger:
        named = ", ".join(f"{disk.student} has {disk.size} bytes" for disk in larger)
        raise CoursehubError(f"size is '{parameters['size']}', and a disk can't shrink: {named}; choose a larger size")
    missing = [_names.check(student) for student in choice.without_disk]
    if missing and not (size and parameters["storage_class"]):
        raise CoursehubError(
            f"these students have no disk: {', '.join(missing)}; to make them, set size and storage_class"
        )
    return Plan(
        make={_names.claim_name(student): claim(student, namespace, size, parameters, labels) for student in missing},
        grow={disk.claim: size for disk in choice.disks if disk.size < size},
        label={disk.claim: changed for disk in choice.disks if (changed := _changed(disk.labels, labels))},
    )


def _changed(present: Mapping[str, str], wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def claim(
    student: str, namespace: str, size: int, parameters: Mapping[str, Any], labels: Mapping[str, str | None]
) -> Object:
    """Return a student's claim as the hub's spawner would make it; the node is chosen when it is made."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": _names.claim_name(student),
            "namespace": namespace,
            "labels": {
                **{key: value for key, value in labels.items() if value is not None},
                _disks.STUDENT_LABEL: _names.slug(student),
                "app.kubernetes.io/component": "singleuser-server",
                "component": "singleuser-storage",
            },
            "annotations": {_disks.STUDENT_ANNOTATION: student},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": parameters["storage_class"],
            "resources": {"requests": {"storage": str(size)}},
        },
    }


class Run:
    """One run over the chosen students."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode

    def __call__(self) -> dict[str, Any]:
        deadline = time.monotonic() + self._parameters["wait_timeout"]
        choice = self._course.look(self._parameters, 0, allow_new=True).choice
        todo = plan(choice, self._parameters, self._course.namespace)
        self._refuse_foreign(todo.make)
        outcomes = {
            disk.claim: _outcomes.Outcome(disk.student, disk.claim, size_bytes=disk.size) for disk in choice.disks
        }
        for name, body in todo.make.items():
            student = body["metadata"]["annotations"][_disks.STUDENT_ANNOTATION]
            size = int(body["spec"]["resources"]["requests"]["storage"])
            outcomes[name] = _outcomes.Outcome(student, name, ["made"], size)
        for name, size in todo.grow.items():
            outcomes[name].done.append("grown")
            outcomes[name].size_bytes = size
        for name in todo.label:
            outcomes[name].done.append("labelled")
        if not self._check_mode:
            # Labels first: they can't fail for want of room.
            _done, errors = _bulk.each(todo.label, lambda name: self._label(name, todo.label[name]))
            _outcomes.fail(outcomes, errors)
            _outcomes.fail(outcomes, self._make(todo.make, deadline))
            _outcomes.fail(outcomes, _sizes.grow(self._course, todo.grow, deadline))
        return _outcomes.result(outcomes.values())

    def _refuse_foreign(self, bodies: Mapping[str, Object]) -> None:
        """Raise CoursehubError where a disk that is to be made is there, and is none of this collection's."""
        there = self._course.kube.list(*_claims.CLAIM, self._course.namespace) if bodies else []
        foreign = sorted(bodies.keys() & {item["metadata"]["name"] for item in there})
        if foreign:
            raise CoursehubError(
                f"these claims are there and are no students' disks of this collection: {', '.join(foreign)}; rename"
                f" them, or give them the label {_disks.STUDENT_LABEL}"
            )

    def _label(self, name: str, labels: Mapping[str, str | None]) -> None:
        path = self._course.kube.path("v1", "PersistentVolumeClaim", self._course.namespace, name)
        self._course.kube.merge(path, {"metadata": {"labels": dict(labels)}})

    def _make(self, bodies: Mapping[str, Object], deadline: float) -> dict[str, CoursehubError]:
        """Make disks with their volumes; return what failed, by claim."""
        if not bodies:
            return {}
        claims = _claims.Claims(self._course.kube, self._course.namespace, deadline)
        node = _restore.choose_node(self._course.kube.list("v1", "Node"), None)
        if not node:
            raise CoursehubError("no node is ready that the disks could be made on")

        def make(name: str) -> None:
            body = bodies[name]
            annotations = {**body["metadata"]["annotations"], _restore.SELECTED_NODE: node}
            claims.create({**body, "metadata": {**body["metadata"], "annotations": annotations}})
            claims.await_bound(name, "the disk was not made")

        return self._course.each("making disks", bodies, make)[1]
