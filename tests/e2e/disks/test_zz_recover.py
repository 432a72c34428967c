"""The cluster is lost whole, and another one serves the same students. The last of its folder: the others share it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.cluster import HUB, STUDENTS, Cluster
from tests.e2e.disks.conftest import Home, Module
from tests.e2e.playbook import play
from tests.e2e.student import Student

# A cluster of two nodes is made, and all images are loaded into both.
RECOVERY_S = 1500


def volume_handles(cluster: Cluster) -> dict[str, str]:
    """Return claim -> the disk in the storage, of all claims that are bound, but for what goes by itself."""
    volumes = {item["metadata"]["name"]: item for item in cluster.kube.list("v1", "PersistentVolume")}
    claims = [item for name in (HUB, STUDENTS) for item in cluster.kube.list("v1", "PersistentVolumeClaim", name)]
    return {
        item["metadata"]["name"]: volumes[item["spec"]["volumeName"]]["spec"]["csi"]["volumeHandle"]
        for item in claims
        if item["status"]["phase"] == "Bound" and not item["metadata"]["name"].startswith("scratch-")
    }


@pytest.mark.slow
def test_a_cluster_that_was_lost_is_rebuilt_for_the_same_students(
    home: Home,
    url: str,
    cluster: Cluster,
    snapshot: Module,
    restore: Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COURSEHUB_STATE_PASSPHRASE", "correct horse battery")
    states = {"coursehub_snapshots_state_folder": str(tmp_path)}
    name = home.student.name
    home.write(kept="first")
    taken = snapshot(name)["students"][0]["snapshot"]
    home.write(kept="second")
    # One who runs when it happens: the disk is attached to a node that will be gone.
    running = Student(url, "runs-when-it-happens").login().start()
    running.ask("PUT", "contents/kept.txt", {"type": "file", "format": "text", "content": "third"})
    teacher = Student(url, "teacher").login()
    assert teacher.get("/hub/home").status_code == 200
    assert teacher.ask_hub("POST", "users/never-logged-in").status_code == 201
    assert "Keep a copy of it on another machine" in play("coursehub.jupyterhub.backup", **states)
    (file,) = tmp_path.iterdir()
    assert name not in file.read_text(encoding="utf-8")
    before = volume_handles(cluster)
    identity = cluster.kube.get("v1", "Namespace", "kube-system")

    play("tests/e2e/playbooks/lose_cluster.yml")
    said = play("coursehub.jupyterhub.recover", RECOVERY_S, **states)

    assert name in said
    # The credentials of the old cluster are worth nothing here.
    fresh = Cluster(os.environ["COURSEHUB_KUBECONFIG"], os.environ["COURSEHUB_CONTEXT"])
    other = fresh.kube.get("v1", "Namespace", "kube-system")
    assert identity is not None
    assert other is not None
    assert other["metadata"]["uid"] != identity["metadata"]["uid"], "it is the same cluster: nothing was lost"
    assert volume_handles(fresh) == before
    # The hub's own disk and secrets: a login from before counts, and so does what an administrator did.
    assert teacher.get("/hub/home").status_code == 200
    assert teacher.ask_hub("GET", "users/never-logged-in").status_code == 200
    assert home.student.get("/hub/home").status_code == 200
    # The students' disks, on whichever node they come to be, and the one that was attached to a machine that is gone.
    again = Home(url, fresh, name)
    assert again.read() == {"kept": "second"}
    running = Student(url, running.name).login().start()
    assert running.ask("GET", "contents/kept.txt")["content"] == "third"
    running.stop()
    # Their snapshots.
    result = restore(name, snapshot=taken)
    assert (result["students"][0]["failed"], result["students"][0]["snapshot"]) == ("", taken)
    assert again.read() == {"kept": "first"}


def test_a_student_who_is_new_gets_a_disk_in_the_recovered_cluster(url: str) -> None:
    new = Student(url, "came-after-it").login().start()
    new.ask("PUT", "contents/new.txt", {"type": "file", "format": "text", "content": "new"})
    assert new.ask("GET", "contents/new.txt")["content"] == "new"
    new.stop()
