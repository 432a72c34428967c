from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _trial
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import server_trial
from coursehub_hub import server
from traitlets.config import Config

from tests.unit.plugins.api import Answer, Api, refused

Object = dict[str, Any]
NAMESPACE = "students"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
POD = f"{PODS}/{_trial.NAME}"
CONFIG = f"/api/v1/namespaces/{NAMESPACE}/configmaps/server"
IMAGE = "registry.example.org/data-8:2"
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def crashed(times: int) -> Object:
    last = {"terminated": {"exitCode": 1, "message": "No module named jupyterhub"}}
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    return {"containerStatuses": [{"name": "notebook", "restartCount": times, "state": state, "lastState": last}]}


def waiting(reason: str, message: str = "") -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "notebook", "restartCount": 0, "state": state}]}


@pytest.fixture
def trial(kube: Kube, api: Api) -> Callable[..., Object]:
    api.put(CONFIG, {"metadata": {"name": "server"}, "data": {"__main__.py": "1"}})

    def run(status: Object, *, check: bool = False, **more: Any) -> Object:
        api.on_create = lambda path, item: api.put(path, {**item, "status": status}) and None
        parameters = {
            "namespace": NAMESPACE,
            "image": IMAGE,
            "memory": "256Mi",
            "memory_limit": "1Gi",
            "cpu": "50m",
            "cpu_limit": "2",
            "pool": "",
            "scheduler": "",
            "wait_timeout": 1,
            **more,
        }
        return server_trial.Trial(kube, parameters, check)()

    return run


def test_an_image_that_starts_is_tried_once(trial: Callable[..., Object], api: Api) -> None:
    result = trial(READY)
    assert result["changed"]
    assert result["seconds"] >= 0
    assert POD not in api.objects
    assert trial({}) == {"changed": False}
    assert api.asked_for("POST") == [PODS]


@pytest.mark.parametrize(
    "other",
    [
        {"image": f"{IMAGE}1"},
        {"memory": "128Mi"},
        {"memory_limit": "512Mi"},
        {"cpu": "10m"},
        {"cpu_limit": "1"},
        {"pool": "students"},
        {"scheduler": "packing"},
    ],
)
def test_another_server_is_tried_again(trial: Callable[..., Object], other: dict[str, str]) -> None:
    assert trial(READY)["changed"]
    assert trial(READY, **other)["changed"]
    assert not trial(READY, **other)["changed"]


def test_another_program_is_tried_again(trial: Callable[..., Object], api: Api) -> None:
    assert trial(READY)["changed"]
    api.objects[CONFIG]["data"]["__main__.py"] = "2"
    assert trial(READY)["changed"]


def test_it_runs_where_students_servers_do(trial: Callable[..., Object], api: Api) -> None:
    values: dict[str, Any] = dict.fromkeys(("students_namespace", "image", "storage_class", "disk_size"), "")
    values |= {
        "memory": "1Gi",
        "memory_limit": "1Gi",
        "cpu": "1",
        "cpu_limit": "1",
        "start_timeout": 1,
        "away_limit": 1,
    }
    c = Config()
    server.apply(c, {**values, "pool": "students", "scheduler": "packing"})
    trial(READY, pool="students", scheduler="packing")
    (made,) = [request.body for request in api.asked if request.method == "POST"]
    assert made is not None
    assert made["spec"]["nodeSelector"] == c.KubeSpawner.node_selector
    assert made["spec"]["tolerations"] == c.KubeSpawner.tolerations
    assert made["spec"]["schedulerName"] == c.KubeSpawner.scheduler_name
    assert made["spec"]["containers"][0]["imagePullPolicy"] == c.KubeSpawner.image_pull_policy


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            waiting("ImagePullBackOff", 'Back-off pulling image "registry.example.org/data-8:2"'),
            "Back-off pulling image",
        ),
        (waiting("CreateContainerError", "exec: python3: not found"), "python3: not found"),
        (crashed(2), "No module named jupyterhub"),
        ({}, "did not answer within 1 s"),
        (crashed(1), "did not answer within 1 s"),
    ],
)
def test_one_that_does_not_is_refused_and_nothing_is_left(
    trial: Callable[..., Object], api: Api, status: Object, reason: str
) -> None:
    with pytest.raises(CoursehubError, match="does not start, so no student gets it") as refused:
        trial(status)
    assert reason in str(refused.value)
    assert IMAGE in str(refused.value)
    assert POD not in api.objects
    assert "annotations" not in api.objects[CONFIG]["metadata"]


def test_its_last_words_are_told(trial: Callable[..., Object], api: Api) -> None:
    api.answer_next("GET", f"{POD}/log", Answer(body="Traceback\nModuleNotFoundError: jupyterlab\n"))
    with pytest.raises(CoursehubError, match=r"it said: .*ModuleNotFoundError: jupyterlab"):
        trial(crashed(2))


def test_last_words_are_not_waited_for_when_the_trials_time_is_over(trial: Callable[..., Object], api: Api) -> None:
    api.answer_next("GET", f"{POD}/log", *[refused(500, "dial tcp 10.0.0.3:10250: connection refused")] * 5)
    with pytest.raises(CoursehubError, match="did not answer within 1 s"):
        trial({})
    assert api.asked_for("GET").count(f"{POD}/log") == 1


def test_what_a_run_that_was_killed_left_is_no_verdict(trial: Callable[..., Object], api: Api) -> None:
    api.put(POD, {"metadata": {"name": _trial.NAME}, "status": crashed(5)})
    assert trial(READY)["changed"]


def test_a_dry_run_starts_nothing(trial: Callable[..., Object], api: Api) -> None:
    assert trial(READY, check=True) == {"changed": True}
    assert api.asked_for("POST") == []


def test_before_the_role_has_been_there(trial: Callable[..., Object], api: Api) -> None:
    del api.objects[CONFIG]
    with pytest.raises(CoursehubError, match="run the playbook site first"):
        trial(READY)
    assert trial(READY, check=True) == {"changed": True}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_pull_that_fails_is_tried_again_for_a_minute() -> None:
    clock = Clock()
    judge = _trial.Judge(clock)
    failed, pause = ({"status": waiting(reason, "no such host")} for reason in ("ErrImagePull", "ImagePullBackOff"))
    said = []
    for later, pod in ((0, failed), (12, pause), (32, failed), (59, failed), (60, pause), (300, pause)):
        clock.now = 1000 + later
        said.append(judge(pod))
    # After a minute too the next try may be under way, however long it takes; the next that fails decides.
    assert said == [None] * 6
    assert "no such host" in (judge(failed) or "")


def test_a_pull_that_succeeds_after_all_is_forgiven() -> None:
    clock = Clock()
    judge = _trial.Judge(clock)
    assert judge({"status": waiting("ErrImagePull")}) is None
    clock.now += 70
    assert judge({"status": waiting("ContainerCreating")}) is None
    assert judge({"status": waiting("ErrImagePull")}) is None
    assert judge({"status": READY}) == ""


def test_it_is_what_the_hub_starts() -> None:
    mine = (_trial.SERVER, _trial.HOME, _trial.UID, _trial.POOL, _trial.ANSWERS, _trial.ANSWERS_VOLUME)
    theirs = (server.SERVER, server.HOME, server.UID, server.POOL, server.ANSWERS, server.ANSWERS_VOLUME)
    assert mine == theirs


@pytest.mark.parametrize("reason", ["InvalidImageName", "CreateContainerError"])
def test_what_another_try_does_not_mend_is_a_verdict_at_once(reason: str) -> None:
    assert reason in (_trial.Judge()({"status": waiting(reason)}) or "")
