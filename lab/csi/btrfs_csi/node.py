"""CSI's node service: a disk is bind-mounted into the pod."""

from __future__ import annotations

import subprocess
import threading
import uuid
from pathlib import Path
from typing import Any

import grpc

from .controller import unsupported
from .pool import Pool, PoolError
from .protos import csi, csi_services
from .records import Records, mounts_name


def _mounted(path: Path) -> bool:
    # Not os.path.ismount: between two folders of one file system it sees no mount.
    return subprocess.run(["mountpoint", "--quiet", str(path)], check=False).returncode == 0


def _run(context: grpc.ServicerContext, *command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        context.abort(grpc.StatusCode.INTERNAL, f"{' '.join(command)}: {result.stderr.strip()}")


class Node(csi_services.NodeServicer):
    """Mounts, unmounts and measures disks on one node. ``own`` is a folder on the node's own file system."""

    def __init__(self, pool: Pool, node_id: str, own: Path) -> None:
        self._pool = pool
        self._node_id = node_id
        self._volumes = Records(pool.root, "volumes")
        self._attachments = Records(pool.root, "attachments")
        self._nodes = Records(pool.root, "nodes")
        self._mounts = Records(pool.root, "mounts")
        self._own = Records(own, "nodes")
        self._lock = threading.Lock()

    def announce(self) -> None:
        """Make the node known to the controller, which attaches disks to known nodes only.

        A cloud detaches the disks of a machine that is deleted. Here a new machine of the same name does it for the one
        before: the pool outlives a cluster, and the next one has nothing that would detach what it has not attached.
        Not the machine's id: kind draws that anew at each start, when Kubernetes counts on its attachments still.
        """
        mine = self._own.get(self._node_id)
        if mine is None:
            mine = {"name": self._node_id, "machine": str(uuid.uuid4())}
            self._own.put(self._node_id, mine)
        known = self._nodes.get(self._node_id)
        if known == mine:
            return
        # A record of an earlier driver doesn't say which machine it was; it is taken for this one.
        if known is not None and "machine" in known:
            for volume_id, attachment in list(self._attachments.all()):
                if attachment["node"] == self._node_id:
                    self._attachments.delete(volume_id)
            # Its mounts went with it.
            for name, _record in list(self._mounts.all()):
                # No disk's id has a dot.
                if name.partition(".")[2] == self._node_id:
                    self._mounts.delete(name)
        # Last, so that a driver that is killed before does it again. The kubelet asks for no disk meanwhile: it learns
        # of the driver afterwards.
        self._nodes.put(self._node_id, mine)

    def _source(self, request: Any, context: grpc.ServicerContext) -> Path:
        if not request.volume_id:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "volume_id is missing")
        source = self._pool.volume(request.volume_id)
        if self._volumes.get(request.volume_id) is None or not source.is_dir():
            context.abort(grpc.StatusCode.NOT_FOUND, f"disk {request.volume_id} is not in the pool")
        return source

    def _note(self, volume_id: str, target: str, *, mounted: bool) -> None:
        """Note where a disk is mounted, for the controller: it cuts off a node that is lost with a disk."""
        name = mounts_name(volume_id, self._node_id)
        with self._lock:
            targets = set((self._mounts.get(name) or {"targets": []})["targets"])
            targets = targets | {target} if mounted else targets - {target}
            if targets:
                self._mounts.put(name, {"targets": sorted(targets)})
            else:
                self._mounts.delete(name)

    def NodeGetInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return csi.NodeGetInfoResponse(node_id=self._node_id)

    def NodeGetCapabilities(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = csi.NodeServiceCapability.RPC
        return csi.NodeGetCapabilitiesResponse(
            capabilities=[csi.NodeServiceCapability(rpc=kind(type=kind.GET_VOLUME_STATS))]
        )

    def NodePublishVolume(self, request: Any, context: grpc.ServicerContext) -> Any:
        if not request.target_path:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "target_path is missing")
        reason = unsupported([request.volume_capability])
        if reason:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, reason)
        try:
            self._pool.check()
        except PoolError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        source = self._source(request, context)
        target = Path(request.target_path)
        target.mkdir(parents=True, exist_ok=True)
        # Before it is so: a mount that nobody knows of would not be cut off.
        self._note(request.volume_id, request.target_path, mounted=True)
        if not _mounted(target):
            _run(context, "mount", "--bind", str(source), str(target))
        # Of a mount that is there too: the call before may have ended between the two commands.
        if request.readonly:
            _run(context, "mount", "-o", "remount,bind,ro", str(target))
        return csi.NodePublishVolumeResponse()

    def NodeUnpublishVolume(self, request: Any, context: grpc.ServicerContext) -> Any:
        if not request.volume_id or not request.target_path:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "volume_id and target_path are both needed")
        if self._volumes.get(request.volume_id) is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"disk {request.volume_id} is not in the pool")
        target = Path(request.target_path)
        if target.exists():
            if _mounted(target):
                _run(context, "umount", str(target))
            # rmdir, never rmtree: were the disk still mounted, its files would go.
            target.rmdir()
        self._note(request.volume_id, request.target_path, mounted=False)
        return csi.NodeUnpublishVolumeResponse()

    def NodeGetVolumeStats(self, request: Any, context: grpc.ServicerContext) -> Any:
        if not request.volume_path:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "volume_path is missing")
        source = self._source(request, context)
        if not _mounted(Path(request.volume_path)):
            context.abort(grpc.StatusCode.NOT_FOUND, f"nothing is mounted at {request.volume_path}")
        usage = self._pool.usage(source)
        return csi.NodeGetVolumeStatsResponse(
            usage=[
                csi.VolumeUsage(
                    unit=csi.VolumeUsage.BYTES,
                    total=usage.limit,
                    used=usage.used,
                    available=max(0, usage.limit - usage.used),
                )
            ]
        )
