# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge that the modules for the hub's users share: how the hub is reached, how failures are told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _edge, _hub, _kube, _progress

Checked = TypeVar("Checked")

ARGUMENTS: dict[str, dict[str, Any]] = {
    **_kube.CONNECTION_ARGUMENTS,
    "hub_url": {"type": "str", "required": True},
    "hub_namespace": {"type": "str", "required": True},
    "wait_timeout": {"type": "int", "default": 900},
    **_progress.ARGUMENTS,
}


def run(
    module: AnsibleModule,
    check: Callable[[], Checked],
    work: Callable[[_hub.Hub, _progress.Progress, Checked], dict[str, Any]],
) -> None:
    """Do a module's work on a hub and end the module with its result.

    ``check`` raises CoursehubError for what is wrong with the parameters, before anybody is asked; what it returns goes
    to the work. The module fails where one of the ``students`` of its result has ``failed``, and names them all.
    """
    parameters = module.params

    def whole() -> dict[str, Any]:
        checked = check()
        deadline = time.monotonic() + parameters["wait_timeout"]
        kube = _kube.Kube(parameters["kubeconfig"], parameters["context"])
        hub = _hub.Hub(kube, parameters["hub_url"], parameters["hub_namespace"], _hub.PEOPLE_KEY, deadline)
        return work(hub, _progress.Progress(parameters["progress_file"]), checked)

    _edge.run(module, whole, _failure)


def _failure(result: dict[str, Any]) -> str:
    students = result["students"]
    failed = {one["student"]: one["failed"] for one in students if one["failed"]}
    return _bulk.summary(failed, len(students)) if failed else ""
