"""What stands in for btrfs and for a gRPC call."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest
from btrfs_csi.pool import PoolError, Usage
from btrfs_csi.protos import csi

MIB = 1 << 20
GIB = 1 << 30


class AbortedError(Exception):
    """A call that was answered by a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class Context:
    """The part of a call's context that the driver uses."""

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise AbortedError(code, details)


class FolderPool:
    """The pool as plain folders: subvolumes are folders, snapshots are copies, limits are remembered."""

    def __init__(self, root: Path, size: int = 10 * GIB) -> None:
        self.root = root
        self.size = size
        self.mounted = True
        self.limits: dict[str, int] = {}
        self.cut: list[str] = []
        # Called with the name of what is done and the id, before it is done.
        self.before: Callable[[str, str], None] = lambda _what, _id: None

    def check(self) -> None:
        if not self.mounted:
            raise PoolError(f"{self.root} is absent, not the btrfs pool: is it mounted?")
        for folder in ("volumes", "snapshots"):
            (self.root / folder).mkdir(exist_ok=True)

    def volume(self, volume_id: str) -> Path:
        return self.root / "volumes" / volume_id

    def snapshot(self, snapshot_id: str) -> Path:
        return self.root / "snapshots" / snapshot_id

    def cut_off(self, volume_id: str, size: int) -> None:
        self.before("cut off", volume_id)
        assert self.limits[volume_id] == size
        self.cut.append(volume_id)

    def create(self, volume_id: str, size: int, source: Path | None = None) -> None:
        self.before("create", volume_id)
        if not self.volume(volume_id).exists():
            if source is None:
                self.volume(volume_id).mkdir()
            else:
                shutil.copytree(source, self.volume(volume_id))
        self.limit(volume_id, size)

    def limit(self, volume_id: str, size: int) -> None:
        self.before("limit", volume_id)
        assert self.volume(volume_id).is_dir()
        self.limits[volume_id] = size

    def take(self, volume_id: str, snapshot_id: str) -> None:
        self.before("take", snapshot_id)
        if not self.snapshot(snapshot_id).exists():
            shutil.copytree(self.volume(volume_id), self.snapshot(snapshot_id))

    def delete(self, subvolume: Path) -> None:
        self.before("delete", subvolume.name)
        if subvolume.exists():
            shutil.rmtree(subvolume)
            self.limits.pop(subvolume.name, None)

    def usage(self, subvolume: Path) -> Usage:
        used = sum(path.stat().st_size for path in subvolume.rglob("*") if path.is_file())
        return Usage(used=used, limit=self.limits[subvolume.name])

    def count_anew(self) -> bool:
        return False

    def available(self) -> int:
        return self.size


def refused(code: str, call: Callable[..., Any], *arguments: Any) -> str:
    """Check that a call is answered by a status; return its sentence."""
    with pytest.raises(AbortedError) as caught:
        call(*arguments)
    assert caught.value.code == getattr(grpc.StatusCode, code), str(caught.value)
    return caught.value.details


def capability(mode: str = "SINGLE_NODE_WRITER", *, block: bool = False) -> Any:
    """Return a way in which a disk is to be used."""
    modes = csi.VolumeCapability.AccessMode
    one = csi.VolumeCapability(access_mode=modes(mode=modes.Mode.Value(mode)))
    if block:
        one.block.SetInParent()
    else:
        one.mount.SetInParent()
    return one
