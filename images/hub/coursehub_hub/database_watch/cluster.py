"""Hands an Event to the cluster, as this pod's account."""

from __future__ import annotations

import asyncio

from kubernetes_asyncio import client, config

from .verdict import Object

REQUEST_TIMEOUT_S = 5


def post(body: Object) -> None:
    """Make the Event. Raises what the client raises: the next try makes it again."""
    asyncio.run(_create(body))


async def _create(body: Object) -> None:
    config.load_incluster_config()
    async with client.ApiClient() as api:
        await client.CoreV1Api(api).create_namespaced_event(
            body["metadata"]["namespace"], body, _request_timeout=REQUEST_TIMEOUT_S
        )
