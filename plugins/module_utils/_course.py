# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A course's disks and snapshots in the cluster: reads them, and takes and removes snapshots in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _disks,
    _kube,
    _progress,
    _restore,
    _snapshots,
    _usage,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class State:
    """What is there: the chosen disks, snapshots by claim, claims in use with their pods and nodes, and since when."""

    choice: _disks.Choice
    shots: dict[str, list[_snapshots.Shot]]
    in_use: dict[str, str]
    nodes: dict[str, str]
    looked_at: datetime


class Course:
    """The students' namespace of a cluster. Bulk work on it is told by ``progress``."""

    def __init__(self, kube: _kube.Kube, namespace: str, progress: _progress.Progress | None = None) -> None:
        self.kube = kube
        self.namespace = namespace
        self.progress = progress or _progress.Progress()
        # Raises where this run is not alone any more; asked before each thing that can't be undone.
        self.still_alone: Callable[[], None] = lambda: None

    def each(
        self, phase: str, items: Iterable[Item], work: Callable[[Item], Result], workers: int = _bulk.WORKERS
    ) -> tuple[dict[Item, Result], dict[Item, CoursehubError]]:
        """Do the work for each item as ``_bulk.each`` does, told as a phase of that name."""
        every = list(items)
        with self.progress.phase(phase, len(every)) as progress:
            return _bulk.each(every, work, workers, progress)

    def look(self, parameters: Mapping[str, Any], patience: float, *, allow_new: bool = False) -> State:
        """Read what is there. The pods first: what starts after that has a later start than ``looked_at``.

        With ``allow_new``, students who are named may have no disk yet.

        Raises CoursehubError for a choice of students that can't be made.
        """
        now = datetime.now(UTC)
        pods = self.kube.list("v1", "Pod", self.namespace)
        selector = parameters["selector"] or _disks.STUDENT_LABEL
        claims = self.kube.list("v1", "PersistentVolumeClaim", self.namespace, labelSelector=selector)
        if not parameters["selector"]:
            restoring = self.kube.list(
                "v1", "PersistentVolumeClaim", self.namespace, labelSelector=_restore.RESTORING_LABEL
            )
            claims += _restore.claims_away(restoring, claims)
        disks = [_disks.disk(claim) for claim in claims if _disks.is_disk(claim)]
        found = self.kube.list(
            _snapshots.API_VERSION, _snapshots.KIND, self.namespace, labelSelector=_disks.STUDENT_LABEL
        )
        shots = [_snapshots.shot(item, now, patience) for item in found if _snapshots.owned(item)]
        choice = _disks.choose(disks, parameters, allow_new=allow_new)
        in_use, nodes = _disks.claims_in_use(pods), _disks.nodes_of_claims(pods)
        return State(choice, _snapshots.by_claim(shots), in_use, nodes, now)

    def take(
        self, bodies: Mapping[str, Object], seconds: float, deadline: float
    ) -> tuple[dict[str, _snapshots.Shot], dict[str, str]]:
        """Take snapshots, claim -> object; return those that are good and what failed, both by claim.

        ``deadline`` is in ``time.monotonic`` seconds, ``seconds`` what a person set it to.
        """
        if not bodies:
            return {}, {}
        with self.progress.phase("taking snapshots", len(bodies)) as phase:
            good, failed = self._take(bodies, seconds, deadline, phase)
        return good, failed

    def _take(
        self, bodies: Mapping[str, Object], seconds: float, deadline: float, phase: _progress.Phase
    ) -> tuple[dict[str, _snapshots.Shot], dict[str, str]]:
        def ask(claim: str) -> Object:
            phase.started(claim)
            # One of the same name was asked for in the same second, and does as well.
            self.kube.create(bodies[claim])
            return bodies[claim]

        asked, refused = _bulk.each(bodies, ask)
        failed = {claim: f"the snapshot was refused: {error}" for claim, error in refused.items()}
        for claim in refused:
            phase.failed(claim)
        names = {body["metadata"]["name"]: claim for claim, body in asked.items()}
        seen = self._await(names, deadline, phase)
        good = {}
        for name, claim in names.items():
            one = seen.get(name)
            if one is not None and one.good:
                good[claim] = one
            else:
                failed[claim] = _snapshots.not_ready(name, one, seconds)
                phase.failed(claim)
        return good, failed

    def _await(self, names: Mapping[str, str], deadline: float, phase: _progress.Phase) -> dict[str, _snapshots.Shot]:
        """Wait for snapshots by one watch; return them as last seen, by name."""
        waiting = set(names)
        seen: dict[str, Object] = {}
        for found, changed in self.kube.follow(
            _snapshots.API_VERSION, _snapshots.KIND, self.namespace, deadline, labelSelector=_disks.STUDENT_LABEL
        ):
            seen = found
            for item in changed:
                name = item["metadata"]["name"]
                if name in waiting and (item.get("status") or {}).get("readyToUse") is True:
                    waiting.remove(name)
                    phase.done(names[name])
            if not waiting:
                break
        now = datetime.now(UTC)
        return {item["metadata"]["name"]: _snapshots.shot(item, now, 0) for item in seen.values()}

    def remove(self, snapshots: Iterable[str]) -> dict[str, CoursehubError]:
        """Remove snapshots; return what failed, by name."""
        return self.each("removing snapshots", snapshots, self.remove_one)[1]

    def remove_one(self, name: str) -> None:
        """Remove a snapshot; one that is gone is as wanted."""
        self.still_alone()
        self.kube.delete(_snapshots.API_VERSION, _snapshots.KIND, name, self.namespace)

    def usages(self) -> dict[str, _usage.Usage]:
        """Return the usage of the students' disks that pods have, by claim."""
        everywhere = _usage.of_all_disks(self.kube)
        return {claim: usage for (namespace, claim), usage in everywhere.items() if namespace == self.namespace}

    def await_unused(self, claims: Iterable[str], deadline: float) -> dict[str, str]:
        """Wait until no pod has one of the claims; return those that a pod still has, with the pod."""
        wanted = set(claims)

        def left(pods: list[Object]) -> dict[str, str]:
            return {claim: pod for claim, pod in _disks.claims_in_use(pods).items() if claim in wanted}

        return left(self.kube.wait("v1", "Pod", self.namespace, lambda pods: not left(pods), deadline))

    def mark_start(self, claim: str) -> None:
        """Write on a claim that a pod is to write to it, as the hub does when it starts a server."""
        path = self.kube.path("v1", "PersistentVolumeClaim", self.namespace, claim)
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        self.kube.merge(path, {"metadata": {"annotations": {_disks.LAST_START_ANNOTATION: moment}}})
