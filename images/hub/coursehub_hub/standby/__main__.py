"""Run a hub that works when it is its turn: ``python -m coursehub_hub.standby [arguments of jupyterhub]``.

All that a hub imports is imported while it stands by: that takes longer than the rest of a start.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from functools import partial
from importlib import import_module

import jupyterhub.app
import psycopg

from coursehub_hub.database_watch import watch

from . import cluster, database, election, health
from .guard import Guard

# What the configuration names, or chooses from.
WARM = (
    "coursehub_hub.routes",
    "coursehub_hub.settings",
    "coursehub_hub.spawner",
    "oauthenticator.generic",
    "oauthenticator.github",
    "oauthenticator.google",
)


def take_part(lock: database.Lock) -> election.Election:
    """Return this hub's part in the election for a lock; needs a running loop."""
    pod, namespace = os.environ["POD_NAME"], os.environ["POD_NAMESPACE"]
    return election.Election(
        cluster.Cluster(namespace, pod),
        lock,
        pod,
        namespace,
        (*cluster.PROBLEMS, psycopg.Error),
    )


def main() -> None:
    """Stand by, then be the hub until told to end."""
    logging.basicConfig(level=logging.INFO, format="[%(levelname)1.1s %(asctime)s %(name)s] %(message)s")
    for name in WARM:
        import_module(name)
    state = health.State()
    health.serve(state)
    # Also while it stands by: a database that ended for want of room has ended the hub that worked.
    watch.start(os.environ["COURSEHUB_DATABASE_URL"])
    lock = database.Lock(os.environ["COURSEHUB_DATABASE_URL"])
    guard = Guard(partial(take_part, lock))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    guard.start()
    while not guard.won.wait(0.1):
        if ended.is_set():
            guard.stop()
            return
    state.active = True
    os.environ.update(lock.address())
    try:
        # Takes the signals for itself, and leaves servers and routes alone when it ends.
        jupyterhub.app.main(sys.argv[1:])
    finally:
        guard.stop()


if __name__ == "__main__":
    main()
