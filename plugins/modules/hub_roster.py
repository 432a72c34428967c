#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_roster
short_description: Make a roster file's people users of the hub, with their groups and roles
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - Reads a CSV file with a column C(student), and, if there are such, C(group) and C(role), makes everyone in it a
    user, and puts them into the groups. Several groups stand in one cell with semicolons between them. Other columns
    are not read.
  - A role is C(student), which is none, C(administrator), or one of O(roles). Its members may do more from the next
    click on; nothing is started anew.
  - Nothing is changed where one line of the file is wrong, as with a name twice, in capital letters or with a space,
    two names that can't be told apart, or an unknown role. The first such line is named.
  - No user is removed, no server stopped and no disk touched.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.hub
  - coursehub.jupyterhub.progress
attributes:
  diff_mode:
    details: Shows the groups of each user who changes.
options:
  roster:
    description: The CSV file.
    type: path
    required: true
  roles:
    description: The roles that the hub knows, besides C(administrator), as C(coursehub_hub_roles) has them.
    type: list
    elements: str
    default: [staff]
  exclusive:
    description:
      - Whether who is in a group by something else than this roster is taken out of it. That goes for the groups that
        the roster names, and for all roles where it has a column C(role). Users stay users.
      - Without it the roster only adds.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Let in who is in the course, and nobody else into its groups
  coursehub.jupyterhub.hub_roster:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    hub_url: https://hub.example.org
    hub_namespace: coursehub
    # student,role,group
    # alice@example.org,,lab1
    # tom@example.org,staff,lab1;lab2
    roster: class.csv
    exclusive: true
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
people:
  description: How many people the roster has.
  type: int
  returned: success
  sample: 1042
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
    _roster,
)


def plan(now: _people.State, roster: _roster.Roster, exclusive: bool) -> _people.Plan:
    """Return what is to be done."""
    unwanted = _people.others(now, roster.people, roster.groups) if exclusive else {}
    return _people.plan(now, roster.people, unwanted)


def run(
    hub: _hub.Hub,
    progress: _progress.Progress,
    roster: _roster.Roster,
    parameters: dict[str, Any],
    check_mode: bool,
) -> dict[str, Any]:
    """Look, plan, and do it."""
    deadline = time.monotonic() + parameters["wait_timeout"]
    now = _people.state(hub.users(), hub.groups())
    todo = plan(now, roster, parameters["exclusive"])
    failed = {} if check_mode else _enrolment.Enrolment(hub, progress, deadline)(todo)
    return {**_enrolment.result(now, todo, failed), "people": len(roster.people)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_hub_module.ARGUMENTS,
            "roster": {"type": "path", "required": True},
            "roles": {"type": "list", "elements": "str", "default": ["staff"]},
            "exclusive": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    _hub_module.run(
        module,
        lambda: _roster.read(parameters["roster"], parameters["roles"]),
        lambda hub, progress, roster: run(hub, progress, roster, parameters, module.check_mode),
    )


if __name__ == "__main__":
    main()
