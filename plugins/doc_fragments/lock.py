# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How runs that change the same disks wait for one another."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  lock_timeout:
    description: Seconds to wait for another run on the same disks.
    type: int
    default: 300
"""
