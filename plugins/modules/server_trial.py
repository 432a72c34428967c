#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: server_trial
short_description: Start a server from a single-user image before students get it
version_added: 0.3.0
author: The coursehub authors (@coursehub)
description:
  - Starts a pod as a student's server is, with the image and without a student or a disk, waits until it answers, and
    removes it. Fails with what kept it from starting.
  - What did well is noted in the cluster, and is not tried again until the image's name, the server's program, its
    resources or its place change. An image that is pushed anew under the same tag is not noticed, and nodes that have
    the old one keep it, so tags must not be reused.
  - A pull that fails is tried again for a minute.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
attributes:
  diff_mode:
    support: none
    details: There is nothing to show.
options:
  namespace:
    description: The students' namespace.
    type: str
    required: true
  image:
    description: The image, by a tag that is never used again or by its digest.
    type: str
    required: true
  memory:
    description: The memory that a student's server is promised.
    type: str
    required: true
  memory_limit:
    description: The most memory that a student's server may take.
    type: str
    required: true
  cpu:
    description: The cores that a student's server is promised.
    type: str
    required: true
  cpu_limit:
    description: The most cores that a student's server may take.
    type: str
    required: true
  pool:
    description: The pool of nodes that students' servers run on. Empty for any node.
    type: str
    default: ""
  scheduler:
    description: The scheduler of students' servers. Empty for the cluster's own.
    type: str
    default: ""
  wait_timeout:
    description: Seconds until the server must answer. A large image takes minutes to reach a node.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Try next week's image
  coursehub.jupyterhub.server_trial:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    image: registry.example.org/data-8:2026-11-25
    memory: 256Mi
    memory_limit: 1Gi
    cpu: 50m
    cpu_limit: "2"
"""

RETURN = r"""
seconds:
  description: How long the server took to answer. Absent where the same had been tried before, and in check mode.
  type: float
  returned: changed
  sample: 6.4
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _edge, _kube, _manifests, _trial
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

CONFIG = ("v1", "ConfigMap", "server")
POD = ("v1", "Pod")
# A pod that a run left, or this one's, must be gone within so many seconds.
REMOVAL_S = 60


class Trial:
    """One trial."""

    def __init__(self, kube: _kube.Kube, parameters: Mapping[str, Any], check_mode: bool) -> None:
        self._kube = kube
        self._namespace: str = parameters["namespace"]
        self._parameters = parameters
        self._check_mode = check_mode

    def __call__(self) -> dict[str, Any]:
        config = self._kube.get(*CONFIG, self._namespace)
        if config is None and not self._check_mode:
            raise CoursehubError(
                f"there is no ConfigMap {CONFIG[2]} in {self._namespace}, which has the server's program: run the"
                " playbook site first"
            )
        pod = _trial.pod(self._namespace, self._parameters)
        key = _trial.key(pod, (config or {}).get("data") or {})
        annotations = (config or {}).get("metadata", {}).get("annotations") or {}
        if annotations.get(_trial.TRIED_ANNOTATION) == key:
            return {"changed": False}
        if self._check_mode:
            return {"changed": True}
        begun = time.monotonic()
        with self._running(pod):
            self._await()
        seconds = round(time.monotonic() - begun, 1)
        path = self._kube.path(CONFIG[0], CONFIG[1], self._namespace, CONFIG[2])
        self._kube.merge(path, {"metadata": {"annotations": {_trial.TRIED_ANNOTATION: key}}})
        return {"changed": True, "seconds": seconds}

    @contextmanager
    def _running(self, pod: dict[str, Any]) -> Iterator[None]:
        self._remove()
        self._kube.create(pod)
        try:
            yield
        finally:
            with suppress(_kube.ApiError):
                self._remove()

    def _await(self) -> None:
        """Raise CoursehubError where the server does not come to answer."""
        seconds, image = self._parameters["wait_timeout"], self._parameters["image"]
        judge = _trial.Judge()

        def decided(found: list[dict[str, Any]]) -> bool:
            return not found or judge(found[0]) is not None

        selector = f"metadata.name={_trial.NAME}"
        deadline = time.monotonic() + seconds
        found = self._kube.wait(*POD, self._namespace, decided, deadline, fieldSelector=selector)
        verdict = judge(found[0]) if found else "its pod was removed"
        if verdict == "":
            return
        if verdict is None:
            verdict = f"it did not answer within {seconds} s: {_manifests.pod_trouble(found[0])}"
        said = self._last_words(deadline) if found else ""
        raise CoursehubError(
            f"a server of the image {image} does not start, so no student gets it: {verdict}{said}; mend the image, or"
            " set coursehub_hub_singleuser_image to one that starts"
        )

    def _last_words(self, deadline: float) -> str:
        path = f"{self._kube.path(*POD, self._namespace, _trial.NAME)}/log?tailLines=3&previous=true"
        try:
            text = self._kube.text(path, deadline)
        except CoursehubError:
            return ""
        return f"; it said: {' | '.join(text.split(chr(10))).strip(' |')[-500:]}" if text.strip() else ""

    def _remove(self) -> None:
        self._kube.delete(*POD, _trial.NAME, self._namespace)
        selector = f"metadata.name={_trial.NAME}"
        deadline = time.monotonic() + REMOVAL_S
        self._kube.wait(*POD, self._namespace, lambda found: not found, deadline, fieldSelector=selector)


def main() -> None:
    """Run the module."""
    words = ("namespace", "image", "memory", "memory_limit", "cpu", "cpu_limit")
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            **{word: {"type": "str", "required": True} for word in words},
            "pool": {"type": "str", "default": ""},
            "scheduler": {"type": "str", "default": ""},
            "wait_timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    parameters = module.params

    def work() -> dict[str, Any]:
        return Trial(_kube.Kube(parameters["kubeconfig"], parameters["context"]), parameters, module.check_mode)()

    _edge.run(module, work)


if __name__ == "__main__":
    main()
