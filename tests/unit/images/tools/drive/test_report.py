from __future__ import annotations

import json

import pytest
from coursehub_tools import result
from coursehub_tools.drive import reasons
from coursehub_tools.drive.client import RefusedError
from coursehub_tools.drive.report import Report, outcome_of


def test_progress_is_told_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    report = Report("ada", lambda: now[0])
    report.todo = 25
    for _step in range(25):
        now[0] += 1
        report.add(uploaded_bytes=100)
        report.step()
    assert capsys.readouterr().out.splitlines() == [
        "ada: 10 of 25 steps, 1000 bytes sent so far",
        "ada: 20 of 25 steps, 2000 bytes sent so far",
    ]


def test_a_result_is_small_whatever_there_is_to_tell() -> None:
    report = Report("\udcff" * 300)
    for number in range(1000):
        report.problem(f"{number} {'x' * 4000}\udcff", "why " * 100)
    told = json.loads(result.encoded(report.result("complete")))
    assert told["problems_count"] == 1000
    assert 0 < len(told["problems"]) <= 5


@pytest.mark.parametrize(("reason", "outcome"), [("storageQuotaExceeded", "stopped"), ("dailyLimitExceeded", "paused")])
def test_a_refusal_is_told_with_what_to_do(reason: str, outcome: str) -> None:
    error = RefusedError(reasons.REASONS[reason], 403, reason, "said")
    told = Report("ada").result(outcome_of(error), error)
    assert told["outcome"] == outcome
    assert told["failed"] == f"ada: Drive refuses with 403 {reason} (said): {reasons.REASONS[reason].remedy}"
    assert ("until" in told) == (outcome == "paused")
