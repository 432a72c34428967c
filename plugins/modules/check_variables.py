#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: check_variables
short_description: Check all variables of this collection before anything is changed
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Holds every variable whose name begins with C(coursehub_) against the argument specs of all roles, and fails
    with one sentence for each that is misspelt, has the wrong type, is not among the choices, or is no Kubernetes
    quantity where its name ends in C(_size), C(_memory) or C(_cpu), or no time zone where it ends in C(_time_zone).
  - Runs on the controller.
options: {}
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Check the inventory
  coursehub.jupyterhub.check_variables:
"""

RETURN = r"""
checked:
  description: How many variables were held against their specs.
  type: int
  returned: success
  sample: 42
problems:
  description: The sentences.
  type: list
  elements: str
  returned: failure
"""
