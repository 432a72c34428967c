"""A Lease, as Kubernetes' own controllers have it; without I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

NAME = "hub"
# How long a hub that died keeps the other one waiting. Shorter than is usual: it only decides when the other one tries
# the lock.
DURATION_S = 4

Object = dict[str, Any]


def held(lease: Object | None, holder: str, namespace: str, now: datetime | None = None) -> Object:
    """Return the Lease that says that ``holder`` has it, from the one that was read; an empty holder gives it back."""
    moment = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    old = (lease or {}).get("spec") or {}
    same = old.get("holderIdentity") == holder
    metadata = {"name": NAME, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "coursehub"}}
    if lease:
        # Of two who write at once, the one whose version is old is refused.
        metadata["resourceVersion"] = lease["metadata"]["resourceVersion"]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": DURATION_S,
            "acquireTime": old["acquireTime"] if same and old.get("acquireTime") else moment,
            "renewTime": moment,
            "leaseTransitions": (old.get("leaseTransitions") or 0) + (0 if same else 1),
        },
    }


class Watched:
    """The other one's Lease: whether it is renewed while one looks, by one's own clock and not by the other's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._version = ""
        self._since = 0.0

    def free(self, lease: Object | None) -> bool:
        """Tell whether nobody has it, or whoever has it has not renewed it for as long as it lasts."""
        if lease is None or not lease["spec"].get("holderIdentity"):
            return True
        version = lease["metadata"]["resourceVersion"]
        if version != self._version:
            self._version, self._since = version, self._clock()
        return self._clock() - self._since >= DURATION_S
