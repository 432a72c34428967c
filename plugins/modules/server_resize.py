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
  - Looks at what each running server uses, as O(source) tells, and resizes its pod in place. A server asks for
    a quarter more memory than it uses. One that computes keeps what it asked for before; one that was idle for
    O(idle_s) gives the rest back, and asks for few cores.
  - Memory is never taken below what is in use, and no server is restarted. It needs Kubernetes 1.35.
  - Since when servers are idle is kept from run to run, in the ConfigMap C(resize) in O(namespace).
  - In check mode with O(source=kubelet), where no server runs, all nodes are asked, so that it fails where none tells.
    That takes the right to list nodes.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
options:
  namespace:
    description: The students' namespace.
    type: str
    required: true
  source:
    description:
      - Who tells what servers use. V(metrics) is the metrics API, which metrics-server has; it takes the right to list
        C(pods) of C(metrics.k8s.io) in O(namespace).
      - V(kubelet) is each node's kubelet, by way of the API server, where there is no metrics-server. It takes the
        right to get C(nodes/proxy), with which one may run commands in any container of the cluster.
    type: str
    choices: [metrics, kubelet]
    default: metrics
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
  idle_s:
    description: Seconds without computing after which a server is idle.
    type: int
    default: 300
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
silent:
  description: With O(source=kubelet), the nodes whose kubelet did not tell, and why. Servers there are left alone.
  type: dict
  returned: success
  sample: {}
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _applying,
    _bulk,
    _edge,
    _kept,
    _kube,
    _manifests,
    _packing,
    _resizing,
    _warm,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

METRICS = "/apis/metrics.k8s.io/v1beta1"


def by_metrics(kube: _kube.Kube, namespace: str) -> dict[str, _resizing.Use]:
    """Return pod -> use, as the metrics API tells. Raises CoursehubError where there is none, or it does not tell."""
    query = urlencode({"labelSelector": _resizing.SELECTOR})
    try:
        return _resizing.uses_of_metrics(kube.ask(f"{METRICS}/namespaces/{namespace}/pods?{query}"))
    except _kube.ApiError as error:
        if error.status != 404:
            raise CoursehubError(f"the metrics API does not tell what servers use: {error}") from error
        raise CoursehubError(
            "the cluster has no metrics API: install metrics-server, or set the source of what servers use to kubelet"
        ) from error


def nodes_of(kube: _kube.Kube, pods: list[dict[str, Any]], check_mode: bool) -> list[str]:
    """Return the nodes that servers run on; in check mode, where there are none, all nodes.

    A check that asks nobody finds nothing. Without check mode nobody need be asked, and the schedule may list no nodes.
    """
    nodes = {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}
    if not nodes and check_mode:
        nodes = {node["metadata"]["name"] for node in kube.list("v1", "Node")}
    return sorted(nodes)


def by_kubelets(
    kube: _kube.Kube, namespace: str, nodes: list[str]
) -> tuple[dict[str, _resizing.Use], dict[str, CoursehubError]]:
    """Return pod -> use, as the kubelets of their nodes tell, and the nodes that don't.

    Raises CoursehubError where no kubelet tells anything.
    """

    def ask(node: str) -> dict[str, _resizing.Use]:
        summary = kube.ask(f"{kube.path('v1', 'Node', None, node)}/proxy/stats/summary")
        return _resizing.uses(summary, namespace)

    answers, silent = _bulk.each(nodes, ask)
    if nodes and not answers:
        raise CoursehubError(
            f"none of {len(nodes)} nodes tells what its servers use, {nodes[0]} says: {silent[nodes[0]]}; the account"
            " needs the right to get nodes/proxy"
        )
    return {pod: use for answer in answers.values() for pod, use in answer.items()}, silent


def run(kube: _kube.Kube, parameters: dict[str, Any], check_mode: bool, now: datetime) -> dict[str, Any]:
    """Look, and resize. Raises CoursehubError where nobody tells anything."""
    namespace = parameters["namespace"]
    bounds = _packing.parse_bounds(parameters["floor"], parameters["ceiling"], parameters["ceiling"])
    cpu, idle = (float(parse_quantity(parameters[word])) for word in ("cpu", "idle_cpu"))
    pods = kube.list("v1", "Pod", namespace, labelSelector=_resizing.SELECTOR)
    if parameters["source"] == "metrics":
        used, silent = by_metrics(kube, namespace), dict[str, CoursehubError]()
    else:
        used, silent = by_kubelets(kube, namespace, nodes_of(kube, pods, check_mode))
    kept = (kube.get("v1", "ConfigMap", _resizing.NAME, namespace) or {}).get("data") or {}
    before = _kept.parsed(kept.get("quiet"))
    quiet = _resizing.quiet_since(pods, used, before if isinstance(before, dict) else {}, now)
    rule = _resizing.Rule(bounds, cpu, idle, parameters["idle_s"])
    changes = _resizing.plan(pods, used, quiet, rule, now)
    named = {pod["metadata"]["name"]: pod for pod in pods}
    failed: dict[str, str] = {}
    if not check_mode:
        record = _resizing.record(namespace, quiet, [use for name, use in used.items() if name in named], now)
        _applying.apply(kube, _manifests.prepare([record], _warm.PART)[0], False)

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
        "silent": {node: str(error) for node, error in silent.items()},
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
            "source": {"type": "str", "choices": ["metrics", "kubelet"], "default": "metrics"},
            "idle_cpu": {"type": "str", "default": "20m"},
            "idle_s": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    parameters = module.params

    def work() -> dict[str, Any]:
        kube = _kube.Kube(parameters["kubeconfig"], parameters["context"])
        result = run(kube, parameters, module.check_mode, datetime.now(UTC))
        if result["silent"]:
            module.warn(_bulk.summary(result["silent"], len(result["silent"]), "nodes"))
        return result

    _edge.run(module, work)


if __name__ == "__main__":
    main()
