#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: manifests
short_description: Apply a set of Kubernetes objects in one go, and remove what is no longer in it
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Applies all objects of one part of the hub by server-side apply, in the order that they need, and waits
    until its workloads are rolled out.
  - Objects that carry this part's labels and are no longer declared are removed. Objects without the label
    C(app.kubernetes.io/managed-by=coursehub), and all disks, snapshots, namespaces and custom resource
    definitions, are never removed.
  - A claim for a disk that is larger than declared, since someone has grown it, keeps its size.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
attributes:
  check_mode:
    details: Asks the API server for a dry run, so what it would refuse is seen.
options:
  part:
    description: The part of the hub that owns the objects, usually the role's name.
    type: str
    required: true
  objects:
    description: The objects, all that the part wants. An empty list removes the part.
    type: list
    elements: dict
    required: true
  prune:
    description: Whether to remove owned objects that are not in O(objects).
    type: bool
    default: true
  wait:
    description: Whether to wait until the Deployments, StatefulSets and DaemonSets of the set are rolled out.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait for all of them together.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Apply what the proxy consists of
  coursehub.jupyterhub.manifests:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    part: proxy
    objects: "{{ lookup('ansible.builtin.template', 'proxy.yaml.j2') | from_yaml_all }}"

- name: Remove the proxy
  coursehub.jupyterhub.manifests:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    part: proxy
    objects: []
"""

RETURN = r"""
applied:
  description: The objects that were created or changed.
  type: list
  elements: str
  returned: success
  sample: ["Deployment coursehub/proxy"]
removed:
  description: The objects that were removed.
  type: list
  elements: str
  returned: success
  sample: []
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _applying, _kube, _manifests
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]


def _live(kube: _kube.Kube, part: str) -> list[Object]:
    """Return all objects of prunable kinds that the part owns."""
    selector = _manifests.selector(part)
    return [
        item
        for api_version, kind in _manifests.PRUNABLE
        for item in kube.list(api_version, kind, labelSelector=selector)
    ]


def _delete(kube: _kube.Kube, item: Object) -> None:
    api_version, kind, namespace, name = _manifests.identity(item)
    try:
        kube.delete(api_version, kind, name, namespace, {"propagationPolicy": "Background"})
    except _kube.ApiError as error:
        raise CoursehubError(f"{_manifests.describe(item)} can't be removed: {error}") from error


def _wait(kube: _kube.Kube, items: list[Object], deadline: float) -> None:
    """Wait for every workload. Raises CoursehubError that says what each missing one lacks."""
    reasons = {
        _manifests.describe(item): _wait_for(kube, item, deadline)
        for item in items
        if item["kind"] in _manifests.WAITED_FOR
    }
    waiting = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    if waiting:
        raise CoursehubError("not rolled out in time: " + "; ".join(waiting))


def _wait_for(kube: _kube.Kube, item: Object, deadline: float) -> str:
    """Wait for one object; return what it lacks when the time is up, or an empty string."""
    api_version, kind, namespace, name = _manifests.identity(item)

    def lack(found: list[Object]) -> str:
        # The items of a list do not repeat the kind, by which readiness is judged.
        return _manifests.not_ready({**found[0], "kind": kind}) if found else "it is gone"

    found = kube.wait(
        api_version, kind, namespace, lambda found: not lack(found), deadline, fieldSelector=f"metadata.name={name}"
    )
    return f"{lack(found)}{_pods(kube, item)}" if lack(found) else ""


def _pods(kube: _kube.Kube, item: Object) -> str:
    if item["kind"] not in _manifests.WORKLOADS:
        return ""
    labels = item["spec"]["selector"]["matchLabels"]
    pods = kube.list(
        "v1",
        "Pod",
        item["metadata"].get("namespace"),
        labelSelector=",".join(f"{key}={value}" for key, value in labels.items()),
    )
    troubles = {
        f"{pod['metadata']['name']} {_manifests.pod_trouble(pod)}" for pod in pods if _manifests.pod_trouble(pod)
    }
    return f" ({'; '.join(sorted(troubles))})" if troubles else ""


def run(kube: _kube.Kube, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Apply, wait, then prune: what is new must work before what is old goes."""
    part = parameters["part"]
    declared = _manifests.prepare(parameters["objects"], part)
    applied, before, after = [], [], []
    for item in declared:
        old, new = _applying.apply(kube, item, check_mode)
        # Not by resourceVersion: a status that moves between the two answers would count as a change.
        if _manifests.comparable(old) != _manifests.comparable(new):
            applied.append(_manifests.describe(item))
            before.append(_manifests.shown(old))
            after.append(_manifests.shown(new))
    if parameters["wait"] and not check_mode:
        _wait(kube, declared, time.monotonic() + parameters["wait_timeout"])
    removed = []
    for item in _manifests.to_prune(declared, _live(kube, part)) if parameters["prune"] else []:
        removed.append(_manifests.describe(item))
        before.append(_manifests.shown(item))
        if not check_mode:
            _delete(kube, item)
    return {
        "changed": bool(applied or removed),
        "applied": applied,
        "removed": removed,
        "diff": {"before": {"objects": before}, "after": {"objects": after}},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            "part": {"type": "str", "required": True},
            "objects": {"type": "list", "elements": "dict", "required": True},
            "prune": {"type": "bool", "default": True},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    if not _kube.HAS_KUBERNETES:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=_kube.KUBERNETES_IMPORT_ERROR)
    try:
        kube = _kube.Kube(module.params["kubeconfig"], module.params["context"])
        result = run(kube, module.params, module.check_mode)
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
