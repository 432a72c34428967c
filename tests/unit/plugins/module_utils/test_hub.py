"""The hub, asked to stop a server."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._hub import PEOPLE_KEY, Hub, HubError
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


@pytest.fixture
def asked(api: Api, kube: Kube, tmp_path: Path) -> Iterator[tuple[Api, Hub, list[float]]]:
    """What the hub is asked, the client, and how long it waited each time."""
    data = {PEOPLE_KEY: base64.b64encode(b"not-a-secret").decode()}
    api.put(SECRET, {"metadata": {"name": "hub", "namespace": "coursehub"}, "data": data})
    (tmp_path / "hub").mkdir()
    waited: list[float] = []
    with serving(tmp_path / "hub") as (hub, config):
        address = config.read_text(encoding="utf-8").partition('"server": "')[2].partition('"')[0]
        yield hub, Hub(kube, address, "coursehub", PEOPLE_KEY, time.monotonic() + 100, waited.append), waited


START = "/hub/api/users/ann/server"


def test_a_hub_that_has_no_time_is_asked_again(asked: tuple[Api, Hub, list[float]]) -> None:
    served, hub, waited = asked
    later = {"Retry-After": "7"}
    served.answer_next(
        "POST", START, Answer(429, {"message": "busy"}, headers=later), Answer(503), Answer(502), Answer(202)
    )
    hub.start("ann")
    assert waited == [7.0, 2.0, 2.0]


def test_a_stop_is_asked_for_again_while_a_hub_that_has_just_begun_still_looks(
    asked: tuple[Api, Hub, list[float]],
) -> None:
    served, hub, waited = asked
    served.answer_next("DELETE", START, Answer(500, {"message": "Internal Server Error"}), Answer(204))
    assert hub.stop("ann") is True
    assert waited == [2.0]
    # Of anything else it is a failure.
    served.answer_next("POST", START, Answer(500, {"message": "Internal Server Error"}))
    with pytest.raises(HubError, match=r"\(500\)"):
        hub.start("ann")


def test_a_pause_that_would_outlast_the_time_is_not_made(asked: tuple[Api, Hub, list[float]]) -> None:
    served, hub, waited = asked
    hub._deadline = time.monotonic() + 5
    served.answer_next("POST", START, Answer(429, {"message": "busy"}, headers={"Retry-After": "60"}))
    with pytest.raises(HubError, match=r"did not start the server \(429\): busy"):
        hub.start("ann")
    assert not waited


@pytest.mark.parametrize("pause", ["-1", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", "", "999999"])
def test_no_pause_is_without_reason(asked: tuple[Api, Hub, list[float]], pause: str) -> None:
    served, hub, waited = asked
    served.answer_next("POST", START, Answer(429, headers={"Retry-After": pause}), Answer(201))
    hub.start("ann")
    assert 0 < waited[0] <= 60


def test_a_refusal_is_final(asked: tuple[Api, Hub, list[float]]) -> None:
    served, hub, waited = asked
    served.answer_next("POST", START, Answer(403, {"message": "missing scope"}))
    with pytest.raises(HubError, match="missing scope"):
        hub.start("ann")
    served.answer_next("POST", START, Answer(400, {"message": "ann is already running"}))
    hub.start("ann")
    assert not waited


def test_all_pages_of_users_are_read(asked: tuple[Api, Hub, list[float]]) -> None:
    served, hub, _waited = asked
    pages = [(["ann", "bob"], 2), (["bob", "cid"], None)]
    for names, following in pages:
        answer = {
            "items": [{"name": name} for name in names],
            "_pagination": {"next": following and {"offset": following}},
        }
        served.answer_next("GET", "/hub/api/users", Answer(body=answer))
    # One who moved between the pages is there once.
    assert [user["name"] for user in hub.users(state="active")] == ["ann", "bob", "cid"]
    assert [request.query["offset"] for request in served.asked] == ["0", "2"]
    assert {request.query["state"] for request in served.asked} == {"active"}
