"""Students at work while things break."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest
import requests

from tests.e2e.cluster import HUB, Cluster
from tests.e2e.conftest import REPORTS
from tests.e2e.faults.balancer import Balancer
from tests.e2e.faults.load import Load
from tests.e2e.student import Student

STUDENTS = 6


@pytest.fixture(scope="session")
def url(cluster: Cluster) -> Iterator[str]:
    """The way that students take: a balancer before all nodes, as a cloud has it."""
    service = cluster.kube.get("v1", "Service", "proxy-public", HUB)
    assert service is not None
    port, health_port = service["spec"]["ports"][0]["nodePort"], service["spec"]["healthCheckNodePort"]
    nodes = [
        one["address"]
        for node in cluster.kube.list("v1", "Node")
        for one in node["status"]["addresses"]
        if one["type"] == "InternalIP"
    ]
    config = cluster.kube.get("v1", "ConfigMap", "hub", HUB)
    assert config is not None
    # The hub sends students there, so it must be before all nodes.
    address = str(json.loads(config["data"]["values.json"])["public_url"])
    balancer = Balancer(int(address.rpartition(":")[2]), nodes, port, health_port).start()
    yield address
    balancer.stop()
    print(f"\nconnections that the balancer closed: {dict(balancer.refused)}")


@pytest.fixture(scope="session")
def load(url: str) -> Iterator[Load]:
    students = [Student(url, f"at-work-{number}").login() for number in range(STUDENTS)]
    # Three at a time: the machine is small.
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda student: student.start(240), students))
    working = Load(students).start()
    yield working
    working.stop()
    REPORTS.mkdir(parents=True, exist_ok=True)
    report = {one.name: asdict(one) for one in working.outcomes}
    (REPORTS / "faults.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    for one in working.outcomes:
        print(one)
    for student in students:
        student.stop()


def start_again(student: Student, deadline: float) -> None:
    """Do what a student does whose server is gone: open the page again until it comes."""
    while True:
        try:
            if not student.session.cookies:
                student.login()
            student.start(30)
        except (requests.RequestException, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def hub_answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/hub/health", timeout=3).status_code == 200
    except requests.RequestException:
        return False


def seconds_until(condition: Callable[[], bool], seconds: float, interval: float = 0.2) -> float:
    """Wait until it holds; return how long that took. Fails after so many seconds."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"not in {seconds} s"
        time.sleep(interval)
    return time.monotonic() - begun


def active_hubs(cluster: Cluster) -> list[str]:
    """Return the pods to which the Service hub goes, by the label of the one that works."""
    pods = cluster.pods(HUB, "app.kubernetes.io/name=hub,coursehub.jupyterhub/hub=active")
    return [pod["metadata"]["name"] for pod in pods]


def in_office_since(cluster: Cluster) -> str:
    """Return since when the hub that works does, as its Lease says."""
    lease = cluster.kube.get("coordination.k8s.io/v1", "Lease", "hub", HUB)
    assert lease is not None
    return str(lease["spec"]["acquireTime"])
