"""What the routes of a whole class cost: written side by side as its servers start, and again after they were lost.

``python bench/route_class.py KIND SETTINGS PORT PROCESS TARGET ROUTES`` in the hub's environment; the settings are the
proxy class's, as JSON. Prints what it saw, as JSON: seconds of wall and of the proxy's processor.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
from proxy_load import path_of
from proxy_routes import proxy_of

# As the role's default of servers that start side by side.
SIDE_BY_SIDE = 64
# The proxy is quiet when it has done nearly nothing for so long.
QUIET_S, QUIET_SHARE, QUIET_LIMIT_S = 5.0, 0.05, 600.0
SERVED_S = 300
TICKS = os.sysconf("SC_CLK_TCK")
# Of /proc/PID/stat after the name: user and system time.
USER, SYSTEM = 11, 12


def busy_s(process: int) -> float:
    """Return the processor seconds that a process has used."""
    words = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(words[USER]) + int(words[SYSTEM])) / TICKS


async def until_quiet(process: int) -> None:
    """Wait until the proxy has worked off what it was told."""
    deadline = time.monotonic() + QUIET_LIMIT_S
    before, used = busy_s(process), QUIET_S
    while used > QUIET_SHARE * QUIET_S:
        if time.monotonic() > deadline:
            raise SystemExit(f"the proxy is still busy after {QUIET_LIMIT_S:.0f} s")
        await asyncio.sleep(QUIET_S)
        used = busy_s(process) - before
        before += used


async def measure(kind: str, settings: dict[str, Any], port: int, process: int, target: int, routes: int) -> Any:
    """Return what was seen of a class's routes. Raises SystemExit where one is not served."""
    proxy = proxy_of(kind, settings)
    host = f"http://127.0.0.1:{target}"
    if kind == "ours":
        # The hub's routes are complete; the mark says so.
        await proxy.redis.set(proxy._mark, "true")
    places, times = asyncio.Semaphore(SIDE_BY_SIDE), []

    async def add(number: int) -> None:
        async with places:
            begun = time.monotonic()
            await proxy.add_route(path_of(number), host, {"user": f"bench-{number}"})
            times.append(time.monotonic() - begun)

    used, begun = busy_s(process), time.monotonic()
    await asyncio.gather(*(add(number) for number in range(routes)))
    told = {"all_s": time.monotonic() - begun, "route_s": sorted(times)}
    await until_quiet(process)
    told["busy_s"] = busy_s(process) - used
    begun = time.monotonic()
    if len(await proxy.get_all_routes()) < routes:
        raise SystemExit("not every route is there")
    told["compare_s"] = time.monotonic() - begun
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        if kind == "ours":
            told |= await lost(proxy, session, host, process, routes)
        for number in (0, routes - 1):
            async with session.get(path_of(number)) as answer:
                if answer.status != 200:
                    raise SystemExit(f"{path_of(number)} is answered by {answer.status}")
    return told


async def lost(proxy: Any, session: aiohttp.ClientSession, host: str, process: int, routes: int) -> dict[str, float]:
    """Empty Redis, and write what the hub knows and one route more; return what that takes until the one is served."""
    spawners = [
        SimpleNamespace(
            server=SimpleNamespace(ip="127.0.0.1", host=host), ready=True, pending=None, proxy_spec=path_of(number)
        )
        for number in range(routes)
    ]
    users = {number: SimpleNamespace(name=f"{number}", spawners={"": one}) for number, one in enumerate(spawners)}
    proxy.app = SimpleNamespace(users=users, hub=SimpleNamespace(routespec="/"), _service_map={})
    proxy.hub = SimpleNamespace(host=host)
    await proxy.redis.flushall()
    used, begun = busy_s(process), time.monotonic()
    await proxy.add_route(path_of(routes), host, {"user": "one more"})
    while True:
        async with session.get(path_of(routes)) as answer:
            if answer.status == 200:
                break
        if time.monotonic() - begun > SERVED_S:
            raise SystemExit(f"a new route was not served {SERVED_S} s after all were lost")
        await asyncio.sleep(0.01)
    again = time.monotonic() - begun
    await until_quiet(process)
    return {"again_s": again, "again_busy_s": busy_s(process) - used}


if __name__ == "__main__":
    kind_, settings_, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(measure(kind_, json.loads(settings_), *map(int, numbers)))))
