"""How long a server may be idle, and how old it may become: for everyone, for groups, and at night; without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

# In limits this means that there is none.
NEVER = 0


@dataclass(frozen=True)
class Limit:
    """After how many seconds a server is ended: without any work (``idle``), and whatever it does (``max_age``)."""

    idle: float = NEVER
    max_age: float = NEVER

    def passed(self, idle_s: float, age_s: float) -> bool:
        """Tell whether a server is over one of both."""
        return 0 < self.idle <= idle_s or 0 < self.max_age <= age_s


@dataclass(frozen=True)
class Night:
    """A time of each day, in a zone's own time, at which other limits hold. One that ends before it begins ends on the
    next day.
    """

    begin: time
    end: time
    zone: ZoneInfo
    idle: float = NEVER
    # Whether what ran when it began is ended, whatever it does.
    everything: bool = False

    def begun(self, now: datetime) -> datetime | None:
        """Return when the night began that it is, None by day."""
        local = now.astimezone(self.zone)
        for days in (0, 1):
            day = local.date() - timedelta(days=days)
            begin = datetime.combine(day, self.begin, self.zone)
            end = datetime.combine(day + timedelta(days=self.end <= self.begin), self.end, self.zone)
            if begin <= local < end:
                return begin
        return None


@dataclass(frozen=True)
class Rules:
    """All limits. Who is in several groups has the most generous of theirs."""

    limit: Limit = Limit()
    groups: Mapping[str, Limit] = field(default_factory=dict)
    night: Night | None = None

    @property
    def empty(self) -> bool:
        """Tell whether no server is ever ended."""
        return all(one == Limit() for one in (self.limit, *self.groups.values())) and self.night is None

    def limit_for(self, groups: Iterable[str]) -> Limit:
        """Return the limit of someone in these groups."""
        mine = [self.groups[group] for group in groups if group in self.groups] or [self.limit]
        return Limit(_longest(one.idle for one in mine), _longest(one.max_age for one in mine))

    def ended(self, groups: Iterable[str], idle_s: float, age_s: float, now: datetime) -> bool:
        """Tell whether a server is to be ended."""
        if self.limit_for(groups).passed(idle_s, age_s):
            return True
        begun = self.night.begun(now) if self.night else None
        if self.night is None or begun is None:
            return False
        since_s = (now - begun).total_seconds()
        return Limit(self.night.idle).passed(idle_s, age_s) or (self.night.everything and age_s > since_s)


def _longest(seconds: Iterable[float]) -> float:
    listed = list(seconds)
    return NEVER if NEVER in listed else max(listed)


def parse(values: Mapping[str, Any]) -> Rules:
    """Return the rules that the role wrote. Raises ValueError or KeyError for others; the role has refused them."""
    night = values["night"]
    return Rules(
        Limit(values["idle"], values["max_age"]),
        {name: Limit(one.get("idle", NEVER), one.get("max_age", NEVER)) for name, one in values["groups"].items()},
        Night(
            time.fromisoformat(night["from"]),
            time.fromisoformat(night["until"]),
            ZoneInfo(night["time_zone"]),
            night["idle"],
            night["everything"],
        )
        if night
        else None,
    )
