"""How long a process takes, and how much memory it needs: ``python bench/process.py RESULT TIMEOUT_S LOG COMMAND…``.

A small process of its own starts the one that is measured: what Linux tells of a child's memory begins with its
parent's, and a benchmark that has seen thousands of objects is no small parent.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Process:
    """A process that has ended: its code, wall time, peak memory and what it said.

    ``rss_mb`` is of the largest process, where the command started others.
    """

    code: int
    seconds: float
    rss_mb: float
    said: str


def run(command: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None) -> Process:
    """Run a command in this checkout and measure it. One that takes too long is killed, with all that it started."""
    with tempfile.TemporaryDirectory(prefix="coursehub-bench-") as name:
        result, log = Path(name) / "result.json", Path(name) / "log"
        with subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(result), str(timeout_s), str(log), *command],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        ) as measuring:
            try:
                measuring.wait()
            finally:
                # Told to end, it ends what it measures; a benchmark that is interrupted leaves nothing running.
                measuring.terminate()
                measuring.wait()
        told = json.loads(result.read_text(encoding="utf-8"))
        return Process(**told, said=log.read_text(encoding="utf-8", errors="replace"))


def _measure(result: str, timeout_s: str, log: str, *command: str) -> None:
    # An interrupt comes to all processes of a terminal. Who started this one ends it, and it ends what it measures.
    signal.signal(signal.SIGINT, lambda *_: None)
    with Path(log).open("wb") as output:
        start = time.monotonic()
        # In a session of its own, so that all that it starts can be ended with it.
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        signal.signal(signal.SIGTERM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        try:
            process.wait(float(timeout_s))
        except subprocess.TimeoutExpired:
            output.write(f"killed after {timeout_s} s\n".encode())
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        seconds = time.monotonic() - start
    told = {
        "code": process.returncode,
        "seconds": round(seconds, 3),
        # Linux counts in KiB.
        "rss_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6, 1),
    }
    Path(result).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    _measure(*sys.argv[1:])
