"""Where students wait whose servers can't start at once. Nobody is sent away."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable


class Line:
    """So many start at the same time; the others come in the order in which they asked."""

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._starting: set[Hashable] = set()
        self._waiting: dict[Hashable, asyncio.Future[None]] = {}

    async def enter(self, who: Hashable) -> None:
        """Wait for one's turn. Ends at once where there is a seat."""
        if who in self._starting:
            return
        if len(self._starting) < self._seats and not self._waiting:
            self._starting.add(who)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[who] = turn
        try:
            await turn
        except BaseException:
            # Who is no longer there holds up nobody.
            self._waiting.pop(who, None)
            self.leave(who)
            raise

    def leave(self, who: Hashable) -> None:
        """Make room, at the end of a start or before; nothing for who is not there."""
        self._starting.discard(who)
        while self._waiting and len(self._starting) < self._seats:
            following = next(iter(self._waiting))
            turn = self._waiting.pop(following)
            if not turn.done():
                self._starting.add(following)
                turn.set_result(None)

    def place(self, who: Hashable) -> int:
        """Return how many come before, this one included; 0 for who need not wait."""
        return next((place for place, one in enumerate(self._waiting, 1) if one == who), 0)
