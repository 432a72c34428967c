"""Every part is brought up to date while students are at work; what is broken is taken back."""

from __future__ import annotations

import json
import threading
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
NOTHING = "localhost/coursehub/nothing:1"


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
    # One after the other: Redis was ready before there was the first new proxy. Old ones may still be on their way out.
    (redis,) = cluster.pods(HUB, "app.kubernetes.io/name=proxy-redis")
    (ready,) = (one["lastTransitionTime"] for one in redis["status"]["conditions"] if one["type"] == "Ready")
    proxies = [pod["metadata"] for pod in cluster.pods(HUB, PROXY) if "deletionTimestamp" not in pod["metadata"]]
    assert ready <= min(metadata["creationTimestamp"] for metadata in proxies)
    assert case.failed == 0, case


@pytest.mark.slow
def test_an_upgrade_that_fails_is_taken_back(load: Load, cluster: Cluster, url: str) -> None:
    with load.case("upgrade_taken_back") as case, pytest.raises(AssertionError, match="was taken back"):
        # A hub that can't start: the way to its proxy's image.
        play(UPGRADE, **SCENARIO, coursehub_hub_image=NOTHING, coursehub_hub_rollout_timeout=30)
    seconds_until(lambda: hub_answers(url), 60)
    assert case.failed == 0, case


def in_database(cluster: Cluster, query: str) -> str:
    """Return what the hub's database answers."""
    (server,) = cluster.pods(HUB, "app.kubernetes.io/name=hub-postgresql")
    command = f'PGPASSWORD=$PASSWORD psql --host=127.0.0.1 --username=hub postgres -Atc "{query}"'
    return cluster.run_in(server["metadata"]["name"], HUB, "sh", "-c", command).strip()


def be_a_newer_hub(cluster: Cluster, revision: str) -> None:
    """Do what a newer JupyterHub does, of which there is none: once it is rolled out it upgrades the tables."""

    def image() -> str:
        hub = cluster.kube.get("apps/v1", "Deployment", "hub", HUB)
        assert hub is not None
        return str(hub["spec"]["template"]["spec"]["containers"][0]["image"])

    seconds_until(lambda: image() == NOTHING, 300)
    in_database(cluster, f"UPDATE alembic_version SET version_num = '{revision}'")
    # The older one does not work any more by then.
    for pod in cluster.pods(HUB, "app.kubernetes.io/name=hub"):
        cluster.delete("v1", "Pod", pod["metadata"]["name"], HUB, gracePeriodSeconds=0)


@pytest.mark.slow
def test_a_database_that_a_newer_hub_has_upgraded_is_put_back(load: Load, cluster: Cluster, url: str) -> None:
    revision = "SELECT version_num FROM alembic_version"
    before = in_database(cluster, revision)
    assert before, "the hub has no revision in its database"
    newer = threading.Thread(target=be_a_newer_hub, args=(cluster, "ffff00001111"))
    newer.start()
    with load.case("database_put_back") as case, pytest.raises(AssertionError) as failed:
        play(UPGRADE, 1200, **SCENARIO, coursehub_hub_image=NOTHING, coursehub_hub_rollout_timeout=30)
    newer.join(10)
    said = " ".join(str(failed.value).split())
    assert "the database is as it was before" in said, said
    assert in_database(cluster, revision) == before
    seconds_until(lambda: hub_answers(url), 60)
    assert case.failed == 0, case
    # What was replaced can be had too, and nothing is half done.
    shots = cluster.kube.list("snapshot.storage.k8s.io/v1", "VolumeSnapshot", HUB)
    assert any("coursehub.jupyterhub/safety" in (one["metadata"].get("annotations") or {}) for one in shots)
    claims = cluster.kube.list("v1", "PersistentVolumeClaim", HUB)
    assert not [one for one in claims if one["metadata"]["name"].startswith("restore-")]
