"""Students apart from one another, and their disks."""

from __future__ import annotations

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.student import Student

READ = "import pathlib; print(sorted(p.name for p in pathlib.Path.home().glob('*.txt')))"


def _disk(cluster: Cluster, student: str) -> dict[str, object]:
    claim = cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{student}", STUDENTS)
    assert claim is not None
    return claim


def test_each_student_has_a_disk_of_their_own(cluster: Cluster, alice: Student, bob: Student) -> None:
    alice.ask("PUT", "contents/alice-only.txt", {"type": "file", "format": "text", "content": "mine"})
    volumes = {_disk(cluster, name)["spec"]["volumeName"] for name in ("alice", "bob")}  # type: ignore[index]
    assert len(volumes) == 2
    assert "alice-only.txt" in cluster.run_python("jupyter-alice", READ)
    assert "alice-only.txt" not in cluster.run_python("jupyter-bob", READ)


def test_a_student_cannot_open_another_ones_server(alice: Student, bob: Student) -> None:
    assert alice.get("/user/alice/api/contents").status_code == 200
    answer = bob.get("/user/alice/api/contents")
    assert answer.status_code == 403, answer.text
    assert "alice-only" not in answer.text


def test_a_server_runs_with_no_rights(cluster: Cluster, alice: Student) -> None:
    found = cluster.run_python(
        "jupyter-alice",
        "import os, pathlib\n"
        "print(os.getuid(), pathlib.Path('/var/run/secrets/kubernetes.io').exists())\n"
        "print([line for line in open('/proc/self/status') if line.startswith(('CapEff', 'NoNewPrivs'))])",
    )
    assert found.startswith("1000 False"), found
    assert "CapEff:\\t0000000000000000" in found
    assert "NoNewPrivs:\\t1" in found


def test_the_namespace_refuses_a_privileged_pod(cluster: Cluster, alice: Student) -> None:
    image = cluster.pod_of("alice")["spec"]["containers"][0]["image"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged", "namespace": STUDENTS},
        "spec": {"containers": [{"name": "c", "image": image, "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(CoursehubError, match="PodSecurity"):
        cluster.apply(pod)


def test_a_disk_is_limited_to_its_size(cluster: Cluster, bob: Student) -> None:
    found = cluster.run_python(
        "jupyter-bob",
        "import os, pathlib\n"
        "target = pathlib.Path.home() / 'large'\n"
        "try:\n"
        "    with target.open('wb') as file:\n"
        "        for _ in range(1200):\n"
        "            file.write(os.urandom(1 << 20))\n"
        "except OSError as error:\n"
        "    print('refused', error.errno, target.stat().st_size >> 20)\n"
        "finally:\n"
        "    target.unlink()\n",
    )
    # EDQUOT, at about the 1 GiB that the disk has.
    words = found.split()
    assert words[:2] == ["refused", "122"], found
    assert 900 < int(words[2]) <= 1024, found


def test_a_disk_follows_its_student_to_another_node(cluster: Cluster, url: str) -> None:
    student = Student(url, "traveller").login().start()
    student.ask("PUT", "contents/luggage.txt", {"type": "file", "format": "text", "content": "packed"})
    first = cluster.pod_of("traveller")["spec"]["nodeName"]
    student.stop()
    cluster.wait(
        "v1", "Pod", STUDENTS, lambda pods: all(p["metadata"]["name"] != "jupyter-traveller" for p in pods), 90
    )
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": first}, "spec": {"unschedulable": True}}
    cluster.apply(node)
    try:
        student.start()
        assert cluster.pod_of("traveller")["spec"]["nodeName"] != first
        assert student.ask("GET", "contents/luggage.txt")["content"] == "packed"
    finally:
        cluster.apply({**node, "spec": {"unschedulable": False}})
    volume = _disk(cluster, "traveller")["spec"]["volumeName"]  # type: ignore[index]
    attached = cluster.wait(
        "storage.k8s.io/v1",
        "VolumeAttachment",
        None,
        lambda items: sum(a["spec"]["source"].get("persistentVolumeName") == volume for a in items) == 1,
        60,
    )
    holder = next(a for a in attached if a["spec"]["source"].get("persistentVolumeName") == volume)
    assert holder["spec"]["nodeName"] != first
