"""The driver as a process of its own, and calls to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from btrfs_csi.protos import csi, csi_services

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120
CALL_TIMEOUT_S = 120
MIB = 1 << 20
# Else a new driver on the same socket is tried only after seconds.
CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
)


class Driver:
    """One driver, controller and node in one; it can be killed and started again."""

    def __init__(self, pool: Path, folder: Path, *, first_in_path: Path | None = None) -> None:
        self.pool = pool
        self.folder = folder
        self.socket = folder / "csi.sock"
        self._log = folder / "driver.log"
        paths = [str(first_in_path)] if first_in_path else []
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join([*paths, os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT / "lab/csi"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: grpc.Channel | None = None
        self.identity: Any = None
        self.controller: Any = None
        self.node: Any = None

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the driver was not started"
        return self._process

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, and wait for nothing."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "btrfs_csi", "--controller", "--node", "node-a"),
                    *("--socket", str(self.socket), "--pool", str(self.pool), "--own", str(self.folder / "own")),
                ],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self._process

    def start(self) -> Driver:
        """Start the process and wait until it answers."""
        process = self.launch()
        self._channel = grpc.insecure_channel(f"unix://{self.socket}", options=CHANNEL_OPTIONS)
        ready = grpc.channel_ready_future(self._channel)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                ready.result(timeout=0.2)
                break
            except grpc.FutureTimeoutError:
                assert process.poll() is None, f"the driver ended with {process.returncode}: {self.log}"
                assert time.monotonic() < deadline, f"the driver does not answer: {self.log}"
        self.identity = csi_services.IdentityStub(self._channel)
        self.controller = csi_services.ControllerStub(self._channel)
        self.node = csi_services.NodeStub(self._channel)
        return self

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.end()

    def stop(self) -> None:
        """End the process as Kubernetes would."""
        if self._process is None:
            return
        self.process.terminate()
        self.end()

    def end(self) -> None:
        """Wait for the process to end, and end it where it doesn't."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        try:
            self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    # What the tests ask for over and over.

    def create(self, name: str, size: int = 100 * MIB, *, snapshot: str = "", volume: str = "") -> str:
        """Create a disk; return its id."""
        answer = self.controller.CreateVolume(
            volume_request(name, size, snapshot=snapshot, volume=volume), timeout=CALL_TIMEOUT_S
        )
        return str(answer.volume.volume_id)

    def snapshot(self, name: str, volume_id: str) -> str:
        """Take a snapshot; return its id."""
        request = csi.CreateSnapshotRequest(name=name, source_volume_id=volume_id)
        return str(self.controller.CreateSnapshot(request, timeout=CALL_TIMEOUT_S).snapshot.snapshot_id)

    def delete(self, volume_id: str) -> None:
        self.controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id=volume_id), timeout=CALL_TIMEOUT_S)

    def delete_snapshot(self, snapshot_id: str) -> None:
        self.controller.DeleteSnapshot(csi.DeleteSnapshotRequest(snapshot_id=snapshot_id), timeout=CALL_TIMEOUT_S)

    def expand(self, volume_id: str, size: int) -> int:
        """Expand a disk; return the size that it has then."""
        request = csi.ControllerExpandVolumeRequest(volume_id=volume_id)
        request.capacity_range.required_bytes = size
        return int(self.controller.ControllerExpandVolume(request, timeout=CALL_TIMEOUT_S).capacity_bytes)

    def publish(self, volume_id: str, *, readonly: bool = False) -> Path:
        """Mount a disk as the kubelet would; return where."""
        target = self.folder / "pods" / volume_id
        request = csi.NodePublishVolumeRequest(
            volume_id=volume_id, target_path=str(target), volume_capability=capability(), readonly=readonly
        )
        self.node.NodePublishVolume(request, timeout=CALL_TIMEOUT_S)
        return target

    def volumes(self) -> dict[str, int]:
        """Return the sizes of all disks that the driver tells of, by id."""
        answer = self.controller.ListVolumes(csi.ListVolumesRequest(), timeout=CALL_TIMEOUT_S)
        return {entry.volume.volume_id: entry.volume.capacity_bytes for entry in answer.entries}

    def snapshots(self) -> dict[str, str]:
        """Return the sources of all snapshots that the driver tells of, by id."""
        answer = self.controller.ListSnapshots(csi.ListSnapshotsRequest(), timeout=CALL_TIMEOUT_S)
        return {entry.snapshot.snapshot_id: entry.snapshot.source_volume_id for entry in answer.entries}


def capability() -> Any:
    """Return the one way in which a disk of this driver can be used."""
    mode = csi.VolumeCapability.AccessMode
    return csi.VolumeCapability(
        mount=csi.VolumeCapability.MountVolume(), access_mode=mode(mode=mode.SINGLE_NODE_WRITER)
    )


def volume_request(name: str, size: int, *, snapshot: str = "", volume: str = "") -> Any:
    """Return the request for a disk, as a copy of something where that is named."""
    request = csi.CreateVolumeRequest(name=name, volume_capabilities=[capability()])
    request.capacity_range.required_bytes = size
    if snapshot:
        request.volume_content_source.snapshot.snapshot_id = snapshot
    if volume:
        request.volume_content_source.volume.volume_id = volume
    return request
