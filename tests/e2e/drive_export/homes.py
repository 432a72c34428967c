"""Homes of students who have no servers: written, changed and read by one pod that has all of their disks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import ApiError

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.pods import tools_image
from tests.e2e.drive_export.drive import Drive, account

# In each home: 9 notebooks, 4 other files, 4 folders; in Drive also the folder of the export, its list, and the top of
# the student's Drive, which is made when it is first used.
FILES, FOLDERS = 13, 4
IN_DRIVE = FILES + FOLDERS + 3

_WRITE = r"""
import os, sys
for student in os.listdir("/disks"):
    home = f"/disks/{student}"
    for week in range(3):
        os.makedirs(f"{home}/week {week}", exist_ok=True)
        for task in range(3):
            path = f"{home}/week {week}/task {task}.ipynb"
            with open(path, "w") as file:
                file.write(f"{student} {week} {task} " * 100)
            os.utime(path, ns=(0, 1700000000123456789 + week * 1000 + task))
    os.makedirs(f"{home}/empty folder", exist_ok=True)
    open(f"{home}/empty file", "w").close()
    open(f"{home}/O'Brien\n \"quoted\"", "w").close()
    open(f"{home}/caf\u00e9", "w").close()
    with open(f"{home}/data.bin", "wb") as file:
        file.write(student.encode() * 300000)
    os.chmod(f"{home}/data.bin", 0o640)
    if not os.path.islink(f"{home}/link"):
        os.symlink("week 0/task 0.ipynb", f"{home}/link")
os.sync()
print("written")
"""
_CHANGE = r"""
import os
for student in os.listdir("/disks"):
    home = f"/disks/{student}"
    os.rename(f"{home}/week 0", f"{home}/first week")
    with open(f"{home}/week 1/task 1.ipynb", "a") as file:
        file.write("more")
os.sync()
print("written")
"""
_ADD = r"""
import os, sys
for student in os.listdir("/disks"):
    for number in range(6):
        with open(f"/disks/{student}/new {sys.argv[1]} {number}", "w") as file:
            file.write(f"{student} {sys.argv[1]} {number} " * 10000)
os.sync()
print("written")
"""
_LARGE = r"""
import os, sys
student, size = sys.argv[1:]
with open(f"/disks/{student}/large.bin", "wb") as file, open("/dev/urandom", "rb") as noise:
    file.write(noise.read(int(size)))
    file.flush()
    os.fsync(file.fileno())
print("written")
"""
_READ = r"""
import hashlib, json, os
found = {}
def refuse(error):
    raise error
for student in sorted(os.listdir("/disks")):
    home, things = f"/disks/{student}", {}
    for folder, folders, files in os.walk(home, onerror=refuse):
        for name in folders + files:
            path = os.path.join(folder, name)
            stat, shown = os.lstat(path), os.path.relpath(path, home)
            if os.path.islink(path):
                things[shown] = ["link", os.readlink(path)]
            elif os.path.isdir(path):
                things[shown] = ["folder", stat.st_mode, stat.st_mtime_ns]
            else:
                digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
                things[shown] = ["file", stat.st_mode, stat.st_mtime_ns, digest]
    found[student] = hashlib.sha256(json.dumps(things, sort_keys=True).encode()).hexdigest() + f" {len(things)}"
print("\n".join(f"{student}={digest}" for student, digest in found.items()))
"""


class Homes:
    """The homes on claims ``<prefix><student>``."""

    def __init__(self, cluster: Cluster, students: Sequence[str], prefix: str = "disk-") -> None:
        self._cluster = cluster
        self._claims = {student: f"{prefix}{student}" for student in students}

    def write(self) -> None:
        self._run(_WRITE)

    def change(self) -> None:
        """Rename a folder and change a file in each."""
        self._run(_CHANGE)

    def add(self, turn: str) -> None:
        """Write six new files into each, which take a student's Drive three seconds."""
        self._run(_ADD, turn)

    def add_large(self, student: str, size: int) -> None:
        """Write a file of so many bytes into one home."""
        self._run(_LARGE, student, str(size))

    def read(self) -> dict[str, str]:
        """Return what stands for all that is in each home: names, kinds, modes, times and contents; and how many."""
        said = self._run(_READ)
        return dict(line.rpartition("=")[::2] for line in said.splitlines() if "=" in line)

    def _run(self, program: str, *words: str) -> str:
        with _pod(self._cluster, self._claims) as name:
            said = self._cluster.run_python(name, program, *words)
        assert "Error" not in said, said
        return said


@contextmanager
def _pod(cluster: Cluster, claims: dict[str, str]) -> Iterator[str]:
    name = "homes"
    numbered = dict(enumerate(claims.items()))
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    mounts = [{"name": f"d{number}", "mountPath": f"/disks/{student}"} for number, (student, _c) in numbered.items()]
    volumes = [
        {"name": f"d{number}", "persistentVolumeClaim": {"claimName": claim}}
        for number, (_student, claim) in numbered.items()
    ]
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": STUDENTS},
            "spec": {
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "fsGroup": 1000,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "homes",
                        "image": tools_image(cluster),
                        "args": ["sleep", "600"],
                        "securityContext": security,
                        "volumeMounts": mounts,
                    }
                ],
                "volumes": volumes,
            },
        }
    )

    def running(pods: list[dict[str, Any]]) -> bool:
        return any(p["metadata"]["name"] == name and p["status"].get("phase") == "Running" for p in pods)

    try:
        cluster.wait("v1", "Pod", STUDENTS, running, 180)
        yield name
    finally:
        cluster.delete("v1", "Pod", name, STUDENTS)
        cluster.wait("v1", "Pod", STUDENTS, lambda pods: all(p["metadata"]["name"] != name for p in pods), 120)


@contextmanager
def consenting(cluster: Cluster, drive: Drive, students: Sequence[str]) -> Iterator[Homes]:
    """Homes with files, of students who each have a Drive and have consented; at the end the consents go."""
    try:
        for student in students:
            drive.admin("POST", "/users", email=account(student))
            cluster.apply(secret(student, drive.consent(account(student))))
        homes = Homes(cluster, students)
        homes.write()
        yield homes
    finally:
        for student in students:
            with suppress(ApiError):
                cluster.delete("v1", "Secret", f"drive-consent-{student}", STUDENTS)


def secret(student: str, consent: dict[str, str]) -> dict[str, Any]:
    """Return the Secret of a student who has consented."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"drive-consent-{student}",
            "namespace": STUDENTS,
            "labels": {"coursehub.jupyterhub/drive-consent": "true"},
        },
        "stringData": {"key.json": json.dumps(consent)},
    }
