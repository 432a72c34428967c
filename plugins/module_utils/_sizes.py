# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets disks grow in bulk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _course, _disks
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]

CLAIM = ("v1", "PersistentVolumeClaim")
# The rest of the growth is done when a pod mounts the disk: there is nothing to wait for.
_AT_NEXT_START = "FileSystemResizePending"


def grow(course: _course.Course, sizes: Mapping[str, int], deadline: float) -> dict[str, str]:
    """Let disks grow, claim -> bytes, and wait for all by one watch; return what failed, by claim.

    ``deadline`` is in ``time.monotonic`` seconds.
    """
    if not sizes:
        return {}

    def ask(claim: str) -> None:
        body = {"spec": {"resources": {"requests": {"storage": str(sizes[claim])}}}}
        course.kube.merge(course.kube.path(*CLAIM, course.namespace, claim), body)

    _asked, refused = course.each("growing disks", sizes, ask)
    failed = {claim: f"the disk can't grow: {error}" for claim, error in refused.items()}
    wanted = {claim: size for claim, size in sizes.items() if claim not in failed}

    def left(claims: list[Object]) -> dict[str, Object]:
        found = {item["metadata"]["name"]: item for item in claims}
        return {claim: found.get(claim, {}) for claim, size in wanted.items() if not _grown(found.get(claim), size)}

    seen = course.kube.wait(
        *CLAIM, course.namespace, lambda claims: not left(claims), deadline, labelSelector=_disks.STUDENT_LABEL
    )
    failed.update(
        {claim: f"the disk did not grow before the timeout{_said(item)}" for claim, item in left(seen).items()}
    )
    return failed


def _grown(claim: Object | None, size: int) -> bool:
    status = (claim or {}).get("status", {})
    pending = any(one["type"] == _AT_NEXT_START and one["status"] == "True" for one in status.get("conditions") or [])
    return pending or parse_quantity(str(status.get("capacity", {}).get("storage", "0"))) >= size


def _said(claim: Object) -> str:
    messages = [one["message"] for one in claim.get("status", {}).get("conditions") or [] if one.get("message")]
    return f": {messages[-1]}" if messages else ""
