# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what was kept of a cluster outside of it; what is wrong with it is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.action import ActionBase
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _state
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# As the role snapshots names them: in the order of their names they are in the order of time.
PATTERN = "state-*.json.vault"

_ARGUMENTS: dict[str, Any] = {
    "folder": {"type": "path", "required": True},
    "file": {"type": "path"},
    "passphrase": {"type": "str", "required": True, "no_log": True},
}


class ActionModule(ActionBase):
    """The controller's side; there is no other."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the file, and mark a result that holds secrets."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(_ARGUMENTS)
        try:
            path = Path(arguments["file"]) if arguments["file"] else newest(Path(arguments["folder"]))
            state = read(path, arguments["passphrase"])
        except CoursehubError as error:
            return {"failed": True, "msg": str(error)}
        return {"changed": False, "file": str(path), "state": state, "_ansible_no_log": True}


def newest(folder: Path) -> Path:
    """Return the newest file of a folder. Raises CoursehubError where there is none."""
    found = sorted(folder.glob(PATTERN))
    if not found:
        raise CoursehubError(
            f"there is no {PATTERN} in {folder}: copy the newest one there, or name another folder in"
            " coursehub_snapshots_state_folder"
        )
    return found[-1]


def read(path: Path, passphrase: str) -> dict[str, Any]:
    """Return the state in a file. Raises CoursehubError where it can't be read, opened or understood."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CoursehubError(f"the state file {path} can't be read: {error.strerror}") from error
    try:
        text = VaultLib([("state", VaultSecret(passphrase.encode()))]).decrypt(content)
    except AnsibleError as error:
        raise CoursehubError(
            f"the state file {path} can't be opened: either the passphrase is not the one that it was written with, or"
            " the file is damaged"
        ) from error
    try:
        return _state.opened(text.decode())
    except (CoursehubError, UnicodeDecodeError) as error:
        raise CoursehubError(f"the state file {path} can't be used: {error}") from error
