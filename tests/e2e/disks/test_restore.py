"""A disk put back from a snapshot, on the real storage."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.conftest import Home, Module
from tests.e2e.playbook import ROOT

STEPS = (
    "await volume",
    "write journal",
    "mark claim",
    "remove claim",
    "make claim",
    "remove temporary claim",
    "give volume to claim",
    "await claim",
    "remove old volume",
    "clear journal",
)
# Runs the module's own code and kills itself, as a power cut would, before a step or after it.
KILLED = """
import os, signal, sys
import tests.conftest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _course, _kube, _swap
from ansible_collections.coursehub.jupyterhub.plugins.modules.student_disk_restore import Run
parameters = eval(sys.argv[1])
do = _swap.Swap._do
def die(self, step, view):
    if step == sys.argv[2]:
        if sys.argv[3] == "after":
            do(self, step, view)
        os.kill(os.getpid(), signal.SIGKILL)
    do(self, step, view)
_swap.Swap._do = die
kube = _kube.Kube(parameters["kubeconfig"], parameters["context"])
Run(_course.Course(kube, parameters["namespace"]), parameters, False)()
"""


def volumes_of(cluster: Cluster, claim: str) -> list[dict[str, Any]]:
    """Return the volumes that are, or were, of a claim or of the claim that its restore made."""
    names = (claim, f"restore-{claim}")
    everything = cluster.kube.list("v1", "PersistentVolume")
    return [one for one in everything if (one["spec"].get("claimRef") or {}).get("name") in names]


def whole(cluster: Cluster, student: str) -> dict[str, Any]:
    """Check that a student has one disk, bound, and that nothing of a restore is left over; return the claim."""
    claim = f"disk-{student}"
    cluster.wait("v1", "PersistentVolume", None, lambda _items: len(volumes_of(cluster, claim)) == 1, 60)
    (volume,) = volumes_of(cluster, claim)
    found = cluster.kube.get("v1", "PersistentVolumeClaim", claim, STUDENTS)
    assert found is not None
    assert found["status"]["phase"] == "Bound"
    assert found["spec"]["volumeName"] == volume["metadata"]["name"]
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    for item in (found, volume):
        assert "coursehub.jupyterhub/restore" not in item["metadata"].get("annotations", {})
    assert cluster.kube.get("v1", "PersistentVolumeClaim", f"restore-{claim}", STUDENTS) is None
    return found


def test_in_place(home: Home, cluster: Cluster, snapshot: Module, restore: Module) -> None:
    home.write(kept="first", lost="precious")
    taken = snapshot(home.student.name)["students"][0]["snapshot"]
    home.write(kept="second", new="after the snapshot")
    result = restore(home.student.name, snapshot="latest")
    (outcome,) = result["students"]
    assert (outcome["snapshot"], outcome["failed"], result["changed"]) == (taken, "", True)
    claim = whole(cluster, home.student.name)
    assert claim["metadata"]["labels"]["coursehub.jupyterhub/student"] == home.student.name
    # The same once more: nothing to do, and the safety snapshot is not taken for the latest.
    again = restore(home.student.name, snapshot="latest")
    assert (again["changed"], again["students"][0]["snapshot"]) == (False, taken)
    assert home.read() == {"kept": "first", "lost": "precious"}
    # And back: what was replaced is in the safety snapshot.
    assert restore(home.student.name, snapshot=outcome["safety"])["changed"]
    assert home.read() == {"kept": "second", "lost": "precious", "new": "after the snapshot"}


def test_into_a_new_disk(home: Home, cluster: Cluster, snapshot: Module, restore: Module) -> None:
    home.write(kept="first")
    snapshot(home.student.name)
    home.write(kept="second")
    result = restore(home.student.name, snapshot="latest", new_disk="look")
    name = f"look-disk-{home.student.name}"
    assert result["students"][0]["disk"] == name
    copy = cluster.kube.get("v1", "PersistentVolumeClaim", name, STUDENTS)
    assert copy is not None
    assert copy["status"]["phase"] == "Bound"
    assert "coursehub.jupyterhub/student" not in copy["metadata"]["labels"]
    assert not restore(home.student.name, snapshot="latest", new_disk="look")["changed"]
    assert home.read() == {"kept": "second"}
    cluster.delete("v1", "PersistentVolumeClaim", name, STUDENTS)


def test_a_server_that_runs_is_not_touched(home: Home, cluster: Cluster, snapshot: Module, restore: Module) -> None:
    home.write(kept="first")
    snapshot(home.student.name)
    home.student.start()
    before = cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{home.student.name}", STUDENTS)
    refused = restore(home.student.name, snapshot="latest")
    assert f"{home.student.name}: the pod jupyter-{home.student.name} has the disk" in refused["msg"]
    assert cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{home.student.name}", STUDENTS) == before
    home.stop()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_step(
    home: Home, cluster: Cluster, snapshot: Module, arguments: dict[str, Any], restore: Module, moment: str
) -> None:
    name = home.student.name
    contents = [{"round": "even", "lost": "precious"}, {"round": "odd", "lost": "precious"}]
    taken = []
    for content in contents:
        home.write(**content)
        taken.append(snapshot(name)["students"][0]["snapshot"])
    for number, step in enumerate(STEPS):
        wanted = taken[number % 2]
        parameters = {
            **arguments,
            "students": [name],
            "roster": None,
            "pattern": None,
            "selector": None,
            "all_students": False,
            "snapshot": wanted,
            "at": None,
            "new_disk": None,
            "paths": None,
            "stop_servers": False,
            "wait_timeout": 120,
        }
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, repr(parameters), step, moment],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert killed.returncode == -signal.SIGKILL, f"{step}: {killed.stderr}"
        result = restore(name, snapshot=wanted)
        assert "students" in result, f"{step}: {result}"
        assert (result["students"][0]["failed"], result["students"][0]["snapshot"]) == ("", wanted), step
        claim = whole(cluster, name)
        assert claim["metadata"]["annotations"]["coursehub.jupyterhub/restored-from"] == wanted
    assert home.read() == contents[(len(STEPS) - 1) % 2]


def test_bad_input_changes_nothing(home: Home, cluster: Cluster, restore: Module) -> None:
    home.write(kept="first")
    name = home.student.name
    before = cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{name}", STUDENTS)
    cases = {
        f"{name}: there is no snapshot": {"snapshot": "latest"},
        f"{name}: there is no snapshot other of this student's disk": {"snapshot": "other"},
        f"{name}: there is no snapshot from before 2020-01-01": {"at": "2020-01-01T00:00:00Z"},
        "at is '2999-01-01T00:00:00Z', which is still to come": {"at": "2999-01-01T00:00:00Z"},
        "at is 'yesterday': write a time with its zone": {"at": "yesterday"},
    }
    for sentence, more in cases.items():
        assert sentence in restore(name, **more)["msg"]
    assert "these students have no disk: nobody" in restore(name, "nobody", snapshot="latest")["msg"]
    assert cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{name}", STUDENTS) == before
