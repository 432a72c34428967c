# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the exporter's Jobs, and makes the disks that they read from."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _accounts,
    _bulk,
    _claims,
    _course,
    _disks,
    _exporter,
    _exporter_pods,
    _restore,
    _slots,
    _snapshots,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

JOB, POD = ("batch/v1", "Job"), ("v1", "Pod")
# What removing one thing may take: one that a lost node has does not go, and the others' are not to wait for that.
CLEANING_S = 120
# What a driver may take to make a disk, and a pod to start that has a node. One student's is not to keep a slot for
# hours.
BOUND_S = 600
START_S = 600
# How long a pod may be on its way out, on a node that is not ready, before it counts as lost: nothing follows it then.
LOST_S = 300
NOT_DONE = f"it was not done before the timeout; it goes on where it was: {_bulk.AGAIN}"
# How often a Job that says nothing is looked at: the image of its pod may not be there.
LOOK_S = 30


@dataclass(frozen=True)
class _End:
    """What a Job told of students, why it told of no others, and whether another Job may tell more."""

    told: dict[str, Object]
    reason: str = ""
    again: bool = False


class Exporter:
    """The exporter's Jobs in a namespace. ``deadline`` is in ``time.monotonic`` seconds.

    Whoever uses it holds the lock for exports: what it finds of other Jobs is of a run that was killed.
    """

    def __init__(self, course: _course.Course, image: str, deadline: float) -> None:
        self._course = course
        self._kube = course.kube
        self._namespace = course.namespace
        self._image = image
        self._deadline = deadline
        self._claims = _claims.Claims(course.kube, course.namespace, deadline)
        # In each Job's name: one of an earlier run that does not go is not taken for ours.
        self._run = uuid.uuid4().hex[:6]
        # The Jobs that did not go, by the claims that they have, and what to do about them.
        self._held: dict[str, tuple[str, str]] = {}
        # What could not be removed, in sentences.
        self.warnings: list[str] = []

    def await_bound(self, claim: str, complaint: str) -> Object:
        """Wait some minutes until a claim has its volume; return the claim. Raises CoursehubError."""
        until = min(self._deadline, time.monotonic() + BOUND_S)
        return _claims.Claims(self._kube, self._namespace, until).await_bound(claim, complaint)

    def see_going(self, claim: str = "") -> None:
        """Raise CoursehubError where nothing more is to be begun: the time is over, or a Job that stays has a claim."""
        if time.monotonic() >= self._deadline:
            raise CoursehubError(NOT_DONE)
        if claim in self._held:
            job, sentence = self._held[claim]
            if self._kube.get(*JOB, job, self._namespace) is not None:
                raise CoursehubError(sentence)
            del self._held[claim]

    def sweep(self) -> None:
        """Remove what a run that was killed has left: its Jobs, its clones, and their volumes. States stay."""
        jobs = self._kube.list(*JOB, self._namespace, labelSelector=_exporter.LABEL)
        self._each([item["metadata"]["name"] for item in jobs], self._remove)
        selector = f"{_exporter.CLAIM_LABEL}={_exporter.CLONE}"
        claims = self._kube.list(*_claims.CLAIM, self._namespace, labelSelector=selector)
        self._release_all([item["metadata"]["name"] for item in claims])
        self.forget_volumes()

    def forget_volumes(self) -> None:
        """Let volumes go whose clone is gone: one that was removed before it was bound gets its volume all the same.

        The driver finishes what it began, and with Retain the volume would stay for ever.
        """
        self._course.still_alone()
        try:
            volumes = self._kube.list(*_claims.VOLUME)
            # The claims after the volumes: of a volume that is seen the claim is there, or was removed.
            claims = self._kube.list(*_claims.CLAIM, self._namespace)
            lost = _exporter.without_claim(volumes, self._namespace, {item["metadata"]["uid"] for item in claims})
            _results, errors = _bulk.each(lost, self._claims.let_go)
        except CoursehubError as error:
            errors = {"": error}
        self.warnings += [
            f"a volume whose scratch disk is gone can't be removed ({name}): {error}: the next run tries again"
            for name, error in errors.items()
        ]

    def _release(self, name: str) -> None:
        """Remove a scratch disk with its volume; one of that name that no export made is left alone."""
        self._course.still_alone()
        found = self._claims.get(name)
        if found is not None and _exporter.is_clone(found):
            # Also where the time is over.
            _claims.Claims(self._kube, self._namespace, time.monotonic() + CLEANING_S).release(name)

    def _release_all(self, names: Iterable[str]) -> None:
        _results, errors = _bulk.each(names, self._release)
        self.warnings += [
            f"the scratch disk {name} can't be removed: {error}: the next run tries again"
            for name, error in errors.items()
        ]

    def _each(self, names: list[str], work: Any) -> None:
        _results, errors = _bulk.each(names, work)
        for name, error in errors.items():
            raise CoursehubError(f"{name}, which an earlier run left, can't be removed: {error}") from error

    def check_priority(self, name: str, jobs: int) -> None:
        """See that there is a PriorityClass of a name, or none is asked for, and room for so many Jobs at once: without
        them no pod of a Job would be made.

        The role makes it with its quota, and the network policy that lets the Jobs out. Raises CoursehubError.
        """
        if not name:
            return
        if self._kube.get("scheduling.k8s.io/v1", "PriorityClass", name) is None:
            raise CoursehubError(
                f"there is no PriorityClass {name}: set coursehub_drive_export_owner in the inventory and run the"
                " playbook site, which makes it, or leave out priority_class"
            )
        quota = self._kube.get("v1", "ResourceQuota", _exporter.QUOTA, self._namespace) or {}
        # One of them is for a pod that is about to be gone.
        room = int(quota.get("spec", {}).get("hard", {}).get("pods", jobs + 1)) - 1
        if jobs > room:
            raise CoursehubError(
                f"concurrency is {jobs}, and the quota {_exporter.QUOTA} of {self._namespace} has room for {room}: set"
                " coursehub_drive_export_concurrency in the inventory and run the playbook site, or lower it"
            )

    def secrets(self, accounts: Iterable[_accounts.Account]) -> tuple[dict[str, str], dict[str, str]]:
        """Return which Secrets of accounts are not there, and what is wrong with others, in sentences by Secret.

        Nothing of their content is kept.
        """
        wanted = dict.fromkeys(account.secret for account in accounts)
        found, errors = _bulk.each(wanted, lambda name: self._kube.get("v1", "Secret", name, self._namespace))
        absent = {name: f"there is no Secret {name} in {self._namespace}" for name, item in found.items() if not item}
        wrong = {
            name: f"the Secret {name} can't be looked at: {error}: let this account get it, then {_bulk.AGAIN}"
            for name, error in errors.items()
        }
        wrong |= {
            name: f"the Secret {name} has no {_accounts.KEY}: put what Google gave you there under this name"
            for name, item in found.items()
            if item and _accounts.KEY not in (item.get("data") or {})
        }
        return absent, wrong

    @contextmanager
    def clones(
        self, disks: Mapping[str, _disks.Disk], shots: Mapping[str, _snapshots.Shot]
    ) -> Iterator[tuple[dict[str, str], dict[str, CoursehubError]]]:
        """Make a disk from the snapshot of each student's; give the claims and what failed, by the student's own claim.

        They are removed with their volumes at the end. All are made on one node, which the Job's pod can then use.
        """
        node = self._node(disks)
        try:
            yield _bulk.each(disks, lambda claim: self._clone(disks[claim], shots[claim], node))
        finally:
            self._release_all([_exporter.clone_name(claim) for claim in disks])

    def _node(self, disks: Mapping[str, _disks.Disk]) -> str:
        for claim in disks:
            own = self._claims.get(claim)
            if own is not None:
                return self._claims.node_for(own)
        return ""

    def _clone(self, disk: _disks.Disk, shot: _snapshots.Shot, node: str) -> str:
        own = self._own(disk)
        shot = self._still_there(disk, shot)
        body = _exporter.clone(own, str(max(shot.size, disk.size)), shot.name, node)
        name = str(body["metadata"]["name"])
        self.see_going(name)
        self._claims.create(body)
        there = self._claims.get(name)
        if there is None or there["metadata"].get("deletionTimestamp"):
            raise CoursehubError(f"the scratch disk {name} of an earlier run is not gone yet: {_bulk.AGAIN}")
        if not _exporter.is_clone(there) or _restore.source_of(there) != shot.name:
            raise CoursehubError(
                f"there is a disk {name} that is no copy of the snapshot {shot.name}: remove it, or bring what is on it"
                " to a disk whose name does not begin so"
            )
        complaint = f"no disk could be made from the snapshot {shot.name}: look why (kubectl describe pvc {name})"
        found = self.await_bound(name, complaint)
        # At once: a run that is killed from here on leaves nothing that costs.
        self._claims.let_go(found["spec"]["volumeName"])
        return name

    def _own(self, disk: _disks.Disk) -> Object:
        own = self._claims.get(disk.claim)
        if own is None:
            raise CoursehubError(f"the disk {disk.claim} was removed meanwhile: {_bulk.AGAIN}")
        return own

    def _still_there(self, disk: _disks.Disk, shot: _snapshots.Shot) -> _snapshots.Shot:
        """See that a snapshot was not thinned out while other students were exported, which takes hours."""
        kind = (_snapshots.API_VERSION, _snapshots.KIND)
        found = self._kube.get(*kind, shot.name, self._namespace)
        if found is None or found["metadata"].get("deletionTimestamp"):
            raise CoursehubError(f"the snapshot {shot.name} was removed meanwhile: {_bulk.AGAIN}")
        return shot

    def keep_state(self, slot: _slots.Slot, disk: _disks.Disk) -> None:
        """Make the claim for the states of a slot, where there is none yet."""
        if self._claims.get(slot.claim) is not None:
            return
        node = self._claims.node_for(self._own(disk))
        self._claims.create(_exporter.state_claim(slot, self._namespace, disk.storage_class, node))
        complaint = f"the claim {slot.claim} for the exporter's state got no volume: look why (kubectl describe pvc)"
        found = self.await_bound(slot.claim, complaint)
        # Else its volume would stay, and cost, when somebody removes the claim.
        self._claims.let_go(found["spec"]["volumeName"])

    def run(self, task: _exporter.Task) -> dict[str, Object]:
        """Do a task; return what it told of each student. A student of whom it told nothing has ``failed``.

        Raises CoursehubError where it is not even begun.
        """
        self.see_going(task.state)
        end = self._do(task)
        told = {person.account.student: end.told.get(person.account.student) for person in task.people}
        missing = [person for person in task.people if not told[person.account.student]]
        for number, person in enumerate(missing):
            # Once more where what it told is lost, as with its node, or where it was killed again and again. By
            # themselves: one whose home is too large for the memory takes no other along.
            alone = _End({}, end.reason)
            if end.again:
                try:
                    self.see_going(task.state)
                    alone = self._do(replace(task, name=f"{task.name}-{number}", people=[person]))
                except CoursehubError as error:
                    alone = _End({}, str(error))
            student = person.account.student
            told[student] = alone.told.get(student) or {"failed": alone.reason}
        return {student: answer or {} for student, answer in told.items()}

    def _do(self, task: _exporter.Task) -> _End:
        self._course.still_alone()
        name = f"{task.name}-{self._run}"
        left = int(self._deadline - time.monotonic())
        self._kube.create(_exporter.job(replace(task, name=name), self._namespace, self._image, left))
        try:
            return self._await(name, [person.account.student for person in task.people])
        finally:
            self._remove(name)

    def _await(self, name: str, students: list[str]) -> _End:
        def done(found: list[Object]) -> bool:
            return not found or _exporter_pods.ended(found[0]) is not None

        at_work = time.monotonic()
        while True:
            until = min(self._deadline, time.monotonic() + LOOK_S)
            found = self._kube.wait(*JOB, self._namespace, done, until, fieldSelector=f"metadata.name={name}")
            pods = self._pods(name)
            if not found:
                return _End({}, f"its Job {name} is gone: was it removed by hand? {_bulk.AGAIN}")
            why = _exporter_pods.ended(found[0])
            if why is not None:
                return self._told(pods, students, why)
            if hopeless := _exporter_pods.hopeless(pods):
                return _End({}, hopeless)
            if time.monotonic() >= self._deadline:
                return _End({}, NOT_DONE)
            if lost := self._lost(pods):
                return _End({}, lost)
            waits = _exporter_pods.why_not_started(pods)
            if not waits:
                at_work = time.monotonic()
            elif time.monotonic() >= at_work + START_S:
                return _End({}, f"its Job {name} did not start: {waits}: {_bulk.AGAIN} when that is mended")

    def _told(self, pods: list[Object], students: list[str], why: str) -> _End:
        """Return what all pods of a Job that has ended told: one that was killed may have told of some."""
        told: dict[str, Object] = {}
        for pod in _exporter_pods.by_age(pods):
            if _exporter_pods.exit_code(pod) is not None:
                told |= _exporter_pods.results(self._log(pod["metadata"]["name"]), students)
        last = _exporter_pods.last_pod(pods)
        said = _exporter_pods.told_at_end(last) if last and why and not told else ""
        if said:
            return _End(told, said)
        if last or not why:
            return _End(told, "nothing is known of its end: the log of its pod is lost", again=True)
        killed = f"its Job ended without a result: {why}{_exporter_pods.why_killed(pods)}"
        return _End(told, killed, again=len(students) > 1)

    def _lost(self, pods: list[Object]) -> str:
        now = datetime.now(UTC)
        going = [pod for pod in pods if _exporter_pods.going_s(pod, now) >= LOST_S]
        node = _exporter_pods.node_away(going, self._kube.list("v1", "Node")) if going else ""
        return _exporter_pods.AWAY.format(node=node) if node else ""

    def _pods(self, job: str) -> list[Object]:
        return self._kube.list(*POD, self._namespace, labelSelector=f"{_exporter.JOB_NAME_LABEL}={job}")

    def _log(self, pod: str) -> str:
        """Return what a pod has said, an empty string where that is lost."""
        try:
            return self._kube.text(f"{self._kube.path(*POD, self._namespace, pod)}/log")
        except CoursehubError:
            return ""

    def _remove(self, name: str) -> None:
        """Remove a Job and wait until its pods are gone: their claims can't go before, and are held where it stays."""
        self._course.still_alone()
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        self._kube.delete(*JOB, name, self._namespace, options)
        deadline = time.monotonic() + CLEANING_S
        selector = f"metadata.name={name}"
        left = self._kube.wait(*JOB, self._namespace, lambda found: not found, deadline, fieldSelector=selector)
        for item in left:
            node = _exporter_pods.node_away(self._pods(name), self._kube.list("v1", "Node"))
            why = _exporter_pods.AWAY.format(node=node) if node else f"look at its pods, then {_bulk.AGAIN}"
            sentence = f"the Job {name} does not go: {why}"
            self._held |= dict.fromkeys(_exporter.claims_of(item), (name, sentence))
            self.warnings.append(sentence)
