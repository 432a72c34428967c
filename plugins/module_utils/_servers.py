# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stops the servers that have disks which must not be in use."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _course, _hub

# How long, from the first stop, a hub is asked that is away: longer than another one needs to take over, also where a
# node was lost. Who has no server to be stopped waits for this too.
HUB_PATIENCE_S = 60


def why_not(student: str, pod: str, parameters: Mapping[str, Any]) -> str:
    """Return why a disk that a pod has can't be worked on; an empty string where its server may be stopped."""
    if parameters["stop_servers"]:
        return ""
    return f"{student}: the pod {pod} has the disk, stop the server first or set stop_servers"


def stop(
    course: _course.Course, students: Mapping[str, str], parameters: Mapping[str, Any], deadline: float
) -> dict[str, str]:
    """Stop servers, claim -> student, and wait until no pod has their disks; return what failed, by claim.

    ``deadline`` is in ``time.monotonic`` seconds. Raises CoursehubError where the hub can't be asked at all.
    """
    if not students:
        return {}
    patience = min(deadline, time.monotonic() + HUB_PATIENCE_S)
    hub = _hub.Hub(course.kube, parameters["hub_url"], parameters["hub_namespace"], deadline=patience)
    _asked, errors = course.each("stopping servers", students, lambda claim: hub.stop(students[claim]))
    failed = {claim: f"nothing was changed, for {error}" for claim, error in errors.items()}
    left = course.await_unused([claim for claim in students if claim not in failed], deadline)
    failed.update(
        {claim: f"nothing was changed, for the pod {pod} did not end before the timeout" for claim, pod in left.items()}
    )
    return failed
