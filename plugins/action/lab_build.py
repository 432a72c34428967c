# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the builder on the controller and show its lines as they come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

_LAB = Path(__file__).resolve().parents[2] / "lab"
_ARGUMENTS: dict[str, Any] = {
    "targets": {"type": "list", "elements": "str", "required": True},
    "cache_dir": {"type": "path", "required": True},
    "source": {"type": "str", "choices": ["lab", "registry"], "required": True},
    "engine": {"type": "str", "choices": ["docker", "podman"], "required": True},
}


class ActionModule(ActionBase):
    """The controller's side; there is no other."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Build what is missing; in check mode tell what that is."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(_ARGUMENTS)
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            command = [sys.executable, "-m", "builder", "--result", file.name]
            command += ["--cache", arguments["cache_dir"], "--source", arguments["source"]]
            command += ["--engine", arguments["engine"], *arguments["targets"]]
            if self._task.check_mode:
                command.append("--plan")
            code, error = _follow(command)
            if code != 0:
                return {"failed": True, "msg": error or f"the builder ended with {code}"}
            outcome = json.loads(Path(file.name).read_text(encoding="utf-8"))
        missing = outcome.get("missing") or sorted(outcome.get("built", {}))
        return {
            "changed": bool(missing),
            "built": missing,
            "seconds": outcome.get("built", {}),
            "artefacts": outcome["artefacts"],
        }


def _follow(command: list[str]) -> tuple[int, str]:
    """Run the builder; return its code and the sentence that it ended with, if it failed."""
    display = Display()
    error = ""
    with subprocess.Popen(
        command,
        cwd=_LAB,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            if line.startswith("error: "):
                error = line.removeprefix("error: ").strip()
            else:
                display.display(f"  {line.rstrip()}")
    return process.returncode, error
