"""What the hub stands on goes away: the API server, room for the database."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.cluster import HUB, Cluster, says_ready
from tests.e2e.faults.load import Load
from tests.e2e.faults.waits import API_AWAY_S, can_log_in, hub_answers, seconds_until
from tests.e2e.outages import without_api_server
from tests.e2e.student import Student

DATABASE = "app.kubernetes.io/name=hub-postgresql"


@pytest.mark.slow
def test_the_api_server_is_away_for_three_minutes(load: Load, cluster: Cluster, url: str) -> None:
    new = Student(url, "came-while-it-was-away").login()
    with load.case("api_away") as case, ThreadPoolExecutor(1) as pool:
        with without_api_server(cluster, API_AWAY_S):
            time.sleep(20)
            # Asked for while nobody can start anything.
            asked = pool.submit(new.start, 400)
            begun = time.monotonic()
            seconds_until(lambda: hub_answers(url), 5)
        back = time.monotonic()
        asked.result()
        case.recovery_s = time.monotonic() - back
        assert back - begun > 60, "the API server was not away for long"
    assert case.went_unnoticed(), case
    assert case.logins_failed == 0, case
    assert new.ask("GET", "contents/")["type"] == "directory"
    new.stop()


def test_the_databases_disk_is_full(load: Load, cluster: Cluster, url: str) -> None:
    (pod,) = cluster.pods(HUB, DATABASE)
    name = pod["metadata"]["name"]
    claim = cluster.kube.get("v1", "PersistentVolumeClaim", "hub-postgresql", HUB)
    assert claim is not None
    path = cluster.kube.path("v1", "PersistentVolumeClaim", HUB, "hub-postgresql")
    with load.case("database_full") as case:
        cluster.run_in(name, HUB, "sh", "-c", "cat /dev/zero > /data/fills-it; sync /data")
        # Logins write. They go on until there is no room for what they write.
        failed = 0
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                Student(url, f"while-full-{time.time_ns():x}").login()
            except Exception:
                failed += 1
            time.sleep(1)
        before = time.monotonic()
        cluster.kube.merge(path, {"spec": {"resources": {"requests": {"storage": "3Gi"}}}})
        seconds_until(lambda: can_log_in(url), 180)
        case.recovery_s = time.monotonic() - before
    print(f"{failed} logins failed while the disk was full")
    assert case.went_unnoticed(), case
    seconds_until(lambda: all(map(says_ready, cluster.pods(HUB, DATABASE))), 60)
    (pod,) = cluster.pods(HUB, DATABASE)
    cluster.run_in(pod["metadata"]["name"], HUB, "rm", "/data/fills-it")
