#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: part_info
short_description: Return what a part of the collection has in the cluster, so that it can be applied again
version_added: 0.3.0
author: The coursehub authors (@coursehub)
description:
  - Returns the objects of a part as M(coursehub.jupyterhub.manifests) takes them, the way back of an upgrade. Secrets
    are left out, and whatever is never removed, as disks are.
  - Changes nothing.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.info
options:
  part:
    description: The part, as V(hub) or V(proxy).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Know the proxy as it is
  coursehub.jupyterhub.part_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    part: proxy
  register: proxy
"""

RETURN = r"""
objects:
  description: The objects.
  type: list
  elements: dict
  returned: success
  sample: [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "proxy-public", "namespace": "coursehub"}}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _edge, _kube, _manifests


def objects(kube: _kube.Kube, part: str) -> list[_manifests.Object]:
    """Return the objects of a part."""
    return [
        _manifests.again(item)
        for api_version, kind in _manifests.PRUNABLE
        if kind != "Secret"
        for item in kube.list(api_version, kind, labelSelector=_manifests.selector(part))
        if not item["metadata"].get("ownerReferences")
    ]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**_kube.CONNECTION_ARGUMENTS, "part": {"type": "str", "required": True}},
        supports_check_mode=True,
    )

    def work() -> dict[str, list[_manifests.Object]]:
        kube = _kube.Kube(module.params["kubeconfig"], module.params["context"])
        return {"objects": objects(kube, module.params["part"])}

    _edge.run(module, work)


if __name__ == "__main__":
    main()
