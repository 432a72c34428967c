"""Running commands with their output in a step's log."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .graph import BuildError, Log


def run(
    command: Sequence[str],
    log: Log,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run a command to its end. Raises BuildError with the last lines of its output."""
    log.write(f"$ {' '.join(command)}\n")
    tail: list[str] = []
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env) if env is not None else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            log.write(line)
            tail = [*tail[-2:], line.rstrip()[:300]]
            if on_line:
                on_line(line)
    if process.returncode != 0:
        raise BuildError(
            f"`{' '.join(command[:4])} …` ended with {process.returncode}: {' | '.join(tail)} (whole log: {log.path})"
        )


def output(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Return a short command's standard output. Raises BuildError when it fails."""
    result = subprocess.run(
        command, cwd=cwd, env=dict(env) if env is not None else None, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise BuildError(f"`{' '.join(command)}` ended with {result.returncode}: {result.stderr.strip()[-500:]}")
    return result.stdout.strip()
