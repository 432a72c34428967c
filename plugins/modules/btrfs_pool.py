#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: btrfs_pool
short_description: Keep a btrfs file system with quotas in a file, mounted
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Makes a sparse file with a btrfs file system in it, mounts it and turns quotas on. A pool that is to be larger
    grows while mounted; one that is to be smaller is refused. A pool that exists is never formatted.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes.attributes
options:
  file:
    description: The file that holds the file system.
    type: path
    required: true
  mount:
    description: Where it is mounted.
    type: path
    required: true
  size:
    description: Its size, a Kubernetes quantity. Needed for O(state=present).
    type: str
  state:
    description: V(absent) unmounts the pool and deletes the file with all disks in it.
    type: str
    choices: [present, absent]
    default: present
requirements:
  - btrfs-progs
"""

EXAMPLES = r"""
- name: Keep a pool of 20 GiB
  coursehub.jupyterhub.btrfs_pool:
    file: /var/lib/coursehub/pool.img
    mount: /var/lib/coursehub/pool
    size: 20Gi
"""

RETURN = r"""
actions:
  description: What was done, or would be.
  type: list
  elements: str
  returned: success
  sample: ["create", "format", "mount"]
"""

import os
import subprocess
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

# What btrfs rounds its size down to.
SECTOR = 4096


@dataclass(frozen=True)
class Facts:
    """What is there: sizes in bytes, ``file`` None where it is absent, ``pool`` None where it isn't mounted."""

    file: int | None = None
    pool: int | None = None
    quotas: bool = False


def plan(state: str, size: int, facts: Facts) -> list[str]:
    """Return the actions in order.

    Raises CoursehubError for a pool that would have to shrink.
    """
    if state == "absent":
        return (["unmount"] if facts.pool is not None else []) + (["delete"] if facts.file is not None else [])
    if facts.file is None:
        return ["create", "mount"]
    if facts.file > size:
        raise CoursehubError(
            f"the pool has {facts.file} bytes and can't shrink to {size}: set coursehub_cluster_pool_size back"
        )
    # An interrupted run may have enlarged the file alone, or mounted without quotas.
    grow = facts.file < size or (facts.pool is not None and facts.pool < size - size % SECTOR)
    if facts.pool is None:
        return ["mount", *(["grow"] if grow else [])]
    return ([] if facts.quotas else ["quotas"]) + (["grow"] if grow else [])


def look(file: str, mount: str) -> Facts:
    """Return what is there."""
    size = os.path.getsize(file) if os.path.exists(file) else None
    if not os.path.ismount(mount):
        return Facts(file=size)
    state = os.statvfs(mount)
    shown = subprocess.run(["btrfs", "qgroup", "show", mount], capture_output=True, check=False)
    return Facts(file=size, pool=state.f_blocks * state.f_frsize, quotas=shown.returncode == 0)


def _run(*command: str) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CoursehubError(f"{command[0]} is not installed: the pool needs btrfs-progs and mount") from error
    if result.returncode != 0:
        raise CoursehubError(f"`{' '.join(command)}` failed: {(result.stderr or result.stdout).strip()}")


def _create(parameters: dict[str, Any], size: int) -> None:
    """Format under another name first: a file with the right name is always a whole file system."""
    fresh = f"{parameters['file']}.new"
    with open(fresh, "wb") as file:
        file.truncate(size)
    _run("mkfs.btrfs", "--quiet", "--force", fresh)
    os.rename(fresh, parameters["file"])


def _mount(parameters: dict[str, Any]) -> None:
    _run("mount", "--options", "loop", parameters["file"], parameters["mount"])
    _run("btrfs", "filesystem", "resize", "max", parameters["mount"])
    _quotas(parameters)


def _quotas(parameters: dict[str, Any]) -> None:
    _run("btrfs", "quota", "enable", parameters["mount"])


def _grow(parameters: dict[str, Any], size: int) -> None:
    os.truncate(parameters["file"], size)
    found = subprocess.run(
        ["losetup", "--noheadings", "--output", "NAME", "--associated", parameters["file"]],
        capture_output=True,
        text=True,
        check=True,
    )
    _run("losetup", "--set-capacity", found.stdout.strip())
    _run("btrfs", "filesystem", "resize", "max", parameters["mount"])


def run(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Plan, and do it."""
    file, mount = parameters["file"], parameters["mount"]
    size = int(parse_quantity(parameters["size"])) if parameters["size"] else 0
    actions = plan(parameters["state"], size, look(file, mount))
    if not check_mode:
        if parameters["state"] == "present":
            os.makedirs(mount, exist_ok=True)
        for action in actions:
            if action == "create":
                _create(parameters, size)
            elif action == "mount":
                _mount(parameters)
            elif action == "quotas":
                _quotas(parameters)
            elif action == "grow":
                _grow(parameters, size)
            elif action == "unmount":
                _run("umount", mount)
            elif action == "delete":
                os.unlink(file)
    return {"changed": bool(actions), "actions": actions, "diff": {"before": "", "after": "\n".join([*actions, ""])}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "mount": {"type": "path", "required": True},
            "size": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["size"])],
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode)
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
