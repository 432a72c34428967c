#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_user
short_description: Make and remove the hub's users, and put them into groups
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - Makes users, puts them into groups and takes them out, and makes administrators.
  - A user who is removed loses the server that runs and every group; the disk stays, and is found again by the name.
  - A role is a group whose members may do more, so V(staff) in O(groups) makes someone staff.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.hub
  - coursehub.jupyterhub.progress
attributes:
  diff_mode:
    details: Shows the groups of each user who changes.
options:
  users:
    description: The users, by the names that the login gives them.
    type: list
    elements: str
    required: true
  state:
    description: Whether they are to be users of the hub.
    type: str
    choices: [present, absent]
    default: present
  groups:
    description: The groups that they are to be in. One that is not there is made. They stay in others.
    type: list
    elements: str
    default: []
  leave_groups:
    description: The groups that they are not to be in.
    type: list
    elements: str
    default: []
  admin:
    description:
      - Whether they are to be in the group V(administrator), whose members may do everything. Without it that stays.
      - Who is an administrator by the inventory (C(coursehub_hub_admin_users)) stays one whatever this is.
    type: bool
"""

EXAMPLES = r"""
- name: Let a new tutor help
  coursehub.jupyterhub.hub_user:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    hub_url: https://hub.example.org
    hub_namespace: coursehub
    users: [tom@example.org]
    groups: [staff, lab1]

- name: Remove one who left; the disk stays
  coursehub.jupyterhub.hub_user:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    hub_url: https://hub.example.org
    hub_namespace: coursehub
    users: [alice@example.org]
    state: absent
"""

RETURN = r"""
students:
  description: What was done, or would be, for each user for whom something was.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The user.
      type: str
    created:
      description: Whether the user is new at the hub.
      type: bool
    removed:
      description: Whether the user was removed from the hub.
      type: bool
    joined:
      description: The groups that the user was put into, roles among them.
      type: list
      elements: str
    left:
      description: The groups that the user was taken out of.
      type: list
      elements: str
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      created: true
      removed: false
      joined: [lab1]
      left: []
      failed: ""
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _enrolment,
    _hub,
    _hub_module,
    _people,
    _progress,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def check(parameters: dict[str, Any]) -> None:
    """Raise CoursehubError for parameters that make no sense."""
    for name in parameters["users"]:
        _people.check_name(name)
    both = set(parameters["groups"]) & set(parameters["leave_groups"])
    if both:
        raise CoursehubError(f"groups and leave_groups both have {', '.join(sorted(both))}: keep one")
    for group in (*parameters["groups"], *parameters["leave_groups"]):
        _people.check_group(group)
        if group == _people.ADMINISTRATOR:
            raise CoursehubError(f"'{group}' is set by admin, and by no group")
    if parameters["state"] == "absent" and (parameters["groups"] or parameters["admin"]):
        raise CoursehubError("with state absent there is nobody for groups or admin: leave both out")


def plan(now: _people.State, parameters: dict[str, Any]) -> _people.Plan:
    """Return what is to be done."""
    names = list(dict.fromkeys(parameters["users"]))
    if parameters["state"] == "absent":
        return _people.Plan(remove=[name for name in names if name in now.users])
    wanted, unwanted = set(parameters["groups"]), set(parameters["leave_groups"])
    if parameters["admin"] is not None:
        (wanted if parameters["admin"] else unwanted).add(_people.ADMINISTRATOR)
    return _people.plan(now, dict.fromkeys(names, wanted), dict.fromkeys(names, unwanted))


def run(hub: _hub.Hub, progress: _progress.Progress, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look, plan, and do it."""
    deadline = time.monotonic() + parameters["wait_timeout"]
    now = _people.state(hub.users(), hub.groups())
    todo = plan(now, parameters)
    failed = {} if check_mode else _enrolment.Enrolment(hub, progress, deadline)(todo)
    return _enrolment.result(now, todo, failed)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_hub_module.ARGUMENTS,
            "users": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "groups": {"type": "list", "elements": "str", "default": []},
            "leave_groups": {"type": "list", "elements": "str", "default": []},
            "admin": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    _hub_module.run(
        module,
        lambda: check(module.params),
        lambda hub, progress, _checked: run(hub, progress, module.params, module.check_mode),
    )


if __name__ == "__main__":
    main()
