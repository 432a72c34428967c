"""The exporter with Google's own client library against the Drive emulator."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools.drive import client as client_module
from coursehub_tools.drive import state as state_module
from coursehub_tools.drive import upload
from coursehub_tools.drive.client import Client
from coursehub_tools.drive.state import State

from tests.integration.drive import ALL, ROOT, Emulator, emulator
from tests.integration.exporting import FOLDER, Student, run
from tests.unit.images.tools.trees import before, describe, fill, in_child, killed_at_each_step

BLOCK = 256 * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("drive")) as process:
        yield process


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once: how long they wait is tested without a Drive."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(client_module, "backoff", lambda _tries, _wanted: 0.01)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SMALL", BLOCK)
    monkeypatch.setattr(upload, "CHUNK", BLOCK)


@pytest.fixture
def drive(running: Emulator) -> Iterator[Emulator]:
    """The emulator, with no faults and with its usual limits after each test."""
    limits = running.admin("GET", "/limits")
    running.admin("DELETE", "/counters")
    yield running
    running.admin("DELETE", "/faults")
    running.admin("PATCH", "/limits", **limits)


@pytest.fixture
def ada(drive: Emulator, tmp_path: Path, request: pytest.FixtureRequest) -> Student:
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name).lower()
    return Student(drive, tmp_path, name).enrol()


def expected(home: Path) -> dict[str, str | None]:
    """Return what Drive is to have of a home."""
    found: dict[str, str | None] = {}
    for name, (mode, _mtime, content) in describe(home).items():
        if mode.startswith("0o4"):
            found[os.fsdecode(name)] = None
        elif mode.startswith("0o10"):
            assert isinstance(content, bytes)
            found[os.fsdecode(name)] = hashlib.md5(content).hexdigest()
    return found


def homework(home: Path, files: int = 40) -> None:
    chance = random.Random(1)
    for number in range(files):
        path = home / f"week {number // 10}/task {number}.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(chance.randbytes(200 + number))


def test_all_that_is_in_a_home_comes_back_as_it_was(ada: Student) -> None:
    fill(ada.home)
    (ada.home / "large").write_bytes(random.Random(2).randbytes(upload.SMALL + 12345))
    result = ada.exported()
    assert (result["outcome"], result["uploaded_files"]) == ("complete", result["files"])
    assert ada.tree() == expected(ada.home)
    assert describe(ada.restored()) == describe(ada.home)


def test_times_are_kept_to_the_millisecond_and_types_are_told(ada: Student) -> None:
    (ada.home / "a.ipynb").write_text("{}", encoding="utf-8")
    os.utime(ada.home / "a.ipynb", ns=(0, 1_600_000_000_123_456_789))
    ada.exported()
    file = next(file for file in ada.files() if file["name"] == "a.ipynb")
    assert (file["modifiedTime"], file["mimeType"]) == ("2020-09-13T12:26:40.123Z", "application/x-ipynb+json")


def test_a_second_run_is_one_call_and_no_bytes(ada: Student) -> None:
    homework(ada.home)
    ada.exported()
    ada.drive.admin("DELETE", "/counters")
    result = ada.exported()
    assert (result["outcome"], result["calls"]) == ("unchanged", 1)
    assert ada.drive.uploaded() == 0
    assert ada.drive.calls("drive.files.get") == 1


def test_calls_are_in_proportion_to_what_was_changed(ada: Student) -> None:
    homework(ada.home, 100)
    ada.exported()
    (ada.home / "week 3/task 35.ipynb").write_bytes(b"solved")
    ada.drive.admin("DELETE", "/counters")
    result = ada.exported()
    assert (result["uploaded_files"], result["uploaded_bytes"]) == (1, 6)
    # One look, the file, the list.
    assert result["calls"] == 3
    assert ada.tree() == expected(ada.home)


def test_renames_are_renames(ada: Student) -> None:
    homework(ada.home)
    ada.exported()
    (ada.home / "week 1").rename(ada.home / "first week")
    (ada.home / "week 2/task 25.ipynb").rename(ada.home / "first week/moved.ipynb")
    result = ada.exported()
    assert (result["changed"], result.get("uploaded_files", 0)) == (2, 0)
    assert ada.tree() == expected(ada.home)


def test_what_is_gone_stays_until_it_is_pruned_into_the_bin(ada: Student) -> None:
    homework(ada.home)
    ada.exported()
    whole = ada.tree()
    shutil.rmtree(ada.home / "week 1")
    ada.exported()
    assert ada.tree() == whole
    assert describe(ada.restored()) == describe(ada.home)
    assert ada.exported(prune=True)["binned"] == 1
    assert ada.tree() == expected(ada.home)
    trashed = ada.client().files().list(q="trashed = true").execute()["files"]
    assert len(trashed) == 11


def test_the_state_may_be_lost(ada: Student) -> None:
    homework(ada.home)
    ada.exported()
    shutil.rmtree(ada.place / "state")
    ada.drive.admin("DELETE", "/counters")
    result = ada.exported()
    assert result.get("uploaded_files", 0) == 0
    assert ada.tree() == expected(ada.home)
    assert ada.exported()["outcome"] == "unchanged"


def test_the_state_may_be_lost_before_the_first_export_ends(ada: Student) -> None:
    homework(ada.home)
    error = {"status": 403, "reason": "domainPolicy"}
    ada.drive.admin("POST", "/faults", method="drive.files.create", identity=ada.email, nth=20, error=error)
    assert ada.export()["outcome"] == "stopped"
    shutil.rmtree(ada.place / "state")
    result = ada.exported()
    assert 0 < result["uploaded_files"] < 40
    assert ada.tree() == expected(ada.home)


def test_lists_that_are_late_make_nothing_twice(ada: Student) -> None:
    homework(ada.home)
    ada.exported()
    ada.drive.admin("PATCH", "/limits", listing_delay_s=3600)
    (ada.home / "new").write_text("new", encoding="utf-8")
    ada.exported()
    ada.exported(look=True)
    ada.drive.admin("PATCH", "/limits", listing_delay_s=0)
    assert ada.tree() == expected(ada.home)


def test_what_somebody_did_in_drive_is_put_right_when_it_is_looked_for(ada: Student) -> None:
    homework(ada.home)
    ada.exported()
    by_name = {file["name"]: file["id"] for file in ada.files()}
    files = ada.client().files()
    files.update(fileId=by_name["task 1.ipynb"], body={"trashed": True}).execute()
    files.delete(fileId=by_name["task 2.ipynb"]).execute()
    files.update(fileId=by_name["task 3.ipynb"], body={"name": "mine"}).execute()
    files.update(fileId=by_name["week 2"], body={"trashed": True}).execute()
    result = ada.exported(look=True)
    assert (result["uploaded_files"], result["changed"], result["made_folders"]) == (12, 1, 1)
    assert ada.tree() == expected(ada.home)


def test_a_folder_that_is_gone_in_drive_is_noticed_on_the_way(ada: Student) -> None:
    homework(ada.home)
    ada.exported()
    by_name = {file["name"]: file["id"] for file in ada.files()}
    ada.client().files().delete(fileId=by_name["week 2"]).execute()
    (ada.home / "week 2/new").write_text("new", encoding="utf-8")
    ada.exported()
    assert ada.tree() == expected(ada.home)


def test_an_export_that_was_removed_is_made_again(ada: Student) -> None:
    homework(ada.home, 5)
    ada.exported()
    top = next(file for file in ada.files() if file["name"] == ada.name)
    ada.client().files().update(fileId=top["id"], body={"trashed": True}).execute()
    ada.exported()
    assert ada.tree() == expected(ada.home)


# ---- killed


def steps_of(step: Callable[[], None]) -> None:
    """Let every line of the journal, and every call and its answer, be a step at which a kill may come."""
    before(State, ("_append", "finish"), step)
    once = Client._once

    def stepping(self: Client, *arguments: Any) -> Any:
        step()
        try:
            return once(self, *arguments)
        finally:
            step()

    Client._once = stepping  # type: ignore[method-assign]


def test_a_kill_at_any_step_of_the_first_export_is_no_harm(
    drive: Emulator, tmp_path: Path, small_chunks: None
) -> None:
    killed = 0

    def student() -> Student:
        one = Student(drive, tmp_path / str(killed), f"killed-{killed}", {"threads": 1}).enrol()
        (one.home / "a/b").mkdir(parents=True)
        (one.home / "a/small").write_bytes(b"small")
        (one.home / "a/b/large").write_bytes(random.Random(3).randbytes(2 * BLOCK + 100))
        return one

    ada = student()
    for _kill in killed_at_each_step(steps_of, lambda: assert_good(ada)):
        killed += 1
        ada.exported()
        assert ada.tree() == expected(ada.home)
        assert len(ada.files()) == len(expected(ada.home)) + 2
        ada = student()
    assert killed > 25
    assert ada.tree() == expected(ada.home)


def assert_good(ada: Student) -> None:
    ada.exported(prune=True)


def test_a_kill_at_any_step_of_a_later_export_is_no_harm(drive: Emulator, tmp_path: Path, small_chunks: None) -> None:
    killed = 0

    def student() -> Student:
        one = Student(drive, tmp_path / str(killed), f"later-{killed}", {"threads": 1}).enrol()
        for folder in ("old", "gone"):
            (one.home / folder).mkdir()
            (one.home / folder / "file").write_text(folder, encoding="utf-8")
        (one.home / "large").write_bytes(random.Random(4).randbytes(BLOCK + 100))
        (one.home / "moves").write_bytes(b"moves")
        one.exported()
        (one.home / "old").rename(one.home / "new")
        shutil.rmtree(one.home / "gone")
        (one.home / "moves").rename(one.home / "new/moved")
        (one.home / "large").write_bytes(random.Random(5).randbytes(2 * BLOCK + 7))
        return one

    ada = student()
    for _kill in killed_at_each_step(steps_of, lambda: assert_good(ada)):
        killed += 1
        ada.exported(prune=True)
        assert ada.tree() == expected(ada.home)
        assert len(ada.files()) == len(expected(ada.home)) + 2
        assert ada.exported(prune=True)["outcome"] == "unchanged"
        ada = student()
    assert killed > 25
    assert ada.tree() == expected(ada.home)
