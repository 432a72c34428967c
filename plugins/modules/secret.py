#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: secret
short_description: Keep a Secret in the cluster, with values that are given or drawn at random
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Draws each key of O(generate) at random once, and never changes it afterwards. Values of O(values) are set as
    given. No value is ever returned, shown in a diff or logged.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
attributes:
  diff_mode:
    details: Shows the names of keys only.
options:
  name:
    description: The Secret's name.
    type: str
    required: true
  namespace:
    description: Its namespace. It is made where it does not exist.
    type: str
    required: true
  generate:
    description: Keys whose values are drawn at random, with their length in bytes. They are kept as hexadecimal text.
    type: dict
    default: {}
  values:
    description: Keys whose values are given.
    type: dict
    default: {}
  htpasswd:
    description: Keys that hold a line as htpasswd writes it, for the password in another key.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Keep a password for the proxy's API, and what the proxy checks it against
  coursehub.jupyterhub.secret:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    name: proxy
    namespace: coursehub
    generate:
      api-password: 32
    htpasswd:
      api-users: {user: hub, password: api-password}
"""

RETURN = r"""
written:
  description: The names of the keys that were written, or would be.
  type: list
  elements: str
  returned: success
  sample: ["api-password"]
version:
  description: The Secret's resource version, which changes with its values. Empty where a dry run would create it.
  type: str
  returned: success
  sample: "4711"
"""

import base64
import hashlib
import secrets
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kube, _manifests
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def htpasswd_line(user: str, password: str) -> str:
    """Return a line with a SHA-1 hash, which the proxy checks in microseconds.

    A slow hash protects passwords that people choose; these are 32 random bytes, and the hub
    sends them with every route.
    """
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest())
    return f"{user}:{{SHA}}{digest.decode()}"


def wanted_values(present: dict[str, str], parameters: dict[str, Any]) -> dict[str, str]:
    """Return all of the Secret's values: those there are, those given, those still to be drawn."""
    values = {key: present.get(key) or secrets.token_hex(int(size)) for key, size in parameters["generate"].items()}
    values.update({key: str(value) for key, value in parameters["values"].items()})
    for key, entry in parameters["htpasswd"].items():
        if entry["password"] not in values:
            raise CoursehubError(f"htpasswd names the password '{entry['password']}', which the Secret does not hold")
        values[key] = htpasswd_line(entry["user"], values[entry["password"]])
    return values


def run(kube: _kube.Kube, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Compare, and write what differs."""
    name, namespace = parameters["name"], parameters["namespace"]
    found = kube.get("v1", "Secret", name, namespace) or {}
    present = {key: base64.b64decode(value).decode() for key, value in found.get("data", {}).items()}
    values = wanted_values(present, parameters)
    written = sorted(key for key in {*present, *values} if present.get(key) != values.get(key))
    if written and not check_mode:
        query = {"fieldManager": _kube.FIELD_MANAGER, "force": "true"}
        if kube.get("v1", "Namespace", namespace) is None:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            kube.request("PATCH", kube.path("v1", "Namespace", None, namespace), body, **query)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": _manifests.MANAGED_BY},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
        }
        found = kube.request("PATCH", kube.path("v1", "Secret", namespace, name), secret, **query)
    return {
        "changed": bool(written),
        "written": written,
        "version": found.get("metadata", {}).get("resourceVersion", ""),
        "diff": {"before": {"keys": sorted(present)}, "after": {"keys": sorted(values)}},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "generate": {"type": "dict", "default": {}, "no_log": False},
            "values": {"type": "dict", "default": {}, "no_log": True},
            "htpasswd": {"type": "dict", "default": {}, "no_log": False},
        },
        supports_check_mode=True,
    )
    if not _kube.HAS_KUBERNETES:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=_kube.KUBERNETES_IMPORT_ERROR)
    try:
        result = run(
            _kube.Kube(module.params["kubeconfig"], module.params["context"]), module.params, module.check_mode
        )
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
