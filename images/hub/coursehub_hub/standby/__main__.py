"""Run a hub that works when it is its turn: ``python -m coursehub_hub.standby [arguments of jupyterhub]``.

All that a hub imports is imported while it stands by: that takes longer than the rest of a start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from importlib import import_module

import jupyterhub.app
import psycopg

from coursehub_hub.database_watch import watch

from . import cluster, database, election, health

LOG = logging.getLogger("coursehub.standby")
# What the configuration names, or chooses from.
WARM = (
    "coursehub_hub.routes",
    "coursehub_hub.settings",
    "coursehub_hub.spawner",
    "oauthenticator.generic",
    "oauthenticator.github",
    "oauthenticator.google",
)


class Guard(threading.Thread):
    """The election, in a thread of its own: a hub that is busy must not lose it."""

    def __init__(self, url: str, pod: str, namespace: str) -> None:
        super().__init__(daemon=True)
        self.won = threading.Event()
        self._url = url
        self._pod = pod
        self._namespace = namespace
        self._loop = asyncio.new_event_loop()
        self._ending: asyncio.Event | None = None

    def run(self) -> None:
        """Win, and keep it; whatever goes wrong then ends the process, since there may be another hub soon."""
        try:
            self._loop.run_until_complete(self._run())
        except database.LostError as error:
            LOG.critical("This hub ends, another one takes over: %s", error)
            os._exit(1)
        except BaseException:
            LOG.exception("This hub ends")
            os._exit(1)

    def stop(self) -> None:
        """Give it back, and wait until that is done."""
        if self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
        self.join(5)

    async def _run(self) -> None:
        self._ending = asyncio.Event()
        problems = (cluster.Error, psycopg.Error, OSError, TimeoutError)
        try:
            one = election.Election(
                cluster.Cluster(self._namespace, self._pod),
                database.Lock(self._url),
                self._pod,
                self._namespace,
                problems,
            )
            work = asyncio.ensure_future(self._work(one))
            end = asyncio.ensure_future(self._ending.wait())
            await asyncio.wait({work, end}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            work.cancel()
        finally:
            await one.give_back()

    async def _work(self, one: election.Election) -> None:
        await one.win()
        self.won.set()
        await one.keep(database.BEAT_S)


def main() -> None:
    """Stand by, then be the hub until told to end."""
    logging.basicConfig(level=logging.INFO, format="[%(levelname)1.1s %(asctime)s %(name)s] %(message)s")
    for name in WARM:
        import_module(name)
    state = health.State()
    health.serve(state)
    # Also while it stands by: a database that ended for want of room has ended the hub that worked.
    watch.start(os.environ["COURSEHUB_DATABASE_URL"])
    guard = Guard(os.environ["COURSEHUB_DATABASE_URL"], os.environ["POD_NAME"], os.environ["POD_NAMESPACE"])
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    guard.start()
    while not guard.won.wait(0.1):
        if ended.is_set():
            guard.stop()
            return
    state.active = True
    try:
        # Takes the signals for itself, and leaves servers and routes alone when it ends.
        jupyterhub.app.main(sys.argv[1:])
    finally:
        guard.stop()


if __name__ == "__main__":
    main()
