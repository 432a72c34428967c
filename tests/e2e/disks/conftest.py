"""Students whose servers can be stopped, and the modules for their disks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import LAST_START_ANNOTATION

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.bare import Bare, bare_disks
from tests.e2e.playbook import module
from tests.e2e.student import Student

Module = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def arguments() -> dict[str, Any]:
    """What every module for disks is told."""
    return {
        "kubeconfig": os.environ["COURSEHUB_KUBECONFIG"],
        "context": os.environ["COURSEHUB_CONTEXT"],
        "namespace": STUDENTS,
        "snapshot_class": "coursehub-snapshot",
    }


@pytest.fixture(scope="session")
def snapshot(arguments: dict[str, Any]) -> Module:
    return lambda *students, **more: module("student_disk_snapshot", **arguments, students=list(students), **more)


@pytest.fixture(scope="session")
def restore(arguments: dict[str, Any]) -> Module:
    return lambda *students, **more: module("student_disk_restore", **arguments, students=list(students), **more)


@pytest.fixture(scope="session")
def disk(arguments: dict[str, Any]) -> Module:
    return lambda *students, **more: module("student_disk", **arguments, students=list(students), **more)


@pytest.fixture(scope="session")
def drill(arguments: dict[str, Any]) -> Module:
    told = {key: value for key, value in arguments.items() if key != "snapshot_class"}
    return lambda *students, **more: module("student_disk_drill", **told, students=list(students), sample=0, **more)


@pytest.fixture(scope="session")
def grow(arguments: dict[str, Any]) -> Module:
    told = {key: value for key, value in arguments.items() if key != "snapshot_class"}
    return lambda *students, **more: module("student_disk_grow", **told, students=list(students), **more)


class Home:
    """A student's home, used through the student's own server, which runs only as long as that takes."""

    def __init__(self, url: str, cluster: Cluster, name: str) -> None:
        self.student = Student(url, name).login()
        self._cluster = cluster
        self._name = name

    def write(self, **files: str) -> None:
        """Write files, by name without ending."""
        self.student.start()
        for name, content in files.items():
            body = {"type": "file", "format": "text", "content": content}
            self.student.ask("PUT", f"contents/{name}.txt", body)
        self.stop()

    def read(self) -> dict[str, str]:
        """Return all files that were written."""
        self.student.start()
        listed = self.student.ask("GET", "contents/")["content"]
        names = [item["name"] for item in listed if item["name"].endswith(".txt")]
        files = {name[:-4]: self.student.ask("GET", f"contents/{name}")["content"] for name in names}
        self.stop()
        return files

    def run(self, program: str) -> str:
        """Run a program in the student's server; return what it printed."""
        return self._cluster.run_python(f"jupyter-{self._name}", program)

    def settle(self) -> None:
        """Let the last start be an hour ago: clocks may be a minute apart, so a start of just now proves nothing."""
        moment = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
        path = self._cluster.kube.path("v1", "PersistentVolumeClaim", STUDENTS, f"disk-{self._name}")
        self._cluster.kube.merge(path, {"metadata": {"annotations": {LAST_START_ANNOTATION: moment}}})

    def stop(self) -> None:
        self.student.stop()
        pod = f"jupyter-{self._name}"
        self._cluster.wait("v1", "Pod", STUDENTS, lambda pods: all(p["metadata"]["name"] != pod for p in pods), 90)


@pytest.fixture
def home(url: str, cluster: Cluster, request: pytest.FixtureRequest) -> Home:
    """The home of a student of the test's own, whom no run before on the same cluster has had."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.removeprefix("test_"))
    return Home(url, cluster, f"{name.strip('-')[:33].strip('-')}-{time.time_ns() % 16**6:06x}")


@pytest.fixture(scope="module")
def hundred(cluster: Cluster) -> Iterator[Bare]:
    """The disks of 100 students who have no servers."""
    with bare_disks(cluster, "fault", 100) as disks:
        yield disks
