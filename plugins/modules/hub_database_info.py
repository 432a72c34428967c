#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_database_info
short_description: Tell whether a hub does not start because a newer one has upgraded its database
version_added: 0.3.0
author: The coursehub authors (@coursehub)
description:
  - Looks at what a hub that does not answer has left in the status of its pods. Changes nothing.
  - Each hub compares its database's revision with those that its JupyterHub knows before it starts.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.info
  - coursehub.jupyterhub.hub.namespace
options:
  wait_timeout:
    description:
      - Seconds to wait first for hubs that are ending. Until then they answer, whatever the one after them will find.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Know whether the hub knows its database
  coursehub.jupyterhub.hub_database_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub
  register: database
"""

RETURN = r"""
newer:
  description: What the hub says of a database with a newer schema, empty where it does not.
  type: str
  returned: success
  sample: the hub's database has a newer schema, 4621fec11365, which JupyterHub 5.2.1 does not know
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _database, _edge, _kube


def run(kube: _kube.Kube, parameters: dict[str, Any]) -> dict[str, str]:
    """Wait for hubs that are ending, and tell what the others say."""

    def ended(pods: list[dict[str, Any]]) -> bool:
        return not any("deletionTimestamp" in pod["metadata"] for pod in pods)

    deadline = time.monotonic() + parameters["wait_timeout"]
    selector = "app.kubernetes.io/name=hub"
    pods = kube.wait("v1", "Pod", parameters["namespace"], ended, deadline, labelSelector=selector)
    return {"newer": _database.refusal(pods)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            "namespace": {"type": "str", "required": True},
            "wait_timeout": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )

    def work() -> dict[str, str]:
        return run(_kube.Kube(module.params["kubeconfig"], module.params["context"]), module.params)

    _edge.run(module, work)


if __name__ == "__main__":
    main()
