from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _progress
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._progress import Progress, State, due
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "progress"
    path.touch()
    return path


def states(file: Path) -> list[State]:
    found = [_progress.read(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert None not in found
    return [state for state in found if state is not None]


def state(done: int = 0, total: int = 100, seconds: float = 0.0, *, failed: int = 0, ended: bool = False) -> State:
    return State("taking", total, done, total - done - failed, failed, seconds, ended)


# What is written.


def test_items_are_counted_by_where_they_were_put_last(file: Path) -> None:
    with Progress(str(file)).phase("taking", 4) as phase:
        for item in "abcd":
            phase.started(item)
        for item in "aab":
            phase.done(item)
        phase.failed("b")
        phase.failed("c")
    last = states(file)[-1]
    assert (last.phase, last.total, last.ended) == ("taking", 4, True)
    assert (last.done, last.running, last.failed) == (1, 1, 2)
    assert last.finished == 3


def test_what_threads_tell_at_once_is_all_counted(file: Path) -> None:
    with Progress(str(file)).phase("taking", 1600) as phase:

        def work(number: int) -> None:
            for item in range(100):
                phase.started((number, item))
                phase.done((number, item))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (states(file)[-1].done, states(file)[-1].running) == (1600, 0)


def test_ten_lines_a_second_at_most_and_always_the_last_one(file: Path) -> None:
    with Progress(str(file)).phase("taking", 1000) as phase:
        for item in range(1000):
            phase.done(item)
    found = states(file)
    assert len(found) <= 2 + round(found[-1].seconds / _progress.WRITE_INTERVAL_S)
    assert (found[-1].done, found[-1].ended) == (1000, True)


def test_a_burst_before_a_pause_is_told_in_the_pause(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "WRITE_INTERVAL_S", 0.01)
    written, write = threading.Event(), _progress.os.write

    def note(handle: int, line: bytes) -> int:
        count = write(handle, line)
        if b'"running": 3' in line:
            written.set()
        return count

    monkeypatch.setattr(_progress.os, "write", note)
    with Progress(str(file)).phase("taking", 3) as phase:
        for item in range(3):
            phase.started(item)
        assert written.wait(120)
        assert not states(file)[-1].ended


def test_where_nothing_changes_nothing_is_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "WRITE_INTERVAL_S", 0.001)
    with Progress(str(file)).phase("taking", 3) as phase:
        until = time.monotonic() + 120
        while not states(file) and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(0.05)
        assert phase._writer.is_alive()
    # The beginning and the end.
    assert len(states(file)) == 2


def test_phases_one_after_the_other(file: Path) -> None:
    progress = Progress(str(file))
    for name in ("taking", "removing"):
        with progress.phase(name, 1) as phase:
            phase.done("ann")
    assert [one.phase for one in states(file) if one.ended] == ["taking", "removing"]


def test_a_phase_without_work_is_not_told(file: Path) -> None:
    with Progress(str(file)).phase("removing", 0):
        pass
    assert states(file) == []


def test_work_that_breaks_off_ends_its_phase(file: Path) -> None:
    def work() -> None:
        with Progress(str(file)).phase("taking", 2) as phase:
            phase.started("ann")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert (states(file)[-1].running, states(file)[-1].ended) == (1, True)
    assert _progress.THREAD not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("name", [None, "absent", "folder/absent", "/dev/full"])
def test_what_can_not_be_told_stops_no_work(tmp_path: Path, name: str | None) -> None:
    path = None if name is None else str(tmp_path / name)
    with Progress(path).phase("taking", 2) as phase:
        phase.started("ann")
        phase.done("ann")
        phase.failed("bob")
    assert list(tmp_path.iterdir()) == []


# What is read.


@pytest.mark.parametrize("line", ["", "{", "[]", "1", '{"phase": "a"}', '{"phase": "a", "total": 1, "more": 2}'])
def test_a_line_that_is_none_of_ours(line: str) -> None:
    assert _progress.read(line) is None


def test_a_state_comes_back_as_it_was_written() -> None:
    for one in (state(3, failed=1, seconds=1.25), state(100, ended=True)):
        assert _progress.read(_progress.written(one)) == one


@pytest.mark.parametrize(
    ("given_state", "speed", "left"),
    [
        (state(), None, None),
        (state(seconds=5), None, None),
        (state(5), None, None),
        (state(5, seconds=0.9), None, None),
        (state(20, seconds=10), 2.0, 40.0),
        (state(15, failed=5, seconds=10), 2.0, 40.0),
        (state(100, seconds=10), 10.0, 0.0),
        # More than there should be: a phase that took in others' work.
        (state(110, seconds=10), 11.0, 0.0),
    ],
)
def test_rate_and_time_left(given_state: State, speed: float | None, left: float | None) -> None:
    assert _progress.rate(given_state) == speed
    assert _progress.time_left(given_state) == left


@pytest.mark.parametrize(
    ("given_state", "words"),
    [
        (State("taking", 1000), "taking: 0 of 1000 done, 0 s so far"),
        (State("taking", 1000, 0, 16, 0, 3.0), "taking: 0 of 1000 done, 16 running, 3 s so far"),
        (State("taking", 1000, 50, 16, 3, 5.3), "taking: 50 of 1000 done, 16 running, 3 failed, 10/s, 95 s left"),
        (State("taking", 1000, 49, 16, 0, 5.0), "taking: 49 of 1000 done, 16 running, 9.8/s, 97 s left"),
        (State("taking", 1000, 10, 16, 0, 60.0), "taking: 10 of 1000 done, 16 running, 10/min, 99 min left"),
        (State("drilling", 1000, 1, 1, 0, 90.0), "drilling: 1 of 1000 done, 1 running, 40.0/h, 25.0 h left"),
        (State("taking", 1000, 997, 0, 3, 102, True), "taking: 997 of 1000 done, 3 failed, 102 s in all, 9.8/s"),
        (State("taking", 1, 1, 0, 0, 2, True), "taking: 1 of 1 done, 2 s in all"),
        (State("taking", 99, 99, 0, 0, 0.3, True), "taking: 99 of 99 done, 0 s in all"),
        (State("taking", 2, 0, 2, 0, 600, True), "taking: 0 of 2 done, 2 running, 10 min in all"),
    ],
)
def test_what_a_person_reads(given_state: State, words: str) -> None:
    assert _progress.text(given_state) == words


# Which states are worth a line.


@pytest.mark.parametrize(
    ("told", "now", "expected"),
    [
        # 5 % more, from the beginning or from the last line.
        (None, state(4, seconds=2), False),
        (None, state(5, seconds=2), True),
        (None, state(3, failed=2, seconds=2), True),
        (state(5, seconds=2), state(9, seconds=4), False),
        (state(5, seconds=2), state(10, seconds=4), True),
        # However fast it goes: two seconds between two lines.
        (state(5, seconds=2), state(50, seconds=3.9), False),
        # 10 s, where something has changed.
        (state(5, seconds=2), state(6, seconds=11.9), False),
        (state(5, seconds=2), state(6, seconds=12), True),
        (state(5, seconds=2), state(5, seconds=60), False),
        (state(5, seconds=2), state(4, failed=1, seconds=12), True),
        # A tenth of the time so far, where that is more.
        (state(5, seconds=1000), state(6, seconds=1100), False),
        (state(5, seconds=1000), state(6, seconds=1112), True),
        # All is finished: the end follows at once.
        (state(5, seconds=2), state(100, seconds=12), False),
        (state(5, seconds=2), state(100, seconds=2.1, ended=True), True),
        # What was told of another phase does not count.
        (state(100, seconds=50, ended=True), state(5, seconds=2), True),
        (State("removing", 100, 50, 0, 0, 50), state(5, seconds=2), True),
        # 5 % is less than one student: only the time counts.
        (None, state(3, total=19, seconds=9), False),
        (None, state(3, total=19, seconds=10), True),
        # One student.
        (None, State("taking", 1, 0, 1, 0, 60), False),
        (None, State("taking", 1, 1, 0, 0, 60, True), True),
    ],
)
def test_whether_a_state_is_worth_a_line(told: State | None, now: State, expected: bool) -> None:
    assert due(told, now) == expected


def lines(every: list[State]) -> list[State]:
    told: list[State] = []
    for one in every:
        if due(told[-1] if told else None, one):
            told.append(one)
    return told


@given(st.integers(1, 1000), st.floats(0.01, 36000))
def test_a_phase_of_any_length_has_few_lines_and_its_end(total: int, seconds: float) -> None:
    steps = [State("taking", total, done, 1, 0, seconds * done / total) for done in range(total)]
    told = lines([*steps, State("taking", total, total, 0, 0, seconds, True)])
    assert told[-1].ended
    # 20 for each 5 %, and for the time those of a pause that grows: ten hours have 42.
    assert len(told) <= 21 + 42
    assert len(told) <= 2 + seconds / 2


def test_a_night_of_drills_has_tens_of_lines() -> None:
    every = [State("drilling", 1000, second // 10, 16, 0, second) for second in range(10000)]
    assert 20 <= len(lines(every)) <= 60
