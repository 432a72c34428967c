"""One compressed day on the real engine: a class comes, works for a while, and goes, under one design."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing, _warm
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import seats

from . import api_server, fake_nodes
from .report import say

Object = dict[str, Any]

NAMESPACE = "students"
CLAIM = ("karpenter.sh/v1", "NodeClaim")
# The controllers of Kubernetes that the day needs: nodes become ready, placeholders are pods of a Deployment.
CONTROLLERS = "node-lifecycle-controller,deployment-controller,replicaset-controller"
# How often the planner runs, as its CronJob does.
TICK_S = 60.0
ZONE = "zone-a"


@dataclass(frozen=True)
class Day:
    """What happens, in seconds after a class's begin, which is ``begin`` by the wall clock."""

    begin: datetime
    arrivals: Sequence[float]
    # All go between these two.
    leave: tuple[float, float]
    # Whoever is left then, and whatever node, is told of.
    end: float
    boot_s: float
    early_s: float
    start_s: float


@dataclass(frozen=True)
class Design:
    """How the cluster is run. ``mechanism`` keeps seats warm by the calendar; without one, nothing does."""

    name: str
    guarantee: _packing.Guarantee
    mechanism: str = ""

    @property
    def planned(self) -> bool:
        """Return whether it is this collection's."""
        return bool(self.mechanism)


@dataclass
class Seen:
    """What was seen, by the clock of ``time.monotonic``; by a pod's or a node claim's name."""

    asked: dict[str, float] = field(default_factory=dict)
    bound: dict[str, float] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    told_to_go: dict[str, float] = field(default_factory=dict)
    node_of: dict[str, str] = field(default_factory=dict)
    ordered: dict[str, float] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    removed: dict[str, float] = field(default_factory=dict)
    name_of: dict[str, str] = field(default_factory=dict)
    # When seats were asked for that were not there, and how many were asked for at each run of the planner.
    wanted: list[float] = field(default_factory=list)
    seats: list[tuple[float, int]] = field(default_factory=list)
    begin: float = 0.0

    def waits(self) -> list[float]:
        """Return each student's wait from asking for a server to one that runs, endless for who never had one.

        Of those alone who had one, a day on which a third had none could be as good as any.
        """
        return [self.running.get(name, inf) - moment for name, moment in self.asked.items()]

    def unserved(self) -> int:
        """Return how many students asked for a server and never had one."""
        return len(self.asked.keys() - self.running.keys())

    def lost(self) -> int:
        """Return how many servers ended before they were told to, as all are in the end."""
        return sum(moment < self.told_to_go.get(name, inf) for name, moment in self.gone.items())

    def left(self) -> int:
        """Return how many nodes were never let go."""
        return len(self.ordered.keys() - self.removed.keys())

    def nodes(self) -> int:
        """Return the most nodes, ordered ones among them, that there were at once."""
        return max(
            sum(ordered <= moment < self.removed.get(name, inf) for name, ordered in self.ordered.items())
            for moment in self.ordered.values()
        )

    def node_hours(self) -> float:
        """Return the hours of nodes from order to end, or to the last that was seen of anything."""
        end = max([*self.ordered.values(), *self.removed.values(), *self.gone.values()], default=0.0)
        return sum(self.removed.get(name, end) - ordered for name, ordered in self.ordered.items()) / 3600

    def decide_s(self) -> float:
        """Return the time from the first need to the first order."""
        return min(self.ordered.values()) - min([*self.wanted, *self.asked.values()])

    def register_s(self) -> float:
        """Return the time from the order of a node until it takes pods, as half of them had it."""
        return median(moment - self.ordered[name] for name, moment in self.ready.items())

    def start_s(self) -> float:
        """Return the time from a pod's node to a pod that runs, as half of them had it."""
        return median(moment - self.bound[name] for name, moment in self.running.items() if name in self.bound)

    def remove_s(self) -> float:
        """Return the time from the last student's end on a node to the node's, as half of those had it."""
        last: dict[str, float] = {}
        for pod, moment in self.gone.items():
            node = self.node_of.get(pod, "")
            last[node] = max(last.get(node, 0.0), moment)
        ends = [(last.get(self.name_of.get(claim, "")), moment) for claim, moment in self.removed.items()]
        return median(moment - begun for begun, moment in ends if begun is not None)


class Run:
    """A cluster of its own for one design, and the day on it."""

    def __init__(self, design: Design, day: Day, machine: _packing.Machine, programs: fake_nodes.Programs) -> None:
        self.design, self.day, self.machine, self.programs = design, day, machine, programs
        self.seen = Seen()

    def __call__(self, folder: Path, manifests: Path) -> Seen:
        """Have the day; return what was seen of it."""
        with api_server.running(folder) as api, ExitStack() as stack:
            kube = Kube(str(api.kubeconfig), api_server.CONTEXT)
            fake_nodes.prepare(kube, self.programs)
            kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            stack.enter_context(_controllers(api.kubeconfig, folder))
            stack.enter_context(_scheduler(api.kubeconfig, folder, manifests if self.design.planned else None))
            stack.enter_context(fake_nodes.kubelets(self.programs, api.kubeconfig, folder, self.day.start_s))
            types = fake_nodes.machine_type(self.machine, {ZONE: self.machine.price})
            stack.enter_context(fake_nodes.engine(self.programs, api.kubeconfig, folder, types))
            for one in pool(manifests, planned=self.design.planned):
                path = kube.path(one["apiVersion"], one["kind"], None, one["metadata"]["name"])
                kube.request("PATCH", path, one, fieldManager="bench", force="true")
            self._day(kube)
        return self.seen

    def _day(self, kube: Kube) -> None:
        begin = time.monotonic() + (self.day.begin - datetime.now(UTC)).total_seconds()
        self.seen.begin = begin
        if begin + self.day.arrivals[0] < time.monotonic():
            raise TimeoutError(f"{self.design.name}: the cluster came up after the first student")
        ended = threading.Event()
        threads = [threading.Thread(target=one, args=(kube, ended)) for one in (self._pods, self._claims)]
        if self.design.planned:
            threads.append(threading.Thread(target=self._plan, args=(kube, ended)))
        for thread in threads:
            thread.start()
        try:
            self._students(kube, begin)
            while self.seen.removed.keys() != self.seen.ordered.keys() and time.monotonic() < begin + self.day.end:
                time.sleep(1)
        finally:
            ended.set()
            for thread in threads:
                thread.join(60)

    def _students(self, kube: Kube, begin: float) -> None:
        for number, moment in enumerate(self.day.arrivals):
            time.sleep(max(0.0, begin + moment - time.monotonic()))
            pod = server(f"jupyter-{number}", self.design)
            self.seen.asked[pod["metadata"]["name"]] = time.monotonic()
            kube.create(pod)
        say(f"{self.design.name}: all {len(self.day.arrivals)} students have asked for a server")
        first, last = self.day.leave
        names = list(self.seen.asked)
        for place, name in enumerate(names):
            time.sleep(max(0.0, begin + first + (last - first) * place / len(names) - time.monotonic()))
            self.seen.told_to_go[name] = time.monotonic()
            kube.delete("v1", "Pod", name, NAMESPACE)
        say(f"{self.design.name}: all students have gone")

    def _plan(self, kube: Kube, ended: threading.Event) -> None:
        """Run the collection's module once a minute, as the role's CronJob does."""
        parameters = self.parameters()
        while not ended.is_set():
            begun = time.monotonic()
            told = seats.Run(kube, parameters, False)(datetime.now(UTC))
            if told["seats"] and not self.seen.wanted:
                self.seen.wanted.append(time.monotonic())
            self.seen.seats.append((begun - self.seen.begin, told["seats"]))
            say(f"{self.design.name}: {told['seats']} seats are to be warm")
            ended.wait(TICK_S - (time.monotonic() - begun))

    def parameters(self) -> dict[str, Any]:
        """Return what the planner is told."""
        day, size = self.day, self.design.guarantee
        lesson = {
            "name": "class",
            "start": day.begin.strftime("%Y-%m-%d %H:%M:%S"),
            # By the calendar it is as long as any; that all leave so soon is what is compressed of it.
            "end": (day.begin + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S"),
            "seats": len(day.arrivals),
        }
        return {
            "namespace": NAMESPACE,
            "calendar": "",
            "classes": [lesson],
            "time_zone": "UTC",
            "class_seats": 0,
            "memory": str(size.memory),
            "cpu": f"{round(size.cpu * 1000)}m",
            "machine": told_of(self.machine),
            "prices": {self.machine.name: self.machine.price},
            "boot_s": round(day.boot_s),
            "early_s": round(day.early_s),
            "peak_s": 900,
            "share": 1.0,
            "core_nodes": 1,
            "limit_nodes": 200,
            "limit_spend": 10000.0,
            "mechanism": self.design.mechanism,
            "scheduler": "coursehub-packing",
            "course": "course",
            "node_pool": "",
            "image": "localhost/coursehub/tools:1",
        }

    def _pods(self, kube: Kube, ended: threading.Event) -> None:
        seen, known = self.seen, {}
        for state, changed in _follow(kube, "v1", "Pod", NAMESPACE, ended):
            now = time.monotonic()
            for pod in changed:
                name = pod["metadata"]["name"]
                if name not in seen.asked:
                    continue
                known[pod["metadata"]["uid"]] = name
                if pod["spec"].get("nodeName"):
                    seen.node_of[name] = pod["spec"]["nodeName"]
                    seen.bound.setdefault(name, now)
                if pod.get("status", {}).get("phase") == "Running":
                    seen.running.setdefault(name, now)
            for uid in known.keys() - state.keys():
                seen.gone[known.pop(uid)] = now

    def _claims(self, kube: Kube, ended: threading.Event) -> None:
        seen, known = self.seen, {}
        for state, changed in _follow(kube, *CLAIM, None, ended):
            now = time.monotonic()
            for claim in changed:
                name, status = claim["metadata"]["name"], claim.get("status", {})
                known[claim["metadata"]["uid"]] = name
                seen.ordered.setdefault(name, now)
                if status.get("nodeName"):
                    seen.name_of[name] = status["nodeName"]
                conditions = status.get("conditions") or []
                if any(one["type"] == "Initialized" and one["status"] == "True" for one in conditions):
                    seen.ready.setdefault(name, now)
            for uid in known.keys() - state.keys():
                seen.removed[known.pop(uid)] = now


def _follow(
    kube: Kube, api_version: str, kind: str, namespace: str | None, ended: threading.Event
) -> Iterator[tuple[dict[str, Object], list[Object]]]:
    while not ended.is_set():
        try:
            yield from kube.follow(api_version, kind, namespace, time.monotonic() + 5)
        except CoursehubError:
            time.sleep(0.2)


def told_of(machine: _packing.Machine) -> Object:
    """Return a machine as role and module are told of it."""
    return {
        "type": machine.name,
        "cpu": f"{round(machine.cpu * 1000)}m",
        "memory": str(machine.memory),
        "disks": machine.disks,
    }


def server(name: str, design: Design) -> Object:
    """Return a student's server as the hub makes it, as far as engine and scheduler look at it."""
    size = design.guarantee
    annotations = {"karpenter.sh/do-not-disrupt": "true"} if design.planned else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/component": "singleuser-server"},
            "annotations": annotations,
        },
        "spec": {
            "automountServiceAccountToken": False,
            "nodeSelector": dict(_warm.POOL),
            "tolerations": [dict(_warm.TOLERATION)],
            "schedulerName": "coursehub-packing" if design.planned else "default-scheduler",
            "containers": [
                {
                    "name": "notebook",
                    "image": "localhost/coursehub/singleuser:1",
                    "resources": {"requests": {"cpu": f"{round(size.cpu * 1000)}m", "memory": str(size.memory)}},
                }
            ],
        },
    }


def pool(manifests: Path, *, planned: bool) -> list[Object]:
    """Return what makes the pool of nodes: the role's, or one that leaves all that it may to the engine's defaults."""
    found = [one for one in yaml.safe_load_all((manifests / "pool.yaml").read_text(encoding="utf-8")) if one]
    for one in found:
        if one["kind"] == "NodePool" and not planned:
            one["spec"]["disruption"] = {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s"}
            del one["spec"]["template"]["spec"]["expireAfter"]
    return found


@contextmanager
def _controllers(kubeconfig: Path, folder: Path) -> Iterator[None]:
    (kubernetes,) = api_server.artefacts("go-kubernetes")
    command = [
        str(kubernetes / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={CONTROLLERS}",
        "--leader-elect=false",
        f"--secure-port={api_server.free_port()}",
        "--authentication-skip-lookup",
    ]
    with fake_nodes.process(command, folder / "controllers.log"):
        yield


@contextmanager
def _scheduler(kubeconfig: Path, folder: Path, manifests: Path | None) -> Iterator[None]:
    """Run Kubernetes' scheduler: with the role's profile beside its own, or as it comes."""
    (kubernetes,) = api_server.artefacts("go-kubernetes")
    configuration: Object = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [{"schedulerName": "default-scheduler"}],
    }
    if manifests:
        objects = yaml.safe_load_all((manifests / "scheduler.yaml").read_text(encoding="utf-8"))
        (found,) = [one for one in objects if one and one["kind"] == "ConfigMap"]
        packing = yaml.safe_load(found["data"]["configuration.json"])
        configuration["profiles"] += packing["profiles"]
    configuration |= {
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "leaderElection": {"leaderElect": False},
    }
    path = folder / "scheduler.yaml"
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    command = [
        str(kubernetes / "kube-scheduler"),
        f"--config={path}",
        f"--secure-port={api_server.free_port()}",
        "--authentication-skip-lookup",
    ]
    with fake_nodes.process(command, folder / "scheduler.log"):
        yield
