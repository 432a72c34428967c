"""What the guard asks of the cluster, and does to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubernetes_asyncio import client, config

from .plan import OURS, TAINT, Object, Remove

REQUEST_TIMEOUT_S = 5
# The namespace of the kubelets' Leases, each with the name of its node.
LEASES = "kube-node-lease"
Error = client.ApiException


class Cluster:
    """The cluster, as the guard's account sees it."""

    def __init__(self, namespaces: list[str]) -> None:
        config.load_incluster_config()
        api = client.ApiClient()
        self._plain = api.sanitize_for_serialization
        self._core = client.CoreV1Api(api)
        self._coordination = client.CoordinationV1Api(api)
        self._namespaces = namespaces

    async def nodes(self) -> list[Object]:
        return self._items(await self._core.list_node(_request_timeout=REQUEST_TIMEOUT_S))

    async def renewed(self) -> dict[str, str]:
        """Return when each node's Lease was renewed."""
        found = await self._coordination.list_namespaced_lease(LEASES, _request_timeout=REQUEST_TIMEOUT_S)
        return {lease["metadata"]["name"]: lease["spec"].get("renewTime", "") for lease in self._items(found)}

    async def pods(self) -> list[Object]:
        """Return the pods of the hub's and the students' namespaces."""
        return [
            pod
            for namespace in self._namespaces
            for pod in self._items(await self._core.list_namespaced_pod(namespace, _request_timeout=REQUEST_TIMEOUT_S))
        ]

    async def drivers(self) -> dict[tuple[str, str], str]:
        """Return the CSI driver of each disk that is bound to a claim, by namespace and claim; "" for one of none."""
        found: dict[tuple[str, str], str] = {}
        for volume in self._items(await self._core.list_persistent_volume(_request_timeout=REQUEST_TIMEOUT_S)):
            claim = volume["spec"].get("claimRef") or {}
            driver = (volume["spec"].get("csi") or {}).get("driver", "")
            found[claim.get("namespace", ""), claim.get("name", "")] = driver
        return found

    async def taint(self, node: str, *, out: bool) -> None:
        """Put a node out of service, or into it again; other taints stay."""
        found = self._plain(await self._core.read_node(node, _request_timeout=REQUEST_TIMEOUT_S))
        taints = [taint for taint in found["spec"].get("taints") or [] if taint["key"] != TAINT]
        if out:
            now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            taints.append({"key": TAINT, "value": OURS, "effect": "NoExecute", "timeAdded": now})
        # With the version that was read: a taint that someone else sets meanwhile must not be lost.
        body = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "spec": {"taints": taints}}
        await self._core.patch_node(
            node, body, _content_type="application/merge-patch+json", _request_timeout=REQUEST_TIMEOUT_S
        )

    async def remove(self, pod: Remove) -> None:
        """Remove a pod at once; one that is gone or another one by now is no error."""
        body = client.V1DeleteOptions(grace_period_seconds=0, preconditions=client.V1Preconditions(uid=pod.uid))
        try:
            await self._core.delete_namespaced_pod(
                pod.name, pod.namespace, body=body, _request_timeout=REQUEST_TIMEOUT_S
            )
        except client.ApiException as error:
            if error.status not in (404, 409):
                raise

    def _items(self, found: Any) -> list[Object]:
        return list(self._plain(found)["items"])
