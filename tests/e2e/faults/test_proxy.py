"""The proxy's parts go away: a replica, its routes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import HUB, Cluster, says_ready
from tests.e2e.faults.load import Load
from tests.e2e.faults.waits import seconds_until
from tests.e2e.student import Student

REDIS = "app.kubernetes.io/name=proxy-redis"


def ready(cluster: Cluster, selector: str) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in cluster.pods(HUB, selector)
        if "deletionTimestamp" not in pod["metadata"] and says_ready(pod)
    ]


def test_a_proxy_is_killed(load: Load, cluster: Cluster) -> None:
    selector = "app.kubernetes.io/name=proxy"
    replicas = ready(cluster, selector)
    assert len(replicas) >= 2
    with load.case("proxy_killed") as case:
        cluster.delete("v1", "Pod", replicas[0], HUB, gracePeriodSeconds=0)
        case.recovery_s = seconds_until(
            lambda: replicas[0] not in ready(cluster, selector) and len(ready(cluster, selector)) == len(replicas), 60
        )
    assert case.failed == 0, case
    # Those of the other replica are untouched.
    assert case.dropped < len(load.students), case


def routes(cluster: Cluster) -> list[str]:
    """Return the routes that are in Redis, those of students."""
    (pod,) = ready(cluster, REDIS)
    said = cluster.run_in(pod, HUB, "redis-cli", "--scan", "--pattern", "jupyterhub/routes/*user*/target")
    return said.split()


@pytest.fixture(autouse=True)
def _all_can_still_start(url: str) -> Iterator[None]:
    """After each: a route that is new reaches the students too."""
    yield
    new = Student(url, f"new-{time.time_ns():x}").login().start()
    new.stop()


def test_redis_is_killed(load: Load, cluster: Cluster) -> None:
    before = routes(cluster)
    assert len(before) >= len(load.students)
    (pod,) = ready(cluster, REDIS)
    with load.case("redis_killed") as case:
        cluster.delete("v1", "Pod", pod, HUB, gracePeriodSeconds=0)
        begun = time.monotonic()
        # A pod of its own, with nothing in it.
        seconds_until(lambda: ready(cluster, REDIS) not in ([], [pod]), 60)
        back = time.monotonic()
        seconds_until(lambda: set(before) <= set(routes(cluster)), 30)
        case.recovery_s = time.monotonic() - begun
        complete = time.monotonic() - back
    assert case.failed == 0, case
    assert case.dropped == 0, case
    assert complete <= 10, case


def test_redis_is_wiped(load: Load, cluster: Cluster) -> None:
    before = routes(cluster)
    (pod,) = ready(cluster, REDIS)
    with load.case("redis_wiped") as case:
        cluster.run_in(pod, HUB, "redis-cli", "FLUSHALL")
        case.recovery_s = seconds_until(lambda: set(before) <= set(routes(cluster)), 30)
    assert case.failed == 0, case
    assert case.dropped == 0, case
    assert case.recovery_s <= 10, case


def test_redis_is_full(load: Load, cluster: Cluster) -> None:
    (pod,) = ready(cluster, REDIS)
    with load.case("redis_full") as case:
        cluster.run_in(pod, HUB, "redis-cli", "CONFIG", "SET", "maxmemory", "1")
        cluster.run_in(pod, HUB, "redis-cli", "DEL", "jupyterhub/coursehub/complete")
        time.sleep(10)
        cluster.run_in(pod, HUB, "redis-cli", "CONFIG", "SET", "maxmemory", "100mb")
        case.recovery_s = seconds_until(
            lambda: cluster.run_in(pod, HUB, "redis-cli", "EXISTS", "jupyterhub/coursehub/complete").strip() == "1", 30
        )
    assert case.failed == 0, case
    assert case.dropped == 0, case
