"""The pool: one btrfs file system with quotas, worked by btrfs-progs."""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


class PoolError(Exception):
    """The pool refused; the message is what btrfs said."""


SUBVOLUME_INODE = 256
# Of linux/fcntl.h and linux/fs.h.
AT_FDCWD, RENAME_EXCHANGE = -100, 2


@dataclass(frozen=True)
class Usage:
    """What a disk uses, in bytes."""

    used: int
    limit: int


def _btrfs(*arguments: str) -> str:
    result = subprocess.run(["btrfs", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PoolError(f"btrfs {' '.join(arguments[:2])}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def _exchange(one: Path, other: Path) -> None:
    """Give each the other's name, in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) != 0:
        raise PoolError(f"exchange {one.name} and {other.name}: {os.strerror(ctypes.get_errno())}")


class Pool:
    """Subvolumes below ``root``: ``volumes/<id>``, and ``snapshots/<id>``, which are read-only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        """Raise PoolError where the pool isn't mounted: an empty folder must never take a disk's place."""
        result = subprocess.run(
            ["stat", "--file-system", "--format=%T", str(self.root)], capture_output=True, text=True, check=False
        )
        kind = result.stdout.strip() or "absent"
        # On a machine whose own file system is btrfs, only its root and those of subvolumes have the inode 256.
        if kind == "btrfs" and self.root.stat().st_ino != SUBVOLUME_INODE:
            kind = "an ordinary folder"
        if kind != "btrfs":
            raise PoolError(f"{self.root} is {kind}, not the btrfs pool: is it mounted?")
        for folder in ("volumes", "snapshots"):
            (self.root / folder).mkdir(exist_ok=True)

    def volume(self, volume_id: str) -> Path:
        return self.root / "volumes" / volume_id

    def snapshot(self, snapshot_id: str) -> Path:
        return self.root / "snapshots" / snapshot_id

    def create(self, volume_id: str, size: int, source: Path | None = None) -> None:
        """Make a subvolume, empty or as a copy of ``source``, limited to ``size`` bytes."""
        target = self.volume(volume_id)
        if not target.exists():
            if source is None:
                _btrfs("subvolume", "create", str(target))
            else:
                _btrfs("subvolume", "snapshot", str(source), str(target))
        self.limit(volume_id, size)

    def limit(self, volume_id: str, size: int) -> None:
        """Set how many bytes a disk may refer to."""
        _btrfs("qgroup", "limit", str(size), str(self.volume(volume_id)))

    def cut_off(self, volume_id: str, size: int) -> None:
        """Take a disk from whoever has it mounted: what they still write reaches nobody.

        A cloud's disk is gone for a node that it was detached from. Here all nodes are of one kernel, and one that was
        frozen and wakes up would write on beside the next one: seen with a PostgreSQL, which lost what was committed.
        """
        name = self.root / "volumes" / f".{volume_id}"
        # Of a call that was killed: the copy, or what had been taken away already.
        self.delete(name)
        _btrfs("subvolume", "snapshot", str(self.volume(volume_id)), str(name))
        _btrfs("qgroup", "limit", str(size), str(name))
        _exchange(name, self.volume(volume_id))
        self.delete(name)

    def take(self, volume_id: str, snapshot_id: str) -> None:
        """Take a read-only snapshot of a disk; what is written but not yet on disk is in it."""
        target = self.snapshot(snapshot_id)
        if not target.exists():
            _btrfs("subvolume", "snapshot", "-r", str(self.volume(volume_id)), str(target))

    def delete(self, subvolume: Path) -> None:
        """Delete a subvolume; one that is gone already is no error.

        The kernel removes its quota group when the cleaner has been there. To destroy it before makes all quotas
        inconsistent now and then: seen once in 500 deletions with Linux 6.18.
        """
        if not subvolume.exists():
            return
        # A student can make subvolumes in a home folder as anyone can; the one around them goes after them.
        for inner in self._inside(subvolume):
            self.delete(inner)
        _btrfs("subvolume", "delete", "--commit-after", str(subvolume))

    def count_anew(self) -> bool:
        """Have the kernel count anew where it has lost count: it holds no disk to its limit then. Tell whether."""
        shown = subprocess.run(
            ["btrfs", "qgroup", "show", "-f", str(self.root)], capture_output=True, text=True, check=False
        )
        if "inconsistent" not in shown.stderr:
            return False
        _btrfs("quota", "rescan", str(self.root))
        return True

    def _inside(self, subvolume: Path) -> list[Path]:
        """Return the subvolumes directly in a subvolume."""
        # ID 257 gen 9 top level 256 path volumes/disk-1/inner; the path is from the top of the file system.
        lines = _btrfs("subvolume", "list", "-o", str(subvolume)).splitlines()
        return [self.root / line.split(" path ", 1)[1] for line in lines]

    def usage(self, subvolume: Path) -> Usage:
        """Return what a disk refers to and its limit, as of the last commit (30 s at most)."""
        lines = _btrfs("qgroup", "show", "-r", "-f", "--raw", str(subvolume)).splitlines()
        # qgroupid rfer excl max_rfer [path]
        fields = lines[2].split()
        return Usage(used=int(fields[1]), limit=0 if fields[3] == "none" else int(fields[3]))

    def available(self) -> int:
        """Return the bytes that are free in the pool."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize
