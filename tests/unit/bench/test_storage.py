from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from bench import storage
from tests.unit.plugins.api import Api

DEPLOYMENT = "/apis/apps/v1/namespaces/coursehub-storage/deployments/storage-controller"
CONTAINERS: list[dict[str, Any]] = [
    {"name": "driver", "args": ["python", "-m", "btrfs_csi"]},
    {"name": "bare"},
    {"name": "csi-snapshotter", "args": ["--timeout=60s", "--kube-api-qps=100", "--kube-api-burst=200"]},
]


def test_the_throttle_is_read_and_set() -> None:
    assert storage.throttle_of(CONTAINERS) == (100, 200)
    changed = storage.with_throttle(CONTAINERS, 5, 10)
    assert storage.throttle_of(changed) == (5, 10)
    assert changed[2]["args"] == ["--timeout=60s", "--kube-api-qps=5", "--kube-api-burst=10"]
    assert changed[0] == CONTAINERS[0]


def test_without_a_word_it_is_the_sidecars_own() -> None:
    assert storage.throttle_of(CONTAINERS[:2]) == storage.DEFAULTS


@pytest.fixture
def deployment(api: Api) -> dict[str, Any]:
    """The controllers' deployment, which takes every change at once."""
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    item = {
        "metadata": {"name": "storage-controller", "generation": 1},
        "spec": {"replicas": 1, "template": {"spec": {"containers": CONTAINERS}}},
        "status": status,
    }
    return api.put(DEPLOYMENT, item)


@pytest.mark.usefixtures("deployment")
def test_another_throttle_is_rolled_out(kube: Kube, api: Api) -> None:
    storage.set_throttle(kube, 500, 1000)
    assert storage.throttle_of(storage.containers(kube)) == (500, 1000)


@pytest.mark.usefixtures("deployment")
def test_a_change_that_is_not_taken_ends_the_benchmark(kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "ROLLOUT_S", 0)
    api.objects[DEPLOYMENT]["status"]["availableReplicas"] = 0
    with pytest.raises(SystemExit, match="storage-controller did not take its change within 0 s"):
        storage.set_throttle(kube, 500, 1000)


def test_the_roles_throttle_is_one_that_can_be_read() -> None:
    import yaml

    from tests.unit.paths import ROLES

    given = yaml.safe_load((ROLES / "storage/vars/main.yml").read_text(encoding="utf-8"))["_storage_throttle"]
    assert storage.throttle_of([{"args": given}]) != storage.DEFAULTS, json.dumps(given)
