"""What hubs say of their database, once those that are ending have ended."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _database
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.hub_database_info import run

from tests.unit.plugins.api import Answer, Api

PODS = "/api/v1/namespaces/coursehub/pods"
SAID = f"{_database.NEWER}, ffff, which JupyterHub 5 does not know"


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": name, "labels": {"app.kubernetes.io/name": "hub"}, **metadata},
        "spec": {},
        "status": {},
    }


def parameters(wait_timeout: int) -> dict[str, Any]:
    return {"namespace": "coursehub", "wait_timeout": wait_timeout}


def test_what_a_hub_says_is_told(api: Api, kube: Kube) -> None:
    refused = {"containerStatuses": [{"state": {"terminated": {"exitCode": 1, "message": SAID}}}]}
    api.put(f"{PODS}/older", {**pod("older"), "status": refused})
    assert run(kube, parameters(0)) == {"newer": SAID}


def test_one_that_is_ending_is_waited_for(api: Api, kube: Kube) -> None:
    newer = pod("newer", deletionTimestamp="2026-11-25T18:00:00Z")
    refusing = {"containerStatuses": [{"state": {"terminated": {"exitCode": 1, "message": SAID}}}]}
    older = {**pod("older"), "status": refusing}
    listed = Answer(body={"items": [newer, pod("older")], "metadata": {"resourceVersion": "1"}})
    changes = ({"type": "MODIFIED", "object": older}, {"type": "DELETED", "object": newer})
    api.answer_next("GET", PODS, listed, Answer(lines=changes))
    assert run(kube, parameters(10)) == {"newer": SAID}


def test_but_not_for_ever(api: Api, kube: Kube) -> None:
    api.put(f"{PODS}/newer", pod("newer", deletionTimestamp="2026-11-25T18:00:00Z"))
    begun = time.monotonic()
    assert run(kube, parameters(0)) == {"newer": ""}
    assert time.monotonic() - begun < 5
