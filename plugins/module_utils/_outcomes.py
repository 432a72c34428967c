# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the module student_disk tells of each student; without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


@dataclass
class Outcome:
    """What was done, or would be, for one student."""

    student: str
    disk: str
    done: list[str] = field(default_factory=list)
    size_bytes: int = 0
    archive: str = ""
    failed: str = ""


def fail(outcomes: Mapping[str, Outcome], errors: Mapping[str, CoursehubError | str]) -> None:
    """Note what failed, by claim, in place of what would have been done."""
    for claim, error in errors.items():
        outcomes[claim].failed, outcomes[claim].done = str(error), []


def result(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return the module's result."""
    listed = list(outcomes)
    return {
        "changed": any(one.done for one in listed),
        "students": [vars(one) for one in listed],
        "diff": {"before": "", "after": "".join(f"{one.disk} {' '.join(one.done)}\n" for one in listed if one.done)},
    }
