"""The exporter with Google's own client library against the Drive emulator."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools import placing
from coursehub_tools.drive import __main__ as command
from coursehub_tools.drive import bundle, packing, upload
from coursehub_tools.drive import client as client_module
from coursehub_tools.drive import state as state_module
from coursehub_tools.drive.client import Client
from coursehub_tools.drive.reasons import REASONS, Treatment
from coursehub_tools.drive.state import State
from google.oauth2.credentials import Credentials

from tests.integration.drive import ALL, ROOT, Emulator, emulator
from tests.integration.exporting import CLIENT_SECRET, Student, run
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
    return Student(drive, tmp_path, f"ada-{zlib.crc32(request.node.name.encode())}").enrol()


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
    odd = ("it's", 'a "b" \\', " spaces ", "e\u0301", "\u00e9", "Case", "case", "100%", "%41", "a\u2028b", "\x85")
    for name in odd:
        (ada.home / name).write_text(name, encoding="utf-8")
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


def test_two_states_that_were_both_stopped_half_way_make_nothing_twice(ada: Student) -> None:
    homework(ada.home, 30)
    ada.options = {"threads": 1}
    states = [str(ada.place / f"state-{number}") for number in range(2)]
    error = {"status": 403, "reason": "domainPolicy"}
    for state in (*states, *states):
        ada.drive.admin("POST", "/faults", method="drive.files.create", identity=ada.email, nth=4, error=error)
        assert ada.export(state=state)["outcome"] == "stopped"
        ada.drive.admin("DELETE", "/faults")
    for state in states:
        ada.exported(state=state)
        assert ada.tree() == expected(ada.home)
        # The folder and the list of the export are no part of the home.
        assert len(ada.files()) == len(expected(ada.home)) + 2
        (ada.home / Path(state).name).write_text("more", encoding="utf-8")
    assert ada.exported(state=states[0])["outcome"] == "complete"
    assert ada.exported(state=states[0])["outcome"] == "unchanged"
    assert len(ada.files()) == len(expected(ada.home)) + 2


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


@pytest.mark.parametrize("and_then", ["nothing", "changes"])
def test_a_kill_at_any_step_of_the_first_export_is_no_harm(
    drive: Emulator, tmp_path: Path, small_chunks: None, and_then: str
) -> None:
    killed = 0

    def student() -> Student:
        one = Student(drive, tmp_path / str(killed), f"killed-{and_then}-{killed}", {"threads": 1}).enrol()
        (one.home / "a/b").mkdir(parents=True)
        (one.home / "a/small").write_bytes(b"small")
        (one.home / "a/b/large").write_bytes(random.Random(3).randbytes(2 * BLOCK + 100))
        return one

    students = [student()]
    for _kill in killed_at_each_step(steps_of, lambda: assert_good(students[-1])):
        ada, killed = students[-1], killed + 1
        if and_then == "changes":
            (ada.home / "a/small").unlink()
            (ada.home / "a/b/large").write_bytes(random.Random(6).randbytes(2 * BLOCK + 200))
            (ada.home / "a/b").rename(ada.home / "a/c")
        ada.exported(prune=True)
        assert ada.tree() == expected(ada.home)
        assert len(ada.files()) == len(expected(ada.home)) + 2
        assert ada.exported(prune=True)["outcome"] == "unchanged"
        students.append(student())
    assert killed > 25
    assert students[-1].tree() == expected(students[-1].home)


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

    students = [student()]
    for _kill in killed_at_each_step(steps_of, lambda: assert_good(students[-1])):
        ada, killed = students[-1], killed + 1
        ada.exported(prune=True)
        assert ada.tree() == expected(ada.home)
        assert len(ada.files()) == len(expected(ada.home)) + 2
        assert ada.exported(prune=True)["outcome"] == "unchanged"
        students.append(student())
    assert killed > 25
    assert students[-1].tree() == expected(students[-1].home)


# ---- uploads that go on


def test_a_process_that_was_killed_goes_on_in_the_middle_of_a_file(
    drive: Emulator, ada: Student, small_chunks: None
) -> None:
    size = 20 * BLOCK + 5
    (ada.home / "large").write_bytes(random.Random(7).randbytes(size))

    def killed_in_the_middle() -> None:
        judge, calls = upload._Upload._judge, []

        def judging(self: Any, headers: dict[str, str], data: bytes) -> Any:
            calls.append(data)
            if len(calls) == 15:
                os.kill(os.getpid(), signal.SIGKILL)
            return judge(self, headers, data)

        upload._Upload._judge = judging  # type: ignore[method-assign]
        ada.export()

    assert in_child(killed_in_the_middle) == -signal.SIGKILL
    sent = drive.uploaded()
    ada.exported()
    # Not one block of it twice; the rest is the list.
    assert size <= drive.uploaded() < size + BLOCK
    assert sent > 10 * BLOCK
    assert ada.tree() == expected(ada.home)


def test_students_side_by_side_end_when_they_are_told_to_and_go_on(drive: Emulator, tmp_path: Path) -> None:
    students = [Student(drive, tmp_path / name, name).enrol() for name in ("side-1", "side-2", "side-3")]
    for one in students:
        homework(one.home, 12)
    drive.admin("POST", "/faults", method="drive.files.create", identity="side-*", nth=10, times=0, delay_s=10)
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"students": [one.values() for one in students]}), encoding="utf-8")
    ours = subprocess.Popen(
        [
            *(sys.executable, "-m", "coursehub_tools.drive", "export", "--drive-address", drive.url),
            "--request",
            request,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "images/tools"), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # All of them are at work: none is done with what was let through, which is nine things of forty-eight.
    while drive.calls("drive.files.create") < 12:
        assert ours.poll() is None
        time.sleep(0.01)
    ours.terminate()
    said = ours.communicate(timeout=120)[0]
    assert ours.returncode == 128 + signal.SIGTERM, said
    assert "Traceback" not in said
    drive.admin("DELETE", "/faults")
    assert outcomes(students) == ["complete"] * 3
    for one in students:
        assert one.tree() == expected(one.home)


@pytest.mark.parametrize("fault", [{"expire_session": True}, {"error": {"status": 410, "reason": "gone"}}])
def test_a_session_that_has_expired_starts_that_file_anew(
    drive: Emulator, ada: Student, small_chunks: None, fault: dict[str, Any]
) -> None:
    (ada.home / "large").write_bytes(random.Random(8).randbytes(5 * BLOCK))
    drive.admin("POST", "/faults", method="media.chunk", identity=ada.email, nth=4, **fault)
    ada.exported()
    assert ada.tree() == expected(ada.home)


@pytest.mark.parametrize("cut", [0, 1000, BLOCK + 1000])
def test_a_cut_connection_is_no_matter(
    drive: Emulator, ada: Student, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(upload, "SMALL", BLOCK)
    monkeypatch.setattr(upload, "CHUNK", 2 * BLOCK)
    (ada.home / "large").write_bytes(random.Random(9).randbytes(5 * BLOCK))
    (ada.home / "small").write_bytes(b"small")
    for method in ("media.chunk", "drive.files.create"):
        drive.admin("POST", "/faults", method=method, identity=ada.email, nth=2, cut_after_bytes=cut)
    ada.exported()
    assert ada.tree() == expected(ada.home)


def test_a_content_that_changes_meanwhile_is_named_and_not_sent(
    drive: Emulator, ada: Student, monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    (ada.home / "large").write_bytes(random.Random(8).randbytes(5 * BLOCK))
    (ada.home / "other").write_text("other", encoding="utf-8")
    judge = upload._Upload._judge

    def judging(self: Any, headers: dict[str, str], data: bytes) -> Any:
        with (ada.home / "large").open("ab") as file:
            file.write(b"more")
        return judge(self, headers, data)

    monkeypatch.setattr(upload._Upload, "_judge", judging)
    result = ada.export()
    assert (result["outcome"], result["problems_count"]) == ("complete", 1)
    assert "'large': it was changed while it was exported: export from a snapshot" in result["problems"][0]
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    ada.exported()
    assert ada.tree() == expected(ada.home)


def test_what_arrives_as_something_else_is_named_and_sent_again(
    drive: Emulator, ada: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    homework(ada.home, 3)
    good = upload.MediaIoBaseUpload

    def damaging(data: io.BytesIO, kind: str, **more: Any) -> Any:
        content = data.read()
        return good(io.BytesIO(content[:-1] + b"?" if len(content) == 201 else content), kind, **more)

    monkeypatch.setattr(upload, "MediaIoBaseUpload", damaging)
    result = ada.export()
    assert result["problems"] == [
        "'week 0/task 1.ipynb': what Drive has differs from what was sent: run this again, which sends it anew"
    ]
    monkeypatch.setattr(upload, "MediaIoBaseUpload", good)
    assert ada.exported()["uploaded_files"] == 1
    assert ada.tree() == expected(ada.home)


def test_memory_is_bounded_whatever_the_size(drive: Emulator, ada: Student) -> None:
    with (ada.home / "sparse").open("wb") as file:
        file.truncate(192 << 20)
    # Chunks of 8 MiB, twice on their way, and what Google's library brings along.
    assert peak_mib(drive, [ada], threads=1) < 40
    assert drive.uploaded() > 192 << 20


def test_memory_is_bounded_whatever_the_number_of_students(drive: Emulator, tmp_path: Path) -> None:
    students = [Student(drive, tmp_path / str(number), f"large-{number}").enrol() for number in range(8)]
    for one in students:
        for number in range(4):
            with (one.home / f"sparse {number}").open("wb") as file:
                file.truncate(upload.CHUNK + 1)
    assert peak_mib(drive, students, threads=32) < 16 * 16 + 40


def peak_mib(drive: Emulator, students: list[Student], **more: Any) -> int:
    """Return what an export of these takes at most, beside what its process has from the beginning."""
    request = students[0].place / "request.json"
    request.write_text(json.dumps({"students": [one.values(**more) for one in students]}), encoding="utf-8")
    # Of this process alone: what getrusage tells was its parent's before.
    code = (
        "import sys; from pathlib import Path; from coursehub_tools.drive import __main__ as command; "
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]); "
        "before = peak(); code = command.main(sys.argv[1:]); print((peak() - before) // 1024); sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "export", "--drive-address", drive.url, "--request", str(request)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "images/tools"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    return int(ended.stdout.splitlines()[-1])


# ---- refusals


def test_a_revoked_consent_stops_one_student_and_no_other(drive: Emulator, tmp_path: Path) -> None:
    students = [Student(drive, tmp_path / name, name).enrol() for name in ("revoked-1", "fine", "revoked-2")]
    for one in students:
        homework(one.home, 3)
    for one in (students[0], students[2]):
        drive.admin("POST", "/revoke", user=one.email)
    results = run(drive, tmp_path, "export", [one.values() for one in students])
    assert {name: one["outcome"] for name, one in results.items()} == {
        "revoked-1": "stopped",
        "fine": "complete",
        "revoked-2": "stopped",
    }
    assert results["revoked-1"]["treatment"] == "consent"
    assert "revoked-1: " in results["revoked-1"]["failed"]
    assert "ask the student to allow the export again" in results["revoked-1"]["failed"]
    students[0].consent()
    students[0].exported()
    assert students[0].tree() == expected(students[0].home)


def test_a_full_drive_stops_the_student_who_goes_on_when_there_is_room(drive: Emulator, tmp_path: Path) -> None:
    ada = Student(drive, tmp_path, "full").enrol(storage_bytes=5000)
    homework(ada.home)
    result = ada.export()
    assert (result["outcome"], result["reason"]) == ("stopped", "storageQuotaExceeded")
    assert "full: " in result["failed"]
    assert "have its owner make room" in result["remedy"]
    drive.admin("POST", "/users", email=ada.email)
    assert ada.exported()["uploaded_files"] == 40 - result["uploaded_files"]
    assert ada.tree() == expected(ada.home)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "userRateLimitExceeded"), (403, "rateLimitExceeded"), (429, "rateLimitExceeded"), (500, "internalError"),
     (502, ""), (503, "backendError"), (504, "")],
)  # fmt: skip
def test_what_passes_is_tried_again(drive: Emulator, ada: Student, status: int, reason: str) -> None:
    homework(ada.home, 5)
    (ada.home / "large").write_bytes(b"x" * (upload.SMALL + 1))
    for method in ("drive.files.create", "drive.files.generateIds", "media.chunk", "drive.files.list"):
        for after in (False, True):
            error = {"status": status, "reason": reason or "unknown"}
            drive.admin("POST", "/faults", method=method, identity=ada.email, nth=1, times=2, error=error, after=after)
    ada.exported()
    assert ada.tree() == expected(ada.home)


# What comes with another status than 403, and what comes when a token is asked for.
STATUSES = {
    "authError": 401,
    "required": 401,
    "notFound": 404,
    "fileIdInUse": 409,
    "uploadTooLarge": 413,
    "internalError": 500,
    "backendError": 503,
    "transientError": 503,
}
OF_TOKENS = (
    "temporarily_unavailable",
    "invalid_grant",
    "unauthorized_client",
    "invalid_client",
    "access_denied",
    "invalid_scope",
    "admin_policy_enforced",
)
PASSING = (Treatment.RETRY, Treatment.LOOK, Treatment.EXISTS, Treatment.FILE)


@pytest.mark.parametrize("reason", [one for one, rule in REASONS.items() if rule.treatment not in PASSING])
def test_what_does_not_pass_stops_with_what_to_do(drive: Emulator, ada: Student, reason: str) -> None:
    homework(ada.home, 5)
    method, identity, nth = ("oauth.token", "-", 1) if reason in OF_TOKENS else ("drive.files.create", ada.email, 3)
    status = 400 if reason in OF_TOKENS else STATUSES.get(reason, 403)
    error = {"status": status, "reason": reason}
    drive.admin("POST", "/faults", method=method, identity=identity, nth=nth, times=0, error=error)
    result = ada.export()
    treatment = REASONS[reason].treatment
    assert result["treatment"] == treatment.value
    assert result["outcome"] == ("paused" if treatment is Treatment.DAY else "stopped")
    assert result["reason"] == reason
    assert result["failed"].startswith(f"{ada.name}: Drive refuses with ")
    assert result["failed"].endswith(REASONS[reason].remedy)
    drive.admin("DELETE", "/faults")
    ada.exported()
    assert ada.tree() == expected(ada.home)


@pytest.mark.parametrize("reason", [one for one, rule in REASONS.items() if rule.treatment in PASSING])
def test_what_passes_or_strikes_one_file_stops_nobody(drive: Emulator, ada: Student, reason: str) -> None:
    homework(ada.home, 5)
    token = reason in OF_TOKENS
    error = {"status": 400 if token else STATUSES.get(reason, 403), "reason": reason}
    strike = {"method": "oauth.token", "identity": "-"} if token else {"method": "drive.files.create"}
    exists = REASONS[reason].treatment is Treatment.EXISTS
    # The 4th is a file, after the top and two folders.
    drive.admin("POST", "/faults", **strike, nth=1 if token else 4, error=error, after=exists)
    result = ada.export()
    struck = REASONS[reason].treatment is Treatment.FILE
    assert (result["outcome"], result["problems_count"], result["failed"]) == ("complete", int(struck), "")
    assert drive.admin("GET", "/faults")["faults"][0]["struck"] == 1
    if struck:
        ada.exported()
    assert ada.tree() == expected(ada.home)


def test_a_reason_that_nobody_has_heard_of_stops_the_student(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 5)
    error = {"status": 403, "reason": "neverHeardOf"}
    drive.admin("POST", "/faults", method="drive.files.create", identity=ada.email, nth=3, times=0, error=error)
    result = ada.export()
    assert (result["outcome"], result["treatment"]) == ("stopped", "student")
    assert result["failed"].startswith(f"{ada.name}: Drive refuses with 403 neverHeardOf")


def test_the_bytes_of_a_day_pause_the_student(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 5)
    drive.admin("PATCH", "/limits", day_upload_bytes=500)
    result = ada.export()
    assert (result["outcome"], result["treatment"]) == ("paused", "day")
    assert result["until"] > "2000"
    drive.admin("PATCH", "/limits", day_upload_bytes=10**9)
    ada.exported()
    assert ada.tree() == expected(ada.home)


def test_the_bytes_of_a_day_are_counted_so_that_drive_need_not_refuse(drive: Emulator, tmp_path: Path) -> None:
    students = [Student(drive, tmp_path / name, name).enrol() for name in ("day-1", "day-2")]
    for one in students:
        homework(one.home, 5)
        one.options = {"credentials": str(students[0].key)}
    # It leaves as much of the day as three of the others have; none of them is a hundredth of it.
    (students[0].home / "0").write_bytes(bytes(49300))
    values = [one.values() for one in students]
    results = run(drive, tmp_path, "export", values, bytes_per_day=50000, threads=1)
    assert [results[one.name]["outcome"] for one in students] == ["paused", "paused"]
    assert "by our own count: this run's share of the bytes" in results["day-1"]["failed"]
    assert (results["day-1"]["uploaded_files"], results["day-2"]["calls"]) == (4, 0)


def test_a_file_that_no_day_has_room_for_is_named_and_nobody_waits_for_it(drive: Emulator, tmp_path: Path) -> None:
    students = [Student(drive, tmp_path / name, name).enrol() for name in ("sparse-1", "sparse-2")]
    for one in students:
        homework(one.home, 5)
        one.options = {"credentials": str(students[0].key)}
    with (students[0].home / "sparse").open("wb") as file:
        file.truncate(200 << 30)
    results = run(drive, tmp_path, "export", [one.values() for one in students], bytes_per_day=100 << 30)
    assert [results[one.name]["outcome"] for one in students] == ["complete", "complete"]
    (problem,) = results["sparse-1"]["problems"]
    assert "'sparse': 214748364800 bytes are more than" in problem


def test_folders_below_the_hundredth_are_named(drive: Emulator, ada: Student) -> None:
    drive.admin("PATCH", "/limits", depth=5)
    (ada.home / "1/2/3/4/5/6").mkdir(parents=True)
    (ada.home / "1/2/3/4/5/6/file").write_text("deep", encoding="utf-8")
    result = ada.export()
    assert (result["outcome"], result["problems_count"]) == ("complete", 3)
    assert "bundle: always" in result["problems"][0]
    assert describe(ada.restored()) != describe(ada.home)
    ada.exported(bundle="always")
    assert describe(ada.restored()) == describe(ada.home)


def test_the_pace_is_kept_so_that_nothing_is_refused(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 20)
    drive.admin("PATCH", "/limits", user_writes_per_second=60, user_units_per_minute=60 * 6000)
    began = time.monotonic()
    ada.exported(writes_per_second=50)
    # The top, 2 folders, 20 files and the list: 23 waits, none shorter for a machine that is busy.
    assert time.monotonic() - began >= 23 / 50
    assert {row["status"] for row in drive.admin("GET", "/counters")["answers"]} == {200}


# ---- whose the files are


def test_a_shared_drive_has_the_exports_of_a_course(drive: Emulator, tmp_path: Path) -> None:
    teacher = drive.user("teacher@example.org")
    shared = teacher.drives().create(requestId="course", body={"name": "Course"}).execute()["id"]
    info = drive.service_account("exports@course.iam.gserviceaccount.com", app="course")
    students = [Student(drive, tmp_path / name, name).enrol() for name in ("in-shared-1", "in-shared-2")]
    for one in students:
        homework(one.home, 12)
        one.key.write_text(json.dumps(info), encoding="utf-8")
        one.options = {"folder": shared, "credentials": str(students[0].key)}
    results = run(drive, tmp_path, "check", [one.values() for one in students])
    assert "Drive has no folder" in results["in-shared-1"]["failed"]
    member = {"type": "user", "role": "reader", "emailAddress": info["client_email"]}
    made = teacher.permissions().create(fileId=shared, body=member, sendNotificationEmail=False, **ALL).execute()
    results = run(drive, tmp_path, "check", [one.values() for one in students])
    assert "may not make files in Drive's folder" in results["in-shared-1"]["failed"]
    role = {"role": "fileOrganizer"}
    teacher.permissions().update(fileId=shared, permissionId=made["id"], body=role, **ALL).execute()
    results = run(drive, tmp_path, "check", [one.values() for one in students])
    assert results["in-shared-1"]["outcome"] == "ready"
    results = run(drive, tmp_path, "export", [one.values() for one in students])
    assert {one["outcome"] for one in results.values()} == {"complete"}
    # For each of two: the top, 2 folders, 12 files and the list.
    assert students[0].run("count")["items"] == 32
    for one in students:
        assert describe(one.restored()) == describe(one.home)
        assert one.run("verify")["verdict"] == "proven"
        (one.home / "week 0").rename(one.home / "first")
        shutil.rmtree(one.home / "week 1")
        assert one.exported(prune=True)["calls"] == 4


@pytest.fixture
def class_of_three(drive: Emulator, tmp_path: Path) -> list[Student]:
    """Students whose homes are in a shared drive, with nothing changed since."""
    teacher = drive.user("teacher3@example.org")
    shared = teacher.drives().create(requestId=tmp_path.name, body={"name": "Class"}).execute()["id"]
    info = drive.service_account("class@course.iam.gserviceaccount.com", app="course")
    member = {"type": "user", "role": "fileOrganizer", "emailAddress": info["client_email"]}
    teacher.permissions().create(fileId=shared, body=member, sendNotificationEmail=False, **ALL).execute()
    key = tmp_path / "key.json"
    key.write_text(json.dumps(info), encoding="utf-8")
    options = {"folder": shared, "credentials": str(key)}
    students = [Student(drive, tmp_path / name, name, options).enrol() for name in ("one", "two", "three")]
    for one in students:
        homework(one.home, 12)
    assert outcomes(students) == ["complete"] * 3
    return students


def outcomes(students: list[Student], **more: Any) -> list[str]:
    one = students[0]
    results = run(one.drive, one.place.parent, "export", [student.values(**more) for student in students])
    return [results[student.name]["outcome"] for student in students]


def calls_since(drive: Emulator) -> dict[str, int]:
    """Return the calls by method since the counters were last looked at."""
    counts: dict[str, int] = {}
    for row in drive.admin("DELETE", "/counters")["calls"]:
        counts[row["method"]] = counts.get(row["method"], 0) + row["count"]
    return counts


def test_of_students_to_whom_nothing_happened_all_is_one_call(class_of_three: list[Student], drive: Emulator) -> None:
    drive.admin("DELETE", "/counters")
    assert outcomes(class_of_three) == ["unchanged"] * 3
    assert calls_since(drive) == {"oauth.token": 1, "drive.files.list": 1}
    # Who is to look into Drive looks.
    outcomes(class_of_three, look=True)
    assert calls_since(drive)["drive.files.list"] == 3


def test_who_has_something_to_send_asks_for_the_own_list_first(class_of_three: list[Student], drive: Emulator) -> None:
    (class_of_three[1].home / "week 0" / "new.txt").write_text("new", encoding="utf-8")
    drive.admin("DELETE", "/counters")
    assert outcomes(class_of_three) == ["unchanged", "complete", "unchanged"]
    calls = calls_since(drive)
    assert (calls["drive.files.list"], calls["drive.files.get"]) == (1, 1)
    assert (calls["drive.files.create"], calls["drive.files.update"]) == (1, 1)


def test_a_list_of_lists_that_is_late_is_not_believed(class_of_three: list[Student], drive: Emulator) -> None:
    drive.admin("PATCH", "/limits", listing_delay_s=3600)
    (class_of_three[1].home / "week 0" / "new.txt").write_text("new", encoding="utf-8")
    assert outcomes(class_of_three) == ["unchanged", "complete", "unchanged"]
    # In the list there is still the one from before.
    drive.admin("DELETE", "/counters")
    assert outcomes(class_of_three) == ["unchanged"] * 3
    assert calls_since(drive) == {"oauth.token": 1, "drive.files.list": 1, "drive.files.get": 1}


def test_an_export_that_went_into_the_bin_is_noticed_in_the_list_of_lists(
    class_of_three: list[Student], drive: Emulator
) -> None:
    one = class_of_three[2]
    top = State(one.place / "state" / one.name)
    assert top.header is not None
    token = drive.token("teacher3@example.org", app="course")
    client = drive.client(Credentials(token=token))
    client.files().update(fileId=top.header.top, body={"trashed": True}, **ALL).execute()
    top.close()
    assert outcomes(class_of_three) == ["unchanged", "unchanged", "complete"]


def test_a_full_shared_drive_stops_all_who_go_there(drive: Emulator, tmp_path: Path) -> None:
    teacher = drive.user("teacher2@example.org")
    shared = teacher.drives().create(requestId="full", body={"name": "Full"}).execute()["id"]
    info = drive.service_account("full@course.iam.gserviceaccount.com", app="course")
    member = {"type": "user", "role": "fileOrganizer", "emailAddress": info["client_email"]}
    teacher.permissions().create(fileId=shared, body=member, sendNotificationEmail=False, **ALL).execute()
    students = [Student(drive, tmp_path / name, name, {"folder": shared}).enrol() for name in ("items-1", "items-2")]
    for one in students:
        homework(one.home, 12)
        one.key.write_text(json.dumps(info), encoding="utf-8")
        one.options["credentials"] = str(students[0].key)
    drive.admin("PATCH", "/limits", drive_items=8)
    results = run(drive, tmp_path, "export", [one.values() for one in students])
    assert [results[one.name]["treatment"] for one in students] == ["drive", "drive"]
    assert results["items-2"]["calls"] == 0


def test_delegation_exports_into_the_students_own_drive(drive: Emulator, ada: Student) -> None:
    info = drive.service_account("delegate@course.iam.gserviceaccount.com", app="export", delegated=["drive.file"])
    ada.key.write_text(json.dumps(info), encoding="utf-8")
    ada.options = {"subject": ada.email}
    homework(ada.home, 12)
    ada.exported()
    assert ada.tree() == expected(ada.home)
    drive.service_account("delegate@course.iam.gserviceaccount.com", app="export")
    drive.admin("POST", "/revoke", user=info["client_email"])
    result = ada.export()
    assert (result["outcome"], result["treatment"]) == ("stopped", "consent")


def test_no_secret_is_told(
    drive: Emulator, ada: Student, capfd: pytest.CaptureFixture[str], small_chunks: None
) -> None:
    secrets = [
        ada.key.read_text(encoding="utf-8").split('"refresh_token": "')[1].split('"')[0],
        "upload_id",
        CLIENT_SECRET,
    ]
    (ada.home / "large").write_bytes(b"x" * (3 * BLOCK))
    drive.admin(
        "POST", "/faults", method="media.chunk", identity=ada.email, nth=2, error={"status": 403, "reason": "x"}
    )
    ada.export()
    drive.admin("POST", "/revoke", user=ada.email)
    ada.export()
    told = "".join(capfd.readouterr()) + "".join(
        path.read_text(encoding="utf-8") for path in (ada.place / "results").iterdir()
    )
    assert ada.name in told
    assert not [secret for secret in secrets if secret in told]
    journal = ada.place / "state" / ada.name / state_module.JOURNAL
    assert "upload_id" in journal.read_text(encoding="utf-8")
    assert journal.stat().st_mode & 0o777 == 0o600


# ---- bundles, rules, the way back


def test_many_tiny_files_go_as_one_and_come_back(drive: Emulator, ada: Student) -> None:
    (ada.home / "keep").mkdir()
    fill(ada.home / "keep")
    tiny = ada.home / "logs"
    for number in range(150):
        path = tiny / str(number % 7) / f"log {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"line\n" * number)
    (tiny / "link").symlink_to("0")
    (tiny / "0").chmod(0o700)
    result = ada.exported(bundle="auto")
    assert result["calls"] < 40
    assert "logs.bundle.zip" in ada.tree()
    assert describe(ada.restored()) == describe(ada.home)
    assert ada.run("verify")["verdict"] == "proven"
    assert ada.exported(bundle="auto")["outcome"] == "unchanged"
    (tiny / "1/log 1").write_text("changed", encoding="utf-8")
    assert ada.exported(bundle="auto")["calls"] == 3
    assert describe(ada.restored()) == describe(ada.home)
    tiny.rename(ada.home / "logbook")
    result = ada.exported(bundle="auto")
    assert (result["calls"], result.get("uploaded_files", 0)) == (3, 0)
    assert describe(ada.restored()) == describe(ada.home)


def test_a_folder_that_there_is_no_room_to_pack_fails_the_student(
    ada: Student, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    homework(ada.home)
    places: list[str] = []

    def full(_home: int, _action: Any, zipped: Any) -> Any:
        places.append(str(Path(f"/proc/self/fd/{zipped.fileno()}").readlink()))
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "scratch").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(packing, "_write", full)
        patched.setattr(packing.tempfile, "tempdir", str(tmp_path / "scratch"))
        result = ada.export(bundle="always")
    # Not beside the states, which have 1 GiB for all students of a slot.
    assert {Path(one).parent for one in places} == {tmp_path / "scratch"}
    assert (result["outcome"], result["problems"]) == ("failed", [])
    assert "there is no room for 'week " in result["failed"]
    assert ada.exported(bundle="always")["outcome"] == "complete"


def test_what_was_exported_by_itself_is_not_forgotten_when_it_is_bundled(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 12)
    ada.exported()
    ada.exported(bundle="always")
    assert ada.exported(bundle="always")["outcome"] == "unchanged"
    assert describe(ada.restored()) == describe(ada.home)
    assert set(ada.tree()) > {"week 0", "week 0.bundle.zip", "week 0/task 1.ipynb"}
    assert ada.exported(bundle="always", prune=True)["binned"] == 2
    assert set(ada.tree()) == {"week 0.bundle.zip", "week 1.bundle.zip"}
    assert describe(ada.restored()) == describe(ada.home)
    ada.exported(bundle="never", prune=True)
    assert ada.tree() == expected(ada.home)


def test_what_is_left_out_by_rules(drive: Emulator, ada: Student) -> None:
    for path in ("a/.ipynb_checkpoints/b", "venv/lib/c", "data/big.csv", "data/keep.csv", "d.tmp", "e.pyc"):
        (ada.home / path).parent.mkdir(parents=True, exist_ok=True)
        (ada.home / path).write_text(path, encoding="utf-8")
    (ada.home / ".driveignore").write_text("*.csv\n!keep.csv\n" + "*a" * 9 + "\n", encoding="utf-8")
    result = ada.export(exclude=["*.tmp"])
    assert set(ada.tree()) == {".driveignore", "a", "data", "data/keep.csv", "e.pyc"}
    assert result["ignored"] == 4
    assert "more than 3 stars" in result["problems"][0]


def test_verify_finds_what_is_not_as_it_should_be_and_the_next_export_mends_it(drive: Emulator, ada: Student) -> None:
    homework(ada.home)
    assert "no complete export" in ada.run("verify")["failed"]
    ada.exported()
    good = ada.run("verify", sample=5)
    assert (good["verdict"], good["checked"], good["sampled"], good["failed"]) == ("proven", 44, 5, "")
    by_name = {file["name"]: file["id"] for file in ada.files()}
    files = ada.client().files()
    files.update(fileId=by_name["task 1.ipynb"], body={"trashed": True}).execute()
    other = upload.MediaIoBaseUpload(io.BytesIO(b"other"), "text/plain")
    files.update(fileId=by_name["task 2.ipynb"], media_body=other).execute()
    files.update(fileId=by_name["task 3.ipynb"], body={"name": "x"}).execute()
    bad = ada.run("verify")
    assert (bad["missing_count"], bad["differing_count"], bad["moved_count"]) == (1, 1, 1)
    assert "task 1.ipynb" in bad["failed"]
    assert "is not in Drive as" in ada.run("import", disk=str(empty(ada)))["failed"]
    assert list(empty(ada).iterdir()) == []
    ada.exported()
    assert ada.run("verify")["verdict"] == "proven"
    assert ada.tree() == expected(ada.home)


def empty(ada: Student) -> Path:
    disk = ada.place / "empty"
    disk.mkdir(exist_ok=True)
    return disk


def test_what_there_is_comes_back_when_the_home_was_lost_too_soon(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 20)
    (ada.home / "logs").mkdir()
    (ada.home / "logs/1").write_text("one", encoding="utf-8")
    (ada.home / "link").symlink_to("nowhere")
    refusal = {"status": 403, "reason": "domainPolicy"}
    drive.admin("POST", "/faults", method="drive.files.create", identity=ada.email, nth=15, times=0, error=refusal)
    assert ada.export()["outcome"] == "stopped"
    drive.admin("DELETE", "/faults")
    assert "no complete export" in ada.run("import", disk=str(empty(ada)))["failed"]
    result = ada.run("import", disk=str(empty(ada)), partial=True)
    assert (result["failed"], result["files"]) == ("", 15 - 1 - 4)
    assert set(expected(empty(ada)).items()) <= set(expected(ada.home).items())
    shutil.rmtree(empty(ada))
    # And from one list to the next, with a bundle.
    ada.exported(bundle="always")
    whole = describe(ada.home)
    (ada.home / "week 0/task 5.ipynb").write_text("new", encoding="utf-8")
    (ada.home / "logs/1").write_text("new", encoding="utf-8")
    os.utime(ada.home / "logs", ns=(0, 5))
    drive.admin("POST", "/faults", method="drive.files.update", identity=ada.email, nth=3, times=0, error=refusal)
    assert ada.export(bundle="always", threads=1)["outcome"] == "stopped"
    drive.admin("DELETE", "/faults")
    assert "import what there is" in ada.run("import", disk=str(empty(ada)))["failed"]
    result = ada.run("import", disk=str(empty(ada)), partial=True)
    assert result["failed"] == ""
    assert result["problems_count"] > 0
    assert describe(empty(ada)) == describe(ada.home)
    assert describe(empty(ada)) != whole


def test_an_import_overwrites_nothing(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 3)
    ada.exported()
    (empty(ada) / "mine").write_text("mine", encoding="utf-8")
    assert "is not empty, 'mine' is on it" in ada.run("import", disk=str(empty(ada)))["failed"]
    assert [path.name for path in empty(ada).iterdir()] == ["mine"]
    (empty(ada) / "mine").unlink()
    assert ada.run("import", disk=str(empty(ada)))["changed"] is True
    (empty(ada) / "week 0/task 1.ipynb").chmod(0o600)
    assert "is not empty" in ada.run("import", disk=str(empty(ada)))["failed"]


def test_an_import_that_was_killed_is_begun_again(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 12)
    (ada.home / "link").symlink_to("week 0")
    ada.exported()
    kills = 0

    def steps(step: Callable[[], None]) -> None:
        before(placing, ("make_file", "publish", "sync", "remove"), step)

    def work() -> None:
        assert ada.run("import", disk=str(empty(ada)))["failed"] == ""

    for _kill in killed_at_each_step(steps, work):
        kills += 1
        result = ada.run("import", disk=str(empty(ada)))
        assert (result["outcome"], result["files"]) == ("restored", 12)
        assert describe(empty(ada)) == describe(ada.home)
        assert ada.run("import", disk=str(empty(ada)))["changed"] is False
        shutil.rmtree(empty(ada))
    assert kills > 12
    assert describe(empty(ada)) == describe(ada.home)


def test_an_import_goes_on_after_faults(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 12)
    (ada.home / "large").write_bytes(random.Random(10).randbytes(9 << 20))
    ada.exported()
    for nth, fault in enumerate(({"cut_after_bytes": 100}, {"error": {"status": 503, "reason": "backendError"}}), 4):
        drive.admin("POST", "/faults", method="drive.files.get", identity=ada.email, nth=nth, **fault)
    assert describe(ada.restored()) == describe(ada.home)


@pytest.mark.parametrize("reason", ["cannotDownloadAbusiveFile", "downloadQuotaExceeded"])
def test_a_file_that_drive_does_not_give_is_named_and_all_others_come(
    drive: Emulator, ada: Student, reason: str
) -> None:
    homework(ada.home, 12)
    ada.exported()
    fault = {"method": "drive.files.get", "identity": ada.email, "error": {"status": 403, "reason": reason}}
    # The last of all that is asked for.
    drive.admin("POST", "/faults", **fault, nth=10_000)
    assert ada.run("import", disk=str(empty(ada)), threads=1)["failed"] == ""
    last = drive.admin("DELETE", "/faults")["faults"][0]["seen"]
    shutil.rmtree(empty(ada))
    drive.admin("POST", "/faults", **fault, nth=last)
    result = ada.run("import", disk=str(empty(ada)), threads=1)
    assert (result["outcome"], result["files"], result["problems_count"]) == ("restored", 11, 1)
    assert reason in result["problems"][0]
    there = describe(empty(ada))
    assert len(there) == len(describe(ada.home)) - 1
    assert set(there.items()) <= set(describe(ada.home).items())
    shutil.rmtree(empty(ada))
    drive.admin("DELETE", "/faults")
    drive.admin("POST", "/faults", **fault, nth=last)
    # It is asked for once more, with a person's word.
    result = ada.run("import", disk=str(empty(ada)), threads=1, acknowledge_abuse=True)
    assert result["problems_count"] == int(reason == "downloadQuotaExceeded")
    drive.admin("DELETE", "/faults")
    drive.admin("POST", "/faults", **fault, nth=10_000)
    assert ada.run("verify", sample=3, threads=1)["outcome"] == "proven"
    last = drive.admin("DELETE", "/faults")["faults"][0]["seen"]
    drive.admin("POST", "/faults", **fault, nth=last)
    result = ada.run("verify", sample=3, threads=1)
    assert (result["outcome"], result["sampled"], result["problems_count"]) == ("proven", 2, 1)


def test_a_folder_that_becomes_too_large_for_a_bundle_goes_in_parts_and_comes_back(
    ada: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ada.home)
    ada.exported(bundle="always")
    assert "course.bundle.zip" in {file["name"] for file in ada.files()}
    assert describe(ada.restored()) == describe(ada.home)
    monkeypatch.setattr(bundle, "MOST_BYTES", 64 << 10)
    (ada.home / "course/data").write_bytes(random.Random(3).randbytes(80 << 10))
    ada.exported(bundle="always")
    assert "week 1.bundle.zip" in {file["name"] for file in ada.files()}
    assert describe(ada.restored()) == describe(ada.home)
    assert ada.exported(bundle="always")["outcome"] == "unchanged"
    assert ada.run("verify")["outcome"] == "proven"
    ada.exported(bundle="always", prune=True)
    assert "course.bundle.zip" not in {file["name"] for file in ada.files()}
    assert describe(ada.restored()) == describe(ada.home)


def test_a_bundle_is_unpacked_by_one_command(drive: Emulator, ada: Student) -> None:
    fill(ada.home)
    ada.exported(bundle="always")
    file = next(file for file in ada.files() if file["name"] == "course.bundle.zip")
    (ada.place / "course.zip").write_bytes(ada.client().files().get_media(fileId=file["id"]).execute())
    assert command.main(["unbundle", str(ada.place / "course.zip"), str(empty(ada))]) == 0
    assert describe(empty(ada)) == describe(ada.home / "course")


# ---- all together


def test_students_are_exported_through_random_faults(drive: Emulator, tmp_path: Path) -> None:
    students = [Student(drive, tmp_path / name, name).enrol() for name in ("chance-1", "chance-2", "chance-3")]
    for number, one in enumerate(students):
        homework(one.home, 25 + number)
        (one.home / "large").write_bytes(random.Random(number).randbytes(upload.SMALL + 1 + number))
    faults: tuple[dict[str, Any], ...] = (
        {"error": {"status": 503, "reason": "backendError"}},
        {"error": {"status": 500, "reason": "internalError"}, "after": True},
        {"error": {"status": 403, "reason": "userRateLimitExceeded"}},
        {"cut_after_bytes": 50},
    )
    for turn in range(3):
        for seed, fault in enumerate(faults, turn * 10):
            drive.admin("POST", "/faults", identity="chance-*", probability=0.08, seed=seed, times=0, **fault)
        results = run(drive, tmp_path, "export", [one.values(prune=True) for one in students])
        assert {one["failed"] for one in results.values()} == {""}
        assert sum(one["problems_count"] for one in results.values()) == 0
        for one in students:
            assert one.run("verify")["verdict"] == "proven"
            assert describe(one.restored()) == describe(one.home)
        struck = drive.admin("DELETE", "/faults")["faults"]
        assert all(fault["struck"] for fault in struck)
        for one in students:
            assert one.tree() == expected(one.home)
            (one.home / f"week {turn}").rename(one.home / f"renamed {turn}")
            (one.home / f"renamed {turn}/task {turn * 10}.ipynb").write_text(f"new {turn}", encoding="utf-8")
            (one.home / f"new {turn}").write_text("new", encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_ended_is_gone_on_with_by_the_next(drive: Emulator, ada: Student, number: int) -> None:
    homework(ada.home)
    words = ["export", "--student", ada.name, "--credentials", str(ada.key), "--source", str(ada.home)]
    words += ["--state", str(ada.place / "state"), "--drive-address", drive.url]
    # Slow from the tenth on, so that it is ended in the middle.
    slow = {"identity": ada.email, "nth": 10, "times": 0, "delay_s": 10}
    drive.admin("POST", "/faults", method="drive.files.create", **slow)
    process = subprocess.Popen(
        [sys.executable, "-m", "coursehub_tools.drive", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "images/tools"), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while drive.calls("drive.files.create") < 10:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    said, _error = process.communicate(timeout=120)
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert said.splitlines()[-1] == "it was told to end before it was done: run it again, it goes on where it was"
    assert "Traceback" not in said
    drive.admin("DELETE", "/faults")
    assert ada.exported()["uploaded_files"] < 40
    assert ada.tree() == expected(ada.home)
    assert len(ada.files()) == len(expected(ada.home)) + 2


def test_a_new_disk_is_not_exported_over_what_a_lost_one_had(ada: Student) -> None:
    homework(ada.home, 12)
    ada.exported(new=True)
    before = {name: told[2] for name, told in describe(ada.home).items()}
    (ada.home / "week 1/task 11.ipynb").unlink()
    # The disk says now that it was exported.
    ada.exported()
    shutil.rmtree(ada.home)
    ada.home.mkdir()
    (ada.home / "begun anew").write_text("new", encoding="utf-8")
    for more in ({}, {"prune": True}, {"state": str(ada.place / "no state")}):
        result = ada.export(new=True, **more)
        assert result["outcome"] == "failed"
        assert "Drive has an export with 11 files that are not on it (first 'week 0/task" in result["failed"]
    assert {name: told[2] for name, told in describe(ada.restored(gone=True)).items()} == before
    top = next(file["id"] for file in ada.files() if file["name"] == ada.name)
    ada.client().files().update(fileId=top, body={"trashed": True}).execute()
    assert ada.exported(new=True)["uploaded_files"] == 1


def test_a_disk_whose_export_nobody_heard_of_is_no_new_one(ada: Student) -> None:
    homework(ada.home, 12)
    first = {"new": True, "disk_uid": "first"}
    ada.exported(**first)
    # What that told was lost, and so the disk says still that it was never exported.
    (ada.home / "week 1/task 11.ipynb").unlink()
    assert ada.exported(**first)["outcome"] == "complete"
    for more in ({"disk_uid": "second"}, {"disk_uid": ""}):
        (ada.home / "week 0/task 0.ipynb").unlink(missing_ok=True)
        result = ada.export(new=True, **more)
        assert "Drive has an export with 1 files that are not on it" in result["failed"]
    # Who was refused has begun nothing: the empty disk is still a new one.
    assert ada.export(new=True, disk_uid="second")["outcome"] == "failed"


def test_what_was_mirrored_away_comes_back(ada: Student) -> None:
    homework(ada.home, 12)
    (ada.home / "logs").mkdir()
    (ada.home / "logs/one").write_text("line", encoding="utf-8")
    ada.exported(bundle="always")
    before = describe(ada.home)
    shutil.rmtree(ada.home)
    ada.home.mkdir()
    # This has the place of a folder now.
    (ada.home / "logs").write_text("a file", encoding="utf-8")
    ada.exported(bundle="always")
    assert describe(ada.restored()) == describe(ada.home)
    wanted = {name: told for name, told in before.items() if not name.startswith(b"logs")}
    for more in ({}, {"partial": True}):
        found = describe(ada.restored(gone=True, **more))
        assert found.pop(b"logs") == describe(ada.home)[b"logs"]
        assert found == wanted


def test_two_courses_have_an_export_each(ada: Student) -> None:
    """One Drive of their own, one app: what tells the exports apart is what they are called."""
    homework(ada.home, 5)
    ada.exported(name="algebra")
    logic = ada.place / "logic"
    logic.mkdir()
    (logic / "proof").write_text("q.e.d.", encoding="utf-8")
    other = {"source": str(logic), "name": "logic"}
    result = ada.exported(**other, state=str(ada.place / "other state"), prune=True)
    assert (result["uploaded_files"], result.get("binned", 0)) == (1, 0)
    assert describe(ada.restored(name="algebra")) == describe(ada.home)
    assert describe(ada.restored(name="logic")) == describe(logic)
    assert describe(ada.restored(name="logic", partial=True)) == describe(logic)
    assert ada.run("verify", name="logic", state=str(ada.place / "no state"))["checked"] == 1
    # A state that was lost is no other course.
    assert ada.exported(**other, state=str(ada.place / "third state")).get("uploaded_files", 0) == 0


def test_a_new_export_is_proven_although_lists_are_late(ada: Student) -> None:
    homework(ada.home, 5)
    ada.drive.admin("PATCH", "/limits", listing_delay_s=3600)
    ada.exported()
    assert ada.run("verify")["verdict"] == "proven"
    (ada.home / "new").write_text("new", encoding="utf-8")
    ada.exported()
    assert ada.run("verify")["checked"] == 7


def test_another_folder_gets_an_export_of_its_own(drive: Emulator, ada: Student) -> None:
    homework(ada.home, 5)
    ada.exported()
    body = {"name": "other place", "mimeType": "application/vnd.google-apps.folder"}
    other = ada.client().files().create(body=body).execute()["id"]
    ada.options = {"folder": other}
    assert ada.exported()["uploaded_files"] == 5
    assert ada.exported()["outcome"] == "unchanged"
    assert describe(ada.restored()) == describe(ada.home)
    ada.options = {}
    assert ada.exported().get("uploaded_files", 0) == 0


def test_an_import_of_bundles_can_be_run_again(ada: Student) -> None:
    homework(ada.home)
    ada.exported(bundle="always")
    disk = ada.restored()
    assert ada.run("import", disk=str(disk))["changed"] is False
