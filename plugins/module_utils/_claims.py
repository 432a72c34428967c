# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes, awaits and removes claims, and finds their volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _restore
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import ApiError, Kube

Object = dict[str, Any]

CLAIM, VOLUME = ("v1", "PersistentVolumeClaim"), ("v1", "PersistentVolume")


class Claims:
    """The claims of a namespace. ``deadline`` is in ``time.monotonic`` seconds."""

    def __init__(self, kube: Kube, namespace: str, deadline: float) -> None:
        self._kube = kube
        self._namespace = namespace
        self._deadline = deadline

    def get(self, claim: str) -> Object | None:
        return self._kube.get(*CLAIM, claim, self._namespace)

    def volume(self, name: str) -> Object | None:
        """Return a volume; None for an empty name too."""
        return self._kube.get(*VOLUME, name) if name else None

    def merge(self, claim: str, body: Object) -> Object:
        return self._kube.merge(self._kube.path(*CLAIM, self._namespace, claim), body)

    def merge_volume(self, name: str, body: Object) -> Object:
        return self._kube.merge(self._kube.path(*VOLUME, None, name), body)

    def create(self, body: Object) -> None:
        """Make a claim. One that is there may be ours, of a request whose answer was lost: the next look tells."""
        self._kube.create(body)

    def remove(self, claim: str) -> None:
        """Remove a claim and wait until it is gone. Its volume stays, unless it says otherwise."""
        self._kube.delete(*CLAIM, claim, self._namespace)
        self._wait(claim, lambda found: not found, f"the claim {claim} did not go: does a pod have it?")

    def release(self, claim: str) -> None:
        """Remove a claim with its volume and all that is on it."""
        found = self.get(claim)
        if found is None:
            return
        volume = found["spec"].get("volumeName")
        if volume:
            self.let_go(volume)
        self.remove(claim)

    def let_go(self, volume: str) -> None:
        """Let a volume go with its claim, or at once where that is gone."""
        try:
            self.merge_volume(volume, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
        except ApiError as error:
            # Gone already, after a request whose answer was lost.
            if error.status != 404:
                raise

    def await_bound(self, claim: str, complaint: str) -> Object:
        """Wait until a claim has its volume; return the claim."""

        def bound(found: list[Object]) -> bool:
            return bool(found) and found[0].get("status", {}).get("phase") == "Bound"

        return self._wait(claim, bound, complaint)[0]

    def node_for(self, claim: Object) -> str:
        """Return a node that is ready and can use a claim's volume. Raises CoursehubError where there is none."""
        volume = self.volume(claim["spec"].get("volumeName") or "")
        node = _restore.choose_node(self._kube.list("v1", "Node"), volume)
        if not node:
            raise CoursehubError("no node is ready that the disk could be used on")
        return node

    def _wait(self, claim: str, done: Callable[[list[Object]], bool], complaint: str) -> list[Object]:
        selector = f"metadata.name={claim}"
        found = self._kube.wait(*CLAIM, self._namespace, done, self._deadline, fieldSelector=selector)
        if not done(found):
            raise CoursehubError(f"{complaint} (it was waited for long enough)")
        return found
