"""Runs playbooks against the hub under test, from the installed collection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def play(playbook: str) -> str:
    """Run a playbook, by path or by full name; return what it said. Raises AssertionError where it fails."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "molecule/inventory", playbook],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/installed"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{playbook} ended with {done.returncode}: {done.stdout[-4000:]}{done.stderr[-1000:]}"
    return done.stdout
