"""What a hub asks of the cluster about itself: the Lease, and the label by which the Service finds who works."""

from __future__ import annotations

from typing import Any

import aiohttp
from kubernetes_asyncio import client, config

from . import lease
from .election import RefusedError

LABEL = "coursehub.jupyterhub/hub"
ACTIVE = "active"
REQUEST_TIMEOUT_S = 3
Object = dict[str, Any]
Error = client.ApiException
# What else its requests raise: the client hands on what aiohttp does where an API server breaks off in its answer.
PROBLEMS: tuple[type[Exception], ...] = (Error, aiohttp.ClientError, OSError, TimeoutError)


class Cluster:
    """The cluster, as this pod's account sees it."""

    def __init__(self, namespace: str, pod: str) -> None:
        config.load_incluster_config()
        api = client.ApiClient()
        self._serialize = api.sanitize_for_serialization
        self._leases = client.CoordinationV1Api(api)
        self._pods = client.CoreV1Api(api)
        self._namespace = namespace
        self._pod = pod

    async def read(self) -> Object | None:
        """Return the Lease, None where there is none yet. Raises RefusedError, or Error for anything else."""
        try:
            found = await self._leases.read_namespaced_lease(
                lease.NAME, self._namespace, _request_timeout=REQUEST_TIMEOUT_S
            )
        except client.ApiException as error:
            if error.status == 404:
                return None
            if error.status == 401:
                raise RefusedError(str(error.reason)) from error
            raise
        answer: Object = self._serialize(found)
        return answer

    async def write(self, body: Object) -> None:
        """Write the Lease. Raises Error with status 409 where another one has written it meanwhile."""
        if "resourceVersion" in body["metadata"]:
            await self._leases.replace_namespaced_lease(
                lease.NAME, self._namespace, body, _request_timeout=REQUEST_TIMEOUT_S
            )
        else:
            await self._leases.create_namespaced_lease(self._namespace, body, _request_timeout=REQUEST_TIMEOUT_S)

    async def show(self, *, active: bool) -> None:
        """Say by the pods' labels whether the hub in this one works; where it does, that no other does.

        The pod of a node that is gone can't say so itself, and keeps its address in the Service for most of a minute.
        """
        if active:
            found = await self._pods.list_namespaced_pod(
                self._namespace, label_selector=f"{LABEL}={ACTIVE}", _request_timeout=REQUEST_TIMEOUT_S
            )
            for pod in found.items:
                if pod.metadata.name != self._pod:
                    await self._label(pod.metadata.name, None)
        await self._label(self._pod, ACTIVE if active else None)

    async def _label(self, pod: str, value: str | None) -> None:
        body = {"metadata": {"labels": {LABEL: value}}}
        await self._pods.patch_namespaced_pod(pod, self._namespace, body, _request_timeout=REQUEST_TIMEOUT_S)
