# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge of a module that talks to a cluster: here alone what went wrong becomes a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Result = dict[str, Any]


def run(
    module: AnsibleModule, work: Callable[[], Result], failure: Callable[[Result], str] = lambda _result: ""
) -> None:
    """Do a module's work and end the module with its result.

    ``failure`` returns the sentence with which the module fails all the same: something failed for some students.
    """
    if not _kube.HAS_KUBERNETES:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=_kube.KUBERNETES_IMPORT_ERROR)
    try:
        result = work()
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    sentence = failure(result)
    if sentence:
        module.fail_json(msg=sentence, **result)
    module.exit_json(**result)
