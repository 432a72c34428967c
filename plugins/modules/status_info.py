#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: status_info
short_description: Tell what of a hub runs, what does not, and why
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Looks at the cluster's nodes, the workloads of this collection, the students' servers and disks, what is said of
    warm seats, and asks the hub through the proxy, as a student's browser does. Never changes anything, and does not
    fail where something is down.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.info
options:
  students_namespace:
    description: The namespace of the students' servers and disks.
    type: str
    required: true
  url:
    description: The address that students type. It is not asked where it is empty.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Look at the hub
  coursehub.jupyterhub.status_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    students_namespace: coursehub-students
    url: http://127.0.0.1:8000
"""

RETURN = r"""
well:
  description: Whether everything runs.
  type: bool
  returned: success
  sample: true
things:
  description: Each thing that was looked at, with whether it is well and what there is to say.
  type: list
  elements: dict
  returned: success
  sample: [{"name": "cluster", "well": true, "detail": "1 of 1 nodes ready, Kubernetes v1.36.3"}]
text:
  description: The same for a person to read.
  type: str
  returned: success
  sample: "  ok  cluster  1 of 1 nodes ready, Kubernetes v1.36.3"
"""

import dataclasses
import urllib.error
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.urls import ConnectionError as NoConnection
from ansible.module_utils.urls import open_url
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kube, _manifests, _status, _usage, _warm
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

ASK_TIMEOUT_S = 5


def ask(report: _status.Report, url: str) -> None:
    """Ask the hub for its health by the way that students take."""
    try:
        open_url(f"{url.rstrip('/')}/hub/health", timeout=ASK_TIMEOUT_S).close()
        report.add("address", True, f"{url} answers")
    except urllib.error.HTTPError as error:
        report.add("address", False, f"the proxy at {url} answers, the hub behind it does not ({error.code})")
    except (OSError, ValueError, NoConnection) as error:
        report.add("address", False, f"{url} does not answer: {getattr(error, 'reason', error)}")


def _own_claims(kube: _kube.Kube, owned: str, students: str) -> list[dict[str, Any]]:
    claims = kube.list("v1", "PersistentVolumeClaim", labelSelector=owned)
    return [claim for claim in claims if claim["metadata"]["namespace"] != students]


def _used_bytes(kube: _kube.Kube) -> dict[tuple[str, str], int | None]:
    return {claim: usage.used_bytes for claim, usage in _usage.of_all_disks(kube).items()}


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Look, and report."""
    report = _status.Report()
    try:
        kube = _kube.Kube(parameters["kubeconfig"], parameters["context"])
        nodes = kube.list("v1", "Node")
        _status.add_nodes(report, nodes)
        owned = ",".join(f"{key}={value}" for key, value in _manifests.MANAGED_BY.items())
        namespace = parameters["students_namespace"]
        workloads = [item for kind in _manifests.WORKLOADS for item in kube.list("apps/v1", kind, labelSelector=owned)]
        # Placeholders wait for nodes, which is what they are for: they are told of with the seats.
        workloads = [item for item in workloads if not _warm.keeps_room(item)]
        pods = kube.list("v1", "Pod")
        _status.add_workloads(report, workloads, pods)
        _status.add_dns(report, pods, nodes)
        _status.add_own_disks(report, _own_claims(kube, owned, namespace), _used_bytes(kube))
        _status.add_database(report, kube.list("v1", "Event", labelSelector=_status.HUB_EVENTS), pods)
        servers = kube.list("v1", "Pod", namespace, labelSelector="app.kubernetes.io/component=singleuser-server")
        # Where disks are is only of interest while somebody waits.
        volumes = kube.list("v1", "PersistentVolume") if any(map(_status.unplaced, servers)) else []
        disks = kube.list("v1", "PersistentVolumeClaim", namespace)
        _status.add_students(report, servers, disks, volumes, nodes)
        _status.add_held(report, servers, datetime.now(UTC))
        placeholders = [pod for pod in pods if pod["metadata"]["namespace"] == namespace and _warm.is_placeholder(pod)]
        record = kube.get("v1", "ConfigMap", _warm.NAME, namespace)
        _status.add_seats(report, record, placeholders, datetime.now(UTC))
        _status.add_unpacked(report, [pod for pod in pods if _warm.is_unpacked(pod)], datetime.now(UTC))
    except CoursehubError as error:
        report.add("cluster", False, str(error))
    if parameters["url"]:
        ask(report, parameters["url"])
    things = [dataclasses.asdict(line) for line in report.lines]
    return {"changed": False, "well": report.well, "things": things, "text": report.text()}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            "students_namespace": {"type": "str", "required": True},
            "url": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    if not _kube.HAS_KUBERNETES:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=_kube.KUBERNETES_IMPORT_ERROR)
    module.exit_json(**run(module.params))


if __name__ == "__main__":
    main()
