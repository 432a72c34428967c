"""A real pool, the real driver on it, and the machine that both need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import pools
from tests.integration.driver import ROOT, Driver

COMMANDS = {"btrfs": "btrfs-progs", "mkfs.btrfs": "btrfs-progs", "mount": "mount", "losetup": "mount"}


@pytest.fixture(scope="session")
def machine() -> None:
    """Fail, and do not skip, where these tests can't be run: a skipped one would look like a good one."""
    lacking = sorted({package for name, package in COMMANDS.items() if shutil.which(name) is None})
    if os.geteuid() != 0:
        pytest.fail("the storage tests mount a file system: run them as root", pytrace=False)
    if lacking:
        pytest.fail(f"the storage tests need {', '.join(lacking)} (Debian's names): install them", pytrace=False)


@pytest.fixture
def place(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a short name, for a socket's address has 107 bytes; at the end nothing is mounted in it."""
    folder = tmp_path_factory.mktemp("csi").resolve()
    yield folder
    pools.unmount_all(folder)
    shutil.rmtree(folder)


@pytest.fixture
def pool(place: Path) -> Iterator[Path]:
    with pools.mounted_pool(place) as mount:
        yield mount


@pytest.fixture
def driver(pool: Path, place: Path) -> Iterator[Driver]:
    driver = Driver(pool, place)
    try:
        yield driver.start()
    finally:
        driver.stop()


@pytest.fixture(scope="session")
def reports() -> Path:
    folder = ROOT / "build/reports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
