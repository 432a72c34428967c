# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print text as a person wants to read it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    """The controller's side; there is no other."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print the text."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec({"text": {"type": "str", "required": True}})
        Display().display(f"\n{arguments['text'].rstrip()}\n")
        return {"changed": False}
