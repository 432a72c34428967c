"""Which state an export in Drive is of: each state has an id, and marks the export that it goes on with.

A student may have states in several slots. Of those only the one that was at work last knows what is in Drive, and
where its run was killed no list tells of it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

NAME = "turn"
_LENGTH = 16


def of(folder: Path) -> str:
    """Return the id of a state, which has one from here on. One that is cut by a kill is none. Raises OSError."""
    path = folder / NAME
    try:
        found = path.read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        found = ""
    if len(found) != _LENGTH:
        found = secrets.token_hex(_LENGTH // 2)
        path.write_text(found, encoding="ascii")
    return found
