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
