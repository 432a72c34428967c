"""What the schedule does with real servers, and by itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost, _manifests, _samples
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

from tests.e2e.autoscaler.conftest import within
from tests.e2e.cluster import HUB, STUDENTS, Cluster
from tests.e2e.playbook import module
from tests.e2e.student import Student

MIB = 1 << 20
# Every page of it is written, so that it is in use.
FILL = "held = bytearray(400 << 20); held[::4096] = b'x' * len(held[::4096]); print(len(held))"


def _container(cluster: Cluster) -> dict[str, Any]:
    (status,) = cluster.pod_of("alice")["status"]["containerStatuses"]
    return dict(status)


def _resize() -> dict[str, Any]:
    told = module(
        "server_resize",
        kubeconfig=os.environ["COURSEHUB_KUBECONFIG"],
        context=os.environ["COURSEHUB_CONTEXT"],
        namespace=STUDENTS,
        source="kubelet",
        floor="256Mi",
        ceiling="1Gi",
        cpu="50m",
        # Who computes nothing at this moment.
        idle_s=0,
    )
    assert not told.get("failed"), told
    return told


def _asks(cluster: Cluster) -> int:
    """Return the memory that the kubelet has reserved for the server, which is what it asked for last."""
    return int(parse_quantity(_container(cluster)["resources"]["requests"]["memory"]))


def test_a_running_server_asks_for_what_it_uses(cluster: Cluster, alice: Student) -> None:
    before = cluster.pod_of("alice")["metadata"]["uid"]
    begun = _container(cluster)
    asked = _asks(cluster)
    assert asked < 400 * MIB
    kernel = alice.kernel()
    try:
        assert kernel.printed(kernel.send(FILL), 60) == f"{400 * MIB}\n"

        # The kubelet looks every ten seconds or so.
        def grown() -> bool:
            _resize()
            return _asks(cluster) >= 400 * MIB

        assert within(grown, 90), cluster.pod_of("alice")["status"]
        # The same container, and what it holds.
        now = _container(cluster)
        assert (now["containerID"], now["restartCount"]) == (begun["containerID"], begun["restartCount"])
        assert kernel.printed(kernel.send("print(len(held))"), 30) == f"{400 * MIB}\n"
        assert cluster.pod_of("alice")["metadata"]["uid"] == before
        kernel.printed(kernel.send("del held"), 30)

        def shrunk() -> bool:
            _resize()
            return _asks(cluster) < 400 * MIB

        assert within(shrunk, 90), cluster.pod_of("alice")["status"]
        assert kernel.printed(kernel.send("print(6 * 7)"), 30) == "42\n"
    finally:
        kernel.close()
    assert _container(cluster)["restartCount"] == begun["restartCount"]


@pytest.mark.usefixtures("course")
@pytest.mark.parametrize(
    ("name", "sentence"), [("seats", "seats are to be warm, by buffer"), ("resize", "servers resized")]
)
def test_a_schedule_works_with_the_rights_that_it_has(cluster: Cluster, name: str, sentence: str) -> None:
    schedule = cluster.kube.get("batch/v1", "CronJob", name, HUB)
    assert schedule is not None
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-tests", "namespace": HUB},
        "spec": schedule["spec"]["jobTemplate"]["spec"],
    }
    cluster.kube.create(job)
    try:

        def ended(jobs: list[dict[str, Any]]) -> bool:
            conditions = [
                one["type"]
                for each in jobs
                if each["metadata"]["name"] == f"{name}-tests"
                for one in each.get("status", {}).get("conditions") or []
            ]
            return "Complete" in conditions or "Failed" in conditions

        cluster.wait("batch/v1", "Job", HUB, ended, 120)
        (pod,) = cluster.pods(HUB, f"job-name={name}-tests")
        said = cluster.log(pod["metadata"]["name"], HUB)
        assert sentence in said, said[-3000:]
    finally:
        cluster.delete("batch/v1", "Job", f"{name}-tests", HUB, propagationPolicy="Foreground")
    assert cluster.kube.get("v1", "ConfigMap", name, STUDENTS) is not None
    if name == "seats":
        kept = cluster.kube.list("v1", "ConfigMap", STUDENTS, labelSelector=_manifests.selector(_samples.PART))
        samples = [one for item in kept for one in _cost.parse_samples(_samples.lines(item))]
        assert max(one.at for one in samples) > datetime.now(UTC) - timedelta(minutes=5)
