"""A student's server, as the hub starts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from kubespawner import KubeSpawner

FULL_MESSAGE = (
    "Your disk is nearly full and can't grow any more. Your server starts, but saving may fail: delete what you don't"
    " need, or ask the staff for more room."
)


class CourseSpawner(KubeSpawner):
    """KubeSpawner, which tells the student of a full disk; ``disk_is_full`` is set before each start."""

    disk_is_full = False

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the page says while the server starts."""
        if self.disk_is_full:
            yield {"progress": 1, "message": FULL_MESSAGE}
        async for event in super().progress():
            yield event
