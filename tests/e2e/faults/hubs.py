"""Which hub works: by what it says of itself, by its database, and by how its process ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from coursehub_hub.settings import APPLICATION
from coursehub_hub.standby.database import LOCK

from tests.e2e.cluster import HUB, Cluster, Object
from tests.e2e.faults.waits import seconds_until

DATABASE = "app.kubernetes.io/name=hub-postgresql"
# What tini makes of the signal by which a hub ends that can't prove its lock (SIGALRM).
FENCED = 142
LOOK_S = 0.2
# Who takes over has the lock a moment before it has ended the other one's sessions.
TAKING_OVER_S = 1
# Longer than any case that is watched.
LONG_S = 600
# The addresses of those who hold the lock, and of those who have sessions as a hub at work.
QUERY = f"""
SELECT coalesce((SELECT string_agg(DISTINCT host(client_addr), ',') FROM pg_locks JOIN pg_stat_activity USING (pid)
  WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = {LOCK}), ''),
 coalesce((SELECT string_agg(DISTINCT host(client_addr), ',') FROM pg_stat_activity
  WHERE application_name = '{APPLICATION}'), '')
"""
PSQL = ["psql", "--host=127.0.0.1", "--username=hub", "--no-psqlrc", "--no-align", "--tuples-only", "postgres"]
PROGRAM = f"""export PGPASSWORD="$PASSWORD"; printf '%s\\n' "$1" | timeout {LONG_S} {" ".join(PSQL)}"""
# To be run where the database is, which has the hub's password in PASSWORD.
COMMAND = ["sh", "-c", PROGRAM, "sh", f"{' '.join(QUERY.split())} \\watch {LOOK_S}"]


@dataclass(frozen=True)
class Look:
    """What the database said at a moment of ``time.monotonic``."""

    at: float
    holders: frozenset[str]
    sessions: frozenset[str]


def look(line: str, at: float) -> Look | None:
    """Read a line of what the program says; None for one that is no look."""
    holders, separator, sessions = line.strip().partition("|")
    if not separator:
        return None
    return Look(at, frozenset(filter(None, holders.split(","))), frozenset(filter(None, sessions.split(","))))


@contextmanager
def watched(cluster: Cluster) -> Iterator[list[Look]]:
    """Look into the database all the time that the block lasts; its pod must not be the one that is stopped."""
    (pod,) = cluster.pods(HUB, DATABASE)
    looks: list[Look] = []
    with cluster.following(pod["metadata"]["name"], HUB, *COMMAND) as lines:

        def read() -> None:
            for line in lines:
                one = look(line, time.monotonic())
                if one is not None:
                    looks.append(one)

        threading.Thread(target=read, daemon=True).start()
        seconds_until(lambda: bool(looks), 30)
        yield looks
        # One that could not look has seen no second hub either.
        assert time.monotonic() - looks[-1].at < 5, f"the database was not seen any more: {looks[-3:]}"


def never_two(looks: Sequence[Look], before: str, after: str) -> None:
    """Make sure that ``before`` worked, then ``after``, and that nothing of the first was left in the database.

    These are the addresses of their pods. A hub that works and has lost its sessions begins new ones within seconds.
    """
    assert any(before in one.holders and before in one.sessions for one in looks), f"{before} was never seen at work"
    taken = next((one.at for one in looks if after in one.holders), None)
    assert taken is not None, f"{after} never had the lock: {looks[-3:]}"
    for one in looks:
        if one.at < taken:
            assert one.holders <= {before}, one
            assert one.sessions <= {before}, one
        elif one.at > taken + TAKING_OVER_S:
            assert one.holders == {after}, one
            assert one.sessions <= {after}, one


def address(cluster: Cluster, pod: str) -> str:
    return str(_pod(cluster, pod)["status"]["podIP"])


def restarts(cluster: Cluster, pod: str) -> int:
    return sum(one["restartCount"] for one in _pod(cluster, pod)["status"]["containerStatuses"])


def is_gone(cluster: Cluster, pod: str) -> bool:
    return cluster.kube.get("v1", "Pod", pod, HUB) is None


def has_ended(cluster: Cluster, pod: str, before: int) -> bool:
    """Tell whether the container has that had been begun anew ``before`` times. The next one comes after a pause of the
    kubelet's, which gets longer each time."""
    return restarts(cluster, pod) > before or "running" not in _hub(cluster, pod)["state"]


def how_it_ended(cluster: Cluster, pod: str) -> int:
    """Return the status with which the container ended that ran in the pod last."""
    hub = _hub(cluster, pod)
    return int((hub["state"].get("terminated") or hub["lastState"]["terminated"])["exitCode"])


def _hub(cluster: Cluster, pod: str) -> Object:
    (hub,) = _pod(cluster, pod)["status"]["containerStatuses"]
    return dict(hub)


def _pod(cluster: Cluster, name: str) -> Object:
    found = cluster.kube.get("v1", "Pod", name, HUB)
    assert found is not None, f"there is no pod {name}"
    return found
