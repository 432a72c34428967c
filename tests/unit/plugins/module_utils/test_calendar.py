"""When a course meets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _calendar
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 9, 1, tzinfo=UTC)
SERIES = (
    "UID:a",
    "SUMMARY:Data",
    "DTSTART;TZID=Europe/Berlin:20261020T100000",
    "DTEND;TZID=Europe/Berlin:20261020T113000",
    "RRULE:FREQ=WEEKLY;BYDAY=TU;UNTIL=20261110T235959Z",
)


def text(*events: tuple[str, ...]) -> str:
    body = "".join("\r\n".join(("BEGIN:VEVENT", *event, "END:VEVENT", "")) for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{body}END:VCALENDAR\r\n"


def read(*events: tuple[str, ...], seats: int | None = 300, now: datetime = NOW) -> list[_calendar.Meeting]:
    return _calendar.from_ical(text(*events), "Europe/Berlin", seats, now)


def starts(meetings: list[_calendar.Meeting]) -> list[str]:
    return [f"{one.start:%m-%d %H:%M}" for one in meetings]


def test_a_series_stays_at_ten_when_summer_time_ends() -> None:
    assert starts(read(SERIES)) == ["10-20 08:00", "10-27 09:00", "11-03 09:00", "11-10 09:00"]


def test_days_that_are_left_out_moved_or_added() -> None:
    moved = (
        "UID:a",
        "SUMMARY:Data, later",
        "RECURRENCE-ID;TZID=Europe/Berlin:20261103T100000",
        "DTSTART;TZID=Europe/Berlin:20261103T140000",
        "DURATION:PT1H",
        "DESCRIPTION:In the large hall\\nSeats: 450",
    )
    series = (
        *SERIES,
        "EXDATE;TZID=Europe/Berlin:20261027T100000",
        "RDATE;TZID=Europe/Berlin:20261028T100000",
    )
    meetings = read(series, moved)
    assert starts(meetings) == ["10-20 08:00", "10-28 09:00", "11-03 13:00", "11-10 09:00"]
    assert [one.seats for one in meetings] == [300, 300, 450, 300]


def test_one_class_of_a_series_may_be_cancelled() -> None:
    cancelled = (
        "UID:a",
        "STATUS:CANCELLED",
        "RECURRENCE-ID;TZID=Europe/Berlin:20261103T100000",
        "DTSTART;TZID=Europe/Berlin:20261103T100000",
    )
    assert "11-03 09:00" not in starts(read(SERIES, cancelled))


@pytest.mark.parametrize("mark", ["TRANSP:TRANSPARENT", "STATUS:cancelled"])
def test_one_class_of_a_series_may_be_set_to_free(mark: str) -> None:
    free = (
        "UID:a",
        mark,
        "RECURRENCE-ID;TZID=Europe/Berlin:20261103T100000",
        "DTSTART;TZID=Europe/Berlin:20261103T100000",
        "DTEND;TZID=Europe/Berlin:20261103T113000",
    )
    assert starts(read(SERIES, free)) == ["10-20 08:00", "10-27 09:00", "11-10 09:00"]


@pytest.mark.parametrize("words", ["Seats: 450<br>Room 5", "<p>Seats: 450</p>", "Bring a laptop<br/>seats:&nbsp;450"])
def test_a_description_may_be_html(words: str) -> None:
    assert {one.seats for one in read(_with(f"DESCRIPTION:{words}"))} == {450}


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        ("Seats: 450\\nGroups: lab 2\\; lab1", ("lab 2", "lab1")),
        ("<p>group:&nbsp;lab1</p><p>Seats: 450</p>", ("lab1",)),
        ("Groups:", ()),
        ("Room 5", ()),
    ],
)
def test_a_description_may_say_whose_class_it_is(words: str, groups: tuple[str, ...]) -> None:
    assert {one.groups for one in read(_with(f"DESCRIPTION:{words}"))} == {groups}


def test_a_list_may_say_whose_class_it_is() -> None:
    entry = {"name": "Data", "start": "2026-10-20T10:00", "end": "2026-10-20T11:30", "seats": 3, "groups": ["b", "a"]}
    found = _calendar.from_list([entry], "UTC", NOW)
    assert found[0].groups == ("a", "b")
    assert _calendar.of_data(_calendar.as_data(found)) == found
    # As an earlier version kept it.
    (told,) = _calendar.as_data(found)
    assert _calendar.of_data([{word: told[word] for word in told if word != "groups"}])[0].groups == ()
    with pytest.raises(CoursehubError, match="Data: groups is 'a;b': write a list of the hub's groups"):
        _calendar.from_list([{**entry, "groups": "a;b"}], "UTC", NOW)


def test_a_holiday_blocks_no_time() -> None:
    note = ("UID:b", "TRANSP:TRANSPARENT", "DTSTART;VALUE=DATE:20261020")
    assert read(SERIES, note) == read(SERIES)


def test_an_hour_without_a_zone_is_of_the_courses() -> None:
    floating = ("UID:a", "DTSTART:20261020T100000", "DTEND:20261020T110000")
    assert starts(read(floating)) == ["10-20 08:00"]


def test_a_zone_that_the_calendar_brings_itself() -> None:
    zone = (
        "BEGIN:VTIMEZONE\r\nTZID:Our own\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0300\r\n"
        "TZOFFSETTO:+0300\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )
    event = ("UID:a", "DTSTART;TZID=Our own:20261020T100000", "DTEND;TZID=Our own:20261020T110000")
    own = text(event).replace("BEGIN:VEVENT", f"{zone}BEGIN:VEVENT", 1)
    assert starts(_calendar.from_ical(own, "UTC", 1, NOW)) == ["10-20 07:00"]


def test_a_list_says_the_same() -> None:
    entry = {
        "name": "Data",
        "start": "2026-10-20T10:00",
        "end": "2026-10-20T11:30",
        "seats": 300,
        "repeat": "FREQ=WEEKLY;BYDAY=TU;UNTIL=20261110",
        "except": ["2026-11-03"],
    }
    series = (*SERIES, "EXDATE;TZID=Europe/Berlin:20261103T100000")
    assert _calendar.from_list([entry], "Europe/Berlin", NOW) == read(series)


def _with(*lines: str, without: str = "") -> tuple[str, ...]:
    return (*(line for line in SERIES if not (without and line.startswith(without))), *lines)


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (_with("RRULE:FREQ=WEEKLY", without="RRULE"), "Data: it repeats without end"),
        (_with("RRULE:FREQ=HOURLY;COUNT=3", without="RRULE"), "Data: it repeats HOURLY"),
        (_with("RRULE:FREQ=DAILY;UNTIL=99991231", without="RRULE"), "more than 2000 classes"),
        (_with("DTEND;TZID=Europe/Berlin:20261020T100000", without="DTEND"), "no later than it begins"),
        (_with("DTEND;TZID=Europe/Berlin:20261025T100000", without="DTEND"), "longer than a day"),
        (_with("DTSTART;VALUE=DATE:20261020", without="DT"), "whole days"),
        (_with("DESCRIPTION:Seats: none"), "seats is 'none'"),
        (_with("DESCRIPTION:Seats: 0"), "seats is '0'"),
        (_with("RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20261103T100000"), "this and all following"),
        (_with(without="DTSTART"), "it has no start"),
    ],
)
def test_an_event_that_is_no_class(event: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        read(event)


def test_a_class_without_seats() -> None:
    with pytest.raises(CoursehubError, match="Data: it has no seats"):
        read(SERIES, seats=None)


def test_overlapping_classes() -> None:
    other = (
        "UID:b",
        "SUMMARY:Lab",
        "DTSTART;TZID=Europe/Berlin:20261027T112900",
        "DTEND;TZID=Europe/Berlin:20261027T123000",
    )
    with pytest.raises(CoursehubError, match="Data and Lab overlap on 2026-10-27 at 10:29 UTC"):
        read(SERIES, other)
    # Of what is past it no longer matters.
    assert read(SERIES, other, now=datetime(2026, 11, 1, tzinfo=UTC))


def test_a_calendar_that_is_over() -> None:
    with pytest.raises(CoursehubError, match=r"all classes .* are past, the last one, Data, was on 2026-11-10"):
        read(SERIES, now=datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("broken", ["", "<html>log in</html>", "BEGIN:VCALENDAR", text(SERIES)[:-80], "\x00"])
def test_a_text_that_is_no_calendar(broken: str) -> None:
    with pytest.raises(CoursehubError, match="calendar"):
        _calendar.from_ical(broken, "UTC", 1, NOW)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"start": "ten"}, "Lab: start is 'ten'"),
        ({"end": None}, "Lab: end is 'None'"),
        ({"seats": -1}, "Lab: seats is '-1'"),
        ({"repeat": "each Tuesday"}, "Lab: repeat is 'each Tuesday'"),
        ({"repeat": "FREQ=WEEKLY"}, "Lab: it repeats without end"),
        ({"except": ["Monday"]}, "Lab: except has 'Monday'"),
    ],
)
def test_an_entry_that_is_no_class(changed: dict[str, Any], sentence: str) -> None:
    entry = {"name": "Lab", "start": "2026-10-20T10:00", "end": "2026-10-20T11:00", "seats": 20, **changed}
    with pytest.raises(CoursehubError, match=sentence):
        _calendar.from_list([entry], "UTC", NOW)


def test_no_class_at_all_and_no_such_zone() -> None:
    with pytest.raises(CoursehubError, match="no class"):
        read()
    with pytest.raises(CoursehubError, match="there is no time zone 'Mars/Base'"):
        _calendar.from_list([], "Mars/Base", NOW)


def test_a_broken_calendar_keeps_the_last_good_one_and_says_so() -> None:
    good = read(SERIES)
    broken = _with("RRULE:FREQ=WEEKLY", without="RRULE")
    meetings, sentence = _calendar.keep_last_good(lambda: read(broken), good)
    assert meetings == good
    assert sentence.startswith("the last good calendar (4 classes, until 2026-11-10) stays, since: Data: it repeats")
    assert _calendar.keep_last_good(lambda: good, []) == (good, "")
    meetings, sentence = _calendar.keep_last_good(lambda: read(broken), [])
    assert not meetings
    assert sentence.startswith("no seat is kept for a class, since: Data: it repeats without end")


@pytest.mark.parametrize(("event", "sentence"), [((), "no class"), ((SERIES,), "are past")])
def test_a_calendar_that_is_over_is_not_broken(event: tuple[tuple[str, ...], ...], sentence: str) -> None:
    later = datetime(2027, 1, 1, tzinfo=UTC)
    meetings, said = _calendar.keep_last_good(lambda: read(*event, now=later), read(SERIES))
    assert not meetings
    assert sentence in said


def test_classes_survive_being_kept() -> None:
    assert _calendar.of_data(_calendar.as_data(read(SERIES))) == read(SERIES)


@given(
    st.datetimes(datetime(2026, 9, 2), datetime(2028, 1, 1)),
    st.integers(1, 60),
    st.sampled_from(["Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe", "UTC"]),
)
def test_each_class_of_a_daily_series_is_at_the_same_hour_of_the_clock(first: datetime, count: int, zone: str) -> None:
    # At hours that a change of the clock never skips.
    first = first.replace(hour=10, microsecond=0)
    entry = {
        "name": "a",
        "start": first.isoformat(),
        "end": (first + timedelta(hours=1)).isoformat(),
        "seats": 1,
        "repeat": f"FREQ=DAILY;COUNT={count}",
    }
    meetings = _calendar.from_list([entry], zone, NOW)
    assert len(meetings) == count
    local = [one.start.astimezone(_calendar.zone_of(zone)).replace(tzinfo=None) for one in meetings]
    assert local == [first + timedelta(days=day) for day in range(count)]
