from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools import comparing, request, tree
from coursehub_tools.result import FailedError

from .conftest import Disks, Run
from .trees import fill, in_child, place_for_all

# Of Linux; Python has no name for it.
CLOCK_REALTIME_COARSE = 5
LATER = "2100-01-01T00:00:00Z"
EARLIER = "1999-01-01T00:00:00Z"


def now() -> str:
    """Return a time that all that has been done counts as before, and all that will be as after.

    (Files' times are those of the kernel's last tick.)
    """
    tick()
    moment = datetime.now(UTC) + comparing.MARGIN
    tick()
    return moment.isoformat()


def tick() -> None:
    """Wait until the kernel's last tick is later than now: a busy machine's may be late."""
    begun = time.time()
    while time.clock_gettime(CLOCK_REALTIME_COARSE) <= begun:
        time.sleep(0.001)


def snapshot(disks: Disks) -> str:
    """Take a snapshot of the live disk; return when."""
    disks.source.rmdir()
    shutil.copytree(disks.disk, disks.source, symlinks=True, copy_function=copy)
    return now()


def copy(source: str, target: str) -> None:
    if stat.S_ISFIFO(os.stat(source).st_mode):
        os.mkfifo(target)
    else:
        shutil.copy2(source, target)


def drill(run: Run, taken: str, *, untouched: bool = False) -> dict[str, Any]:
    result = run("compare", taken=taken, untouched=untouched)
    assert (result["verdict"] == "failed") is bool(result["failed"])
    return result


def counts(result: dict[str, Any]) -> tuple[int, ...]:
    names = ("compared", "changed_since", "differing_count", "missing_count", "unreadable_count")
    return tuple(result[name] for name in names)


@pytest.fixture
def home(disks: Disks) -> Path:
    """A live disk with three files in two folders."""
    (disks.disk / "d/e").mkdir(parents=True)
    for name in ("a", "d/b", "d/e/c"):
        (disks.disk / name).write_text(name, encoding="utf-8")
    return disks.disk


@pytest.mark.parametrize("untouched", [False, True])
def test_a_snapshot_that_is_right(disks: Disks, run: Run, untouched: bool) -> None:
    fill(disks.disk)
    result = drill(run, snapshot(disks), untouched=untouched)
    files = [path for path in disks.disk.rglob("*") if path.is_file() and not path.is_symlink()]
    assert counts(result) == (len(files), 0, 0, 0, 0)
    assert (result["verdict"], result["files"]) == ("proven", len(files))
    assert result["bytes"] == sum(path.stat().st_size for path in files)


def test_what_changed_since_is_only_read(disks: Disks, run: Run, home: Path) -> None:
    taken = snapshot(disks)
    (home / "a").write_text("longer than before", encoding="utf-8")
    (home / "new").touch()
    # (A file that goes or comes changes its folder's times: nothing in it can be compared any more.)
    (home / "d/e/c").unlink()
    result = drill(run, taken)
    assert counts(result) == (1, 2, 0, 0, 0)
    assert (result["verdict"], result["files"]) == ("proven", 3)


def test_what_changed_in_the_minute_before_is_only_read(disks: Disks, run: Run, home: Path) -> None:
    snapshot(disks)
    (disks.source / "a").write_text("?", encoding="utf-8")
    result = drill(run, datetime.now(UTC).isoformat())
    assert counts(result) == (0, 3, 0, 0, 0)
    assert result["verdict"] == "readable"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("d/b", lambda path: path.write_text("d/B", encoding="utf-8")),
        ("d/b", lambda path: path.write_text("", encoding="utf-8")),
        ("d/b", lambda path: path.chmod(0o600)),
        ("d/b", lambda path: path.unlink() or path.mkdir()),
        ("d/b", lambda path: path.unlink() or path.symlink_to("e/c")),
        ("link", lambda path: path.unlink() or path.symlink_to("d")),
        ("d/e", lambda path: path.chmod(0o700)),
        ("pipe", lambda path: path.unlink() or path.touch()),
    ],
)
@pytest.mark.parametrize("untouched", [False, True])
def test_what_the_snapshot_gives_back_wrongly(
    disks: Disks, run: Run, home: Path, name: str, damage: Callable[[Path], Any], untouched: bool
) -> None:
    (home / "link").symlink_to("a")
    os.mkfifo(home / "pipe")
    taken = snapshot(disks)
    damage(disks.source / name)
    result = drill(run, taken, untouched=untouched)
    assert (result["differing"], result["differing_count"], result["missing_count"]) == ([name], 1, 0)
    assert f"1 differing (first '{name}')" in result["failed"]


@pytest.mark.parametrize("untouched", [False, True])
def test_what_the_snapshot_lacks(disks: Disks, run: Run, home: Path, untouched: bool) -> None:
    taken = snapshot(disks)
    (disks.source / "a").unlink()
    shutil.rmtree(disks.source / "d/e")
    result = drill(run, taken, untouched=untouched)
    assert sorted(result["missing"]) == ["a", "d/e", "d/e/c"]
    assert (result["missing_count"], result["differing_count"], result["compared"]) == (3, 0, 1)


def test_what_the_live_disk_lacks(disks: Disks, run: Run, home: Path) -> None:
    taken = snapshot(disks)
    (home / "d/b").unlink()
    assert counts(drill(run, taken))[2:] == (0, 0, 0)
    assert drill(run, taken, untouched=True)["differing"] == ["d/b"]
    shutil.rmtree(home / "d")
    assert drill(run, taken, untouched=True)["differing"] == ["d"]


def test_a_new_file_on_a_disk_that_is_to_be_untouched(disks: Disks, run: Run, home: Path) -> None:
    taken = snapshot(disks)
    (home / "d/new").touch()
    assert drill(run, taken)["failed"] == ""
    assert drill(run, taken, untouched=True)["missing"] == ["d/new"]


# Old files that are elsewhere than they were.


def test_a_file_that_was_moved(disks: Disks, run: Run, home: Path) -> None:
    (home / "d/e/x").write_text("x", encoding="utf-8")
    taken = snapshot(disks)
    (home / "d/e/x").rename(home / "a")
    assert drill(run, taken)["failed"] == ""


def test_a_folder_that_was_moved_with_old_files_in_it(disks: Disks, run: Run, home: Path) -> None:
    taken = snapshot(disks)
    times = (home / "d/e/c").stat().st_ctime_ns
    (home / "d").rename(home / "moved")
    assert (home / "moved/e/c").stat().st_ctime_ns == times
    result = drill(run, taken)
    assert counts(result) == (1, 2, 0, 0, 0)


def test_folders_that_changed_places(disks: Disks, run: Run, home: Path) -> None:
    (home / "other/e").mkdir(parents=True)
    (home / "other/e/c").write_text("quite another", encoding="utf-8")
    taken = snapshot(disks)
    (home / "d").rename(home / "between")
    (home / "other").rename(home / "d")
    (home / "between").rename(home / "other")
    result = drill(run, taken)
    assert result["failed"] == ""
    assert result["compared"] == 1
    assert result["changed_since"] == 3


def test_a_time_that_a_student_set_back_does_not_count(disks: Disks, run: Run, home: Path) -> None:
    taken = snapshot(disks)
    (home / "a").write_text("?", encoding="utf-8")
    os.utime(home / "a", (0, 0))
    assert drill(run, taken)["failed"] == ""


def test_a_time_in_the_future_is_no_reason_to_fail(disks: Disks, run: Run, home: Path) -> None:
    os.utime(home / "a", (2**33, 2**33))
    taken = snapshot(disks)
    assert counts(drill(run, taken)) == (2, 1, 0, 0, 0)


def test_a_file_that_changes_while_it_is_read(
    disks: Disks, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = snapshot(disks)
    look = tree.look

    def meanwhile(folder: int, name: str, path: str) -> tree.Entry:
        found = look(folder, name, path)
        if name == "a" and os.path.samestat(os.fstat(folder), home.stat()):
            # Just after it was seen to be old.
            (home / "a").write_text("?", encoding="utf-8")
        return found

    monkeypatch.setattr(tree, "look", meanwhile)
    result = drill(run, taken)
    assert result["failed"] == ""
    assert counts(result) == (2, 1, 0, 0, 0)


# Disks that are not there, empty, or broken.


def test_without_a_live_disk_all_is_read(disks: Disks, run: Run, home: Path) -> None:
    taken = snapshot(disks)
    shutil.rmtree(home)
    result = drill(run, taken, untouched=True)
    assert (counts(result), result["verdict"], result["files"]) == ((0, 3, 0, 0, 0), "readable", 3)


@pytest.mark.parametrize(("untouched", "verdict"), [(True, "proven"), (False, "readable")])
def test_an_empty_disk(disks: Disks, run: Run, untouched: bool, verdict: str) -> None:
    assert drill(run, now(), untouched=untouched)["verdict"] == verdict
    disks.disk.rmdir()
    assert drill(run, now(), untouched=untouched)["verdict"] == "readable"


def test_an_empty_snapshot_of_a_disk_that_is_not(disks: Disks, run: Run, home: Path) -> None:
    assert drill(run, now())["missing_count"] == 5
    assert drill(run, EARLIER)["verdict"] == "readable"


def test_what_belongs_to_the_system_is_not_looked_at(disks: Disks, run: Run, home: Path) -> None:
    taken = snapshot(disks)
    (home / "lost+found").mkdir()
    (disks.source / "d/lost+found").mkdir()
    (home / "d/lost+found").mkdir()
    if os.geteuid() == 0:
        assert drill(run, taken, untouched=True)["failed"] == ""


@pytest.mark.parametrize("untouched", [False, True])
def test_a_snapshot_that_can_not_be_read(
    disks: Disks, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, untouched: bool
) -> None:
    taken = snapshot(disks)
    bad = (disks.source / "d/b").stat().st_ino
    pread = os.pread

    def broken(file: int, size: int, offset: int) -> bytes:
        if os.fstat(file).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(file, size, offset)

    monkeypatch.setattr(tree.os, "pread", broken)
    result = drill(run, taken, untouched=untouched)
    assert (result["unreadable"], counts(result)) == (["d/b"], (2, 0, 0, 0, 1))


def test_a_folder_of_the_snapshot_that_can_not_be_read(
    disks: Disks, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = snapshot(disks)
    bad = (disks.source / "d").stat().st_ino
    names = tree.names

    def broken(folder: int) -> list[str]:
        if os.fstat(folder).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return names(folder)

    monkeypatch.setattr(tree, "names", broken)
    result = drill(run, taken)
    assert (result["unreadable"], counts(result)) == (["d"], (1, 0, 0, 0, 1))


def test_many_names_are_counted_and_some_are_told(disks: Disks, run: Run) -> None:
    for index in range(9):
        (disks.disk / f"{index}{'x' * 200}").touch()
    result = drill(run, LATER)
    assert (len(result["missing"]), result["missing_count"]) == (5, 9)
    assert all(len(name) == 80 for name in result["missing"])


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(disks: Disks, home: Path) -> None:
    entry = tree.look(os.open(home, os.O_RDONLY), "a", "a")
    (home / "a").unlink()
    os.mkfifo(home / "a")
    with pytest.raises(OSError, match="no longer a file"), tree.open_file(entry):
        pass
    os.close(entry.folder)


def test_what_the_owner_can_not_read_does_not_fail_the_drill() -> None:
    with place_for_all() as place:

        def work() -> None:
            for name in ("source", "disk"):
                (place / name / "locked").mkdir(parents=True)
                (place / name / "locked/a").write_text("secret", encoding="utf-8")
                (place / name / "b").write_text("secret", encoding="utf-8")
                (place / name / "c").touch()
                (place / name / "b").chmod(0)
                (place / name / "locked").chmod(0)
            # As the live disk is: read only for us.
            (place / "source/b").chmod(0)
            for untouched in (False, True):
                wanted = request.Compare(datetime.fromisoformat(LATER), untouched)
                result = comparing.run(wanted, place / "source", place / "disk")
                assert counts(result) == (1, 2, 0, 0, 0)
                assert result["bytes"] == 12
            (place / "source/b").chmod(0o400)
            try:
                comparing.run(request.Compare(datetime.fromisoformat(LATER), False), place / "source", place / "disk")
            except FailedError as error:
                assert error.details["differing"] == ["b"]  # noqa: PT017 - in a process of its own
            else:
                raise AssertionError
            for name in ("source", "disk"):
                (place / name / "locked").chmod(0o700)

        assert in_child(work, as_nobody=True) == 0
