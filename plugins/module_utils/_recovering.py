# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gives a fresh cluster what a lost one had: does in the cluster what ``_recovery`` decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _disks,
    _kube,
    _lock,
    _manifests,
    _progress,
    _recovery,
    _snapshots,
    _state,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]
Key = _recovery.Key


@dataclass
class Outcome:
    """What was done, or would be, for one thing of the state."""

    item: Object
    changed: bool = False
    failed: str = ""
    more: Object = field(default_factory=dict)

    def told(self) -> Object:
        """Return what a person is told of it."""
        namespace, name = _recovery.key_of(self.item)
        return {"namespace": namespace, "name": name, "changed": self.changed, "failed": self.failed, **self.more}


class Recovering:
    """One recovery."""

    def __init__(self, kube: _kube.Kube, parameters: Mapping[str, Any], check_mode: bool) -> None:
        self._kube = kube
        self._state: Object = parameters["state"]
        self._parameters = parameters
        self._check_mode = check_mode
        self._progress = _progress.Progress(parameters.get("progress_file"))
        self._deadline = 0.0
        self._secrets = {_recovery.key_of(item): Outcome(item) for item in self._state["secrets"]}
        self._disks: dict[Key, Outcome] = {}
        for one in self._state["disks"]:
            more = {"student": _recovery.student_of(one["claim"]), "volume": one["volume"]["metadata"]["name"]}
            self._disks[_recovery.key_of(one["claim"])] = Outcome(one["claim"], more=more)
        self._snapshots: dict[Key, Outcome] = {}
        for one in self._state["snapshots"]:
            more = {"student": _recovery.student_of(one["snapshot"])}
            self._snapshots[_recovery.key_of(one["snapshot"])] = Outcome(one["snapshot"], more=more)

    def __call__(self) -> dict[str, Any]:
        if self._state["version"] != _state.VERSION:
            raise CoursehubError(f"the state is of version {self._state['version']}, not {_state.VERSION}")
        if self._check_mode:
            plan = self._look()
            self._note(plan)
        else:
            self._check_cluster()
            with ExitStack() as stack:
                locks = [
                    stack.enter_context(_lock.Lock(self._kube, namespace, self._parameters["lock_timeout"]))
                    for namespace in self._students_namespaces()
                ]
                self._deadline = time.monotonic() + self._parameters["wait_timeout"]
                plan = self._look()
                self._note(plan)
                self._make(plan)
                self._await()
                for lock in locks:
                    lock.check()
        return self._result(plan)

    def _check_cluster(self) -> None:
        """Raise CoursehubError where the cluster can't take the state at all."""
        for namespace in self._state["namespaces"]:
            if self._kube.get("v1", "Namespace", namespace) is None:
                raise CoursehubError(f"there is no namespace {namespace}: let the roles make it first")
        if self._state["snapshots"]:
            try:
                self._kube.resource(*_state.CONTENT)
            except _kube.ApiError as error:
                raise CoursehubError(f"{error}: let the role storage define snapshots first") from error

    def _students_namespaces(self) -> list[str]:
        return sorted({key[0] for key, one in self._disks.items() if _disks.is_disk(one.item)})

    def _look(self) -> _recovery.Plan:
        """Read what is there, and decide. Raises CoursehubError where something else is in the way."""

        def found(kind: tuple[str, str], *namespaces: str | None) -> dict[Key, Object]:
            listed = [item for namespace in namespaces for item in self._kube.list(*kind, namespace)]
            return {_recovery.key_of(item): item for item in listed}

        namespaces = self._state["namespaces"]
        live = _recovery.Live(
            secrets=found(_state.SECRET, *namespaces),
            claims=found(_state.CLAIM, *namespaces),
            volumes=found(_state.VOLUME, None),
            snapshots=found(_state.SNAPSHOT, *namespaces),
            contents=found(_state.CONTENT, None),
        )
        return _recovery.plan(self._state, live)

    def _note(self, plan: _recovery.Plan) -> None:
        """Note what is to be done for each thing."""
        for key, one in self._secrets.items():
            one.changed, one.more = key in plan.secrets, {"differing": plan.differing.get(key, [])}
        for key, one in self._disks.items():
            one.changed = key in plan.claims or ("", one.more["volume"]) in plan.volumes
        for key, one in self._snapshots.items():
            one.changed = key in plan.snapshots

    def _make(self, plan: _recovery.Plan) -> None:
        """Make what is lacking: what is referred to comes first, and where it failed, what refers to it is left out."""
        self._each("making secrets", plan.secrets, self._apply, self._secrets)
        holders = {("", one.more["volume"]): key for key, one in self._disks.items()}
        self._each("making volumes", plan.volumes, self._kube.create, self._disks, holders)
        self._each("making disks", self._left(plan.claims, self._disks), self._kube.create, self._disks)
        shown = {("", _state.content_name(one.item)): key for key, one in self._snapshots.items()}
        self._each("showing snapshots", plan.contents, self._kube.create, self._snapshots, shown)
        snapshots = self._left(plan.snapshots, self._snapshots)
        self._each("making snapshots", snapshots, self._kube.create, self._snapshots)

    @staticmethod
    def _left(items: Mapping[Key, Object], outcomes: Mapping[Key, Outcome]) -> dict[Key, Object]:
        return {key: item for key, item in items.items() if not outcomes[key].failed}

    def _each(
        self,
        name: str,
        items: Mapping[Key, Object],
        make: Callable[[Object], None],
        outcomes: Mapping[Key, Outcome],
        owners: Mapping[Key, Key] | None = None,
    ) -> None:
        with self._progress.phase(name, len(items)) as phase:
            _results, errors = _bulk.each(items, lambda key: make(items[key]), progress=phase)
        for key, error in errors.items():
            one = outcomes[owners[key] if owners else key]
            one.changed, one.failed = False, f"{_manifests.describe(items[key])} was refused: {error}"

    def _apply(self, secret: Object) -> None:
        """Make a Secret as the roles do that keep it, so that they own each of its keys."""
        namespace, name = _recovery.key_of(secret)
        query = {"fieldManager": _kube.FIELD_MANAGER, "force": "true"}
        self._kube.request("PATCH", self._kube.path(*_state.SECRET, namespace, name), secret, **query)

    def _await(self) -> None:
        """Wait for claims by one watch, then for snapshots by another; note which of them didn't come."""
        seconds = self._parameters["wait_timeout"]
        volumes = {key: one.more["volume"] for key, one in self._disks.items()}

        def bound(claim: Object) -> bool:
            return _recovery.bound(claim, volumes.get(_recovery.key_of(claim), ""))

        for key, claim in self._missing("binding disks", _state.CLAIM, self._disks, bound):
            self._disks[key].failed = _recovery.why_not_bound(claim, seconds)
        if self._parameters["wait_snapshots"]:
            now = datetime.now(UTC)
            for key, item in self._missing("waiting for snapshots", _state.SNAPSHOT, self._snapshots, _recovery.ready):
                seen = _snapshots.shot(item, now, 0) if item is not None else None
                self._snapshots[key].failed = _snapshots.not_ready(key[1], seen, seconds)

    def _missing(
        self, name: str, kind: tuple[str, str], outcomes: Mapping[Key, Outcome], good: Callable[[Object], bool]
    ) -> Iterator[tuple[Key, Object | None]]:
        """Wait; yield those that are not good when the time is up, as they were seen last."""
        wanted = {key for key, one in outcomes.items() if not one.failed}
        if not wanted:
            return
        with self._progress.phase(name, len(wanted)) as phase:
            found = self._kube.wait(*kind, None, _recovery.all_good(wanted, good, phase.done), self._deadline)
        seen = {_recovery.key_of(item): item for item in found}
        for key in sorted(wanted):
            item = seen.get(key)
            if item is None or not good(item):
                yield key, item

    def _result(self, plan: _recovery.Plan) -> dict[str, Any]:
        outcomes = {"secrets": self._secrets, "disks": self._disks, "snapshots": self._snapshots}
        made = [item for part in vars(plan).values() for item in part.values() if isinstance(item, dict)]
        return {
            "changed": any(one.changed for part in outcomes.values() for one in part.values()),
            **{name: [one.told() for one in part.values()] for name, part in outcomes.items()},
            "diff": {"before": "", "after": "".join(f"{_manifests.describe(item)}\n" for item in made)},
        }
