# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applies one object by server-side apply."""

from __future__ import annotations

from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kube, _manifests
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]


def apply(kube: _kube.Kube, item: Object, dry_run: bool) -> tuple[Object | None, Object]:
    """Apply one object; return it as it was and as it is. Raises CoursehubError where the API refuses it."""
    api_version, kind, namespace, name = _manifests.identity(item)
    before = kube.get(api_version, kind, name, namespace)
    item = _manifests.never_smaller(item, before)
    query = {"fieldManager": _kube.FIELD_MANAGER, "force": "true"}
    try:
        path = kube.path(api_version, kind, namespace, name)
        after = kube.request("PATCH", path, item, **query, **({"dryRun": "All"} if dry_run else {}))
    except _kube.ApiError as error:
        # On an empty cluster a dry run knows neither the namespace nor the kinds that it would make first.
        if dry_run and error.status == 404:
            return before, item
        raise CoursehubError(f"{_manifests.describe(item)} was refused: {error}") from error
    return before, after
