"""Every part is brought up to date while students are at work; what is broken is taken back."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import HUB, STUDENTS, Cluster
from tests.e2e.faults.conftest import SCENARIO
from tests.e2e.faults.load import Load
from tests.e2e.faults.nodes import CONTROL_PLANE, bring_one_to
from tests.e2e.faults.waits import hub_answers, seconds_until, start_again
from tests.e2e.playbook import play
from tests.e2e.student import Student

UPGRADE = "coursehub.jupyterhub.upgrade"
PROXY = "app.kubernetes.io/name=proxy"


def values(cluster: Cluster) -> dict[str, Any]:
    """Return what the hub is told."""
    config = cluster.kube.get("v1", "ConfigMap", "hub", HUB)
    assert config is not None
    return dict(json.loads(config["data"]["values.json"]))


def generations(cluster: Cluster) -> dict[str, int]:
    found = cluster.kube.list("apps/v1", "Deployment", HUB)
    return {item["metadata"]["name"]: item["metadata"]["generation"] for item in found}


@pytest.fixture(autouse=True)
def _a_proxy_where_playbooks_ask(cluster: Cluster) -> None:
    """Have one on the control plane: its port is the way by which playbooks ask for the hub.

    The Service leads to proxies of the same node alone, as behind a cloud's balancer. After tests of nodes two may be
    on another one, and none there: the playbook then asks in vain until its patience ends.
    """
    proxies = cluster.pods(HUB, PROXY)
    nodes = Counter(pod["spec"]["nodeName"] for pod in proxies)
    if not nodes[CONTROL_PLANE]:
        ((full, _count),) = nodes.most_common(1)
        bring_one_to(cluster, CONTROL_PLANE, HUB, next(p for p in proxies if p["spec"]["nodeName"] == full))


@pytest.fixture(autouse=True)
def _students_can_start(url: str) -> Iterator[None]:
    yield
    new = Student(url, "after-the-upgrade")
    start_again(new, time.monotonic() + 60)
    new.stop()


def test_an_image_that_can_not_start_never_reaches_a_student(load: Load, cluster: Cluster) -> None:
    good = values(cluster)["image"]
    (proxy, *_others) = cluster.pods(HUB, PROXY)
    bad = proxy["spec"]["containers"][0]["image"]
    before = generations(cluster)
    with load.case("bad_image") as case, pytest.raises(AssertionError) as failed:
        play(UPGRADE, **SCENARIO, coursehub_hub_singleuser_image=bad)
    # Wrapped by the terminal's width.
    said = " ".join(str(failed.value).split())
    assert "does not start, so no student gets it" in said, said
    assert "was taken back" in said, said
    assert values(cluster)["image"] == good
    assert generations(cluster)["hub"] == before["hub"]
    assert case.went_unnoticed(), case
    assert cluster.kube.get("v1", "Pod", "server-trial", STUDENTS) is None


def test_every_part_is_upgraded_while_students_work(load: Load, cluster: Cluster) -> None:
    before = generations(cluster)
    with load.case("upgrade") as case:
        said = play(
            UPGRADE,
            **SCENARIO,
            coursehub_proxy_memory="520Mi",
            coursehub_proxy_redis_memory="72Mi",
            coursehub_hub_memory="520Mi",
        )
    after = generations(cluster)
    assert "Take a snapshot of the disk with the database" in said
    for part in ("proxy", "proxy-redis", "hub"):
        assert after[part] > before[part], part
    assert case.failed == 0, case


@pytest.mark.slow
def test_an_upgrade_that_fails_is_taken_back(load: Load, cluster: Cluster, url: str) -> None:
    with load.case("upgrade_taken_back") as case, pytest.raises(AssertionError, match="was taken back"):
        # A hub that can't start: the way to its proxy's image.
        play(UPGRADE, **SCENARIO, coursehub_hub_image="localhost/coursehub/nothing:1", coursehub_hub_rollout_timeout=30)
    seconds_until(lambda: hub_answers(url), 60)
    assert case.failed == 0, case
