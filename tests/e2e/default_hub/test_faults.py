"""The same is broken as in ``tests/e2e/faults``. Nothing is judged here: what students notice is written down.

A case without recovery was watched for ``PATIENCE_S``.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from tests.e2e.cluster import STORAGE, Cluster, says_ready
from tests.e2e.default_hub.conftest import NAMESPACE
from tests.e2e.faults.load import Load
from tests.e2e.faults.nodes import CONTROL_PLANE, STORAGE_CONTROLLER, move_away_from, node_of, students_on
from tests.e2e.faults.waits import API_AWAY_S, AWAY_S, can_log_in, hub_answers, start_again, works
from tests.e2e.outages import stopped, without_api_server
from tests.e2e.playbook import ROOT, play
from tests.e2e.student import Student

HUB, PROXY = "component=hub", "component=proxy"
PLAYBOOK = str(ROOT / "bench/playbooks/default_hub.yml")
# Kubernetes gives up a silent node's pods after 340 s, and its disks after 360 more.
PATIENCE_S = float(os.environ.get("COURSEHUB_BENCH_PATIENCE_S") or 800)
# A proxy that was moved has no routes until the hub looks, which it does each five minutes.
ROUTES_S = 420
KILL = """
import os, pathlib, signal
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    words = (folder / "cmdline").read_bytes().split(b"\\0")
    if any(word.endswith(b"/jupyterhub") for word in words[:3]) and b"tini" not in words[0]:
        os.kill(int(folder.name), signal.SIGKILL)
"""


def seconds_to(condition: Callable[[], bool], seconds: float = 0.0) -> float | None:
    """Wait until it holds, return how long that took; None where it was in vain."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > (seconds or PATIENCE_S):
            return None
        time.sleep(0.2)
    return time.monotonic() - begun


def all_work(load: Load, but: Collection[str] = ()) -> Callable[[], bool]:
    """Return whether every student's server answers."""
    return lambda: all(works(student) for student in load.students if student.name not in but)


def the_pod(cluster: Cluster, selector: str) -> str:
    (pod,) = [pod for pod in cluster.pods(NAMESPACE, selector) if "deletionTimestamp" not in pod["metadata"]]
    return str(pod["metadata"]["name"])


def test_the_hub_is_killed(load: Load, cluster: Cluster, url: str) -> None:
    with load.case("hub_killed") as case:
        cluster.run_python(the_pod(cluster, HUB), KILL, namespace=NAMESPACE)
        assert seconds_to(lambda: not hub_answers(url), 10) is not None, "the hub was not killed"
        case.recovery_s = seconds_to(lambda: hub_answers(url))


@contextmanager
def without_hub(cluster: Cluster) -> Iterator[None]:
    path = cluster.kube.path("apps/v1", "Deployment", NAMESPACE, "hub")
    cluster.kube.merge(path, {"spec": {"replicas": 0}})
    try:
        yield
    finally:
        cluster.kube.merge(path, {"spec": {"replicas": 1}})


def test_the_hub_is_away_for_long(load: Load, cluster: Cluster, url: str) -> None:
    with load.case("hub_away") as case:
        with without_hub(cluster):
            time.sleep(AWAY_S)
            assert not hub_answers(url)
        case.recovery_s = seconds_to(lambda: hub_answers(url))


def test_the_proxy_is_killed(load: Load, cluster: Cluster) -> None:
    with load.case("proxy_killed") as case:
        begun = time.monotonic()
        cluster.delete("v1", "Pod", the_pod(cluster, PROXY), NAMESPACE, gracePeriodSeconds=0)
        assert seconds_to(lambda: not all_work(load)(), 10) is not None, "the proxy was not killed"
        seconds_to(all_work(load))
        case.recovery_s = time.monotonic() - begun if all_work(load)() else None


def apart(cluster: Cluster, selector: str, other: str) -> str:
    """Bring a pod onto a node that can be stopped, and the other one, and the storage's, away from there."""
    move_away_from(cluster, CONTROL_PLANE, NAMESPACE, selector)
    node = node_of(cluster, NAMESPACE, the_pod(cluster, selector))
    move_away_from(cluster, node, NAMESPACE, other)
    move_away_from(cluster, node, STORAGE, STORAGE_CONTROLLER)
    return node


def test_the_hubs_node_stops(load: Load, cluster: Cluster, url: str) -> None:
    node = apart(cluster, HUB, PROXY)
    there = students_on(cluster, node, NAMESPACE)
    assert seconds_to(all_work(load), ROUTES_S) is not None
    with load.case("hub_node_stopped", ignoring=there) as case, stopped(node):
        assert seconds_to(lambda: not hub_answers(url), 10) is not None
        case.recovery_s = seconds_to(lambda: hub_answers(url))


def test_the_proxys_node_stops(load: Load, cluster: Cluster) -> None:
    node = apart(cluster, PROXY, HUB)
    there = students_on(cluster, node, NAMESPACE)
    assert seconds_to(all_work(load), ROUTES_S) is not None
    with load.case("proxy_node_stopped", ignoring=there) as case, stopped(node):
        time.sleep(2)
        case.recovery_s = seconds_to(all_work(load, there))


def test_a_students_node_stops(load: Load, cluster: Cluster) -> None:
    nodes = [node_of(cluster, NAMESPACE, f"jupyter-{student.name}") for student in load.students]
    node = next(one for one in sorted(set(nodes)) if one != CONTROL_PLANE)
    move_away_from(cluster, node, NAMESPACE, HUB, PROXY)
    move_away_from(cluster, node, STORAGE, STORAGE_CONTROLLER)
    there = students_on(cluster, node, NAMESPACE)
    assert seconds_to(all_work(load), ROUTES_S) is not None
    with load.case("student_node_stopped", ignoring=there) as case, stopped(node):
        begun = time.monotonic()
        case.recovery_s = None
        with ThreadPoolExecutor(len(there)) as pool:
            asked = [
                pool.submit(start_again, student, begun + PATIENCE_S)
                for student in load.students
                if student.name in there
            ]
        if not any(one.exception() for one in asked):
            case.recovery_s = time.monotonic() - begun


def test_the_api_server_is_away_for_three_minutes(load: Load, cluster: Cluster, url: str) -> None:
    new = Student(url, "came-while-it-was-away").login()
    with load.case("api_away") as case, ThreadPoolExecutor(1) as pool:
        with without_api_server(cluster, API_AWAY_S):
            time.sleep(20)
            asked = pool.submit(new.start, 400)
        back = time.monotonic()
        # Asked for while nobody could start anything: it counts that it was refused.
        case.recovery_s = None if asked.exception() else time.monotonic() - back
    if case.recovery_s is not None:
        new.stop()


def test_the_databases_disk_is_full(load: Load, cluster: Cluster, url: str) -> None:
    path = cluster.kube.path("v1", "PersistentVolumeClaim", NAMESPACE, "hub-db-dir")
    with load.case("database_full") as case:
        cluster.run_in(the_pod(cluster, HUB), NAMESPACE, "sh", "-c", "cat /dev/zero > /srv/hub/fills-it; sync /srv/hub")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            can_log_in(url)
            time.sleep(1)
        before = time.monotonic()
        cluster.kube.merge(path, {"spec": {"resources": {"requests": {"storage": "3Gi"}}}})
        seconds_to(lambda: can_log_in(url))
        case.recovery_s = time.monotonic() - before if can_log_in(url) else None
    cluster.run_in(the_pod(cluster, HUB), NAMESPACE, "rm", "/srv/hub/fills-it")
    if not can_log_in(url):
        cluster.delete("v1", "Pod", the_pod(cluster, HUB), NAMESPACE)


def test_every_part_is_upgraded(load: Load, cluster: Cluster, url: str) -> None:
    with load.case("upgrade") as case:
        begun = time.monotonic()
        play(PLAYBOOK, **variables(cluster), default_hub_memory="520Mi")
        seconds_to(lambda: hub_answers(url) and all_work(load)())
        case.recovery_s = time.monotonic() - begun


def test_an_image_that_can_not_start(load: Load, cluster: Cluster, url: str) -> None:
    good = variables(cluster)
    with load.case("bad_image") as case:
        play(PLAYBOOK, **good, default_hub_singleuser=good["default_hub_image"])
        new = Student(url, "came-with-the-bad-image").login()
        try:
            new.start(120)
            case.recovery_s = 0.0
        except (AssertionError, requests.RequestException):
            case.recovery_s = None
        play(PLAYBOOK, **good)
    assert seconds_to(lambda: all(map(says_ready, cluster.pods(NAMESPACE, HUB))), 120) is not None


def variables(cluster: Cluster) -> dict[str, str]:
    """Return what the playbook was told when the hub was stood up."""
    hub = cluster.kube.get("apps/v1", "Deployment", "hub", NAMESPACE)
    secret = cluster.kube.get("v1", "Secret", "hub", NAMESPACE)
    assert hub is not None
    assert secret is not None
    container = hub["spec"]["template"]["spec"]["containers"][0]
    return {
        "default_hub_image": container["image"],
        "singleuser_image": next(one["value"] for one in container["env"] if one["name"] == "SINGLEUSER_IMAGE"),
        "default_hub_token": base64.b64decode(secret["data"]["token"]).decode(),
    }
