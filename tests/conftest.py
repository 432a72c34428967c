"""Lets all tests import the collection by its own name, from this checkout."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in (
    "build/collections",
    "lab",
    "lab/csi",
    "lab/drive",
    "images/hub",
    "images/tools",
    "roles/hub/files/server",
):
    sys.path.insert(0, str(ROOT / folder))
