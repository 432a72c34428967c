# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a cluster lacks of a state, and what in it stands in the way; without I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _disks, _state
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]
# Namespace, empty for what is in none, and name.
Key = tuple[str, str]
AGAIN = f"and {_bulk.AGAIN}"


def key_of(item: Object) -> Key:
    """Return what tells an object from all others of its kind."""
    return item["metadata"].get("namespace") or "", item["metadata"]["name"]


def student_of(item: Object) -> str:
    """Return the student that a claim or a snapshot is of, an empty string where it is no student's."""
    annotations, labels = item["metadata"].get("annotations") or {}, item["metadata"].get("labels") or {}
    if _disks.STUDENT_LABEL not in labels:
        return ""
    return str(annotations.get(_disks.STUDENT_ANNOTATION) or labels[_disks.STUDENT_LABEL])


def whose(item: Object) -> str:
    """Return how a sentence names a claim or a snapshot: by its student, and by itself."""
    name, student = "/".join(key_of(item)), student_of(item)
    return f"{student} ({name})" if student else name


@dataclass(frozen=True)
class Live:
    """What is in a cluster already."""

    secrets: Mapping[Key, Object]
    claims: Mapping[Key, Object]
    volumes: Mapping[Key, Object]
    snapshots: Mapping[Key, Object]
    contents: Mapping[Key, Object]


@dataclass(frozen=True)
class Plan:
    """What is to be made, each by its own key; and the Secrets that are there with other values: key -> their keys."""

    secrets: dict[Key, Object] = field(default_factory=dict)
    volumes: dict[Key, Object] = field(default_factory=dict)
    claims: dict[Key, Object] = field(default_factory=dict)
    contents: dict[Key, Object] = field(default_factory=dict)
    snapshots: dict[Key, Object] = field(default_factory=dict)
    differing: dict[Key, list[str]] = field(default_factory=dict)


def plan(state: Object, live: Live) -> Plan:
    """Return what a cluster lacks. What is there and is the same is left alone, and so is a Secret, whatever is in it.

    Raises CoursehubError where something else is in its place, for all such things at once.
    """
    result, problems = Plan(), []
    for secret in state["secrets"]:
        _plan_secret(secret, live, result)
    places = {_state.disk_of(volume): volume for volume in live.volumes.values()}
    for disk in state["disks"]:
        problem = _wrong_disk(disk["claim"], disk["volume"], live, places)
        if problem:
            problems.append(f"{whose(disk['claim'])}: {problem}")
        else:
            _add(disk["volume"], live.volumes, result.volumes)
            _add(disk["claim"], live.claims, result.claims)
    for one in state["snapshots"]:
        problem = _wrong_snapshot(one["snapshot"], one["content"], live)
        if problem:
            problems.append(f"{whose(one['snapshot'])}: {problem}")
        elif key_of(one["snapshot"]) not in live.snapshots:
            _add(one["content"], live.contents, result.contents)
            _add(one["snapshot"], live.snapshots, result.snapshots)
    if problems:
        more = f"; and {len(problems) - _bulk.NAMED} more" if len(problems) > _bulk.NAMED else ""
        raise CoursehubError(f"nothing was changed: {'; '.join(problems[: _bulk.NAMED])}{more}")
    return result


def _add(item: Object, there: Mapping[Key, Object], wanted: dict[Key, Object]) -> None:
    if key_of(item) not in there:
        wanted[key_of(item)] = item


def _plan_secret(secret: Object, live: Live, result: Plan) -> None:
    key = key_of(secret)
    found = live.secrets.get(key)
    if found is None:
        result.secrets[key] = secret
        return
    # Something may run with the values that are there; a second run must not take back what the roles have set since.
    has, wanted = found.get("data") or {}, secret["data"]
    differing = sorted(name for name in {*has, *wanted} if has.get(name) != wanted.get(name))
    if differing:
        result.differing[key] = differing


def _wrong_disk(claim: Object, volume: Object, live: Live, places: Mapping[tuple[str, str], Object]) -> str:
    """Return what stands in the way of a disk, and what to do about it; an empty string where nothing does."""
    name, handle = volume["metadata"]["name"], _state.disk_of(volume)[1]
    there = live.claims.get(key_of(claim))
    if there is not None and there["spec"].get("volumeName") != name:
        has = there["spec"].get("volumeName")
        on = f"on the volume {has}" if has else "on no volume yet"
        return (
            f"the claim is {on}, not on {name} as the state has it: copy what is new on it, remove the claim, {AGAIN}"
        )
    same = places.get(_state.disk_of(volume))
    if same is not None and same["metadata"]["name"] != name:
        return (
            f"the disk {handle} is the volume {same['metadata']['name']} already: set its reclaim policy to Retain,"
            f" remove the volume, {AGAIN}"
        )
    found = live.volumes.get(key_of(volume))
    if found is None:
        return ""
    if same is None:
        return (
            f"the volume {name} is the disk {_state.disk_of(found)[1] or 'of no driver'}, not {handle} as the state has"
            f" it: set its reclaim policy to Retain, remove the volume, {AGAIN}"
        )
    holder = found["spec"].get("claimRef") or {}
    if (holder.get("namespace"), holder.get("name")) != key_of(claim):
        other = f"the claim {holder['namespace']}/{holder['name']}" if holder else "no claim"
        return f"the volume {name} is held for {other}: set its reclaim policy to Retain, remove the volume, {AGAIN}"
    if holder.get("uid") and (there is None or there["metadata"]["uid"] != holder["uid"]):
        return f"the volume {name} is held for an earlier claim of that name: remove its spec.claimRef.uid {AGAIN}"
    return ""


def _wrong_snapshot(snapshot: Object, content: Object, live: Live) -> str:
    handle = _state.handle_of(content)
    there = live.snapshots.get(key_of(snapshot))
    name = key_of(content)[1]
    if there is not None:
        source = there["spec"].get("source", {})
        name = (there.get("status") or {}).get("boundVolumeSnapshotContentName") or source.get(
            "volumeSnapshotContentName", ""
        )
    found = live.contents.get(("", name))
    has = _state.handle_of(found) if found is not None else ""
    if (there is None and found is None) or has == handle:
        return ""
    return (
        f"the snapshot is {has or 'not made yet'}, not {handle} as the state has it: set the deletion policy of its"
        f" content {name} to Retain, remove both, {AGAIN}"
    )


def all_good(
    wanted: Collection[Key], good: Callable[[Object], bool], seen: Callable[[Key], None] = lambda _key: None
) -> Callable[[list[Object]], bool]:
    """Return what tells of a collection whether all that is wanted is there and good.

    It is asked after every event, of which there are more than one an object: it looks on where it stopped. ``seen`` is
    called for each that it has found good on the way.
    """
    names = set(wanted)
    place = 0

    def done(found: list[Object]) -> bool:
        nonlocal place
        for number in range(place, len(found)):
            key = key_of(found[number])
            if key not in names:
                continue
            if not good(found[number]):
                place = number
                return False
            seen(key)
        place = 0
        return names <= {key_of(item) for item in found if good(item)}

    return done


def bound(claim: Object, volume: str) -> bool:
    """Tell whether a claim has its volume, and not one that someone else has given it meanwhile."""
    return (claim.get("status") or {}).get("phase") == "Bound" and claim["spec"].get("volumeName") == volume


def ready(snapshot: Object) -> bool:
    """Tell whether a snapshot can be restored."""
    return (snapshot.get("status") or {}).get("readyToUse") is True


def why_not_bound(claim: Object | None, seconds: float) -> str:
    """Return what is wrong with a claim that was waited for."""
    said = "it is gone"
    if claim is not None:
        phase = (claim.get("status") or {}).get("phase", "Pending")
        said = f"it is {phase.lower()}" if phase != "Bound" else f"someone made it on {claim['spec']['volumeName']}"
    return f"the claim was not bound to its volume after {seconds} s: {said}"
