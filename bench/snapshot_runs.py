"""The runs of the benchmark of snapshots, on a cluster that is there."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from . import environment, process, report, storage, students
from .report import ROOT, say

# Of the memory's run: so many times more.
MANY = 5
# It makes one after the other, so 1000 take ten times as long: it is judged by disks a minute.
LOOP_DISKS = 100
ROUNDS = 3
INFO_ROUNDS = 3
# Requests a second and burst, to see whether they are the bound. With the sidecars' own, 100 disks take minutes.
THROTTLES = (storage.DEFAULTS, (100, 200), (500, 1000))
THROTTLE_DISKS = 300
SLOW_DISKS = 100
NAMESPACE = "bench-students"
MANY_NAMESPACE = "bench-many"
STORAGE_CLASS = "coursehub-disk"
SNAPSHOT_CLASS = "coursehub-snapshot"
# Seconds until all snapshots of a run must be ready, and until a process must have ended.
WAIT_S = 900
TIMEOUT_S = 1200
PEER = ROOT / "build/bench/peer"
PEER_REQUIREMENTS = ROOT / "requirements/peer.txt"
MODULES = "ansible_collections.coursehub.jupyterhub.plugins.modules"


@dataclass
class Measured:
    """The single values, in seconds but for the memory, which is in MB."""

    disks: int
    floor: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    loop_disks: int = 0
    # Each disk awaited by itself, and all at once.
    loop: float = 0.0
    loop_all: float = 0.0
    info: list[float] = field(default_factory=list)
    info_playbook: float = 0.0
    skip_unchanged: float = 0.0
    rss_mb: dict[str, float] = field(default_factory=dict)
    throttle: list[dict[str, float]] = field(default_factory=list)


class Bench:
    """The measurements, on a cluster that is there."""

    def __init__(self, measured: Measured, kubeconfig: Path, context: str) -> None:
        self._measured = measured
        self._kubeconfig = kubeconfig
        self._context = context
        self._kube = Kube(str(kubeconfig), context)
        self._claims: list[str] = []

    def run(self) -> None:
        """Measure everything, one after the other: the machine is small."""
        self._claims = students.make(self._kube, NAMESPACE, self._measured.disks, STORAGE_CLASS)
        self._throttles()
        self._side_by_side()
        self._seen()
        self._loops()
        self._memory()

    def _throttles(self) -> None:
        set_before = storage.throttle_of(storage.containers(self._kube))
        for number, (qps, burst) in enumerate(dict.fromkeys([*THROTTLES, set_before])):
            storage.set_throttle(self._kube, qps, burst)
            disks = min(SLOW_DISKS if (qps, burst) == storage.DEFAULTS else THROTTLE_DISKS, len(self._claims))
            seconds = self._floor(f"throttle-{number}", self._claims[:disks])
            self._measured.throttle.append({"qps": qps, "burst": burst, "disks": disks, "seconds": seconds})
            students.remove_snapshots(self._kube, NAMESPACE)
        storage.set_throttle(self._kube, *set_before)

    def _side_by_side(self) -> None:
        """The floor and this module by turns: what the machine does besides hits both."""
        for number in range(ROUNDS):
            self._measured.floor.append(self._floor(f"floor-{number}", self._claims))
            students.remove_snapshots(self._kube, NAMESPACE)
            self._measured.ours.append(self._ours("ours"))
            if number < ROUNDS - 1:
                students.remove_snapshots(self._kube, NAMESPACE)

    def _seen(self) -> None:
        """What comes after a run, on its snapshots: a second one, and a look."""
        before = students.ready_snapshots(self._kube, NAMESPACE)
        self._measured.skip_unchanged = self._ours("skip_unchanged", skip_unchanged=True, expected=before)
        for _round in range(INFO_ROUNDS):
            self._measured.info.append(self._module("student_disk_info", NAMESPACE).seconds)
        done = self._ansible("bench/playbooks/info.yml", students_namespace=NAMESPACE)
        self._measured.info_playbook = done.seconds
        say(f"the same by ansible-playbook: {done.seconds:.2f} s")
        students.remove_snapshots(self._kube, NAMESPACE)

    def _loops(self) -> None:
        self._measured.loop_disks = min(LOOP_DISKS, len(self._claims))
        self._measured.loop = self._loop("each")
        self._measured.loop_all = self._loop("all")

    def _memory(self) -> None:
        count = MANY * self._measured.disks
        storage.hold_back(self._kube)
        students.pretend(self._kube, MANY_NAMESPACE, count)
        say(f"{count} claims are there")
        with students.stand_in(self._kube, MANY_NAMESPACE, TIMEOUT_S):
            # One that isn't there: nobody but the stand-in works on these.
            more = {"snapshot_class": "bench-none", "wait_timeout": WAIT_S}
            taken = self._module("student_disk_snapshot", MANY_NAMESPACE, **more)
        self._expect(MANY_NAMESPACE, count)
        looked = self._module("student_disk_info", MANY_NAMESPACE)
        self._measured.rss_mb = {"student_disk_snapshot": taken.rss_mb, "student_disk_info": looked.rss_mb}

    def _floor(self, suffix: str, claims: Sequence[str]) -> float:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
            file.write("\n".join(claims))
            file.flush()
            words = [str(self._kubeconfig), self._context, NAMESPACE, SNAPSHOT_CLASS, suffix, str(WAIT_S), file.name]
            done = _good(process.run([sys.executable, "bench/floor.py", *words], TIMEOUT_S), "the floor")
        self._expect(NAMESPACE, len(claims))
        say(f"{suffix}: {len(claims)} snapshots in {done.seconds:.1f} s, {done.rss_mb} MB")
        return done.seconds

    def _ours(self, what: str, *, skip_unchanged: bool = False, expected: int = 0) -> float:
        done = self._ansible(
            "bench/playbooks/snapshot.yml",
            students_namespace=NAMESPACE,
            snapshot_class=SNAPSHOT_CLASS,
            skip_unchanged=skip_unchanged,
            wait_timeout=WAIT_S,
        )
        self._expect(NAMESPACE, expected or len(self._claims))
        say(f"{what}: {len(self._claims)} disks in {done.seconds:.1f} s, {done.rss_mb} MB")
        return done.seconds

    def _ansible(self, playbook: str, **variables: Any) -> process.Process:
        told = {"kubeconfig": str(self._kubeconfig), "context": self._context, **variables}
        command = [".venv/bin/ansible-playbook", "-i", "inventories/local", playbook, "--extra-vars", json.dumps(told)]
        return _good(process.run(command, TIMEOUT_S), playbook)

    def _loop(self, wait: str) -> float:
        told = {
            "kubeconfig": str(self._kubeconfig),
            "context": self._context,
            "students_namespace": NAMESPACE,
            "snapshot_class": SNAPSHOT_CLASS,
            "suffix": f"loop-{wait}",
            "count": self._measured.loop_disks,
            "wait": wait,
        }
        command = [str(PEER / "bin/ansible-playbook"), "bench/peer/loop.yml", "--extra-vars", json.dumps(told)]
        environment = {"ANSIBLE_CONFIG": str(ROOT / "bench/peer/ansible.cfg")}
        done = _good(process.run(command, TIMEOUT_S, environment), f"the loop that waits for {wait}")
        self._expect(NAMESPACE, self._measured.loop_disks)
        say(f"loop, waits for {wait}: {self._measured.loop_disks} snapshots in {done.seconds:.1f} s")
        students.remove_snapshots(self._kube, NAMESPACE)
        return done.seconds

    def _module(self, name: str, namespace: str, **more: Any) -> process.Process:
        """Run a module as a process of its own, without Ansible around it."""
        told = {
            "kubeconfig": str(self._kubeconfig),
            "context": self._context,
            "namespace": namespace,
            "all_students": True,
            **more,
        }
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            json.dump({"ANSIBLE_MODULE_ARGS": told}, file)
            file.flush()
            command = [sys.executable, "-m", f"{MODULES}.{name}", file.name]
            environment = {"PYTHONPATH": str(ROOT / "build/collections")}
            done = _good(process.run(command, TIMEOUT_S, environment), name)
        say(f"the module {name} in {namespace}: {done.seconds:.2f} s, {done.rss_mb} MB")
        return done

    def _expect(self, namespace: str, count: int) -> None:
        """A run counts only if it did what it says: so many snapshots can be restored, and no other is there."""
        ready = students.ready_snapshots(self._kube, namespace)
        there = len(self._kube.list(*students.SHOT, namespace))
        if (ready, there) != (count, count):
            report.fail(f"{namespace} has {there} snapshots, {ready} of them ready; {count} were expected")


def _good(done: process.Process, what: str) -> process.Process:
    if done.code != 0:
        report.fail(f"{what} ended with {done.code}: {done.said[-3000:]}")
    return done


def install_peer() -> None:
    """Make the peer's environment."""
    runtime = PEER_REQUIREMENTS.with_name("runtime.txt")
    environment.install(PEER, PEER_REQUIREMENTS, "the peer, kubernetes.core", runtime)
