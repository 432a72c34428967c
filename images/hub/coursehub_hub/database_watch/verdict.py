"""What is wrong, what is to be done, and when it is said; without I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

# So many results of one kind in a row are believed: a database that is started anew is away for a few seconds.
IN_A_ROW = 3
LOG_S = 60
# Kubernetes forgets Events after an hour, by default.
EVENT_S = 1800
NOT_WRITABLE, WRITABLE = "DatabaseNotWritable", "DatabaseWritable"
# By which the playbook status finds them.
LABELS = {"app.kubernetes.io/name": "hub"}
# What the role calls PostgreSQL in the cluster.
IN_CLUSTER = "hub-postgresql"
# k8s.io/kubernetes/pkg/apis/core/validation/events.go, NoteLengthLimit, in bytes.
_MOST = 1024
_GROW = "set coursehub_hub_database_size to more, and run the playbook site again"
Object = dict[str, Any]


class UnknownError(Exception):
    """A try says nothing: somebody else writes just now, or there is no database yet."""


class Kind(StrEnum):
    """Why a write came to nothing."""

    FULL = "its disk is full"
    READ_ONLY = "it can only be read"
    AWAY = "it does not answer"
    OTHER = "it refuses to"


@dataclass(frozen=True)
class Problem:
    """A write that came to nothing, and in which words."""

    kind: Kind
    words: str


@dataclass(frozen=True)
class Pod:
    """The pod that says it."""

    name: str
    namespace: str
    uid: str


@dataclass(frozen=True)
class Saying:
    """What is to be said after a try: a line of the log, an Event."""

    log: bool = False
    event: bool = False


class Verdict:
    """Whether the database can be written to, by one try after the other; times in seconds of one clock."""

    def __init__(self) -> None:
        self.well: bool | None = None
        self._last: bool | None = None
        self._in_a_row = 0
        self._logged = self._told = -math.inf

    def tried(self, well: bool, now: float) -> Saying:
        """Note how a try ended; return what is to be said now.

        That it is well is said once, also by a hub that has just begun: of the one before it may stand otherwise.
        """
        self._in_a_row = self._in_a_row + 1 if well == self._last else 1
        self._last = well
        before = self.well
        if self._in_a_row >= IN_A_ROW and well != before:
            self.well = well
            self._logged = self._told = -math.inf
        if well != self.well:
            return Saying()
        if well:
            return Saying(log=before is False, event=self._told == -math.inf)
        log = now - self._logged >= LOG_S
        if log:
            self._logged = now
        return Saying(log, now - self._told >= EVENT_S)

    def told(self, now: float) -> None:
        """Note that the Event was taken. One that was not is made again at the next try."""
        self._told = now


def sentence(problem: Problem, url: str, pod: Pod) -> str:
    """Return what staff are told. ``url`` is the database's, empty for SQLite."""
    words = " ".join(problem.words.split())
    return (
        "The hub can't write to its database, so nobody can log in or start a server; students at work go on."
        f" Reason: {problem.kind} ({words}). {_remedy(problem.kind, url, pod)}."
    )


def _remedy(kind: Kind, url: str, pod: Pod) -> str:
    host = urlsplit(url).hostname or ""
    outside = bool(url) and host.partition(".")[0] != IN_CLUSTER
    disk = f"the disk of {host}" if outside else f"the claim {IN_CLUSTER if url else 'hub-database'}"
    if kind is Kind.FULL:
        return f"Give {disk} more room" if outside else f"It is on {disk}: {_GROW}"
    if kind is Kind.READ_ONLY and not url:
        return (
            "Its file system has turned read-only, of which the kernel's log of the pod's node says why; a new pod has"
            f" it mounted anew: kubectl --namespace {pod.namespace} delete pod {pod.name}"
        )
    if kind is Kind.READ_ONLY and outside:
        return (
            f"{host} is a replica, or was set to read only: make it writable, or let coursehub_hub_database_url lead to"
            " one that is"
        )
    if kind is Kind.READ_ONLY:
        return (
            "Look whether somebody set default_transaction_read_only, and at the kernel's log of its node:"
            f" kubectl --namespace {pod.namespace} logs deployment/{IN_CLUSTER}"
        )
    if outside:
        return f"Look at {host}, and at the way there"
    if url:
        return (
            f"kubectl --namespace {pod.namespace} logs deployment/{IN_CLUSTER} says more. If the playbook status calls"
            f" {disk} full: {_GROW}"
        )
    return f"If the playbook status calls {disk} full: {_GROW}. Else the kernel's log of the pod's node says more"


def event(pod: Pod, reason: str, text: str, now: datetime) -> Object:
    """Return the Event of a pod: a warning, or that it is well."""
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        # As client-go names them, by a time that no other one has.
        "metadata": {
            "name": f"{pod.name}.{int(now.timestamp() * 1e6):x}",
            "namespace": pod.namespace,
            "labels": LABELS,
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod.name,
            "namespace": pod.namespace,
            "uid": pod.uid,
        },
        "type": "Normal" if reason == WRITABLE else "Warning",
        "reason": reason,
        "message": text.encode()[:_MOST].decode(errors="ignore"),
        "source": {"component": "coursehub"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
