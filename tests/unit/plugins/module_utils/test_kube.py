from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import ApiError, Kube

from tests.ports import free_port
from tests.unit.plugins.api import Answer, Api, config, refused, serving

PODS = "/api/v1/namespaces/ns/pods"


def pod(name: str, phase: str = "Running", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "labels": labels, "uid": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"phase": phase}}


# The door: kubeconfig and context.


def test_a_kubeconfig_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        CoursehubError, match=r"does not exist: run the cluster role first, or set coursehub_kubeconfig"
    ):
        Kube(str(tmp_path / "none"), "kind-test")


@pytest.mark.parametrize("text", ["[", "just text", "contexts: [1]", "contexts: [{}]", "- a", "contexts: 5"])
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CoursehubError, match=r"is no kubeconfig: \S"):
        _kube.check_context(str(path), "kind-test")


@pytest.mark.parametrize(("text", "there"), [("", "none"), ("contexts: [{name: a}, {name: b}]", "a, b")])
def test_a_context_that_is_missing_is_told_what_there_is(tmp_path: Path, text: str, there: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CoursehubError) as refusal:
        _kube.check_context(str(path), "kind-test")
    assert f"the context 'kind-test' is not in {path}, which has: {there};" in str(refusal.value)


def test_the_current_context_is_never_taken(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({**config("http://127.0.0.1:1"), "current-context": "kind-test"}), encoding="utf-8")
    with pytest.raises(CoursehubError, match="the context 'other' is not in"):
        Kube(str(path), "other")


def test_a_context_without_its_cluster(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({**config("http://127.0.0.1:1"), "clusters": []}), encoding="utf-8")
    with pytest.raises(CoursehubError, match="can't be used"):
        Kube(str(path), "kind-test")


# One request.


def test_a_request_carries_the_token_and_says_what_it_sends(kube: Kube, api: Api) -> None:
    kube.request("PATCH", f"{PODS}/a", pod("a"), fieldManager="coursehub")
    (request,) = api.asked
    assert request.headers["authorization"] == "Bearer not-a-secret"
    assert request.headers["content-type"] == "application/apply-patch+yaml"
    assert request.query == {"fieldManager": "coursehub"}


def test_a_refusal_is_the_servers_own_sentence(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, refused(403, "pods is forbidden"))
    with pytest.raises(ApiError, match=r"^pods is forbidden$") as refusal:
        kube.request("GET", PODS)
    assert refusal.value.status == 403


def test_a_refusal_without_a_word(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, Answer(500, ""))
    with pytest.raises(ApiError, match=r'^""$|was answered with 500'):
        kube.request("GET", PODS)


def test_a_busy_server_is_asked_again(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, refused(429, "later", Retry_After="0.01"), refused(429, "later", Retry_After="0.01"))
    assert kube.request("GET", PODS)["items"] == []
    assert len(api.asked) == 3


def test_a_server_that_stays_busy_is_given_up(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, *[refused(429, "storage is initializing", Retry_After="0.001")] * _kube.ATTEMPTS)
    with pytest.raises(ApiError, match="the cluster is too busy: storage is initializing"):
        kube.request("GET", PODS)


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is waited for with short pauses, and given up by those who shorten this too."""
    monkeypatch.setattr(_kube, "OUTAGE_S", 120)
    monkeypatch.setattr(_kube, "OUTAGE_INTERVAL_S", 0.01)


@pytest.mark.usefixtures("outage")
def test_a_server_that_stumbles_is_asked_again(kube: Kube, api: Api) -> None:
    kube.request("GET", PODS)
    api.answer_next("GET", PODS, refused(500, "etcd is busy"), refused(503, "starting"), refused(504, "too late"))
    assert kube.request("GET", PODS)["items"] == []
    assert len(api.asked) == 5


@pytest.mark.usefixtures("outage")
@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_is_made_is_asked_for_again_too(kube: Kube, api: Api, status: int) -> None:
    kube.request("GET", PODS)
    api.answer_next("POST", PODS, refused(status, "later", Retry_After="0.01"))
    assert kube.request("POST", PODS, pod("a"))["metadata"]["name"] == "a"
    assert api.asked_for("POST") == [PODS] * 2
    assert f"{PODS}/a" in api.objects


@pytest.mark.usefixtures("outage")
def test_a_server_that_made_it_and_stumbled_then_says_that_it_is_there(kube: Kube, api: Api) -> None:
    kube.request("GET", PODS)
    api.put(f"{PODS}/a", pod("a"))
    api.answer_next("POST", PODS, refused(500, "etcd is busy"))
    with pytest.raises(ApiError, match="already exists") as refusal:
        kube.request("POST", PODS, pod("a"))
    assert refusal.value.status == 409


@pytest.mark.usefixtures("outage")
def test_a_server_that_goes_on_stumbling_is_given_up(kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kube, "OUTAGE_S", 0.5)
    kube.request("GET", PODS)
    api.answer_next("GET", PODS, *[refused(500, "etcd is gone")] * 1000)
    with pytest.raises(ApiError, match="etcd is gone"):
        kube.request("GET", PODS)


@pytest.mark.usefixtures("outage")
def test_a_server_that_restarts_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    port = free_port()
    with serving(tmp_path, port) as (_api, kubeconfig):
        kube = Kube(str(kubeconfig), "kind-test")
        kube.request("GET", PODS)
    found: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: found.append(kube.request("GET", PODS)))
    waiting.start()
    time.sleep(0.3)
    assert found == []
    with serving(tmp_path, port):
        waiting.join(120)
    assert found[0]["items"] == []


@pytest.mark.usefixtures("outage")
def test_what_is_behind_the_server_is_not_waited_for(kube: Kube, api: Api) -> None:
    kube.request("GET", PODS)
    api.answer_next("GET", "/api/v1/nodes/n/proxy/stats/summary", refused(503, "the kubelet is away"))
    with pytest.raises(ApiError, match="the kubelet is away"):
        kube.ask("/api/v1/nodes/n/proxy/stats/summary")
    assert len(api.asked) == 2


@pytest.mark.usefixtures("outage")
def test_a_log_is_asked_for_again_while_the_kubelet_is_away(kube: Kube, api: Api) -> None:
    kube.request("GET", PODS)
    api.logs[f"{PODS}/one"] = ({"said": "this"},)
    away = refused(500, "dial tcp 10.0.0.3:10250: connection refused")
    api.answer_next("GET", f"{PODS}/one/log", away, Answer(body={"cut": True}, cut=True), away)
    assert kube.text(f"{PODS}/one/log", soon()) == '{"said": "this"}\n'
    with pytest.raises(ApiError):
        kube.text(f"{PODS}/gone/log", soon())
    assert api.asked_for("GET").count(f"{PODS}/gone/log") == 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_log_whose_time_is_over_is_asked_for_once_and_not_for_long(
    kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    timeouts: list[float] = []
    send = Kube._send

    def noting(self: Kube, *arguments: Any) -> Any:
        timeouts.append(arguments[-1])
        return send(self, *arguments)

    kube.request("GET", PODS)
    monkeypatch.setattr(Kube, "_send", noting)
    api.answer_next("GET", f"{PODS}/one/log", refused(status, "later", Retry_After="10"))
    with pytest.raises(ApiError, match="later"):
        kube.text(f"{PODS}/one/log", time.monotonic() - 1)
    assert timeouts == [_kube.BRIEF_S]
    # One that has time left has no longer than that, and never longer than any request.
    api.logs[f"{PODS}/one"] = ({"said": "this"},)
    kube.text(f"{PODS}/one/log", time.monotonic() + 60)
    kube.text(f"{PODS}/one/log", time.monotonic() + 2000)
    assert _kube.BRIEF_S < timeouts[1] <= 60
    assert timeouts[2] == _kube.REQUEST_TIMEOUT_S


def test_nobody_answers(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    # Port 1 of loopback: nothing listens there, and nothing may without root.
    path.write_text(json.dumps(config("http://127.0.0.1:1")), encoding="utf-8")
    with pytest.raises(CoursehubError, match=r"the cluster at http://127\.0\.0\.1:1 does not answer"):
        Kube(str(path), "kind-test").request("GET", PODS)


@pytest.mark.usefixtures("outage")
def test_a_server_that_does_not_know_yet_who_may_do_what_is_asked_again(kube: Kube, api: Api) -> None:
    kube.request("GET", PODS)
    api.answer_next("GET", PODS, refused(503, "starting"), refused(403, "forbidden"), refused(401, "unauthorized"))
    assert kube.request("GET", PODS)["items"] == []
    assert len(api.asked) == 5


@pytest.mark.usefixtures("outage")
def test_a_refusal_long_after_an_outage_is_one(kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kube, "SETTLING_S", 0)
    kube.request("GET", PODS)
    api.answer_next("GET", PODS, refused(503, "starting"), refused(403, "forbidden"))
    with pytest.raises(ApiError, match="forbidden"):
        kube.request("GET", PODS)


def test_a_refusal_without_an_outage_is_told_at_once(kube: Kube, api: Api) -> None:
    kube.request("GET", PODS)
    api.answer_next("GET", PODS, refused(403, "forbidden"))
    with pytest.raises(ApiError, match="forbidden"):
        kube.request("GET", PODS)
    assert len(api.asked) == 2


def test_an_answer_that_is_cut_is_asked_for_again(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, Answer(body={"items": []}, cut=True))
    assert kube.request("GET", PODS)["items"] == []
    assert len(api.asked) == 2


def test_an_answer_that_is_cut_again(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, *[Answer(body={"items": []}, cut=True)] * 2)
    with pytest.raises(CoursehubError, match="broke off its answer"):
        kube.request("GET", PODS)


# Kinds, paths, objects.


def test_paths(kube: Kube) -> None:
    assert kube.path("v1", "Pod", "ns", "a") == f"{PODS}/a"
    assert kube.path("v1", "Pod", "ns") == PODS
    assert kube.path("v1", "Pod") == "/api/v1/pods"
    assert kube.path("v1", "Node", "ns", "a") == "/api/v1/nodes/a"
    assert kube.path("apps/v1", "Deployment", "ns", "a") == "/apis/apps/v1/namespaces/ns/deployments/a"


def test_the_kinds_of_a_group_are_asked_for_once(kube: Kube, api: Api) -> None:
    kube.path("v1", "Pod")
    kube.path("v1", "Secret")
    assert api.asked_for("GET") == ["/api/v1"]


def test_a_kind_that_was_just_defined_is_found_at_the_second_call(kube: Kube, api: Api) -> None:
    api.answer_next("GET", "/api/v1", Answer(body={"resources": []}))
    with pytest.raises(ApiError, match="knows no Pod of v1"):
        kube.path("v1", "Pod")
    assert kube.path("v1", "Pod") == "/api/v1/pods"


def test_an_object_that_is_absent_is_none(kube: Kube) -> None:
    assert kube.get("v1", "Pod", "a", "ns") is None


def test_an_object_of_a_kind_that_is_absent_is_none(kube: Kube) -> None:
    assert kube.get("example.org/v1", "Thing", "a") is None


def test_an_object_that_can_not_be_read_is_no_absent_object(kube: Kube, api: Api) -> None:
    api.answer_next("GET", f"{PODS}/a", refused(403, "forbidden"))
    with pytest.raises(ApiError):
        kube.get("v1", "Pod", "a", "ns")


def test_a_list_comes_in_pages_and_each_item_has_its_kind(kube: Kube, api: Api) -> None:
    first, second = ({"metadata": {"name": name}} for name in "ab")
    api.answer_next(
        "GET",
        PODS,
        Answer(body={"items": [first], "metadata": {"continue": "more"}}),
        Answer(body={"items": [second], "metadata": {}}),
    )
    found = kube.list("v1", "Pod", "ns", labelSelector="a=b")
    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [("Pod", "a"), ("Pod", "b")]
    queries = [request.query for request in api.asked if request.path == PODS]
    assert queries == [
        {"labelSelector": "a=b", "limit": "500"},
        {"labelSelector": "a=b", "limit": "500", "continue": "more"},
    ]


def test_a_list_whose_next_page_is_gone_is_asked_for_whole(kube: Kube, api: Api) -> None:
    old, fresh = ({"metadata": {"name": name}} for name in ("old", "fresh"))
    api.answer_next(
        "GET",
        PODS,
        Answer(body={"items": [old], "metadata": {"continue": "more"}}),
        refused(410, "the provided continue parameter is too old"),
        Answer(body={"items": [fresh], "metadata": {}}),
    )
    found = kube.list("v1", "Pod", "ns", labelSelector="a=b")
    # Not what was seen of the older list besides.
    assert [item["metadata"]["name"] for item in found] == ["fresh"]
    assert [request.query for request in api.asked if request.path == PODS][2] == {"labelSelector": "a=b"}


def test_a_list_that_is_gone_again_and_again_is_given_up(kube: Kube, api: Api) -> None:
    first = Answer(body={"items": [], "metadata": {"continue": "more"}})
    api.answer_next("GET", PODS, first, refused(410, "too old"), refused(410, "too old"))
    with pytest.raises(ApiError, match="too old"):
        kube.list("v1", "Pod", "ns")


def test_a_list_of_a_kind_that_is_absent_is_empty(kube: Kube) -> None:
    assert kube.list("example.org/v1", "Thing") == []


# Waiting.


def listed(*items: dict[str, Any], version: str = "7") -> Answer:
    return Answer(body={"items": list(items), "metadata": {"resourceVersion": version}})


def event(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": item}


def running(found: list[dict[str, Any]]) -> bool:
    return bool(found) and all(item["status"]["phase"] == "Running" for item in found)


def soon() -> float:
    return time.monotonic() + 120


def test_what_is_done_already_is_not_watched(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, listed(pod("a")))
    assert running(kube.wait("v1", "Pod", "ns", running, soon()))
    assert not [request for request in api.asked if "watch" in request.query]


def test_events_are_followed_until_it_is_done(kube: Kube, api: Api) -> None:
    events = (
        event("ADDED", pod("b", "Pending")),
        event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
        event("DELETED", pod("b")),
        event("MODIFIED", pod("a", "Running")),
    )
    api.answer_next("GET", PODS, listed(pod("a", "Pending")), Answer(lines=events))
    found = kube.wait("v1", "Pod", "ns", running, soon())
    assert [item["metadata"]["name"] for item in found] == ["a"]
    watch = api.asked[-1].query
    assert (watch["watch"], watch["resourceVersion"]) == ("1", "7")


def test_a_watch_that_has_become_too_old_is_begun_again(kube: Kube, api: Api) -> None:
    gone = event("ERROR", {"code": 410, "message": "too old resource version"})
    api.answer_next("GET", PODS, listed(pod("a", "Pending")), Answer(lines=(gone,)), listed(pod("a")))
    assert running(kube.wait("v1", "Pod", "ns", running, soon()))


def test_a_watch_that_is_refused_as_too_old_is_begun_again(kube: Kube, api: Api) -> None:
    api.answer_next(
        "GET", PODS, listed(pod("a", "Pending")), refused(410, "too old resource version"), listed(pod("a"))
    )
    assert running(kube.wait("v1", "Pod", "ns", running, soon()))


def test_a_watch_that_is_forbidden_is_a_failure(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, listed(pod("a", "Pending")), refused(403, "pods is forbidden"))
    with pytest.raises(ApiError, match="pods is forbidden"):
        kube.wait("v1", "Pod", "ns", running, soon())


@pytest.mark.usefixtures("outage")
def test_a_watch_that_the_server_stumbles_over_is_begun_again(kube: Kube, api: Api) -> None:
    stumbles = (refused(500, "etcd is busy"), refused(429, "later", Retry_After="0.01"))
    api.answer_next("GET", PODS, listed(pod("a", "Pending")), *stumbles, Answer(lines=(event("MODIFIED", pod("a")),)))
    assert running(kube.wait("v1", "Pod", "ns", running, soon()))


def test_a_watch_that_is_cut_is_begun_again(kube: Kube, api: Api) -> None:
    cut = Answer(lines=(event("MODIFIED", pod("a", "Pending")),), cut=True)
    api.answer_next("GET", PODS, listed(pod("a", "Pending")), cut, listed(pod("a")))
    assert running(kube.wait("v1", "Pod", "ns", running, soon()))


def test_what_is_seen_last_is_returned_when_the_time_is_over(kube: Kube, api: Api) -> None:
    api.answer_next("GET", PODS, listed(pod("a", "Pending")))
    found = kube.wait("v1", "Pod", "ns", running, time.monotonic() - 1)
    assert [item["status"]["phase"] for item in found] == ["Pending"]


def test_a_server_that_starts_is_waited_for(kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kube, "READY_INTERVAL_S", 0)
    api.answer_next("GET", "/readyz", refused(500, "etcd failed"), refused(500, "etcd failed"))
    kube.wait_ready(soon())
    assert len(api.asked) == 3


def test_a_server_that_never_gets_ready(kube: Kube, api: Api) -> None:
    api.answer_next("GET", "/readyz", refused(500, "etcd failed"))
    with pytest.raises(CoursehubError, match="etcd failed"):
        kube.wait_ready(time.monotonic() - 1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message": "no"}', "no"),
        ("text", "text"),
        (b"\xff", "\ufffd"),
        (b"[]", "[]"),
        (None, ""),
        ("x" * 600, "x" * 500),
    ],
)
def test_the_sentence_in_an_answer(body: bytes | str | None, message: str) -> None:
    assert _kube.message_of(body) == message


def secret() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}}


def test_what_is_there_is_taken_for_ours_and_what_is_gone_for_removed(kube: Kube, api: Api) -> None:
    kube.create(secret())
    kube.create(secret())
    assert kube.get("v1", "Secret", "s", "n") is not None
    kube.delete("v1", "Secret", "s", "n")
    kube.delete("v1", "Secret", "s", "n")
    assert kube.get("v1", "Secret", "s", "n") is None
    assert len(api.asked_for("POST")) == len(api.asked_for("DELETE")) == 2


def test_another_refusal_is_one(kube: Kube, api: Api) -> None:
    api.answer_next("POST", "/api/v1/namespaces/n/secrets", refused(403, "no"))
    with pytest.raises(ApiError, match="no"):
        kube.create(secret())
    api.answer_next("DELETE", "/api/v1/namespaces/n/secrets/s", refused(409, "busy"))
    with pytest.raises(ApiError, match="busy"):
        kube.delete("v1", "Secret", "s", "n")
