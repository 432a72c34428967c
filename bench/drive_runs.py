"""What is compared in the benchmark ``drive``: the exporter as its Job runs it, and rclone, on one emulated Drive.

Both go to Google's names, by the emulator's HTTPS proxy, as one service account that writes into a shared drive.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration import rclone
from tests.integration.drive import Emulator, emulator

from . import drive_homes, process
from .drive_homes import Shape
from .report import ROOT, fail

TIMEOUT_S = 900.0
OURS, PEER = "ours@course.iam.gserviceaccount.com", "peer@course.iam.gserviceaccount.com"
# What people see of Drive: about two small files a second and identity (https://github.com/rclone/rclone/issues/7384).
WRITES_PER_SECOND = 2.0


@dataclass(frozen=True)
class Run:
    """What a run took, as the emulator counted it: seconds, calls, those that were refused, and bytes of contents."""

    seconds: float
    calls: int
    refused: int
    sent: int
    rss_mb: float = 0.0


class Place:
    """A Drive with nothing in it, and homes."""

    def __init__(self, drive: Emulator, folder: Path, shape: Shape) -> None:
        self.drive = drive
        self.folder = folder
        self.shape = shape
        self.homes = folder / "homes"
        self.homes.mkdir()
        drive_homes.write(shape, self.homes)

    def limit(self, **limits: float) -> None:
        """Set limits of Drive's; 0 is none."""
        self.drive.admin("PATCH", "/limits", **limits)

    def counted(self, seconds: float, rss_mb: float = 0.0) -> Run:
        """Return what the emulator has counted since it was last asked."""
        told = self.drive.admin("DELETE", "/counters")
        refused = sum(row["count"] for row in told["answers"] if row["status"] in (403, 429))
        return Run(seconds, told["total_calls"], refused, sum(told["uploaded_bytes"].values()), rss_mb)


class Ours:
    """The exporter, into a shared drive of its own."""

    def __init__(self, place: Place, **common: Any) -> None:
        self._place = place
        self._common = common
        self._folder = place.folder / "ours"
        self._folder.mkdir()
        self.drive_id, _owner, self.key_file = rclone.shared_drive(place.drive, self._folder, "ours", OURS)
        place.counted(0)

    @property
    def state(self) -> Path:
        """Return where the exporter keeps what it knows."""
        return self._folder / "state"

    def run(self, writes_per_second: float = 1000.0) -> Run:
        """Export all students, one request for all as a Job has it."""
        request = {
            "folder": self.drive_id,
            "credentials": str(self.key_file),
            "state": str(self.state),
            "writes_per_second": writes_per_second,
            **self._common,
            "students": [
                {"student": name, "source": str(self._place.homes / name)}
                for name in drive_homes.names(self._place.shape)
            ],
        }
        path = self._folder / "request.json"
        path.write_text(json.dumps(request), encoding="utf-8")
        way = rclone.way(self._place.drive)
        environment = {
            "PYTHONPATH": str(ROOT / "images/tools"),
            "HTTPS_PROXY": way["HTTPS_PROXY"],
            "HTTPLIB2_CA_CERTS": way["SSL_CERT_FILE"],
        }
        command = [sys.executable, "-m", "coursehub_tools.drive", "export", f"--request={path}"]
        done = process.run(command, TIMEOUT_S, environment)
        if done.code != 0:
            fail(f"the exporter ended with {done.code}: {done.said[-2000:]}")
        return self._place.counted(done.seconds, done.rss_mb)


class Peer:
    """rclone, into a shared drive of its own."""

    def __init__(self, place: Place, options: Sequence[str]) -> None:
        self._place = place
        folder = place.folder / "peer"
        folder.mkdir()
        drive_id, _owner, key_file = rclone.shared_drive(place.drive, folder, "peer", PEER)
        self._rclone = rclone.Rclone(place.drive, key_file, (f"--drive-team-drive={drive_id}", *options))
        place.counted(0)

    def run(self, *more: str) -> Run:
        """Sync all homes, one process for all."""
        began = time.monotonic()
        done = self._rclone.run("sync", *more, str(self._place.homes), ":drive:", check=False, timeout_s=TIMEOUT_S)
        seconds = time.monotonic() - began
        if done.returncode != 0:
            fail(f"rclone ended with {done.returncode}: {done.stderr[-2000:]}")
        return self._place.counted(round(seconds, 3))


@contextmanager
def place(folder: Path, shape: Shape) -> Iterator[Place]:
    """Run an emulator in a folder, and write homes there."""
    folder.mkdir()
    with emulator(folder, "--proxy-port=0") as drive:
        yield Place(drive, folder, shape)
