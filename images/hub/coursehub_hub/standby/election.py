"""Waits until this hub is the one that works, and makes sure that it still is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from . import lease

LOG = logging.getLogger("coursehub.standby")
POLL_S = 0.5
# A database answers in milliseconds. After this much silence it is told, since at the end of it there is no time to.
SILENT_S = 2
# The token of a pod that was removed is refused. So are good ones, for seconds, by an API server that has just started.
GONE_S = 20


class RefusedError(Exception):
    """The API server does not know this pod's token, or not any more."""


class GoneError(Exception):
    """Kubernetes has given this pod up."""


class Cluster(Protocol):
    """The Lease and the label; see ``cluster``."""

    async def read(self) -> lease.Object | None: ...
    async def write(self, body: lease.Object) -> None: ...
    async def show(self, *, active: bool) -> None: ...


class Lock(Protocol):
    """The lock in the database; see ``database``."""

    async def stand_by(self) -> None: ...
    async def take(self) -> bool: ...
    async def beat(self) -> None: ...
    async def close(self) -> None: ...


class Election:
    """One hub's part in it. ``problems`` are the exceptions that the cluster and the database may raise."""

    def __init__(
        self,
        cluster: Cluster,
        lock: Lock,
        holder: str,
        namespace: str,
        problems: tuple[type[Exception], ...],
        watched: lease.Watched | None = None,
    ) -> None:
        self._cluster = cluster
        self._lock = lock
        self._holder = holder
        self._namespace = namespace
        self._problems: tuple[type[Exception], ...] = (RefusedError, *problems)
        self._watched = watched or lease.Watched()
        self._said = ""

    async def win(self) -> None:
        """Wait until this hub is the one that works: it has the lock, the Lease and the label."""
        await self._until_done(self._hide)
        LOG.info("Standing by")
        await self._until_done(self._try)
        # From here on the process ends where the lock is not proved.
        await self._lock.beat()
        LOG.info("This hub works now")

    async def keep(self, beat_s: float) -> None:
        """Prove that the lock is held, and renew the Lease. Raises what ``Lock.beat`` raises where it is not.

        The Lease alone decides nothing: with the API server away it runs out, and this hub works on. Neither waits for
        the other: an API server that is silent for seconds must not make proofs come late.

        Raises GoneError where the pod was removed and its kubelet could not end it: such a hub can start no server any
        more, and keeps the other one from it.
        """
        tasks = [asyncio.ensure_future(one) for one in (self._prove(beat_s), self._show_life(beat_s))]
        try:
            done, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in tasks:
                one.cancel()

    async def give_back(self) -> None:
        """Let the other one work at once."""
        try:
            found = await self._cluster.read()
            if found is not None and found["spec"].get("holderIdentity") == self._holder:
                await self._cluster.write(lease.held(found, "", self._namespace))
        except self._problems as error:
            LOG.warning("The Lease was not given back, and runs out by itself: %s", error)
        await self._lock.close()

    async def _hide(self) -> bool:
        """A container that is started anew in its pod finds the label of before."""
        await self._cluster.show(active=False)
        return True

    async def _try(self) -> bool:
        found = await self._cluster.read()
        free = self._watched.free(found)
        await self._lock.stand_by()
        if not free:
            self._say("")
            return False
        if not await self._lock.take():
            self._say("The Lease is free, but another hub holds the lock in the database: that one works")
            return False
        await self._cluster.write(lease.held(found, self._holder, self._namespace))
        await self._cluster.show(active=True)
        return True

    async def _prove(self, beat_s: float) -> None:
        while True:
            silent = asyncio.get_running_loop().call_later(
                SILENT_S, LOG.warning, "The database is silent: without an answer, this hub ends in seconds"
            )
            try:
                await self._lock.beat()
            finally:
                silent.cancel()
            await asyncio.sleep(beat_s)

    async def _show_life(self, beat_s: float) -> None:
        known = time.monotonic()
        while True:
            try:
                await self._renew()
            except RefusedError as error:
                self._say(f"The API server refuses this hub: {error}")
                if time.monotonic() - known >= GONE_S:
                    raise GoneError(f"for {GONE_S} s the API server has refused it: its pod was removed") from error
            except self._problems as error:
                self._say(f"The Lease can't be renewed: {str(error) or type(error).__name__}")
                # One that is away says nothing of the pod.
                known = time.monotonic()
            else:
                self._say("")
                known = time.monotonic()
            await asyncio.sleep(beat_s)

    async def _renew(self) -> None:
        await self._cluster.write(lease.held(await self._cluster.read(), self._holder, self._namespace))

    async def _until_done(self, step: Callable[[], Awaitable[bool]]) -> None:
        while True:
            try:
                if await step():
                    return
            except self._problems as error:
                self._say(f"Standing by, but can't take over: {str(error) or type(error).__name__}")
            await asyncio.sleep(POLL_S)

    def _say(self, text: str) -> None:
        """Log what is not as it should be, once for as long as it is so."""
        if text and text != self._said:
            LOG.warning("%s", text)
        self._said = text
