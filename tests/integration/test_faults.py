"""What becomes of disks when things go wrong: the driver dies, the pool is gone or full, a disk is deleted."""

from __future__ import annotations

import errno
import itertools
import os
import shlex
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from btrfs_csi.pool import Pool, PoolError
from btrfs_csi.protos import csi

from tests.integration import pools
from tests.integration.driver import MIB, Driver, capability, volume_request

STUDENT = 1000
# Writes as a student into a folder until it is refused; prints the bytes and the error's number.
FILL = """
import fcntl, os, sys
folder, name, own_subvolume, most = sys.argv[1], sys.argv[2], sys.argv[3] == "True", int(sys.argv[4])
os.chdir(folder)
os.setgroups([]); os.setgid(1000); os.setuid(1000)
if own_subvolume:
    # BTRFS_IOC_SUBVOL_CREATE, which any owner of a folder may ask for.
    fcntl.ioctl(os.open(".", os.O_RDONLY), 0x5000940E, bytearray(bytes(8) + b"own".ljust(4088, bytes(1))))
    os.chdir("own")
written = error = 0
file = os.open(name, os.O_WRONLY | os.O_CREAT)
try:
    while written < most:
        written += os.write(file, os.urandom(1 << 20))
    os.fsync(file)
except OSError as refused:
    error = refused.errno
print(written, error)
"""


def fill(folder: Path, *, name: str = "data", own_subvolume: bool = False, most: int = 1 << 30) -> tuple[int, int]:
    """Write as a student; return the bytes that went in and the error that ended it, 0 for none."""
    said = pools.command(sys.executable, "-c", FILL, str(folder), name, str(own_subvolume), str(most)).split()
    return int(said[0]), int(said[1])


def give_to_student(target: Path) -> Path:
    os.chown(target, STUDENT, STUDENT)
    return target


def entries(folder: Path) -> set[str]:
    """Return the names in a folder of the pool, and check that each is a subvolume: those have the inode 256."""
    assert {path.stat().st_ino for path in folder.iterdir()} <= {256}
    return {path.name for path in folder.iterdir()}


def records(pool: Path, kind: str) -> set[str]:
    folder = pool / "records" / kind
    return {path.stem for path in folder.glob("*.json")} if folder.exists() else set()


def assert_whole(driver: Driver) -> None:
    """No record without a subvolume, no subvolume without a record, and the driver tells of just those."""
    assert entries(driver.pool / "volumes") == records(driver.pool, "volumes") == set(driver.volumes())
    assert entries(driver.pool / "snapshots") == records(driver.pool, "snapshots") == set(driver.snapshots())


def limits(pool: Path) -> dict[str, int]:
    """Return the bytes that each disk in the pool may have, 0 where it has no limit."""
    result = {}
    for path in (pool / "volumes").iterdir():
        fields = pools.command("btrfs", "qgroup", "show", "-r", "-f", "--raw", str(path)).splitlines()[2].split()
        result[path.name] = 0 if fields[3] == "none" else int(fields[3])
    return result


# The size of a disk is a promise in both directions.


def test_a_write_beyond_the_size_is_refused_with_edquot(driver: Driver) -> None:
    small, other = driver.create("small", 100 * MIB), driver.create("other", 100 * MIB)
    written, error = fill(give_to_student(driver.publish(small)))
    assert error == errno.EDQUOT
    assert 90 * MIB <= written <= 100 * MIB
    # The neighbour in the same pool has all of its own.
    assert fill(give_to_student(driver.publish(other)), most=90 * MIB) == (90 * MIB, 0)


def test_a_full_disk_takes_more_once_it_is_expanded_while_in_use(driver: Driver) -> None:
    disk = driver.create("disk", 100 * MIB)
    target = give_to_student(driver.publish(disk))
    assert fill(target)[1] == errno.EDQUOT
    assert driver.expand(disk, 200 * MIB) == 200 * MIB
    assert fill(target, name="more", most=90 * MIB) == (90 * MIB, 0)
    written, error = fill(target, name="still more")
    assert error == errno.EDQUOT
    assert written <= 20 * MIB


def test_a_full_disk_can_be_emptied_by_its_student(driver: Driver) -> None:
    target = give_to_student(driver.publish(driver.create("disk", 100 * MIB)))
    assert fill(target)[1] == errno.EDQUOT
    (target / "data").unlink()
    os.sync()
    assert fill(target, most=90 * MIB) == (90 * MIB, 0)


def test_a_disk_with_a_students_own_subvolume_in_it_can_be_deleted(driver: Driver) -> None:
    disk = driver.create("disk")
    target = give_to_student(driver.publish(disk))
    fill(target, own_subvolume=True, most=MIB)
    pools.command("umount", str(target))
    driver.delete(disk)
    assert driver.volumes() == {}
    assert entries(driver.pool / "volumes") == set()


def test_the_usage_of_a_disk_is_told_with_its_size(driver: Driver) -> None:
    disk = driver.create("disk", 100 * MIB)
    target = give_to_student(driver.publish(disk))
    fill(target, most=40 * MIB)
    pools.command("btrfs", "filesystem", "sync", str(driver.pool))
    request = csi.NodeGetVolumeStatsRequest(volume_id=disk, volume_path=str(target))
    (usage,) = driver.node.NodeGetVolumeStats(request).usage
    assert usage.unit == csi.VolumeUsage.BYTES
    assert usage.total == 100 * MIB
    assert 40 * MIB <= usage.used <= 41 * MIB
    assert usage.available == usage.total - usage.used


# Copies live on their own.


def test_a_disk_is_restored_from_a_snapshot_after_it_was_deleted(driver: Driver) -> None:
    disk = driver.create("disk", 100 * MIB)
    (driver.publish(disk) / "homework").write_text("first", encoding="utf-8")
    snapshot = driver.snapshot("monday", disk)
    (driver.folder / "pods" / disk / "homework").write_text("second", encoding="utf-8")
    pools.unmount_all(driver.folder / "pods")
    driver.delete(disk)
    assert not (driver.pool / "volumes" / disk).exists()
    restored = driver.create("restored", 100 * MIB, snapshot=snapshot)
    target = driver.publish(restored)
    assert (target / "homework").read_text(encoding="utf-8") == "first"
    # A disk like any other: it can be written, has its size, and the snapshot keeps what it had.
    (target / "homework").write_text("third", encoding="utf-8")
    assert (driver.pool / "snapshots" / snapshot / "homework").read_text(encoding="utf-8") == "first"
    assert limits(driver.pool)[restored] == 100 * MIB
    assert driver.snapshots() == {snapshot: disk}


def test_a_snapshot_can_not_be_written(driver: Driver) -> None:
    snapshot = driver.snapshot("monday", driver.create("disk"))
    with pytest.raises(OSError, match="Read-only"):
        (driver.pool / "snapshots" / snapshot / "homework").write_text("forged", encoding="utf-8")


def test_a_clone_has_the_files_and_goes_its_own_way(driver: Driver) -> None:
    disk = driver.create("disk", 100 * MIB)
    source = driver.publish(disk)
    (source / "homework").write_text("done", encoding="utf-8")
    clone = driver.create("clone", 200 * MIB, volume=disk)
    copy = driver.publish(clone)
    assert (copy / "homework").read_text(encoding="utf-8") == "done"
    (copy / "homework").write_text("changed", encoding="utf-8")
    (source / "new").touch()
    assert (source / "homework").read_text(encoding="utf-8") == "done"
    assert not (copy / "new").exists()
    assert limits(driver.pool) == {disk: 100 * MIB, clone: 200 * MIB}
    pools.unmount_all(driver.folder / "pods")
    driver.delete(disk)
    assert (driver.publish(clone) / "homework").read_text(encoding="utf-8") == "changed"


def test_a_read_only_mount_that_was_interrupted_is_made_read_only_by_the_repeat(driver: Driver) -> None:
    disk = driver.create("disk")
    target = driver.folder / "pods" / disk
    target.mkdir(parents=True)
    # As far as an interrupted call got: bound, and not yet read-only.
    pools.command("mount", "--bind", str(driver.pool / "volumes" / disk), str(target))
    driver.publish(disk, readonly=True)
    assert os.statvfs(target).f_flag & os.ST_RDONLY


# The driver dies.


def ask_for_everything(driver: Driver, disks: Iterable[int], answered: Callable[[str, str], None]) -> None:
    """Create disks, and of each a snapshot and a clone, one after the other; tell each answer."""
    for number in disks:
        disk = driver.create(f"disk {number}", (100 + number) * MIB)
        answered(f"disk {number}", disk)
        answered(f"snapshot {number}", driver.snapshot(f"snapshot {number}", disk))
        answered(f"clone {number}", driver.create(f"clone {number}", 150 * MIB, volume=disk))


@pytest.mark.parametrize("answers", [1, 2, 3, 8, 14])
def test_every_answer_holds_after_the_driver_is_killed_in_a_series_of_requests(driver: Driver, answers: int) -> None:
    got: dict[str, str] = {}
    enough = threading.Event()
    interrupted: list[grpc.RpcError] = []

    def answered(name: str, identifier: str) -> None:
        got[name] = identifier
        if len(got) == answers:
            enough.set()

    def ask() -> None:
        try:
            ask_for_everything(driver, itertools.count(), answered)
        except (grpc.RpcError, ValueError) as error:
            # ValueError is what a closed channel answers.
            interrupted.append(error)

    client = threading.Thread(target=ask)
    client.start()
    assert enough.wait(timeout=120)
    driver.kill()
    client.join(timeout=120)
    assert not client.is_alive()
    assert len(interrupted) == 1
    before = dict(got)

    driver.start()
    sizes, sources, promised = driver.volumes(), driver.snapshots(), limits(driver.pool)
    for name, identifier in before.items():
        kind, number = name.split()
        if kind == "snapshot":
            assert sources[identifier] == before[f"disk {number}"]
            assert (driver.pool / "snapshots" / identifier).is_dir()
        else:
            size = (150 if kind == "clone" else 100 + int(number)) * MIB
            assert sizes[identifier] == size
            assert promised[identifier] == size

    again: dict[str, str] = {}
    # Up to and with the disk whose request was on its way.
    ask_for_everything(driver, range(len(before) // 3 + 1), again.__setitem__)
    assert {name: again[name] for name in before} == before
    assert_whole(driver)
    assert driver.volumes().keys() | driver.snapshots().keys() == set(again.values())


class Trap:
    """A ``btrfs`` for the driver that kills its caller once a certain command has been done."""

    def __init__(self, folder: Path) -> None:
        real = shutil.which("btrfs")
        assert real is not None
        self.folder = folder
        self._words = folder / "words"
        command = folder / "btrfs"
        command.write_text(
            "#!/bin/sh\n"
            f'{shlex.quote(real)} "$@"\n'
            "code=$?\n"
            f"words=$(cat {shlex.quote(str(self._words))} 2>/dev/null)\n"
            'case "$*" in "$words "*) test -z "$words" || kill -9 $PPID ;; esac\n'
            "exit $code\n",
            encoding="utf-8",
        )
        command.chmod(stat.S_IRWXU)

    def set(self, words: str) -> None:
        self._words.write_text(words, encoding="utf-8")

    def remove(self) -> None:
        self._words.unlink()


@pytest.fixture
def trap(place: Path) -> Trap:
    folder = place / "bin"
    folder.mkdir()
    return Trap(folder)


@pytest.fixture
def trapped(pool: Path, place: Path, trap: Trap) -> Iterator[Driver]:
    """A driver with a disk and a snapshot, that dies after the trap's command."""
    driver = Driver(pool, place, first_in_path=trap.folder)
    try:
        driver.start()
        disk = driver.create("disk", 100 * MIB)
        (driver.publish(disk) / "homework").write_text("done", encoding="utf-8")
        pools.unmount_all(place / "pods")
        driver.snapshot("snapshot", disk)
        yield driver
    finally:
        driver.stop()


Request = Callable[[Driver, str, str], object]
CRASHES: dict[str, tuple[str, Request]] = {
    "between a disk and its size": ("subvolume create", lambda d, _disk, _shot: d.create("new", 200 * MIB)),
    "between a disk and its record": ("qgroup limit", lambda d, _disk, _shot: d.create("new", 200 * MIB)),
    "between a restored disk and its size": (
        "subvolume snapshot",
        lambda d, _disk, shot: d.create("new", 200 * MIB, snapshot=shot),
    ),
    "between a clone and its record": ("qgroup limit", lambda d, disk, _shot: d.create("new", 200 * MIB, volume=disk)),
    "between a snapshot and its record": ("subvolume snapshot -r", lambda d, disk, _shot: d.snapshot("new", disk)),
    "before a disk is deleted": ("subvolume list", lambda d, disk, _shot: d.delete(disk)),
    "between a disk's deletion and its record's": ("subvolume delete", lambda d, disk, _shot: d.delete(disk)),
    "between a snapshot's deletion and its record's": (
        "subvolume delete",
        lambda d, _disk, shot: d.delete_snapshot(shot),
    ),
    "between a larger limit and its record": ("qgroup limit", lambda d, disk, _shot: d.expand(disk, 300 * MIB)),
}


@pytest.mark.parametrize(("words", "request_"), CRASHES.values(), ids=CRASHES)
def test_a_request_that_the_driver_died_of_is_finished_by_its_repeat(
    trapped: Driver, trap: Trap, words: str, request_: Request
) -> None:
    (disk,), (snapshot,) = trapped.volumes(), trapped.snapshots()
    trap.set(words)
    with pytest.raises(grpc.RpcError) as died:
        request_(trapped, disk, snapshot)
    assert died.value.code() == grpc.StatusCode.UNAVAILABLE
    trapped.end()
    assert trapped.process.returncode == -9, "the driver was not caught by the trap"
    trap.remove()

    trapped.start()
    first = request_(trapped, disk, snapshot)
    assert request_(trapped, disk, snapshot) == first, "a repeat is answered as the request was"
    assert_whole(trapped)
    assert limits(trapped.pool) == trapped.volumes()
    for identifier in trapped.volumes().keys() - {first}:
        assert (trapped.pool / "volumes" / identifier / "homework").read_text(encoding="utf-8") == "done"


def test_a_disk_that_was_attached_before_the_driver_died_is_attached_after(driver: Driver) -> None:
    disk = driver.create("disk")
    request = csi.ControllerPublishVolumeRequest(volume_id=disk, node_id="node-a", volume_capability=capability())
    driver.controller.ControllerPublishVolume(request)
    driver.kill()
    driver.start()
    with pytest.raises(grpc.RpcError) as refused:
        driver.delete(disk)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    (entry,) = driver.controller.ListVolumes(csi.ListVolumesRequest()).entries
    assert list(entry.status.published_node_ids) == ["node-a"]


def test_a_mounted_disk_outlives_the_driver(driver: Driver) -> None:
    target = driver.publish(driver.create("disk"))
    with (target / "homework").open("w", encoding="utf-8") as file:
        driver.kill()
        file.write("done")
    assert (target / "homework").read_text(encoding="utf-8") == "done"


# The pool is not there.


@pytest.fixture
def orphan(driver: Driver) -> Iterator[tuple[Driver, str, str]]:
    """A driver whose pool was unmounted after it made a disk and a snapshot."""
    disk = driver.create("disk", 100 * MIB)
    snapshot = driver.snapshot("snapshot", disk)
    request = csi.ControllerPublishVolumeRequest(volume_id=disk, node_id="node-a", volume_capability=capability())
    driver.controller.ControllerPublishVolume(request)
    pools.command("umount", str(driver.pool))
    yield driver, disk, snapshot
    # Each call is refused, or gets a wrong answer; it leaves nothing where the pool is to be mounted.
    assert list(driver.pool.iterdir()) == []


def test_a_pool_that_is_not_mounted_is_reported_by_the_probe(orphan: tuple[Driver, str, str]) -> None:
    driver, _disk, _snapshot = orphan
    with pytest.raises(grpc.RpcError) as refused:
        driver.identity.Probe(csi.ProbeRequest())
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert f"{driver.pool} is " in refused.value.details()
    assert "not the btrfs pool: is it mounted?" in refused.value.details()


Call = Callable[[Driver, str, str], Any]
# All that would otherwise be answered from an empty folder, as if every disk were gone.
CALLS: dict[str, Call] = {
    "CreateVolume": lambda d, _disk, _shot: d.controller.CreateVolume(volume_request("disk", 100 * MIB)),
    "CreateVolume of another name": lambda d, _disk, _shot: d.controller.CreateVolume(volume_request("b", 100 * MIB)),
    "CreateSnapshot": lambda d, disk, _shot: d.snapshot("snapshot", disk),
    "DeleteVolume": lambda d, disk, _shot: d.delete(disk),
    "DeleteSnapshot": lambda d, _disk, shot: d.delete_snapshot(shot),
    "ListVolumes": lambda d, _disk, _shot: d.volumes(),
    "ListSnapshots": lambda d, _disk, _shot: d.snapshots(),
    "GetCapacity": lambda d, _disk, _shot: d.controller.GetCapacity(csi.GetCapacityRequest()),
    "ControllerExpandVolume": lambda d, disk, _shot: d.expand(disk, 200 * MIB),
    "ControllerPublishVolume": lambda d, disk, _shot: d.controller.ControllerPublishVolume(
        csi.ControllerPublishVolumeRequest(volume_id=disk, node_id="node-a", volume_capability=capability())
    ),
    "ControllerUnpublishVolume": lambda d, disk, _shot: d.controller.ControllerUnpublishVolume(
        csi.ControllerUnpublishVolumeRequest(volume_id=disk, node_id="node-a")
    ),
    "ValidateVolumeCapabilities": lambda d, disk, _shot: d.controller.ValidateVolumeCapabilities(
        csi.ValidateVolumeCapabilitiesRequest(volume_id=disk, volume_capabilities=[capability()])
    ),
    "NodePublishVolume": lambda d, disk, _shot: d.publish(disk),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_pool_that_is_not_mounted_is_refused(orphan: tuple[Driver, str, str], call: Call) -> None:
    driver, disk, snapshot = orphan
    with pytest.raises(grpc.RpcError) as refused:
        call(driver, disk, snapshot)
    assert "not the btrfs pool: is it mounted?" in refused.value.details()


def test_a_driver_without_its_pool_does_not_start_and_writes_nothing(place: Path) -> None:
    empty = place / "pool"
    empty.mkdir()
    driver = Driver(empty, place)
    process = driver.launch()
    try:
        assert process.wait(timeout=120) != 0
    finally:
        driver.stop()
    assert "not the btrfs pool: is it mounted?" in driver.log
    assert list(empty.iterdir()) == []


def test_an_empty_folder_of_a_btrfs_machine_is_not_taken_for_the_pool(pool: Path) -> None:
    # Where the machine's own file system is btrfs, the folder that the pool is not mounted at looks like this.
    folder = pool / "folder"
    folder.mkdir()
    with pytest.raises(PoolError):
        Pool(folder).check()
    assert list(folder.iterdir()) == []


def test_a_pool_that_comes_back_is_served_again_by_the_same_driver(orphan: tuple[Driver, str, str]) -> None:
    driver, disk, snapshot = orphan
    pools.command("mount", "--options", "loop", str(driver.folder / "pool.img"), str(driver.pool))
    assert driver.identity.Probe(csi.ProbeRequest()).ready.value
    assert driver.volumes() == {disk: 100 * MIB}
    assert driver.snapshots() == {snapshot: disk}
    pools.command("umount", str(driver.pool))


# The pool is full.


def test_a_disk_that_is_larger_than_what_is_left_is_refused_and_leaves_nothing(driver: Driver) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        driver.create("huge", 8 << 30)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert_whole(driver)
    assert driver.volumes() == {}


def test_a_command_of_btrfs_that_fails_leaves_the_request_to_be_repeated(pool: Path, place: Path, trap: Trap) -> None:
    driver = Driver(pool, place, first_in_path=trap.folder)
    try:
        driver.start()
        real = (trap.folder / "btrfs").read_text(encoding="utf-8")
        (trap.folder / "btrfs").write_text("#!/bin/sh\necho 'ERROR: no such luck' >&2\nexit 1\n", encoding="utf-8")
        with pytest.raises(grpc.RpcError) as refused:
            driver.create("disk", 100 * MIB)
        assert refused.value.code() == grpc.StatusCode.INTERNAL
        assert refused.value.details() == "btrfs subvolume create: ERROR: no such luck"
        assert driver.volumes() == {}
        (trap.folder / "btrfs").write_text(real, encoding="utf-8")
        disk = driver.create("disk", 100 * MIB)
        assert limits(pool) == {disk: 100 * MIB}
    finally:
        driver.stop()


def test_two_of_the_same_request_at_once_make_one_disk(driver: Driver) -> None:
    disk = driver.create("disk")
    both = threading.Barrier(8)
    got: list[str] = []

    def ask(number: int) -> None:
        both.wait(timeout=120)
        got.append(driver.create("twin", volume=disk) if number % 2 else driver.snapshot("twin", disk))

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(timeout=120)
    assert len(got) == 8
    assert len(set(got)) == 2
    assert_whole(driver)


def test_a_driver_that_is_told_to_end_ends_well(driver: Driver) -> None:
    driver.stop()
    assert driver.process.returncode == 0
    assert subprocess.run(["mountpoint", "--quiet", str(driver.pool)], check=False).returncode == 0


def test_a_driver_that_is_told_to_end_while_it_begins_to_serve_ends_well(pool: Path, place: Path) -> None:
    driver = Driver(pool, place)
    process = driver.launch()
    try:
        # A moment that lasts for milliseconds.
        while not driver.socket.exists():
            assert process.poll() is None, driver.log
        process.terminate()
        assert process.wait(timeout=120) == 0, driver.log
    finally:
        driver.stop()
