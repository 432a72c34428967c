"""A client that knows nothing of the emulator: rclone's drive backend. What it does here it does with Google, too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration import rclone
from tests.integration.drive import ALL, LISTED, Emulator, emulator
from tests.integration.rclone import Rclone, transferred

# One try, and no pause of rclone's own between calls.
OPTIONS = ("--drive-pacer-min-sleep=1ms", "--retries=1", "-v")
NAMES = (
    "notes.ipynb",
    'it\'s "quoted" \\ and (odd).txt',
    " leading and trailing ",
    "Größe 数据 🎉.csv",
    "UPPER.txt",
    "upper.txt",
    "empty",
    "week 1/lab/deep/data.bin",
    "week 1/same.txt",
    "week 2/same.txt",
)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    if shutil.which("rclone") is None:
        pytest.fail("this test needs rclone (Debian's name): install it", pytrace=False)
    with emulator(tmp_path_factory.mktemp("drive"), "--proxy-port=0") as process:
        yield process


@dataclass
class Course:
    """A shared drive with the service account as content manager, and someone who owns it."""

    drive_id: str
    owner: Any
    rclone: Rclone


@pytest.fixture
def course(drive: Emulator, tmp_path: Path, request: pytest.FixtureRequest) -> Course:
    drive_id, owner, key_file = rclone.shared_drive(drive, tmp_path, request.node.name)
    drive.admin("DELETE", "/counters")
    return Course(drive_id, owner, Rclone(drive, key_file, (f"--drive-team-drive={drive_id}", *OPTIONS)))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A student's home: odd names, and one file that rclone uploads in chunks."""
    home = tmp_path / "home"
    for number, name in enumerate(NAMES):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else f"{name}\n".encode() * (number + 1))
        os.utime(path, ns=(0, (1_500_000_000 + number) * 10**9 + 123_000_000))
    (home / "large.bin").write_bytes(os.urandom(9 * 2**20 + 5))
    return home


def names(course: Course) -> list[str]:
    query = {"q": "mimeType != 'application/vnd.google-apps.folder' and trashed = false", "corpora": "drive"}
    listed = course.owner.files().list(driveId=course.drive_id, pageSize=1000, **query, **LISTED).execute()
    return sorted(file["name"] for file in listed["files"])


def test_copy_sync_and_check_agree(course: Course, home: Path, tmp_path: Path) -> None:
    rclone, drive = course.rclone, course.rclone.drive
    assert transferred(rclone.run("copy", str(home), ":drive:exports/ada")) == len(NAMES) + 1
    assert names(course) == sorted([*(name.rpartition("/")[2] for name in NAMES), "large.bin"])
    rclone.run("check", str(home), ":drive:exports/ada")

    (home / "notes.ipynb").write_text("changed", encoding="utf-8")
    (home / "UPPER.txt").unlink()
    (home / "empty").rename(home / "renamed")
    drive.admin("DELETE", "/counters")
    assert transferred(rclone.run("sync", str(home), ":drive:exports/ada")) == 2
    assert drive.uploaded() == len("changed")
    rclone.run("check", str(home), ":drive:exports/ada")

    drive.admin("DELETE", "/counters")
    again = rclone.run("sync", str(home), ":drive:exports/ada")
    assert transferred(again) == 0
    assert drive.uploaded() == 0
    assert drive.calls("drive.files.create") == drive.calls("drive.files.update") == 0

    back = tmp_path / "back"
    rclone.run("copy", ":drive:exports/ada", str(back))
    read = {str(path.relative_to(back)): path.read_bytes() for path in back.rglob("*") if path.is_file()}
    assert read == {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert (back / "week 1/same.txt").stat().st_mtime_ns == (home / "week 1/same.txt").stat().st_mtime_ns


def test_check_sees_what_differs(course: Course, home: Path) -> None:
    course.rclone.run("copy", str(home), ":drive:exports/ada")
    (home / "notes.ipynb").write_text("other", encoding="utf-8")
    result = course.rclone.run("check", str(home), ":drive:exports/ada", check=False)
    assert result.returncode == 1
    assert "1 differences found" in result.stderr


def test_a_fast_list_below_a_root_folder_finds_all(course: Course, home: Path) -> None:
    made = course.owner.files().create(
        body={"name": "ada", "mimeType": "application/vnd.google-apps.folder", "parents": [course.drive_id]}, **ALL
    )
    root = made.execute()["id"]
    rclone = Rclone(course.rclone.drive, course.rclone.key_file, (f"--drive-root-folder-id={root}", *OPTIONS))
    rclone.run("sync", str(home), ":drive:")
    again = rclone.run("sync", "--fast-list", str(home), ":drive:")
    assert transferred(again) == 0
    listed = rclone.run("lsf", "-R", "--files-only", "--fast-list", ":drive:").stdout.splitlines()
    assert sorted(listed) == sorted([*NAMES, "large.bin"])


def test_rate_limits_are_waited_for(course: Course, home: Path) -> None:
    error = {"status": 403, "reason": "userRateLimitExceeded", "domain": "usageLimits"}
    drive = course.rclone.drive
    drive.admin("POST", "/faults", method="drive.files.create", times=2, error=error)
    drive.admin("POST", "/faults", method="media.chunk", error={"status": 503, "reason": "backendError"})
    course.rclone.run("copy", str(home), ":drive:exports/ada")
    answers = drive.admin("GET", "/counters")["answers"]
    assert sum(row["count"] for row in answers if row["reason"] == "userRateLimitExceeded") == 2
    assert sum(row["count"] for row in answers if row["reason"] == "backendError") == 1
    drive.admin("DELETE", "/faults")
    course.rclone.run("check", str(home), ":drive:exports/ada")


def test_without_membership_there_is_no_drive(course: Course, home: Path) -> None:
    members = course.owner.permissions().list(fileId=course.drive_id, fields="permissions(id,role)", **ALL).execute()
    robot = next(item["id"] for item in members["permissions"] if item["role"] == "fileOrganizer")
    course.owner.permissions().delete(fileId=course.drive_id, permissionId=robot, **ALL).execute()
    result = course.rclone.run("copy", str(home), ":drive:exports/ada", check=False)
    assert result.returncode != 0
    assert "notFound" in result.stderr
