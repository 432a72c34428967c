"""The hub's database is put back whole, whenever a run was killed; old snapshots go, and no others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _database, _snapshots, _swap
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.hub_database import Database
from coursehub_hub import schema
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.api import Api
from tests.unit.plugins.disks import NAMESPACE
from tests.unit.plugins.storage import CLAIMS, SHOTS, VOLUMES, Storage

Object = dict[str, Any]
CLAIM = "hub-database"
BEFORE = f"{CLAIM}-20261125-180000"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/hub"
OWN = {"app.kubernetes.io/managed-by": "coursehub", "coursehub.jupyterhub/part": "hub"}
# Of each restore in place, as test_student_disk_restore has it.
STEPS = 8


class KilledError(BaseException):
    """The run ends here, as by a power cut."""


def shot_of(name: str, taken: str, *, claim: str = CLAIM, ready: bool = True, labels: Any = None) -> Object:
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "creationTimestamp": taken,
            "labels": OWN if labels is None else labels,
        },
        "spec": {"source": {"persistentVolumeClaimName": claim}},
        "status": {"readyToUse": ready, "creationTime": taken, "restoreSize": "1Gi"},
    }


class Hub:
    """A hub of which a newer one has upgraded the database."""

    def __init__(self, api: Api, kube: Kube) -> None:
        self.api, self.kube, self.storage = api, kube, Storage(api)
        conditions = [{"type": "Ready", "status": "True"}]
        api.put("/api/v1/nodes/n", {"metadata": {"name": "n"}, "spec": {}, "status": {"conditions": conditions}})
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM, "namespace": NAMESPACE, "labels": OWN},
            "spec": {
                "storageClassName": "coursehub-disk",
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeName": "pvc-hub",
            },
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
        }
        self.storage.add(claim, "newer")
        api.put(f"{SHOTS}/{BEFORE}", shot_of(BEFORE, "2026-11-25T18:00:00Z"))
        self.storage.snapshots[BEFORE] = "before"
        api.put(DEPLOYMENT, {"metadata": {"name": "hub"}, "spec": {"replicas": 1}})

    def run(self, *, check_mode: bool = False, **more: Any) -> Object:
        parameters = {
            "namespace": NAMESPACE,
            "claim": CLAIM,
            "state": "restored",
            "snapshot": BEFORE,
            "snapshot_class": "fast",
            "keep": 3,
            "wait_timeout": 60,
            **more,
        }
        return Database(self.kube, parameters, check_mode)()

    def back(self, safety: str) -> None:
        """Check that the database is as it was before, that it can be had as it was since, and that nothing is left."""
        assert self.storage.content_of(CLAIM) == "before"
        assert self.storage.snapshots[safety] == "newer"
        assert self.api.objects[DEPLOYMENT]["spec"]["replicas"] == 0
        assert [path for path in self.api.objects if path.startswith(CLAIMS)] == [f"{CLAIMS}/{CLAIM}"]
        assert len([path for path in self.api.objects if path.startswith(VOLUMES)]) == 1
        assert OWN.items() <= self.api.objects[f"{CLAIMS}/{CLAIM}"]["metadata"]["labels"].items()


@pytest.fixture
def hub(api: Api, kube: Kube) -> Hub:
    return Hub(api, kube)


def test_the_database_is_as_it_was(hub: Hub) -> None:
    result = hub.run()
    assert result["changed"]
    hub.back(result["safety"])
    # One of the hub's own: no policy for students' disks takes it for one of theirs.
    assert hub.api.objects[f"{SHOTS}/{result['safety']}"]["metadata"]["labels"] == OWN


@pytest.mark.parametrize("step", range(STEPS))
def test_a_run_that_was_killed_is_finished_by_the_next(hub: Hub, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _swap.Swap._do
    left = [step]

    def killed(self: _swap.Swap, name: str, view: Any) -> None:
        if not left[0]:
            raise KilledError
        left[0] -= 1
        done(self, name, view)

    monkeypatch.setattr(_swap.Swap, "_do", killed)
    with pytest.raises(KilledError):
        hub.run()
    monkeypatch.setattr(_swap.Swap, "_do", done)
    hub.back(hub.run()["safety"])


def test_what_an_earlier_run_had_begun_is_not_taken_for_what_was_asked(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = _swap.Swap.finish

    def killed(_self: _swap.Swap) -> None:
        raise KilledError

    monkeypatch.setattr(_swap.Swap, "finish", killed)
    with pytest.raises(KilledError):
        hub.run()
    monkeypatch.setattr(_swap.Swap, "finish", done)
    other = f"{CLAIM}-20261120-180000"
    hub.api.put(f"{SHOTS}/{other}", shot_of(other, "2026-11-20T18:00:00Z"))
    hub.storage.snapshots[other] = "long before"
    with pytest.raises(CoursehubError, match=f"put back from {BEFORE}, as an earlier run .* from {other}"):
        hub.run(snapshot=other)
    assert hub.storage.content_of(CLAIM) == "before"
    hub.run(snapshot=other)
    assert hub.storage.content_of(CLAIM) == "long before"


@pytest.mark.parametrize("keep", [0, -1])
def test_some_snapshots_always_stay(hub: Hub, keep: int) -> None:
    with pytest.raises(CoursehubError, match=f"keep is {keep}: write how many"):
        hub.run(state="thinned", keep=keep)


def test_a_hub_that_does_not_end_keeps_its_database(hub: Hub) -> None:
    pod = {"metadata": {"name": "hub-1", "labels": {"app.kubernetes.io/name": "hub"}}, "spec": {}, "status": {}}
    hub.api.put(f"/api/v1/namespaces/{NAMESPACE}/pods/hub-1", pod)
    with pytest.raises(CoursehubError, match="the pods of hub did not end within 1 s"):
        hub.run(wait_timeout=1)
    assert hub.storage.content_of(CLAIM) == "newer"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"snapshot": "other"}, f"no snapshot other that can be used; those that can are: {BEFORE}"),
        ({"claim": "hub-postgresql"}, "there is no claim hub-postgresql in students"),
    ],
)
def test_bad_input_ends_no_hub(hub: Hub, more: dict[str, str], sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        hub.run(**more)
    assert hub.api.objects[DEPLOYMENT]["spec"]["replicas"] == 1


def test_a_dry_run_changes_nothing(hub: Hub) -> None:
    assert hub.run(check_mode=True) == {"changed": True}
    assert {request.method for request in hub.api.asked} == {"GET"}


def test_old_snapshots_go_and_no_others(hub: Hub) -> None:
    for day in range(1, 7):
        name = f"{CLAIM}-{day}"
        hub.api.put(f"{SHOTS}/{name}", shot_of(name, f"2026-11-0{day}T10:00:00Z", ready=day != 6))
        hub.storage.snapshots[name] = "old"
    hub.api.put(f"{SHOTS}/mine", shot_of("mine", "2026-01-01T10:00:00Z", labels={}))
    hub.api.put(f"{SHOTS}/disk-ann", shot_of("disk-ann", "2026-01-01T10:00:00Z", claim="disk-ann"))
    left = {*hub.api.objects}
    # Four and five, and the newest; six never came to anything, and may be looked at still.
    gone = [f"{CLAIM}-{day}" for day in (1, 2, 3)]
    assert hub.run(state="thinned", check_mode=True) == {"changed": True, "removed": gone}
    assert hub.run(state="thinned") == {"changed": True, "removed": gone}
    assert left - {*hub.api.objects} == {f"{SHOTS}/{name}" for name in gone}
    assert hub.run(state="thinned") == {"changed": False, "removed": []}


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["ready", "failed", "going", "pending"]))), st.integers(1, 4)
)
def test_the_newest_good_ones_always_stay(made: list[tuple[int, str]], keep: int) -> None:
    shots = [
        _snapshots.Shot(f"s{number}", CLAIM, "", datetime.fromtimestamp(taken, UTC), state, "", 0)
        for number, (taken, state) in enumerate(made)
    ]
    gone = _database.superfluous(shots, keep)
    good = sorted((one for one in shots if one.good), key=lambda one: (one.taken, one.name))
    assert not {one.name for one in good[-keep:]} & {*gone}
    assert {one.name for one in good[:-keep]} <= {*gone}


def test_why_a_hub_ended_is_known_by_its_own_words() -> None:
    assert _database.NEWER == schema.NEWER
    said = f"{schema.NEWER}, ffff, which JupyterHub 5 does not know"
    ended = {"terminated": {"exitCode": 1, "message": said}}
    other = {"status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 1, "message": "no"}}}]}}
    for status in ({"state": ended}, {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}):
        assert _database.refusal([{}, other, {"status": {"containerStatuses": [status]}}]) == said
    assert _database.refusal([{}, other]) == ""
