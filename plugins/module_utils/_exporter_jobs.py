# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the exporter's Jobs: makes them, waits for what they tell, and removes them."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _course, _exporter, _exporter_pods
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._exporter_pods import End

Object = dict[str, Any]

JOB, POD = ("batch/v1", "Job"), ("v1", "Pod")
# What removing one may take: one that a lost node has does not go, and the others' are not to wait for that.
CLEANING_S = 120
# What a pod may take to start that has a node. One student's is not to keep a slot for hours.
START_S = 600
# How long a pod may be on its way out, on a node that is not ready, before it counts as lost: nothing follows it then.
LOST_S = 300
NOT_DONE = f"it was not done before the timeout; it goes on where it was: {_bulk.AGAIN}"
# What reading the log of a pod may take that did not end by itself: its kubelet may be away with its node.
TOLD_S = 30
# How often a Job that says nothing is looked at: the image of its pod may not be there.
LOOK_S = 30


class Jobs:
    """The exporter's Jobs in a namespace. ``deadline`` is in ``time.monotonic`` seconds.

    ``warnings`` takes what could not be removed, in sentences.
    """

    def __init__(self, course: _course.Course, image: str, deadline: float, warnings: list[str]) -> None:
        self._course = course
        self._kube = course.kube
        self._namespace = course.namespace
        self._image = image
        self._deadline = deadline
        # In each Job's name: one of an earlier run that does not go is not taken for ours.
        self._run = uuid.uuid4().hex[:6]
        # The Jobs that did not go, by the claims that they have, and what to do about them.
        self._held: dict[str, tuple[str, str]] = {}
        self._warnings = warnings

    def see_going(self, claim: str = "") -> None:
        """Raise CoursehubError where nothing more is to be begun: the time is over, or a Job that stays has a claim."""
        if time.monotonic() >= self._deadline:
            raise CoursehubError(NOT_DONE)
        if claim in self._held:
            job, sentence = self._held[claim]
            if self._kube.get(*JOB, job, self._namespace) is not None:
                raise CoursehubError(sentence)
            del self._held[claim]

    def names(self) -> list[str]:
        """Return the names of all Jobs that there are."""
        found = self._kube.list(*JOB, self._namespace, labelSelector=_exporter.LABEL)
        return [item["metadata"]["name"] for item in found]

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
            alone = End({}, end.reason)
            if end.again:
                try:
                    self.see_going(task.state)
                    alone = self._do(replace(task, name=f"{task.name}-{number}", people=[person]))
                except CoursehubError as error:
                    alone = End({}, str(error))
            student = person.account.student
            told[student] = alone.told.get(student) or {"failed": alone.reason}
        return {student: answer or {} for student, answer in told.items()}

    def _do(self, task: _exporter.Task) -> End:
        self._course.still_alone()
        name = f"{task.name}-{self._run}"
        # A Job that ends by its own deadline takes its pods' logs along: ours, which reads them, is to come before.
        left = int(self._deadline - time.monotonic()) + TOLD_S
        self._kube.create(_exporter.job(replace(task, name=name), self._namespace, self._image, left))
        try:
            return self._await(name, [person.account.student for person in task.people])
        finally:
            self.remove(name)

    def _await(self, name: str, students: list[str]) -> End:
        def done(found: list[Object]) -> bool:
            return not found or _exporter_pods.ended(found[0]) is not None

        at_work = time.monotonic()
        while True:
            until = min(self._deadline, time.monotonic() + LOOK_S)
            found = self._kube.wait(*JOB, self._namespace, done, until, fieldSelector=f"metadata.name={name}")
            pods = self._pods(name)
            if not found:
                return self._given_up(pods, students, f"its Job {name} is gone: was it removed by hand? {_bulk.AGAIN}")
            why = _exporter_pods.ended(found[0])
            if why is not None:
                return _exporter_pods.end(pods, self._logs(_ended(pods), self._deadline), students, why)
            if hopeless := _exporter_pods.hopeless(pods):
                return self._given_up(pods, students, hopeless)
            if time.monotonic() >= self._deadline:
                return self._given_up(pods, students, NOT_DONE)
            if lost := self._lost(pods):
                return self._given_up(pods, students, lost)
            waits = _exporter_pods.why_not_started(pods)
            if not waits:
                at_work = time.monotonic()
            elif time.monotonic() >= at_work + START_S:
                why = f"its Job {name} did not start: {waits}: {_bulk.AGAIN} when that is mended"
                return self._given_up(pods, students, why)

    def _given_up(self, pods: list[Object], students: list[str], why: str) -> End:
        """Return the end of a Job that is removed before it ended: of some students it may have told all the same."""
        logs = self._logs(pods, min(self._deadline, time.monotonic() + TOLD_S))
        return End(_exporter_pods.told_by(pods, logs, students), why)

    def _lost(self, pods: list[Object]) -> str:
        now = datetime.now(UTC)
        going = [pod for pod in pods if _exporter_pods.going_s(pod, now) >= LOST_S]
        node = _exporter_pods.node_away(going, self._kube.list("v1", "Node")) if going else ""
        return _exporter_pods.AWAY.format(node=node) if node else ""

    def _pods(self, job: str) -> list[Object]:
        return self._kube.list(*POD, self._namespace, labelSelector=f"{_exporter.JOB_NAME_LABEL}={job}")

    def _logs(self, pods: list[Object], until: float) -> dict[str, str]:
        """Return what pods have said, by their names, without what is lost; it is waited for until then."""

        def log(pod: str) -> str:
            return self._kube.text(f"{self._kube.path(*POD, self._namespace, pod)}/log", until)

        logs, _lost = _bulk.each([str(pod["metadata"]["name"]) for pod in pods], log)
        return logs

    def remove(self, name: str) -> None:
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
            self._warnings.append(sentence)


def _ended(pods: list[Object]) -> list[Object]:
    return [pod for pod in pods if _exporter_pods.exit_code(pod) is not None]
