from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools import archiving, extracting, request, streams, target, tree
from hypothesis import given, settings

from .conftest import Disks, Run
from .test_copying import TREES, plant
from .trees import before, describe, fill, in_child, killed_at_each_step, place_for_all

TAKEN = "2026-11-24T02:00:00Z"
FILE = "ann-20261124-020000.tar.zst"
NEXT = {"snapshot": "disk-ann-2", "taken": "2026-11-25T02:00:00Z"}
NEXT_FILE = "ann-20261125-020000.tar.zst"


class Place:
    """A target, and the folder in which its files are."""

    def __init__(self, text: str, folder: Path) -> None:
        self.text = text
        self.folder = folder

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "ann.json").read_text(encoding="utf-8"))
        return found

    def archive(self, run: Run, **changes: str) -> dict[str, Any]:
        values = {"student": "ann", "name": "ann", "target": self.text, "snapshot": "disk-ann-1", "taken": TAKEN}
        return run("archive", **(values | changes))

    def check(self, run: Run, sha256: str = "") -> dict[str, Any]:
        return run("check", name="ann", target=self.text, sha256=sha256 or self.record()["sha256"])

    def extract(self, run: Run) -> dict[str, Any]:
        return run("extract", name="ann", target=self.text)


@pytest.fixture(params=["folder", "remote"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(f"{tmp_path}/archive/term/2026", tmp_path / "archive/term/2026")
    root: Path = request.getfixturevalue("rclone")
    (root / "bucket").mkdir()
    return Place("bucket:term/2026", root / "bucket/term/2026")


@pytest.fixture
def home(disks: Disks) -> Path:
    fill(disks.source)
    return disks.source


def test_a_disk_is_archived_checked_and_brought_back(disks: Disks, home: Path, run: Run, place: Place) -> None:
    os.mkfifo(home / "pipe")
    result = place.archive(run)
    assert (result["failed"], result["changed"], result["left_out"]) == ("", True, 1)
    (home / "pipe").unlink()
    assert place.names() == [FILE, "ann.json"]
    content = (place.folder / FILE).read_bytes()
    record = place.record()
    assert set(record) == {
        "student", "snapshot", "taken", "archived_at", "files", "bytes",
        "file", "archive_bytes", "sha256", "replaces", "version",
    }  # fmt: skip
    assert (record["student"], record["snapshot"], record["version"]) == ("ann", "disk-ann-1", 1)
    assert record["taken"] == "2026-11-24T02:00:00+00:00"
    assert (record["sha256"], record["archive_bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert record["files"] == sum(not path.is_dir() or path.is_symlink() for path in home.rglob("*"))
    checked = place.check(run)
    assert checked == {"sha256": record["sha256"], "archive_bytes": len(content), "failed": ""}
    extracted = place.extract(run)
    assert extracted == {"files": record["files"], "bytes": record["bytes"], "changed": True, "failed": ""}
    assert describe(disks.disk) == describe(home)
    assert place.extract(run) == {**extracted, "changed": False}


def test_other_programs_can_read_it(home: Path, run: Run, tmp_path: Path) -> None:
    Place(str(tmp_path / "t"), tmp_path / "t").archive(run)
    back = tmp_path / "back"
    back.mkdir()
    archive = str(tmp_path / "t" / FILE)
    subprocess.run(["tar", "--zstd", "--same-permissions", "-xf", archive, "-C", str(back)], check=True)
    assert describe(back) == describe(home)


def test_the_same_again_is_proven_and_not_written(home: Path, run: Run, place: Place) -> None:
    first = place.archive(run)
    was = {path: path.stat().st_mtime_ns for path in place.folder.iterdir()}
    again = place.archive(run)
    assert again == {**{key: value for key, value in first.items() if key != "left_out"}, "changed": False}
    assert {path: path.stat().st_mtime_ns for path in place.folder.iterdir()} == was


def test_two_archives_of_one_disk_are_the_same_bytes(home: Path, run: Run, tmp_path: Path) -> None:
    one, other = (Place(str(tmp_path / name), tmp_path / name) for name in ("one", "other"))
    assert one.archive(run)["sha256"] == other.archive(run)["sha256"]


def test_another_snapshot_takes_the_place_of_the_one_before(home: Path, run: Run, place: Place) -> None:
    place.archive(run)
    (home / "holes").unlink()
    assert place.archive(run, **NEXT)["changed"] is True
    assert place.names() == [NEXT_FILE, "ann.json"]
    assert place.record()["snapshot"] == "disk-ann-2"


def test_another_snapshot_of_the_same_second_is_not_written_over_the_one_before(
    home: Path, run: Run, place: Place
) -> None:
    place.archive(run)
    assert place.archive(run, snapshot="disk-ann-2")["file"] == "ann-20261124-020000-2.tar.zst"
    assert place.names() == ["ann-20261124-020000-2.tar.zst", "ann.json"]
    assert place.archive(run, snapshot="disk-ann-3")["file"] == FILE
    assert place.names() == [FILE, "ann.json"]


@pytest.mark.parametrize("damage", ["gone", "short", "flipped", "longer"])
def test_a_damaged_archive_is_noticed_and_made_anew(
    disks: Disks, home: Path, run: Run, place: Place, damage: str
) -> None:
    sha256 = place.archive(run)["sha256"]
    path = place.folder / FILE
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "short":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        path.write_bytes(
            content + subprocess.run(["zstd", "-q", "-c"], input=b"", capture_output=True, check=True).stdout
        )
    for result in (place.check(run, sha256), place.extract(run)):
        assert FILE in result["failed"]
    assert list(disks.disk.iterdir()) == []
    assert place.archive(run)["changed"] is True
    assert place.check(run)["failed"] == ""
    assert [name for name in place.names() if name.endswith(".zst")] == ["ann-20261124-020000-2.tar.zst"]


def test_an_empty_disk(disks: Disks, run: Run, place: Place) -> None:
    result = place.archive(run)
    assert (result["failed"], result["files"], result["bytes"]) == ("", 0, 0)
    assert place.check(run)["failed"] == ""
    assert place.extract(run) == {"files": 0, "bytes": 0, "changed": False, "failed": ""}


def test_a_check_for_another_archive(home: Path, run: Run, place: Place) -> None:
    sha256 = place.archive(run)["sha256"]
    sentence = place.check(run, "0" * 64)["failed"]
    assert sha256 in sentence
    assert "it is not the archive that is asked for" in sentence


def test_a_name_that_another_student_has(home: Path, run: Run, place: Place) -> None:
    place.archive(run)
    assert "is of another student, ann" in place.archive(run, student="bob", **NEXT)["failed"]
    assert place.names() == [FILE, "ann.json"]


def test_no_such_archive(disks: Disks, run: Run, place: Place) -> None:
    for result in (place.check(run, "0" * 64), place.extract(run)):
        assert "the target has no 'ann.json'" in result["failed"]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"file": "../../etc/passwd"},
        {"file": "bob-20261124-020000.tar.zst"},
        {"archive_bytes": "7"},
        {"replaces": "bob-20261124-020000.tar.zst"},
        {"replaces": FILE},
        {"more": 1},
    ],
)
def test_a_record_that_is_not_ours_is_not_touched(home: Path, run: Run, place: Place, change: dict[str, Any]) -> None:
    place.archive(run)
    (place.folder / "ann.json").write_text(json.dumps({**place.record(), **change}), encoding="utf-8")
    for result in (place.archive(run), place.archive(run, **NEXT), place.check(run, "0" * 64), place.extract(run)):
        assert "was not written by this program, or is damaged" in result["failed"]
    assert place.names() == [FILE, "ann.json"]
    (place.folder / "ann.json").write_text("{", encoding="utf-8")
    assert "is damaged" in place.archive(run)["failed"]


def test_what_was_written_wrongly_does_not_count(
    home: Path, run: Run, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.archive(run)
    write = archiving._Writer._add

    def wrongly(self: Any, tar: tarfile.TarFile, entry: tree.Entry) -> None:
        if entry.name != "notes.ipynb":
            write(self, tar, entry)

    monkeypatch.setattr(archiving._Writer, "_add", wrongly)
    was = place.record()
    assert "differs from the disk at 'course/week 1/notes.ipynb'" in place.archive(run, **NEXT)["failed"]
    assert (place.names(), place.record()) == ([FILE, "ann.json"], was)
    monkeypatch.undo()


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"?" * path.stat().st_size),
        lambda path: path.write_bytes(b"?"),
        lambda path: path.chmod(0o700),
        lambda path: os.utime(path, ns=(0, 5)),
        lambda path: path.unlink(),
        lambda path: path.unlink() or path.symlink_to("x"),
        lambda path: (path.parent / "more").touch(),
    ],
)
def test_every_difference_to_the_disk_is_found(
    home: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], Any]
) -> None:
    subject = home / "course/week 1/notes.ipynb"
    time, folder_time = subject.stat().st_mtime_ns, subject.parent.stat().st_mtime_ns
    compare = archiving.compare

    def later(*words: Any) -> None:
        mode = subject.stat().st_mode
        change(subject)
        if subject.exists() and subject.stat().st_mode == mode and subject.stat().st_mtime_ns != 5:
            os.utime(subject, ns=(0, time))
        os.utime(subject.parent, ns=(0, folder_time))
        compare(*words)

    monkeypatch.setattr(archiving, "compare", later)
    to = Place(str(tmp_path / "t"), tmp_path / "t")
    assert "differs from the disk at 'course/" in to.archive(run)["failed"]
    assert to.names() == []


def test_a_file_that_is_only_holes_can_not_keep_it_busy_for_ever(home: Path, run: Run, place: Place) -> None:
    with (home / "endless").open("wb") as file:
        file.truncate(1 << 43)
    assert "'endless' says that it is 8796093022208 bytes long" in place.archive(run)["failed"]
    assert place.names() == []


def test_what_belongs_to_the_system_is_left_out(disks: Disks, home: Path, run: Run, place: Place) -> None:
    for path in (home, disks.disk):
        (path / "lost+found").mkdir()
    if os.geteuid() == 0:
        place.archive(run)
        (home / "lost+found").rmdir()
        assert place.extract(run)["failed"] == ""
        (disks.disk / "lost+found").rmdir()
        assert describe(disks.disk) == describe(home)


@pytest.mark.parametrize("text", ["bucket", "", "-x:y", ":s3,secret=x:y", "relative/folder"])
def test_what_is_no_target(disks: Disks, run: Run, text: str) -> None:
    failed = run("check", name="ann", target=text, sha256="x")["failed"]
    assert "target" in failed
    assert "secret" not in failed


# What goes wrong at the target.


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("when", ["write", "end"])
def test_a_full_folder_loses_nothing(
    home: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    to = Place(str(tmp_path / "t"), tmp_path / "t")
    to.archive(run)
    (home / "much").write_bytes(os.urandom(3 << 20))
    was = describe(to.folder)

    def full(*_words: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if when == "end":
            patch.setattr(target.os, "fsync", full)
        else:
            patch.setattr(target.Path, "open", lambda path, mode: Full(path, mode, number))
        failed = to.archive(run, **NEXT)["failed"]
    assert failed.startswith(f"'{NEXT_FILE}' can't be written in {to.folder}, which is full: ")
    assert describe(to.folder) == was


class Full:
    """A file on a disk that is full after a megabyte."""

    def __init__(self, path: Path, mode: str, number: int) -> None:
        self._file = open(path, mode)  # noqa: SIM115
        self._number = number
        self._left = 1 << 20

    def write(self, data: bytes) -> int:
        if len(data) > self._left:
            raise OSError(self._number, os.strerror(self._number))
        self._left -= len(data)
        return int(self._file.write(data))

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_words: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("fails", ["rcat", "rcat in the middle"])
def test_a_remote_that_is_full_loses_nothing(
    disks: Disks, home: Path, run: Run, rclone: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    (rclone / "bucket").mkdir()
    to = Place("bucket:term", rclone / "bucket/term")
    to.archive(run)
    (home / "much").write_bytes(os.urandom(3 << 20))
    was = describe(to.folder)
    monkeypatch.setenv("RCLONE_STAND_IN_FAILS", fails)
    failed = to.archive(run, **NEXT)["failed"]
    assert failed.startswith(f"'{NEXT_FILE}' can't be written at bucket:term/ (rclone: Failed to rcat: ")
    assert describe(to.folder) == was


@pytest.mark.parametrize("fails", ["json rcat", "json cat"])
def test_a_record_that_can_not_be_written_loses_nothing(
    disks: Disks, home: Path, run: Run, rclone: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    (rclone / "bucket").mkdir()
    to = Place("bucket:term", rclone / "bucket/term")
    to.archive(run)
    monkeypatch.setenv("RCLONE_STAND_IN_FAILS", fails)
    assert "'ann.json' " in to.archive(run, **NEXT)["failed"]
    # Whichever it names, it is there and whole.
    assert to.names() == [FILE, NEXT_FILE, "ann.json"]
    monkeypatch.delenv("RCLONE_STAND_IN_FAILS")
    assert to.check(run)["failed"] == ""
    assert to.archive(run, **NEXT)["changed"] is (fails == "json rcat")
    assert to.names() == [NEXT_FILE, "ann.json"]


def test_a_remote_that_cannot_be_read_on(
    disks: Disks, home: Path, run: Run, rclone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rclone / "bucket").mkdir()
    to = Place("bucket:", rclone / "bucket")
    to.archive(run)
    monkeypatch.setenv("RCLONE_STAND_IN_FAILS", "cat in the middle")
    for result in (to.check(run), to.extract(run)):
        assert f"'{FILE}' can't be read at bucket: (rclone: Failed to cat: connection reset)" in result["failed"]
    assert list(disks.disk.iterdir()) == []
    monkeypatch.setenv("RCLONE_STAND_IN_FAILS", "cat")
    for result in (to.check(run), to.extract(run), to.archive(run)):
        assert "'ann.json' can't be read at bucket: (rclone: Failed to cat: googleapi: Error 403" in result["failed"]
    assert to.names() == [FILE, "ann.json"]


def test_a_remote_that_keeps_something_else(
    home: Path, run: Run, rclone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rclone / "bucket").mkdir()
    to = Place("bucket:term", rclone / "bucket/term")
    monkeypatch.setenv("RCLONE_STAND_IN_FAILS", "a bit")
    # (Where the bit lies decides what notices it.)
    assert to.archive(run)["failed"].startswith(f"{FILE} ")
    assert to.names() == []


def test_a_bucket_in_which_folders_are_but_parts_of_names(
    home: Path, run: Run, rclone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rclone / "bucket").mkdir()
    monkeypatch.setenv("RCLONE_STAND_IN_FAILS", "bucket")
    to = Place("bucket:term", rclone / "bucket/term")
    assert "the target has no 'ann.json'" in to.check(run, "0" * 64)["failed"]
    assert to.archive(run)["changed"] is True


def test_a_remote_that_is_not_configured(home: Path, run: Run, rclone: Path) -> None:
    failed = Place("bucket:term", rclone / "bucket/term").archive(run)["failed"]
    assert "(rclone: Failed to cat: didn't find section in config file)" in failed


@pytest.mark.parametrize("missing", ["rclone", "zstd"])
def test_a_program_that_is_not_in_the_image(
    home: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    text = "bucket:x" if missing == "rclone" else str(tmp_path / "t")
    assert f"'{missing}' can't be run" in Place(text, tmp_path / "t").archive(run)["failed"]


def test_a_compressor_that_fails(home: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "COMPRESS", ("sh", "-c", "head -c 10; echo out of memory >&2; exit 3"))
    to = Place(str(tmp_path / "t"), tmp_path / "t")
    assert "the archive can't be compressed (out of memory)" in to.archive(run)["failed"]
    assert to.names() == []


def test_a_source_that_can_not_be_read(home: Path, run: Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    open_file = tree.open_file

    def broken(entry: tree.Entry, *, unlock: bool = False) -> Any:
        if entry.name == "notes.ipynb":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return open_file(entry, unlock=unlock)

    monkeypatch.setattr(tree, "open_file", broken)
    failed = place.archive(run)["failed"]
    assert failed.startswith("'course/week 1/notes.ipynb' can't be read (Input/output error): ")
    assert place.names() == []


def test_a_disk_that_changes_under_it(home: Path, run: Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    header = archiving._header

    def longer(entry: tree.Entry) -> tarfile.TarInfo:
        found = header(entry)
        found.size += entry.name == "notes.ipynb"
        return found

    monkeypatch.setattr(archiving, "_header", longer)
    assert "'course/week 1/notes.ipynb' became shorter while it was read" in place.archive(run)["failed"]
    assert place.names() == []


# Modes that keep the owner out, kills, memory.


def archived(source: Path, to: Path, snapshot: str = "s", taken: str = TAKEN) -> dict[str, Any]:
    values = {"student": "ann", "name": "ann", "target": str(to), "snapshot": snapshot, "taken": taken}
    return archiving.run(request.archive(json.dumps(values)), source)


def extracted(disk: Path, to: Path) -> dict[str, Any]:
    return extracting.run(request.extract(json.dumps({"name": "ann", "target": str(to)})), disk)


def test_what_the_owner_can_not_read_is_archived_with_its_mode() -> None:
    with place_for_all() as place:
        source, disk = place / "source", place / "disk"

        def work() -> None:
            (source / "locked/in").mkdir(parents=True)
            disk.mkdir()
            (source / "locked/in/a").write_text("secret", encoding="utf-8")
            (source / "only read").mkdir()
            (source / "only read/b").touch()
            for name, mode in (("locked/in/a", 0), ("locked/in", 0o300), ("locked", 0), ("only read", 0o500)):
                (source / name).chmod(mode)
            archived(source, place / "t")
            assert not (source / "locked").stat().st_mode & 0o777
            assert extracted(disk, place / "t")["changed"] is True

        assert in_child(work, as_nobody=True) == 0
        found = describe(disk)
        assert found == describe(source)
        assert found[b"locked/in/a"][::2] == ("0o100000", b"secret")
        assert found[b"locked/in"][0] == "0o40300"


def test_an_archive_that_is_killed_at_any_step_is_finished_by_the_next_run(tmp_path: Path) -> None:
    source, to = tmp_path / "source", tmp_path / "t"
    source.mkdir()
    fill(source)
    steps = 0
    archived(source, to)

    def patch(step: Callable[[], None]) -> None:
        before(target.os, ("fsync",), step)
        before(target.Path, ("mkdir", "open", "rename", "unlink", "read_bytes"), step)
        before(archiving, ("compare",), step)

    for _killed in killed_at_each_step(patch, lambda: dict_of(archived(source, to, "s2", "2026-11-25T02:00:00Z"))):
        steps += 1
        # Whatever happened, there is one archive that counts, and it is whole.
        assert {name for name in os.listdir(to) if name[0] != "."} <= {"ann.json", FILE, NEXT_FILE}
        record = json.loads((to / "ann.json").read_bytes())
        assert hashlib.sha256((to / record["file"]).read_bytes()).hexdigest() == record["sha256"]
        archived(source, to, "s2", "2026-11-25T02:00:00Z")
        assert set(os.listdir(to)) == {"ann.json", NEXT_FILE}
        shutil.rmtree(to)
        archived(source, to)
    assert steps > 10


def dict_of(_result: dict[str, Any]) -> None:
    """A child of ours has nobody to tell."""


def test_what_is_brought_back_and_killed_at_any_step_is_finished_by_the_next_run(tmp_path: Path) -> None:
    source, to, disk = tmp_path / "source", tmp_path / "t", tmp_path / "disk"
    (source / "d/e").mkdir(parents=True)
    (source / "d/e/a").write_bytes(b"x")
    (source / "link").symlink_to("d")
    (source / "z").touch()
    archived(source, to)
    disk.mkdir()
    steps = 0

    def patch(step: Callable[[], None]) -> None:
        before(os, ("mkdir", "pwrite", "fchmod", "utime", "symlink", "unlink", "rmdir"), step)
        before(extracting.placing, ("_rename", "sync"), step)

    for _killed in killed_at_each_step(patch, lambda: dict_of(extracted(disk, to))):
        steps += 1
        extracted(disk, to)
        assert describe(disk) == describe(source)
        shutil.rmtree(disk)
        disk.mkdir()
    assert steps >= 20


def test_a_member_more_takes_no_memory(tmp_path: Path) -> None:
    source, disk, to = tmp_path / "source", tmp_path / "disk", tmp_path / "t"

    def peak(work: Callable[[], Any]) -> int:
        tracemalloc.start()
        work()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    def peaks(files: int) -> list[int]:
        for folder in (source, disk, to):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        for index in range(files):
            (source / f"{index // 100}").mkdir(exist_ok=True)
            (source / f"{index // 100}/{index}").touch()
        with tree.top(source) as top, open(os.devnull, "wb") as nothing:
            writer = archiving._Writer(top, tree.names_at_top(top))
            written = peak(lambda: writer.run(nothing))
        archived(source, to)
        return [written, peak(lambda: extracted(disk, to))]

    peaks(10)
    for few, many in zip(peaks(800), peaks(1600), strict=True):
        assert many < few + 200_000


def test_what_is_in_a_folder_is_on_its_disk_before_it_has_its_name(
    home: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(target.os, "fsync", lambda file: (steps.append("fsync"), fsync(file)))
    monkeypatch.setattr(target.Path, "rename", lambda path, new: (steps.append("rename"), rename(path, new)))
    Place(str(tmp_path / "t"), tmp_path / "t").archive(run)
    assert steps == ["fsync", "rename", "fsync"] * 2


def test_a_damaged_archive_is_not_taken_for_another_disk(disks: Disks, home: Path, run: Run, place: Place) -> None:
    place.archive(run)
    place.extract(run)
    content = (place.folder / FILE).read_bytes()
    (place.folder / FILE).write_bytes(content[: len(content) // 2])
    assert f"{FILE} is damaged" in place.extract(run)["failed"]


@pytest.mark.parametrize("value", ["nonsense", "1e999999999", "", "-"])
def test_an_archive_with_a_time_that_is_none(disks: Disks, run: Run, tmp_path: Path, value: str) -> None:
    odd = member("good")
    odd.pax_headers = {"mtime": value}
    forge(tmp_path / "t", (odd, b"x"))
    failed = run("extract", name="ann", target=str(tmp_path / "t"))["failed"]
    assert f"{FILE} is damaged" in failed
    assert list(disks.disk.iterdir()) == []


@settings(max_examples=20)
@given(TREES)
def test_any_tree_is_archived_and_brought_back(tree_: dict[bytes, Any]) -> None:
    with tempfile.TemporaryDirectory() as place:
        source, disk, to = (Path(place) / name for name in ("source", "disk", "t"))
        source.mkdir()
        disk.mkdir()
        plant(os.fsencode(source), tree_)
        archived(source, to)
        extracted(disk, to)
        assert describe(disk) == describe(source)


# Archives that somebody else wrote, and disks that are not empty.


def forge(to: Path, *members: tuple[tarfile.TarInfo, bytes]) -> None:
    """Write an archive with whatever members, and a record that vouches for it."""
    to.mkdir()
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for member, content in members:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        file.seek(0)
        data = subprocess.run(["zstd", "-q", "-c"], stdin=file, capture_output=True, check=True).stdout
    (to / FILE).write_bytes(data)
    record = {
        "student": "ann", "snapshot": "s", "taken": TAKEN, "archived_at": TAKEN,
        "files": sum(not member.isdir() for member, _content in members),
        "bytes": sum(len(content) for _member, content in members),
        "file": FILE, "archive_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "version": 1,
    }  # fmt: skip
    (to / "ann.json").write_text(json.dumps(record), encoding="utf-8")


def member(name: str, kind: bytes = tarfile.REGTYPE, leads_to: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type = kind
    found.linkname = leads_to
    found.mode = 0o755
    return found


@pytest.mark.parametrize(
    "members",
    [
        [member("../outside")],
        [member("/tmp/outside")],
        [member("a/../../outside")],
        [member("a", tarfile.SYMTYPE, "/tmp"), member("a/outside")],
        [member("a", tarfile.DIRTYPE), member("a", tarfile.SYMTYPE, "/tmp"), member("a/outside")],
        [member("a", tarfile.SYMTYPE, "/tmp/outside"), member("a")],
        [member("a", tarfile.LNKTYPE, "/etc/passwd")],
        [member("a", tarfile.CHRTYPE)],
        [member("a", tarfile.FIFOTYPE)],
        [member("a/b")],
        [member("a"), member("a")],
        [member(".")],
    ],
)
def test_an_archive_that_would_write_elsewhere(
    disks: Disks, run: Run, tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    forge(tmp_path / "t", (member("good"), b"x"), *((one, b"") for one in members))
    failed = run("extract", name="ann", target=str(tmp_path / "t"))["failed"]
    assert "which this program doesn't write: nothing was unpacked" in failed
    assert list(disks.disk.iterdir()) == []
    assert not Path("/tmp/outside").exists()


def test_what_is_no_archive(disks: Disks, run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "t")
    for content in (b"", b"x" * 2000):
        data = subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout
        (tmp_path / "t" / FILE).write_bytes(data)
        record = json.loads((tmp_path / "t/ann.json").read_bytes())
        record |= {"archive_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (tmp_path / "t/ann.json").write_text(json.dumps(record), encoding="utf-8")
        assert "is damaged" in run("extract", name="ann", target=str(tmp_path / "t"))["failed"]
    assert list(disks.disk.iterdir()) == []


def test_a_record_that_does_not_fit_its_archive(disks: Disks, run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "t", (member("good"), b"x"))
    record = json.loads((tmp_path / "t/ann.json").read_bytes())
    (tmp_path / "t/ann.json").write_text(json.dumps(record | {"files": 2}), encoding="utf-8")
    assert "was not read the second time" in run("extract", name="ann", target=str(tmp_path / "t"))["failed"]
    assert list(disks.disk.iterdir()) == []


def test_a_disk_that_is_not_empty_is_left_alone(disks: Disks, home: Path, run: Run, place: Place) -> None:
    place.archive(run)
    (disks.disk / "mine").write_text("here first", encoding="utf-8")
    assert "the disk is not empty, 'mine' is on it" in place.extract(run)["failed"]
    # Nor is what is not the archive's beside the work folder of a run that was killed.
    (disks.disk / "holes").write_text("worked on", encoding="utf-8")
    (disks.disk / extracting.WORK).mkdir()
    assert "'holes' on the disk is not what the archive has there" in place.extract(run)["failed"]
    assert (disks.disk / "mine").read_text(encoding="utf-8") == "here first"
    assert (disks.disk / "holes").read_text(encoding="utf-8") == "worked on"


def test_a_disk_that_is_too_small(
    disks: Disks, home: Path, run: Run, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = place.archive(run)["bytes"]

    def full(*_words: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(extracting.placing.os, "pwrite", full)
    failed = place.extract(run)["failed"]
    assert failed.startswith(f"the disk has no room for the {size} bytes that are to be written: ")
    assert list(disks.disk.iterdir()) == []
