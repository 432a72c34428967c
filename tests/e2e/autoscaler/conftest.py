"""The engine beside the cluster, students who are only pods on nodes that are none, and the modules for seats."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing, _warm

from bench import api_server, fake_nodes
from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.playbook import module

Object = dict[str, Any]
Seats = Callable[..., dict[str, Any]]

# As molecule/autoscaler/converge.yml has it: four servers on a node, beside what the cluster has on each; and three
# nodes at most beside three of the core.
MACHINE = {"type": "lab-4", "cpu": "4800m", "memory": "8Gi", "disks": 110}
PRICES = {"lab-4": 0.1}
SEATS_PER_NODE = 4
CORE_NODES, LIMIT_NODES = 3, 6
CPU, MEMORY = "1", "256Mi"
REGISTER_S = 5
POOL = ",".join(f"{key}={value}" for key, value in _warm.POOL.items())
ZONE = "topology.kubernetes.io/zone"
CLAIM = ("karpenter.sh/v1", "NodeClaim")
POLICY = "admissionregistration.k8s.io/v1"
# No node class: an order that names it is refused by the provider as one for which there is no capacity.
OUT_OF_STOCK = "out-of-stock"
# From a pod that waits to a node for it: the engine gathers pods for up to 10 s, and the machine does other things.
SCALE_S = REGISTER_S + 45


class Engine:
    """Karpenter and kwok, with the zones that have machines to give."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._folder = folder
        self._programs = fake_nodes.Programs(*api_server.artefacts("go-karpenter", "go-kwok"))
        self._kubeconfig = fake_nodes.kubeconfig_of(
            Path(os.environ["COURSEHUB_KUBECONFIG"]), os.environ["COURSEHUB_CONTEXT"], folder / "kubeconfig"
        )
        fake_nodes.prepare(cluster.kube, self._programs)
        self._kubelets, self._karpenter = ExitStack(), ExitStack()
        self._kubelets.enter_context(fake_nodes.kubelets(self._programs, self._kubeconfig, folder))

    def offer(self, *zones: str) -> None:
        """Start the engine, or start it again, with machines in these zones, the first the cheapest."""
        self._karpenter.close()
        machine = _packing.parse_machine(MACHINE, PRICES)
        prices = {zone: machine.price * (1 + number / 10) for number, zone in enumerate(zones)}
        types = fake_nodes.machine_type(machine, prices)
        self._karpenter.enter_context(fake_nodes.engine(self._programs, self._kubeconfig, self._folder, types))

    def stop(self) -> None:
        self._karpenter.close()
        self._kubelets.close()


class Course:
    """Students who are only pods, and the nodes for them."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._number = 0

    def come(self, count: int, disk: str = "") -> list[str]:
        """Ask for so many servers, with a disk or without one; return their pods' names."""
        names = []
        for _one in range(count):
            self._number += 1
            names.append(f"jupyter-fake-{self._number}")
            self._cluster.kube.create(_server(names[-1], disk))
        return names

    def disk_in(self, zone: str) -> str:
        """Make a disk that can be attached in a zone alone, on which nothing is ever written; return its name."""
        name = f"fake-disk-{zone}"
        for item in _disk(name, zone):
            self._cluster.kube.create(item)

        def bound(claims: list[Object]) -> bool:
            return any(
                one["metadata"]["name"] == name and one.get("status", {}).get("phase") == "Bound" for one in claims
            )

        self._cluster.wait("v1", "PersistentVolumeClaim", STUDENTS, bound, 60)
        return name

    def go(self, *names: str) -> None:
        for name in names:
            self._cluster.delete("v1", "Pod", name, STUDENTS, gracePeriodSeconds=0)

    def pods(self) -> dict[str, Object]:
        found = self._cluster.pods(STUDENTS, "tests=fake-student")
        return {pod["metadata"]["name"]: pod for pod in found if not pod["metadata"].get("deletionTimestamp")}

    def running(self, names: list[str], seconds: float) -> dict[str, str]:
        """Wait until these run; return each one's node."""

        def all_run(pods: list[Object]) -> bool:
            return set(names) <= {p["metadata"]["name"] for p in pods if p.get("status", {}).get("phase") == "Running"}

        pods = self._cluster.wait("v1", "Pod", STUDENTS, all_run, seconds)
        return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods if pod["metadata"]["name"] in names}

    def nodes(self) -> dict[str, Object]:
        found = self._cluster.kube.list("v1", "Node", labelSelector=POOL)
        return {node["metadata"]["name"]: node for node in found}

    def wait_nodes(self, count: int, seconds: float) -> dict[str, Object]:
        """Wait until there are so many nodes for students, all of them ready; return them."""

        def there(nodes: list[Object]) -> bool:
            mine = [node for node in nodes if _warm.POOL.items() <= node["metadata"]["labels"].items()]
            return len(mine) == count and all(_takes_students(node) for node in mine)

        self._cluster.wait("v1", "Node", None, there, seconds)
        return self.nodes()

    def empty(self) -> None:
        """Let all go, and wait until no node is left."""
        self.go(*self.pods())
        for seats in self._cluster.kube.list(*_warm.BUFFER, STUDENTS):
            self._cluster.delete(*_warm.BUFFER, seats["metadata"]["name"], STUDENTS)
        if self._cluster.kube.get("apps/v1", "Deployment", "seats-placeholder", STUDENTS):
            self._cluster.delete("apps/v1", "Deployment", "seats-placeholder", STUDENTS, propagationPolicy="Foreground")
        if self._cluster.kube.get("v1", "ConfigMap", _warm.NAME, STUDENTS):
            self._cluster.delete("v1", "ConfigMap", _warm.NAME, STUDENTS)
        # The provider makes a node that registers late even where its claim has gone meanwhile: nobody would remove it.
        deadline = time.monotonic() + SCALE_S
        for claim in self._cluster.kube.wait(*CLAIM, None, _have_nodes, deadline):
            self._cluster.kube.delete(*CLAIM, claim["metadata"]["name"])
        for kind, namespace in (("PersistentVolumeClaim", STUDENTS), ("PersistentVolume", None)):
            for item in self._cluster.kube.list("v1", kind, namespace, labelSelector="tests=fake-disk"):
                self._cluster.kube.delete("v1", kind, item["metadata"]["name"], namespace)
        self.wait_nodes(0, 90)


def _have_nodes(claims: list[Object]) -> bool:
    return all(one.get("status", {}).get("nodeName") or one["metadata"].get("deletionTimestamp") for one in claims)


def _takes_students(node: Object) -> bool:
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions") or [])
    # Until then the engine keeps everyone off it.
    return ready and [one["key"] for one in node["spec"].get("taints") or []] == [_warm.TOLERATION["key"]]


def _disk(name: str, zone: str) -> list[Object]:
    """Return a volume that is in one zone and in no storage, and its claim. Nodes that are none mount nothing."""
    labels = {"tests": "fake-disk"}
    term = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}
    size = {"storage": "1Gi"}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "capacity": size,
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "claimRef": {"namespace": STUDENTS, "name": name},
                "hostPath": {"path": "/nowhere"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": STUDENTS, "labels": labels},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "volumeName": name,
                "resources": {"requests": size},
            },
        },
    ]


def _server(name: str, disk: str) -> Object:
    """Return a student's server as the hub makes it, with a disk only where a test is about disks."""
    volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": disk}}] if disk else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": STUDENTS,
            "labels": {"app.kubernetes.io/component": "singleuser-server", "tests": "fake-student"},
            "annotations": {"karpenter.sh/do-not-disrupt": "true"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "nodeSelector": dict(_warm.POOL),
            "tolerations": [dict(_warm.TOLERATION)],
            "schedulerName": "coursehub-packing",
            "volumes": volumes,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "notebook",
                    "image": "localhost/coursehub/none:1",
                    "resources": {"requests": {"cpu": CPU, "memory": MEMORY}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


@contextmanager
def out_of_stock(cluster: Cluster, zone: str) -> Iterator[None]:
    """Let a zone have no machine until the block ends, though the engine offers it: what it orders there is refused.

    As a cloud does: an order that may be filled in another zone is, and one that may not fails. The provider KWOK
    fails none by itself, and takes each offering of its file for available whatever that says (setDefaultOptions).
    So the API server changes each claim as it is made: takes the zone out where there are others, and else names a
    node class that is none, which the provider tells the engine as InsufficientCapacity.
    """
    items = policy_of(zone)
    try:
        for item in items:
            cluster.kube.create(item)
        # The API server hears of a policy a moment later, and of the kind that it is for within a minute.
        assert within(lambda: _class_of_an_order(cluster, zone) == OUT_OF_STOCK, 90)
        yield
    finally:
        for item in reversed(items):
            cluster.kube.delete(POLICY, item["kind"], item["metadata"]["name"])


def policy_of(zone: str) -> list[Object]:
    """Return the admission policy that lets a zone have no machine, and its binding. Takes Kubernetes 1.36."""
    metadata = {"name": "tests-out-of-stock"}
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": ["karpenter.sh"],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["nodeclaims"],
                }
            ]
        },
        "matchConditions": [
            {
                "name": "zone",
                "expression": f"object.spec.requirements.exists(one, one.key == '{ZONE}' && '{zone}' in one.values)",
            }
        ],
        "variables": [
            {"name": "place", "expression": f"object.spec.requirements.map(one, one.key).indexOf('{ZONE}')"},
            {
                "name": "others",
                "expression": f"object.spec.requirements[variables.place].values.filter(one, one != '{zone}')",
            },
        ],
        "mutations": [
            {
                "patchType": "JSONPatch",
                "jsonPatch": {
                    "expression": "variables.others.size() == 0 ? [JSONPatch{op: 'replace',"
                    f" path: '/spec/nodeClassRef/name', value: '{OUT_OF_STOCK}'}}] : [JSONPatch{{op: 'replace',"
                    " path: '/spec/requirements/' + string(variables.place) + '/values', value: variables.others}]"
                },
            }
        ],
    }
    return [
        {"apiVersion": POLICY, "kind": "MutatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {
            "apiVersion": POLICY,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": metadata["name"]},
        },
    ]


def _class_of_an_order(cluster: Cluster, zone: str) -> str:
    """Return the node class that an order for a zone would come to have; nothing is ordered."""
    order = {
        "apiVersion": CLAIM[0],
        "kind": CLAIM[1],
        "metadata": {"name": "tests-order"},
        "spec": {
            "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "coursehub-students"},
            "requirements": [{"key": ZONE, "operator": "In", "values": [zone]}],
        },
    }
    answer = cluster.kube.request("POST", cluster.kube.path(*CLAIM), order, dryRun="All")
    return str(answer["spec"]["nodeClassRef"]["name"])


def failed_orders(cluster: Cluster) -> set[str]:
    """Return the node claims for which the engine was told that there is no capacity, by name; they are gone."""
    events = cluster.kube.list("v1", "Event", "default", fieldSelector="reason=InsufficientCapacityError")
    return {event["involvedObject"]["name"] for event in events}


@pytest.fixture(scope="session")
def engine(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(cluster, tmp_path_factory.mktemp("engine"))
    try:
        engine.offer("zone-a", "zone-b")
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def course(engine: Engine, cluster: Cluster) -> Iterator[Course]:
    """A course at night: nobody is there, and no node. So it is left, too: nobody would play a node that is left."""
    course = Course(cluster)
    course.empty()
    yield course
    course.empty()


@pytest.fixture
def seats(engine: Engine) -> Seats:
    """Count seats as the CronJob does, for a class of so many that begins in a minute."""

    def run(count: int, **more: Any) -> dict[str, Any]:
        begin = datetime.now(UTC) + timedelta(minutes=1)
        lesson = {
            "name": "class",
            "start": begin.strftime("%Y-%m-%d %H:%M"),
            "end": (begin + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M"),
            "seats": count,
        }
        told = module(
            "seats",
            kubeconfig=os.environ["COURSEHUB_KUBECONFIG"],
            context=os.environ["COURSEHUB_CONTEXT"],
            namespace=STUDENTS,
            classes=[lesson],
            memory=MEMORY,
            cpu=CPU,
            prices=PRICES,
            # Who came more than two minutes ago came for something else.
            boot_s=60,
            early_s=60,
            scheduler="coursehub-packing",
            **{
                "machine": MACHINE,
                "core_nodes": CORE_NODES,
                "limit_nodes": LIMIT_NODES,
                "limit_spend": 100,
                "image": "none:1",
                **more,
            },
        )
        assert not told.get("failed"), told
        return told

    return run


def within(what: Callable[[], bool], seconds: float) -> bool:
    """Tell whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True
