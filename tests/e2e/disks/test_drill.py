"""Drills on the real storage: what is whole is proven, what is not is found."""

from __future__ import annotations

import json

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.conftest import Home, Module
from tests.e2e.disks.pods import nothing_left_over, pod_with


def test_a_drill(home: Home, cluster: Cluster, snapshot: Module, drill: Module) -> None:
    name = home.student.name
    home.write(kept="first", lost="precious")
    home.settle()
    taken = snapshot(name, skip_unchanged=True)["students"][0]["snapshot"]
    result = drill(name)
    (outcome,) = result["students"]
    assert (outcome["snapshot"], outcome["verdict"], outcome["failed"]) == (taken, "proven", ""), outcome
    assert outcome["compared"] == outcome["files"] >= 2
    nothing_left_over(cluster)
    kept = cluster.kube.get("v1", "ConfigMap", "disk-drill", STUDENTS)
    assert kept is not None
    assert (kept["data"]["proven"], kept["data"]["failed"]) == ("1", "0")
    assert json.loads(kept["data"]["result.json"])["students"][0]["student"] == name

    # While the server runs and files change: what was touched since is only read.
    home.student.start()
    home.student.ask("PUT", "contents/kept.txt", {"type": "file", "format": "text", "content": "second"})
    (running,) = drill(name)["students"]
    assert (running["verdict"], running["failed"]) in (("readable", ""), ("proven", "")), running
    home.stop()

    # A control: a disk that has no longer what its snapshot has, though nobody is said to have had it.
    home.settle()
    with pod_with(cluster, f"disk-{name}") as pod:
        cluster.run_python(pod, "open('/disk/lost.txt', 'w').write('damaged')")
    failed = drill(name)
    assert name in failed["msg"]
    assert failed["students"][0]["verdict"] == "failed"
    kept = cluster.kube.get("v1", "ConfigMap", "disk-drill", STUDENTS)
    assert kept is not None
    assert kept["data"]["failed"] == "1"
    nothing_left_over(cluster)
    # Other tests' drills draw from all students: let this one's newest snapshot be of what there is.
    snapshot(name)
