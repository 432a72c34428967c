#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kind_cluster
short_description: Create, start or delete a kind cluster
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Creates a kind cluster and waits until all its nodes are ready. A creation that was interrupted is begun anew,
    a stopped cluster is started, and a living one with other settings is refused, never replaced.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes.attributes
options:
  name:
    description: The cluster's name. Its context is C(kind-<name>).
    type: str
    required: true
  state:
    description: Whether the cluster is to be there.
    type: str
    choices: [present, absent]
    default: present
  kind:
    description: The kind command. Needed unless there is nothing to do.
    type: path
    required: true
  engine:
    description: The container engine.
    type: str
    choices: [docker, podman]
    required: true
  environment_variables:
    description: The variables under which the engine and kind are run.
    type: dict
    default: {}
  kubeconfig:
    description: The file that the cluster's context is written to.
    type: path
    required: true
  record:
    description: The file that remembers what a complete cluster was made with.
    type: path
    required: true
  config:
    description: The cluster's configuration, as kind's documentation has it. Needed for O(state=present).
    type: dict
  node_store:
    description:
      - A folder with what containerd keeps, images included. The nodes of O(config) that mount a folder of this machine
        at C(/var/lib/containerd) begin with it, in hard links where that folder is on the same file system.
      - What was in such a folder is removed before.
    type: path
  remember:
    description: More that is to be written to O(record), and that a later run may not change.
    type: dict
    default: {}
  wait_timeout:
    description: Seconds until all nodes must be ready.
    type: int
    default: 300
requirements:
  - kubernetes (Python library)
"""

EXAMPLES = r"""
- name: Create the cluster
  coursehub.jupyterhub.kind_cluster:
    name: coursehub
    kind: /usr/local/bin/kind
    engine: docker
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    record: ~/.local/state/coursehub/coursehub/cluster.json
    config:
      kind: Cluster
      apiVersion: kind.x-k8s.io/v1alpha4
      nodes:
        - role: control-plane
"""

RETURN = r"""
action:
  description: What was done, or would be.
  type: str
  returned: success
  sample: create
reason:
  description: Why.
  type: str
  returned: success
  sample: there is no cluster
"""

import fcntl
import json
import os
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _engine, _kind, _kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# What has the pods of one revision of the cluster's DNS on nodes of their own, where there are so many.
APART = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    "matchLabelKeys": ["pod-template-hash"],
}
# A person's, a supervisor's, a terminal's that is closed.
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


CONTAINERD = "/var/lib/containerd"
# A store and its copies. Images are never written to again; containerd's databases are, so each node has its own.
COPY = """
store=$1
shift
for folder; do
  rm -rf "$folder"
  mkdir -p "${folder%/*}"
  cp --archive --link "$store" "$folder" || { rm -rf "$folder"; cp --archive "$store" "$folder"; }
  for database in "$folder"/*/*.db; do
    cp --archive "$database" "$database.own"
    mv "$database.own" "$database"
  done
done
"""


class Cluster:
    """One kind cluster on this machine."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        self._environment = {**os.environ, **{k: str(v) for k, v in parameters["environment_variables"].items()}}

    def _run(self, *command: str, text: str | None = None) -> str:
        # In a session of its own, where a terminal's interrupt does not reach it; see `undisturbed`.
        result = subprocess.run(
            command,
            env=self._environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if result.returncode != 0:
            lines = (result.stderr or result.stdout).strip().splitlines()
            told = [line for line in lines if "ERROR" in line or "rror:" in line] or lines[-3:]
            raise CoursehubError(f"`{os.path.basename(command[0])} {' '.join(command[1:3])}` failed: {' '.join(told)}")
        return result.stdout

    def nodes(self) -> dict[str, str]:
        """Return the node containers: name -> state."""
        engine = self._parameters["engine"]
        found = _engine.cluster_containers(engine, self._parameters["name"], self._environment)
        if not found:
            return {}
        listed = json.loads(self._run(engine, "inspect", *found))
        # docker writes a container's name with a slash before it.
        return {
            node["Name"].removeprefix("/"): "dead" if self._died(node) else node["State"]["Status"] for node in listed
        }

    def _died(self, node: dict[str, Any]) -> bool:
        """Tell whether podman takes a container for running whose processes are all gone.

        Its monitor conmon tells podman of a container's end; where both were killed (a virtual machine's host
        ends it, the kernel is out of memory), nobody does, and podman can neither enter, stop nor start it.
        """
        state = node["State"]
        gone = self._parameters["engine"] == "podman" and state["Status"] in ("running", "stopping")
        return gone and not any(os.path.exists(f"/proc/{state[key]}") for key in ("Pid", "ConmonPid"))

    def recorded(self) -> dict[str, Any] | None:
        """Return what a complete cluster was made with."""
        try:
            with open(self._parameters["record"], encoding="utf-8") as file:
                record: dict[str, Any] = json.load(file)
        except (FileNotFoundError, ValueError):
            return None
        return record

    def wanted(self) -> dict[str, Any]:
        """Return what the cluster is to be made with."""
        return {**self._parameters["remember"], **self._parameters["config"]}

    def create(self) -> None:
        self._fill_nodes()
        self._run(
            self._parameters["kind"],
            *("create", "cluster", "--name", self._parameters["name"]),
            *("--kubeconfig", self._parameters["kubeconfig"], "--config", "-"),
            text=json.dumps(self._parameters["config"]),
        )

    def _fill_nodes(self) -> None:
        """Give each node that is to come its copy of the store.

        Done in a container, whose files these are; privileged, as an image's folder that hides a lower one's says so by
        an attribute that is copied by nobody else, without a word.
        """
        store, nodes = self._parameters["node_store"], self._parameters["config"]["nodes"]
        mounts = [mount for node in nodes for mount in node.get("extraMounts", [])]
        folders = [mount["hostPath"] for mount in mounts if mount["containerPath"] == CONTAINERD]
        if not store or not folders:
            return
        shared = os.path.commonpath([store, *folders])
        self._run(
            self._parameters["engine"],
            *("run", "--rm", "--privileged", "--network", "none", "--volume", f"{shared}:{shared}"),
            *("--entrypoint", "/bin/bash", nodes[0]["image"], "-ec", COPY, "copy", store, *folders),
        )

    def delete(self) -> None:
        self._run(
            self._parameters["kind"],
            *("delete", "cluster", "--name", self._parameters["name"], "--kubeconfig", self._parameters["kubeconfig"]),
        )
        self.forget()
        self._remove_network()

    def _remove_network(self) -> None:
        """Remove kind's network from our own store when the last cluster is gone. docker's is not ours alone."""
        if self._parameters["engine"] != "podman":
            return
        others = _engine.cluster_containers("podman", "", self._environment)
        if not others and "kind" in self._run("podman", "network", "ls", "--format", "{{.Name}}").split():
            self._run("podman", "network", "rm", "kind")

    def forget(self) -> None:
        if os.path.exists(self._parameters["record"]):
            os.unlink(self._parameters["record"])

    def start(self, nodes: dict[str, str]) -> None:
        for name in sorted(name for name, state in nodes.items() if state == "dead"):
            self._report_death(name)
        self._run(self._parameters["engine"], "start", *sorted(nodes))

    def _report_death(self, name: str) -> None:
        """Write the exit code that conmon died too early to write; podman then cleans up by itself."""
        with open(self._environment["CONTAINERS_CONF"], "rb") as file:
            run_dir = tomllib.load(file)["engine"]["tmp_dir"]
        identity = self._run("podman", "inspect", "--format", "{{.Id}}", name).strip()
        with open(os.path.join(run_dir, "exits", identity), "w", encoding="ascii") as file:
            file.write(str(128 + signal.SIGKILL))

    def wait(self, since: datetime) -> None:
        """Wait until all nodes say that they are ready. Raises CoursehubError that names those that do not."""
        deadline = time.monotonic() + self._parameters["wait_timeout"]
        kube = _kube.Kube(self._parameters["kubeconfig"], f"kind-{self._parameters['name']}")
        kube.wait_ready(deadline)
        count, moment = len(self._parameters["config"]["nodes"]), since.strftime("%Y-%m-%dT%H:%M:%SZ")
        nodes = kube.wait("v1", "Node", None, lambda found: not _kind.not_ready(found, count, moment), deadline)
        reason = _kind.not_ready(nodes, count, moment)
        if reason:
            raise CoursehubError(f"the cluster is not ready after {self._parameters['wait_timeout']} s: {reason}")

    def spread_dns(self) -> None:
        """Have the pods of the cluster's DNS on different nodes.

        They only prefer that, and both begin on the first node that is ready. With it nobody could log in until they
        were made anew elsewhere, a minute later.
        """
        kube = _kube.Kube(self._parameters["kubeconfig"], f"kind-{self._parameters['name']}")
        path = kube.path("apps/v1", "Deployment", "kube-system", "coredns")
        kube.merge(path, {"spec": {"template": {"spec": {"topologySpreadConstraints": [APART]}}}})

    def complete(self) -> None:
        """Record that the cluster is whole."""
        fresh = f"{self._parameters['record']}.new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(self.wanted(), file, indent=2)
        os.rename(fresh, self._parameters["record"])


@contextmanager
def undisturbed(lock: str) -> Iterator[None]:
    """Let nobody interrupt what is done in the ``with`` block, and nobody else do the same meanwhile.

    A podman that was interrupted between setting up a network and writing that down left its rules behind: the port
    led to a container that was gone, for every later cluster until the machine was restarted. So a creation that was
    begun is brought to its end, half a minute, and the next run waits for it.
    """
    with open(lock, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Handlers that do nothing, rather than ignored signals, which the engine's containers would inherit.
        before = {number: signal.signal(number, lambda *_: None) for number in INTERRUPTS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Plan, and do it."""
    if check_mode or not os.path.isdir(os.path.dirname(parameters["record"])):
        return _run_alone(parameters, check_mode)
    with undisturbed(f"{parameters['record']}.lock"):
        return _run_alone(parameters, check_mode)


def _run_alone(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    cluster = Cluster(parameters)
    nodes = cluster.nodes()
    if parameters["state"] == "absent":
        plan = _kind.plan_absent(nodes)
    else:
        plan = _kind.plan_present(nodes, cluster.recorded(), cluster.wanted())
    if not check_mode:
        begun = datetime.now(UTC)
        if plan.action in ("delete", "recreate"):
            cluster.delete()
        if plan.action in ("create", "recreate"):
            cluster.forget()
            cluster.create()
        if plan.action == "start":
            cluster.start(nodes)
        if plan.action in ("create", "recreate", "start"):
            cluster.wait(begun)
            cluster.spread_dns()
            cluster.complete()
        if parameters["state"] == "absent":
            cluster.forget()
    return {
        "changed": plan.changes,
        "action": plan.action,
        "reason": plan.reason,
        "diff": {"before": {"nodes": nodes}, "after": {"action": plan.action, "reason": plan.reason}},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "kind": {"type": "path", "required": True},
            "engine": {"type": "str", "choices": ["docker", "podman"], "required": True},
            "environment_variables": {"type": "dict", "default": {}},
            "kubeconfig": {"type": "path", "required": True},
            "record": {"type": "path", "required": True},
            "config": {"type": "dict"},
            "node_store": {"type": "path"},
            "remember": {"type": "dict", "default": {}},
            "wait_timeout": {"type": "int", "default": 300},
        },
        required_if=[("state", "present", ["config"])],
        supports_check_mode=True,
    )
    if not _kube.HAS_KUBERNETES:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=_kube.KUBERNETES_IMPORT_ERROR)
    try:
        result = run(module.params, module.check_mode)
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
