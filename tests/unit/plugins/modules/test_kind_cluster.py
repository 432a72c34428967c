from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import kind_cluster

from tests.unit.paths import ROOT
from tests.unit.plugins.api import Api

CONFIG = {"kind": "Cluster", "nodes": [{"role": "control-plane"}]}
DNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
# More than any process id can be: /proc/sys/kernel/pid_max is 4194304 at most.
NO_PROCESS = 4_194_305


class Machine:
    """A kind and an engine that keep the containers as a file, and write down how they are called."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self.folder = folder
        self.containers = folder / "containers"
        self.calls_file = folder / "calls"
        self.kubeconfig = kubeconfig
        (folder / "libpod/exits").mkdir(parents=True)
        self.calls_file.touch()
        (folder / "containers.conf").write_text(f'[engine]\ntmp_dir = "{folder}/libpod"\n', encoding="utf-8")
        (folder / "storage.conf").touch()
        self.script("kind", f'case "$1" in create) cat >{folder}/config; cp {folder}/made {self.containers};; esac')
        engine = (
            f'case "$1" in ps) test -e {self.containers} && echo id || : ;;'
            f" inspect) test $2 = --format && echo id || cat {self.containers} ;; esac"
        )
        self.script("docker", engine)
        self.script("podman", engine)
        self.write(folder / "made", self.container("running", os.getpid()))

    def script(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls_file}\n{body}\n', encoding="utf-8")
        path.chmod(0o755)

    @staticmethod
    def container(state: str, process: int) -> dict[str, Any]:
        return {"Name": "/node", "State": {"Status": state, "Pid": process, "ConmonPid": process}}

    @staticmethod
    def write(path: Path, *containers: dict[str, Any]) -> None:
        path.write_text(json.dumps(containers), encoding="utf-8")

    def parameters(self, **more: Any) -> dict[str, Any]:
        values = {
            "name": "test",
            "state": "present",
            "kind": str(self.folder / "kind"),
            "engine": "podman",
            "environment_variables": {
                "CONTAINERS_CONF": self.folder / "containers.conf",
                "CONTAINERS_STORAGE_CONF": self.folder / "storage.conf",
            },
            "kubeconfig": str(self.kubeconfig),
            "record": str(self.folder / "cluster.json"),
            "config": CONFIG,
            "remember": {"image_source": "lab"},
            "node_store": None,
            "wait_timeout": 120,
        }
        return {**values, **more}

    def calls(self, what: str) -> list[str]:
        return [line for line in self.calls_file.read_text(encoding="utf-8").splitlines() if line.startswith(what)]


@pytest.fixture
def machine(tmp_path: Path, kubeconfig: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    heartbeat = "2999-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat}]
    api.put("/api/v1/nodes/node", {"metadata": {"name": "node"}, "status": {"conditions": conditions}})
    api.put(DNS, {"metadata": {"name": "coredns"}, "spec": {"replicas": 2, "template": {"spec": {"containers": []}}}})
    return Machine(tmp_path, kubeconfig)


def test_a_node_that_is_lost_has_not_all_of_the_clusters_dns(machine: Machine, api: Api) -> None:
    kind_cluster.run(machine.parameters(), False)
    spec = api.objects[DNS]["spec"]
    assert spec["replicas"] == 2
    (apart,) = spec["template"]["spec"].pop("topologySpreadConstraints")
    assert (apart["topologyKey"], apart["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "DoNotSchedule")
    # The old revision's are on one node, and go when the new one's are there.
    assert apart["matchLabelKeys"] == ["pod-template-hash"]
    assert spec["template"]["spec"] == {"containers": []}


def test_a_cluster_is_made_and_the_second_run_does_nothing(machine: Machine) -> None:
    first = kind_cluster.run(machine.parameters(), False)
    assert (first["action"], first["changed"]) == ("create", True)
    assert json.loads((machine.folder / "config").read_text(encoding="utf-8")) == CONFIG
    record = json.loads((machine.folder / "cluster.json").read_text(encoding="utf-8"))
    assert record == {**CONFIG, "image_source": "lab"}
    second = kind_cluster.run(machine.parameters(), False)
    assert (second["action"], second["changed"]) == ("none", False)
    assert len(machine.calls("kind create")) == 1


def test_nodes_get_their_images_before_they_are_made(machine: Machine) -> None:
    mounts = [{"hostPath": f"/cache/nodes/test/{number}", "containerPath": "/var/lib/containerd"} for number in (0, 1)]
    pool = {"hostPath": "/state/pool", "containerPath": "/var/lib/coursehub/pool"}
    nodes = [{"image": "node:1", "extraMounts": [pool, mount]} for mount in mounts]
    config = {"kind": "Cluster", "nodes": nodes}
    parameters = machine.parameters(
        config=config, node_store="/cache/artefacts/node-store-1/containerd", wait_timeout=0
    )
    with pytest.raises(CoursehubError, match="1 of 2 nodes have joined"):
        kind_cluster.run(parameters, False)
    calls = machine.calls_file.read_text(encoding="utf-8")
    (call,) = machine.calls("podman run")
    assert "--volume /cache:/cache --entrypoint /bin/bash node:1" in call
    assert "copy /cache/artefacts/node-store-1/containerd /cache/nodes/test/0 /cache/nodes/test/1" in calls
    assert calls.index("podman run") < calls.index("kind create")


def test_a_node_shares_images_and_has_databases_of_its_own(tmp_path: Path) -> None:
    store = tmp_path / "store"
    layer, database = "snapshots/1/fs/usr/bin/jupyter", "metadata.v1.bolt/meta.db"
    for name in (layer, database):
        (store / name).parent.mkdir(parents=True)
        (store / name).write_text("as it was", encoding="utf-8")
    nodes = [tmp_path / f"nodes/course/{number}" for number in (0, 1)]
    (nodes[0] / "left").mkdir(parents=True)
    command = ["/bin/bash", "-ec", kind_cluster.COPY, "copy", str(store), *map(str, nodes)]
    subprocess.run(command, check=True)
    (nodes[0] / database).write_text("written by a node", encoding="utf-8")
    for folder in (store, nodes[1]):
        assert (folder / database).read_text(encoding="utf-8") == "as it was"
    assert all((node / layer).samefile(store / layer) for node in nodes)
    assert sorted(path.name for path in nodes[0].iterdir()) == ["metadata.v1.bolt", "snapshots"]


def test_docker_writes_a_slash_before_the_names(machine: Machine) -> None:
    machine.write(machine.containers, machine.container("running", os.getpid()))
    assert kind_cluster.Cluster(machine.parameters(engine="docker")).nodes() == {"node": "running"}


def test_a_dry_run_makes_nothing(machine: Machine) -> None:
    assert kind_cluster.run(machine.parameters(), True)["action"] == "create"
    assert machine.calls("kind") == []
    assert not (machine.folder / "cluster.json").exists()


def test_a_creation_that_was_interrupted_is_begun_again(machine: Machine) -> None:
    machine.write(machine.containers, machine.container("running", os.getpid()))
    assert kind_cluster.run(machine.parameters(), False)["action"] == "recreate"
    assert [call.split()[1] for call in machine.calls("kind")] == ["delete", "create"]


def test_a_creation_that_fails_leaves_no_record_of_a_whole_cluster(machine: Machine) -> None:
    machine.script("kind", "echo 'ERROR: failed to create cluster' >&2; echo stack >&2; exit 1")
    with pytest.raises(CoursehubError, match=r"^`kind create cluster` failed: ERROR: failed to create cluster$"):
        kind_cluster.run(machine.parameters(), False)
    assert not (machine.folder / "cluster.json").exists()


def test_a_cluster_that_gets_not_ready_is_no_whole_cluster(machine: Machine, api: Api) -> None:
    del api.objects["/api/v1/nodes/node"]
    with pytest.raises(CoursehubError, match="is not ready after 0 s: 0 of 1 nodes have joined"):
        kind_cluster.run(machine.parameters(wait_timeout=0), False)
    assert not (machine.folder / "cluster.json").exists()


def test_stopped_nodes_are_started(machine: Machine) -> None:
    kind_cluster.run(machine.parameters(), False)
    machine.write(machine.containers, machine.container("exited", 0))
    assert kind_cluster.run(machine.parameters(), False)["action"] == "start"
    assert machine.calls("podman start") == ["podman start /node".replace("/", "")]
    assert list((machine.folder / "libpod/exits").iterdir()) == []


def test_a_node_whose_processes_were_killed_is_reported_dead_to_podman_and_started(machine: Machine) -> None:
    kind_cluster.run(machine.parameters(), False)
    machine.write(machine.containers, machine.container("running", NO_PROCESS))
    result = kind_cluster.run(machine.parameters(), False)
    assert (result["action"], result["reason"]) == ("start", "stopped: node")
    assert (machine.folder / "libpod/exits/id").read_text(encoding="ascii") == "137"
    assert len(machine.calls("podman start")) == 1


def test_dockers_containers_are_never_taken_for_dead(machine: Machine) -> None:
    machine.write(machine.containers, machine.container("running", NO_PROCESS))
    assert kind_cluster.Cluster(machine.parameters(engine="docker")).nodes() == {"node": "running"}


def test_podman_is_not_asked_before_it_has_a_store_of_its_own(machine: Machine) -> None:
    (machine.folder / "storage.conf").unlink()
    machine.write(machine.containers, machine.container("running", os.getpid()))
    assert kind_cluster.Cluster(machine.parameters()).nodes() == {}
    assert machine.calls("podman") == []


def test_a_cluster_is_removed_with_its_record(machine: Machine) -> None:
    kind_cluster.run(machine.parameters(), False)
    result = kind_cluster.run(machine.parameters(state="absent", config=None), False)
    assert (result["action"], result["changed"]) == ("delete", True)
    assert len(machine.calls("kind delete cluster --name test")) == 1
    assert not (machine.folder / "cluster.json").exists()


def test_nothing_to_remove(machine: Machine) -> None:
    result = kind_cluster.run(machine.parameters(state="absent", config=None), False)
    assert not result["changed"]
    assert machine.calls("kind") == []


def test_kinds_network_goes_with_the_last_cluster_of_our_own_store(machine: Machine) -> None:
    body = 'case "$1 $2" in "network ls") echo podman kind ;; "ps --all") true ;; esac'
    machine.script("podman", body)
    kind_cluster.Cluster(machine.parameters()).delete()
    assert machine.calls("podman network rm") == ["podman network rm kind"]


def test_kinds_network_stays_while_another_cluster_is_there(machine: Machine) -> None:
    machine.script("podman", 'case "$1 $2" in "network ls") echo kind ;; "ps --all") echo other ;; esac')
    kind_cluster.Cluster(machine.parameters()).delete()
    assert machine.calls("podman network rm") == []


def test_dockers_network_is_not_ours_to_remove(machine: Machine) -> None:
    kind_cluster.Cluster(machine.parameters(engine="docker")).delete()
    assert machine.calls("docker") == []


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_record_that_is_missing_or_cut_is_none(machine: Machine, text: str | None) -> None:
    if text is not None:
        (machine.folder / "cluster.json").write_text(text, encoding="utf-8")
    assert kind_cluster.Cluster(machine.parameters()).recorded() is None


def test_what_a_node_said_before_the_start_is_not_taken_for_ready(machine: Machine) -> None:
    cluster = kind_cluster.Cluster(machine.parameters(wait_timeout=0))
    with pytest.raises(CoursehubError, match="not ready: node"):
        cluster.wait(datetime(3000, 1, 1, tzinfo=UTC))


def test_a_creation_that_was_begun_is_brought_to_its_end_and_the_next_run_waits_for_it(machine: Machine) -> None:
    made = machine.folder / "made"
    machine.script("kind", f"cat >/dev/null; touch {machine.folder}/begun; sleep 1; cp {made} {machine.containers}")
    program = "\n".join(
        [
            "import sys, tests.conftest",
            f"from {kind_cluster.__name__} import run",
            "from pathlib import PosixPath",
            "print(run(eval(sys.argv[1]), False)['action'])",
        ]
    )
    command = [sys.executable, "-c", program, repr(machine.parameters())]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    while not (machine.folder / "begun").exists():
        assert first.poll() is None
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGINT)
    os.killpg(first.pid, signal.SIGTERM)
    second = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert (first.communicate(timeout=120)[0], second.stdout) == ("create\n", "none\n")
    assert first.returncode == 0
