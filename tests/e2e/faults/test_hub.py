"""The hub goes away, for seconds and for longer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.e2e.cluster import HUB, STUDENTS, Cluster
from tests.e2e.faults.conftest import active_hubs, both_hubs_are_well, in_office_since
from tests.e2e.faults.hubs import FENCED, has_ended, how_it_ended, restarts
from tests.e2e.faults.load import Load
from tests.e2e.faults.waits import AWAY_S, BACK_OFF_S, hub_answers, seconds_until, start_again
from tests.e2e.student import Student

# Ends the hub where it stands, or freezes it, so that it can give nothing back.
SIGNAL = """
import os, pathlib, signal, sys
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    words = (folder / "cmdline").read_bytes().split(b"\\0")
    if b"coursehub_hub.standby" in words and b"tini" not in words[0]:
        os.kill(int(folder.name), signal.Signals[sys.argv[1]])
"""


@pytest.fixture(autouse=True)
def _both_hubs_are_well(cluster: Cluster) -> None:
    seconds_until(lambda: both_hubs_are_well(cluster), BACK_OFF_S)


@pytest.mark.parametrize(("name", "signal"), [("hub_killed", "SIGKILL"), ("hub_frozen", "SIGSTOP")])
def test_the_hub_is_killed_or_frozen(load: Load, cluster: Cluster, url: str, name: str, signal: str) -> None:
    (active,) = active_hubs(cluster)
    since = in_office_since(cluster)
    with load.case(name) as case:
        cluster.run_python(active, SIGNAL, signal, namespace=HUB)
        case.recovery_s = seconds_until(lambda: in_office_since(cluster) != since and hub_answers(url), 60)
    assert case.went_unnoticed(), case
    assert case.recovery_s <= 15, case
    if signal == "SIGSTOP":
        # It wakes up and believes that it is the one.
        before = restarts(cluster, active)
        cluster.run_python(active, SIGNAL, "SIGCONT", namespace=HUB)
        seconds_until(lambda: has_ended(cluster, active, before), 30)
        assert how_it_ended(cluster, active) == FENCED


def test_a_start_goes_on_where_its_hub_dies(cluster: Cluster, url: str) -> None:
    new = Student(url, f"in-mid-start-{time.time_ns():x}").login()
    assert new.session.get(f"{url}/hub/spawn", timeout=10).status_code == 200
    (active,) = active_hubs(cluster)
    name = f"jupyter-{new.name}"
    cluster.wait("v1", "Pod", STUDENTS, lambda pods: any(pod["metadata"]["name"] == name for pod in pods), 30)
    before = cluster.pod_of(new.name)
    cluster.run_python(active, SIGNAL, "SIGKILL", namespace=HUB)
    start_again(new, time.monotonic() + 120)
    # The one that the dead hub had asked for.
    assert cluster.pod_of(new.name)["metadata"]["uid"] == before["metadata"]["uid"]
    # The student may be in before the hub has ended its look at the server, and a stop meanwhile is refused with 500.
    seconds_until(lambda: new.ask_hub("GET", f"users/{new.name}").json()["servers"][""]["ready"], 60)
    new.stop()


@contextmanager
def without_hub(cluster: Cluster) -> Iterator[None]:
    """Stop all hubs; at the end they are back."""
    path = cluster.kube.path("apps/v1", "Deployment", HUB, "hub")
    before = cluster.kube.request("GET", path)["spec"]["replicas"]
    cluster.kube.merge(path, {"spec": {"replicas": 0}})
    try:
        cluster.wait(
            "v1",
            "Pod",
            HUB,
            lambda pods: all(pod["metadata"]["labels"].get("app.kubernetes.io/name") != "hub" for pod in pods),
            90,
        )
        yield
    finally:
        cluster.kube.merge(path, {"spec": {"replicas": before}})


def test_the_page_while_the_hub_is_away(cluster: Cluster, url: str) -> None:
    with without_hub(cluster):
        answers = [
            requests.get(f"{url}{path}", timeout=10, allow_redirects=False)
            for path in ("/", "/hub/login", "/hub/spawn", "/user/nobody/lab")
        ]
    for answer in answers:
        assert answer.status_code == 503, answer.url
        assert answer.headers["Retry-After"] == "10"
        assert "no-store" in answer.headers["Cache-Control"]
        assert 'http-equiv="refresh"' in answer.text
        assert "in a moment" in answer.text
    seconds_until(lambda: hub_answers(url), 120)


def test_the_hub_is_away_for_long(load: Load, cluster: Cluster, url: str) -> None:
    with load.case("hub_away") as case:
        with without_hub(cluster):
            time.sleep(AWAY_S)
            assert not hub_answers(url)
        case.recovery_s = seconds_until(lambda: hub_answers(url), 120)
    assert case.went_unnoticed(), case
