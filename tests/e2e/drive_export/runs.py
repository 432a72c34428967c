"""Runs of exports that something happens to, and what is to be seen of them afterwards."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _exporter, _exporter_pods

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.drive_export.drive import Drive
from tests.e2e.playbook import module, start

Object = dict[str, Any]
EXPORTER = "coursehub.jupyterhub/exporter"
CLAIM = ("v1", "PersistentVolumeClaim")
# The words and the variables of every process of a pod.
_PROCESSES = """
import contextlib, glob
for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path, "rb") as file:
        print(path, file.read().replace(bytes(1), b" ").decode("utf-8", "replace"))
"""


def nothing_left_over(cluster: Cluster) -> None:
    """Check that no Job of the exporter is there, no pod of one, no pace, no clone, and no volume of a clone."""
    assert cluster.kube.list("batch/v1", "Job", STUDENTS, labelSelector=EXPORTER) == []
    assert cluster.kube.list(*CLAIM, STUDENTS, labelSelector="coursehub.jupyterhub/drive=clone") == []
    assert cluster.kube.get("v1", "ConfigMap", _exporter.PACE, STUDENTS) is None
    cluster.wait("v1", "Pod", STUDENTS, lambda pods: not any(EXPORTER in _labels(pod) for pod in pods), 60)

    def gone(volumes: list[Object]) -> bool:
        return not any((v["spec"].get("claimRef") or {}).get("name", "").startswith("export-disk-") for v in volumes)

    cluster.wait("v1", "PersistentVolume", None, gone, 120)


def take_snapshots(place: Object, students: Collection[str]) -> None:
    """Take a snapshot of each of these students' disks, whether anything has changed or not."""
    told = module(
        "student_disk_snapshot",
        **place,
        students=list(students),
        snapshot_class="coursehub-snapshot",
        skip_unchanged=False,
    )
    assert "msg" not in told, told["msg"]


def remove_restored(cluster: Cluster, students: Collection[str], prefix: str) -> None:
    """Remove disks that an import has made, and their volumes, which the class of students' disks would keep."""
    for student in students:
        name = f"{prefix}-disk-{student}"
        claim = cluster.kube.get(*CLAIM, name, STUDENTS)
        if claim is not None and claim["spec"].get("volumeName"):
            path = cluster.kube.path("v1", "PersistentVolume", None, claim["spec"]["volumeName"])
            cluster.kube.merge(path, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
            cluster.delete(*CLAIM, name, STUDENTS)


def _labels(item: Object) -> dict[str, str]:
    return item["metadata"].get("labels") or {}


def failed(told: Object) -> list[str]:
    """Return the students of whom a run said that they failed."""
    assert "failures" in told, told.get("msg", told)
    return [one["student"] for one in told["failures"]]


def wait_for(what: str, seconds: float, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"{what}: not in {seconds} s"
        time.sleep(0.5)


class Background:
    """A run in a process of its own, which is killed where it is still at work at the end."""

    def __init__(self, tmp_path: Path, drive: Drive, arguments: Object) -> None:
        drive.admin("DELETE", "/counters")
        self._drive = drive
        self._process: subprocess.Popen[str] = start("drive_export", tmp_path / "arguments.json", **arguments)

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def at_work(self) -> bool:
        return self._process.poll() is None

    def still(self, what: str, done: Callable[[], bool], seconds: float = 240) -> None:
        """Wait until something is so while the run is at work; fail where that ends first."""

        def so() -> bool:
            assert self.at_work(), self._process.communicate()[0][-2000:]
            return done()

        wait_for(what, seconds, so)

    def sends(self) -> None:
        """Wait until something is sent."""
        self.still("something is sent", lambda: self._drive.sent() >= 5)

    def ended(self, seconds: float = 900) -> Object:
        """Wait until it has ended well; return what it told."""
        said, _error = self._process.communicate(timeout=seconds)
        assert self._process.returncode == 0, said[-2000:]
        told: Object = json.loads(said)
        return told

    def kill(self) -> None:
        """Kill it, as it is."""
        if self.at_work():
            self._process.kill()
            self._process.communicate(timeout=30)


def exporting(cluster: Cluster) -> list[Object]:
    """Return the pods that are at work on exports."""
    return [pod for pod in cluster.pods(STUDENTS, f"{EXPORTER}=export") if pod["status"].get("phase") == "Running"]


def told_in_logs(cluster: Cluster, students: Collection[str]) -> set[str]:
    """Return the students of whom pods that are at work on exports have told already."""
    logs = [cluster.log(pod["metadata"]["name"], STUDENTS) for pod in exporting(cluster)]
    return {student for log in logs for student in _exporter_pods.results(log, students)}


def to_be_seen(cluster: Cluster) -> dict[str, str]:
    """Return all that is to be seen of the exports that are at work, by where it is to be seen."""
    pods = exporting(cluster)
    names = [str(pod["metadata"]["name"]) for pod in pods]
    processes = "\n".join(cluster.run_python(name, _PROCESSES) for name in names)
    assert "Traceback" not in processes, processes
    return {
        "Jobs": json.dumps(cluster.kube.list("batch/v1", "Job", STUDENTS, labelSelector=EXPORTER)),
        "pods": json.dumps(pods),
        "logs": "\n".join(cluster.log(name, STUDENTS) for name in names),
        "events": json.dumps(cluster.kube.list("v1", "Event", STUDENTS)),
        "processes": processes,
    }


def kill_pods(cluster: Cluster) -> None:
    """Kill the pods that are at work on exports, of which there are some."""
    # A kubelet tells a moment later that a pod runs.
    wait_for("a pod is at work", 30, lambda: bool(exporting(cluster)))
    for pod in exporting(cluster):
        cluster.delete("v1", "Pod", pod["metadata"]["name"], STUDENTS, gracePeriodSeconds=0)
