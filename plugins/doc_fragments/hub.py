# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules reach the hub, and choose its users."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  hub_url:
    description: The address that students use.
    type: str
    required: true
  hub_namespace:
    description: The hub's namespace, which has the Secret with the token for this.
    type: str
    required: true
  wait_timeout:
    description: Seconds for all of it. So long a hub that has no time, or is away, is asked again.
    type: int
    default: 900
"""

    NAMESPACE = r"""
options:
  namespace:
    description: The hub's namespace.
    type: str
    required: true
"""

    USERS = r"""
options:
  students:
    description: Users, by name. One whom the hub does not know is refused before anything is changed.
    type: list
    elements: str
  roster:
    description: A CSV file with a column C(student). Students in it whom the hub does not know are returned, and are no
      failure.
    type: path
  pattern:
    description: A pattern for users' names, with V(*), V(?) and V([seq]).
    type: str
  group:
    description: A group of the hub.
    type: str
  all_students:
    description: All users of the hub.
    type: bool
    default: false
"""
