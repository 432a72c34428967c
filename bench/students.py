"""Students' disks without servers: claims as the hub makes them, with real volumes, or thousands that look as if."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _disks, _restore, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from .report import fail, say

Object = dict[str, Any]
CLAIM = ("v1", "PersistentVolumeClaim")
SHOT = (_snapshots.API_VERSION, _snapshots.KIND)
CONTENT = (_snapshots.API_VERSION, "VolumeSnapshotContent")
SIZE = "64Mi"
# A server that ended an hour ago: long enough to be left out by skip_unchanged after one snapshot.
IDLE = timedelta(hours=1)
# Snapshots that are on their way out at once: a mass of deletions has left snapshots in storages that nobody knew of.
BATCH = 100
# The controller of volumes makes 20 requests a second, four or so a claim.
SECONDS_A_CLAIM = 0.6
SECONDS_A_BATCH = 120
LEAST_SECONDS = 120


def claim(number: int, namespace: str, storage_class: str, node: str, *, volume: str = "") -> Object:
    """Return a student's claim as the hub leaves it, on a node as the scheduler writes it there.

    With ``volume`` it says that it has that one.
    """
    student = f"bench-{number:05}"
    started = (datetime.now(UTC) - IDLE).isoformat(timespec="seconds")
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": f"disk-{student}",
            "namespace": namespace,
            "labels": {_disks.STUDENT_LABEL: student},
            "annotations": {
                _disks.STUDENT_ANNOTATION: student,
                _disks.LAST_START_ANNOTATION: started,
                # A class that waits for a first consumer makes the volume then, and needs no pod.
                _restore.SELECTED_NODE: node,
            },
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": SIZE}},
            **({"volumeName": volume} if volume else {}),
        },
    }


def batches(names: Sequence[str], size: int = BATCH) -> Iterator[Sequence[str]]:
    """Cut into batches, the last one perhaps smaller."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def is_bound(item: Object) -> bool:
    """Tell whether a claim has its volume."""
    return str(item.get("status", {}).get("phase")) == "Bound"


def is_ready(item: Object) -> bool:
    """Tell whether a snapshot can be restored."""
    return (item.get("status") or {}).get("readyToUse") is True


def make_namespace(kube: Kube, namespace: str) -> None:
    """Make a namespace of the benchmark's own."""
    kube.request("POST", kube.path("v1", "Namespace"), {"metadata": {"name": namespace}})


def make(kube: Kube, namespace: str, count: int, storage_class: str) -> list[str]:
    """Make disks with real volumes; return the claims' names. Ends the benchmark where not all are there in time."""
    make_namespace(kube, namespace)
    node = _restore.choose_node(kube.list("v1", "Node"), None)
    bodies = [claim(number, namespace, storage_class, node) for number in range(count)]
    _post(kube, namespace, bodies)
    seconds = LEAST_SECONDS + SECONDS_A_CLAIM * count
    found = kube.wait(*CLAIM, namespace, Progress("disks are there", count, is_bound), time.monotonic() + seconds)
    there = sum(map(is_bound, found))
    if there < count:
        fail(f"{there} of {count} disks were there after {seconds:.0f} s")
    return [body["metadata"]["name"] for body in bodies]


def _post(kube: Kube, namespace: str, bodies: Sequence[Object]) -> None:
    path = kube.path(*CLAIM, namespace)
    _each(range(len(bodies)), lambda number: kube.request("POST", path, bodies[number]))


def _each(items: Sequence[Any] | range, work: Callable[[Any], Any]) -> None:
    _results, errors = _bulk.each(items, work)
    if errors:
        item, error = next(iter(errors.items()))
        fail(f"{len(errors)} of {len(items)} failed; {item}: {error}")


class Progress:
    """Whether as many things as wanted are done, told while one waits at every tenth."""

    def __init__(self, what: str, count: int, done: Callable[[Object], bool]) -> None:
        self._what = what
        self._count = count
        self._done = done
        self._told = 0

    def __call__(self, found: list[Object]) -> bool:
        there = sum(map(self._done, found))
        tenths = there * 10 // self._count
        if tenths > self._told:
            self._told = tenths
            say(f"{there} of {self._count} {self._what}")
        return there >= self._count


def ready_snapshots(kube: Kube, namespace: str) -> int:
    """Return how many snapshots can be restored."""
    return sum(map(is_ready, kube.list(*SHOT, namespace)))


def _gone(names: set[str], found: list[Object]) -> bool:
    return not names & {item["metadata"]["name"] for item in found}


def remove_snapshots(kube: Kube, namespace: str) -> None:
    """Remove all snapshots of a namespace, a batch after the other, and wait until the storage has none of them."""
    names = [str(item["metadata"]["name"]) for item in kube.list(*SHOT, namespace)]
    for batch in batches(names):
        _each(batch, lambda name: kube.request("DELETE", kube.path(*SHOT, namespace, name)))
        _await(kube, SHOT, namespace, partial(_gone, set(batch)), "snapshots are still there")

    def none_of_ours(found: list[Object]) -> bool:
        return all(item["spec"]["volumeSnapshotRef"]["namespace"] != namespace for item in found)

    _await(kube, CONTENT, None, none_of_ours, "snapshots are still in the storage")
    say(f"{len(names)} snapshots removed")


def _await(
    kube: Kube, kind: tuple[str, str], namespace: str | None, done: Callable[[list[Object]], bool], complaint: str
) -> None:
    found = kube.wait(*kind, namespace, done, time.monotonic() + SECONDS_A_BATCH)
    if not done(found):
        fail(f"{complaint} {SECONDS_A_BATCH} s after they were removed")


def pretend(kube: Kube, namespace: str, count: int) -> None:
    """Make claims that say they are bound, to volumes that there are none of: as many objects as a large course has.

    Nothing may work on them: see ``hold_back``.
    """
    make_namespace(kube, namespace)
    bodies = [claim(number, namespace, "bench-none", "none", volume=f"pvc-{number:032}") for number in range(count)]
    _post(kube, namespace, bodies)
    status = {"status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": SIZE}}}
    names = [body["metadata"]["name"] for body in bodies]
    _each(names, lambda name: kube.merge(f"{kube.path(*CLAIM, namespace, name)}/status", status))
    bound = sum(map(is_bound, kube.list(*CLAIM, namespace)))
    if bound < count:
        fail(f"{bound} of {count} claims say that they are bound: something works on them")


@contextmanager
def stand_in(kube: Kube, namespace: str, seconds: float) -> Iterator[None]:
    """Stand in for the snapshot controller, for so many seconds at most: what is asked for is ready at once."""
    ended = Event()
    worker = Thread(target=_make_ready, args=(kube, namespace, ended, time.monotonic() + seconds), daemon=True)
    worker.start()
    try:
        yield
    finally:
        ended.set()
        worker.join()


def _make_ready(kube: Kube, namespace: str, ended: Event, deadline: float) -> None:
    def finish(name: str) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {
            "boundVolumeSnapshotContentName": f"snapcontent-{name}",
            "creationTime": moment,
            "readyToUse": True,
            "restoreSize": SIZE,
        }
        kube.merge(f"{kube.path(*SHOT, namespace, name)}/status", {"status": status})

    while not ended.is_set() and time.monotonic() < deadline:
        try:
            waiting = [item["metadata"]["name"] for item in kube.list(*SHOT, namespace) if not is_ready(item)]
        except CoursehubError:
            waiting = []
        _bulk.each(waiting, finish)
        if not waiting:
            ended.wait(1)
