"""The driver's pool on a real btrfs file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from btrfs_csi.pool import Pool

from tests.integration import pools

MIB = 1 << 20
LIMIT = 4 * MIB


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with pools.mounted_pool(tmp_path) as mount:
        pool = Pool(mount)
        pool.check()
        yield pool


def _fill(file: IO[bytes]) -> None:
    for _megabyte in range(4 * LIMIT // MIB):
        file.write(os.urandom(MIB))
        os.fsync(file.fileno())


def test_the_kernel_counts_anew_when_it_has_lost_count(pool: Pool) -> None:
    pool.create("disk", LIMIT)
    # What two share can't be added to a group without counting.
    (pool.volume("disk") / "file").write_bytes(os.urandom(MIB))
    pool.take("disk", "snapshot")
    pools.command("btrfs", "filesystem", "sync", str(pool.root))
    assert not pool.count_anew()
    number = pools.command("btrfs", "inspect-internal", "rootid", str(pool.volume("disk"))).strip()
    pools.command("btrfs", "qgroup", "create", "1/0", str(pool.root))
    pools.command("btrfs", "qgroup", "assign", "--no-rescan", f"0/{number}", "1/0", str(pool.root))
    assert pool.count_anew()
    pools.wait_until(lambda: not pool.count_anew(), "counted anew")
    with (pool.volume("disk") / "too-much").open("wb", buffering=0) as file, pytest.raises(OSError, match="quota"):
        _fill(file)


def test_what_is_cut_off_writes_to_nobody(pool: Pool, tmp_path: Path) -> None:
    pool.create("disk", LIMIT)
    disk, elsewhere = pool.volume("disk"), tmp_path / "node"
    (disk / "file").write_text("before", encoding="utf-8")
    elsewhere.mkdir()
    pools.command("mount", "--bind", str(disk), str(elsewhere))
    try:
        with (elsewhere / "file").open("r+", encoding="utf-8") as lost:
            # A call that was killed has left its copy.
            pools.command("btrfs", "subvolume", "snapshot", str(disk), str(disk.with_name(".disk")))
            pool.cut_off("disk", LIMIT)
            (disk / "file").write_text("after", encoding="utf-8")
            with suppress(OSError):
                lost.write("damage")
                lost.flush()
                os.fsync(lost.fileno())
            with suppress(OSError):
                (elsewhere / "new").write_text("damage", encoding="utf-8")
    finally:
        pools.command("umount", str(elsewhere))
    assert {path.name: path.read_text(encoding="utf-8") for path in disk.iterdir()} == {"file": "after"}
    assert [path.name for path in disk.parent.iterdir()] == ["disk"]
    # It is limited as before, and what was taken away is not counted for it.
    with (disk / "too-much").open("wb", buffering=0) as file, pytest.raises(OSError, match="quota"):
        _fill(file)
    pool.cut_off("disk", LIMIT)
    assert (disk / "file").read_text(encoding="utf-8") == "after"
    pools.command("btrfs", "subvolume", "sync", str(pool.root))
    assert not pool.count_anew()


def test_disks_that_are_deleted_in_numbers_leave_the_count_right(pool: Pool) -> None:
    for number in range(100):
        pool.create(f"disk-{number}", LIMIT)
        (pool.volume(f"disk-{number}") / "file").write_bytes(os.urandom(64 << 10))
        pool.take(f"disk-{number}", f"snapshot-{number}")
    for number in range(100):
        pool.delete(pool.snapshot(f"snapshot-{number}"))
        pool.delete(pool.volume(f"disk-{number}"))
    pools.command("btrfs", "subvolume", "sync", str(pool.root))
    assert not pool.count_anew()
