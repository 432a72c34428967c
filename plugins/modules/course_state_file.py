#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: course_state_file
short_description: Read what was kept of a cluster outside of it
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Reads a file with the state that M(coursehub.jupyterhub.course_state_info) returned, encrypted by
    P(ansible.builtin.vault#filter), and checks that it is whole.
  - What is returned holds secrets, so it is never shown, whether the task has C(no_log) or not.
  - Runs on the controller.
options:
  folder:
    description: The folder of the files. The newest by name is read, unless O(file) names one.
    type: path
    required: true
  file:
    description: The file.
    type: path
  passphrase:
    description: What it was encrypted with.
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
- name: Read the newest state
  coursehub.jupyterhub.course_state_file:
    folder: /srv/backups
    passphrase: "{{ vault_state_passphrase }}"
  register: kept
"""

RETURN = r"""
file:
  description: The file that was read.
  type: str
  returned: success
  sample: /srv/backups/state-20261125T020000Z.json.vault
state:
  description: The state, for O(coursehub.jupyterhub.course_recover#module:state). It holds secrets.
  type: dict
  returned: success
  sample: {"version": 1}
"""
