"""The proxy's parts go away: a replica, its routes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import HUB, Cluster, says_ready
from tests.e2e.faults.load import Load
from tests.e2e.faults.waits import seconds_until
from tests.e2e.student import Student

PROXY, REDIS = "app.kubernetes.io/name=proxy", "app.kubernetes.io/name=proxy-redis"
COMPLETE = "jupyterhub/coursehub/complete"
REDIS_AWAY_S = 120


def ready(cluster: Cluster, selector: str) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in cluster.pods(HUB, selector)
        if "deletionTimestamp" not in pod["metadata"] and says_ready(pod)
    ]


def test_a_proxy_is_killed(load: Load, cluster: Cluster) -> None:
    replicas = ready(cluster, PROXY)
    assert len(replicas) >= 2
    with load.case("proxy_killed") as case:
        cluster.delete("v1", "Pod", replicas[0], HUB, gracePeriodSeconds=0)
        case.recovery_s = seconds_until(
            lambda: replicas[0] not in ready(cluster, PROXY) and len(ready(cluster, PROXY)) == len(replicas), 60
        )
    assert case.failed == 0, case
    # Whose connection went through the killed one noticed; those of the others are untouched.
    assert case.dropped < len(load.students), case
    assert case.retried <= len(load.students), case


# Asks each proxy which routes it has by now; what is in Redis may not have come there.
ROUTERS = """
import base64, json, pathlib, sys, urllib.request
word = base64.b64encode(b"hub:" + pathlib.Path("/secrets/api-password").read_bytes()).decode()
told = []
for address in sys.argv[1:]:
    url = f"http://{address}:8099/api/http/routers?per_page=1000"
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {word}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        told.append([one["name"] for one in json.load(answer) if one["status"] == "enabled"])
print(json.dumps(told))
"""


def routes(cluster: Cluster) -> list[set[str]]:
    """Return what each proxy has of students' routes, by its own word."""
    pods = [pod for pod in cluster.pods(HUB, PROXY) if "deletionTimestamp" not in pod["metadata"] and says_ready(pod)]
    (hub, *_more) = ready(cluster, "app.kubernetes.io/name=hub")
    addresses = [pod["status"]["podIP"] for pod in pods]
    said = cluster.run_python(hub, ROUTERS, *addresses, namespace=HUB)
    return [{name for name in names if "user" in name} for names in json.loads(said)]


def complete(cluster: Cluster, before: list[set[str]]) -> bool:
    """Tell whether every proxy has all that were there before."""
    after = routes(cluster)
    return len(after) == len(before) and all(set.union(*before) <= one for one in after)


@pytest.fixture(autouse=True)
def _all_can_still_start(url: str) -> Iterator[None]:
    """After each: a route that is new reaches the students too."""
    yield
    new = Student(url, f"new-{time.time_ns():x}").login().start()
    new.stop()


def test_redis_is_killed(load: Load, cluster: Cluster) -> None:
    before = routes(cluster)
    assert all(len(one) >= len(load.students) for one in before)
    (pod,) = ready(cluster, REDIS)
    with load.case("redis_killed") as case:
        cluster.delete("v1", "Pod", pod, HUB, gracePeriodSeconds=0)
        begun = time.monotonic()
        # A pod of its own, with nothing in it.
        seconds_until(lambda: ready(cluster, REDIS) not in ([], [pod]), 60)
        back = time.monotonic()
        seconds_until(lambda: complete(cluster, before), 30)
        case.recovery_s = time.monotonic() - begun
        again = time.monotonic() - back
    assert case.went_unnoticed(), case
    assert case.logins_failed == 0, case
    assert again <= 10, case


def test_redis_is_wiped(load: Load, cluster: Cluster) -> None:
    before = routes(cluster)
    (pod,) = ready(cluster, REDIS)
    with load.case("redis_wiped") as case:
        cluster.run_in(pod, HUB, "redis-cli", "FLUSHALL")
        case.recovery_s = seconds_until(lambda: marked(cluster, pod) and complete(cluster, before), 30)
    assert case.went_unnoticed(), case
    assert case.logins_failed == 0, case
    assert case.recovery_s <= 10, case


def test_redis_is_full(load: Load, cluster: Cluster) -> None:
    before = routes(cluster)
    (pod,) = ready(cluster, REDIS)
    with load.case("redis_full") as case:
        cluster.run_in(pod, HUB, "redis-cli", "CONFIG", "SET", "maxmemory", "1")
        cluster.run_in(pod, HUB, "redis-cli", "DEL", COMPLETE)
        time.sleep(10)
        cluster.run_in(pod, HUB, "redis-cli", "CONFIG", "SET", "maxmemory", "100mb")
        case.recovery_s = seconds_until(lambda: marked(cluster, pod) and complete(cluster, before), 30)
    assert case.went_unnoticed(), case
    assert case.logins_failed == 0, case


@pytest.mark.slow
def test_redis_is_away_for_two_minutes(load: Load, cluster: Cluster) -> None:
    before = routes(cluster)
    path = cluster.kube.path("apps/v1", "Deployment", HUB, "proxy-redis")
    with load.case("redis_away") as case:
        cluster.kube.merge(path, {"spec": {"replicas": 0}})
        try:
            seconds_until(lambda: not ready(cluster, REDIS), 60)
            time.sleep(REDIS_AWAY_S)
        finally:
            cluster.kube.merge(path, {"spec": {"replicas": 1}})
        seconds_until(lambda: ready(cluster, REDIS) != [], 60)
        back = time.monotonic()
        # A proxy asks Redis again after longer and longer pauses, of 90 s at the most.
        seconds_until(lambda: complete(cluster, before), 120)
        case.recovery_s = time.monotonic() - back
    assert case.went_unnoticed(), case
    assert case.logins_failed == 0, case


def marked(cluster: Cluster, pod: str) -> bool:
    """Tell whether the hub has said that Redis has all routes."""
    return cluster.run_in(pod, HUB, "redis-cli", "EXISTS", COMPLETE).strip() == "1"
