"""The routes in Redis: complete, or known not to be.

traefik takes what it finds in Redis for the whole truth. One that was emptied is harmless, since an empty tree is not
taken; the first single route that is written into it would be, and every other student's route would be gone. So a mark
goes with the routes: where it is missing nothing is written but all of them at once.

At each event of a key below its prefix traefik reads all routes, twice, ten keys at a time. A route has five such keys:
1000 that were written within half a minute kept each replica busy for many minutes. So Redis tells of no key by itself,
but of a hash that is there for a moment, and the hub makes one after changes, every half second at most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from jupyterhub_traefik_proxy.redis import TraefikRedisProxy

# How often Redis is asked whether the mark is there: it costs a millisecond.
CHECK_S = 2
# How often all routes are compared with what the hub knows. JupyterHub does so every 300 s, when it notes activity.
COMPARE_S = 30
# How long a hub that starts waits for Redis. The client itself tries for more than a minute, and the kubelet ends a hub
# that does not listen by then.
ANSWER_S = 2
NEVER = float("-inf")
# How often traefik is told at most to read the routes. At 1000 of them that takes it 0.2 s.
TELL_S = 0.5
# Keys of Redis read in one step. Its own default of 10 is 1100 steps for 1000 routes.
SCAN = 1000
# traefik does not look below the hub's own prefix.
MARK = "coursehub/complete"
# The kind of event that the role's redis.conf lets through.
TELL = """
redis.call('HSET', KEYS[1], 'changed', '1')
redis.call('DEL', KEYS[1])
"""
TOLD_BY = "coursehub/changed"
SET_IF_COMPLETE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('MSET', unpack(ARGV))
return 1
"""

Route = tuple[str, str, dict[str, Any]]


class CourseProxy(TraefikRedisProxy):
    """traefik over Redis, whose routes the hub writes anew from its own knowledge when they were lost."""

    _keeper: asyncio.Task[None] | None = None
    _writing: asyncio.Lock | None = None
    _telling: asyncio.Task[None] | None = None
    _untold = False

    async def _start_external(self) -> None:
        """Ask nothing of the proxies: the role sets them up.

        The base class asks whether they have their configuration, and a hub whose question finds no answer ends. With
        the node that was lost half of the cluster's DNS was silent: hub after hub ended, for 40 s.
        """
        self._start_future = None

    @property
    def _mark(self) -> str:
        return f"{self.kv_jupyterhub_prefix}/{MARK}"

    async def get_all_routes(self) -> dict[str, Any]:
        """Return the routes in Redis; none where a hub starts while it is away, since it does not listen before."""
        if self._keeper is None and not await self._redis_answers():
            return {}
        routes: dict[str, Any] = await super().get_all_routes()
        return routes

    async def check_routes(self, *arguments: Any, **named: Any) -> None:
        """Compare the routes with what the hub knows, as the base class does. From the first time on, keep them.

        The first time, a Redis that is away is left to who keeps them, and so is whatever else goes wrong: students are
        sent to a hub that listens, and JupyterHub would end.
        """
        if self._keeper is not None:
            await super().check_routes(*arguments, **named)
            return
        compared = NEVER
        if await self._redis_answers():
            try:
                await super().check_routes(*arguments, **named)
                compared = time.monotonic()
            except Exception as error:
                self.log.warning("The routes can't be compared yet: %s", error)
        else:
            self.log.warning("Redis does not answer: the hub works without, and compares the routes when it is back")
        self._keeper = self._keeper or asyncio.ensure_future(self._keep(compared))

    async def _redis_answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self.redis.exists(self._mark)
        # Whatever it is: it is told when the routes can't be kept.
        except Exception:
            return False
        return True

    async def _kv_atomic_set(self, to_set: dict[str, str]) -> None:
        pairs = [word for pair in to_set.items() for word in pair]
        if not await self.redis.eval(SET_IF_COMPLETE, 1, self._mark, *pairs):
            await self._write_all(to_set)
        self._tell()

    async def _kv_atomic_delete(self, *keys: str) -> None:
        await super()._kv_atomic_delete(*keys)
        self._tell()

    async def _kv_get_tree(self, prefix: str) -> Any:
        root = prefix if prefix.endswith(self.kv_separator) else prefix + self.kv_separator
        keys = [key async for key in self.redis.scan_iter(match=f"{root}*", count=SCAN)]
        values = await self.redis.mget(keys) if keys else []
        return self.unflatten_dict_from_kv(zip(keys, values, strict=True), root_key=root)

    def _tell(self) -> None:
        """Let traefik read the routes: at once, or half a second after the last time, for all changes until then."""
        self._untold = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.ensure_future(self._tell_all())

    async def _tell_all(self) -> None:
        while self._untold:
            self._untold = False
            try:
                await self.redis.eval(TELL, 1, f"{self.kv_traefik_prefix}/{TOLD_BY}")
            # Who keeps the routes sees it too, and tells again.
            except Exception as error:
                self.log.warning("The proxies can't be told of new routes: %s", error)
            await asyncio.sleep(TELL_S)

    async def _keep(self, compared: float) -> None:
        """Write all routes whenever they were lost, and single ones that differ. Ends with the hub."""
        well = True
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                if not await self.redis.exists(self._mark):
                    self.log.warning("The routes in Redis were lost: writing all of them")
                    await self._write_all({})
                    self._tell()
                elif time.monotonic() - compared >= COMPARE_S:
                    await super().check_routes(self.app.users, self.app._service_map)
                    compared = time.monotonic()
                    # A proxy that was without Redis for a moment has missed what was told meanwhile.
                    self._tell()
            # Whatever it is: one who keeps the routes and has died unseen keeps none.
            except Exception as error:
                if well:
                    self.log.error("The routes can't be kept: %s. Those that the proxy has stay.", error)
                well = False
                # What changed meanwhile is written as soon as it can be.
                compared = NEVER
            else:
                well = True

    async def _write_all(self, more: dict[str, str]) -> None:
        """Write all routes and the mark in one step: nobody ever sees a part of them."""
        self._writing = self._writing or asyncio.Lock()
        async with self._writing:
            routes = list(self._known())
            pairs = {self._mark: "true"}
            for routespec, target, data in routes:
                pairs.update(self._pairs(routespec, target, data))
            await self.redis.mset({**pairs, **more})
        self.log.info("Wrote all %d routes", len(routes))

    def _pairs(self, routespec: str, target: str, data: dict[str, Any]) -> dict[str, str]:
        traefik, jupyterhub = self._dynamic_config_for_route(self.validate_routespec(routespec), target, data)
        return {
            **self.flatten_dict_for_kv(traefik, prefix=self.kv_traefik_prefix),
            **self.flatten_dict_for_kv(jupyterhub, prefix=self.kv_jupyterhub_prefix),
        }

    def _known(self) -> Iterator[Route]:
        """Yield the routes that the hub knows of: its own, of servers that run or are being looked at, of services."""
        yield self.app.hub.routespec, self.hub.host, {"hub": True}
        for user in list(self.app.users.values()):
            for name, spawner in list(user.spawners.items()):
                # One without an address is being started.
                if spawner.server and spawner.server.ip and (spawner.ready or spawner.pending == "check"):
                    yield spawner.proxy_spec, spawner.server.host, {"user": user.name, "server_name": name}
        for service in self.app._service_map.values():
            if service.server:
                yield service.proxy_spec, service.server.host, {"service": service.name}
