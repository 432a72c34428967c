"""What the hub said last, how long that counts, and whether the hub answers; without I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Clock = Callable[[], float]


@dataclass(frozen=True)
class Answer:
    """What the hub said of a token: whose it is, None for nobody's; and when, in the clock's seconds."""

    user: dict[str, Any] | None
    at: float


class Answers:
    """The hub's answers by key.

    One counts for ``fresh_s`` seconds as it is. When the hub can't answer, one that named a user counts for
    ``stale_s``: stale-if-error, as RFC 5861 (section 4) has it for caches of the web. A refusal is never stretched.
    """

    def __init__(self, fresh_s: float, stale_s: float, clock: Clock = time.monotonic) -> None:
        self._fresh_s = fresh_s
        self._stale_s = stale_s
        self._clock = clock
        self._answers: dict[str, Answer] = {}
        self._swept = clock()

    def keep(self, key: str, user: dict[str, Any] | None) -> bool:
        """Keep what the hub has just said; tell whether that changes what stands."""
        self._sweep()
        before = self._answers.get(key)
        self._answers[key] = Answer(user, self._clock())
        return user is not None or (before is not None and before.user is not None)

    def recall(self, key: str, user: dict[str, Any], age_s: float) -> None:
        """Take in what stood before this process began, ``age_s`` seconds ago. It is not fresh: the hub is asked."""
        self._answers[key] = Answer(user, self._clock() - max(age_s, self._fresh_s))

    def standing(self) -> list[tuple[str, dict[str, Any], float]]:
        """Return what stands: key, user and age in seconds."""
        now = self._clock()
        return [
            (key, answer.user, now - answer.at)
            for key, answer in self._answers.items()
            if answer.user is not None and now - answer.at < self._stale_s
        ]

    def fresh(self, key: str) -> Answer | None:
        """Return an answer that needs no other."""
        return self._within(key, self._fresh_s)

    def stale(self, key: str) -> Answer | None:
        """Return an answer that counts while the hub can't give another one."""
        answer = self._within(key, self._stale_s)
        return answer if answer is not None and answer.user is not None else None

    def __len__(self) -> int:
        return len(self._answers)

    def _within(self, key: str, seconds: float) -> Answer | None:
        answer = self._answers.get(key)
        return answer if answer is not None and self._clock() - answer.at < seconds else None

    def _sweep(self) -> None:
        """Forget what counts no more: anybody may send tokens."""
        now = self._clock()
        if now - self._swept < self._fresh_s:
            return
        self._swept = now
        self._answers = {
            key: answer
            for key, answer in self._answers.items()
            if now - answer.at < (self._fresh_s if answer.user is None else max(self._fresh_s, self._stale_s))
        }


class Line:
    """Whether the hub answers, as far as one knows from the last try."""

    def __init__(self, pause_s: float, clock: Clock = time.monotonic) -> None:
        self._pause_s = pause_s
        self._clock = clock
        self._away_since: float | None = None
        self._tried = float("-inf")

    @property
    def away(self) -> bool:
        return self._away_since is not None

    def failed(self) -> bool:
        """Note that the hub did not answer; tell whether that is new."""
        self._tried = self._clock()
        if self._away_since is not None:
            return False
        self._away_since = self._tried
        return True

    def answered(self) -> float | None:
        """Note that the hub answered; return how many seconds it was away, None where it was not."""
        since, self._away_since = self._away_since, None
        return None if since is None else self._clock() - since

    def take_turn(self) -> bool:
        """Tell whether it is time to try once more; of many who ask, one is told so."""
        now = self._clock()
        if now - self._tried < self._pause_s:
            return False
        self._tried = now
        return True
