"""Faults on command: which call goes wrong, and how."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .errors import DriveError

_NAMES = {"method", "identity", "nth", "times", "probability", "seed", "after", "error", "cut_after_bytes", "delay_s"}
_NAMES |= {"expire_session"}
_ERROR = {"status", "reason", "message", "domain", "retry_after"}


@dataclass
class Fault:
    """One rule.

    It fits calls by the patterns of `method` and `identity`. Of those it strikes the `nth` and the following ones,
    `times` in all (0: for ever), or each with `probability`. `error` is what is answered, before the work or, with
    `after`, when it is done. `cut_after_bytes` closes the connection after so many bytes of content, or of the answer
    where there is no content. `delay_s` waits; `expire_session` forgets the upload session of the call.
    """

    method: str = "*"
    identity: str = "*"
    nth: int = 1
    times: int = 1
    probability: float | None = None
    seed: int = 0
    after: bool = False
    error: dict[str, Any] | None = None
    cut_after_bytes: int | None = None
    delay_s: float = 0.0
    expire_session: bool = False
    seen: int = 0
    struck: int = 0
    chance: random.Random = field(default_factory=random.Random, repr=False)

    def strikes(self, method: str, identity: str) -> bool:
        """Count a call, and tell whether it is struck."""
        if not fnmatchcase(method, self.method) or not fnmatchcase(identity, self.identity):
            return False
        if self.times and self.struck >= self.times:
            return False
        self.seen += 1
        hit = self.seen >= self.nth and (self.probability is None or self.chance.random() < self.probability)
        self.struck += hit
        return hit

    def raised(self) -> DriveError | None:
        """Return the error to answer, or None."""
        if self.error is None:
            return None
        given = {"message": self.error["reason"], **self.error}
        retry_after = given.get("retry_after")
        return DriveError(
            given["status"],
            given["reason"],
            given["message"],
            domain=given.get("domain", "global"),
            headers=None if retry_after is None else {"Retry-After": str(retry_after)},
        )

    def shown(self) -> dict[str, Any]:
        """Return the rule as it was given, with what has become of it."""
        return {name: getattr(self, name) for name in sorted(_NAMES)} | {"seen": self.seen, "struck": self.struck}


def _number(values: Mapping[str, Any], name: str, least: float, *, whole: bool) -> None:
    value = values.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value < least:
        raise ValueError(f"{name} is a {'whole number' if whole else 'number'} from {least} on")


def parse(values: Any) -> Fault:
    """Return the rule that a request describes; ValueError where it describes none."""
    if not isinstance(values, dict):
        raise ValueError("a fault is an object")
    if unknown := sorted(set(values) - _NAMES):
        raise ValueError(f"a fault has no {', '.join(unknown)}")
    for name, least in (("nth", 1), ("times", 0), ("cut_after_bytes", 0)):
        _number(values, name, least, whole=True)
    _number(values, "delay_s", 0, whole=False)
    _number(values, "probability", 0, whole=False)
    for name in ("method", "identity"):
        if not isinstance(values.get(name, "*"), str):
            raise ValueError(f"{name} is a pattern")
    error = values.get("error")
    if error is not None:
        _check_error(error)
    if not any(values.get(name) is not None for name in ("error", "cut_after_bytes", "delay_s", "expire_session")):
        raise ValueError("a fault has one of error, cut_after_bytes, delay_s, expire_session")
    fault = Fault(**values)
    fault.chance.seed(fault.seed)
    return fault


def _check_error(error: Any) -> None:
    if not isinstance(error, dict) or not {"status", "reason"} <= set(error) <= _ERROR:
        raise ValueError(f"error is an object with status and reason, and may have more of {', '.join(sorted(_ERROR))}")
    status = error["status"]
    if isinstance(status, bool) or not isinstance(status, int) or not 400 <= status < 600:
        raise ValueError("status is from 400 to 599")
    _number(error, "retry_after", 0, whole=True)
    if not all(isinstance(error.get(name, ""), str) for name in ("reason", "message", "domain")):
        raise ValueError("reason, message and domain are texts")


@dataclass(frozen=True)
class Plan:
    """What the rules together do to one call."""

    delay_s: float = 0.0
    before: DriveError | None = None
    after: DriveError | None = None
    cut_after_bytes: int | None = None
    expire_session: bool = False


class Faults:
    """All rules, in the order in which they came."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def plan(self, method: str, identity: str) -> Plan:
        """Count a call with every rule, and return what is done to it."""
        struck = [rule for rule in self.rules if rule.strikes(method, identity)]
        errors = [(rule.after, error) for rule in struck if (error := rule.raised()) is not None]
        cuts = [rule.cut_after_bytes for rule in struck if rule.cut_after_bytes is not None]
        return Plan(
            delay_s=sum(rule.delay_s for rule in struck),
            before=next((error for after, error in errors if not after), None),
            after=next((error for after, error in errors if after), None),
            cut_after_bytes=min(cuts, default=None),
            expire_session=any(rule.expire_session for rule in struck),
        )
