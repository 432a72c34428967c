"""How long it takes from a hub's word until a route is served.

``python bench/proxy_routes.py KIND SETTINGS PORT TARGET [TARGET …]`` in the hub's environment; the settings are the
proxy class's, as JSON, the targets are ports of loopback, each a server. Prints a list of seconds; the routes stay.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
from proxy_load import path_of
from traitlets.config import Config

POLL_S = 0.001
SERVED_S = 30


def proxy_of(kind: str, settings: dict[str, Any]) -> Any:
    """Return what the hub speaks to its proxy with."""
    if kind == "ours":
        from coursehub_hub.routes import CourseProxy

        return CourseProxy(config=Config({"TraefikProxy": settings["traefik"], "TraefikRedisProxy": settings["redis"]}))
    from jupyterhub.proxy import ConfigurableHTTPProxy

    return ConfigurableHTTPProxy(config=Config({"ConfigurableHTTPProxy": settings}))


async def measure(kind: str, settings: dict[str, Any], port: int, targets: Sequence[int]) -> list[float]:
    """Return the seconds of each route, from ``add_route`` to the first answer that comes through it."""
    proxy = proxy_of(kind, settings)
    if kind == "ours":
        # The hub's routes are complete; the mark says so.
        await proxy.redis.set(proxy._mark, "true")
    times = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for number, target in enumerate(targets):
            path = path_of(number)
            begun = time.monotonic()
            added = asyncio.ensure_future(
                proxy.add_route(path, f"http://127.0.0.1:{target}", {"user": f"bench-{number}"})
            )
            while not await _served(session, path):
                if time.monotonic() - begun > SERVED_S:
                    raise SystemExit(f"{path} was not served in {SERVED_S} s")
                await asyncio.sleep(POLL_S)
            times.append(time.monotonic() - begun)
            await added
    return times


async def _served(session: aiohttp.ClientSession, path: str) -> bool:
    async with session.get(path) as answer:
        await answer.read()
        return answer.status == 200


if __name__ == "__main__":
    kind_, settings_, port_, *targets_ = sys.argv[1:]
    told = measure(kind_, json.loads(settings_), int(port_), [int(target) for target in targets_])
    print(json.dumps(asyncio.run(told)))
