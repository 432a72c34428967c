# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archives of students' disks: what a disk says of its own; without I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import ARCHIVE_ANNOTATION, Disk
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._worker import Target

Object = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """An archive that was read back and found whole; ``state`` is what the disk was then (`state_of`)."""

    name: str
    target: Target
    sha256: str
    archive_bytes: int
    files: int
    snapshot: str
    archived_at: str
    state: str

    def annotation(self) -> Object:
        """Return what writes the record on the disk's claim."""
        text = json.dumps({**vars(self), "target": vars(self.target)}, sort_keys=True)
        return {"metadata": {"annotations": {ARCHIVE_ANNOTATION: text}}}


def state_of(disk: Disk) -> str:
    """Return what changes when a disk may have: its last start, and its last restore in place."""
    return f"{disk.last_start.isoformat() if disk.last_start else ''} {disk.restored_from}".strip()


def record_of(disk: Disk) -> Record | None:
    """Return the record of a disk's archive; None where there is none, or it can't be read."""
    try:
        told = json.loads(disk.archive)
        return Record(**{**told, "target": Target(**told["target"])})
    except (ValueError, TypeError, KeyError):
        return None


def current(disk: Disk) -> Record | None:
    """Return the record of an archive that has all that is on a disk, given that no pod has it now."""
    record = record_of(disk)
    return record if record is not None and record.state == state_of(disk) else None
