"""Starts that were under way when a hub died: the next one goes on with them.

JupyterHub's own way is to stop them, since it asks each server where it is, and one that is being started has no
address yet. Of a class of 200 that began just then 100 had none in the end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from jupyterhub.app import JupyterHub

# Who asked longer ago does not wait any more.
FRESH_S = 1800
# How often, and for how long, the hub is asked to start one anew: it may not listen yet, or be busy with a thousand.
PAUSE_S, PATIENCE_S = 1.0, 300.0
LOOK_S = 0.5
LOG = logging.getLogger("coursehub")


def is_unfinished(spawner: Any) -> bool:
    """Tell whether a hub that has just begun finds a start that the one before did not bring to its end."""
    return bool(spawner._check_pending and spawner.server and not spawner.server.ip)


def is_fresh(spawner: Any) -> bool:
    """Tell whether its student still waits, as it may be assumed."""
    started: datetime | None = spawner.orm_spawner.started
    if started is None:
        return False
    # JupyterHub keeps times of UTC without a zone.
    return (datetime.now(UTC) - started.replace(tzinfo=UTC)).total_seconds() < FRESH_S


async def take_on(spawner: Any, pod: Callable[[], Any]) -> None:
    """Wait for a server's pod, and give the server its address and its route.

    ``pod`` returns what the watch knows. Returns without an address where the pod ends, vanishes, or does not run in
    the time of a start: JupyterHub then stops the server.
    """
    deadline = time.monotonic() + spawner.start_timeout
    while not spawner.is_pod_running(found := pod()):
        if found is None or found["status"]["phase"] in ("Failed", "Succeeded") or time.monotonic() > deadline:
            return
        await asyncio.sleep(LOOK_S)
    where = urlsplit(spawner._get_pod_url(found))
    spawner.server.ip, spawner.server.port = where.hostname, where.port
    spawner.orm_spawner.state = spawner.get_state()
    # Now, and not when the routes are compared: the student is sent there as soon as it answers.
    route = {"user": spawner.user.name, "server_name": spawner.name}
    try:
        await JupyterHub.instance().proxy.add_route(spawner.proxy_spec, spawner.server.host, route)
    except Exception as error:
        # A hub that can't write one route writes all of them when it can.
        LOG.warning("No route yet to %s's server: %s", spawner.user.name, error)


async def start_anew(spawner: Any, api: str, token: str) -> None:
    """Ask the hub for a server of which there is nothing yet, once what is left of its start was removed.

    ``api`` is the address of the hub's API, ``token`` one that may start servers.
    """
    student = spawner.user.name
    deadline = time.monotonic() + PATIENCE_S
    async with aiohttp.ClientSession(headers={"Authorization": f"token {token}"}) as session:
        while time.monotonic() < deadline:
            await asyncio.sleep(PAUSE_S)
            # Once it was removed JupyterHub forgets this object: a student who asks has another one.
            present = spawner.user.spawners.get(spawner.name)
            if present and present.pending in ("check", "stop"):
                continue
            if present and present.active:
                # The student was faster.
                return
            try:
                async with session.post(f"{api}/users/{quote(student, safe='')}/server") as answer:
                    if answer.status in (201, 202):
                        return
            except (aiohttp.ClientError, TimeoutError):
                continue
    LOG.warning("The server of %s, which had not started when a hub died, could not be asked for again", student)
