# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of each student of a run of exports, as a file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _exports
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def write(path: str, outcomes: Sequence[_exports.Outcome]) -> None:
    """Write it as JSON, in one step. Raises CoursehubError."""
    text = json.dumps({"students": [vars(one) for one in outcomes]}, indent=1)
    try:
        with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.new", path)
    except OSError as error:
        raise CoursehubError(f"the report can't be written: {error}: set report to a path that can be") from error
