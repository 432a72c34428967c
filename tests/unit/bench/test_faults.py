"""The figures and the table of what students notice."""

from __future__ import annotations

import re

import pytest

from bench.faults import CASES, figures_of, rows
from tests.conftest import ROOT
from tests.e2e.faults.load import Event, outcome

ONE = {"failed": 0, "requests": 72, "longest_gap_s": 3.06, "recovery_s": 5.43, "errors": []}
OURS = {"hub_killed": ONE, "redis_wiped": ONE}
DEFAULT = {"hub_killed": {**ONE, "failed": 3, "recovery_s": None}}


def test_both_hubs_have_their_figures() -> None:
    figures = figures_of(OURS, DEFAULT)
    assert figures["hub_killed_recovery_s"] == 5.4
    assert figures["hub_killed_default_failed"] == 3
    assert figures["hub_killed_default_recovery_s"] is None
    assert "redis_wiped_default_failed" not in figures


def test_the_table_is_even_and_says_what_was_not_seen() -> None:
    head, *body = rows(OURS, DEFAULT)
    assert all(len(row) == len(head) for row in body)
    assert len(body) == len(CASES)
    assert body[0] == ["the hub is killed", "0 of 72", "3.1 s", "5.4 s", "3 of 72", "3.1 s", "not seen"]
    wiped = next(row for row in body if row[0] == "Redis is wiped")
    assert wiped[4:] == ["", "", ""]


def test_every_case_of_the_suites_is_in_the_table() -> None:
    files = [*(ROOT / "tests/e2e/faults").glob("test_*.py"), *(ROOT / "tests/e2e/default_hub").glob("test_*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    named = set(re.findall(r'load\.case\("(\w+)"', text)) | {"hub_killed", "hub_frozen"}
    assert named == set(CASES)


def test_what_hangs_counts_for_the_fault_in_which_it_was_begun() -> None:
    events = [
        Event(9, 10, "ada", "compute", True),
        Event(11, 11.5, "ada", "list", True),
        # The fault, from 10 to 20, made it hang until long after.
        Event(15, 36, "ada", "tab", False, True, "tab: timed out, then timed out"),
        Event(18, 19, "ada", "compute", True),
        Event(21, 22, "ada", "list", False),
        Event(12, 13, "visitor", "login", False),
        Event(12, 13, "of another node", "list", False),
    ]
    seen = outcome("a fault", {"ada"}, events, 10, 20)
    assert (seen.requests, seen.failed, seen.retried, seen.dropped) == (4, 1, 1, 0)
    assert (seen.logins, seen.logins_failed) == (1, 1)
    # From 10, when the computation was done, to 19.
    assert seen.longest_gap_s == 9
    assert not seen.went_unnoticed()


def test_a_student_of_whom_nothing_is_seen_is_no_proof() -> None:
    with pytest.raises(AssertionError, match=r"ada did nothing \(kernel\) while it was watched"):
        outcome("a fault", {"ada"}, [Event(11, 12, "ada", "list", True)], 10, 20)
