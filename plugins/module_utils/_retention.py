# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which snapshots of one disk to keep; without I/O.

The words mean what they mean to restic's ``forget``
(https://restic.readthedocs.io/en/stable/060_forget.html#removing-snapshots-according-to-a-policy).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# As restic has it: keep all.
ALL = -1
_WITHIN = re.compile(r"(?:(\d+)y)?(?:(\d+)m)?(?:(\d+)d)?(?:(\d+)h)?\Z")
# A period of time -> what tells two of them apart.
_PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "hourly": lambda t: (t.year, t.month, t.day, t.hour),
    "daily": lambda t: (t.year, t.month, t.day),
    "weekly": lambda t: tuple(t.isocalendar())[:2],
    "monthly": lambda t: (t.year, t.month),
    "yearly": lambda t: (t.year,),
}


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a disk. ``good`` is one that can be restored; ``pending`` one that may still become so."""

    name: str
    taken: datetime
    good: bool = True
    pending: bool = False


@dataclass(frozen=True)
class Within:
    """A span of time back from the newest snapshot, in the calendar's own units."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def before(self, moment: datetime) -> datetime:
        """Return the moment so much earlier; a day that its month lacks counts into the next month."""
        month = moment.year * 12 + moment.month - 1 - self.years * 12 - self.months
        if month < 12:
            return datetime.min.replace(tzinfo=moment.tzinfo)
        first = moment.replace(year=month // 12, month=month % 12 + 1, day=1)
        try:
            return first + timedelta(days=moment.day - 1 - self.days) - timedelta(hours=self.hours)
        except OverflowError:
            return datetime.min.replace(tzinfo=moment.tzinfo)


@dataclass(frozen=True)
class Policy:
    """How many snapshots to keep of each period: 0 is none, -1 all."""

    last: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    within: Within | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


def parse_policy(keep: Mapping[str, Any], time_zone: str) -> Policy:
    """Return the policy that ``keep`` describes.

    Raises CoursehubError for an unknown word, a count that is none, a policy that keeps nothing, a time zone that
    does not exist.
    """
    known = ("last", *_PERIODS, "within")
    counts: dict[str, int] = {}
    for word, value in keep.items():
        if word not in known:
            raise CoursehubError(f"keep has '{word}': it may have {', '.join(known)}")
        if word == "within" or value is None:
            continue
        try:
            counts[word] = int(str(value))
        except ValueError:
            counts[word] = ALL - 1
        if counts[word] < ALL:
            raise CoursehubError(f"keep.{word} is '{value}': write how many to keep, or -1 for all")
    within = parse_within(str(keep["within"])) if keep.get("within") else None
    if within is None and not any(counts.values()):
        raise CoursehubError("keep would keep nothing: set at least one of its counts, or within")
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CoursehubError(f"there is no time zone '{time_zone}': write it as in Europe/Berlin") from error
    return Policy(last=counts.pop("last", 0), counts=counts, within=within, zone=zone)


def parse_within(text: str) -> Within:
    """Return the span that ``1y5m7d2h`` stands for. Raises CoursehubError for other text."""
    match = _WITHIN.match(text)
    if match is None or not text:
        raise CoursehubError(f"keep.within is '{text}': write it as in 1y5m7d2h, with years, months, days and hours")
    years, months, days, hours = (int(part or 0) for part in match.groups())
    return Within(years, months, days, hours)


def reasons(snapshots: Iterable[Snapshot], policy: Policy) -> dict[str, list[str]]:
    """Return why each snapshot that is to stay stays: name -> reasons. Those that are not in it may go.

    Only good snapshots count. The newest good one stays whatever the policy says, and so does one that is still
    being made. Of two taken at the same moment, the later name is the newer.
    """
    everything = sorted(snapshots, key=lambda one: (one.taken, one.name), reverse=True)
    kept: dict[str, list[str]] = {one.name: ["still being made"] for one in everything if one.pending}
    good = [one for one in everything if one.good and not one.pending]
    if not good:
        return kept
    local = [one.taken.astimezone(policy.zone) for one in good]
    since = policy.within.before(local[0]) if policy.within else None
    left = dict(policy.counts)
    last_seen: dict[str, tuple[int, ...]] = {}
    for number, (one, taken) in enumerate(zip(good, local, strict=True)):
        why = ["newest"] if number == 0 else []
        if policy.last == ALL or number < policy.last:
            why.append("last")
        if since is not None and taken > since:
            why.append("within")
        for word, period in _PERIODS.items():
            if not left.get(word):
                continue
            # The oldest stays while there is a count left: it makes the history as long as it can be.
            if last_seen.get(word) != period(taken) or number == len(good) - 1:
                last_seen[word] = period(taken)
                left[word] -= 1 if left[word] > 0 else 0
                why.append(word)
        if why:
            kept[one.name] = why
    return kept
