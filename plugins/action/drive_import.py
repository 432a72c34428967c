# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the module drive_import and show how far it has come."""

from __future__ import annotations

from ansible_collections.coursehub.jupyterhub.plugins.plugin_utils._bulk_action import BulkAction


class ActionModule(BulkAction):
    """The controller's side; the module does the work."""
