"""The controller answers a repeated request as it did before, and refuses what can't be."""

from __future__ import annotations

import inspect
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from btrfs_csi import controller as controller_module
from btrfs_csi.controller import Controller, Refused, unsupported
from btrfs_csi.pool import Pool, PoolError
from btrfs_csi.protos import csi, csi_services
from btrfs_csi.records import Records
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lab.csi.fakes import GIB, MIB, Context, FolderPool, capability, refused

OTHER_MODES = [name for name in csi.VolumeCapability.AccessMode.Mode.keys() if not name.startswith("SINGLE_NODE_")]  # noqa: SIM118 - no mapping


class Client:
    """A sidecar: each call makes the request and returns the answer."""

    def __init__(self, root: Path) -> None:
        self.pool = FolderPool(root)
        self.pool.check()
        self.service = Controller(self.pool)
        for node in ("node-a", "node-b"):
            Records(root, "nodes").put(node, {"name": node})

    def restart(self) -> None:
        self.service = Controller(self.pool)

    def create(
        self,
        name: str = "disk",
        size: int = 0,
        *,
        limit: int = 0,
        snapshot: str = "",
        volume: str = "",
        capabilities: list[Any] | None = None,
    ) -> Any:
        request = csi.CreateVolumeRequest(
            name=name, volume_capabilities=[capability()] if capabilities is None else capabilities
        )
        request.capacity_range.required_bytes, request.capacity_range.limit_bytes = size, limit
        if snapshot:
            request.volume_content_source.snapshot.snapshot_id = snapshot
        if volume:
            request.volume_content_source.volume.volume_id = volume
        return self.service.CreateVolume(request, Context()).volume

    def delete(self, volume_id: str) -> None:
        self.service.DeleteVolume(csi.DeleteVolumeRequest(volume_id=volume_id), Context())

    def snapshot(self, name: str, volume_id: str) -> Any:
        request = csi.CreateSnapshotRequest(name=name, source_volume_id=volume_id)
        return self.service.CreateSnapshot(request, Context()).snapshot

    def delete_snapshot(self, snapshot_id: str) -> None:
        self.service.DeleteSnapshot(csi.DeleteSnapshotRequest(snapshot_id=snapshot_id), Context())

    def publish(self, volume_id: str, node: str = "node-a", *, readonly: bool = False, how: Any = None) -> None:
        request = csi.ControllerPublishVolumeRequest(
            volume_id=volume_id, node_id=node, readonly=readonly, volume_capability=how or capability()
        )
        self.service.ControllerPublishVolume(request, Context())

    def unpublish(self, volume_id: str, node: str = "") -> None:
        request = csi.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=node)
        self.service.ControllerUnpublishVolume(request, Context())

    def expand(self, volume_id: str, size: int, *, limit: int = 0) -> int:
        request = csi.ControllerExpandVolumeRequest(volume_id=volume_id)
        request.capacity_range.required_bytes, request.capacity_range.limit_bytes = size, limit
        answer = self.service.ControllerExpandVolume(request, Context())
        assert not answer.node_expansion_required
        return int(answer.capacity_bytes)

    def list(self, most: int = 0, token: str = "") -> Any:
        return self.service.ListVolumes(csi.ListVolumesRequest(max_entries=most, starting_token=token), Context())

    def list_snapshots(self, **request: Any) -> Any:
        return self.service.ListSnapshots(csi.ListSnapshotsRequest(**request), Context())

    @property
    def disks(self) -> set[str]:
        return {path.name for path in (self.pool.root / "volumes").iterdir()}

    @property
    def snapshots(self) -> set[str]:
        return {path.name for path in (self.pool.root / "snapshots").iterdir()}


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


@contextmanager
def fresh() -> Iterator[Client]:
    """Give each example of a property test a client of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield Client(Path(folder))


def test_the_pool_of_these_tests_has_the_interface_of_the_real_one() -> None:
    def interface(kind: type) -> dict[str, str]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {name: str(inspect.signature(method)) for name, method in methods if name[0] != "_"}

    assert interface(FolderPool) == interface(Pool)


# Disks.


def test_a_disk_is_a_folder_of_the_pool_with_its_size_as_limit(client: Client) -> None:
    volume = client.create("disk", 100 * MIB)
    assert client.disks == {volume.volume_id}
    assert volume.capacity_bytes == 100 * MIB
    assert client.pool.limits == {volume.volume_id: 100 * MIB}
    assert not volume.HasField("content_source")


def test_a_request_that_is_repeated_is_answered_the_same_and_makes_nothing(client: Client) -> None:
    first = client.create("disk", 100 * MIB)
    (client.pool.volume(first.volume_id) / "homework").touch()
    client.pool.before = lambda what, _id: pytest.fail(f"the pool was asked to {what}")
    assert client.create("disk", 100 * MIB) == first
    client.restart()
    assert client.create("disk", 100 * MIB) == first
    assert (client.pool.volume(first.volume_id) / "homework").exists()


def test_other_names_are_other_disks(client: Client) -> None:
    assert client.create("a").volume_id != client.create("b").volume_id
    assert len(client.disks) == 2


@pytest.mark.parametrize(("size", "limit"), [(50 * MIB, 0), (0, 100 * MIB), (100 * MIB, 100 * MIB), (0, 0)])
def test_a_repeat_is_answered_while_the_disk_is_in_the_range(client: Client, size: int, limit: int) -> None:
    first = client.create("disk", 100 * MIB)
    assert client.create("disk", size, limit=limit) == first


@pytest.mark.parametrize(("size", "limit"), [(101 * MIB, 0), (0, 99 * MIB), (200 * MIB, 300 * MIB)])
def test_the_same_name_with_another_size_is_refused(client: Client, size: int, limit: int) -> None:
    client.create("disk", 100 * MIB)
    said = refused("ALREADY_EXISTS", lambda: client.create("disk", size, limit=limit))
    assert said == f"disk disk exists with {100 * MIB} bytes, not with what is asked for now"


def test_the_same_name_with_another_source_is_refused(client: Client) -> None:
    source = client.create("source", MIB).volume_id
    snapshot = client.snapshot("snapshot", source).snapshot_id
    client.create("empty", MIB)
    client.create("restored", MIB, snapshot=snapshot)
    refused("ALREADY_EXISTS", lambda: client.create("empty", MIB, snapshot=snapshot))
    refused("ALREADY_EXISTS", lambda: client.create("restored", MIB))
    refused("ALREADY_EXISTS", lambda: client.create("restored", MIB, volume=source))


def test_a_disk_without_a_size_has_a_gibibyte(client: Client) -> None:
    assert client.create("disk").capacity_bytes == GIB
    assert client.create("small", limit=100 * MIB).capacity_bytes == 100 * MIB
    assert client.create("large", limit=5 * GIB).capacity_bytes == GIB


@given(size=st.integers(0, 5 * GIB), limit=st.integers(0, 5 * GIB))
def test_a_disk_is_never_smaller_than_asked_nor_larger_than_allowed(size: int, limit: int) -> None:
    with fresh() as client:
        if limit and size > limit:
            refused("OUT_OF_RANGE", lambda: client.create("disk", size, limit=limit))
            assert client.disks == set()
        else:
            made = client.create("disk", size, limit=limit).capacity_bytes
            assert made >= size
            assert made > 0
            assert not limit or made <= limit


def test_a_disk_that_is_larger_than_what_is_left_is_refused_and_leaves_nothing(client: Client) -> None:
    said = refused("RESOURCE_EXHAUSTED", lambda: client.create("disk", client.pool.size + 1))
    assert said == f"the pool has {client.pool.size} bytes left, the disk wants {client.pool.size + 1}"
    assert client.disks == set()
    assert len(client.list().entries) == 0
    assert client.create("disk", client.pool.size).capacity_bytes == client.pool.size


def test_a_disk_without_a_name_or_a_capability_is_refused(client: Client) -> None:
    assert refused("INVALID_ARGUMENT", lambda: client.create("")) == "name is missing"
    said = refused("INVALID_ARGUMENT", lambda: client.create(capabilities=[]))
    assert said == "volume_capabilities is missing"


def test_what_a_folder_can_not_be_is_refused(client: Client) -> None:
    block = [capability(block=True)]
    assert "can't be a block device" in refused("INVALID_ARGUMENT", lambda: client.create(capabilities=block))
    both = [capability(), capability("MULTI_NODE_MULTI_WRITER")]
    assert "one node at a time" in refused("INVALID_ARGUMENT", lambda: client.create(capabilities=both))
    assert client.disks == set()


@pytest.mark.parametrize("mode", OTHER_MODES)
def test_a_disk_for_many_nodes_is_not_supported(mode: str) -> None:
    assert unsupported([capability(mode)]) == "a disk of this driver is for one node at a time"


@pytest.mark.parametrize("mode", ["SINGLE_NODE_WRITER", "SINGLE_NODE_READER_ONLY"])
def test_a_disk_for_one_node_is_supported(mode: str) -> None:
    assert unsupported([capability(mode)]) == ""
    assert unsupported(iter([capability(), capability(mode)])) != "", "an iterator is used up, and says so"
    assert unsupported([]) == "volume_capability is missing"


def test_a_name_may_have_128_bytes_and_no_more(client: Client) -> None:
    assert client.create("ä" * 64).volume_id
    assert "128 bytes" in refused("INVALID_ARGUMENT", lambda: client.create("ä" * 64 + "a"))
    volume_id = client.create("a" * 128).volume_id
    assert "128 bytes" in refused("INVALID_ARGUMENT", lambda: client.snapshot("a" * 129, volume_id))


@given(name=st.text(min_size=1, max_size=128).filter(lambda text: len(text.encode()) <= 128))
def test_an_id_is_safe_in_a_path_whatever_the_name_and_always_the_same(name: str) -> None:
    with fresh() as one, fresh() as other:
        volume_id = one.create(name, MIB).volume_id
        assert set(volume_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert len(volume_id) <= 63, "as long as a label of Kubernetes may be"
        assert one.disks == {volume_id}
        assert other.create(name, MIB).volume_id == volume_id
        snapshot_id = one.snapshot(name, volume_id).snapshot_id
        assert set(snapshot_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert one.snapshots == {snapshot_id}
        assert one.list().entries[0].volume.volume_id == volume_id


@given(names=st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=2, unique=True))
def test_no_two_names_have_one_id(names: list[str]) -> None:
    with fresh() as client:
        assert len({client.create(name, MIB).volume_id for name in names}) == 2


def test_a_deleted_disk_is_gone_and_can_be_deleted_again(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    kept = client.create("other").volume_id
    client.delete(volume_id)
    assert client.disks == {kept}
    assert [entry.volume.volume_id for entry in client.list().entries] == [kept]
    client.delete(volume_id)
    client.delete("disk-of-another-driver")
    assert client.disks == {kept}


def test_a_name_is_free_again_after_its_disk_was_deleted(client: Client) -> None:
    volume_id = client.create("disk", 100 * MIB).volume_id
    (client.pool.volume(volume_id) / "homework").touch()
    client.delete(volume_id)
    assert client.create("disk", 200 * MIB).volume_id == volume_id
    assert list(client.pool.volume(volume_id).iterdir()) == []


@pytest.mark.parametrize("volume_id", ["../records", "..", "/", "a/b"])
def test_no_id_reaches_a_folder_outside(client: Client, volume_id: str) -> None:
    client.create("disk")
    client.delete(volume_id)
    client.delete_snapshot(volume_id)
    assert (client.pool.root / "records").is_dir()
    refused("NOT_FOUND", lambda: client.snapshot("snapshot", volume_id))
    refused("NOT_FOUND", lambda: client.create("copy", volume=volume_id))
    refused("NOT_FOUND", lambda: client.expand(volume_id, GIB))
    refused("NOT_FOUND", lambda: client.publish(volume_id))


def test_a_request_without_an_id_is_refused(client: Client) -> None:
    for call in (client.delete, client.publish, client.unpublish):
        assert refused("INVALID_ARGUMENT", call, "") == "volume_id is missing"
    assert refused("INVALID_ARGUMENT", lambda: client.expand("", GIB)) == "volume_id is missing"
    assert refused("INVALID_ARGUMENT", lambda: client.publish("disk", "")) == "node_id is missing"
    assert refused("INVALID_ARGUMENT", client.delete_snapshot, "") == "snapshot_id is missing"
    assert refused("INVALID_ARGUMENT", client.snapshot, "", "disk") == "name is missing"
    assert refused("INVALID_ARGUMENT", client.snapshot, "snapshot", "") == "source_volume_id is missing"


# Sizes.


@given(first=st.integers(1, 4 * GIB), sizes=st.lists(st.integers(0, 4 * GIB), max_size=8))
def test_a_disk_never_shrinks(first: int, sizes: list[int]) -> None:
    with fresh() as client:
        volume_id = client.create("disk", first).volume_id
        known = first
        for size in sizes:
            answered = client.expand(volume_id, size)
            assert answered == max(known, size)
            assert client.pool.limits == {volume_id: answered}
            assert client.list().entries[0].volume.capacity_bytes == answered
            known = answered


def test_an_expansion_that_is_repeated_changes_nothing(client: Client) -> None:
    volume_id = client.create("disk", 100 * MIB).volume_id
    assert client.expand(volume_id, 200 * MIB) == 200 * MIB
    client.pool.before = lambda what, _id: pytest.fail(f"the pool was asked to {what}")
    assert client.expand(volume_id, 200 * MIB) == 200 * MIB


def test_an_expansion_below_the_present_size_is_out_of_range(client: Client) -> None:
    volume_id = client.create("disk", 200 * MIB).volume_id
    refused("OUT_OF_RANGE", lambda: client.expand(volume_id, 0, limit=100 * MIB))
    refused("NOT_FOUND", lambda: client.expand("disk-none", GIB))
    request = csi.ControllerExpandVolumeRequest(volume_id=volume_id)
    said = refused("INVALID_ARGUMENT", client.service.ControllerExpandVolume, request, Context())
    assert said == "capacity_range is missing"


def test_what_is_left_in_the_pool_is_told(client: Client) -> None:
    def capacity(*capabilities: Any) -> int:
        request = csi.GetCapacityRequest(volume_capabilities=capabilities)
        return int(client.service.GetCapacity(request, Context()).available_capacity)

    assert capacity() == capacity(capability()) == client.pool.size
    assert capacity(capability(block=True)) == 0


# Snapshots and copies.


def test_a_snapshot_keeps_what_the_disk_had(client: Client) -> None:
    volume_id = client.create("disk", 100 * MIB).volume_id
    homework = client.pool.volume(volume_id) / "homework"
    homework.write_text("first", encoding="utf-8")
    snapshot = client.snapshot("monday", volume_id)
    homework.write_text("second", encoding="utf-8")
    assert snapshot.source_volume_id == volume_id
    assert snapshot.size_bytes == 100 * MIB
    assert snapshot.ready_to_use
    kept = client.pool.snapshot(snapshot.snapshot_id) / "homework"
    assert kept.read_text(encoding="utf-8") == "first"


def test_a_snapshot_that_is_asked_for_again_is_the_same_one(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    first = client.snapshot("monday", volume_id)
    (client.pool.volume(volume_id) / "later").touch()
    assert client.snapshot("monday", volume_id) == first
    client.restart()
    assert client.snapshot("monday", volume_id) == first, "its time is when it was taken"
    assert not (client.pool.snapshot(first.snapshot_id) / "later").exists()
    assert client.snapshots == {first.snapshot_id}


def test_a_snapshots_name_belongs_to_one_disk(client: Client) -> None:
    one, other = client.create("one").volume_id, client.create("other").volume_id
    client.snapshot("monday", one)
    said = refused("ALREADY_EXISTS", client.snapshot, "monday", other)
    assert said == f"snapshot monday exists, of disk {one}"
    assert "there is no disk" in refused("NOT_FOUND", client.snapshot, "tuesday", "disk-none")
    assert len(client.snapshots) == 1


def test_a_snapshot_outlives_its_disk_and_is_restored_from(client: Client) -> None:
    volume_id = client.create("disk", 100 * MIB).volume_id
    (client.pool.volume(volume_id) / "homework").touch()
    snapshot_id = client.snapshot("monday", volume_id).snapshot_id
    client.delete(volume_id)
    restored = client.create("restored", snapshot=snapshot_id)
    assert restored.content_source.snapshot.snapshot_id == snapshot_id
    assert (client.pool.volume(restored.volume_id) / "homework").exists()
    assert client.create("restored", snapshot=snapshot_id) == restored


def test_a_copy_is_at_least_as_large_as_what_it_is_of(client: Client) -> None:
    volume_id = client.create("disk", 300 * MIB).volume_id
    snapshot_id = client.snapshot("monday", volume_id).snapshot_id
    assert client.create("a", 100 * MIB, snapshot=snapshot_id).capacity_bytes == 300 * MIB
    assert client.create("b", 400 * MIB, snapshot=snapshot_id).capacity_bytes == 400 * MIB
    clone = client.create("c", volume=volume_id)
    assert clone.capacity_bytes == 300 * MIB
    assert clone.content_source.volume.volume_id == volume_id
    refused("OUT_OF_RANGE", lambda: client.create("d", limit=200 * MIB, volume=volume_id))
    # The size that the disk had when it was taken, not the one it has now.
    client.expand(volume_id, 500 * MIB)
    assert client.create("e", snapshot=snapshot_id).capacity_bytes == 300 * MIB


def test_a_copy_of_what_is_not_there_is_refused_and_leaves_nothing(client: Client) -> None:
    assert "there is no snapshot" in refused("NOT_FOUND", lambda: client.create("a", snapshot="snapshot-none"))
    assert "there is no disk" in refused("NOT_FOUND", lambda: client.create("a", volume="disk-none"))
    assert client.disks == set()


def test_a_deleted_snapshot_is_gone_and_can_be_deleted_again(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    snapshot_id = client.snapshot("monday", volume_id).snapshot_id
    client.delete_snapshot(snapshot_id)
    client.delete_snapshot(snapshot_id)
    assert client.snapshots == set()
    assert len(client.list_snapshots().entries) == 0
    assert client.disks == {volume_id}


def test_snapshots_are_listed_by_disk_and_by_id(client: Client) -> None:
    one, other = client.create("one").volume_id, client.create("other").volume_id
    taken = {name: client.snapshot(name, disk) for name, disk in (("a", one), ("b", one), ("c", other))}

    def listed(**request: Any) -> list[Any]:
        return sorted((entry.snapshot for entry in client.list_snapshots(**request).entries), key=str)

    assert listed() == sorted(taken.values(), key=str)
    assert listed(source_volume_id=one) == sorted([taken["a"], taken["b"]], key=str)
    assert listed(snapshot_id=taken["c"].snapshot_id) == [taken["c"]]
    assert listed(snapshot_id=taken["c"].snapshot_id, source_volume_id=one) == []
    assert listed(snapshot_id="snapshot-none") == []


# Which node has which disk.


def nodes_of(client: Client, volume_id: str) -> list[str]:
    (entry,) = [entry for entry in client.list().entries if entry.volume.volume_id == volume_id]
    return list(entry.status.published_node_ids)


def test_a_disk_is_attached_to_one_node_and_again_to_the_same(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    assert nodes_of(client, volume_id) == []
    client.publish(volume_id, "node-a")
    client.publish(volume_id, "node-a")
    client.restart()
    client.publish(volume_id, "node-a")
    assert nodes_of(client, volume_id) == ["node-a"]


def test_a_second_node_is_refused_until_the_first_gives_the_disk_up(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    client.publish(volume_id, "node-a")
    said = refused("FAILED_PRECONDITION", client.publish, volume_id, "node-b")
    assert said == f"disk {volume_id} is attached to node-a: one node at a time"
    client.restart()
    refused("FAILED_PRECONDITION", client.publish, volume_id, "node-b")
    # Only the node that has the disk can give it up.
    client.unpublish(volume_id, "node-b")
    assert nodes_of(client, volume_id) == ["node-a"]
    client.unpublish(volume_id, "node-a")
    client.unpublish(volume_id, "node-a")
    client.publish(volume_id, "node-b")
    assert nodes_of(client, volume_id) == ["node-b"]


def test_a_disk_is_taken_from_all_nodes_where_none_is_named(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    client.publish(volume_id)
    client.unpublish(volume_id)
    assert nodes_of(client, volume_id) == []
    client.unpublish("disk-none")


def test_a_disk_that_is_attached_can_not_be_deleted(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    client.publish(volume_id)
    said = refused("FAILED_PRECONDITION", client.delete, volume_id)
    assert said == f"disk {volume_id} is attached to node-a"
    assert client.disks == {volume_id}
    client.unpublish(volume_id)
    client.delete(volume_id)
    assert client.disks == set()


def test_a_disk_is_not_attached_to_one_node_in_two_ways(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    client.publish(volume_id)
    said = refused("ALREADY_EXISTS", lambda: client.publish(volume_id, readonly=True))
    assert "another access mode" in said
    client.unpublish(volume_id)
    client.publish(volume_id, readonly=True)


def test_only_disks_that_exist_are_attached_to_nodes_that_exist(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    assert refused("NOT_FOUND", client.publish, "disk-none") == "there is no disk disk-none"
    assert refused("NOT_FOUND", client.publish, volume_id, "node-c") == "there is no node node-c"
    refused("INVALID_ARGUMENT", lambda: client.publish(volume_id, how=capability(block=True)))
    refused("INVALID_ARGUMENT", lambda: client.publish(volume_id, how=capability("MULTI_NODE_READER_ONLY")))
    assert nodes_of(client, volume_id) == []


def test_a_node_whose_record_was_removed_has_no_disks(client: Client) -> None:
    volume_id, other = client.create("disk").volume_id, client.create("other").volume_id
    client.publish(volume_id, "node-a")
    client.publish(other, "node-a")
    # By a person: the cluster was made anew, without that node.
    Records(client.pool.root, "nodes").delete("node-a")
    assert nodes_of(client, volume_id) == []
    client.publish(volume_id, "node-b")
    assert nodes_of(client, volume_id) == ["node-b"]
    client.delete(other)
    assert list(Records(client.pool.root, "attachments").all()) == [(volume_id, {"node": "node-b", "readonly": False})]


def test_what_a_disk_can_be_used_for_is_confirmed_or_denied(client: Client) -> None:
    def validate(volume_id: str, *capabilities: Any) -> Any:
        request = csi.ValidateVolumeCapabilitiesRequest(volume_id=volume_id, volume_capabilities=capabilities)
        return client.service.ValidateVolumeCapabilities(request, Context())

    volume_id = client.create("disk").volume_id
    assert list(validate(volume_id, capability()).confirmed.volume_capabilities) == [capability()]
    denied = validate(volume_id, capability(), capability(block=True))
    assert not denied.HasField("confirmed")
    assert "can't be a block device" in denied.message
    refused("NOT_FOUND", validate, "disk-none", capability())
    refused("INVALID_ARGUMENT", validate, volume_id)
    refused("INVALID_ARGUMENT", validate, "", capability())


# Lists come in pages.


@given(count=st.integers(0, 7), most=st.integers(0, 9))
def test_pages_together_are_the_whole_list_in_its_order(count: int, most: int) -> None:
    with fresh() as client:
        made = {client.create(f"disk {number}", MIB).volume_id for number in range(count)}
        whole = [entry.volume.volume_id for entry in client.list().entries]
        assert set(whole) == made
        pages, token = [], ""
        while not pages or token:
            answer = client.list(most, token)
            pages.append([entry.volume.volume_id for entry in answer.entries])
            token = answer.next_token
        assert [volume_id for page in pages for volume_id in page] == whole
        assert all(len(page) == most for page in pages[:-1])
        assert len(pages) == (max(1, -(-count // most)) if most else 1)


@given(token=st.text(min_size=1, max_size=30).filter(lambda text: text not in ("0", "1", "2", "00", "01", "02")))
def test_a_token_that_was_never_given_is_refused(token: str) -> None:
    # Other digits than ours are numbers too, as for whoever types them.
    if token.isdecimal() and int(token) <= 2:
        return
    with pytest.raises(Refused) as caught:
        controller_module._page(["a", "b"], token, 1)
    assert caught.value.code == grpc.StatusCode.ABORTED


@pytest.mark.parametrize("token", ["3", "-1", "1.0", "one", " 1", "²", "①"])
def test_a_token_of_no_page_is_answered_by_a_status(client: Client, token: str) -> None:
    for name in ("a", "b"):
        client.snapshot(name, client.create(name).volume_id)
    assert "is no token of an earlier page" in refused("ABORTED", client.list, 1, token)
    refused("ABORTED", lambda: client.list_snapshots(starting_token=token))


def test_snapshots_come_in_pages_of_what_was_chosen(client: Client) -> None:
    one, other = client.create("one").volume_id, client.create("other").volume_id
    chosen = {client.snapshot(f"snapshot {number}", one).snapshot_id for number in range(3)}
    client.snapshot("other", other)
    first = client.list_snapshots(source_volume_id=one, max_entries=2)
    assert len(first.entries) == 2
    second = client.list_snapshots(source_volume_id=one, max_entries=2, starting_token=first.next_token)
    assert second.next_token == ""
    assert {entry.snapshot.snapshot_id for entry in (*first.entries, *second.entries)} == chosen


# What goes wrong.


def test_a_pool_that_is_not_mounted_is_told_in_a_sentence(client: Client) -> None:
    volume_id = client.create("disk").volume_id
    snapshot_id = client.snapshot("monday", volume_id).snapshot_id
    client.pool.mounted = False
    for call in (
        lambda: client.create("other"),
        lambda: client.delete(volume_id),
        lambda: client.snapshot("tuesday", volume_id),
        lambda: client.delete_snapshot(snapshot_id),
    ):
        assert "is it mounted?" in refused("INTERNAL", call)
    assert client.disks == {volume_id}
    assert client.snapshots == {snapshot_id}


@pytest.mark.parametrize("step", ["create", "limit"])
def test_a_disk_that_could_not_be_made_is_not_remembered_and_made_by_the_repeat(client: Client, step: str) -> None:
    def fail(what: str, _id: str) -> None:
        if what == step:
            raise PoolError("btrfs: no such luck")

    client.pool.before = fail
    assert refused("INTERNAL", client.create, "disk", MIB) == "btrfs: no such luck"
    assert len(client.list().entries) == 0
    client.pool.before = lambda _what, _id: None
    volume = client.create("disk", MIB)
    assert client.pool.limits == {volume.volume_id: MIB}


def test_a_disk_that_could_not_be_deleted_is_still_remembered(client: Client) -> None:
    volume_id = client.create("disk").volume_id

    def fail(_what: str, _id: str) -> None:
        raise PoolError("btrfs: no such luck")

    client.pool.before = fail
    refused("INTERNAL", client.delete, volume_id)
    assert [entry.volume.volume_id for entry in client.list().entries] == [volume_id]


def test_an_expansion_that_failed_leaves_the_size(client: Client) -> None:
    volume_id = client.create("disk", MIB).volume_id

    def fail(_what: str, _id: str) -> None:
        raise PoolError("btrfs: no such luck")

    client.pool.before = fail
    refused("INTERNAL", client.expand, volume_id, 2 * MIB)
    assert client.list().entries[0].volume.capacity_bytes == MIB


# Requests side by side.


def together(client: Client, names: list[str], seconds: float) -> bool:
    """Create disks at the same time; tell whether two were in the pool's hands at once."""
    meeting = threading.Barrier(2)
    met: list[bool] = []
    answers: list[str] = []

    def meet(what: str, _id: str) -> None:
        if what == "create":
            try:
                meeting.wait(timeout=seconds)
                met.append(True)
            except threading.BrokenBarrierError:
                met.append(False)

    client.pool.before = meet
    threads = [
        threading.Thread(target=lambda n=name: answers.append(client.create(n, MIB).volume_id)) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(answers) == len(names)
    assert len(met) == len(set(names)), "the pool is asked once for each disk"
    assert client.disks == set(answers)
    return all(met)


def test_a_request_and_its_repeat_do_not_run_side_by_side(client: Client) -> None:
    assert not together(client, ["disk", "disk"], seconds=0.3)


def test_requests_for_two_disks_run_side_by_side(client: Client) -> None:
    assert together(client, ["one", "other"], seconds=120)


def test_every_call_that_the_controller_claims_is_one_that_it_has(client: Client) -> None:
    calls = {
        "CREATE_DELETE_VOLUME": ("CreateVolume", "DeleteVolume"),
        "PUBLISH_UNPUBLISH_VOLUME": ("ControllerPublishVolume", "ControllerUnpublishVolume"),
        "LIST_VOLUMES": ("ListVolumes",),
        "LIST_VOLUMES_PUBLISHED_NODES": ("ListVolumes",),
        "GET_CAPACITY": ("GetCapacity",),
        "CREATE_DELETE_SNAPSHOT": ("CreateSnapshot", "DeleteSnapshot"),
        "LIST_SNAPSHOTS": ("ListSnapshots",),
        "CLONE_VOLUME": ("CreateVolume",),
        "EXPAND_VOLUME": ("ControllerExpandVolume",),
        "PUBLISH_READONLY": ("ControllerPublishVolume",),
    }
    answer = client.service.ControllerGetCapabilities(csi.ControllerGetCapabilitiesRequest(), Context())
    kind = csi.ControllerServiceCapability.RPC.Type
    claimed = [kind.Name(one.rpc.type) for one in answer.capabilities]
    assert sorted(claimed) == sorted(calls)
    for name in {name for names in calls.values() for name in names}:
        assert getattr(Controller, name) is not getattr(csi_services.ControllerServicer, name)


def test_a_node_that_is_lost_with_a_disk_is_cut_off_before_another_one_gets_it(client: Client) -> None:
    disk = client.create("one").volume_id
    client.publish(disk)
    mounts = Records(client.pool.root, "mounts")
    mounts.put(f"{disk}.node-a", {"targets": ["/pods/one/mount"]})
    client.unpublish(disk, "node-a")
    assert client.pool.cut == [disk]
    client.publish(disk, "node-b")
    # Said once more of the one before: the disk is another node's now.
    client.unpublish(disk, "node-a")
    assert client.pool.cut == [disk]
    assert list(mounts.all()) == []


def test_a_node_that_has_let_go_is_not_cut_off(client: Client) -> None:
    disk = client.create("one").volume_id
    client.publish(disk)
    client.unpublish(disk, "node-a")
    assert client.pool.cut == []


def test_a_node_that_could_not_be_cut_off_keeps_the_disk(client: Client) -> None:
    disk = client.create("one").volume_id
    client.publish(disk)
    Records(client.pool.root, "mounts").put(f"{disk}.node-a", {"targets": ["/pods/one/mount"]})

    def fails(what: str, _volume: str) -> None:
        if what == "cut off":
            raise PoolError("no such luck")

    client.pool.before = fails
    refused("INTERNAL", client.unpublish, disk, "node-a")
    refused("FAILED_PRECONDITION", client.publish, disk, "node-b")
