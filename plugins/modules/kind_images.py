#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kind_images
short_description: Load images that were built here into the nodes of a kind cluster
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Loads each image into the nodes that lack it. Tags are taken to name their content, so an image that is there
    is not loaded again.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes.attributes
options:
  name:
    description: The cluster's name.
    type: str
    required: true
  kind:
    description: The kind command.
    type: path
    required: true
  engine:
    description: The container engine that holds the images.
    type: str
    choices: [docker, podman]
    required: true
  environment_variables:
    description: The variables under which the engine and kind are run.
    type: dict
    default: {}
  images:
    description: The images' references.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Load the hub's image
  coursehub.jupyterhub.kind_images:
    name: coursehub
    kind: /usr/local/bin/kind
    engine: podman
    images:
      - localhost/coursehub/hub:0123456789abcdef
"""

RETURN = r"""
loaded:
  description: Which images were loaded, or would be, into which nodes.
  type: dict
  returned: success
  sample: {"coursehub-control-plane": ["localhost/coursehub/hub:0123456789abcdef"]}
"""

import os
import subprocess
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def missing(held: dict[str, set[str]], wanted: list[str]) -> dict[str, list[str]]:
    """Return node -> images that it lacks, for nodes that lack any."""
    lacking = {node: [image for image in wanted if image not in images] for node, images in held.items()}
    return {node: images for node, images in lacking.items() if images}


def _run(environment: dict[str, str], *command: str) -> str:
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CoursehubError(
            f"`{os.path.basename(command[0])} {' '.join(command[1:4])}` failed: {result.stderr.strip()[-500:]}"
        )
    return result.stdout


def run(parameters: dict[str, Any], check_mode: bool, folder: str) -> dict[str, Any]:
    """Compare, and load what is missing."""
    environment = {**os.environ, **{k: str(v) for k, v in parameters["environment_variables"].items()}}
    kind, engine, name = parameters["kind"], parameters["engine"], parameters["name"]
    nodes = _run(environment, kind, "get", "nodes", "--name", name).split()
    if not nodes:
        raise CoursehubError(f"there is no kind cluster '{name}': run the cluster role first")
    listing = ("ctr", "--namespace=k8s.io", "images", "ls", "-q")
    held = {node: set(_run(environment, engine, "exec", node, *listing).split()) for node in nodes}
    plan = missing(held, parameters["images"])
    if plan and not check_mode:
        wanted = sorted({image for images in plan.values() for image in images})
        many = ["--multi-image-archive", "--format", "docker-archive"] if engine == "podman" else []
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            archive = os.path.join(scratch, "images.tar")
            _run(environment, engine, "save", *many, "--output", archive, *wanted)
            _run(environment, kind, "load", "image-archive", archive, "--name", name, "--nodes", ",".join(plan))
    return {"changed": bool(plan), "loaded": plan, "diff": {"before": {"missing": plan}, "after": {"missing": {}}}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "kind": {"type": "path", "required": True},
            "engine": {"type": "str", "choices": ["docker", "podman"], "required": True},
            "environment_variables": {"type": "dict", "default": {}},
            "images": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode, module.tmpdir)
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
