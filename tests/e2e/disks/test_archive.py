"""The end of term: disks made ahead, archived, read back, removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._worker import WORKER_LABEL

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.conftest import Home, Module
from tests.e2e.disks.pods import nothing_left_over, pod_with

LOOK = """
import json, pathlib, subprocess
folder = pathlib.Path('/disk/2026')
for path in sorted(folder.glob('*.json')):
    told = json.loads(path.read_text())
    print(told['student'], told['files'])
for path in sorted(folder.glob('*.tar.zst')):
    listed = subprocess.run(['tar', '--zstd', '-tf', str(path)], capture_output=True, text=True, check=True).stdout
    print(sorted(line.removeprefix('./') for line in listed.split() if line.endswith('.txt')))
"""


def _claim(name: str, size: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": STUDENTS},
        "spec": {
            "storageClassName": "coursehub-disk",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        },
    }


@pytest.fixture
def targets(cluster: Cluster) -> Iterator[None]:
    """A disk for archives, and one that is too small for any."""
    sizes = {"archive": "1Gi", "small-archive": "4Mi"}
    for name, size in sizes.items():
        cluster.apply(_claim(name, size))
    yield
    for name in sizes:
        cluster.delete("v1", "PersistentVolumeClaim", name, STUDENTS)

    # A claim that is still being deleted takes an apply, and then goes: the next test's pod waited for it in vain.
    def gone(claims: list[dict[str, Any]]) -> bool:
        return all(claim["metadata"]["name"] not in sizes for claim in claims)

    cluster.wait("v1", "PersistentVolumeClaim", STUDENTS, gone, 60)


def test_archived_read_back_and_removed(
    home: Home, cluster: Cluster, disk: Module, snapshot: Module, targets: None
) -> None:
    name = home.student.name
    home.write(work="precious", more="notes")
    snapshot(name)
    claim = cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{name}", STUDENTS)
    assert claim is not None
    volume = claim["spec"]["volumeName"]

    refused = disk(name, state="absent")
    assert f"{name}: the disk disk-{name} has no archive" in refused["msg"]
    home.student.start()
    assert "has the disk, stop the server first" in disk(name, state="archived", target=_in("archive"))["msg"]
    home.run("import os, pathlib; (pathlib.Path.home() / 'large').write_bytes(os.urandom(16 << 20))")
    home.stop()
    full = disk(name, state="archived", target=_in("small-archive"))
    assert f"{name}: " in full["msg"], full["msg"]
    assert "full" in full["msg"] or "room" in full["msg"], full["msg"]

    result = disk(name, state="archived", target=_in("archive"))
    assert result["students"][0]["done"] == ["archived"], result
    assert not disk(name, state="archived", target=_in("archive"))["changed"]
    nothing_left_over(cluster)
    with pod_with(cluster, "archive") as pod:
        found = cluster.run_python(pod, LOOK)
    assert found.splitlines()[-1] == "['more.txt', 'work.txt']", found

    # Used once more: the archive lacks something now.
    home.write(work="changed")
    assert "an archive that is out of date" in disk(name, state="absent")["msg"]
    disk(name, state="archived", target=_in("archive"))
    assert disk(name, state="absent")["students"][0]["done"] == ["removed"]
    assert cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{name}", STUDENTS) is None

    def gone(volumes: list[dict[str, Any]]) -> bool:
        return all(one["metadata"]["name"] != volume for one in volumes)

    cluster.wait("v1", "PersistentVolume", None, gone, 60)
    assert not disk(name, state="absent")["changed"]
    nothing_left_over(cluster)
    # The student comes back to an empty home.
    assert home.read() == {}


def _in(claim: str) -> dict[str, str]:
    return {"claim": claim, "path": "2026"}


@pytest.fixture
def bucket(cluster: Cluster, targets: None) -> Iterator[str]:
    """A WebDAV server, as an institution's storage has one, with the Secret of the way to it; give its pod's name."""
    login = ("course", "only-for-this-test")
    serve = ("serve", "webdav", "/disk", "--addr=:8080", f"--user={login[0]}", f"--pass={login[1]}")
    with pod_with(cluster, "archive", "rclone", *serve) as pod:
        (found,) = cluster.pods(STUDENTS, f"tests={pod}")
        obscured = cluster.run_in(pod, STUDENTS, "rclone", "obscure", login[1]).strip()
        settings = (
            f"[bucket]\ntype = webdav\nurl = http://{found['status']['podIP']}:8080\n"
            f"vendor = other\nuser = {login[0]}\npass = {obscured}\n"
        )
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "archive-bucket", "namespace": STUDENTS},
                "stringData": {"rclone.conf": settings},
            }
        )
        for policy in _way(pod):
            cluster.apply(policy)
        yield pod
        for policy in _way(pod):
            cluster.delete("networking.k8s.io/v1", "NetworkPolicy", policy["metadata"]["name"], STUDENTS)
        cluster.delete("v1", "Secret", "archive-bucket", STUDENTS)


def _way(pod: str) -> list[dict[str, Any]]:
    """Return the policies that let workers reach a pod: what the role allows is what lies outside the cluster."""
    workers = {"matchExpressions": [{"key": WORKER_LABEL, "operator": "Exists"}]}
    server = {"matchLabels": {"tests": pod}}
    ports = [{"port": 8080}]
    rules: dict[str, dict[str, Any]] = {
        "to-bucket": {
            "podSelector": workers,
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"podSelector": server}], "ports": ports}],
        },
        "bucket": {
            "podSelector": server,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": workers}], "ports": ports}],
        },
    }
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": STUDENTS},
            "spec": rule,
        }
        for name, rule in rules.items()
    ]


def test_archived_in_a_bucket(home: Home, cluster: Cluster, disk: Module, bucket: str) -> None:
    name = home.student.name
    home.write(work="precious")
    target = {"path": "bucket:2026", "secret": "archive-bucket"}

    wrong = disk(name, state="archived", target={**target, "path": "other:2026"})
    assert f"{name}: " in wrong["msg"], wrong["msg"]
    assert "other" in wrong["msg"], wrong["msg"]
    assert "has no archive" in disk(name, state="absent")["msg"]

    result = disk(name, state="archived", target=target)
    assert result["students"][0]["done"] == ["archived"], result
    assert not disk(name, state="archived", target=target)["changed"]
    found = cluster.run_python(bucket, LOOK)
    assert found.splitlines()[-1] == "['work.txt']", found
    assert disk(name, state="absent")["students"][0]["done"] == ["removed"]
    nothing_left_over(cluster)


def test_a_disk_that_was_made_ahead_is_the_students(home: Home, cluster: Cluster, disk: Module) -> None:
    name = home.student.name
    made = disk(name, size="64Mi", storage_class="coursehub-disk", labels={"course": "data-8"})
    assert made["students"][0]["done"] == ["made"]
    before = cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{name}", STUDENTS)
    assert before is not None
    assert before["status"]["phase"] == "Bound"
    assert disk(name, size="128Mi")["students"][0]["done"] == ["grown"]
    home.write(work="on my disk")
    after = cluster.kube.get("v1", "PersistentVolumeClaim", f"disk-{name}", STUDENTS)
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["capacity"]["storage"] == "128Mi"
    assert "can't shrink" in disk(name, size="64Mi")["msg"]
