"""Python environments of their own, for what a benchmark runs beside this collection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .report import say


def install(folder: Path, requirements: Path, what: str, *included: Path) -> None:
    """Make an environment in a folder, once for each content of its requirements and of the files that they include."""
    stamp = folder / "installed.txt"
    wanted = "".join(path.read_text(encoding="utf-8") for path in (requirements, *included))
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    say(f"installing {what}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--require-hashes", "-r", str(requirements)]
    subprocess.run(pip, check=True)
    stamp.write_text(wanted, encoding="utf-8")
