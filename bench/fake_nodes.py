"""The real engine with nodes that are none: Karpenter with its provider KWOK, and kwok, which plays their kubelets.

Both run as processes beside a cluster, which is reached by a kubeconfig of their own whose current context is the one
that was meant.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._packing import MIB, Machine

from .api_server import free_port

Object = dict[str, Any]
# What the provider keeps of each machine for itself: kwok/cloudprovider/helpers.go.
KEPT_CORES, KEPT_MEMORY = 0.1, 10 * MIB
# Of a documentation range: in a cluster with real nodes, a packet to one that is none goes nowhere.
ADDRESS = "192.0.2.1"
READY_S = 90


@dataclass(frozen=True)
class Programs:
    """Where the lab's artefacts are."""

    karpenter: Path
    kwok: Path


def machine_type(machine: Machine, prices: Mapping[str, float]) -> Object:
    """Return a machine as Karpenter's file of types has it; ``prices`` an hour are of zones that have one to give."""
    return {
        "name": machine.name,
        "offerings": [
            {
                "Price": price,
                "Available": True,
                "Requirements": [
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]},
                ],
            }
            for zone, price in prices.items()
        ],
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "resources": {
            "cpu": f"{round((machine.cpu + KEPT_CORES) * 1000)}m",
            "memory": str(machine.memory + KEPT_MEMORY),
            "pods": str(machine.disks),
            "ephemeral-storage": "100Gi",
        },
    }


def prepare(kube: Kube, programs: Programs) -> None:
    """Give the cluster the definitions that Karpenter works with, and wait until it knows them."""
    definitions = list(yaml.safe_load_all((programs.karpenter / "crds.yaml").read_text(encoding="utf-8")))
    for one in definitions:
        path = kube.path(one["apiVersion"], one["kind"], None, one["metadata"]["name"])
        kube.request("PATCH", path, one, fieldManager="tests", force="true")
    names = {one["metadata"]["name"] for one in definitions}

    def known(items: list[Object]) -> bool:
        return names <= {
            item["metadata"]["name"]
            for item in items
            if any(
                one["type"] == "Established" and one["status"] == "True"
                for one in item.get("status", {}).get("conditions") or []
            )
        }

    deadline = time.monotonic() + READY_S
    kube.wait("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, known, deadline)


def kubeconfig_of(kubeconfig: Path, context: str, target: Path) -> Path:
    """Write a kubeconfig with one current context: these programs know no other way to be told of a cluster."""
    content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    target.touch(0o600)
    target.write_text(json.dumps({**content, "current-context": context}), encoding="utf-8")
    return target


@contextmanager
def kubelets(programs: Programs, kubeconfig: Path, folder: Path, start_s: float = 0.0) -> Iterator[None]:
    """Play the kubelets of nodes that are none until the block ends. A pod runs ``start_s`` after it has its node."""
    stages = list(yaml.safe_load_all((programs.kwok / "stages.yaml").read_text(encoding="utf-8")))
    for stage in stages:
        if stage["metadata"]["name"] == "pod-ready" and start_s:
            stage["spec"]["delay"] = {"durationMilliseconds": round(start_s * 1000)}
    (folder / "stages.yaml").write_text(yaml.safe_dump_all(stages), encoding="utf-8")
    command = [
        str(programs.kwok / "kwok"),
        f"--kubeconfig={kubeconfig}",
        f"--config={folder / 'stages.yaml'}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        f"--node-ip={ADDRESS}",
    ]
    with process(command, folder / "kwok.log"):
        yield


@contextmanager
def engine(programs: Programs, kubeconfig: Path, folder: Path, *types: Object) -> Iterator[None]:
    """Run Karpenter until the block ends, with these types of machines alone."""
    (folder / "types.json").write_text(json.dumps(types), encoding="utf-8")
    metrics, health = free_port(), free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "SYSTEM_NAMESPACE": "kube-system",
        "DISABLE_LEADER_ELECTION": "true",
        "METRICS_PORT": str(metrics),
        "HEALTH_PROBE_PORT": str(health),
    }
    command = [
        str(programs.karpenter / "karpenter"),
        "--feature-gates=CapacityBuffer=true",
        f"--instance-types-file-path={folder / 'types.json'}",
    ]
    with process(command, folder / "karpenter.log", environment):
        _await(f"http://127.0.0.1:{health}/readyz", folder / "karpenter.log")
        yield


@contextmanager
def process(command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a program until the block ends."""
    with log.open("ab") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            yield
        finally:
            running.kill()
            running.wait()


def _await(url: str, log: Path) -> None:
    """Wait until an address says that all is well. Raises TimeoutError with the end of the log where it does not."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise TimeoutError(f"{url} did not say in {READY_S} s that it is ready: {said}")
