# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a course meets, from an iCalendar text or a list; without I/O.

Both become the same events, which one function repeats as RFC 5545 has it: in the wall clock of the event's own time
zone, so a class at ten stays at ten when summer time ends.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from html import unescape
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kept
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

try:
    import icalendar
    from dateutil.rrule import rrulestr
except ImportError:
    HAS_CALENDAR = False
    CALENDAR_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_CALENDAR = True
    CALENDAR_IMPORT_ERROR = None

# More is a mistake in a rule: four classes a day, every day of a year, are 1460.
MOST = 2000
LONGEST = timedelta(hours=24)
_RARE_ENOUGH = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
# In an event's description, since Google's and Outlook's calendars let nobody write a property of one's own.
_SEATS = re.compile(r"^\s*seats:\s*(\S*)\s*$", re.IGNORECASE | re.MULTILINE)
# As a roster has them: of several, one after the other with semicolons.
_GROUPS = re.compile(r"^\s*groups?:(.*)$", re.IGNORECASE | re.MULTILINE)
# Their pages write a description as HTML.
_TAG = re.compile("<[^>]*>")
# To be written by hand: what isoformat has, to the minute.
_WRITE = "write it as in 2026-09-01T10:00"


class NoClassError(CoursehubError):
    """A calendar is readable, and has no class to come."""


@dataclass(frozen=True, order=True)
class Meeting:
    """One class: from when to when, both in UTC, how many seats it needs, and the hub's groups that are its students.

    Without ``groups`` nobody knows whose class it is.
    """

    start: datetime
    end: datetime
    name: str
    seats: int
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Event:
    """What is repeated. ``start`` has the time zone whose wall clock counts."""

    name: str
    start: datetime
    duration: timedelta
    seats: int
    groups: tuple[str, ...] = ()
    rules: Sequence[str] = ()
    also: Sequence[datetime] = ()
    without: frozenset[datetime] = frozenset()


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone. Raises CoursehubError for one that does not exist."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CoursehubError(f"there is no time zone '{name}': write it as in Europe/Berlin") from error


def from_list(entries: Iterable[Mapping[str, Any]], time_zone: str, now: datetime) -> list[Meeting]:
    """Return the classes of a list that end after ``now``, in order.

    An entry has ``name``, ``start`` and ``end`` (wall clock of ``time_zone``), ``seats``, and may have ``groups``,
    ``repeat``, a rule as RFC 5545 writes it, and ``except``, days without it. Raises CoursehubError for whatever is
    wrong in it.
    """
    zone = zone_of(time_zone)
    return _checked([_entry(entry, zone) for entry in entries], now)


def from_ical(text: str, time_zone: str, seats: int | None, now: datetime) -> list[Meeting]:
    """Return the classes of an iCalendar text that end after ``now``, in order.

    ``time_zone`` is of events that name none, ``seats`` of those whose description has no line ``Seats: 450``. A line
    ``Groups: lab1;lab2`` in it names a class's groups.
    Cancelled events and those that block no time (a note, a holiday) are left out. Raises CoursehubError for a text
    that is no calendar, and for events that can't be used.
    """
    zone = zone_of(time_zone)
    try:
        calendar = icalendar.Calendar.from_ical(text)
        found = calendar.walk("VEVENT")
        # Of all: who sets one class of a series to 'free' means that it is none.
        moved = {_key(item, zone) for item in found if "RECURRENCE-ID" in item}
        events = [_event(item, zone, seats, moved) for item in found if _takes_place(item)]
    except CoursehubError:
        raise
    # What the library raises for a broken text is not one class: ValueError, KeyError, TypeError and its own.
    except Exception as error:
        raise CoursehubError(f"the calendar is no iCalendar: {str(error).partition(chr(10))[0][:200]}") from error
    return _checked(events, now)


def keep_last_good(read: Callable[[], list[Meeting]], kept: list[Meeting]) -> tuple[list[Meeting], str]:
    """Return the classes, and a sentence where there are none to come, or where the last good ones stay.

    Those stay where what was read can't be used. A calendar that is readable and over is not broken.
    """
    try:
        return read(), ""
    except NoClassError as error:
        return [], str(error)
    except CoursehubError as error:
        if not kept:
            return [], f"no seat is kept for a class, since: {error}"
        until = max(one.end for one in kept)
        return kept, f"the last good calendar ({len(kept)} classes, until {until:%Y-%m-%d}) stays, since: {error}"


def as_data(meetings: Iterable[Meeting]) -> list[dict[str, Any]]:
    """Return classes as JSON can keep them."""
    return [
        {
            "name": one.name,
            "start": one.start.isoformat(),
            "end": one.end.isoformat(),
            "seats": one.seats,
            "groups": list(one.groups),
        }
        for one in meetings
    ]


def of_data(data: Any) -> list[Meeting]:
    """Return the classes that ``as_data`` made data of, without what is none."""
    found = []
    for one in data if isinstance(data, list) else []:
        told = one if isinstance(one, dict) else {}
        start, end, seats = (
            _kept.moment(told.get("start")),
            _kept.moment(told.get("end")),
            _kept.number(told.get("seats")),
        )
        if start is not None and end is not None and seats is not None:
            groups = told.get("groups")
            names = tuple(str(name) for name in groups) if isinstance(groups, list) else ()
            found.append(Meeting(start, end, str(told.get("name")), int(seats), names))
    return found


def _entry(entry: Mapping[str, Any], zone: tzinfo) -> _Event:
    name = str(entry.get("name") or "a class without a name")
    start, end = (_moment(name, word, entry.get(word), zone) for word in ("start", "end"))
    days = [_day(name, text) for text in entry.get("except") or []]
    rules = [_rule(name, _parsed_rule(name, str(entry["repeat"])), start)] if entry.get("repeat") else []
    return _Event(
        name,
        start,
        _duration(name, start, end),
        _seats(name, entry.get("seats")),
        _groups(name, entry.get("groups")),
        rules,
        without=frozenset(datetime.combine(day, start.timetz()).astimezone(UTC) for day in days),
    )


def _parsed_rule(name: str, text: str) -> Any:
    sentence = f"{name}: repeat is '{text}', which is no rule: write it as in FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20261211"
    try:
        rule = icalendar.vRecur.from_ical(text)
    except ValueError as error:
        raise CoursehubError(sentence) from error
    if "FREQ" not in rule:
        raise CoursehubError(sentence)
    return rule


def _event(item: Any, zone: tzinfo, seats: int | None, moved: set[tuple[str, datetime]]) -> _Event:
    name = str(item.get("SUMMARY") or "an event without a name")
    if "DTSTART" not in item:
        raise CoursehubError(f"{name}: it has no start")
    if not isinstance(item["DTSTART"].dt, datetime):
        raise CoursehubError(
            f"{name}: it lasts whole days ({item['DTSTART'].dt}): give a class its hours, and set what is none to"
            " 'free'"
        )
    start = _aware(item["DTSTART"].dt, zone)
    description = unescape(_TAG.sub("\n", str(item.get("DESCRIPTION") or "")))
    told, named = _SEATS.search(description), _GROUPS.search(description)
    if getattr(item.get("RECURRENCE-ID"), "params", {}).get("RANGE"):
        raise CoursehubError(
            f"{name}: it changes 'this and all following' classes by one entry, which few calendars write and none"
            " agree on: end the series there, and begin a new one"
        )
    # A class that was moved stands for itself; its series leaves its old time out.
    uid = str(item.get("UID", ""))
    own = {at for other, at in moved if other == uid} if "RECURRENCE-ID" not in item else set()
    without = {_aware(one, zone, start).astimezone(UTC) for one in item.exdates}
    return _Event(
        name,
        start,
        _duration(name, start, _aware(item.end, zone)),
        _seats(name, told.group(1) if told else seats),
        _groups(name, named.group(1).split(";") if named else None),
        [_rule(name, rule, start) for rule in item.rrules],
        [_aware(begin, zone, start) for begin, _end in item.rdates],
        frozenset(own | without),
    )


def _takes_place(item: Any) -> bool:
    transparent = str(item.get("TRANSP", "")).upper() == "TRANSPARENT"
    return not transparent and str(item.get("STATUS", "")).upper() != "CANCELLED"


def _key(item: Any, zone: tzinfo) -> tuple[str, datetime]:
    return str(item.get("UID", "")), _aware(item["RECURRENCE-ID"].dt, zone).astimezone(UTC)


def _aware(value: date | datetime, zone: tzinfo, at: datetime | None = None) -> datetime:
    """Return a moment with its time zone. A day alone is that day at the hour of ``at``."""
    if not isinstance(value, datetime):
        return datetime.combine(value, at.timetz() if at else time(tzinfo=zone))
    return value if value.tzinfo else value.replace(tzinfo=zone)


def _rule(name: str, rule: Any, start: datetime) -> str:
    """Return a rule in the wall clock of its event. Raises CoursehubError for one that never ends."""
    frequency = str((rule.get("FREQ") or ["none"])[0])
    if frequency not in _RARE_ENOUGH:
        raise CoursehubError(f"{name}: it repeats {frequency}: a class repeats {', '.join(_RARE_ENOUGH)}")
    if "COUNT" not in rule and "UNTIL" not in rule:
        raise CoursehubError(f"{name}: it repeats without end: give it a last day (UNTIL), the end of the term")
    rule = icalendar.vRecur(rule)
    if "UNTIL" in rule:
        until = rule["UNTIL"][0]
        if not isinstance(until, datetime):
            until = datetime.combine(until, time(23, 59, 59))
        elif until.tzinfo:
            until = until.astimezone(start.tzinfo).replace(tzinfo=None)
        rule["UNTIL"] = [until]
    return str(rule.to_ical().decode())


def _starts(event: _Event) -> set[datetime]:
    """Return when an event begins, in UTC. Raises CoursehubError for a rule that is none, or has far too many."""
    # By the wall clock: of a series at ten, each class is at ten.
    first = event.start.replace(tzinfo=None)
    walls = {first}
    for rule in event.rules:
        try:
            walls |= set(islice(rrulestr(rule, dtstart=first), MOST + 1))
        except (ValueError, TypeError) as error:
            raise CoursehubError(f"{event.name}: its rule '{rule}' can't be followed: {error}") from error
    found = {wall.replace(tzinfo=event.start.tzinfo).astimezone(UTC) for wall in walls}
    return (found | {one.astimezone(UTC) for one in event.also}) - event.without


def _checked(events: Iterable[_Event], now: datetime) -> list[Meeting]:
    meetings = sorted(
        {
            Meeting(start, start + event.duration, event.name, event.seats, event.groups)
            for event in events
            for start in _starts(event)
        }
    )
    if not meetings:
        raise NoClassError("the calendar has no class: add one, or leave the calendar out")
    if len(meetings) > MOST:
        raise CoursehubError(f"the calendar has more than {MOST} classes: give its rules an earlier last day")
    coming = [one for one in meetings if one.end > now]
    if not coming:
        last = max(meetings, key=lambda one: one.end)
        raise NoClassError(
            f"all classes of the calendar are past, the last one, {last.name}, was on {last.start:%Y-%m-%d}: add the"
            " new term's"
        )
    for one, following in pairwise(coming):
        if following.start < one.end:
            raise CoursehubError(
                f"{one.name} and {following.name} overlap on {following.start:%Y-%m-%d at %H:%M} UTC: make one class of"
                " them, with the seats of both"
            )
    return coming


def _seats(name: str, value: Any) -> int:
    if value is None:
        raise CoursehubError(
            f"{name}: it has no seats: write a line 'Seats: 450' into its description, or set how many a class has"
        )
    try:
        count = int(str(value))
    except ValueError:
        count = 0
    if count < 1:
        raise CoursehubError(f"{name}: seats is '{value}': write how many students come, as 450")
    return count


def _groups(name: str, value: Any) -> tuple[str, ...]:
    if value is not None and not isinstance(value, list):
        raise CoursehubError(f"{name}: groups is '{value}': write a list of the hub's groups, as [lab1, lab2]")
    return tuple(sorted({str(one).strip() for one in value or []} - {""}))


def _duration(name: str, start: datetime, end: datetime) -> timedelta:
    duration = end.astimezone(UTC) - start.astimezone(UTC)
    if duration <= timedelta(0):
        raise CoursehubError(f"{name}: it ends at {end:%Y-%m-%d %H:%M}, no later than it begins")
    if duration > LONGEST:
        raise CoursehubError(f"{name}: it lasts longer than a day: write each class of it, or a rule that repeats one")
    return duration


def _moment(name: str, word: str, value: Any, zone: tzinfo) -> datetime:
    try:
        return _aware(datetime.fromisoformat(str(value)), zone)
    except ValueError as error:
        raise CoursehubError(f"{name}: {word} is '{value}': {_WRITE}") from error


def _day(name: str, value: Any) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise CoursehubError(f"{name}: except has '{value}': write days, as 2026-11-26") from error
