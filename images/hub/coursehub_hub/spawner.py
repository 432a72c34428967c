"""A student's server, as the hub starts it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Any

from kubespawner import KubeSpawner

FULL_MESSAGE = (
    "Your disk is nearly full and can't grow any more. Your server starts, but saving may fail: delete what you don't"
    " need, or ask the staff for more room."
)
# How long a watch that has given up rests before it is begun again.
REST_S = 5


class Enduring:
    """A watch on the cluster that does not end.

    KubeSpawner's gives up after 51 s without the API server: silently, where the hub has one namespace. The hub calls
    itself healthy then, and each start fails when its time is over.
    """

    _stopping: bool
    log: Any

    async def _watch_and_update(self) -> None:
        while not self._stopping:
            await super()._watch_and_update()  # type: ignore[misc]
            if not self._stopping:
                self.log.warning("The watch has ended; it begins again in %d s", REST_S)
                await asyncio.sleep(REST_S)


@functools.cache
def enduring(reflector: type) -> type:
    """Return a class of KubeSpawner's watches, as one that does not end."""
    return type(reflector.__name__, (Enduring, reflector), {})


class CourseSpawner(KubeSpawner):
    """KubeSpawner, which tells the student of a full disk; ``disk_is_full`` is set before each start."""

    disk_is_full = False

    async def _start_reflector(self, kind: str, reflector_class: type, replace: bool = False, **more: Any) -> Any:
        return await super()._start_reflector(kind, enduring(reflector_class), replace, **more)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the page says while the server starts."""
        if self.disk_is_full:
            yield {"progress": 1, "message": FULL_MESSAGE}
        async for event in super().progress():
            yield event
