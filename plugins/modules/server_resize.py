#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: server_resize
short_description: Let students' servers ask for what they use, while they run
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - Looks at what each running server uses, as its node's kubelet tells, and resizes its pod in place. A server that
    computes asks for a quarter more memory than it uses; an idle one for what is in use, and for few cores.
  - Memory is never taken below what is in use, and no server is restarted. It needs Kubernetes 1.35.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
options:
  namespace:
    description: The students' namespace.
    type: str
    required: true
  floor:
    description: The least memory that a server asks for.
    type: str
    required: true
  ceiling:
    description: The most memory that a server asks for, if it does not use more.
    type: str
    required: true
  cpu:
    description: The cores that a server asks for that computes.
    type: str
    required: true
  idle_cpu:
    description: The cores that an idle server asks for.
    type: str
    default: 20m
"""

EXAMPLES = r"""
- name: Pack servers by what they use
  coursehub.jupyterhub.server_resize:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    floor: 256Mi
    ceiling: 2Gi
    cpu: 100m
"""

RETURN = r"""
resized:
  description: The pods that ask for something else now, with what.
  type: dict
  returned: success
  sample: {"jupyter-alice": {"memory": "335544320", "cpu": "20m"}}
failed:
  description: The pods that could not be resized, and why. They are tried again by the next run.
  type: dict
  returned: success
  sample: {}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _edge,
    _kube,
    _packing,
    _resizing,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity


def run(kube: _kube.Kube, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look, and resize."""
    namespace = parameters["namespace"]
    bounds = _packing.parse_bounds(parameters["floor"], parameters["ceiling"], parameters["ceiling"])
    cpu, idle = (float(parse_quantity(parameters[word])) for word in ("cpu", "idle_cpu"))
    pods = kube.list("v1", "Pod", namespace, labelSelector=_resizing.SELECTOR)
    nodes = sorted({pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")})

    def ask(node: str) -> dict[str, _resizing.Use]:
        summary = kube.ask(f"{kube.path('v1', 'Node', None, node)}/proxy/stats/summary")
        return _resizing.uses(summary, namespace)

    answers, _silent = _bulk.each(nodes, ask)
    used = {pod: use for answer in answers.values() for pod, use in answer.items()}
    changes = _resizing.plan(pods, used, _resizing.Rule(bounds, cpu, idle))
    named = {pod["metadata"]["name"]: pod for pod in pods}
    failed: dict[str, str] = {}
    if not check_mode:

        def resize(name: str) -> None:
            path = f"{kube.path('v1', 'Pod', namespace, name)}/resize"
            kube.merge(path, _resizing.patch(named[name], changes[name]))

        _done, errors = _bulk.each(sorted(changes), resize)
        failed = {name: str(error) for name, error in errors.items()}
    resized = {name: changes[name] for name in sorted(changes) if name not in failed}
    return {
        "changed": bool(resized),
        "resized": resized,
        "failed": failed,
        "diff": {
            "before": {name: _asked(named[name]) for name in resized},
            "after": resized,
        },
    }


def _asked(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = (one for one in pod["spec"]["containers"] if one["name"] == _resizing.CONTAINER)
    return {word: str(container["resources"]["requests"][word]) for word in ("memory", "cpu")}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            **{word: {"type": "str", "required": True} for word in ("namespace", "floor", "ceiling", "cpu")},
            "idle_cpu": {"type": "str", "default": "20m"},
        },
        supports_check_mode=True,
    )
    parameters = module.params

    def work() -> dict[str, Any]:
        return run(_kube.Kube(parameters["kubeconfig"], parameters["context"]), parameters, module.check_mode)

    _edge.run(module, work)


if __name__ == "__main__":
    main()
