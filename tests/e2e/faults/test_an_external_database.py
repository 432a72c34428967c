"""A database outside: an address is all that the hub knows of it. Runs before students are at work."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import HUB, Cluster, Object, says_ready
from tests.e2e.faults.conftest import SCENARIO, active_hubs, in_office_since
from tests.e2e.faults.waits import hub_answers, seconds_until
from tests.e2e.playbook import play
from tests.e2e.student import Student

OUTSIDE = "outside"
PASSWORD = "of-the-test"
SITE = "coursehub.jupyterhub.site"
# As a provider gives it: an owner of one database, who may do nothing else.
PREPARE = f"""
set -e
echo 'host course course all scram-sha-256' >> $PGDATA/pg_hba.conf
psql --host=127.0.0.1 --username=hub postgres --command="CREATE ROLE course LOGIN PASSWORD '{PASSWORD}'"
psql --host=127.0.0.1 --username=hub postgres --command="CREATE DATABASE course OWNER course"
psql --host=127.0.0.1 --username=hub postgres --command="SELECT pg_reload_conf()"
"""


def objects(image: str) -> list[Object]:
    labels = {"app": "postgresql"}
    metadata = {"name": "postgresql", "namespace": OUTSIDE}
    variables = {"PASSWORD": PASSWORD, "PGPASSWORD": PASSWORD, "PGDATA": "/data/15"}
    container = {
        "name": "postgresql",
        "image": image,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "readinessProbe": {"exec": {"command": ["pg_isready", "--host=127.0.0.1"]}, "periodSeconds": 1},
    }
    pod = {
        "containers": [container],
        "securityContext": {"fsGroup": 1000},
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    service = {"selector": labels, "ports": [{"port": 5432}]}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OUTSIDE}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, "labels": labels}, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]


@pytest.fixture
def address(cluster: Cluster) -> Iterator[str]:
    """The URL of a database that is not the role's; afterwards the hub has its own one again."""
    (own,) = cluster.pods(HUB, "app.kubernetes.io/name=hub-postgresql")
    for one in objects(own["spec"]["containers"][0]["image"]):
        cluster.apply(one)
    seconds_until(lambda: all(map(says_ready, cluster.kube.list("v1", "Pod", OUTSIDE))), 120)
    said = cluster.run_in("postgresql", OUTSIDE, "sh", "-c", PREPARE)
    assert "CREATE DATABASE" in said, said
    yield f"postgresql://course:{PASSWORD}@postgresql.{OUTSIDE}:5432/course"
    play(SITE, **SCENARIO)
    cluster.delete("v1", "Namespace", OUTSIDE)


@pytest.mark.slow
def test_a_hub_with_a_database_outside(cluster: Cluster, url: str, address: str) -> None:
    play(SITE, **{**SCENARIO, "coursehub_database": "external", "coursehub_hub_database_url": address})
    assert not cluster.pods(HUB, "app.kubernetes.io/name=hub-postgresql")
    tables = "SELECT count(*) FROM pg_tables WHERE tableowner = 'course' AND tablename = 'spawners'"
    said = cluster.run_in("postgresql", OUTSIDE, "psql", "--host=127.0.0.1", "--username=hub", "course", "-Atc", tables)
    assert said.strip() == "1", said
    student = Student(url, "stored-outside").login().start()
    (active,), since = active_hubs(cluster), in_office_since(cluster)
    cluster.delete("v1", "Pod", active, HUB, gracePeriodSeconds=0)
    seconds = seconds_until(lambda: in_office_since(cluster) != since and hub_answers(url), 60)
    print(f"with a database outside the other hub answered after {seconds:.1f} s")
    assert active not in active_hubs(cluster)
    assert student.ask("GET", "contents/")["type"] == "directory"
    # It knows her, and her server.
    student.stop()
    deadline = time.monotonic() + 60
    while cluster.kube.get("v1", "Pod", f"jupyter-{student.name}", "coursehub-students") is not None:
        assert time.monotonic() < deadline, "her server did not stop"
        time.sleep(1)
