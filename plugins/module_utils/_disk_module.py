# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge that the modules for students' disks share: what is refused, who may run, how failures are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _course,
    _disks,
    _edge,
    _kube,
    _lock,
    _progress,
)

# Of a module that only looks, and has no progress to tell.
LOOK_ARGUMENTS: dict[str, dict[str, Any]] = {
    **_kube.CONNECTION_ARGUMENTS,
    "namespace": {"type": "str", "required": True},
    **_disks.SELECTION_ARGUMENTS,
}
ARGUMENTS: dict[str, dict[str, Any]] = {**LOOK_ARGUMENTS, **_progress.ARGUMENTS}


def run(
    module: AnsibleModule,
    prepare: Callable[[_course.Course], Callable[[], dict[str, Any]]],
    lock_name: str = _lock.NAME,
    failure: Callable[[dict[str, Any]], str] | None = None,
    *,
    pick: bool = False,
) -> None:
    """Do a module's work on a course and end the module with its result.

    ``prepare`` is given the course and returns the work; what is wrong with the parameters is told then, before the
    lock is taken.

    A module that has ``lock_timeout`` changes something, and is alone in the namespace while it does, among those of
    the same lock. It fails where one of the ``students`` of its result has ``failed``, and names them all; with
    ``failure``, where that returns a sentence. With ``pick``, ``students`` may name some of the ``roster``.
    """
    parameters = module.params

    def work() -> dict[str, Any]:
        _disks.check_selection(parameters, pick=pick)
        kube = _kube.Kube(parameters["kubeconfig"], parameters["context"])
        progress = _progress.Progress(parameters.get("progress_file"))
        course = _course.Course(kube, parameters["namespace"], progress)
        prepared = prepare(course)
        if module.check_mode or "lock_timeout" not in parameters:
            return prepared()
        with _lock.Lock(course.kube, course.namespace, parameters["lock_timeout"], lock_name) as lock:
            course.still_alone = lock.check
            result = prepared()
            lock.check()
        return result

    _edge.run(module, work, failure or _failure)


def _failure(result: dict[str, Any]) -> str:
    students = result.get("students", [])
    failed = {one["student"]: one["failed"] for one in students if one.get("failed")}
    return _bulk.summary(failed, len(students)) if failed else ""
