"""The election, in a thread of its own: a hub that is busy must not lose it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable

from . import database, election

LOG = logging.getLogger("coursehub.standby")


class Guard(threading.Thread):
    """Wins, and keeps what it has won, or ends the process. ``make`` is called in the thread, with its loop running."""

    def __init__(self, make: Callable[[], election.Election]) -> None:
        super().__init__(daemon=True)
        self.won = threading.Event()
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._ending: asyncio.Event | None = None

    def run(self) -> None:
        """Win, and keep it; whatever goes wrong then ends the process, since there may be another hub soon."""
        try:
            self._loop.run_until_complete(self._run())
        except (database.LostError, election.GoneError) as error:
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
        one = self._make()
        work = asyncio.ensure_future(self._work(one))
        end = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait({work, end}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            # Nothing is given back then: that asks the cluster, for up to 6 s, with the hub still at work.
            work.result()
        work.cancel()
        await one.give_back()

    async def _work(self, one: election.Election) -> None:
        await one.win()
        self.won.set()
        await one.keep(database.BEAT_S)
