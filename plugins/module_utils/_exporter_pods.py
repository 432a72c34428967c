# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Jobs of the exporter, and their pods, tell: of each student, and why they tell no more; without I/O."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import parse_time
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._exporter import MEMORY
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._worker import HOPELESS, why_waiting

Object = dict[str, Any]

# What is to be done about a node that keeps a pod and its disks, and has gone.
AWAY = (
    "its pod is on the node {node}, which is not ready: if that machine is off, delete the node, or taint it"
    " (kubectl taint nodes {node} node.kubernetes.io/out-of-service=off:NoExecute), " + f"then {_bulk.AGAIN}"
)


@dataclass(frozen=True)
class End:
    """What a Job told of students, why it told of no others, and whether another Job may tell more."""

    told: dict[str, Object]
    reason: str = ""
    again: bool = False


def end(pods: Iterable[Object], logs: Mapping[str, str], students: Collection[str], why: str) -> End:
    """Return the end of a Job, from all of its pods: one that was killed may have told of some.

    ``logs`` is by pod, of those that have ended. ``why`` is why the Job failed, empty where it did not.
    """
    every = by_age(pods)
    found = told_by(every, logs, students)
    last = last_pod(every)
    said = told_at_end(last) if last and why and not found else ""
    if said:
        return End(found, said)
    if last or not why:
        return End(found, "nothing is known of its end: the log of its pod is lost", again=True)
    killed = f"its Job ended without a result: {why}{why_killed(every)}"
    return End(found, killed, again=len(students) > 1)


def told_by(pods: Iterable[Object], logs: Mapping[str, str], students: Collection[str]) -> dict[str, Object]:
    """Return what the pods of a Job tell of students: of what several tell the newest pod's counts."""
    found: dict[str, Object] = {}
    for pod in by_age(pods):
        found |= results(logs.get(pod["metadata"]["name"], ""), students)
    return found


def ended(item: Object) -> str | None:
    """Return why a Job failed, an empty string where it did not, None while it is at work."""
    for one in item.get("status", {}).get("conditions") or []:
        if one.get("status") == "True" and one["type"] in ("Complete", "Failed"):
            return "" if one["type"] == "Complete" else str(one.get("message") or one.get("reason") or "it failed")
    return None


def hopeless(pods: Iterable[Object]) -> str:
    """Return why a Job's pod will not start by waiting longer, an empty string where it may."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses") or []:
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") in HOPELESS:
                return f"its pod can't start: {waiting.get('message') or waiting['reason']}"
    return ""


def why_not_started(pods: Iterable[Object]) -> str:
    """Return why the newest pod of a Job is not at work, an empty string where it is, or waits for a node.

    For a node a cluster may have to grow, or the quota of exports to have room; nothing is wrong then.
    """
    every = by_age(pods)
    if not every:
        return "it has no pod: does a quota or an admission policy refuse it (kubectl describe job)?"
    status = every[-1].get("status", {})
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or []}
    if status.get("phase") != "Pending" or conditions.get("PodScheduled", "False") != "True":
        return ""
    return f"{why_waiting(every[-1])} (kubectl describe pod {every[-1]['metadata']['name']})"


def going_s(pod: Object, now: datetime) -> float:
    """Return how long ago a pod should have ended that was asked to, in seconds; 0 for one that was not."""
    moment = pod["metadata"].get("deletionTimestamp")
    return (now - parse_time(moment)).total_seconds() if moment else 0.0


def node_away(pods: Iterable[Object], nodes: Iterable[Object]) -> str:
    """Return the node of one of the pods that is not ready, or is gone; an empty string where all are ready."""
    ready = {
        item["metadata"]["name"]
        for item in nodes
        for one in item.get("status", {}).get("conditions") or []
        if (one["type"], one["status"]) == ("Ready", "True")
    }
    names = (str(pod["spec"].get("nodeName") or "") for pod in pods)
    return next((name for name in names if name and name not in ready), "")


def by_age(pods: Iterable[Object]) -> list[Object]:
    """Return pods, the oldest first."""
    return sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def last_pod(pods: Iterable[Object]) -> Object | None:
    """Return the pod of a Job that ended last by itself; one that was killed has not told of all."""
    done = [pod for pod in by_age(pods) if exit_code(pod) in (0, 1)]
    return done[-1] if done else None


def exit_code(pod: Object) -> int | None:
    """Return how a pod's container ended, None where it has not."""
    containers = pod.get("status", {}).get("containerStatuses") or [{}]
    code = containers[0].get("state", {}).get("terminated", {}).get("exitCode")
    return None if code is None else int(code)


def why_killed(pods: Iterable[Object]) -> str:
    """Return what is known of the end of a Job's last pod, for a sentence."""
    for pod in reversed(by_age(pods)):
        containers = pod.get("status", {}).get("containerStatuses") or [{}]
        if containers[0].get("state", {}).get("terminated", {}).get("reason") == "OOMKilled":
            return f", its home takes more memory than the {MEMORY} of a pod: leave folders of many files out (exclude)"
        if pod.get("status", {}).get("reason") == "Evicted":
            message = str(pod["status"].get("message") or "its node lacks something").strip().rstrip(".")
            return f", its pod was evicted ({message}): look at the disks of the nodes, then {_bulk.AGAIN}"
    return f": {_bulk.AGAIN}"


def told_at_end(pod: Object) -> str:
    """Return the sentence with which the exporter refused all of its request, an empty string where there is none."""
    containers = pod.get("status", {}).get("containerStatuses") or [{}]
    message = containers[0].get("state", {}).get("terminated", {}).get("message") or ""
    try:
        told = json.loads(message)
        return str(told["failed"])
    except (ValueError, TypeError, KeyError):
        return message.strip().splitlines()[-1] if message.strip() else ""


def results(log: str, students: Collection[str]) -> dict[str, Object]:
    """Return what a log tells of students: of several lines of one student the last counts."""
    found: dict[str, Object] = {}
    # Not splitlines(): in JSON a name may have U+2028 as it is.
    for line in log.split("\n"):
        if line.startswith("{"):
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and "outcome" in told and told.get("student") in students:
                found[told["student"]] = told
    return found
