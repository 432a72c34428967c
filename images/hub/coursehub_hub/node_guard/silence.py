"""Which kubelets have fallen silent, by the Leases that they renew every 10 s; without I/O."""

from __future__ import annotations

from collections.abc import Mapping

# A kubelet's Lease holds for 40 s: four renewals that did not come. Kubernetes itself waits for 50 s and up to 5 more
# until it calls the node's state unknown.
LEASE_S = 40
# After a longer pause between two looks nobody knows whether the Leases stood still or could not be renewed or read,
# as while the API server is away.
PAUSE_S = 15


class Silence:
    """What was seen of the Leases, look after look. By its own clock: the nodes' may be wrong.

    A new one calls nobody silent for ``LEASE_S``.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}
        self._looked = float("-inf")

    def look(self, renewed: Mapping[str, str], now: float) -> frozenset[str]:
        """Return the nodes whose Lease has not been renewed for as long as it holds.

        ``renewed`` says for each node when its Lease was renewed, ``now`` is in ``time.monotonic`` seconds.
        """
        before = self._seen if now - self._looked <= PAUSE_S else {}
        self._looked = now
        self._seen = {
            node: before[node] if node in before and before[node][0] == time else (time, now)
            for node, time in renewed.items()
        }
        return frozenset(node for node, (_time, since) in self._seen.items() if now - since >= LEASE_S)
