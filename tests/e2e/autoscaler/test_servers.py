"""What the schedule does with real servers, and by itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost, _manifests, _samples
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

from tests.e2e.autoscaler.conftest import within
from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.playbook import module
from tests.e2e.schedules import run_now
from tests.e2e.student import Student

# More than a server asks for when it starts. Every page of it is written, so that it is in use.
HELD = 700 << 20
FILL = f"held = bytearray({HELD}); held[::4096] = b'x' * len(held[::4096]); print(len(held))"


def _container(cluster: Cluster) -> dict[str, Any]:
    (status,) = cluster.pod_of("alice")["status"]["containerStatuses"]
    return dict(status)


def _resize(source: str) -> dict[str, Any]:
    told = module(
        "server_resize",
        kubeconfig=os.environ["COURSEHUB_KUBECONFIG"],
        context=os.environ["COURSEHUB_CONTEXT"],
        namespace=STUDENTS,
        source=source,
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


@pytest.mark.parametrize("source", ["metrics", "kubelet"])
def test_a_running_server_asks_for_what_it_uses(cluster: Cluster, alice: Student, source: str) -> None:
    before = cluster.pod_of("alice")["metadata"]["uid"]
    begun = _container(cluster)
    asked = _asks(cluster)
    assert asked < HELD
    kernel = alice.kernel()
    try:
        assert kernel.printed(kernel.send(FILL), 60) == f"{HELD}\n"

        # The kubelet looks every ten seconds or so, and metrics-server asks it every 15.
        def grown() -> bool:
            _resize(source)
            return _asks(cluster) >= HELD

        assert within(grown, 90), cluster.pod_of("alice")["status"]
        # The same container, and what it holds.
        now = _container(cluster)
        assert (now["containerID"], now["restartCount"]) == (begun["containerID"], begun["restartCount"])
        assert kernel.printed(kernel.send("print(len(held))"), 30) == f"{HELD}\n"
        assert cluster.pod_of("alice")["metadata"]["uid"] == before
        kernel.printed(kernel.send("del held"), 30)

        def shrunk() -> bool:
            _resize(source)
            return _asks(cluster) < HELD

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
    _pod, said = run_now(cluster, name, 120)
    assert sentence in said, said[-3000:]
    assert cluster.kube.get("v1", "ConfigMap", name, STUDENTS) is not None
    if name == "seats":
        kept = cluster.kube.list("v1", "ConfigMap", STUDENTS, labelSelector=_manifests.selector(_samples.PART))
        samples = [one for item in kept for one in _cost.parse_samples(_samples.lines(item))]
        assert max(one.at for one in samples) > datetime.now(UTC) - timedelta(minutes=5)
