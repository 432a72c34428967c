"""How long ``make up`` takes from nothing: a fresh checkout, and no cache of ours, of Go's or of pip's.

Debian packages that the machine has already are not counted. The figure is kept in ``bench/cold.json``, from where
``make bench B=setup`` takes it over.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import hub, report
from .setup import COLD


def main() -> None:
    """Measure, and write."""
    hub.refuse_beside_others()
    with tempfile.TemporaryDirectory(prefix="coursehub-cold-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        checkout = folder / "checkout"
        subprocess.run(["git", "clone", "--quiet", str(report.ROOT), str(checkout)], check=True)
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_STATE_HOME": str(folder / "state"),
            "GOPATH": str(folder / "go"),
            "COURSEHUB_PHASES_FILE": str(folder / "phases.json"),
        }
        start = time.monotonic()
        done = subprocess.run(["make", "up"], cwd=checkout, env=environment, check=False)
        seconds = round(time.monotonic() - start)
        try:
            if done.returncode != 0:
                report.fail(f"`make up` ended with {done.returncode}; see above")
            told = json.loads((folder / "phases.json").read_text(encoding="utf-8"))
        finally:
            subprocess.run(["make", "down"], cwd=checkout, env=environment, check=False)
            _release(folder)
    phases = {name: round(value, 1) for name, value in told["phases"].items()}
    record = {"cold_s": seconds, "date": report.today(), "machine": report.machine(), "phases": phases}
    COLD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    report.write("cold", {"cold_s": seconds}, phases=phases)


def _release(folder: Path) -> None:
    """Let the folder be removed: podman leaves its store mounted on itself, and Go writes its modules read-only."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    for point in sorted((line.split()[1] for line in mounts), reverse=True):
        if point.startswith(f"{folder}/"):
            subprocess.run([shutil.which("umount") or "/bin/umount", point], check=False)
    subprocess.run(["chmod", "-R", "u+w", str(folder / "go")], check=False)


if __name__ == "__main__":
    sys.exit(main())
