"""Tries every few seconds, in a thread of its own: the hub's own loop waits for nothing of it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kubernetes_asyncio import client, config

from coursehub_hub.settings import SQLITE_FILE

from . import probe
from .verdict import NOT_WRITABLE, WRITABLE, Pod, Problem, Verdict, event, sentence

PERIOD_S = 10
REQUEST_TIMEOUT_S = 5
WELL = "The hub can write to its database"
LOG = logging.getLogger("coursehub")
Object = dict[str, Any]


class Watch:
    """What is done each time. ``write`` tries, ``tell`` hands an Event to the cluster and may fail as it likes."""

    def __init__(
        self, write: Callable[[], Problem | None], tell: Callable[[Object], None], url: str, pod: Pod
    ) -> None:
        self._write = write
        self._tell = tell
        self._url = url
        self._pod = pod
        self._verdict = Verdict()

    def look(self, now: float) -> None:
        """Try to write, and say what is to be said."""
        try:
            problem = self._write()
        except probe.UnknownError:
            return
        saying = self._verdict.tried(problem is None, now)
        text = sentence(problem, self._url, self._pod) if problem else WELL
        # A try that differs from the verdict says nothing yet.
        if (problem is None) != self._verdict.well:
            return
        if saying.log:
            LOG.log(logging.ERROR if problem else logging.WARNING, "%s", text)
        if saying.event:
            self._tell(event(self._pod, NOT_WRITABLE if problem else WRITABLE, text, datetime.now(UTC)))
            self._verdict.told(now)


def start(url: str) -> None:
    """Watch in the background as long as the process lives; ``url`` is the database's, empty for SQLite.

    Does nothing in a process that is in no pod, as where somebody asks JupyterHub for its help.
    """
    if "POD_NAME" not in os.environ:
        return
    pod = Pod(os.environ["POD_NAME"], os.environ["POD_NAMESPACE"], os.environ["POD_UID"])
    write = partial(probe.postgresql, url) if url else partial(probe.sqlite, SQLITE_FILE)
    threading.Thread(target=_run, args=(Watch(write, _post, url, pod),), daemon=True, name="database-watch").start()


def _run(watch: Watch) -> None:
    said = ""
    while True:
        time.sleep(PERIOD_S)
        try:
            watch.look(time.monotonic())
        # Whatever it is: a watch that has died unseen watches nothing.
        except Exception as error:
            words = str(error) or type(error).__name__
            if words != said:
                LOG.warning("Staff can't be told of the database by an Event: %s", words)
            said = words
        else:
            said = ""


def _post(body: Object) -> None:
    asyncio.run(_create(body))


async def _create(body: Object) -> None:
    config.load_incluster_config()
    async with client.ApiClient() as api:
        await client.CoreV1Api(api).create_namespaced_event(
            body["metadata"]["namespace"], body, _request_timeout=REQUEST_TIMEOUT_S
        )
