from __future__ import annotations

import sys
import time
from pathlib import Path

from bench import process


def test_what_a_process_says_and_how_it_ends() -> None:
    done = process.run(
        [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"], 120
    )
    assert done.code == 3
    assert set(done.said.split()) == {"out", "err"}
    assert done.seconds > 0


def test_the_memory_is_the_processs_own_and_not_this_ones() -> None:
    small = process.run([sys.executable, "-c", "pass"], 120).rss_mb
    ballast = bytearray(b"x") * 200_000_000
    assert abs(process.run([sys.executable, "-c", "pass"], 120).rss_mb - small) < 20
    assert len(ballast) == 200_000_000
    large = process.run([sys.executable, "-c", "x = b'a' * 100_000_000"], 120).rss_mb
    assert 100 <= large < 130


def test_a_process_that_takes_too_long_is_killed_with_all_it_started(tmp_path: Path) -> None:
    # It is killed whatever it has come to; once it says so, there is a child too.
    command = ["/bin/sh", "-c", "sleep 3600 & echo begun; sleep 3600"]
    limit_s = 1.0
    while "begun" not in (done := process.run(command, limit_s, {"MARK": str(tmp_path)})).said:
        assert limit_s < 120
        limit_s *= 2
    assert done.code == -9
    assert f"killed after {limit_s} s" in done.said
    # What is killed takes a moment to be gone.
    deadline = time.monotonic() + 120
    while _marked(f"MARK={tmp_path}".encode()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _marked(mark: bytes) -> list[str]:
    """Return the processes that have a mark in their environment."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in words:
            found.append(file.parent.name)
    return found


def test_the_environment_is_handed_on() -> None:
    done = process.run([sys.executable, "-c", "import os; print(os.environ['ONE'])"], 120, {"ONE": "1"})
    assert done.said == "1\n"
