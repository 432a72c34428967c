# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules choose students."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  namespace:
    description: The namespace of the students' servers and disks.
    type: str
    required: true
  students:
    description: The students, by name. One who has no disk is refused before anything is changed.
    type: list
    elements: str
  roster:
    description:
      - A CSV file with a column C(student). Students in it who have no disk yet are returned, and are no failure.
    type: path
  pattern:
    description: A pattern for students' names, with V(*), V(?) and V([seq]).
    type: str
  selector:
    description: A label selector for the disks' claims.
    type: str
  all_students:
    description: All students who have a disk.
    type: bool
    default: false
"""

    SERVERS = r"""
options:
  stop_servers:
    description:
      - Whether the servers of students whose disks must not be in use are stopped, through the hub. Without it they are
        refused. It needs O(hub_url) and O(hub_namespace).
    type: bool
    default: false
  hub_url:
    description: The address that students use.
    type: str
  hub_namespace:
    description: The hub's namespace, which has the Secret with the token for this.
    type: str
"""

    WORKERS = r"""
options:
  image:
    description:
      - The tools image, which the pods run that work on students' files. The default is the one that the role
        C(snapshots) has written into the ConfigMap V(disk-tools) in O(namespace).
    type: str
"""
