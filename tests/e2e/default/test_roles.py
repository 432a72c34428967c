"""The roles taken away under running servers, and put back."""

from __future__ import annotations

import requests

from tests.e2e.cluster import HUB, STUDENTS, Cluster
from tests.e2e.playbook import play
from tests.e2e.student import Student


def _uids(cluster: Cluster, kind: str, namespace: str | None) -> dict[str, str]:
    items = cluster.kube.list("v1", kind, namespace)
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


def test_the_configuration_holds_nothing_that_the_hub_does_not_know(cluster: Cluster) -> None:
    (hub,) = cluster.pods(HUB, "app.kubernetes.io/name=hub")
    log = cluster.log(hub["metadata"]["name"], HUB)
    # A control: the log goes back to the start, where the configuration is read.
    assert "Running JupyterHub version" in log
    assert [line for line in log.splitlines() if "not recognized" in line] == []
    # What it runs beside itself was started, and did not end.
    assert "-m coursehub_hub.culler" in log
    assert "Service culler exited" not in log


def test_the_students_image_is_on_every_node(cluster: Cluster) -> None:
    daemon = cluster.kube.get("apps/v1", "DaemonSet", "image-puller", HUB)
    assert daemon is not None
    assert daemon["status"]["numberAvailable"] == daemon["status"]["desiredNumberScheduled"] > 0


def test_the_whole_hub_is_removed_under_a_running_server_and_put_back(
    cluster: Cluster, alice: Student, url: str
) -> None:
    alice.ask("PUT", "contents/before.txt", {"type": "file", "format": "text", "content": "kept"})
    disks, volumes = _uids(cluster, "PersistentVolumeClaim", None), _uids(cluster, "PersistentVolume", None)
    server = cluster.pod_of("alice")["metadata"]["uid"]

    play("tests/e2e/playbooks/remove.yml")
    assert cluster.kube.list("apps/v1", "Deployment", HUB) == []
    assert cluster.kube.get("storage.k8s.io/v1", "StorageClass", "coursehub-disk") is None
    # The students' servers run on, behind the policies that keep them in.
    assert cluster.pod_of("alice")["metadata"]["uid"] == server
    assert cluster.kube.list("networking.k8s.io/v1", "NetworkPolicy", STUDENTS) != []
    assert (_uids(cluster, "PersistentVolumeClaim", None), _uids(cluster, "PersistentVolume", None)) == (disks, volumes)

    play("coursehub.jupyterhub.site")
    assert requests.get(f"{url}/hub/health", timeout=10).status_code == 200
    # The same server, by the same login: the hub's database, its secrets and the proxy's were kept.
    assert cluster.pod_of("alice")["metadata"]["uid"] == server
    assert alice.ask("GET", "contents/before.txt")["content"] == "kept"
