"""What the hub stands on goes away: the API server, room for the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity
from kubernetes.client import ApiException

from tests.e2e.cluster import HUB, Cluster, says_ready
from tests.e2e.faults.load import Load
from tests.e2e.faults.waits import API_AWAY_S, can_log_in, hub_answers, seconds_until
from tests.e2e.outages import without_api_server
from tests.e2e.student import Student

DATABASE = "app.kubernetes.io/name=hub-postgresql"
ASK = 'PGPASSWORD="$PASSWORD" PGCONNECT_TIMEOUT=5 psql --quiet --host=127.0.0.1 --username=hub postgres --command'
# Random, so that no file system makes it small. The table is there before: to make it takes room in other tables.
FILL = f"""
{ASK} "CREATE TABLE IF NOT EXISTS fills_it (number int)"
cat /dev/urandom >> /data/fills-it
sync
{ASK} "INSERT INTO fills_it SELECT generate_series(1, 100000)" && echo went in
"""
EMPTY = f'rm -f /data/fills-it && {ASK} "DROP TABLE IF EXISTS fills_it" && echo emptied'


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


def events(cluster: Cluster, reason: str) -> set[tuple[str, str]]:
    """Return the Events by which the hubs tell staff of their database, each with what it says."""
    found = cluster.kube.list("v1", "Event", HUB, labelSelector="app.kubernetes.io/name=hub")
    return {(event["metadata"]["name"], event["message"]) for event in found if event["reason"] == reason}


def fill(cluster: Cluster) -> bool:
    """Fill the disk of the database, then a table of it; tell whether the database refused.

    A checkpoint may make room again, so one calls it as long as the disk is to be full.
    """
    pods = [pod for pod in cluster.pods(HUB, DATABASE) if says_ready(pod)]
    if not pods:
        # Without room for its log PostgreSQL ends, and can't begin.
        return True
    try:
        said = cluster.run_in(pods[0]["metadata"]["name"], HUB, "sh", "-c", FILL)
    except ApiException:
        # It ended meanwhile.
        return True
    return "went in" not in said


@contextmanager
def full_database(cluster: Cluster) -> Iterator[None]:
    """Fill the disk of the database until it refuses to write; at the end it has grown by 2 GiB."""
    path = cluster.kube.path("v1", "PersistentVolumeClaim", HUB, "hub-postgresql")
    size = parse_quantity(cluster.kube.request("GET", path)["spec"]["resources"]["requests"]["storage"])
    try:
        deadline = time.monotonic() + 120
        while not fill(cluster):
            assert time.monotonic() < deadline, "the database takes everything"
        yield
    finally:
        cluster.kube.merge(path, {"spec": {"resources": {"requests": {"storage": str(int(size) + (2 << 30))}}}})


def test_the_databases_disk_is_full(load: Load, cluster: Cluster, url: str) -> None:
    warned = events(cluster, "DatabaseNotWritable")
    failed = False
    with load.case("database_full") as case:
        with full_database(cluster):
            # Three tries, ten seconds apart; it is kept full meanwhile.
            deadline = time.monotonic() + 120
            while not events(cluster, "DatabaseNotWritable") - warned:
                assert time.monotonic() < deadline, "staff were not told"
                fill(cluster)
                time.sleep(2)
            told = events(cluster, "DatabaseNotWritable") - warned
            # What goes into a page that has room is still written: logins go on until each page that they need is full.
            deadline = time.monotonic() + 90
            while not failed and time.monotonic() < deadline:
                fill(cluster)
                failed = not can_log_in(url)
            well = events(cluster, "DatabaseWritable")
        grown = time.monotonic()
        # Nobody does anything more. A database that ended is begun anew after a pause of the kubelet's, up to 160 s.
        seconds_until(lambda: can_log_in(url), 300)
        if failed:
            case.recovery_s = time.monotonic() - grown
        seconds_until(lambda: bool(events(cluster, "DatabaseWritable") - well), 90)
    print(f"a login failed while the disk was full: {failed}; of the visitors' {case.logins_failed} of {case.logins}")
    assert all("coursehub_hub_database_size" in text for _name, text in told), told
    seconds_until(lambda: all(map(says_ready, cluster.pods(HUB, DATABASE))), 60)
    (pod,) = cluster.pods(HUB, DATABASE)
    said = cluster.run_in(pod["metadata"]["name"], HUB, "sh", "-c", EMPTY)
    assert "emptied" in said, said
    assert case.went_unnoticed(), case
