# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a command on the controller; show its lines as they come and keep them. Minutes of silence help nobody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    """The controller's side; there is no other."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail when the command fails."""
        super().run(tmp, task_vars)
        arguments = self._task.args
        environment = {**os.environ, **{k: str(v) for k, v in arguments["environment_variables"].items()}}
        # The environment of the run is for its playbooks; a test that runs a playbook sets its own.
        environment.pop("ANSIBLE_CONFIG", None)
        log = Path(arguments["log"])
        log.parent.mkdir(parents=True, exist_ok=True)
        with (
            log.open("w", encoding="utf-8") as kept,
            subprocess.Popen(
                arguments["command"],
                cwd=arguments["folder"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            for line in process.stdout or ():
                Display().display(line.rstrip())
                kept.write(line)
        code = process.returncode
        return {"changed": False, "failed": code != 0, "msg": "" if code == 0 else f"the command ended with {code}"}
