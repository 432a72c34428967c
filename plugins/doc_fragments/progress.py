# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules that work on all students tell how far they have come."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  progress_file:
    description:
      - A file that is there, to which the module appends how far it has come, as JSON, one object a line.
      - Set by the action plugin of the same name, which shows it while the module runs. On a terminal one line is
        rewritten. Elsewhere, in AWX, with several hosts, with C(-vvv) and with E(ANSIBLE_NOCOLOR), a line is printed
        where 5 % more is finished or 10 s have gone by, and one at the end of each phase.
      - The environment variable E(COURSEHUB_PROGRESS) is V(auto), which is this, V(lines), which never rewrites, or
        V(none). With V(auto) nothing is shown where E(ANSIBLE_DISPLAY_OK_HOSTS) is false or E(ANSIBLE_STDOUT_CALLBACK)
        is one that programs read.
      - Nothing is shown of a task that has C(no_log) or C(async), or that does not run on the controller.
    type: path
"""
