"""Watch over the nodes: ``python -m coursehub_hub.node_guard``.

Two of these run on two nodes, and need not know of each other: all that they do may be done twice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import aiohttp

from .cluster import Cluster, Error
from .guard import Guard

LOG = logging.getLogger("coursehub.node_guard")
LOOK_S = 2


async def run() -> None:
    """Watch until told to end."""
    namespaces = [os.environ["HUB_NAMESPACE"], os.environ["STUDENTS_NAMESPACE"]]
    guard = Guard(Cluster(namespaces), frozenset(os.environ["FENCING_DRIVERS"].split()))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    LOG.info("Watching over the nodes")
    while not ended.is_set():
        try:
            await guard.look()
        except (Error, aiohttp.ClientError, OSError, TimeoutError) as error:
            LOG.warning("The cluster can't be asked: %s", str(error) or type(error).__name__)
        try:
            await asyncio.wait_for(ended.wait(), LOOK_S)
        except TimeoutError:
            continue


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="[%(levelname)1.1s %(asctime)s %(name)s] %(message)s")
    asyncio.run(run())
