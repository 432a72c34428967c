from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _recovery, _state
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils import test_state

Object = dict[str, Any]


def state(*names: str) -> Object:
    claims = [test_state.claim(name) for name in names or ("ann", "bob")]
    pairs = [test_state.snapshot(name) for name in names or ("ann", "bob")]
    return test_state.take(claims, pairs=pairs, secrets=[test_state.secret()])[0]


def live(found: _state.Found) -> _recovery.Live:
    parts = ("secrets", "claims", "volumes", "snapshots", "contents")
    return _recovery.Live(**{part: {_recovery.key_of(item): item for item in getattr(found, part)} for part in parts})


def empty() -> _state.Found:
    return _state.Found([], [], [], [], [])


def made(plan: _recovery.Plan) -> int:
    return sum(len(part) for part in vars(plan).values())


def refused(wanted: Object, found: _state.Found) -> str:
    with pytest.raises(CoursehubError) as error:
        _recovery.plan(wanted, live(found))
    return str(error.value)


def test_a_fresh_cluster_lacks_everything() -> None:
    plan = _recovery.plan(state(), live(empty()))
    assert [len(part) for part in vars(plan).values()] == [1, 2, 2, 2, 2, 0]


def test_a_recovered_cluster_lacks_nothing() -> None:
    wanted = state()
    assert made(_recovery.plan(wanted, live(test_state.served(wanted)))) == 0


def test_the_cluster_that_it_was_taken_of_lacks_nothing() -> None:
    claims = [test_state.claim()]
    pairs = [test_state.snapshot()]
    wanted, _skipped = test_state.take(claims, pairs=pairs, secrets=[test_state.secret()])
    for one in claims:
        one["metadata"]["uid"] = "1"
    volumes = [test_state.volume(one) for one in claims]
    found = _state.Found([test_state.secret()], claims, volumes, [pairs[0][0]], [pairs[0][1]])
    assert made(_recovery.plan(wanted, live(found))) == 0


@given(data=st.data())
def test_what_a_killed_run_has_made_is_not_made_again(data: st.DataObject) -> None:
    wanted = state()
    whole = live(test_state.served(wanted))
    # In the order in which things are made: what is referred to comes first.
    volumes = data.draw(st.sets(st.sampled_from(sorted(whole.volumes))))
    claims = data.draw(st.sets(st.sampled_from(sorted(whole.claims))))
    claims = {key for key in claims if ("", whole.claims[key]["spec"]["volumeName"]) in volumes}
    volumes_there = copy.deepcopy({key: whole.volumes[key] for key in volumes})
    for volume in volumes_there.values():
        if (volume["spec"]["claimRef"]["namespace"], volume["spec"]["claimRef"]["name"]) not in claims:
            volume["spec"]["claimRef"].pop("uid")
    contents = data.draw(st.sets(st.sampled_from(sorted(whole.contents))))
    snapshots = {
        key
        for key in data.draw(st.sets(st.sampled_from(sorted(whole.snapshots))))
        if ("", _state.content_name(whole.snapshots[key])) in contents
    }
    there = _recovery.Live(
        secrets={},
        claims={key: whole.claims[key] for key in claims},
        volumes=volumes_there,
        snapshots={key: whole.snapshots[key] for key in snapshots},
        contents={key: whole.contents[key] for key in contents},
    )
    plan = _recovery.plan(wanted, there)
    assert set(plan.volumes) == set(whole.volumes) - volumes
    assert set(plan.claims) == set(whole.claims) - claims
    assert set(plan.contents) == set(whole.contents) - contents
    assert set(plan.snapshots) == set(whole.snapshots) - snapshots


# Secrets that are there.


def test_a_secret_that_is_there_stays_and_what_differs_is_told() -> None:
    other = test_state.secret()
    other["data"] = {"key": "b3RoZXI=", "more": "bW9yZQ=="}
    plan = _recovery.plan(state(), live(_state.Found([other], [], [], [], [])))
    assert plan.secrets == {}
    assert plan.differing == {("hub", "hub"): ["key", "more"]}


# What stands in the way.


def test_a_claim_on_another_volume_is_refused_with_both_and_what_to_do() -> None:
    wanted = state("ann")
    other = test_state.claim("ann")
    other["spec"]["volumeName"] = "pvc-new"
    assert refused(wanted, _state.Found([], [other], [], [], [])) == (
        "nothing was changed: ann (students/disk-ann): the claim is on the volume pvc-new, not on pvc-ann as the state"
        " has it: copy what is new on it, remove the claim, and run this again"
    )


def test_a_claim_on_no_volume_yet_is_refused() -> None:
    pending = test_state.claim("ann", phase="Pending")
    assert "the claim is on no volume yet, not on pvc-ann" in refused(
        state("ann"), _state.Found([], [pending], [], [], [])
    )


def test_everyone_who_is_refused_is_named() -> None:
    others = [test_state.claim(name, phase="Pending") for name in ("ann", "bob")]
    said = refused(state(), _state.Found([], others, [], [], []))
    assert said.startswith("nothing was changed: ann (students/disk-ann): ")
    assert "; bob (students/disk-bob): " in said


def test_of_many_who_are_refused_some_are_named() -> None:
    names = [f"student-{number:02}" for number in range(25)]
    others = [test_state.claim(name, phase="Pending") for name in names]
    said = refused(state(*names), _state.Found([], others, [], [], []))
    assert said.count("the claim is on no volume yet") == 20
    assert said.endswith("; and 5 more")


def test_a_claim_that_is_no_students_is_named_by_itself() -> None:
    database = test_state.claim("database")
    database["metadata"].update(name="hub-database", namespace="hub", labels={}, annotations={})
    wanted, _skipped = test_state.take([database])
    other = copy.deepcopy(database)
    other["spec"]["volumeName"] = "pvc-new"
    assert ": hub/hub-database: the claim is on" in refused(wanted, _state.Found([], [other], [], [], []))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda one: one["spec"]["csi"].update(volumeHandle="another"),
            "the volume pvc-ann is the disk another, not handle-disk-ann as the state has it: set its reclaim policy",
        ),
        (lambda one: one["spec"].pop("csi"), "the volume pvc-ann is the disk of no driver, not handle-disk-ann"),
        (
            lambda one: one["metadata"].update(name="by-hand"),
            "the disk handle-disk-ann is the volume by-hand already: set its reclaim policy to Retain, remove the",
        ),
        (
            lambda one: one["spec"]["claimRef"].update(name="disk-bob"),
            "the volume pvc-ann is held for the claim students/disk-bob: set its reclaim policy",
        ),
        (lambda one: one["spec"].pop("claimRef"), "the volume pvc-ann is held for no claim: set its"),
        (
            lambda one: one["spec"]["claimRef"].update(uid="gone"),
            "the volume pvc-ann is held for an earlier claim of that name: remove its spec.claimRef.uid and run this",
        ),
    ],
)
def test_a_volume_that_is_something_else_is_refused(change: Any, sentence: str) -> None:
    wanted = state("ann")
    volume = copy.deepcopy(wanted["disks"][0]["volume"])
    change(volume)
    assert sentence in refused(wanted, _state.Found([], [], [volume], [], []))


def test_a_snapshot_that_is_another_one_is_refused() -> None:
    wanted = state("ann")
    found = test_state.served(wanted)
    (content,) = found.contents
    content["status"]["snapshotHandle"] = content["spec"]["source"]["snapshotHandle"] = "another"
    said = refused(wanted, found)
    assert "the snapshot is another, not handle-disk-ann-20261124-020000 as the state has it: set the deletion" in said
    # The same of a content that an earlier state has left.
    assert "the snapshot is another, not" in refused(wanted, _state.Found([], [], [], [], [content]))
    assert "the snapshot is not made yet, not" in refused(wanted, _state.Found([], [], [], found.snapshots, []))


# Waiting.

events = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.booleans()), max_size=30)


@given(events=events, wanted=st.sets(st.sampled_from("abcd")))
def test_waiting_ends_exactly_when_all_that_is_wanted_is_good(
    events: list[tuple[str, bool, bool]], wanted: set[str]
) -> None:
    done = _recovery.all_good({("n", name) for name in wanted}, lambda item: bool(item["good"]))
    there: dict[str, Object] = {}
    for name, good, gone in events:
        if gone:
            there.pop(name, None)
        else:
            there[name] = {"metadata": {"namespace": "n", "name": name}, "good": good}
        found = list(there.values())
        assert done(found) == all(name in there and there[name]["good"] for name in wanted)


def test_waiting_for_thousands_looks_at_each_only_a_few_times() -> None:
    count = 2000
    looked = 0

    def good(item: Object) -> bool:
        nonlocal looked
        looked += 1
        return bool(item["good"])

    found = [{"metadata": {"namespace": "n", "name": str(number)}, "good": False} for number in range(count)]
    done = _recovery.all_good({("n", str(number)) for number in range(count)}, good)
    for item in found:
        assert not done(found)
        item["good"] = True
    assert done(found)
    assert looked < 5 * count
