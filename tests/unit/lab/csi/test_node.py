"""A disk is bound into a pod once, and taken out without touching its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from btrfs_csi import node as node_module
from btrfs_csi.node import Node
from btrfs_csi.protos import csi
from btrfs_csi.records import Records

from tests.unit.lab.csi.fakes import MIB, Context, FolderPool, capability, refused


class Mounts:
    """What is mounted where, in place of the kernel's table; ``mount`` and ``umount`` change it."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.readonly: set[str] = set()
        self.fails: set[str] = set()
        self.count = 0

    def mounted(self, path: Path) -> bool:
        return str(path) in self.sources

    def run(self, context: Context, *command: str) -> None:
        if command[0] in self.fails:
            context.abort(grpc.StatusCode.INTERNAL, f"{' '.join(command)}: no such luck")
        match command:
            case ("mount", "--bind", source, target):
                assert Path(source).is_dir()
                assert Path(target).is_dir()
                assert target not in self.sources
                self.sources[target] = source
                self.count += 1
            case ("mount", "-o", "remount,bind,ro", target):
                assert target in self.sources
                self.readonly.add(target)
            case ("umount", target):
                del self.sources[target]
                self.readonly.discard(target)
            case _:
                pytest.fail(f"not a command of the node: {command}")


class Kubelet:
    """A node with one disk in the pool."""

    def __init__(self, root: Path, mounts: Mounts) -> None:
        self.pool = FolderPool(root / "pool")
        self.pool.root.mkdir()
        self.pool.check()
        self.mounts = mounts
        self.target = root / "pods/one/mount"
        self.disk = "disk-1"
        self.pool.create(self.disk, 100 * MIB)
        Records(self.pool.root, "volumes").put(self.disk, {"size": 100 * MIB})
        self.machine = root / "machine-a"
        self.node = Node(self.pool, "node-a", self.machine)

    @property
    def source(self) -> Path:
        return self.pool.volume(self.disk)

    def publish(self, volume_id: str = "disk-1", *, readonly: bool = False, how: Any = None, target: str = "") -> None:
        request = csi.NodePublishVolumeRequest(
            volume_id=volume_id,
            target_path=target or str(self.target),
            readonly=readonly,
            volume_capability=how or capability(),
        )
        self.node.NodePublishVolume(request, Context())

    def unpublish(self, volume_id: str = "disk-1", target: Path | None = None) -> None:
        path = self.target if target is None else target
        request = csi.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=str(path))
        self.node.NodeUnpublishVolume(request, Context())

    def stats(self, volume_id: str = "disk-1", path: str | None = None) -> Any:
        request = csi.NodeGetVolumeStatsRequest(
            volume_id=volume_id, volume_path=str(self.target) if path is None else path
        )
        return self.node.NodeGetVolumeStats(request, Context())


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> Mounts:
    mounts = Mounts()
    monkeypatch.setattr(node_module, "_mounted", mounts.mounted)
    monkeypatch.setattr(node_module, "_run", mounts.run)
    return mounts


@pytest.fixture
def kubelet(tmp_path: Path, mounts: Mounts) -> Kubelet:
    return Kubelet(tmp_path, mounts)


def test_a_disk_is_bound_to_where_the_kubelet_wants_it(kubelet: Kubelet) -> None:
    kubelet.publish()
    assert kubelet.mounts.sources == {str(kubelet.target): str(kubelet.source)}
    assert kubelet.mounts.readonly == set()


def test_a_disk_that_is_bound_already_is_not_bound_again(kubelet: Kubelet) -> None:
    kubelet.publish()
    kubelet.publish()
    assert kubelet.mounts.count == 1


def test_a_disk_for_reading_is_bound_read_only(kubelet: Kubelet) -> None:
    kubelet.publish(readonly=True)
    assert kubelet.mounts.readonly == {str(kubelet.target)}


def test_a_disk_that_could_not_be_made_read_only_is_made_so_by_the_repeat(
    kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(context: Context, *command: str) -> None:
        if "remount,bind,ro" in command:
            monkeypatch.setattr(node_module, "_run", kubelet.mounts.run)
            context.abort(grpc.StatusCode.INTERNAL, "no such luck")
        kubelet.mounts.run(context, *command)

    monkeypatch.setattr(node_module, "_run", fail_once)
    refused("INTERNAL", lambda: kubelet.publish(readonly=True))
    kubelet.publish(readonly=True)
    assert kubelet.mounts.readonly == {str(kubelet.target)}


def test_a_pool_that_is_not_mounted_is_told_and_nothing_is_made(kubelet: Kubelet) -> None:
    kubelet.pool.mounted = False
    assert "is it mounted?" in refused("UNAVAILABLE", kubelet.publish)
    assert not kubelet.target.exists()
    assert kubelet.mounts.sources == {}


@pytest.mark.parametrize("volume_id", ["disk-none", "../volumes/disk-1", "disk-1/..", "."])
def test_a_disk_that_is_not_in_the_pool_is_not_found(kubelet: Kubelet, volume_id: str) -> None:
    assert refused("NOT_FOUND", kubelet.publish, volume_id) == f"disk {volume_id} is not in the pool"
    assert not kubelet.target.exists()
    refused("NOT_FOUND", kubelet.unpublish, volume_id)
    refused("NOT_FOUND", kubelet.stats, volume_id)


def test_a_record_without_its_subvolume_is_no_disk(kubelet: Kubelet) -> None:
    Records(kubelet.pool.root, "volumes").put("disk-2", {"size": 1})
    refused("NOT_FOUND", kubelet.publish, "disk-2")


def test_a_subvolume_without_its_record_is_no_disk(kubelet: Kubelet) -> None:
    kubelet.pool.create("disk-2", 1)
    refused("NOT_FOUND", kubelet.publish, "disk-2")


def test_what_a_request_lacks_is_told(kubelet: Kubelet) -> None:
    assert refused("INVALID_ARGUMENT", kubelet.publish, "") == "volume_id is missing"
    no_target = csi.NodePublishVolumeRequest(volume_id="disk-1", volume_capability=capability())
    said = refused("INVALID_ARGUMENT", kubelet.node.NodePublishVolume, no_target, Context())
    assert said == "target_path is missing"
    no_capability = csi.NodePublishVolumeRequest(volume_id="disk-1", target_path=str(kubelet.target))
    refused("INVALID_ARGUMENT", kubelet.node.NodePublishVolume, no_capability, Context())
    refused("INVALID_ARGUMENT", lambda: kubelet.publish(how=capability(block=True)))
    refused("INVALID_ARGUMENT", kubelet.unpublish, "")
    no_path = csi.NodeUnpublishVolumeRequest(volume_id="disk-1")
    refused("INVALID_ARGUMENT", kubelet.node.NodeUnpublishVolume, no_path, Context())
    assert refused("INVALID_ARGUMENT", kubelet.stats, "disk-1", "") == "volume_path is missing"
    assert kubelet.mounts.sources == {}


def test_a_disk_is_taken_out_of_the_pod_and_keeps_its_files(kubelet: Kubelet) -> None:
    kubelet.publish()
    (kubelet.source / "homework").touch()
    kubelet.unpublish()
    assert kubelet.mounts.sources == {}
    assert not kubelet.target.exists()
    assert (kubelet.source / "homework").exists()
    kubelet.unpublish()


def test_a_folder_that_was_never_mounted_is_removed(kubelet: Kubelet) -> None:
    kubelet.target.mkdir(parents=True)
    kubelet.unpublish()
    assert not kubelet.target.exists()


def test_a_disk_that_can_not_be_unmounted_keeps_its_files(kubelet: Kubelet) -> None:
    kubelet.publish()
    # What is seen through the mount.
    (kubelet.target / "homework").touch()
    kubelet.mounts.fails.add("umount")
    assert "no such luck" in refused("INTERNAL", kubelet.unpublish)
    assert (kubelet.target / "homework").exists()


def test_files_below_a_target_are_never_removed(kubelet: Kubelet) -> None:
    kubelet.target.mkdir(parents=True)
    (kubelet.target / "homework").touch()
    with pytest.raises(OSError, match="not empty"):
        kubelet.unpublish()
    assert (kubelet.target / "homework").exists()


def test_what_a_disk_uses_is_told(kubelet: Kubelet) -> None:
    kubelet.publish()
    (kubelet.source / "homework").write_bytes(bytes(30 * MIB))
    (usage,) = kubelet.stats().usage
    assert usage.unit == csi.VolumeUsage.BYTES
    assert (usage.total, usage.used, usage.available) == (100 * MIB, 30 * MIB, 70 * MIB)


def test_a_disk_with_more_than_its_size_has_nothing_left(kubelet: Kubelet) -> None:
    kubelet.publish()
    (kubelet.source / "homework").write_bytes(bytes(3 * MIB))
    kubelet.pool.limit(kubelet.disk, 2 * MIB)
    (usage,) = kubelet.stats().usage
    assert (usage.total, usage.used, usage.available) == (2 * MIB, 3 * MIB, 0)


def test_a_disk_that_is_mounted_nowhere_has_no_usage(kubelet: Kubelet) -> None:
    said = refused("NOT_FOUND", kubelet.stats)
    assert said == f"nothing is mounted at {kubelet.target}"


def test_a_node_is_known_to_the_controller_once_it_has_announced_itself(kubelet: Kubelet) -> None:
    nodes = Records(kubelet.pool.root, "nodes")
    assert nodes.get("node-a") is None
    kubelet.node.announce()
    known = nodes.get("node-a")
    assert known is not None
    assert known["name"] == "node-a"
    kubelet.node.announce()
    assert list(nodes.all()) == [("node-a", known)]
    answer = kubelet.node.NodeGetInfo(csi.NodeGetInfoRequest(), Context())
    assert answer.node_id == "node-a"


# A machine that is gone has no disks; a new one of its name says so.


def attached(kubelet: Kubelet) -> dict[str, str]:
    """Attach a disk to node-a and one to node-b, as the controller does, unless they are; return which are."""
    attachments = Records(kubelet.pool.root, "attachments")
    for disk, node in (("disk-1", "node-a"), ("disk-2", "node-b")):
        if attachments.get(disk) is None:
            attachments.put(disk, {"node": node, "readonly": False})
    return left(kubelet)


def left(kubelet: Kubelet) -> dict[str, str]:
    return {disk: one["node"] for disk, one in Records(kubelet.pool.root, "attachments").all()}


def test_a_driver_that_starts_again_on_its_machine_keeps_the_disks(kubelet: Kubelet) -> None:
    kubelet.node.announce()
    before = attached(kubelet)
    Node(kubelet.pool, "node-a", kubelet.machine).announce()
    assert left(kubelet) == before == {"disk-1": "node-a", "disk-2": "node-b"}


def test_a_new_machine_of_the_name_detaches_the_disks_of_the_one_before(kubelet: Kubelet, tmp_path: Path) -> None:
    kubelet.node.announce()
    attached(kubelet)
    fresh = Node(kubelet.pool, "node-a", tmp_path / "machine-b")
    fresh.announce()
    assert left(kubelet) == {"disk-2": "node-b"}
    # From then on it is the machine: what is attached to it stays.
    before = attached(kubelet)
    fresh.announce()
    assert left(kubelet) == before


def test_a_driver_that_is_killed_while_it_detaches_does_the_rest_at_its_next_start(
    kubelet: Kubelet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubelet.node.announce()
    attachments = Records(kubelet.pool.root, "attachments")
    for number in range(3):
        attachments.put(f"disk-{number}", {"node": "node-a", "readonly": False})
    delete, gone = Records.delete, []

    def die(self: Records, name: str) -> None:
        if gone:
            raise KeyboardInterrupt
        delete(self, name)
        gone.append(name)

    with monkeypatch.context() as patch:
        patch.setattr(Records, "delete", die)
        with pytest.raises(KeyboardInterrupt):
            Node(kubelet.pool, "node-a", tmp_path / "machine-b").announce()
    assert len(left(kubelet)) == 2
    Node(kubelet.pool, "node-a", tmp_path / "machine-b").announce()
    assert left(kubelet) == {}


def test_a_record_of_an_earlier_driver_is_taken_for_this_machine(kubelet: Kubelet, tmp_path: Path) -> None:
    Records(kubelet.pool.root, "nodes").put("node-a", {"name": "node-a"})
    before = attached(kubelet)
    kubelet.node.announce()
    assert left(kubelet) == before
    # And from then on it can be told from another one.
    Node(kubelet.pool, "node-a", tmp_path / "machine-b").announce()
    assert left(kubelet) == {"disk-2": "node-b"}


def test_a_node_claims_the_usage_and_nothing_that_it_does_not_do(kubelet: Kubelet) -> None:
    answer = kubelet.node.NodeGetCapabilities(csi.NodeGetCapabilitiesRequest(), Context())
    kind = csi.NodeServiceCapability.RPC
    assert [one.rpc.type for one in answer.capabilities] == [kind.GET_VOLUME_STATS]


def test_where_a_disk_is_mounted_is_known_from_before_the_mount_until_after_the_last_one(kubelet: Kubelet) -> None:
    mounts = Records(kubelet.pool.root, "mounts")
    kubelet.mounts.fails.add("mount")
    refused("INTERNAL", kubelet.publish)
    assert [name for name, _record in mounts.all()] == ["disk-1.node-a"]
    kubelet.mounts.fails.clear()
    other = kubelet.target.with_name("other")
    kubelet.publish()
    kubelet.publish(target=str(other))
    kubelet.unpublish()
    assert list(mounts.all()) == [("disk-1.node-a", {"targets": [str(other)]})]
    kubelet.unpublish(target=other)
    assert list(mounts.all()) == []


def test_a_new_machine_has_nothing_of_the_one_before_mounted(kubelet: Kubelet, tmp_path: Path) -> None:
    kubelet.node.announce()
    kubelet.publish()
    Records(kubelet.pool.root, "mounts").put("disk-1.other.node-a", {"targets": ["/x"]})
    Node(kubelet.pool, "node-a", tmp_path / "another").announce()
    assert [name for name, _record in Records(kubelet.pool.root, "mounts").all()] == ["disk-1.other.node-a"]
