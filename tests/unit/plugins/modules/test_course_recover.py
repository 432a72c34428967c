from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kube, _progress, _recovering
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._course import Course
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import (
    course_recover,
    course_state_info,
    student_disk_restore,
    student_disk_snapshot,
)

from tests.unit.plugins.api import Answer, Api, Request, refused, serving
from tests.unit.plugins.disks import NAMESPACE
from tests.unit.plugins.modules.clusters import MONDAY, NAMESPACES, Lost, namespaces
from tests.unit.plugins.modules.students import CHOICE, SERVERS
from tests.unit.plugins.storage import CLAIMS, CONTENTS, SHOTS, VOLUMES, Storage

Object = dict[str, Any]
SECRETS = "/api/v1/namespaces/hub/secrets"
ANNS_SHOT = "disk-ann-20261123-100000"


class KilledError(BaseException):
    """The run ends here, as by a power cut."""


class Fresh:
    """A cluster with nothing in it, on the storage that the lost one had, and the lost one's state."""

    def __init__(self, api: Api, kubeconfig: Path, lost: Lost, state: Object) -> None:
        self.api = api
        self.kubeconfig = kubeconfig
        self.kube = Kube(str(kubeconfig), "kind-test")
        self.storage = Storage(api, lost.storage)
        self.state = state
        namespaces(api)

    def run(self, *, check_mode: bool = False, **more: Any) -> Object:
        defaults = {"state": self.state, "wait_snapshots": True, "wait_timeout": 60, "lock_timeout": 60}
        return _recovering.Recovering(self.kube, {**defaults, **more}, check_mode)()

    def whole(self) -> None:
        """Check that everyone has what they had, and that nothing of it will go with its claim."""
        for student in ("ann", "bob"):
            assert self.storage.content_of(f"disk-{student}") == f"today of {student}"
        again = course_state_info.run(self.kube, NAMESPACES)["state"]
        assert {**again, "taken_at": ""} == {**self.state, "taken_at": ""}
        for path, item in self.api.objects.items():
            if path.startswith(VOLUMES):
                assert item["spec"]["persistentVolumeReclaimPolicy"] == "Retain"


@pytest.fixture
def fresh(api: Api, kube: Kube, tmp_path: Path) -> Iterator[Fresh]:
    lost = Lost(api, kube)
    state = course_state_info.run(kube, NAMESPACES)["state"]
    folder = tmp_path / "fresh"
    folder.mkdir()
    with serving(folder) as (other, kubeconfig):
        # As a file would have it.
        yield Fresh(other, kubeconfig, lost, json.loads(json.dumps(state)))


def test_a_fresh_cluster_has_what_the_lost_one_had(fresh: Fresh) -> None:
    result = fresh.run()
    assert result["changed"]
    assert [(one["student"], one["name"], one["failed"]) for one in result["disks"]] == [
        ("", "hub-database", ""),
        ("ann", "disk-ann", ""),
        ("bob", "disk-bob", ""),
    ]
    assert [one["failed"] for one in result["snapshots"]] == ["", ""]
    assert course_recover.failure(result) == ""
    fresh.whole()


def test_the_same_once_more_changes_nothing(fresh: Fresh) -> None:
    fresh.run()
    before = copy.deepcopy(fresh.api.objects)
    result = fresh.run()
    assert not result["changed"]
    assert result["diff"]["after"] == ""
    assert {path: item for path, item in fresh.api.objects.items() if "/leases/" not in path} == {
        path: item for path, item in before.items() if "/leases/" not in path
    }


def test_a_dry_run_tells_and_changes_nothing(fresh: Fresh) -> None:
    # Not even the namespaces are there.
    fresh.api.objects.clear()
    result = fresh.run(check_mode=True)
    assert result["changed"]
    assert all(one["changed"] for part in ("secrets", "disks", "snapshots") for one in result[part])
    assert "PersistentVolume pvc-ann\n" in result["diff"]["after"]
    assert {request.method for request in fresh.api.asked} == {"GET"}


def test_how_far_it_is_is_told(fresh: Fresh, tmp_path: Path) -> None:
    file = tmp_path / "progress"
    file.touch()
    fresh.run(progress_file=str(file))
    states = [_progress.read(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(one.phase, one.done, one.total) for one in states if one is not None and one.ended] == [
        ("making secrets", 2, 2),
        ("making volumes", 3, 3),
        ("making disks", 3, 3),
        ("showing snapshots", 2, 2),
        ("making snapshots", 2, 2),
        ("binding disks", 3, 3),
        ("waiting for snapshots", 2, 2),
    ]


def test_no_value_of_a_secret_is_told(fresh: Fresh) -> None:
    result = fresh.run()
    for secret in fresh.state["secrets"]:
        for value in secret["data"].values():
            assert value not in str(result)


def test_a_secret_that_is_there_is_left_alone(fresh: Fresh) -> None:
    other = {**fresh.state["secrets"][0], "data": {"cookie-secret": "b3RoZXI="}}
    fresh.api.put(f"{SECRETS}/hub", other)
    result = fresh.run()
    assert result["secrets"][0] == {
        "namespace": "hub",
        "name": "hub",
        "changed": False,
        "differing": ["cookie-secret"],
        "failed": "",
    }
    assert fresh.api.objects[f"{SECRETS}/hub"]["data"] == {"cookie-secret": "b3RoZXI="}


def test_snapshots_can_be_left_for_later(fresh: Fresh) -> None:
    fresh.storage.snapshots.clear()
    result = fresh.run(wait_snapshots=False)
    assert [one["failed"] for one in result["snapshots"]] == ["", ""]
    # The second run makes nothing, and waits.
    result = fresh.run(wait_timeout=0)
    assert not result["changed"]
    assert all("was not ready" in one["failed"] for one in result["snapshots"])


# Everything else goes on working.


def test_a_disk_is_restored_from_a_recovered_snapshot(fresh: Fresh) -> None:
    fresh.run()
    parameters = {**CHOICE, **SERVERS, "students": ["ann"], "snapshot": "latest", "at": None, "new_disk": None}
    more = {"paths": None, "snapshot_class": "fast", "wait_timeout": 60}
    result = student_disk_restore.Run(Course(fresh.kube, NAMESPACE), {**parameters, **more}, False)()
    assert (result["students"][0]["snapshot"], result["students"][0]["failed"]) == (ANNS_SHOT, "")
    assert fresh.storage.content_of("disk-ann") == "monday of ann"


def test_recovered_snapshots_are_thinned_out_as_of_when_they_were_taken(fresh: Fresh) -> None:
    fresh.run()
    for path, item in fresh.api.objects.items():
        if path.startswith(SHOTS):
            assert item["status"]["creationTime"] > MONDAY.isoformat()
    parameters = {**CHOICE, "all_students": True, "snapshot_class": "fast", "take": True, "keep": {"last": 1}}
    more = {"time_zone": "UTC", "skip_unchanged": False, "wait_timeout": 60}
    result = student_disk_snapshot.Run(Course(fresh.kube, NAMESPACE), {**parameters, **more}, False)()
    assert [one["removed"] for one in result["students"]] == [[ANNS_SHOT], [ANNS_SHOT.replace("ann", "bob")]]


def test_a_disk_that_is_unchanged_since_a_recovered_snapshot_is_left_out(fresh: Fresh) -> None:
    fresh.run()
    parameters = {**CHOICE, "all_students": True, "snapshot_class": "fast", "take": True, "keep": None}
    more = {"time_zone": "UTC", "skip_unchanged": True, "wait_timeout": 60}
    result = student_disk_snapshot.Run(Course(fresh.kube, NAMESPACE), {**parameters, **more}, False)()
    assert [one["skipped"] for one in result["students"]] == ["unchanged", "unchanged"]


# Runs that are killed, and servers that stumble.


@pytest.mark.parametrize("number", range(12))
def test_a_run_that_was_killed_is_finished_by_the_next(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    request, done = Kube.request, []

    def die(self: Kube, method: str, path: str, *arguments: Any, **query: Any) -> Object:
        answer = request(self, method, path, *arguments, **query)
        if method != "GET" and "/leases" not in path:
            done.append(path)
            if len(done) > number:
                raise KilledError
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Kube, "request", die)
        with pytest.raises(KilledError):
            fresh.run()
    assert len(done) > number
    assert course_recover.failure(fresh.run()) == ""
    fresh.whole()


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_api_server_that_loses_each_answer_once(fresh: Fresh, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(_kube, "OUTAGE_INTERVAL_S", 0)
    handle, lost = fresh.api._handle, set()

    def lose(request: Request) -> Answer:
        answer = handle(request)
        key = (request.path, str(request.body))
        if request.method == method and "/leases" not in request.path and key not in lost:
            lost.add(key)
            return refused(504, "the answer was lost")
        return answer

    monkeypatch.setattr(fresh.api, "_handle", lose)
    assert course_recover.failure(fresh.run()) == ""
    assert lost
    fresh.whole()


# What is refused, and what fails.


def test_a_student_who_has_a_new_disk_already_is_named_and_nothing_is_changed(fresh: Fresh) -> None:
    new = copy.deepcopy(fresh.state["disks"][1]["claim"])
    new["spec"].pop("volumeName")
    fresh.storage.add({**new, "spec": {**new["spec"], "volumeName": "pvc-new"}}, "new work")
    before = set(fresh.api.objects)
    with pytest.raises(
        CoursehubError, match=r"nothing was changed: ann \(students/disk-ann\): the claim is on the volum"
    ):
        fresh.run()
    assert {path for path in set(fresh.api.objects) - before if "/leases/" not in path} == set()
    assert fresh.storage.content_of("disk-ann") == "new work"


def test_what_is_refused_by_the_api_is_named_and_all_else_is_done(fresh: Fresh) -> None:
    fresh.api.script = [
        (lambda r: r.method == "PATCH" and r.path == f"{SECRETS}/proxy", refused(403, "no secrets for you")),
        (
            lambda r: r.method == "POST" and r.path == VOLUMES and "disk-ann" in str(r.body),
            refused(422, "no such class"),
        ),
        (lambda r: r.method == "POST" and r.path == CONTENTS and "bob" in str(r.body), refused(403, "quota")),
    ]
    result = fresh.run()
    assert course_recover.failure(result) == (
        "3 of 7 secrets, disks and snapshots failed:"
        " ann (students/disk-ann): PersistentVolume pvc-ann was refused: no such class;"
        " bob (students/disk-bob-20261123-100000): VolumeSnapshotContent"
        " recovered-students-disk-bob-20261123-100000 was refused: quota;"
        " hub/proxy: Secret hub/proxy was refused: no secrets for you;"
        " when that is mended, run this again for them"
    )
    assert f"{CLAIMS}/disk-ann" not in fresh.api.objects, "it would be bound to nothing, or to an empty disk"
    assert fresh.storage.content_of("disk-bob") == "today of bob"
    # And the next run does the rest.
    assert course_recover.failure(fresh.run()) == ""
    fresh.whole()


def test_a_snapshot_that_the_storage_no_longer_has_is_named(fresh: Fresh) -> None:
    del fresh.storage.snapshots[ANNS_SHOT]
    result = fresh.run(wait_timeout=0)
    assert course_recover.failure(result) == (
        f"1 of 7 secrets, disks and snapshots failed: ann (students/{ANNS_SHOT}): the snapshot {ANNS_SHOT} was not"
        f" ready after 0 s: can not find snapshot for snapshotID handle-{ANNS_SHOT};"
        " when that is mended, run this again for them"
    )


def test_a_claim_that_is_not_bound_is_named(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh.api, "on_change", lambda: None)
    result = fresh.run(wait_timeout=0, wait_snapshots=False)
    assert {one["failed"] for one in result["disks"]} == {
        "the claim was not bound to its volume after 0 s: it is pending"
    }
    assert [one["failed"] for one in result["snapshots"]] == ["", ""]


def test_a_claim_that_a_hub_makes_meanwhile_is_not_taken_for_ours(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = _recovering.Recovering._look

    def start(self: _recovering.Recovering) -> Any:
        plan = look(self)
        new = copy.deepcopy(fresh.state["disks"][1]["claim"])
        fresh.storage.add({**new, "spec": {**new["spec"], "volumeName": "pvc-new"}}, "")
        return plan

    monkeypatch.setattr(_recovering.Recovering, "_look", start)
    failed = {one["name"]: one["failed"] for one in fresh.run(wait_timeout=0)["disks"] if one["failed"]}
    assert failed == {"disk-ann": "the claim was not bound to its volume after 0 s: someone made it on pvc-new"}


def test_a_namespace_that_is_not_there(fresh: Fresh) -> None:
    del fresh.api.objects["/api/v1/namespaces/hub"]
    with pytest.raises(CoursehubError, match="there is no namespace hub: let the roles make it first"):
        fresh.run()
    assert {request.method for request in fresh.api.asked} == {"GET"}


def test_a_cluster_that_knows_no_snapshots(fresh: Fresh) -> None:
    fresh.api.answer_next("GET", "/apis/snapshot.storage.k8s.io/v1", Answer(body={"resources": []}))
    with pytest.raises(CoursehubError, match="let the role storage define snapshots first"):
        fresh.run()
    assert {request.method for request in fresh.api.asked} == {"GET"}


def test_a_state_of_another_version(fresh: Fresh) -> None:
    with pytest.raises(CoursehubError, match="the state is of version 2, not 1"):
        fresh.run(state={**fresh.state, "version": 2})


# As Ansible calls it.


def call(fresh: Fresh, capsys: pytest.CaptureFixture[str], **arguments: Any) -> tuple[int, str]:
    """Run the module as Ansible does; return its exit code and all that it said."""
    parameters = {"kubeconfig": str(fresh.kubeconfig), "context": "kind-test", "state": fresh.state, **arguments}
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": parameters}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    with pytest.raises(SystemExit) as ended:
        course_recover.main()
    return int(ended.value.code or 0), capsys.readouterr().out


def test_the_module_tells_names_and_no_values(fresh: Fresh, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = call(fresh, capsys)
    assert code == 0
    result = json.loads(said)
    assert [one["student"] for one in result["disks"]] == ["", "ann", "bob"]
    assert [one["name"] for one in result["secrets"]] == ["hub", "proxy"]
    for secret in fresh.state["secrets"]:
        for value in secret["data"].values():
            assert value not in said


def test_the_module_fails_with_names(fresh: Fresh, capsys: pytest.CaptureFixture[str]) -> None:
    del fresh.storage.snapshots[ANNS_SHOT]
    code, said = call(fresh, capsys, wait_timeout=0)
    assert code == 1
    assert json.loads(said)["msg"].startswith("1 of 7 secrets, disks and snapshots failed: ann (students/")
    assert len(json.loads(said)["disks"]) == 3
