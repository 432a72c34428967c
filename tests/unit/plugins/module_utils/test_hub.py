"""The hub, asked to stop a server."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._hub import Hub
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from tests.unit.plugins.api import Answer, Api, serving

SECRET = "/api/v1/namespaces/coursehub/secrets/hub"


def with_token(api: Api) -> None:
    data = {"disks-token": base64.b64encode(b"not-a-secret").decode()}
    api.put(SECRET, {"metadata": {"name": "hub", "namespace": "coursehub"}, "data": data})


@pytest.mark.parametrize(
    "answer",
    [
        Answer(204),
        Answer(202),
        Answer(404, {"message": "no such user"}),
        Answer(400, {"message": "ann is not running"}),
    ],
)
def test_one_that_is_or_will_be_stopped_is_no_failure(api: Api, kube: Kube, tmp_path: Path, answer: Answer) -> None:
    with_token(api)
    (tmp_path / "hub").mkdir()
    with serving(tmp_path / "hub") as (hub, config):
        address = config.read_text(encoding="utf-8").partition('"server": "')[2].partition('"')[0]
        hub.answer_next("DELETE", "/hub/api/users/ann%40example.org/server", answer)
        Hub(kube, f"{address}/", "coursehub").stop("ann@example.org")
        (asked,) = hub.asked
        assert asked.headers["authorization"] == "token not-a-secret"


def test_a_refusal_is_told(api: Api, kube: Kube, tmp_path: Path) -> None:
    with_token(api)
    (tmp_path / "hub").mkdir()
    with serving(tmp_path / "hub") as (hub, config):
        address = config.read_text(encoding="utf-8").partition('"server": "')[2].partition('"')[0]
        hub.answer_next("DELETE", "/hub/api/users/ann/server", Answer(403, {"message": "missing scope"}))
        with pytest.raises(CoursehubError, match=r"did not stop the server \(403\): missing scope"):
            Hub(kube, address, "coursehub").stop("ann")


def test_a_hub_that_is_away_is_told(api: Api, kube: Kube) -> None:
    with_token(api)
    with pytest.raises(CoursehubError, match=r"the hub at http://127.0.0.1:1 does not answer"):
        Hub(kube, "http://127.0.0.1:1", "coursehub").stop("ann")


def test_without_the_token_it_is_said_what_to_do(kube: Kube) -> None:
    with pytest.raises(CoursehubError, match="run the playbook site, which makes it"):
        Hub(kube, "http://hub", "coursehub")
