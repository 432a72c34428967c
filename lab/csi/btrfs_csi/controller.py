"""CSI's controller service: disks, snapshots, and which node has which disk."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import grpc

from .pool import Pool, PoolError
from .protos import csi, csi_services
from .records import Records, mounts_name

DEFAULT_SIZE = 1 << 30
# CSI allows 128 bytes for a volume's name.
LONGEST_NAME = 128


class Refused(Exception):
    """A request that is answered by a status code."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def _answers(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what went wrong into a status, so that a sidecar shows one sentence on the claim.

    Of a pool that isn't mounted nothing is told: from its empty folder every disk would seem to be gone.
    """

    @wraps(method)
    def call(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            self.pool.check()
            return method(self, request)
        except Refused as refused:
            return context.abort(refused.code, str(refused))
        except PoolError as error:
            return context.abort(grpc.StatusCode.INTERNAL, str(error))

    return call


def _need(**values: object) -> None:
    for name, value in values.items():
        if not value:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"{name} is missing")


def unsupported(capabilities: Iterable[Any]) -> str:
    """Return why a disk can't be used as asked, or an empty string."""
    modes = csi.VolumeCapability.AccessMode
    single = {modes.SINGLE_NODE_WRITER, modes.SINGLE_NODE_READER_ONLY}
    for capability in capabilities:
        if capability.WhichOneof("access_type") != "mount":
            return "a disk of this driver is a file system: it can't be a block device"
        if capability.access_mode.mode not in single:
            return "a disk of this driver is for one node at a time"
    return "" if list(capabilities) else "volume_capability is missing"


def _identifier(prefix: str, name: str) -> str:
    """Derive the id from the name, so that a repeated request finds what the first one made."""
    if len(name.encode()) > LONGEST_NAME:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"the name has more than {LONGEST_NAME} bytes")
    return f"{prefix}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _size(capacity: Any, least: int = 0) -> int:
    size = max(capacity.required_bytes, least) or min(DEFAULT_SIZE, capacity.limit_bytes or DEFAULT_SIZE)
    if capacity.limit_bytes and size > capacity.limit_bytes:
        raise Refused(grpc.StatusCode.OUT_OF_RANGE, f"{size} bytes are needed, the limit is {capacity.limit_bytes}")
    return int(size)


def _origin(request: Any) -> dict[str, str]:
    """Return what a disk is asked to start as, in the form in which its record keeps it."""
    content = request.volume_content_source
    return {"snapshot": content.snapshot.snapshot_id, "volume": content.volume.volume_id}


def _page(items: Sequence[Any], token: str, most: int) -> tuple[Sequence[Any], str]:
    """Cut one page; the token is the index of the next item."""
    # isdigit alone takes digits that int does not, as in ².
    if token and not (token.isascii() and token.isdigit() and int(token) <= len(items)):
        raise Refused(grpc.StatusCode.ABORTED, f"{token!r} is no token of an earlier page")
    start = int(token or 0)
    end = start + most if most else len(items)
    return items[start:end], str(end) if end < len(items) else ""


class Controller(csi_services.ControllerServicer):
    """Everything about disks that is not done on a node."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._volumes = Records(pool.root, "volumes")
        self._snapshots = Records(pool.root, "snapshots")
        self._attachments = Records(pool.root, "attachments")
        self._nodes = Records(pool.root, "nodes")
        self._mounts = Records(pool.root, "mounts")
        # Sidecars repeat a request that takes long; two of the same must not run side by side.
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def _volume(self, volume_id: str) -> dict[str, Any]:
        _need(volume_id=volume_id)
        record = self._volumes.get(volume_id)
        if record is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"there is no disk {volume_id}")
        return record

    def _attachment(self, volume_id: str) -> dict[str, Any] | None:
        """Return where a disk is attached, None where it is not.

        An attachment to a node without a record counts for nothing: there is no such machine. One to a node that has a
        record and never comes back stays, as there is nothing here that knows of its end: after a cluster was lost and
        made anew with fewer nodes, remove the record of each that is no longer there (``records/nodes`` in the pool).
        A new machine of the same name drops those of the one before, see ``Node.announce``.
        """
        attachment = self._attachments.get(volume_id)
        known = attachment is not None and self._nodes.get(attachment["node"]) is not None
        return attachment if known else None

    def ControllerGetCapabilities(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = csi.ControllerServiceCapability.RPC
        names = (
            "CREATE_DELETE_VOLUME PUBLISH_UNPUBLISH_VOLUME LIST_VOLUMES LIST_VOLUMES_PUBLISHED_NODES GET_CAPACITY "
            "CREATE_DELETE_SNAPSHOT LIST_SNAPSHOTS CLONE_VOLUME EXPAND_VOLUME PUBLISH_READONLY"
        )
        return csi.ControllerGetCapabilitiesResponse(
            capabilities=[
                csi.ControllerServiceCapability(rpc=kind(type=kind.Type.Value(name))) for name in names.split()
            ]
        )

    @_answers
    def CreateVolume(self, request: Any) -> Any:
        _need(name=request.name, volume_capabilities=request.volume_capabilities)
        reason = unsupported(request.volume_capabilities)
        if reason:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, reason)
        volume_id = _identifier("disk", request.name)
        with self._locks[volume_id]:
            known = self._volumes.get(volume_id)
            if known is not None:
                self._same(known, request)
                return self._created(volume_id, known)
            source, least = self._source(request)
            size = _size(request.capacity_range, least)
            if size > self.pool.available():
                raise Refused(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"the pool has {self.pool.available()} bytes left, the disk wants {size}",
                )
            record = {"name": request.name, "size": size, **_origin(request)}
            # The subvolume first: a record without one would be a disk that can't be mounted.
            self.pool.create(volume_id, size, source)
            self._volumes.put(volume_id, record)
            return self._created(volume_id, record)

    def _source(self, request: Any) -> tuple[Any, int]:
        """Return the subvolume that a new disk starts as, and the least size that it then has."""
        content = request.volume_content_source
        if content.WhichOneof("type") == "snapshot":
            record = self._snapshots.get(content.snapshot.snapshot_id)
            if record is None:
                raise Refused(grpc.StatusCode.NOT_FOUND, f"there is no snapshot {content.snapshot.snapshot_id}")
            return self.pool.snapshot(content.snapshot.snapshot_id), record["size"]
        if content.WhichOneof("type") == "volume":
            record = self._volume(content.volume.volume_id)
            return self.pool.volume(content.volume.volume_id), record["size"]
        return None, 0

    @staticmethod
    def _same(known: dict[str, Any], request: Any) -> None:
        capacity = request.capacity_range
        smaller = known["size"] < capacity.required_bytes
        larger = capacity.limit_bytes and known["size"] > capacity.limit_bytes
        if smaller or larger:
            raise Refused(
                grpc.StatusCode.ALREADY_EXISTS,
                f"disk {known['name']} exists with {known['size']} bytes, not with what is asked for now",
            )
        # A restore that was answered with a disk of that name from elsewhere would look like one that lost the files.
        if any(known[key] != value for key, value in _origin(request).items()):
            raise Refused(
                grpc.StatusCode.ALREADY_EXISTS,
                f"disk {known['name']} exists, made from {known['snapshot'] or known['volume'] or 'nothing'},"
                " not from what is asked for now",
            )

    @staticmethod
    def _created(volume_id: str, record: dict[str, Any]) -> Any:
        volume = csi.Volume(volume_id=volume_id, capacity_bytes=record["size"])
        if record["snapshot"]:
            volume.content_source.snapshot.snapshot_id = record["snapshot"]
        if record["volume"]:
            volume.content_source.volume.volume_id = record["volume"]
        return csi.CreateVolumeResponse(volume=volume)

    @_answers
    def DeleteVolume(self, request: Any) -> Any:
        _need(volume_id=request.volume_id)
        with self._locks[request.volume_id]:
            if self._volumes.get(request.volume_id) is not None:
                attachment = self._attachment(request.volume_id)
                if attachment is not None:
                    raise Refused(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"disk {request.volume_id} is attached to {attachment['node']}",
                    )
                self.pool.delete(self.pool.volume(request.volume_id))
                self._volumes.delete(request.volume_id)
                self._attachments.delete(request.volume_id)
                for node, _record in self._nodes.all():
                    self._mounts.delete(mounts_name(request.volume_id, node))
        return csi.DeleteVolumeResponse()

    @_answers
    def ControllerPublishVolume(self, request: Any) -> Any:
        _need(volume_id=request.volume_id, node_id=request.node_id)
        reason = unsupported([request.volume_capability])
        if reason:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, reason)
        with self._locks[request.volume_id]:
            self._volume(request.volume_id)
            if self._nodes.get(request.node_id) is None:
                raise Refused(grpc.StatusCode.NOT_FOUND, f"there is no node {request.node_id}")
            wanted = {"node": request.node_id, "readonly": request.readonly}
            attachment = self._attachment(request.volume_id)
            if attachment is None:
                self._attachments.put(request.volume_id, wanted)
            elif attachment["node"] != request.node_id:
                raise Refused(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"disk {request.volume_id} is attached to {attachment['node']}: one node at a time",
                )
            elif attachment != wanted:
                raise Refused(
                    grpc.StatusCode.ALREADY_EXISTS,
                    f"disk {request.volume_id} is attached to {request.node_id} with another access mode",
                )
        return csi.ControllerPublishVolumeResponse()

    @_answers
    def ControllerUnpublishVolume(self, request: Any) -> Any:
        _need(volume_id=request.volume_id)
        with self._locks[request.volume_id]:
            attachment = self._attachments.get(request.volume_id)
            if attachment is not None and request.node_id in ("", attachment["node"]):
                self._cut_off(request.volume_id, attachment["node"])
                self._attachments.delete(request.volume_id)
        return csi.ControllerUnpublishVolumeResponse()

    def _cut_off(self, volume_id: str, node: str) -> None:
        """Make sure that a node can't write to a disk any more that it has not let go of, as one that is lost."""
        mounts, volume = mounts_name(volume_id, node), self._volumes.get(volume_id)
        if volume is not None and self._mounts.get(mounts) is not None:
            self.pool.cut_off(volume_id, volume["size"])
            self._mounts.delete(mounts)

    @_answers
    def ValidateVolumeCapabilities(self, request: Any) -> Any:
        self._volume(request.volume_id)
        _need(volume_capabilities=request.volume_capabilities)
        reason = unsupported(request.volume_capabilities)
        if reason:
            return csi.ValidateVolumeCapabilitiesResponse(message=reason)
        confirmed = csi.ValidateVolumeCapabilitiesResponse.Confirmed(volume_capabilities=request.volume_capabilities)
        return csi.ValidateVolumeCapabilitiesResponse(confirmed=confirmed)

    @_answers
    def ListVolumes(self, request: Any) -> Any:
        volumes, token = _page(list(self._volumes.all()), request.starting_token, request.max_entries)
        response = csi.ListVolumesResponse(next_token=token)
        for volume_id, record in volumes:
            entry = response.entries.add(volume=self._created(volume_id, record).volume)
            attachment = self._attachment(volume_id)
            if attachment is not None:
                entry.status.published_node_ids.append(attachment["node"])
        return response

    @_answers
    def GetCapacity(self, request: Any) -> Any:
        if request.volume_capabilities and unsupported(request.volume_capabilities):
            return csi.GetCapacityResponse(available_capacity=0)
        return csi.GetCapacityResponse(available_capacity=self.pool.available())

    @_answers
    def ControllerExpandVolume(self, request: Any) -> Any:
        _need(volume_id=request.volume_id, capacity_range=request.HasField("capacity_range"))
        with self._locks[request.volume_id]:
            record = self._volume(request.volume_id)
            size = _size(request.capacity_range, record["size"])
            if size != record["size"]:
                self.pool.limit(request.volume_id, size)
                self._volumes.put(request.volume_id, {**record, "size": size})
        # The quota is the disk's size: it is in force on every node at once.
        return csi.ControllerExpandVolumeResponse(capacity_bytes=size, node_expansion_required=False)

    @_answers
    def CreateSnapshot(self, request: Any) -> Any:
        _need(name=request.name, source_volume_id=request.source_volume_id)
        snapshot_id = _identifier("snapshot", request.name)
        with self._locks[snapshot_id]:
            known = self._snapshots.get(snapshot_id)
            if known is None:
                volume = self._volume(request.source_volume_id)
                known = {
                    "name": request.name,
                    "source": request.source_volume_id,
                    "size": volume["size"],
                    "created": time.time_ns(),
                }
                self.pool.take(request.source_volume_id, snapshot_id)
                self._snapshots.put(snapshot_id, known)
            elif known["source"] != request.source_volume_id:
                raise Refused(
                    grpc.StatusCode.ALREADY_EXISTS, f"snapshot {request.name} exists, of disk {known['source']}"
                )
            return csi.CreateSnapshotResponse(snapshot=self._taken(snapshot_id, known))

    @staticmethod
    def _taken(snapshot_id: str, record: dict[str, Any]) -> Any:
        snapshot = csi.Snapshot(
            snapshot_id=snapshot_id,
            source_volume_id=record["source"],
            size_bytes=record["size"],
            ready_to_use=True,
        )
        snapshot.creation_time.FromNanoseconds(record["created"])
        return snapshot

    @_answers
    def DeleteSnapshot(self, request: Any) -> Any:
        _need(snapshot_id=request.snapshot_id)
        with self._locks[request.snapshot_id]:
            if self._snapshots.get(request.snapshot_id) is not None:
                self.pool.delete(self.pool.snapshot(request.snapshot_id))
                self._snapshots.delete(request.snapshot_id)
        return csi.DeleteSnapshotResponse()

    @_answers
    def ListSnapshots(self, request: Any) -> Any:
        chosen = [
            (snapshot_id, record)
            for snapshot_id, record in self._snapshots.all()
            if request.snapshot_id in ("", snapshot_id) and request.source_volume_id in ("", record["source"])
        ]
        page, token = _page(chosen, request.starting_token, request.max_entries)
        response = csi.ListSnapshotsResponse(next_token=token)
        for snapshot_id, record in page:
            response.entries.add(snapshot=self._taken(snapshot_id, record))
        return response
