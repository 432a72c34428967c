# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all modules that talk to a cluster share."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description: The kubeconfig file. There is no default, and no environment variable is read.
    type: path
    required: true
  context:
    description: The context in O(kubeconfig). The file's current context is never used.
    type: str
    required: true
requirements:
  - kubernetes (Python library)
"""

    ATTRIBUTES = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell what would change, without changing it.
    support: full
  diff_mode:
    description: Shows what changed, or would change, in diff mode.
    support: full
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode, in which it does the same.
    support: full
  diff_mode:
    description: Has nothing to show, since nothing is changed.
    support: none
"""
