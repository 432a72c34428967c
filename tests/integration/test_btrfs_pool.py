"""The module ``btrfs_pool`` with real file systems."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import btrfs_pool

from tests.integration import pools

MIB = 1 << 20
SMALL, LARGE = 300 * MIB, 600 * MIB


def write(path: Path, size: int) -> int:
    """Write a file to the disk; return the error that ended it, 0 for none."""
    with path.open("wb", buffering=0) as file:
        try:
            for _megabyte in range(size // MIB):
                file.write(os.urandom(MIB))
                os.fsync(file.fileno())
        except OSError as refused:
            return refused.errno
    return 0


class Host:
    """A folder for the pool's file and its mount, and the module's calls with both."""

    def __init__(self, place: Path) -> None:
        self.file = place / "pool.img"
        self.mount = place / "pool"
        self.fresh = place / "pool.img.new"

    def run(self, size: int = SMALL, *, state: str = "present", check_mode: bool = False) -> dict[str, Any]:
        parameters = {"file": str(self.file), "mount": str(self.mount), "size": str(size), "state": state}
        return btrfs_pool.run(parameters, check_mode)

    def actions(self, size: int = SMALL, *, state: str = "present", check_mode: bool = False) -> list[str]:
        result = self.run(size, state=state, check_mode=check_mode)
        assert result["changed"] == bool(result["actions"])
        return list(result["actions"])

    @property
    def kind(self) -> str:
        return pools.command("stat", "--file-system", "--format=%T", str(self.mount)).strip()

    @property
    def size(self) -> int:
        """The bytes of the file system, which are not the file's."""
        state = os.statvfs(self.mount)
        return state.f_blocks * state.f_frsize

    @property
    def has_quotas(self) -> bool:
        shown = subprocess.run(["btrfs", "qgroup", "show", str(self.mount)], capture_output=True, check=False)
        return shown.returncode == 0

    @property
    def uuid(self) -> str:
        return pools.command("blkid", "--match-tag", "UUID", "--output", "value", "--probe", str(self.file)).strip()


@pytest.fixture
def host(place: Path) -> Iterator[Host]:
    host = Host(place)
    yield host
    pools.unmount_all(place)
    pools.wait_until(lambda: not host.file.exists() or pools.loop_devices(host.file) == [], "no loop device is left")


def test_a_pool_is_created_formatted_and_mounted_with_quotas(host: Host) -> None:
    assert host.actions() == ["create", "mount"]
    assert host.kind == "btrfs"
    assert host.size == SMALL
    assert host.has_quotas
    assert not host.fresh.exists()
    # Sparse: the machine's disk is used by what is written, not by what is allowed.
    assert host.file.stat().st_blocks * 512 < SMALL / 4


def test_a_second_run_changes_nothing(host: Host) -> None:
    host.run()
    before = host.uuid
    assert host.actions() == []
    assert host.uuid == before


def test_check_mode_tells_what_would_be_done_and_does_nothing(host: Host, place: Path) -> None:
    assert host.actions(check_mode=True) == ["create", "mount"]
    assert list(place.iterdir()) == []
    host.run()
    assert host.actions(LARGE, check_mode=True) == ["grow"]
    assert host.size == SMALL
    assert host.actions(state="absent", check_mode=True) == ["unmount", "delete"]
    assert host.kind == "btrfs"
    assert host.file.exists()


def test_a_pool_that_is_not_mounted_is_mounted_and_never_formatted(host: Host) -> None:
    host.run()
    (host.mount / "homework").write_text("done", encoding="utf-8")
    pools.command("umount", str(host.mount))
    assert host.actions() == ["mount"]
    assert (host.mount / "homework").read_text(encoding="utf-8") == "done"
    assert host.has_quotas


def test_a_file_in_the_pool_survives_that_the_pool_grows(host: Host) -> None:
    host.run()
    content = os.urandom(MIB)
    (host.mount / "homework").write_bytes(content)
    # Open while it grows, as a student's files are.
    with (host.mount / "homework").open("r+b") as file:
        assert host.actions(LARGE) == ["grow"]
        file.seek(0, os.SEEK_END)
        file.write(b"more")
    assert host.size == LARGE
    assert (host.mount / "homework").read_bytes() == content + b"more"
    assert host.actions(LARGE) == []


def test_a_grown_pool_takes_more_than_it_could_before(host: Host) -> None:
    host.run()
    assert write(host.mount / "large", SMALL) == errno.ENOSPC
    host.run(LARGE)
    assert write(host.mount / "more", 100 * MIB) == 0


def test_a_pool_that_is_to_grow_while_it_is_not_mounted_is_mounted_and_grows(host: Host) -> None:
    host.run()
    pools.command("umount", str(host.mount))
    assert host.actions(LARGE) == ["mount", "grow"]
    assert host.size == LARGE


def test_a_growth_that_was_interrupted_is_finished_by_the_next_run(host: Host) -> None:
    host.run()
    # As far as an interrupted run got: the file is large, the loop device and the file system are not.
    os.truncate(host.file, LARGE)
    host.run(LARGE)
    assert host.size == LARGE


def test_a_smaller_size_is_refused_and_nothing_is_lost(host: Host) -> None:
    host.run(LARGE)
    (host.mount / "homework").write_text("done", encoding="utf-8")
    with pytest.raises(CoursehubError, match="can't shrink"):
        host.run(SMALL)
    assert host.size == LARGE
    assert host.file.stat().st_size == LARGE
    assert (host.mount / "homework").read_text(encoding="utf-8") == "done"


def test_absent_removes_the_pool_and_leaves_no_loop_device(host: Host) -> None:
    host.run()
    (device,) = pools.loop_devices(host.file)
    assert host.actions(state="absent") == ["unmount", "delete"]
    assert not host.file.exists()
    assert not os.path.ismount(host.mount)
    # The file is gone: the device is asked what it holds.
    pools.wait_until(lambda: str(host.file) not in _backing(device), f"{device} is detached")
    assert host.actions(state="absent") == []


def _backing(device: str) -> str:
    listed = subprocess.run(
        ["losetup", "--noheadings", "--output", "BACK-FILE", device], capture_output=True, text=True, check=False
    )
    return listed.stdout


def test_a_pool_that_is_in_use_is_not_deleted(host: Host) -> None:
    host.run()
    with (
        (host.mount / "homework").open("w", encoding="utf-8"),
        pytest.raises(CoursehubError, match=r"`umount .*` failed"),
    ):
        host.run(state="absent")
    assert host.file.exists()
    assert host.kind == "btrfs"


def test_a_creation_that_was_interrupted_is_begun_anew(host: Host) -> None:
    # As large as another size that was wanted then, and no file system.
    host.fresh.write_bytes(b"half of a file system" * 100)
    os.truncate(host.fresh, LARGE)
    assert host.actions() == ["create", "mount"]
    assert host.size == SMALL
    assert host.file.stat().st_size == SMALL
    assert not host.fresh.exists()
    pools.command("btrfs", "scrub", "start", "-B", str(host.mount))


def test_quotas_are_turned_on_where_a_run_ended_before_it_did_so(host: Host) -> None:
    host.run()
    # As far as an interrupted run got: mounted, and no quotas yet.
    pools.command("btrfs", "quota", "disable", str(host.mount))
    assert not host.has_quotas
    host.run()
    assert host.has_quotas


def test_a_machine_without_btrfs_is_told_what_it_needs(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mount = shutil.which("mount")
    assert mount is not None
    (tmp_path / "mount").symlink_to(mount)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CoursehubError, match=r"mkfs\.btrfs is not installed: the pool needs btrfs-progs"):
        host.run()
    assert not host.file.exists()
