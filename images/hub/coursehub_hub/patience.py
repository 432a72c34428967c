"""Requests to the API server that wait for one that is away, as it is for a minute when a control plane is upgraded."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

PAUSE_S = 2.0
# A server that is gone does not refuse, it is silent, and the kernel alone tries for 134 s to connect, more and more
# seldom.
REQUEST_TIMEOUT_S = 10
LOG = logging.getLogger("coursehub")
# When somebody last waited for it, by the clock of ``time.monotonic``.
_last_wait = -math.inf


def waited_since(moment: float) -> bool:
    """Tell whether the API server was away at any time since a moment of ``time.monotonic``."""
    return _last_wait >= moment


async def patiently(seconds: float, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Return the API's answer; ask again for so many seconds while nobody answers, or the server stumbles.

    Raises the client's own exception for a refusal, and the last one when the time is over.
    """
    global _last_wait  # noqa: PLW0603 - there is one API server
    deadline = time.monotonic() + seconds
    said = False
    while True:
        try:
            return await call(*arguments)
        except Exception as error:
            if not _passes(error):
                raise
            _last_wait = time.monotonic()
            if _last_wait >= deadline:
                raise
            if not said:
                LOG.warning("The API server does not answer (%s): waiting for it", str(error) or type(error).__name__)
            said = True
        await asyncio.sleep(PAUSE_S)


def _passes(error: Exception) -> bool:
    """Tell whether it may be otherwise in a moment."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return status == 429 or status >= 500
    return isinstance(error, OSError | TimeoutError | aiohttp.ClientError)
