"""Which disk a student's exports are of, noted in the state before the first thing of it is put into Drive.

Whoever runs this notes an export when they hear of its end. Where that was lost, the disk is no new one all the same.
"""

from __future__ import annotations

from pathlib import Path

NAME = "disk"


def is_known(folder: Path, uid: str) -> bool:
    """Tell whether exports of this disk have begun, by the student's state. No disk has an empty id. Raises OSError."""
    try:
        return bool(uid) and (folder / NAME).read_bytes() == uid.encode()
    except FileNotFoundError:
        return False


def note(folder: Path, uid: str) -> None:
    """Note that exports of this disk begin. A note that is cut by a kill is none. Raises OSError."""
    (folder / NAME).write_bytes(uid.encode())
