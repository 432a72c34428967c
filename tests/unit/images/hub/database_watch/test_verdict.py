"""When staff are told of a database that can't be written to, and what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from coursehub_hub.database_watch import verdict
from coursehub_hub.database_watch.verdict import EVENT_S, IN_A_ROW, LOG_S, Kind, Pod, Problem, Saying, Verdict
from hypothesis import given
from hypothesis import strategies as st

POD = Pod("hub-5f", "coursehub", "u-1")
IN_CLUSTER = "postgresql://hub:secret@hub-postgresql.coursehub:5432/postgres"
OUTSIDE = "postgresql://hub:secret@db.example.org:5432/hub"


def said(verdict_: Verdict, results: list[bool], begin: float = 0.0) -> list[Saying]:
    """Return what is said after each try, ten seconds apart; each Event is taken."""
    sayings = []
    for number, well in enumerate(results):
        now = begin + 10.0 * number
        sayings.append(verdict_.tried(well, now))
        if sayings[-1].event:
            verdict_.told(now)
    return sayings


def test_two_failures_are_nothing_and_three_are() -> None:
    one = Verdict()
    said(one, [True] * IN_A_ROW)
    assert said(one, [False, False, True, False, False], 100) == [Saying()] * 5
    assert one.well
    assert said(one, [False], 150) == [Saying(log=True, event=True)]
    assert one.well is False


def test_it_goes_on_to_say_so_a_line_a_minute_and_an_event_seldom() -> None:
    tries = 2 * EVENT_S // 10
    sayings = said(Verdict(), [False] * (tries + IN_A_ROW))
    assert sum(saying.log for saying in sayings) == 2 * EVENT_S // LOG_S + 1
    assert sum(saying.event for saying in sayings) == 3


def test_that_it_is_well_again_is_said_once() -> None:
    one = Verdict()
    said(one, [False] * 5)
    sayings = said(one, [True] * 50, 50)
    assert sayings[:IN_A_ROW] == [*[Saying()] * (IN_A_ROW - 1), Saying(log=True, event=True)]
    assert set(sayings[IN_A_ROW:]) == {Saying()}


def test_a_hub_that_has_just_begun_puts_right_what_the_one_before_it_said() -> None:
    sayings = said(Verdict(), [True] * 50)
    assert [number for number, saying in enumerate(sayings) if saying.event] == [IN_A_ROW - 1]
    assert not any(saying.log for saying in sayings)


def test_an_event_that_was_not_taken_is_made_again_at_the_next_try() -> None:
    one = Verdict()
    for number in range(IN_A_ROW - 1):
        one.tried(False, number)
    assert [one.tried(False, 10).event, one.tried(False, 20).event] == [True, True]
    one.told(20)
    assert not one.tried(False, 30).event


@given(st.lists(st.booleans(), max_size=80))
def test_it_never_says_what_the_last_three_tries_do_not(results: list[bool]) -> None:
    one = Verdict()
    for number, saying in enumerate(said(one, results)):
        if saying != Saying():
            # What was believed may have begun long before; what is said now agrees with the newest try.
            assert number >= IN_A_ROW - 1
    if len(results) >= IN_A_ROW and len(set(results[-IN_A_ROW:])) == 1:
        assert one.well == results[-1]


@pytest.mark.parametrize(
    ("kind", "url", "remedy"),
    [
        (Kind.FULL, "", "the claim hub-database: set coursehub_hub_database_size to more"),
        (Kind.FULL, IN_CLUSTER, "the claim hub-postgresql: set coursehub_hub_database_size to more"),
        (Kind.FULL, OUTSIDE, "Give the disk of db.example.org more room"),
        (Kind.READ_ONLY, "", "kubectl --namespace coursehub delete pod hub-5f"),
        (Kind.READ_ONLY, IN_CLUSTER, "default_transaction_read_only"),
        (Kind.READ_ONLY, OUTSIDE, "coursehub_hub_database_url"),
        (Kind.AWAY, IN_CLUSTER, "logs deployment/hub-postgresql"),
        (Kind.AWAY, OUTSIDE, "Look at db.example.org"),
        (Kind.OTHER, "", "coursehub_hub_database_size"),
    ],
)
def test_it_says_why_and_what_to_do_and_no_password(kind: Kind, url: str, remedy: str) -> None:
    text = verdict.sentence(Problem(kind, "could not\nextend file"), url, POD)
    assert f"Reason: {kind} (could not extend file)." in text
    assert remedy in text
    assert "secret" not in text
    assert "\n" not in text


def test_an_event_is_of_the_pod_and_no_longer_than_the_server_takes() -> None:
    now = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    bad = verdict.event(POD, verdict.NOT_WRITABLE, "é" * 2000, now)
    assert bad["type"] == "Warning"
    assert len(bad["message"].encode()) <= 1024
    assert bad["metadata"]["namespace"] == bad["involvedObject"]["namespace"] == "coursehub"
    assert (bad["involvedObject"]["name"], bad["involvedObject"]["uid"]) == ("hub-5f", "u-1")
    assert bad["lastTimestamp"] == "2026-03-01T08:30:00Z"
    assert verdict.event(POD, verdict.WRITABLE, "well", now)["type"] == "Normal"
