# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check all variables of this collection before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleUndefinedVariable
from ansible.plugins.action import ActionBase
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._variables import (
    PREFIX,
    bad_values,
    unknown_variables,
)

_ROLES = Path(__file__).resolve().parents[2] / "roles"


def specifications() -> dict[str, dict[str, Any]]:
    """Return the options of all roles of this collection: name -> argument spec."""
    options: dict[str, dict[str, Any]] = {}
    for path in sorted(_ROLES.glob("*/meta/argument_specs.yml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            for name, option in (entry.get("options") or {}).items():
                options[name] = {
                    key: value for key, value in option.items() if key not in ("description", "version_added")
                }
    return options


class ActionModule(ActionBase):
    """The controller's side; there is no other."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with all problems at once, one sentence each."""
        super().run(tmp, task_vars)
        specs = specifications()
        ours = {name for name in task_vars or {} if name.startswith(PREFIX)}
        values = {}
        for name in ours & set(specs):
            try:
                values[name] = self._templar.template((task_vars or {})[name])
            except AnsibleUndefinedVariable:
                # A default that stands on what a role finds out later, as the images that were built.
                continue
        problems = unknown_variables(ours, set(specs)) + bad_values(values, specs)
        if problems:
            return {"failed": True, "msg": "; ".join(problems), "problems": problems}
        return {"changed": False, "checked": len(values)}
