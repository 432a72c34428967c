"""Tries every few seconds, in a thread of its own: the hub's own loop waits for nothing of it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from coursehub_hub.settings import SQLITE_FILE

from . import sqlite
from .verdict import NOT_WRITABLE, WRITABLE, Object, Pod, Problem, UnknownError, Verdict, event, sentence

PERIOD_S = 10
WELL = "The hub can write to its database"
LOG = logging.getLogger("coursehub")


class Watch:
    """What is done each time. ``write`` tries, ``tell`` hands an Event to the cluster and may fail as it likes."""

    def __init__(self, write: Callable[[], Problem | None], tell: Callable[[Object], None], url: str, pod: Pod) -> None:
        self._write = write
        self._tell = tell
        self._url = url
        self._pod = pod
        self._verdict = Verdict()

    def look(self, now: float) -> None:
        """Try to write, and say what is to be said."""
        try:
            problem = self._write()
        except UnknownError:
            return
        saying = self._verdict.tried(problem is None, now)
        text = sentence(problem, self._url, self._pod) if problem else WELL
        if saying.log:
            LOG.log(logging.ERROR if problem else logging.WARNING, "%s", text)
        if saying.event:
            self._tell(event(self._pod, NOT_WRITABLE if problem else WRITABLE, text, datetime.now(UTC)))
            self._verdict.told(now)


def write_to(url: str) -> Callable[[], Problem | None]:
    """Return what tries to write to a database."""
    if not url:
        return partial(sqlite.write, SQLITE_FILE)
    # A hub with a file needs no client.
    from . import postgresql

    return partial(postgresql.write, url)


def start(url: str) -> None:
    """Watch in the background as long as the process lives; ``url`` is the database's, empty for SQLite.

    Does nothing in a process that is in no pod, as where somebody asks JupyterHub for its help.
    """
    if "POD_NAME" not in os.environ:
        return
    from .cluster import post

    pod = Pod(os.environ["POD_NAME"], os.environ["POD_NAMESPACE"], os.environ["POD_UID"])
    threading.Thread(
        target=_run, args=(Watch(write_to(url), post, url, pod),), daemon=True, name="database-watch"
    ).start()


def _run(watch: Watch) -> None:
    said = ""
    while True:
        time.sleep(PERIOD_S)
        try:
            watch.look(time.monotonic())
        # Whatever it is: a watch that has died unseen watches nothing.
        except Exception as error:
            # The API's own words come with the headers of its answer.
            words = str(getattr(error, "reason", "") or error) or type(error).__name__
            if words != said:
                LOG.warning("The watch over the database failed, and tries again: %s", words)
            said = words
        else:
            said = ""
