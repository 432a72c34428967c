#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Check that a machine can carry a kind cluster, and decide how its images are made
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Decides which container engine to use and whether published images can be pulled, and refuses a machine that
    has no engine, too little disk, or the hub's port taken, in one sentence and before anything is changed.
  - Never changes anything.
options:
  name:
    description: The cluster's name. What is left of a creation that was interrupted may hold the port.
    type: str
    required: true
  engine:
    description: The container engine. V(auto) takes docker where its daemon answers, else podman.
    type: str
    choices: [auto, docker, podman]
    default: auto
  image_source:
    description: Where images come from. V(auto) makes one quick attempt to reach the registries.
    type: str
    choices: [auto, registry, lab]
    default: auto
  cache_dir:
    description: The folder that keeps what is built.
    type: path
    required: true
  disk:
    description: The free space that is needed there, a Kubernetes quantity. It is not checked where it is absent.
    type: str
  address:
    description: The address that the hub will listen at.
    type: str
    default: 127.0.0.1
  port:
    description: The port that the hub will listen at. It is not checked where it is absent.
    type: int
  record:
    description: The file that a complete cluster leaves. Where it exists, port and disk are the cluster's own already,
      and its image source is kept.
    type: path
    required: true
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Check the machine
  coursehub.jupyterhub.host_check:
    name: coursehub
    cache_dir: ~/.cache/coursehub
    disk: 30Gi
    address: 127.0.0.1
    port: 8000
    record: ~/.local/state/coursehub/coursehub/cluster.json
"""

RETURN = r"""
engine:
  description: The container engine to use.
  type: str
  returned: success
  sample: podman
image_source:
  description: Where images come from, V(registry) or V(lab).
  type: str
  returned: success
  sample: lab
environment:
  description: The variables under which the engine and kind are to be run.
  type: dict
  returned: success
  sample: {"KIND_EXPERIMENTAL_PROVIDER": "podman"}
"""

import json
import os
import shutil
import socket
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _engine
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity


def check_disk(folder: str, needed: str) -> None:
    """Raise CoursehubError where a folder's file system has less free space than needed."""
    existing = os.path.abspath(folder)
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    free = shutil.disk_usage(existing).free
    if free < parse_quantity(needed):
        raise CoursehubError(
            f"{folder} has {free / 2**30:.1f} GiB free and the lab needs {needed}:"
            " make room, or set coursehub_cache_dir to a larger disk"
        )


def check_port(address: str, port: int) -> None:
    """Raise CoursehubError where something listens already."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise CoursehubError(
                f"port {port} of {address} can't be used ({error.strerror}):"
                " stop what listens there, or set coursehub_cluster_port to another"
            ) from error


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Check, and return the decisions."""
    engine = _engine.choose_engine(parameters["engine"])
    environment = _engine.environment(engine, parameters["cache_dir"])
    if os.path.exists(parameters["record"]):
        with open(parameters["record"], encoding="utf-8") as file:
            source = json.load(file).get("image_source", parameters["image_source"])
    else:
        if parameters["disk"] is not None:
            check_disk(parameters["cache_dir"], parameters["disk"])
        half_made = _engine.cluster_containers(engine, parameters["name"], environment)
        if parameters["port"] is not None and not half_made:
            check_port(parameters["address"], parameters["port"])
        source = _engine.choose_source(parameters["image_source"])
    return {
        "changed": False,
        "engine": engine,
        "image_source": source,
        "environment": environment,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "engine": {"type": "str", "choices": ["auto", "docker", "podman"], "default": "auto"},
            "image_source": {"type": "str", "choices": ["auto", "registry", "lab"], "default": "auto"},
            "cache_dir": {"type": "path", "required": True},
            "disk": {"type": "str"},
            "address": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int"},
            "record": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module.params)
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
