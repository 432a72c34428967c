#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tell
short_description: Print text as a person wants to read it
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Prints text with its line breaks, where M(ansible.builtin.debug) prints JSON.
  - Runs on the controller.
options:
  text:
    description: The text.
    type: str
    required: true
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Say where the hub is
  coursehub.jupyterhub.tell:
    text: The hub is at http://127.0.0.1:8000
"""

RETURN = r""" # """
