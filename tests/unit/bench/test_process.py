from __future__ import annotations

import sys
import time

from bench import process


def test_what_a_process_says_and_how_it_ends() -> None:
    done = process.run(
        [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"], 30
    )
    assert done.code == 3
    assert set(done.said.split()) == {"out", "err"}
    assert 0 < done.seconds < 30


def test_the_memory_is_the_processs_own_and_not_this_ones() -> None:
    small = process.run([sys.executable, "-c", "pass"], 30).rss_mb
    ballast = bytearray(b"x") * 200_000_000
    assert abs(process.run([sys.executable, "-c", "pass"], 30).rss_mb - small) < 20
    assert len(ballast) == 200_000_000
    large = process.run([sys.executable, "-c", "x = b'a' * 100_000_000"], 30).rss_mb
    assert 100 <= large < 130


def test_a_process_that_takes_too_long_is_killed_with_all_it_started() -> None:
    start = time.monotonic()
    done = process.run(["/bin/sh", "-c", "sleep 60 & sleep 60"], 0.2)
    assert done.code == -9
    assert "killed after 0.2 s" in done.said
    assert time.monotonic() - start < 20


def test_the_environment_is_handed_on() -> None:
    done = process.run([sys.executable, "-c", "import os; print(os.environ['ONE'])"], 30, {"ONE": "1"})
    assert done.said == "1\n"
