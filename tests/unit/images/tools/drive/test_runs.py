from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools.drive import parallel, request, runs
from coursehub_tools.drive.request import Asked
from coursehub_tools.drive.runs import Task

WHERE = runs.Where()
WAIT_S = 120


def asked(student: str, key: str, subject: str = "") -> Asked:
    return Asked(student, Path(key), subject)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    loaded: list[str] = []

    def load(path: Path, subject: str, _student: str) -> object:
        loaded.append(f"{path}{subject}")
        return object()

    monkeypatch.setattr(runs.credentials, "load", load)
    return loaded


def does(monkeypatch: pytest.MonkeyPatch, work: Any) -> None:
    def done(task: Task) -> tuple[str, dict[str, Any]]:
        work(task)
        return "ready", {}

    monkeypatch.setitem(runs._COMMANDS, "check", done)


def test_students_are_sorted_by_identity_and_stay_in_their_order() -> None:
    rows = request.by_identity(
        [asked("a", "1"), asked("b", "2"), asked("c", "1"), asked("d", "1", "d@x"), asked("e", "2")]
    )
    assert [[one.student for one in row] for row in rows] == [["a", "c"], ["b", "e"], ["d"]]


def test_each_identity_goes_by_the_share_that_the_run_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rates.json"
    seen: list[float | None] = []
    rates = {"identity_units_per_minute": 1, "project_units_per_minute": 1, "writes_per_second": 7}
    path.write_text(json.dumps(rates), encoding="utf-8")

    def pacer(_rates: Any, _project: Any, share: Any) -> object:
        seen.append(share and share().writes_per_second)
        return object()

    monkeypatch.setattr(runs, "Pacer", pacer)
    does(monkeypatch, lambda _task: None)
    runs.all_of("check", [Asked("a", Path("1"), pace=path), Asked("b", Path("2"), pace=path)], WHERE, None)
    assert seen == [7, 7]
    runs.all_of("check", [asked("a", "1")], WHERE, None)
    assert seen[2:] == [None]


def test_identities_are_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    does(monkeypatch, lambda _task: both.wait(WAIT_S))
    summary = runs.all_of("check", [asked("a", "1"), asked("b", "2")], WHERE, None)
    assert summary == {"students": 2, "ready": 2, "failed_students": []}


def test_side_by_side_they_share_what_one_may_have_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    does(monkeypatch, lambda task: threads.append(task.asked.threads))
    runs.all_of("check", [asked(f"student {number}", str(number)) for number in range(20)], WHERE, None)
    assert threads == [2] * 20
    threads.clear()
    runs.all_of("check", [asked("a", "1"), asked("b", "1")], WHERE, None)
    assert threads == [4, 4]


def test_students_of_one_identity_come_one_after_the_other_with_one_token(
    monkeypatch: pytest.MonkeyPatch, no_credentials: list[str]
) -> None:
    seen: list[tuple[str, str, object]] = []

    def work(task: Task) -> None:
        seen.append((task.asked.student, threading.current_thread().name, task.lists))

    does(monkeypatch, work)
    runs.all_of("check", [asked("a", "1"), asked("b", "1"), asked("c", "1")], WHERE, None)
    here = threading.current_thread().name
    assert [(student, thread) for student, thread, _lists in seen] == [("a", here), ("b", here), ("c", here)]
    assert seen[0][2] is not None
    assert {id(lists) for _student, _thread, lists in seen} == {id(seen[0][2])}
    assert no_credentials == ["1"]


def test_who_is_alone_with_an_identity_has_no_list_of_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    lists: list[object] = []
    does(monkeypatch, lambda task: lists.append(task.lists))
    runs.all_of("check", [asked("a", "1"), asked("b", "2")], WHERE, None)
    assert lists == [None, None]


def test_who_failed_is_named_in_the_order_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    second = threading.Event()

    def work(task: Task) -> None:
        if task.asked.student == "a":
            second.wait(WAIT_S)
        else:
            second.set()
        raise runs.FailedError(f"{task.asked.student}: no")

    does(monkeypatch, work)
    summary = runs.all_of("check", [asked("a", "1"), asked("b", "2")], WHERE, None)
    assert summary["failed_students"] == ["a", "b"]
    assert summary["failed"] == "check did not end well for 2 of 2 students: a, b"


def test_one_at_a_time_is_done_here_and_ends_with_the_first_error() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        if number == 2:
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        parallel.each(work, [1, 2, 3], 1)
    assert done == [1, 2]
