from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools import copying, placing, request, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.paths import ROOT

from .conftest import Disks, Run
from .trees import ODD_NAMES, before, describe, fill, in_child, killed_at_each_step, place_for_all

INTO = "restored-20261124-020000"
WORK = f".coursehub-restore-{INTO}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_of_a_home_comes_back_as_it_was(disks: Disks, run: Run) -> None:
    fill(disks.source)
    result = run("copy", paths=names(disks.source), into=INTO)
    assert (result["folder"], result["changed"], result["left_out"]) == (INTO, True, 0)
    assert describe(disks.disk / INTO) == describe(disks.source)
    assert names(disks.disk) == [INTO]
    files = [path for path in disks.source.rglob("*") if path.is_symlink() or path.is_file()]
    assert result["files"] == len(files)
    assert result["bytes"] == sum(path.lstat().st_size for path in files if not path.is_symlink())


def test_a_second_run_changes_nothing(disks: Disks, run: Run) -> None:
    fill(disks.source)
    first = run("copy", paths=["course", "holes"], into=INTO)
    inodes = {path: path.lstat().st_ino for path in disks.disk.rglob("*")}
    assert run("copy", paths=["course", "holes"], into=INTO) == {**first, "changed": False}
    assert {path: path.lstat().st_ino for path in disks.disk.rglob("*")} == inodes


def test_one_file_comes_into_its_folder(disks: Disks, run: Run) -> None:
    (disks.source / "a/b").mkdir(parents=True)
    (disks.source / "a/b/file").write_text("old", encoding="utf-8")
    (disks.source / "a/b/other").touch()
    (disks.source / "a").chmod(0o500)
    assert run("copy", paths=["a/b/file"], into=INTO)["files"] == 1
    (found,) = [path for path in disks.disk.rglob("*") if path.is_file()]
    assert found == disks.disk / INTO / "a/b/file"
    assert (disks.disk / INTO / "a").stat().st_mode & 0o777 == 0o700


def test_what_a_student_has_is_never_overwritten(disks: Disks, run: Run) -> None:
    (disks.source / "a").write_text("old", encoding="utf-8")
    (disks.source / "b").write_text("old", encoding="utf-8")
    assert run("copy", paths=["a"], into=INTO)["folder"] == INTO
    (disks.disk / INTO / "a").write_text("worked on", encoding="utf-8")
    result = run("copy", paths=["a", "b"], into=INTO)
    assert (result["folder"], result["changed"]) == (f"{INTO}-2", True)
    (disks.disk / f"{INTO}-2/b").unlink()
    # What is still as it was is left, what is absent is brought.
    inode = (disks.disk / f"{INTO}-2/a").stat().st_ino
    assert run("copy", paths=["a", "b"], into=INTO)["folder"] == f"{INTO}-2"
    assert (disks.disk / f"{INTO}-2/a").stat().st_ino == inode
    (disks.disk / f"{INTO}-2/a").chmod(0o600)
    assert run("copy", paths=["a", "b"], into=INTO)["folder"] == f"{INTO}-3"
    assert (disks.disk / INTO / "a").read_text(encoding="utf-8") == "worked on"


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "a").write_text("new", encoding="utf-8"),
        lambda path: os.utime(path / "a", ns=(0, 5)),
        lambda path: (path / "a").chmod(0o644 ^ 0o100),
        lambda path: (path / "more").touch(),
        lambda path: (path / "a").unlink(),
        lambda path: (path / "link").unlink() or (path / "link").symlink_to("b"),
        lambda path: (path / "a").unlink() or (path / "a").symlink_to("/etc/passwd"),
        lambda path: (path / "a").unlink() or (path / "a").mkdir(),
        lambda path: (path / "a").unlink() or os.mkfifo(path / "a"),
    ],
)
def test_whatever_differs_in_a_folder_is_noticed(disks: Disks, run: Run, change: Callable[[Path], Any]) -> None:
    (disks.source / "d").mkdir()
    (disks.source / "d/a").write_text("old", encoding="utf-8")
    (disks.source / "d/link").symlink_to("a")
    run("copy", paths=["d"], into=INTO)
    times = (disks.disk / INTO / "d").stat()
    status = (disks.disk / INTO / "d/a").stat()
    change(disks.disk / INTO / "d")
    if change.__code__.co_names[0] != "os":
        # Not by its time alone.
        found = disks.disk / INTO / "d/a"
        if found.is_file() and not found.is_symlink():
            os.utime(found, ns=(0, status.st_mtime_ns))
    os.utime(disks.disk / INTO / "d", ns=(0, times.st_mtime_ns))
    was = describe(disks.disk / INTO)
    assert run("copy", paths=["d"], into=INTO)["folder"] == f"{INTO}-2"
    assert describe(disks.disk / INTO) == was


def test_a_path_that_is_not_in_the_snapshot_is_named_before_anything_is_written(disks: Disks, run: Run) -> None:
    (disks.source / "a").touch()
    for path in ("none", "a/below a file", "none/b"):
        sentence = run("copy", paths=["a", path], into=INTO)["failed"]
        assert sentence.startswith(f"'{path}' is not in the snapshot: ")
    assert names(disks.disk) == []


def test_what_lies_in_a_folder_that_is_asked_for_comes_with_it(disks: Disks, run: Run) -> None:
    fill(disks.source)
    result = run("copy", paths=["course/empty", "course", "course/week 1"], into=INTO)
    assert result == run("copy", paths=["course"], into=INTO) | {"changed": True}
    assert names(disks.disk) == [INTO]


def test_sockets_and_pipes_are_left_out_and_counted(disks: Disks, run: Run) -> None:
    (disks.source / "d").mkdir()
    (disks.source / "d/a").touch()
    os.mkfifo(disks.source / "d/pipe")
    os.mkfifo(disks.source / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        folder = os.open(disks.source / "d", os.O_RDONLY)
        one.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
    for changed in (True, False):
        result = run("copy", paths=["d", "pipe"], into=INTO)
        assert (result["files"], result["left_out"], result["changed"]) == (1, 3, changed)
    assert names(disks.disk / INTO) == ["d"]
    assert names(disks.disk / INTO / "d") == ["a"]


def test_only_a_pipe_is_nothing_to_do(disks: Disks, run: Run) -> None:
    os.mkfifo(disks.source / "pipe")
    result = run("copy", paths=["pipe"], into=INTO)
    assert (result["failed"], result["left_out"], result["changed"]) == ("", 1, False)


def test_holes_stay_holes(disks: Disks, run: Run) -> None:
    with (disks.source / "long").open("wb") as file:
        file.truncate(1 << 42)
        file.seek(1 << 41)
        file.write(b"here")
    for changed in (True, False):
        assert run("copy", paths=["long"], into=INTO)["changed"] is changed
    found = disks.disk / INTO / "long"
    assert found.stat().st_size == 1 << 42
    assert found.stat().st_blocks < 10_000
    with found.open("rb") as file:
        file.seek(1 << 41)
        assert file.read(5) == b"here\0"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(disks: Disks, run: Run, name: bytes) -> None:
    (disks.source / os.fsdecode(name)).write_bytes(b"x")
    assert run("copy", paths=[os.fsdecode(name)], into=INTO)["failed"] == ""
    assert describe(disks.disk / INTO) == describe(disks.source)


# What a student may have prepared.


@pytest.fixture
def outside(tmp_path: Path) -> Any:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "a").write_text("not yours", encoding="utf-8")
    was = describe(folder)
    yield folder
    assert describe(folder) == was


def test_a_link_where_the_folder_is_to_be(disks: Disks, run: Run, outside: Path) -> None:
    (disks.source / "a").write_text("old", encoding="utf-8")
    (disks.disk / INTO).symlink_to(outside)
    (disks.disk / f"{INTO}-2").symlink_to("nowhere")
    (disks.disk / f"{INTO}-3").touch()
    (disks.disk / f"{INTO}-4").mkdir()
    (disks.disk / f"{INTO}-4/a").symlink_to(outside / "a")
    assert run("copy", paths=["a"], into=INTO)["folder"] == f"{INTO}-5"
    assert (disks.disk / INTO).readlink() == outside


def test_a_link_on_the_way_below_the_folder(disks: Disks, run: Run, outside: Path) -> None:
    (disks.source / "d").mkdir()
    (disks.source / "d/a").touch()
    (disks.source / "d/new").touch()
    (disks.disk / INTO).mkdir()
    (disks.disk / INTO / "d").symlink_to(outside)
    for path in ("d/a", "d/new"):
        assert run("copy", paths=[path], into=INTO)["folder"] == f"{INTO}-2"


@pytest.mark.parametrize("trap", ["link", "file", "folder of links"])
def test_something_where_the_work_folder_is_to_be(disks: Disks, run: Run, outside: Path, trap: str) -> None:
    (disks.source / "a").write_text("old", encoding="utf-8")
    work = disks.disk / WORK
    if trap == "link":
        work.symlink_to(outside)
    elif trap == "file":
        work.touch()
    else:
        work.mkdir()
        (work / "0").symlink_to(outside)
        (work / "a").symlink_to(outside / "a")
    assert run("copy", paths=["a"], into=INTO)["changed"] is True
    assert names(disks.disk) == [INTO]


def test_a_link_that_appears_while_it_runs(
    disks: Disks, run: Run, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (disks.source / "a").write_text("old", encoding="utf-8")
    sync = placing.sync

    def meanwhile(folder: int) -> None:
        sync(folder)
        if not (disks.disk / INTO).is_symlink():
            (disks.disk / INTO).symlink_to(outside)

    monkeypatch.setattr(placing, "sync", meanwhile)
    assert "the disk can't be written" in run("copy", paths=["a"], into=INTO)["failed"]
    assert names(disks.disk) == [INTO]


def test_a_file_that_appears_while_it_runs_is_not_overwritten(
    disks: Disks, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (disks.source / "a").write_text("old", encoding="utf-8")
    rename = placing._rename

    def meanwhile(folder: int, name: str, into: int, new_name: str) -> None:
        (disks.disk / INTO / "a").write_text("just now", encoding="utf-8")
        rename(folder, name, into, new_name)

    monkeypatch.setattr(placing, "_rename", meanwhile)
    assert "'a' was made on the disk while this ran" in run("copy", paths=["a"], into=INTO)["failed"]
    assert (disks.disk / INTO / "a").read_text(encoding="utf-8") == "just now"
    assert names(disks.disk) == [INTO]


@pytest.mark.parametrize("there", [False, True])
def test_file_systems_that_can_not_refuse_to_overwrite(
    disks: Disks, run: Run, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    (disks.source / "a").write_text("old", encoding="utf-8")

    class Libc:
        syncfs = staticmethod(placing._LIBC.syncfs)

        @staticmethod
        def renameat2(*_words: object) -> int:
            if there:
                (disks.disk / INTO / "a").touch()
            placing.ctypes.set_errno(errno.EINVAL)
            return -1

    monkeypatch.setattr(placing, "_LIBC", Libc)
    result = run("copy", paths=["a"], into=INTO)
    assert ("was made on the disk" in result["failed"]) is there
    assert (disks.disk / INTO / "a").read_bytes() == (b"" if there else b"old")


def test_a_path_behind_a_link_of_the_snapshot(disks: Disks, run: Run, outside: Path) -> None:
    (disks.source / "d").mkdir()
    (disks.source / "d/out").symlink_to(outside)
    (disks.source / "d/in").symlink_to(".")
    for path in ("d/out/a", "d/in/out"):
        assert "lies behind the link 'd/" in run("copy", paths=[path], into=INTO)["failed"]
    assert run("copy", paths=["d/out"], into=INTO)["files"] == 1
    assert (disks.disk / INTO / "d/out").readlink() == outside


# What goes wrong.


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_left_as_it_was(disks: Disks, run: Run, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    (disks.source / "d").mkdir()
    for index in range(3):
        (disks.source / f"d/{index}").write_bytes(b"x" * 1000)
    (disks.disk / "mine").touch()
    was = describe(disks.disk)
    writes = iter([1000])

    def full(*_words: object) -> int:
        written = next(writes, None)
        if written is None:
            raise OSError(number, os.strerror(number))
        return written

    monkeypatch.setattr(placing.os, "pwrite", full)
    sentence = run("copy", paths=["d"], into=INTO)["failed"]
    assert sentence.startswith("the disk has no room for the 3000 bytes that are to be written: ")
    assert describe(disks.disk) == was


def test_a_snapshot_that_can_not_be_read_is_named(disks: Disks, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (disks.source / "d").mkdir()
    (disks.source / "d/a").write_bytes(b"x")

    def broken(*_words: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(tree.os, "pread", broken)
    assert run("copy", paths=["d"], into=INTO)["failed"].startswith("'d/a' can't be read (Input/output error): ")
    assert names(disks.disk) == []


def test_too_many_folders(disks: Disks, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_MOST_FOLDERS", 2)
    (disks.source / "a").touch()
    (disks.disk / INTO).touch()
    (disks.disk / f"{INTO}-2").touch()
    assert "all with something else in them" in run("copy", paths=["a"], into=INTO)["failed"]


def restore(source: Path, disk: Path, *paths: str) -> dict[str, Any]:
    wanted = request.copy(json.dumps({"paths": list(paths), "into": INTO}))
    return copying.run(wanted, source, disk)


def test_what_the_owner_can_not_read_is_restored_all_the_same() -> None:
    with place_for_all() as place:
        source, disk = place / "source", place / "disk"

        def work() -> None:
            (source / "d/locked").mkdir(parents=True)
            disk.mkdir()
            (source / "d/locked/a").write_text("secret", encoding="utf-8")
            (source / "d/only read").mkdir()
            (source / "d/only read/b").touch()
            for name, mode in (("d/locked/a", 0), ("d/locked", 0), ("d/only read", 0o500), ("d", 0o100)):
                (source / name).chmod(mode)
            for changed in (True, False):
                result = restore(source, disk, "d/locked", "d/only read")
                assert (result["changed"], result["folder"]) == (changed, INTO)
            assert not (source / "d").stat().st_mode & 0o400

        assert in_child(work, as_nobody=True) == 0
        found = describe(disk / INTO)
        wanted = {name: facts for name, facts in describe(source).items() if name != b"d"}
        assert {name: facts for name, facts in found.items() if name != b"d"} == wanted
        assert wanted[b"d/locked"][0] == "0o40000"
        assert wanted[b"d/locked/a"][2] == b"secret"
        assert [name for name in names(disk) if name.startswith(".")] == []


def test_what_a_killed_run_left_goes_whatever_its_modes() -> None:
    with place_for_all() as place:
        source, disk = place / "source", place / "disk"

        def work() -> None:
            source.mkdir()
            (source / "a").touch()
            (disk / WORK / "0/inner").mkdir(parents=True)
            (disk / WORK / "0/inner/b").touch()
            (disk / WORK / "0/inner").chmod(0)
            (disk / WORK / "0").chmod(0o500)
            restore(source, disk, "a")
            assert names(disk) == [INTO]

        assert in_child(work, as_nobody=True) == 0


def test_a_run_that_is_killed_at_any_step_is_finished_by_the_next(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d/e").mkdir(parents=True)
    (source / "d/e/a").write_bytes(b"x" * 10)
    (source / "d/link").symlink_to("e")
    (source / "b").touch()
    disk = tmp_path / "disk"
    steps = 0

    def patch(step: Callable[[], None]) -> None:
        before(os, ("open", "mkdir", "pwrite", "ftruncate", "fchmod", "utime", "symlink", "unlink", "rmdir"), step)
        before(placing, ("_rename", "sync"), step)

    def work() -> None:
        restore(source, disk, "d/e", "d/link", "b")

    disk.mkdir()
    for _killed in killed_at_each_step(patch, work):
        steps += 1
        assert set(names(disk)) <= {INTO, WORK}
        result = restore(source, disk, "d/e", "d/link", "b")
        assert result["folder"] == INTO
        assert names(disk) == [INTO]
        found, wanted = describe(disk / INTO), describe(source)
        assert {**found, b"d": None} == {**wanted, b"d": None}
        shutil.rmtree(disk / INTO)
    assert steps > 50


def test_a_kill_in_the_middle_of_a_long_file(tmp_path: Path) -> None:
    source, disk = tmp_path / "source", tmp_path / "disk"
    source.mkdir()
    disk.mkdir()
    (source / "long").write_bytes(os.urandom(1 << 20) * 8)
    script = """
import os, sys, time
from coursehub_tools import __main__, placing
write, count = os.pwrite, [0]
def slow(*words):
    count[0] += 1
    if count[0] == 4:
        print("in the middle", flush=True)
        time.sleep(60)
    return write(*words)
os.pwrite = slow
sys.exit(__main__.main(["copy"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={
            "PYTHONPATH": str(ROOT / "images/tools"),
            "COURSEHUB_SOURCE": str(source),
            "COURSEHUB_DISK": str(disk),
            "COURSEHUB_RESULT": str(tmp_path / "result"),
            "COURSEHUB_REQUEST": json.dumps({"paths": ["long"], "into": INTO}),
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(line == "in the middle\n" for line in process.stdout)
        process.kill()
    assert names(disk) == [WORK]
    assert restore(source, disk, "long")["changed"] is True
    assert names(disk) == [INTO]
    assert describe(disk / INTO) == describe(source)


def test_a_leftover_goes_even_when_nothing_is_to_be_done(disks: Disks, run: Run) -> None:
    (disks.source / "a").touch()
    run("copy", paths=["a"], into=INTO)
    (disks.disk / WORK / "0").mkdir(parents=True)
    assert run("copy", paths=["a"], into=INTO)["changed"] is False
    assert names(disks.disk) == [INTO]


def test_a_tree_that_is_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    source, disk = tmp_path / "source", tmp_path / "disk"
    disk.mkdir()
    source.mkdir()
    folder = os.open(source, os.O_RDONLY)
    for _depth in range(300):
        os.mkdir("n" * 50, dir_fd=folder)
        inner = os.open("n" * 50, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    assert restore(source, disk, "n" * 50)["changed"] is True
    assert restore(source, disk, "n" * 50)["changed"] is False
    for path in (source, disk):
        subprocess.run(["rm", "-rf", path], check=True)


NAMES = (
    st.binary(min_size=1, max_size=12)
    .map(lambda name: name.translate(None, b"/\0"))
    .filter(lambda name: name not in (b"", b".", b".."))
)
# Who is not root can't look into what is closed.
MODES = st.integers(0, 0o1777).map(lambda mode: mode | (0o700 if os.geteuid() else 0))
TIMES = st.integers(-(2**31) * 10**9, 2**33 * 10**9)
FILES = st.tuples(
    st.just("file"), st.one_of(st.binary(max_size=50), st.none().map(lambda _: bytes(2 << 20))), MODES, TIMES
)
LINKS = st.tuples(
    st.just("link"), st.binary(min_size=1, max_size=40).map(lambda name: name.replace(b"\0", b"/")), MODES, TIMES
)
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        st.one_of(FILES, LINKS),
        lambda inner: st.tuples(st.just("folder"), st.dictionaries(NAMES, inner, max_size=4), MODES, TIMES),
        max_leaves=12,
    ),
    min_size=1,
    max_size=4,
)


def plant(folder: bytes, tree_: dict[bytes, Any]) -> None:
    for name, (kind, content, mode, time) in tree_.items():
        path = os.path.join(folder, name)
        if kind == "link":
            os.symlink(content, path)
        elif kind == "folder":
            os.mkdir(path)
            plant(path, content)
        else:
            with open(path, "wb") as file:
                file.write(content)
        if kind != "link":
            os.chmod(path, mode)
        os.utime(path, ns=(0, time), follow_symlinks=False)


@settings(max_examples=60)
@given(TREES)
def test_any_tree_comes_back_as_it_was(tree_: dict[bytes, Any]) -> None:
    with tempfile.TemporaryDirectory() as place:
        source, disk = Path(place) / "source", Path(place) / "disk"
        source.mkdir()
        disk.mkdir()
        plant(os.fsencode(source), tree_)
        paths = [os.fsdecode(name) for name in tree_]
        assert restore(source, disk, *paths)["changed"] is True
        assert describe(disk / INTO) == describe(source)
        assert restore(source, disk, *paths)["changed"] is False
        assert names(disk) == [INTO]
