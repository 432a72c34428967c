# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run keeps in a ConfigMap, as the next one reads it; without I/O.

What can't be read is absent: a slip of somebody's ``kubectl edit`` must not end seats until somebody mends it.
"""

from __future__ import annotations

import json
from datetime import datetime
from math import isfinite
from typing import Any


def moment(text: Any) -> datetime | None:
    """Return a time with its zone, or None."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at if at.utcoffset() is not None else None


def number(text: Any) -> float | None:
    """Return a number, or None."""
    try:
        value = float(text)
    except (OverflowError, TypeError, ValueError):
        return None
    return value if isfinite(value) else None


def parsed(text: Any) -> Any:
    """Return what JSON says, or None."""
    try:
        return json.loads(text)
    except (RecursionError, TypeError, ValueError):
        return None
