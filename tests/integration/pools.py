"""A real btrfs pool in a file, and taking down all that is mounted below a folder."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POOL_BYTES = 4 << 30


def command(*words: str) -> str:
    """Run a command; return what it said. Raises AssertionError with its complaint."""
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"`{' '.join(words)}` failed: {(result.stderr or result.stdout).strip()}"
    return result.stdout


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Look every 50 ms whether something has come true. Raises AssertionError when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not so after {seconds} s"
        time.sleep(0.05)


def mounts_below(folder: Path) -> list[Path]:
    """Return what is mounted at a folder and below it, the latest first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in lines]
    return [point for point in reversed(points) if point.is_relative_to(folder)]


def loop_devices(file: Path) -> list[str]:
    """Return the loop devices that hold a file."""
    return command("losetup", "--noheadings", "--output", "NAME", "--associated", str(file)).split()


def unmount_all(folder: Path) -> None:
    """Unmount all that is mounted below a folder. Raises AssertionError for what stays, after the rest is gone."""
    folder = folder.resolve()
    for point in mounts_below(folder):
        subprocess.run(["umount", str(point)], capture_output=True, check=False)
    assert mounts_below(folder) == [], "these can't be unmounted"


@contextmanager
def mounted_pool(folder: Path) -> Iterator[Path]:
    """Mount a fresh pool with quotas; take it down with all that was mounted from it below the folder."""
    file, mount = folder / "pool.img", folder / "pool"
    mount.mkdir()
    with file.open("wb") as image:
        image.truncate(POOL_BYTES)
    try:
        command("mkfs.btrfs", "--quiet", str(file))
        command("mount", "--options", "loop", str(file), str(mount))
        command("btrfs", "quota", "enable", str(mount))
        yield mount
    finally:
        unmount_all(folder)
        # A loop device that was made by mount goes by itself, a moment after its file system.
        wait_until(lambda: loop_devices(file) == [], f"the loop device of {file} is detached")
        file.unlink()
