# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The classes that seats are kept for, and the pool of nodes that has them."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  calendar:
    description: >-
      An iCalendar file or its address (http, https or webcal). A line C(Seats: 450) in an event's description says how
      many students come, and one as C(Groups: lab1;lab2) which groups of the hub they are.
    type: str
    default: ""
  classes:
    description:
      - Classes as a list, in the place of O(calendar). Each has C(name), C(start) and C(end) in the wall clock of
        O(time_zone), and C(seats); it may have C(repeat), a rule as RFC 5545 writes it, and C(except), days without it.
      - It may have C(groups), a list of the hub's groups that are the class, all of whose members C(seats) then counts.
        Who of them has a server before the class's seats are ordered, as from the class before, needs none. Without
        it nobody knows whose server runs, and a class has all its seats.
    type: list
    elements: dict
    default: []
  time_zone:
    description: The time zone of O(classes), and of events that name none.
    type: str
    default: UTC
  class_seats:
    description: How many seats an event needs whose description does not say so. 0 means that it must.
    type: int
    default: 0
  early_s:
    description: Seconds before a class by which its seats are warm.
    type: int
    default: 300
  peak_s:
    description: Seconds after a class's begin at which seats that nobody took are let go.
    type: int
    default: 900
  share:
    description: The part of a class that comes.
    type: float
    default: 1.0
requirements:
  - icalendar (Python library)
  - python-dateutil (Python library)
"""

    SERVER = r"""
options:
  memory:
    description: The memory that a server asks for when it starts.
    type: str
    required: true
  cpu:
    description: The cores that a server asks for when it starts.
    type: str
    required: true
"""

    POOL = r"""
options:
  machine:
    description: >-
      The students' machines. C(type), which O(prices) must have; C(cpu) and C(memory), what pods may take of one;
      C(disks), how many it attaches. It may have C(system_cpu) and C(system_memory), what the cluster's own pods ask
      for on each; C(unpacked), the part of C(memory) that a pod of the role C(autoscaler) keeps free on each; and
      C(pods), how many it takes beside the cluster's own, of which that pod is one.
    type: dict
    required: true
  prices:
    description: The price of an hour of a node, by type.
    type: dict
    required: true
  core_nodes:
    description: How many nodes the core pool has.
    type: int
    required: true
  limit_nodes:
    description: How many nodes there may be at most, the core pool's among them.
    type: int
    required: true
  limit_spend:
    description: How much a day may cost at most, in whatever O(prices) is in.
    type: float
    required: true
"""
